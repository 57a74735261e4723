import numpy as np
import pytest
from helpers import read_only
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import centroid, disc, gaussian

from astronmf.imaging import SpectralFrames
from astronmf.imaging.geometry import rescaled
from astronmf.imaging.spectral_differential import ReferenceChannels, stretched_channels
from astronmf.imaging.wavelengths import fwhm_of_channels
from astronmf.imaging.zones import zones_of

SHAPE, CENTER = (41, 45), (21.5, 20.25)
WAVELENGTHS = read_only([1.0, 1.1, 1.25, 1.5, 1.6])
REGION = np.ones(SHAPE, bool)


def channels(zones=None, **options):
    zones = zones_of(REGION, CENTER) if zones is None else zones
    return ReferenceChannels(WAVELENGTHS, zones, CENTER, **options)


def no_exposure_hidden(n=2):
    return np.zeros((n, *SHAPE), bool)


# Stretching


@pytest.mark.parametrize("factor", [0.7, 0.95, 1.3])
def test_a_stretch_moves_light_away_from_the_centre_in_proportion(factor):
    image = gaussian(SHAPE, CENTER[0] + 8, CENTER[1] - 6, fwhm=4.0)
    expected = gaussian(SHAPE, CENTER[0] + 8 * factor, CENTER[1] - 6 * factor, fwhm=4.0 * factor)
    found, inside = rescaled(image, CENTER, factor), disc(SHAPE, *CENTER, 14)
    np.testing.assert_allclose(found[inside], expected[inside], atol=4e-3)


def test_a_stretch_by_one_changes_no_bit():
    image = np.random.default_rng(1).normal(size=SHAPE)
    image[3, 4] = np.nan
    np.testing.assert_array_equal(rescaled(image, CENTER, 1.0), image)


def test_a_stretch_and_its_reverse_give_back_what_is_smooth():
    image = gaussian(SHAPE, CENTER[0] + 5, CENTER[1] + 3, fwhm=5.0)
    back = rescaled(rescaled(image, CENTER, 1.2), CENTER, 1 / 1.2)
    inside = disc(SHAPE, *CENTER, 12)
    np.testing.assert_allclose(back[inside], image[inside], atol=2e-3)


def test_a_missing_pixel_is_missing_where_it_comes_to_and_nowhere_else():
    image = np.ones(SHAPE)
    image[disc(SHAPE, CENTER[0] + 10, CENTER[1], 2.5)] = np.nan
    missing = np.isnan(rescaled(image, CENTER, 1.3))
    inside = disc(SHAPE, *CENTER, 19)
    assert centroid(missing & inside) == pytest.approx((CENTER[0] + 13, CENTER[1]), abs=0.3)
    assert (missing & inside).sum() == pytest.approx(np.isnan(image).sum() * 1.3**2, rel=0.15)


def test_what_lies_outside_the_frame_is_missing_not_made_up():
    stretched = rescaled(np.ones(SHAPE), CENTER, 0.5)
    assert np.isnan(stretched[[0, -1]]).all()
    assert np.isfinite(stretched[disc(SHAPE, *CENTER, 9)]).all()


# Which channels may serve


def test_without_a_separation_all_other_channels_serve():
    np.testing.assert_array_equal(channels().allowed[:, 0], ~np.eye(5, dtype=bool))


def test_a_channel_serves_where_a_source_has_moved_by_the_separation():
    zones = zones_of(disc(SHAPE, *CENTER, 20.0), CENTER, 5.0)
    fwhm = fwhm_of_channels(3.0, WAVELENGTHS)
    chosen = channels(zones, min_separation=0.5, fwhm=fwhm)
    for i, wavelength in enumerate(WAVELENGTHS):
        for z, radius in enumerate(chosen.radii):
            moved = radius * np.abs(1 - wavelength / WAVELENGTHS)
            np.testing.assert_array_equal(chosen.allowed[i, z], (moved >= 0.5 * fwhm[i]) & (np.arange(5) != i))


@given(st.floats(0, 3), st.floats(0, 3), st.floats(1, 10), st.integers(1, 5))
def test_a_larger_separation_never_adds_a_channel_and_none_serves_itself(one, other, fwhm, most):
    few, many = (
        channels(min_separation=separation, fwhm=np.full(5, fwhm)).allowed
        for separation in (max(one, other), min(one, other))
    )
    assert not (few & ~many).any()
    assert not many[np.arange(5), :, np.arange(5)].any()
    limited = channels(min_separation=min(one, other), fwhm=np.full(5, fwhm), max_channels=most).allowed
    assert not (limited & ~many).any()
    np.testing.assert_array_equal(limited.sum(axis=-1), np.minimum(many.sum(axis=-1), most))


def test_of_the_channels_that_may_serve_the_nearest_do():
    assert np.flatnonzero(channels(max_channels=2).allowed[2, 0]).tolist() == [1, 3]
    far = channels(max_channels=2, min_separation=1.0, fwhm=np.full(5, 2.4))  # at 16.4 pixels: by 0.146
    assert np.flatnonzero(far.allowed[2, 0]).tolist() == [0, 3]


def test_too_few_references_are_told_with_the_channels_and_the_reason():
    chosen = channels(min_separation=1.0, fwhm=np.full(5, 4.0))
    message = (
        r"'min_separation' must be such that every channel keeps 3 references or more, got 1: channel 0 \(1 µm\) keeps "
        r"2: between 1 and 1.25 µm a source at 15.4 moves by less than 4.00 pixels; channel 1 .*; and 1 more; "
        "lower min_separation or n_components, or reduce from a larger radius on"
    )
    with pytest.raises(ValueError, match=message):
        chosen.check(3)
    chosen.check(3, per_channel=2, others=3)


def test_more_components_than_other_channels_are_refused():
    with pytest.raises(ValueError, match="'n_components' must be at most 4, as many references as there are, got 5"):
        channels(min_separation=0.1, fwhm=np.ones(5)).check(5)
    with pytest.raises(ValueError, match="'max_channels' must be such that 3 references are left or more, got 2"):
        channels(max_channels=2).check(3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_separation": 0.5}, "'fwhm' must be given, in pixels, with 'min_separation'"),
        ({"min_separation": -1.0, "fwhm": np.ones(5)}, "'min_separation' must be a number in"),
        ({"max_channels": 0}, "'max_channels' must be an integer of at least 1"),
    ],
)
def test_wrong_numbers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        channels(**options)


# Stretched channels


def exposures(sources=((8.0, -6.0),), *, planet=None, **options):
    """Return two exposures with sources that scale with the wavelength about the centre, and one that does not."""
    data = np.zeros((2, 5, *SHAPE))
    for i, wavelength in enumerate(WAVELENGTHS):
        for x, y in sources:
            data[:, i] += gaussian(SHAPE, CENTER[0] + x * wavelength, CENTER[1] + y * wavelength, fwhm=4 * wavelength)
        if planet is not None:
            data[:, i] += gaussian(SHAPE, *planet, fwhm=4.0)
    data[1] *= 2
    return SpectralFrames(data, wavelengths=WAVELENGTHS, center=CENTER, **options)


def test_speckles_of_all_channels_come_to_lie_on_those_of_the_target():
    science = exposures()
    for target in range(5):
        found = stretched_channels(science, target, np.arange(2), channels(), no_exposure_hidden())
        assert len(found) == 8
        for i, frame in enumerate(found.data):
            known = ~found.mask[i]
            np.testing.assert_allclose(frame[known], science.data[i // 4, target][known], atol=5e-3)


def test_a_source_that_stays_is_moved_away_from_where_the_target_has_it():
    science = exposures(sources=(), planet=(CENTER[0] + 10, CENTER[1]))
    found = stretched_channels(science, 0, np.array([0]), channels(), no_exposure_hidden())
    for frame, wavelength in zip(found.data, WAVELENGTHS[1:], strict=True):
        assert centroid(frame) == pytest.approx((CENTER[0] + 10 / wavelength, CENTER[1]), abs=0.05)


def test_frames_are_named_after_exposure_and_wavelength_and_carry_errors():
    science = exposures(uncertainty=2.0, names=["a", "b"], unit="Jy")
    found = stretched_channels(science, 4, np.array([1]), channels(), no_exposure_hidden())
    assert found.names == ["b, 1 µm", "b, 1.1 µm", "b, 1.25 µm", "b, 1.5 µm"]
    np.testing.assert_allclose(found.sigma[~found.mask], 2.0)
    assert found.unit == "Jy"
    assert found.angles is None


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_precision_is_that_of_the_data(kind):
    science = exposures().replace_data(exposures().data.astype(kind))
    assert stretched_channels(science, 0, np.array([0]), channels(), no_exposure_hidden()).data.dtype == kind


def test_values_that_are_hidden_or_masked_are_missing_where_they_come_to():
    region = disc(SHAPE, CENTER[0] + 10, CENTER[1], 2.5)
    inside = disc(SHAPE, *CENTER, 12)
    hidden = no_exposure_hidden()
    hidden[1] = region
    one = stretched_channels(exposures(), 0, np.array([1]), channels(), hidden)
    other = stretched_channels(exposures(mask=region), 0, np.array([1]), channels(), no_exposure_hidden())
    np.testing.assert_array_equal(one.mask, other.mask)
    for mask, wavelength in zip(one.mask, WAVELENGTHS[1:], strict=True):
        assert centroid(mask & inside) == pytest.approx((CENTER[0] + 10 / wavelength, CENTER[1]), abs=0.4)
    untouched = stretched_channels(exposures(), 0, np.array([0]), channels(), hidden)
    assert not (untouched.mask & inside).any()


def test_values_that_are_masked_change_no_bit():
    region = disc(SHAPE, CENTER[0] + 10, CENTER[1], 2.5)
    found = []
    for value in (0.0, 1e30):
        data = np.where(region, value, exposures().data)
        science = SpectralFrames(data, mask=region, wavelengths=WAVELENGTHS, center=CENTER)
        found.append(stretched_channels(science, 1, np.arange(2), channels(), no_exposure_hidden()).data)
    np.testing.assert_array_equal(*found)


def test_a_channel_takes_part_in_those_zones_only_in_which_it_may():
    zones = zones_of(disc(SHAPE, *CENTER, 18), CENTER, 9.0)
    chosen = channels(zones, min_separation=1.0, fwhm=np.full(5, 2.5))
    found = stretched_channels(exposures(), 4, np.array([0]), chosen, no_exposure_hidden())
    numbers = np.flatnonzero(chosen.allowed[4].any(axis=0))
    assert 0 < chosen.allowed[4, 0].sum() < len(numbers)
    for mask, number in zip(found.mask, numbers, strict=True):
        for z in range(2):
            assert mask[zones == z].all() == (not chosen.allowed[4, z, number])


def test_exposures_come_back_untouched():
    science = exposures()
    before = np.array(science.data)
    stretched_channels(science, 2, np.arange(2), channels(), np.ones((2, *SHAPE), bool))
    np.testing.assert_array_equal(science.data, before)
