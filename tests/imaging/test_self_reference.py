import numpy as np
import pytest
from astropy.io import fits
from helpers import read_only
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imaging_helpers import disc, observe, place
from rotation_helpers import (
    ANNULUS,
    CENTER,
    FWHM,
    PLANET,
    POINT,
    SHAPE,
    around_planet,
    exact,
    flux_in,
    planet_in,
    sequence,
)
from scipy import ndimage

from astronmf import NMF, SequentialNMF
from astronmf.imaging import PSF, Frames, inject, reduce
from astronmf.imaging.modelling import Observer, as_source
from astronmf.imaging.rotation import allowed_references
from astronmf.imaging.self_reference import SelfReference, component_change, frame_weights, hat_matrix

TURNING = sequence()
QUICK = SequentialNMF(3, tol=1e-4)
OWN = {"mode": "adi", "min_rotation": 0.5, "fwhm": FWHM, "estimator": QUICK, **ANNULUS}
SKY_PLANET = read_only(inject(Frames(np.zeros(SHAPE)), POINT, **PLANET, flux=1.0).data[0])


def references(n=8):
    return observe(n_references=n).reference_frames(unit=None, pixel_scale=None)


# The hat matrix


@st.composite
def factors(draw):
    """Draw rows c_i, a library C, and weights of which at least k are above 0."""
    k, n, m = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(4, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    weights = draw(arrays(np.float64, m, elements=st.floats(0.1, 4)))
    weights[: m - k] *= rng.random(m - k) < 0.7
    return rng.gamma(2.0, 1.0, (n, k)), rng.gamma(2.0, 1.0, (m, k)), weights


def looped_hat(rows, library, weights):
    """Return ``c_i (Cᵀ A C)⁻¹ Cᵀ A``, one sum at a time."""
    (n, k), m = rows.shape, len(library)
    gram = np.zeros((k, k))
    for j in range(m):
        for a in range(k):
            for b in range(k):
                gram[a, b] += weights[j] * library[j, a] * library[j, b]
    inverse, out = np.linalg.inv(gram), np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            for a in range(k):
                for b in range(k):
                    out[i, j] += rows[i, a] * inverse[a, b] * library[j, b] * weights[j]
    return out


@given(factors())
def test_the_hat_matrix_is_its_formula(case):
    np.testing.assert_allclose(hat_matrix(*case), looped_hat(*case), rtol=1e-6, atol=1e-6)


@given(factors())
def test_a_source_that_is_a_component_is_followed_whole(case):
    rows, library, weights = case
    np.testing.assert_allclose(hat_matrix(rows, library, weights) @ library, rows, rtol=1e-6, atol=1e-6)


@given(factors(), st.floats(1e-3, 1e3))
def test_only_ratios_of_weights_matter(case, factor):
    rows, library, weights = case
    np.testing.assert_allclose(
        hat_matrix(rows, library, factor * weights), hat_matrix(rows, library, weights), rtol=1e-6, atol=1e-6
    )


@given(factors())
def test_frames_of_no_weight_are_not_followed(case):
    rows, library, weights = case
    spoilt = np.where(weights[:, None] > 0, library, 1e6)
    found = hat_matrix(rows, spoilt, weights)
    assert (found[:, weights == 0] == 0).all()
    np.testing.assert_array_equal(found, hat_matrix(rows, np.where(weights[:, None] > 0, library, np.nan), weights))


def test_components_that_are_the_same_share_a_source():
    library = np.repeat(np.array([[1.0], [2.0], [3.0]]), 2, axis=1)
    np.testing.assert_allclose(
        hat_matrix(library, library, np.ones(3)), library[:, :1] @ library[:, :1].T / 14, atol=1e-12
    )


def test_the_weight_of_a_frame_is_the_mean_over_its_valid_pixels():
    weights = np.array([[1.0, 3.0, np.inf], [8.0, 8.0, 8.0], [np.nan, np.nan, np.inf]])
    mask = np.array([[False, False, True], [False, False, False], [True, True, True]])
    np.testing.assert_allclose(frame_weights(weights, mask), [0.25, 1.0, 0.0])
    np.testing.assert_array_equal(frame_weights(None, mask), [1.0, 1.0, 0.0])


# Every pixel with its own weights


@given(factors(), st.integers(1, 5))
def test_components_move_as_each_pixel_s_normal_equations_say(case, p):
    _, library, weights = case
    n, k = len(library) - 1, library.shape[1]
    rng = np.random.default_rng(p)
    A, sources = rng.uniform(0.2, 2, (n, p)), rng.normal(size=(n, p))
    found = component_change(library, A, sources, weights[n:])
    for pixel in range(p):
        gram = sum(A[j, pixel] * np.outer(library[j], library[j]) for j in range(n))
        gram = gram + weights[n] * np.outer(library[n], library[n])
        right = sum(A[j, pixel] * sources[j, pixel] * library[j] for j in range(n))
        np.testing.assert_allclose(gram @ found[:, pixel], right, atol=1e-6 * np.abs(right).max())
    assert found.shape == (k, p)


def test_pixels_that_too_few_frames_see_are_solved_too():
    library = np.random.default_rng(1).gamma(2.0, 1.0, (6, 3))
    weights = np.zeros((6, 4))
    weights[2, 1] = weights[:2, 2] = weights[:, 3] = 1
    change = component_change(library, weights, np.ones((6, 4)), np.zeros(0))
    assert np.isfinite(change).all()
    assert (change[:, 0] == 0).all()
    np.testing.assert_allclose(library[2] @ change[:, 1], 1, rtol=1e-6)  # all of it, where no other frame objects
    np.testing.assert_allclose(library[:2] @ change[:, 2], 1, rtol=1e-4)


def test_one_weight_for_a_frame_is_the_hat_matrix():
    frame = np.random.default_rng(2).uniform(0.5, 3, 16)
    sigma = np.broadcast_to(frame[:, None, None], TURNING.data.shape)
    result = reduce(TURNING.frames(uncertainty=sigma), mode="adi", n_components=3, estimator=QUICK, **ANNULUS)
    found, zones, source = result.self_reference, result.choice.zone_numbers, planet_in(result.science)
    slightly = result.weights.copy()
    slightly[0, 16, 25] *= 1 + 1e-12  # so that pixels are solved one by one
    carried = [found.carried(source, weights, zones) for weights in (result.weights, slightly)]
    np.testing.assert_allclose(carried[1], carried[0], atol=1e-9 * np.abs(carried[0]).max())


@pytest.mark.parametrize("parts", [{}, {"annulus_width": 6}], ids=str)
@pytest.mark.parametrize("mode", ["shared", "own", "ardi"])
def test_the_transpose_is_the_transpose(mode, parts):
    options = {"n_components": 2, "estimator": QUICK, **ANNULUS} | parts
    if mode == "ardi":
        result = reduce(TURNING.frames(), references(), mode="ardi", **options)
    else:
        result = reduce(TURNING.frames(), **(OWN if mode == "own" else {"mode": "adi"}) | options)
    rng, zones, found = np.random.default_rng(4), result.choice.zone_numbers, result.self_reference
    one, other = rng.normal(size=(2, *result.science.shape)) * result.choice.region
    forth = np.sum(other * found.carried(one, result.weights, zones))
    assert np.sum(one * found.transposed(other, result.weights, zones)) == pytest.approx(forth, rel=1e-9)


def test_hats_are_those_of_the_coefficients():
    result = reduce(TURNING.frames(), mode="adi", n_components=3, estimator=QUICK, annulus_width=6, **ANNULUS)
    hats = result.self_reference.hats
    assert hats.shape == (2, 16, 16)
    for zone, hat in enumerate(hats):
        columns = slice(3 * zone, 3 * zone + 3)
        rows, library = result.coefficients[:, columns], result.components.coefficients[:, columns]
        np.testing.assert_allclose(hat, looped_hat(rows, library, np.ones(16)), atol=1e-9)
        np.testing.assert_allclose(np.trace(hat), 3, atol=0.05)  # as many frames' worth of source as components


def test_with_other_stars_the_hats_are_of_the_science_frames_only_and_smaller():
    options = {"n_components": 3, "estimator": QUICK, **ANNULUS}
    alone = reduce(TURNING.frames(), mode="adi", **options).self_reference
    result = reduce(TURNING.frames(), references(12), mode="ardi", **options)
    together = result.self_reference
    assert together.hats.shape == alone.hats.shape == (1, 16, 16)
    assert together.other_weights.shape == (1, 12)
    np.testing.assert_allclose(
        together.other_weights[0], (references(12).sigma[:, result.choice.region] ** -2.0).mean(1)
    )
    assert np.trace(together.hats[0]) < 0.8 * np.trace(alone.hats[0])


# What remains of a source


def agreement(frames, *others, flux=1.0, **options):
    """Return how the difference with and without a planet, (n, y, x), differs from its forward model.

    Its root sum of squares relative to the model's, and its amplitude and the combined image's light around the planet
    in units of the model's.
    """
    options = {"mode": "adi", "n_components": 3, "estimator": exact(tol=1e-9), **ANNULUS} | options
    without = reduce(frames, *others, **options)
    planet = reduce(inject(frames, POINT, **PLANET, flux=flux), *others, **options)
    model = without.remaining(planet_in(frames))
    known = np.isfinite(model)
    difference, model = ((planet.residuals - without.residuals) / flux)[known], model[known]
    light = flux_in(planet.combined - without.combined) / flux / flux_in(without.forward(SKY_PLANET))
    error = np.sqrt(np.sum((difference - model) ** 2) / np.sum(model**2))
    return error, np.sum(difference * model) / np.sum(model**2), light


@pytest.mark.parametrize("noise", [1.0, 0.3, 0.1])
def test_a_faint_source_leaves_what_is_predicted_but_for_a_share_that_falls_with_the_noise(noise):
    error, amplitude, light = agreement(sequence(noise=noise).frames())
    assert error < 0.012 * noise
    assert amplitude == pytest.approx(1, abs=2e-5)
    assert light == pytest.approx(1, abs=5e-4)


def test_the_usual_tolerance_is_near_enough_to_the_end():
    error, amplitude, light = agreement(TURNING.frames(), estimator=SequentialNMF(3, tol=1e-5))
    assert error < 0.012
    assert amplitude == pytest.approx(1, abs=2e-5)
    assert light == pytest.approx(1, abs=5e-4)


@pytest.mark.parametrize(("flux", "error"), [(10, 0.012), (100, 0.03), (300, 0.07)])
def test_the_brighter_the_source_the_less_it_is_first_order(flux, error):
    # 300 is 30 times the noise of a pixel at the peak
    found = agreement(TURNING.frames(), flux=flux)
    assert found[0] < error
    assert found[1] == pytest.approx(1, abs=2e-3)
    assert found[2] == pytest.approx(1, abs=0.02)


LIKE_ALL = {
    "zones": {"annulus_width": 4},
    "segments": {"annulus_width": 4, "n_segments": 3},
    "median": {"combine": "median"},
    "given factor": {"scale": 0.95},
}


@pytest.mark.parametrize("options", LIKE_ALL.values(), ids=LIKE_ALL)
def test_it_is_so_in_zones_and_however_frames_are_combined(options):
    error, amplitude, light = agreement(TURNING.frames(), **options)
    assert error < 0.03
    assert amplitude == pytest.approx(1, abs=1e-4)
    assert light == pytest.approx(1, abs=2e-3)


@pytest.mark.filterwarnings("ignore:the scale factor:astronmf.exceptions.ScaleFactorWarning")  # its range is narrow
def test_searched_factors_are_taken_as_they_were_found():
    error, amplitude, light = agreement(TURNING.frames(), scale="bff-ren2018", flux=30.0)
    assert error < 0.07
    assert amplitude == pytest.approx(1, abs=2e-3)
    assert light == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("share", "near"), [(0.01, 0.003), (0.1, 0.01)])
def test_missing_values_are_allowed_for(share, near):
    frames = TURNING.frames(mask=np.random.default_rng(0).random(TURNING.data.shape) < share)
    error, amplitude, light = agreement(frames)
    assert error < 0.07
    assert amplitude == pytest.approx(1, abs=near)
    assert light == pytest.approx(1, abs=near)


def test_uneven_errors_are_allowed_for():
    error, amplitude, light = agreement(sequence(uneven=0.3).frames(), combine="weighted")
    assert error < 0.06
    assert amplitude == pytest.approx(1, abs=0.005)
    assert light == pytest.approx(1, abs=0.01)


def test_frames_of_different_quality_are_allowed_for():
    sigma = np.random.default_rng(1).uniform(0.3, 3.0, (16, 1, 1))
    noise = np.random.default_rng(2).standard_normal(TURNING.data.shape)
    error, amplitude, _ = agreement(TURNING.frames(data=TURNING.star + sigma * noise, uncertainty=sigma + 0 * noise))
    assert error < 0.05
    assert amplitude == pytest.approx(1, abs=1e-3)


def test_another_source_declared_missing_on_the_way_is_allowed_for():
    beside = disc(SHAPE, *place(CENTER, 9.0, 110.0), 4)
    _, amplitude, light = agreement(TURNING.frames(), imputation_mask=beside)
    assert amplitude == pytest.approx(1, abs=0.04)
    assert light == pytest.approx(1, abs=0.05)


def test_with_other_stars_it_is_so_too():
    error, amplitude, light = agreement(TURNING.frames(), references(), mode="ardi")
    assert error < 0.05
    assert amplitude == pytest.approx(1, abs=0.005)
    assert light == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("min_rotation", [0.5, 1.0])
def test_with_references_of_their_own_frames_keep_more_and_it_is_predicted(min_rotation):
    own = {"min_rotation": min_rotation, "fwhm": FWHM}
    _, amplitude, light = agreement(TURNING.frames(), flux=10.0, **own)
    assert amplitude == pytest.approx(1, abs=0.02)
    assert light == pytest.approx(1, abs=0.05)
    options = {"mode": "adi", "n_components": 3, "estimator": QUICK, **ANNULUS}
    kept = [flux_in(reduce(TURNING.frames(), **options, **more).forward(SKY_PLANET)) for more in ({}, own)]
    assert kept[1] > 1.5 * kept[0]


@pytest.mark.parametrize("options", [{}, {"annulus_width": 6}, {"min_rotation": 0.5, "fwhm": FWHM}], ids=str)
def test_a_source_moves_the_weights_that_come_from_the_scatter_of_the_residuals(options):
    options = (
        {"mode": "adi", "n_components": 3, "estimator": exact(tol=1e-8), "combine": "weighted"} | ANNULUS | options
    )
    frames, planet = TURNING.frames(uncertainty=None), TURNING.with_planet(100.0, uncertainty=None)
    before, after = reduce(frames, **options), reduce(planet, **options)
    found = flux_in(after.combined - before.combined)
    assert found == pytest.approx(flux_in(after.forward(100.0 * SKY_PLANET)), rel=0.05)


def test_with_other_stars_they_are_weighted_again_too():
    options = {"scale": "none", "combine": "weighted", "n_components": 3, "estimator": QUICK, **ANNULUS}
    others = Frames(references().data)
    frames = TURNING.frames(uncertainty=None)
    source = as_source("image", 100.0 * SKY_PLANET).frames(Observer(frames.geometry, frames.shape))
    before, after = (reduce(frames.replace_data(frames.data + share * source), others, **options) for share in (0, 1))
    np.testing.assert_allclose(after.forward(100.0 * SKY_PLANET), after.combined - before.combined, atol=1e-8)


def test_a_source_outside_all_but_missing_values_is_left_whole():
    result = reduce(
        TURNING.frames(), mode="adi", n_components=3, imputation_mask=around_planet(6), estimator=QUICK, **ANNULUS
    )
    source = planet_in(result.science) * result.choice.imputed
    remaining, used = result.remaining(source), result.choice.region
    np.testing.assert_array_equal(remaining[:, used], source[:, used])


def test_what_remains_is_linear_in_the_source():
    result = reduce(TURNING.frames(mask=TURNING.data < 3), **OWN, n_components=3)
    one, other = np.random.default_rng(3).normal(size=(2, *result.science.shape))
    found = result.remaining(2 * one - other)
    np.testing.assert_allclose(found, 2 * result.remaining(one) - result.remaining(other), atol=1e-9)


# References of each frame


@pytest.fixture(scope="module")
def own_reduction():
    return reduce(TURNING.frames(), n_components=3, **OWN)


def basis_of(reduction, i):
    """Return what a frame is modelled with: components and the coefficients of its references."""
    own = reduction.self_reference.own
    return own.data[own.group[i]], own.coefficients[own.group[i]]


@pytest.mark.parametrize("frame", [0, 7, 15])
@pytest.mark.parametrize("spoil", ["planet", 0.0, -50.0, 1e30, "mask"])
@pytest.mark.filterwarnings("ignore:.* science frames have no pixel to fit:astronmf.exceptions.MissingDataWarning")
def test_what_is_in_a_frame_does_not_change_its_components(own_reduction, frame, spoil):
    data, mask = TURNING.data.copy(), np.zeros(TURNING.data.shape, bool)
    if spoil == "planet":
        data[frame] += 300 * planet_in(TURNING.frames())[frame]
    elif spoil == "mask":
        data[frame], mask[frame] = np.nan, True
    else:
        data[frame] = spoil
    after = reduce(TURNING.frames(data=data, mask=mask), n_components=3, **OWN)
    for found, expected in zip(basis_of(after, frame), basis_of(own_reduction, frame), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("frame", [0, 7, 15])
def test_a_planet_in_the_frames_too_near_to_it_hardly_moves_a_frame_s_model(own_reduction, frame):
    near = ~allowed_references(TURNING.frames(), 9.0, 0.5, FWHM, 3)[frame]
    assert 2 <= near.sum() < 8
    near[frame] = False
    data = TURNING.data.copy()
    data[near] += 300 * planet_in(TURNING.frames())[near]
    after = reduce(TURNING.frames(data=data), n_components=3, **OWN)
    moved = (after.models[frame] - own_reduction.models[frame]) / TURNING.sigma[frame]
    assert np.nanstd(moved) < 0.3  # only through the start of the build, at a neighbour that may have seen them


def test_references_change_the_components(own_reduction):
    allowed = allowed_references(TURNING.frames(), 9.0, 0.5, FWHM, 3)[7]
    data = TURNING.data.copy()
    data[np.flatnonzero(allowed)[0]] *= 1.01
    after = reduce(TURNING.frames(data=data), n_components=3, **OWN)
    assert not np.array_equal(basis_of(after, 7)[0], basis_of(own_reduction, 7)[0])


def test_coefficients_and_hats_are_0_for_all_but_the_references(own_reduction):
    allowed = allowed_references(TURNING.frames(), 9.0, 0.5, FWHM, 3)
    found = own_reduction.self_reference
    for i in range(16):
        assert (basis_of(own_reduction, i)[1][~allowed[i]] == 0).all()
        assert (basis_of(own_reduction, i)[1][allowed[i]].sum(axis=1) > 0).all()
    assert (np.abs(found.hats[0][~allowed]) < 1e-12).all()
    assert (np.abs(found.hats[0][allowed]) > 0).mean() > 0.9


def test_components_are_those_of_the_references_alone(own_reduction):
    region = own_reduction.choice.region
    allowed = allowed_references(TURNING.frames(), 9.0, 0.5, FWHM, 3)
    for i in (0, 9):  # the first starts from nothing, the other from a neighbour
        data, weights = TURNING.data[allowed[i]][:, region], TURNING.sigma[allowed[i]][:, region] ** -2.0
        fit = NMF(3, tol=1e-4).fit(data, weights)
        components, coefficients = basis_of(own_reduction, i)
        model = coefficients[allowed[i]] @ components
        assert np.sum(weights * (data - model) ** 2) <= fit.chi2_ * (1 + 1e-3)
        if i == 0:
            np.testing.assert_array_equal(coefficients[allowed[i]], fit.coefficients_)


def test_frames_that_share_their_references_share_their_components():
    pairs = np.repeat(np.linspace(0, 120, 8), 2)
    result = reduce(TURNING.frames(angles=pairs), n_components=3, **OWN)
    group = result.self_reference.own.group
    np.testing.assert_array_equal(group[::2], group[1::2])
    assert len(np.unique(group)) == len(result.self_reference.own.data) == 8


def test_the_model_is_what_each_frame_s_own_components_say(own_reduction):
    region = own_reduction.choice.region
    for i in (0, 5, 15):
        expected = own_reduction.coefficients[i] @ basis_of(own_reduction, i)[0]
        np.testing.assert_allclose(own_reduction.models[i][region], expected, rtol=1e-12)


def test_single_precision_frames_have_components_in_single_precision(own_reduction):
    single = TURNING.frames(data=TURNING.data.astype("f4"), uncertainty=TURNING.sigma.astype("f4"))
    result = reduce(single, n_components=3, **OWN)
    assert result.self_reference.own.data.dtype == np.float32
    assert own_reduction.self_reference.own.data.dtype == np.float64
    inner = slice(3, None)  # of frame 0 and its neighbours at the edge, coefficients depend on the last digits
    np.testing.assert_allclose(
        result.residuals[inner][:, result.choice.region].std(),
        own_reduction.residuals[inner][:, result.choice.region].std(),
        rtol=0.02,
    )


def test_references_of_other_stars_may_model_every_frame():
    result = reduce(TURNING.frames(), references(), **(OWN | {"mode": "ardi"}), n_components=3)
    own = result.self_reference.own
    assert own.coefficients.shape == (16, 24, 3)
    assert (own.coefficients[:, 16:].sum(axis=2) > 0).all()


def test_a_self_reference_is_frozen(own_reduction):
    assert isinstance(own_reduction.self_reference, SelfReference)
    with pytest.raises(AttributeError):
        own_reduction.self_reference.own = None


# Real data


@pytest.fixture(scope="module")
def beta_pictoris(realdata):
    """Return NACO's frames of beta Pictoris with its planet removed, and their PSF."""
    folder = realdata / "hci_naco_betapic"
    cube = fits.getdata(folder / "naco_betapic_noplanet_cube.fits").astype(np.float64)
    centred = np.stack([ndimage.shift(frame, (50 - 51.05, 50 - 51.2), mode="nearest") for frame in cube])
    angles = fits.getdata(folder / "naco_betapic_noplanet_pa.fits").ravel() - 104.84 + 0.45
    psf = PSF.of(fits.getdata(folder / "naco_betapic_psf.fits").astype(np.float64))
    return Frames(centred, angles=angles, center=(50, 50)), psf


@pytest.mark.parametrize(
    ("combine", "own", "flux"),
    [("weighted", {}, 200.0), ("mean", {"min_rotation": 0.5, "fwhm": 4.6}, 800.0)],
    ids=["shared", "own references"],
)
def test_on_real_speckles_faint_planets_leave_what_is_predicted(beta_pictoris, combine, own, flux):
    frames, psf = beta_pictoris
    frames = frames[:: 3 if own else 2]
    options = {"mode": "adi", "n_components": 4, "inner_radius": 4, "outer_radius": 30, "combine": combine, **own}
    places, fluxes = ([12.0, 18.0, 24.0], [20.0, 140.0, 260.0]), [2 * flux, flux, flux / 2]
    before = reduce(frames, **options)
    after = reduce(inject(frames, psf, *places, fluxes), **options)
    for separation, position_angle, flux in zip(*places, fluxes, strict=True):
        near = disc((101, 101), *place((50, 50), separation, position_angle), 2.3)
        source = inject(Frames(np.zeros((101, 101))), psf, separation, position_angle, flux=flux).data[0]
        found, predicted = (image[near].sum() for image in (after.combined - before.combined, after.forward(source)))
        assert 0.02 * source[near].sum() < predicted < 0.9 * source[near].sum()
        assert found == pytest.approx(predicted, rel=0.05)
