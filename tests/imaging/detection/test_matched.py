"""The matched filter is unbiased, and as uncertain as it says."""

import astropy.units as u
import numpy as np
import pytest
from detection_helpers import FWHM, HOW, POINT, SIZE, observed, reduced, with_companions
from imaging_helpers import disc
from scipy import stats

from astronmf.imaging import PSF, build_components, reduce
from astronmf.imaging.detection.fitting import Fitter
from astronmf.imaging.detection.matched import MatchedFilter, PointMap, filtered, matched_filter
from astronmf.imaging.detection.point_response import PointResponse
from astronmf.imaging.geometry import radius, sky_position

DISTANCE = radius((SIZE, SIZE), (16, 16))
WHOLE = (DISTANCE > 4) & (DISTANCE < 13)  # all of a source is seen
TRIALS = 12


@pytest.fixture(scope="module")
def basis():
    """Return components of so many references that their own noise adds little."""
    return build_components(observed(n_references=100).reference_frames(), 3, inner_radius=2, outer_radius=15)


@pytest.fixture(scope="module")
def of_noise(basis):
    """Return matched filters of a star and white noise, one after the other."""
    found = []
    for seed in range(TRIALS):
        frames = observed(seed=seed).science_frames()
        reduction = reduce(frames, components=basis, inner_radius=2, outer_radius=15, scale="none")
        found.append(matched_filter(reduction, POINT))
    return found


def test_in_white_noise_the_flux_scatters_as_the_information_says(of_noise):
    normal = np.array([(one.flux * np.sqrt(one.information))[WHOLE] for one in of_noise])
    elements = TRIALS * WHOLE.sum() / (np.pi * FWHM**2 / 4)
    assert np.std(normal) == pytest.approx(1, abs=3 / np.sqrt(2 * elements))
    assert abs(normal.mean()) < 4 / np.sqrt(elements)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_noise_is_as_significant_as_a_gaussian(of_noise, sigma):
    significance = np.array([one.significance[WHOLE] for one in of_noise])
    expected, elements = 2 * stats.norm.sf(sigma), TRIALS * WHOLE.sum() / (np.pi * FWHM**2 / 4)
    found = (np.abs(significance) > sigma).mean()
    assert abs(found - expected) < 4 * np.sqrt(expected / elements)


def test_noise_beyond_four_sigma_is_as_rare_as_it_should_be(of_noise):
    above = sum(bool((one.significance[WHOLE] > 4).any()) for one in of_noise)
    assert above <= 1  # 0.04 are expected


@pytest.mark.parametrize("mode", ["rdi", "adi", "ardi"])
@pytest.mark.parametrize("position_angle", [20.0, 145.0, 260.0])
def test_the_map_has_a_source_s_flux_where_it_is(mode, position_angle):
    x, y = np.rint(sky_position((SIZE, SIZE), 9.0, position_angle)).astype(int)
    where = np.hypot(x - 16, y - 16), np.rad2deg(np.arctan2(16 - x, y - 16))  # on a pixel
    found, without = (matched_filter(reduced(mode, *source), POINT) for source in ([(*where, 60.0)], []))
    error = found.information[y, x] ** -0.5
    assert np.isfinite(error)
    difference = found.flux[y, x] - without.flux[y, x]
    assert difference == pytest.approx(60, abs=3 if mode == "rdi" else 6)  # the components have moved a little
    assert abs(found.flux[y, x] - 60) < 4 * error + 4
    near = np.where(radius((SIZE, SIZE), (x, y)) <= FWHM, found.snr, -np.inf)
    peak = np.unravel_index(np.argmax(near), near.shape)
    assert np.hypot(peak[1] - x, peak[0] - y) <= 1


def test_a_factor_in_the_psf_changes_nothing():
    reduction = reduced("rdi", (9.0, 40.0, 60.0))
    one, other = (matched_filter(reduction, psf) for psf in (POINT, POINT.scaled(1e6)))
    np.testing.assert_allclose(one.flux, other.flux, rtol=1e-9)
    np.testing.assert_allclose(one.information, other.information, rtol=1e-9)


def test_what_a_psf_is_made_from_is_taken_too():
    reduction = reduced("rdi")
    one, other = matched_filter(reduction, POINT), matched_filter(reduction, POINT.data * u.MJy)
    np.testing.assert_allclose(one.flux, other.flux, rtol=0.02, atol=0.1)


def test_errors_twice_as_large_have_a_quarter_of_the_information(basis):
    observation = observed()
    found = []
    for factor in (1, 2):
        frames = observation.science_frames(uncertainty=factor * observation.science_sigma)
        reduction = reduce(frames, components=basis, inner_radius=2, outer_radius=15, scale="none")
        found.append(matched_filter(reduction, POINT))
    np.testing.assert_allclose(found[0].flux, found[1].flux, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found[0].information, 4 * found[1].information, rtol=1e-6)


def test_float32_frames_have_the_same_filter(basis):
    observation = observed()
    both = [
        observation.science_frames(data=observation.science.astype(kind), uncertainty=None)
        for kind in (np.float32, np.float64)
    ]
    one, other = (
        matched_filter(reduce(frames, components=basis, inner_radius=2, outer_radius=15, scale="none"), POINT)
        for frames in both
    )
    np.testing.assert_allclose(one.flux, other.flux, atol=1e-2)


def test_without_the_source_s_trace_nothing_is_left_of_it():
    reduction, without = reduced("rdi", (9.0, 40.0, 60.0)), reduced("rdi")
    fitter = Fitter(reduction, POINT.normalized)
    cleaned = reduction.residuals - 60 * reduction.remaining(fitter.source(*sky_position((SIZE, SIZE), 9.0, 40.0)))
    found = matched_filter(reduction, POINT, residuals=cleaned)
    np.testing.assert_allclose(found.flux, matched_filter(without, POINT).flux, atol=0.05)


def test_a_companion_s_own_ring_is_not_judged_by_it():
    reduction = reduced("rdi", (9.0, 40.0, 60.0), (9.0, 160.0, 60.0))
    found = matched_filter(reduction, POINT)
    x, y = np.rint(sky_position((SIZE, SIZE), 9.0, 40.0)).astype(int)
    others = disc((SIZE, SIZE), *sky_position((SIZE, SIZE), 9.0, 160.0), FWHM)
    noise = matched_filter(reduced("rdi"), POINT)
    assert found.snr[y, x] < 5
    assert found.statistics(exclude=others).snr[y, x] > 9
    assert found.statistics(tests=noise).snr[y, x] > 9


def test_statistics_of_a_part_are_those_of_the_whole():
    found = matched_filter(reduced("rdi"), POINT)
    part = disc((SIZE, SIZE), 20, 12, 3)
    one, other = found.statistics(region=part), found.statistics()
    for name in ("mean", "scatter", "snr"):
        np.testing.assert_array_equal(getattr(one, name), np.where(part, getattr(other, name), np.nan))
    np.testing.assert_array_equal(one.n_test, np.where(part, other.n_test, 0))


def test_places_of_which_less_than_half_is_seen_are_blank():
    found = matched_filter(reduced("rdi"), POINT)
    assert np.isfinite(found.flux[(DISTANCE > 3) & (DISTANCE < 14)]).all()
    assert np.isnan(found.flux[(DISTANCE < 1) | (DISTANCE > 16)]).all()
    np.testing.assert_array_equal(np.isfinite(found.flux), np.isfinite(found.information))
    assert (found.information[np.isfinite(found.flux)] > 0).all()


def test_a_place_without_a_valid_pixel_is_blank(basis):
    observation = observed()
    mask = np.broadcast_to(disc((SIZE, SIZE), 23, 16, 3.5), observation.science.shape)
    frames = observation.science_frames(angles=np.zeros(8), mask=mask)
    reduction = reduce(frames, components=basis, inner_radius=2, outer_radius=15, scale="none")
    found = matched_filter(reduction, POINT)
    assert np.isnan(found.flux[16, 22:25]).all()
    assert np.isnan(found.snr[16, 23])
    assert np.isfinite(found.flux[16, 10])


def test_a_frame_with_nothing_in_it_changes_nothing(basis):
    observation = observed()
    mask = np.zeros(observation.science.shape, bool)
    mask[3] = True
    others = [0, 1, 2, 4, 5, 6, 7]
    one, other = observation.science_frames(mask=mask), observation.science_frames()[others]
    with pytest.warns(match="1 science frames have no pixel to fit"):
        empty = reduce(one, components=basis, inner_radius=2, outer_radius=15, scale="none")
    less = reduce(other, components=basis, inner_radius=2, outer_radius=15, scale="none")
    found, expected = matched_filter(empty, POINT), matched_filter(less, POINT)
    there = WHOLE & np.isfinite(found.flux)
    assert there.sum() > 0.9 * WHOLE.sum()
    np.testing.assert_allclose(found.flux[there], expected.flux[there], atol=1e-6)


def test_residuals_of_another_shape_are_an_error():
    reduction = reduced("rdi")
    with pytest.raises(ValueError, match=r"'residuals' must be of shape \(8, 33, 33\), got \(33, 33\)"):
        matched_filter(reduction, POINT, residuals=reduction.combined)


def test_inputs_are_not_changed():
    reduction = reduced("adi", (9.0, 40.0, 60.0))
    residuals = reduction.residuals.copy()
    response = PointResponse.of(reduction, POINT)
    filtered(response, residuals)
    np.testing.assert_array_equal(residuals, reduction.residuals)


def test_between_pixels_a_map_is_bilinear_and_missing_where_a_neighbour_is():
    image = np.arange(12.0).reshape(3, 4)
    image[2, 3] = np.nan
    points = PointMap(image)
    np.testing.assert_allclose(points.at([0.5, 1.0], [0.0, 0.5]), [0.5, 3.0])
    np.testing.assert_array_equal(np.isnan(points.at([3.0, 2.0, 2.5, 2.0], [2.0, 2.0, 1.5, 1.9])), [1, 0, 1, 0])
    assert np.isnan(points.at(3.5, 0.0))


def test_the_star_is_at_the_centre_pixel_of_an_uneven_map():
    blank = np.zeros((5, 8))
    assert MatchedFilter(blank, blank, 3.0).center == (4, 2)


def test_smearing_spreads_a_source_along_its_track():
    reduction = reduced("rdi")
    sharp, smeared = matched_filter(reduction, POINT), matched_filter(reduction, POINT, smearing=20.0)
    at = (DISTANCE > 11) & (DISTANCE < 12)
    assert np.median(smeared.information[at] / sharp.information[at]) < 0.8
    with_angles = matched_filter(reduction, POINT, smearing="angles")
    np.testing.assert_allclose(with_angles.flux, matched_filter(reduction, POINT, smearing=10.0).flux, rtol=1e-6)


def test_any_psf_will_do_that_has_a_width():
    reduction = reduced("rdi")
    broad = PSF(POINT.data, 4.0)
    assert matched_filter(reduction, broad).fwhm == 4.0


def test_the_reduction_may_hold_many_companions():
    frames = with_companions(observed().science_frames(), (7.0, 10.0, 80.0), (12.0, 200.0, 80.0))
    reduction = reduce(frames, observed().reference_frames(), **HOW)
    found = matched_filter(reduction, POINT)
    for separation, angle in ((7.0, 10.0), (12.0, 200.0)):
        x, y = np.rint(sky_position((SIZE, SIZE), separation, angle)).astype(int)
        assert found.significance[y, x] > 4.5


def test_an_average_over_numbers_of_components_is_that_of_their_maps():
    reduction = reduced("adi")
    found = matched_filter(reduction, POINT, n_components=(2, 3))
    each = [matched_filter(reduction.at(k), POINT) for k in (2, 3)]
    for name in ("flux", "information"):
        np.testing.assert_array_equal(getattr(found, name), sum(getattr(one, name) for one in each) / 2)
    one = matched_filter(reduction, POINT, n_components=[3])
    np.testing.assert_array_equal(one.flux, matched_filter(reduction, POINT).flux)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": ()}, "'n_components' must be at least one number, got none"),
        ({"n_components": (2,), "residuals": np.zeros(1)}, "'residuals' must be left out with 'n_components'"),
        ({"n_components": (9,)}, r"'n_components' must be an integer in \[1, 3\], got 9"),
    ],
    ids=["none", "residuals", "more than were built"],
)
def test_an_average_of_nothing_or_of_what_is_not_there_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        matched_filter(reduced("adi"), POINT, **options)
