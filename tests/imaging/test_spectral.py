import tracemalloc
import warnings

import numpy as np
import pytest
import spectral_helpers
from imaging_helpers import centroid, disc
from spectral_helpers import CENTER, FWHM, PEAK, POSITION_ANGLE, SEPARATION

from astronmf import SequentialNMF
from astronmf.exceptions import GeometryWarning, MissingDataWarning
from astronmf.imaging import Frames, SpectralFrames, reduce, reduce_spectral
from astronmf.imaging.geometry import radius, sky_position
from astronmf.imaging.spectral_differential import ReferenceChannels, stretched_channels
from astronmf.imaging.wavelengths import fwhm_of_channels
from astronmf.imaging.zones import zones_of

INNER, OUTER = 5, 17
QUICK = SequentialNMF(tol=1e-3, n_components=2)
SDI = {"mode": "sdi", "fwhm": FWHM, "min_separation": 0.5, "n_components": 2, "estimator": QUICK}
SDI |= {"inner_radius": INNER, "outer_radius": OUTER}


def quietly(*arguments, **options):
    """Reduce without a word about pixels that all references lack at their edges."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)
        return reduce_spectral(*arguments, **options)


@pytest.fixture(scope="module")
def observation():
    return spectral_helpers.observe()


@pytest.fixture(scope="module")
def science(observation):
    return observation.frames()


@pytest.fixture(scope="module")
def references():
    """Return exposures of another star, without a planet."""
    other = spectral_helpers.observe(seed=2, angles=np.zeros(6))
    return other.frames(data=other.star, angles=None)


@pytest.fixture(scope="module")
def sdi(science):
    return quietly(science, keep="all", **SDI)


PLANET = sky_position((41, 41), SEPARATION, POSITION_ANGLE)


def signal_to_noise(image):
    """Return the mean within 1.5 pixels of the planet over the scatter at its separation."""
    here, near = disc(image.shape, *PLANET, 1.5), disc(image.shape, *PLANET, 6)
    ring = np.abs(radius(image.shape, CENTER) - SEPARATION) < 3
    return image[here].mean() / np.nanstd(image[ring & ~near])


def same_bits(one, other):
    """Check that a channel of a spectral reduction is what `reduce` made of it."""
    np.testing.assert_array_equal(one[0], other.combined)
    np.testing.assert_array_equal(one[1], other.combined_uncertainty)
    np.testing.assert_array_equal(one[2], other.coverage)


# Channels on their own


@pytest.mark.parametrize("mode", ["adi", "rdi", "ardi"])
def test_a_channel_on_its_own_is_what_reduce_makes_of_it_to_the_last_bit(science, references, mode):
    options = {
        "n_components": 2,
        "inner_radius": INNER,
        "outer_radius": OUTER,
        "annulus_width": 6.0,
        "combine": "weighted",
        "scale": "none",
    }
    others = None if mode == "adi" else references
    found = reduce_spectral(science, others, mode=mode, **options)
    for number in (0, 5):
        alone = reduce(science.channel(number), others and others.channel(number), mode=mode, **options)
        same_bits((found.combined[number], found.combined_uncertainty[number], found.coverage[number]), alone)


def test_rotation_is_measured_in_the_fwhm_of_each_channel(science):
    options = {"mode": "adi", "n_components": 1, "min_rotation": 1.0, "inner_radius": INNER, "outer_radius": OUTER}
    found = reduce_spectral(science, fwhm=FWHM, **options)
    widths = fwhm_of_channels(FWHM, science.wavelengths)
    for number in (0, 7):
        alone = reduce(science.channel(number), fwhm=widths[number], **options)
        np.testing.assert_array_equal(found.combined[number], alone.combined)


def test_references_may_be_marked_among_the_exposures(science, references):
    data = np.concatenate([science.data, references.data])
    stack = science.replace_data(science.data)
    both = SpectralFrames(
        data, 1.0, wavelengths=stack.wavelengths, angles=np.resize(stack.angles, 9), is_reference=np.arange(9) >= 3
    )
    apart = reduce_spectral(both[:3], both[3:], mode="rdi", n_components=2, scale="none")
    np.testing.assert_array_equal(
        reduce_spectral(both, mode="rdi", n_components=2, scale="none").combined, apart.combined
    )
    with_others = quietly(both[2:], **SDI)
    np.testing.assert_array_equal(with_others.combined, quietly(both[2:3], **SDI).combined)


# Other channels as references


def test_other_wavelengths_reveal_a_planet_that_a_plain_subtraction_does_not(science, sdi):
    plain = science.data - np.delete(science.data, 0, axis=1).mean(axis=1, keepdims=True)
    turned = reduce(Frames(plain[:, 0], angles=science.angles), Frames(np.zeros((2, 41, 41)) + 1e-9), scale="none")
    assert signal_to_noise(turned.combined) < 2
    assert signal_to_noise(sdi.collapsed) > 25
    assert centroid(np.where(disc((41, 41), *PLANET, 3), sdi.collapsed, 0)) == pytest.approx(PLANET, abs=0.2)


def test_most_of_the_planet_is_left_where_references_have_moved(observation, sdi):
    star = quietly(observation.frames(data=observation.data - observation.planet), **SDI)
    here = disc((41, 41), *PLANET, 1.0)
    assert (sdi.collapsed - star.collapsed)[here].mean() > 0.6 * PEAK


def test_references_that_have_moved_further_leave_more_of_the_planet(science, sdi):
    here = disc((41, 41), *PLANET, 1.5)
    near = quietly(science, **(SDI | {"min_separation": None}))
    assert sdi.collapsed[here].mean() > 1.3 * near.collapsed[here].mean()


def test_the_sky_s_rotation_and_other_wavelengths_serve_together(science):
    found = quietly(science, **(SDI | {"mode": "asdi", "n_components": 4, "min_rotation": 0.5}))
    assert signal_to_noise(found.collapsed) > 8
    assert found.meta["parameters"]["mode"] == "asdi"


def test_a_planet_declared_missing_keeps_its_flux(observation, science):
    here, truth = disc((41, 41), *PLANET, 1.0), observation.planet[0]
    kept, eaten = (
        quietly(science[:1], **SDI, imputation_mask=mask).combined[:, here].mean() / truth[:, here].mean()
        for mask in (disc((41, 41), *PLANET, 2), None)
    )
    assert kept == pytest.approx(1.0, abs=0.05)
    assert eaten < 0.9


def test_each_exposure_is_reduced_with_its_own_other_channels(science, sdi):
    zones = zones_of(np.abs(radius((41, 41), CENTER) - 11) <= 6, CENTER)
    widths = fwhm_of_channels(FWHM, science.wavelengths)
    channels = ReferenceChannels(science.wavelengths, zones, CENTER, 0.5, None, widths)
    nothing = np.zeros((3, 41, 41), bool)
    options = {"n_components": 2, "inner_radius": INNER, "outer_radius": OUTER, "estimator": QUICK}
    for number in (1, 6):
        frames = science.channel(number)
        for i, kept in enumerate(sdi.channels[number]):
            others = stretched_channels(science, number, np.array([i]), channels, nothing)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MissingDataWarning)
                alone = reduce(frames[i], others, **options)
            np.testing.assert_array_equal(kept.residuals, alone.residuals)
        images = np.stack([kept.combined for kept in sdi.channels[number]])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mean of empty slice")
            np.testing.assert_allclose(sdi.combined[number], np.nanmean(images, axis=0), rtol=1e-12)


def test_zones_have_references_of_their_own(science):
    found = quietly(science, **(SDI | {"annulus_width": 6.0, "min_separation": 0.3, "n_components": 1, "keep": "all"}))
    assert found.channels[0][0].components.meta["n_zones"] == 2
    assert signal_to_noise(found.collapsed) > 10


def test_the_number_of_components_is_what_the_references_allow(science):
    options = {"mode": "sdi", "fwhm": FWHM, "inner_radius": 9, "outer_radius": OUTER, "scale": "none"}
    found = quietly(science[:1], **options, min_separation=0.7, estimator=SequentialNMF(8, tol=1e-3))
    assert found.meta["parameters"]["n_components"] == 3


@pytest.mark.parametrize("mode", ["sdi", "asdi"])
def test_single_and_double_precision_agree(observation, mode):
    options = SDI | {"mode": mode, "n_components": 1}
    single = quietly(observation.frames(data=observation.data.astype(np.float32))[:2], **options)
    double = quietly(observation.frames()[:2], **options)
    scale = np.nanmax(np.abs(double.combined))
    np.testing.assert_allclose(single.combined, double.combined, rtol=0, atol=2e-3 * scale)


@pytest.mark.parametrize("mode", ["adi", "sdi", "asdi"])
def test_values_under_the_mask_change_no_bit(observation, mode):
    defects = disc((41, 41), 28, 12, 2)
    found = []
    for value in (np.nan, 1e30):
        frames = observation.frames(data=np.where(defects, value, observation.data), mask=defects)
        found.append(quietly(frames[: _few(mode)], **_options(mode)).combined)
    np.testing.assert_array_equal(*found)


def _few(mode):
    """Return how many exposures a mode needs."""
    return 1 if mode == "sdi" else 2


def _options(mode):
    """Return what a quick reduction of any mode takes."""
    left_out = ("mode", "fwhm", "min_separation") if mode == "adi" else ("mode",)
    return {"mode": mode} | {name: value for name, value in SDI.items() if name not in left_out}


def test_a_mask_of_the_detector_is_missing_in_the_references_too(observation):
    defects = disc((41, 41), 28, 12, 2)
    spoilt = observation.frames(data=np.where(defects, 1e5, observation.data))
    one = quietly(spoilt[:1], **SDI, mask=defects)
    other = quietly(observation.frames(mask=defects)[:1], **SDI, mask=defects)
    np.testing.assert_array_equal(one.combined, other.combined)


@pytest.mark.parametrize("mode", ["adi", "sdi", "asdi"])
def test_a_memory_map_in_another_byte_order_gives_the_same_bits(observation, tmp_path, mode):
    mapped = np.memmap(tmp_path / "cube.dat", dtype=">f8", mode="w+", shape=observation.data.shape)
    mapped[:] = observation.data
    one, other = (
        quietly(observation.frames(data=data)[: _few(mode)], **_options(mode)) for data in (mapped, observation.data)
    )
    np.testing.assert_array_equal(one.combined, other.combined)


def test_one_exposure_without_angles_is_reduced_as_it_is(observation):
    frames = observation.frames(data=observation.data[:1], uncertainty=None, angles=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDataWarning)
        with pytest.warns(GeometryWarning, match=r"channel 0 \(0.95 µm\): the science frames have no 'angles'"):
            found = reduce_spectral(frames, **SDI)
    assert signal_to_noise(found.collapsed) > 10


def test_factors_of_the_exposures_are_taken(science):
    found = quietly(science, **(SDI | {"scale": [0.9, 1.0, 1.1], "keep": "all"}))
    assert [kept.scale_factors.tolist() for kept in found.channels[3]] == [[0.9], [1.0], [1.1]]


# What comes back


def test_a_reduction_has_an_image_and_an_error_for_every_channel(science, sdi):
    assert sdi.combined.shape == sdi.combined_uncertainty.shape == sdi.coverage.shape == (8, 41, 41)
    assert (sdi.unit, sdi.pixel_scale, sdi.center) == (science.unit, 0.0075, (20, 20))
    np.testing.assert_array_equal(sdi.wavelengths, science.wavelengths)
    np.testing.assert_allclose(sdi.fwhm, FWHM * sdi.wavelengths / 1.3)
    assert sdi.meta["parameters"]["min_separation"] == 0.5
    np.testing.assert_allclose(np.abs(sdi.wcs.wcs.cdelt), 0.0075)
    assert len(sdi) == 8


def test_errors_are_those_of_the_residuals(observation):
    pure = observation.frames(data=observation.data - observation.planet)
    found = quietly(pure, **(SDI | {"scale": "none"}))
    pulls = (found.combined / found.combined_uncertainty)[:, np.abs(radius((41, 41), CENTER) - 10) < 3]
    assert 0.5 < np.nanstd(pulls) < 1.6


def test_reductions_are_kept_only_where_they_are_asked_for(science, sdi):
    assert quietly(science[:1], **SDI).channels is None
    assert [len(kept) for kept in sdi.channels] == [3] * 8
    kept = reduce_spectral(science, mode="adi", n_components=1, keep="all").channels
    assert [len(one) for one in kept] == [1] * 8
    assert kept[4][0].science.meta["wavelength"] == science.wavelengths[4]


def test_a_channel_without_data_is_nan_and_told(observation):
    data = np.array(observation.data)
    data[:, 3] = np.nan
    data[0, 5] = np.nan
    for options in (SDI, {"mode": "adi", "n_components": 1}):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = reduce_spectral(observation.frames(data=data, mask=np.isnan(data)), **options)
        assert any("channel 3 (1.25 µm): it has no valid value and is left NaN" in str(one.message) for one in caught)
        assert np.isnan(found.combined[3]).all()
        assert (found.coverage[3] == 0).all()
        assert found.coverage[5].max() == 2
        assert np.isfinite(found.combined[4]).any()


def test_warnings_of_a_kind_are_told_once_with_the_channel(observation):
    data = np.array(observation.data)
    data[0, 2, 3, :4] = data[1, 4, 3, :2] = np.nan
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reduce_spectral(observation.frames(data=data), mode="adi", n_components=1, estimator=QUICK)
    assert len(caught) == 1
    assert str(caught[0].message) == (
        "channel 2 (1.15 µm): 4 values of 'data' are NaN or Inf and not masked: they are treated as missing; "
        "the like of other channels is not told again"
    )
    assert caught[0].filename == __file__


def test_progress_is_told_channel_by_channel(science):
    told = []
    reduce_spectral(science, mode="adi", n_components=1, progress=lambda *what: told.append(what))
    assert [one for one in told if one[2] == "channels"] == [(i + 1, 8, "channels") for i in range(8)]


# Memory


def memory(tmp_path, n_channels, **options):
    """Return the bytes at most held above a memory-mapped input of so many channels, less those of the result."""
    size, n = (25, 25), 5
    mapped = np.memmap(tmp_path / "cube.dat", dtype=np.float32, mode="w+", shape=(n, n_channels, *size))
    halo = 300 * np.exp(-radius(size, (12, 12)) / 8)
    mapped[:] = halo * (1 + 0.1 * np.sin(np.arange(n))[:, None, None, None])
    mapped += np.random.default_rng(1).normal(size=mapped.shape).astype(np.float32)
    frames = SpectralFrames(mapped, wavelengths=np.linspace(1, 1.5, n_channels), angles=np.arange(n) * 9.0)
    options = {"n_components": 1, "estimator": QUICK, "scale": "none", "inner_radius": 4, "outer_radius": 10} | options
    quietly(frames[:2], **options)  # what is loaded at first use is not counted
    tracemalloc.start()
    found = quietly(frames, **options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - found.combined.nbytes - found.combined_uncertainty.nbytes - found.coverage.nbytes


@pytest.mark.parametrize("options", [{"mode": "adi"}, {"mode": "sdi"}, {"mode": "asdi", "max_channels": 2}], ids=str)
def test_more_channels_take_no_more_memory(tmp_path, options):
    assert memory(tmp_path, 8, **options) < 1.25 * memory(tmp_path, 3, **options)


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "pdi"}, "'mode' must be one of 'rdi', 'adi', 'ardi', 'sdi', 'asdi'"),
        ({"keep": "some"}, "'keep' must be one of None, 'all'"),
        ({"mode": "adi", "min_separation": 1.0}, "'min_separation' must be left out with mode='adi'"),
        ({"mode": "adi", "max_channels": 2}, "'max_channels' must be left out with mode='adi'"),
        ({"mode": "sdi", "min_rotation": 1.0}, "'min_rotation' must be left out with mode='sdi'.*'asdi' uses"),
        ({"mode": "sdi", "min_separation": 1.0}, "'fwhm' must be given, in pixels, with 'min_separation'"),
        (
            {"mode": "sdi", "n_components": 8},
            "'n_components' must be at most 7, as many references as there are, got 8",
        ),
        ({"mode": "sdi", "n_components": 0}, "'n_components' must be an integer of at least 1"),
        (SDI | {"min_separation": 1.5}, "'min_separation' must be such that .* keeps 2 .*lower min_separation"),
        ({"mode": "adi", "components": 1}, "'components' must be left out"),
        ({"mode": "adi", "combine": "sum"}, r"channel 0 \(0.95 µm\): 'combine' must be one of"),
    ],
)
def test_what_cannot_be_is_refused(science, options, message):
    with pytest.raises(ValueError, match=message):
        quietly(science, **options)


def test_references_go_with_the_modes_that_use_them_and_have_the_same_wavelengths(science, references):
    with pytest.raises(ValueError, match="'references' must be left out with mode='sdi'"):
        reduce_spectral(science, references, mode="sdi")
    with pytest.raises(ValueError, match="'references' must be SpectralFrames, got Frames"):
        reduce_spectral(science, references.channel(0), mode="rdi")
    with pytest.raises(ValueError, match="'science' must be SpectralFrames, got ndarray"):
        reduce_spectral(science.data, mode="adi")
    other = SpectralFrames(references.data, wavelengths=science.wavelengths + 0.01)
    with pytest.raises(ValueError, match="'references' must be at the wavelengths of the others"):
        reduce_spectral(science, other, mode="rdi")


def test_exposures_that_are_all_references_or_empty_are_refused(observation):
    with pytest.raises(ValueError, match="'science' must be such that not all exposures are marked"):
        reduce_spectral(observation.frames(is_reference=True), mode="sdi")
    with pytest.warns(MissingDataWarning), pytest.raises(ValueError, match="'science' must be such that it has valid"):
        reduce_spectral(observation.frames(mask=np.ones((41, 41), bool)), mode="adi")


def test_an_option_that_does_not_exist_is_a_type_error(science):
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_compnents'"):
        reduce_spectral(science, mode="adi", n_compnents=3)
