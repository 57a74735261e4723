import warnings
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
import rotation_helpers
from astropy.table import QTable
from imaging_helpers import disc, observe

from astronmf import __version__
from astronmf.exceptions import MissingDataWarning
from astronmf.imaging import PSF, Reduction, inject, reduce
from astronmf.imaging.companions import companion_table
from astronmf.imaging.detection import contrast_curve, snr, threshold
from astronmf.imaging.detection.contrast import between, knots_of
from astronmf.imaging.detection.matched import matched_filter
from astronmf.imaging.detection.search import find_companions
from astronmf.imaging.geometry import radius
from benchmarks.betapic import INNER, OUTER, BetaPic

POINT, THREE = rotation_helpers.POINT, rotation_helpers.THREE
STAR = 1e5
SOME = [6.0, 9.0, 13.5]
METHODS = ("matched", "aperture")


@pytest.fixture(scope="module")
def sequence():
    return rotation_helpers.sequence()


@pytest.fixture(scope="module")
def frames(sequence):
    return sequence.frames(unit="ct", pixel_scale=0.05)


@pytest.fixture(scope="module")
def reduction(frames):
    return reduce(frames, mode="adi", **THREE)


@pytest.fixture(scope="module")
def with_planet(frames):
    """Return the same with a planet at 9 pixels, 150 times as bright as the noise."""
    return reduce(inject(frames, POINT, **rotation_helpers.PLANET, flux=200.0), mode="adi", **THREE)


def curve_of(reduction, **options):
    """Return a contrast curve of few points, quickly, of data that have no companion, unless told otherwise."""
    given = {"star_flux": STAR, "separations": SOME, "n_position_angles": 1, "companions": None}
    return contrast_curve(reduction, POINT, **(given | options))


@pytest.fixture(scope="module")
def curves(reduction):
    return {method: curve_of(reduction, method=method) for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_the_contrast_is_threshold_times_noise_over_throughput_and_star(curves, method):
    found = curves[method]
    n = found["n_test"]
    factor = threshold(5.0, n) * np.sqrt(1 + 1 / n)
    kept = found["noise"].to_value(u.ct) / found["throughput"] / STAR
    np.testing.assert_allclose(found["contrast"], factor * kept)
    np.testing.assert_allclose(found["contrast_gaussian"], 5.0 * kept)
    np.testing.assert_allclose(found["flux_limit"].to_value(u.ct), STAR * found["contrast"])
    assert (found["contrast"] > found["contrast_gaussian"]).all()


def test_the_matched_filter_knows_what_apertures_lose(curves):
    np.testing.assert_allclose(curves["matched"]["throughput"], 1, atol=0.05)
    assert (curves["aperture"]["throughput"] < 0.8).all()
    assert (curves["matched"]["contrast"] < curves["aperture"]["contrast"]).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_companion_at_the_limit_stands_at_the_threshold(reduction, curves, method):
    # Over many position angles: noise moves single ones by one sigma.
    limit = curves[method][1]
    found, quiet = [], matched_filter(reduction, POINT)
    for angle in np.arange(0.0, 360.0, 45.0):
        data = inject(reduction.science, POINT, 9.0, angle, limit["flux_limit"])
        after = reduction.again(data)
        x, y = 16 - 9 * np.sin(np.deg2rad(angle)), 16 + 9 * np.cos(np.deg2rad(angle))
        if method == "matched":
            sigma = matched_filter(after, POINT).statistics(quiet).significance
            found.append(sigma[round(y), round(x)])
        else:
            one, other = (snr(image, x, y, POINT.fwhm) for image in (after.combined, reduction.combined))
            found.append((one.flux - other.background) / other.scatter / threshold(5.0, other.n_test) * 5.0)
    assert np.mean(found) == pytest.approx(5.0, abs=0.8)


def test_the_table_has_units_and_says_how_it_was_made(reduction, curves):
    found = curves["matched"]
    assert found["separation"].unit == u.pix
    np.testing.assert_allclose(found["separation_angle"].to_value(u.mas), 50 * np.array(SOME))
    assert {str(found[name].unit) for name in ("flux_limit", "noise", "injected_flux")} == {"ct"}
    assert found.meta["method"] == "matched"
    assert (found.meta["sigma"], found.meta["student"], found.meta["fwhm"]) == (5.0, True, POINT.fwhm)
    assert (found.meta["star_flux"], found.meta["star_flux_origin"]) == (STAR, "given")
    assert found.meta["version"] == __version__
    assert found.meta["reduction"]["mode"] == "adi"
    assert found.meta["companions"] == []
    apertures = curves["aperture"].meta
    assert apertures["aperture_radius"] == POINT.fwhm / 2
    assert apertures["aperture_correction"] == pytest.approx(POINT.flux / POINT.aperture_flux(POINT.fwhm / 2))


@pytest.mark.parametrize("method", METHODS)
def test_the_table_comes_back_from_a_file(tmp_path, curves, method):
    found = curves[method]
    found.write(tmp_path / "curve.ecsv")
    back = QTable.read(tmp_path / "curve.ecsv")
    assert back.colnames == found.colnames
    assert dict(back.meta) == dict(found.meta)
    for name in found.colnames:
        np.testing.assert_array_equal(back[name], found[name])


def test_without_a_unit_and_a_pixel_scale_there_are_plain_numbers(sequence):
    plain = curve_of(reduce(sequence.frames(), mode="adi", **THREE), separations=[9.0])
    assert "separation_angle" not in plain.colnames
    assert getattr(plain["flux_limit"], "unit", None) is None
    again = curve_of(reduce(sequence.frames(), mode="adi", **THREE), separations=[9.0], flux=plain["flux_limit"])
    np.testing.assert_allclose(again["contrast"], plain["contrast"], rtol=0.05)


def test_by_default_all_separations_with_noise_have_a_limit(reduction):
    found = contrast_curve(reduction, POINT, star_flux=STAR, n_position_angles=1, companions=None)
    distance = found["separation"].value
    np.testing.assert_allclose(np.diff(distance), 1)
    assert distance[0] == pytest.approx(3, abs=2)
    assert 13 <= distance[-1] <= 15
    assert np.isfinite(found["contrast"]).all()


def test_the_throughput_has_an_error_where_there_are_two_position_angles(reduction, curves):
    assert np.isnan(curves["aperture"]["throughput_error"]).all()
    found = curve_of(reduction, method="aperture", n_position_angles=2, separations=[9.0])
    assert 0 < found["throughput_error"][0] < 0.1


def test_separations_may_be_angles(reduction, curves):
    found = curve_of(reduction, separations=0.05 * np.array(SOME) * u.arcsec)
    np.testing.assert_allclose(found["contrast"], curves["matched"]["contrast"])


def test_without_the_correction_for_small_samples_both_columns_are_the_same(reduction):
    found = curve_of(reduction, student=False)
    np.testing.assert_array_equal(found["contrast"], found["contrast_gaussian"])


def test_the_limit_is_where_it_is_asked_for(reduction, curves):
    three = curve_of(reduction, sigma=3.0)
    np.testing.assert_allclose(three["contrast_gaussian"], 0.6 * curves["matched"]["contrast_gaussian"], rtol=0.02)
    assert (three["contrast"] < 0.6 * curves["matched"]["contrast"]).all()


def test_a_psf_in_the_unit_of_the_frames_is_the_star(reduction, curves):
    star = replace(POINT.scaled(STAR / 1e3 / POINT.flux), unit=u.kct)
    found = contrast_curve(reduction, star, separations=SOME, n_position_angles=1, companions=None)
    np.testing.assert_allclose(found["contrast"], curves["matched"]["contrast"])
    assert found.meta["star_flux"] == pytest.approx(STAR)
    assert found.meta["star_flux_origin"] == "total flux of the PSF, whose unit is the science frames'"


def test_the_flux_of_the_star_may_be_a_quantity(reduction, curves):
    found = curve_of(reduction, star_flux=STAR / 1e3 * u.kct)
    np.testing.assert_allclose(found["contrast"], curves["matched"]["contrast"])


def test_a_companion_in_the_data_is_found_and_does_not_spoil_the_limit(with_planet, curves):
    found = curve_of(with_planet, companions="find")
    (planet,) = found.meta["companions"]
    assert planet["separation"] == pytest.approx(9.0, abs=0.1)
    assert planet["position_angle"] == pytest.approx(70.0, abs=1)
    assert planet["flux"] == pytest.approx(200.0, rel=0.03)
    assert found.meta["excluded_pixels"] > 20
    np.testing.assert_allclose(found["contrast"], curves["matched"]["contrast"], rtol=0.25)
    assert curve_of(with_planet)["noise"][1] > 3 * found["noise"][1]


@pytest.mark.parametrize("method", METHODS)
def test_known_companions_may_be_given(with_planet, curves, method):
    known = find_companions(with_planet, POINT).companions
    given = companion_table(known, with_planet) if method == "aperture" else known
    found = curve_of(with_planet, companions=given, method=method)
    assert found.meta["companions"][0]["flux"] == pytest.approx(known[0].flux)
    np.testing.assert_allclose(found["contrast"], curves[method]["contrast"], rtol=0.3)


def test_without_companions_in_the_data_nothing_is_taken_off(reduction, curves):
    found = curve_of(reduction, companions="find")
    for name in curves["matched"].colnames:
        np.testing.assert_array_equal(found[name], curves["matched"][name])


@pytest.mark.parametrize("method", METHODS)
def test_excluded_pixels_are_no_noise(with_planet, method):
    region = disc((33, 33), *rotation_helpers.planet_place(), 5)
    found, spoilt = (curve_of(with_planet, method=method, exclude=mask) for mask in (region, None))
    assert found["noise"][1] < spoilt["noise"][1]
    assert found["n_test"][1] < spoilt["n_test"][1]
    assert found.meta["excluded_pixels"] == region.sum()


def test_references_of_other_stars_need_no_rotation():
    observation = observe(n_references=12)
    result = reduce(observation.science_frames(), observation.reference_frames(), **THREE)
    found = curve_of(result)
    assert (np.abs(found["throughput"] - 1) < 0.1).all()
    assert found["noise"].unit == u.Unit("MJy/sr")


def test_a_reduction_from_a_file_has_the_same_limits(tmp_path, reduction, curves):
    reduction.write(tmp_path / "out.fits")
    found = curve_of(Reduction.read(tmp_path / "out.fits"))
    np.testing.assert_allclose(found["contrast"], curves["matched"]["contrast"], rtol=1e-6)


def test_references_that_a_file_does_not_hold_are_missed_with_a_reason(tmp_path, frames):
    stars = observe(seed=8).reference_frames(unit="ct", pixel_scale=0.05)
    result = reduce(frames, stars, mode="ardi", **THREE)
    assert np.isfinite(curve_of(result, separations=[9.0])["contrast"]).all()
    result.write(tmp_path / "out.fits")
    with pytest.raises(ValueError, match=r"'reduction' must be one that has its reference frames.*reduce again"):
        curve_of(Reduction.read(tmp_path / "out.fits"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separations": [2.0]}, r"'separations' must be in \[\d.*, 14\.\d*\] pixels: one FWHM \(3 pixels\) or more"),
        ({"separations": [9.0, 16.0]}, r"'separations' must be in .*inside what was reduced.*got 16 pixels"),
        ({"separations": [9.0, 6.0]}, "'separations' must be at least one, in growing order"),
        (
            {"star_flux": None},
            "'star_flux' must be given.*got None, with a PSF without a unit and science frames in ct",
        ),
        ({"star_flux": -1.0}, "'star_flux' must be a number above 0"),
        ({"star_flux": [1.0, 2.0]}, "'star_flux' must be of shape"),
        ({"star_flux": 1.0 * u.Jy}, "not convertible"),
        ({"sigma": 0.0}, "'sigma' must be a number in"),
        ({"method": "eye"}, "'method' must be one of 'matched', 'aperture', got 'eye'"),
        ({"n_position_angles": 0}, "'n_position_angles' must be an integer of at least 1, got 0"),
        ({"flux": -1.0}, "'flux' must be finite and above 0"),
        ({"companions": "all"}, "'companions' must be 'find', None, a table, or a list of Companion, got 'all'"),
        ({"companions": [1.0]}, "'companions' must be 'find', None, a table, or a list of Companion"),
        ({"companions": QTable({"flux": [1.0]})}, "one without separation, position_angle"),
        ({"exclude": np.zeros((3, 3))}, r"'exclude' must be of shape \(33, 33\)"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(reduction, options, message):
    with pytest.raises(ValueError, match=message):
        curve_of(reduction, **options)


def test_a_psf_that_is_larger_than_the_frames_is_an_error(reduction):
    wide = PSF(np.pad(POINT.data, 12), POINT.fwhm)
    with pytest.raises(ValueError, match=r"'psf' must be no larger than the frames, 33 x 33 pixels, got \(39, 39\)"):
        contrast_curve(reduction, wide, star_flux=STAR)


def test_progress_goes_to_the_end(reduction):
    calls = []
    curve_of(reduction, progress=lambda *call: calls.append(call))
    assert calls[-1] == (len(calls), len(calls), "reductions with injected companions")


def test_nothing_that_is_given_is_changed(reduction):
    data, combined, mask = reduction.science.data.copy(), reduction.combined.copy(), np.zeros((33, 33), bool)
    curve_of(reduction, exclude=mask, companions="find")
    np.testing.assert_array_equal(reduction.science.data, data)
    np.testing.assert_array_equal(reduction.combined, combined)
    assert not mask.any()


def test_warnings_that_were_given_once_are_not_repeated(sequence):
    data = sequence.data.copy()
    data[:, 20, 20] = np.nan
    with pytest.warns(MissingDataWarning):
        holed = reduce(sequence.frames(data=data), mode="adi", **THREE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve_of(holed, separations=[9.0])


def test_the_throughput_is_measured_about_a_fwhm_apart_and_at_both_ends():
    separations = np.arange(5.0, 41.0)
    chosen = separations[knots_of(separations, 4.5)]
    assert (chosen[0], chosen[-1]) == (5.0, 40.0)
    assert 3.5 <= np.diff(chosen).min() <= np.diff(chosen).max() <= 5.5
    np.testing.assert_array_equal(knots_of(np.array([7.0]), 4.5), [0])
    np.testing.assert_array_equal(knots_of(np.array([7.0, 30.0]), 4.5), [0, 1])


def test_between_knots_a_curve_has_no_peaks_of_its_own():
    knots, values = np.array([2.0, 5.0, 9.0, 12.0]), np.array([0.1, 0.5, np.nan, 0.9])
    found = between(knots, values, np.linspace(2, 12, 50))
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(between(knots, values, np.array([2.0, 5.0, 12.0])), [0.1, 0.5, 0.9])
    assert np.isnan(between(knots, values, np.array([1.0, 13.0]))).all()


def test_where_nothing_comes_back_there_is_no_limit(reduction, monkeypatch):
    monkeypatch.setattr("astronmf.imaging.detection.contrast.between", lambda knots, values, at: np.array([-0.1, 0, 1]))
    found = curve_of(reduction)
    np.testing.assert_array_equal(np.isnan(found["contrast"]), [True, True, False])


@pytest.fixture(scope="module")
def beta_pictoris(realdata):
    """Return a reduction of beta Pictoris without its planet, and the PSF."""
    data = BetaPic(realdata / "hci_naco_betapic")
    frames = data.frames(planet=False)
    return reduce(frames, mode="adi", n_components=12, inner_radius=INNER, outer_radius=OUTER), PSF.of(data.psf)


def test_without_the_planet_of_beta_pictoris_nothing_is_above_four_sigma(beta_pictoris):
    found = matched_filter(*beta_pictoris)
    distance = radius(found.flux.shape, found.center)
    away = (distance > INNER + 2 * found.fwhm) & (distance < OUTER - 2 * found.fwhm)
    sigma = found.significance[away]
    assert np.isfinite(sigma).all()
    assert np.abs(sigma).max() < 4
    assert np.std(sigma) == pytest.approx(1, abs=0.05)


def test_the_planet_of_beta_pictoris_is_above_the_limit_and_one_a_fifth_as_bright_is_not(beta_pictoris):
    options = {"separations": [16.5, 28.0], "n_position_angles": 1, "companions": None, "warm": True}
    limits = contrast_curve(*beta_pictoris, star_flux=1.0, **options)
    assert (np.abs(limits["throughput"] - 1) < 0.15).all()
    assert 1618 / 5 < limits["flux_limit"][0] < 1618  # counts of the planet
    assert (np.diff(limits["flux_limit"]) < 0).all()


def test_a_curve_can_be_of_an_average_over_numbers_of_components(reduction):
    averaged = curve_of(reduction, n_components=(2, 3))
    assert averaged.meta["averaged_over_components"] == [2, 3]
    one = curve_of(reduction, n_components=[3])
    np.testing.assert_array_equal(one["contrast"], curve_of(reduction)["contrast"])
    assert (averaged["contrast"] != one["contrast"]).all()
    assert (abs(averaged["throughput"] - 1) < 0.3).all()


def test_an_average_is_of_the_matched_filter_alone(reduction):
    with pytest.raises(ValueError, match="'n_components' must be left out with method='aperture'"):
        curve_of(reduction, method="aperture", n_components=(2, 3))


def test_near_the_star_what_is_put_in_is_no_brighter_than_twenty_times_the_noise(reduction):
    curve = curve_of(reduction, separations=[3.5, 4.5, 9.0])
    put_in, noise = (curve[name].value for name in ("injected_flux", "noise"))
    assert curve["n_test"][0] < 6
    np.testing.assert_allclose(put_in[:1], 20 * noise[:1])
    assert put_in[2] < 20 * noise[2]
    np.testing.assert_allclose(
        put_in[2], threshold(5, curve["n_test"][2]) * np.sqrt(1 + 1 / curve["n_test"][2]) * noise[2]
    )
