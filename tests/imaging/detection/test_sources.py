import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from helpers import read_only
from imaging_helpers import disc, gaussian, place
from scipy import ndimage, stats

from astronmf.imaging import PSF
from astronmf.imaging.detection import detect, snr, snr_map
from astronmf.imaging.detection.catalogue import position_error

FWHM = 4.0
SHAPE = (81, 83)
STAR = (41, 40)
POINT = PSF(gaussian((25, 25), 12, 12, fwhm=FWHM), FWHM)
NOISE = read_only(ndimage.gaussian_filter(np.random.default_rng(11).normal(size=SHAPE), 1.0))
SIGMA = 20 * NOISE.std()  # of a source whose peak is twenty times the noise


def observed(*sources, noise=NOISE):
    """Return noise and sources of given (separation, position angle, flux)."""
    image = noise.copy()
    for separation, angle, flux in sources:
        image += POINT.image(SHAPE, *place(STAR, separation, angle), flux)
    return image


def test_a_source_is_found_where_it_is_with_the_flux_it_has():
    flux = SIGMA * POINT.flux / POINT.peak
    (found,) = detect(observed((22.3, 130.0, flux)), POINT)
    assert found["id"] == 1
    x, y = place(STAR, 22.3, 130.0)
    assert found["x"].to_value(u.pix) == pytest.approx(x, abs=0.3)
    assert found["y"].to_value(u.pix) == pytest.approx(y, abs=0.3)
    assert found["separation"].to_value(u.pix) == pytest.approx(22.3, abs=0.3)
    assert found["position_angle"].to_value(u.deg) == pytest.approx(130, abs=1)
    assert abs(found["flux"] - flux) < 4 * found["flux_error"]
    assert found["flux"] == pytest.approx(flux, rel=0.15)
    assert found["refined"]


def test_of_noise_nothing_is_left():
    found = detect(NOISE, fwhm=FWHM)
    assert len(found) == 0
    assert found.colnames == detect(observed((22.3, 130.0, 99.0)), fwhm=FWHM).colnames
    assert found["x"].unit == u.pix


def test_sources_are_listed_from_the_most_significant():
    found = detect(observed((15.0, 10.0, 30.0), (22.0, 130.0, 90.0), (29.0, 250.0, 45.0)), POINT)
    np.testing.assert_allclose(found["position_angle"].to_value(u.deg), [130, 250, 10], atol=2.5)
    assert (np.diff(found["peak"]) < 0).all()
    np.testing.assert_array_equal(found["id"], [1, 2, 3])


def test_the_threshold_is_in_sigma():
    image = observed((22.3, 130.0, 30.0))
    (peak,) = detect(image, fwhm=FWHM, threshold=4.5)["peak"]
    assert len(detect(image, fwhm=FWHM, threshold=peak - 0.01)) == 1
    assert len(detect(image, fwhm=FWHM, threshold=peak + 0.01)) == 0
    assert peak == pytest.approx(np.nanmax(snr_map(image, FWHM, significance=True)), rel=1e-9)


def test_its_ratio_is_the_one_at_its_place():
    image = observed((22.3, 130.0, 50.0))
    (found,) = detect(image, fwhm=FWHM)
    aperture = snr(image, found["x"].value, found["y"].value, FWHM)
    assert found["snr"] == aperture.snr
    assert found["significance"] == aperture.significance
    assert found["n_test"] == aperture.n_test


def test_with_a_psf_the_flux_is_corrected_for_the_aperture():
    image = observed((22.3, 130.0, 50.0))
    without, with_psf = detect(image, fwhm=FWHM), detect(image, POINT)
    factor = POINT.flux / POINT.aperture_flux(FWHM / 2)
    for name in ("flux", "flux_error"):
        np.testing.assert_allclose(with_psf[name], factor * without[name])
    assert with_psf.meta["aperture_correction"] == pytest.approx(factor)
    assert without.meta["aperture_correction"] == 1


def test_two_sources_within_one_fwhm_are_one():
    image = observed((22.0, 130.0, 60.0), (24.5, 130.0, 40.0))
    assert len(detect(image, fwhm=FWHM)) == 1


def test_of_two_equal_sources_at_one_separation_each_hides_the_other_unless_excluded():
    image = observed((12.0, 130.0, 60.0), (12.0, 250.0, 60.0))
    assert len(detect(image, fwhm=FWHM)) == 0  # 18 apertures: one as bright among 17 leaves a ratio of 4.2 at most
    second = disc(SHAPE, *place(STAR, 12.0, 250.0), 4)
    found = detect(image, fwhm=FWHM, exclude=second)
    assert found["position_angle"][0].value == pytest.approx(130.0, abs=2)


def test_only_between_the_radii_is_searched():
    image = observed((15.0, 10.0, 40.0), (22.0, 130.0, 90.0))
    (found,) = detect(image, fwhm=FWHM, inner_radius=18)
    assert found["separation"].value == pytest.approx(22, abs=0.5)
    (found,) = detect(image, fwhm=FWHM, outer_radius=18)
    assert found["separation"].value == pytest.approx(15, abs=0.5)


def test_a_given_map_says_where_the_peaks_are():
    image = observed((22.0, 130.0, 60.0))
    given = np.zeros(SHAPE)
    given[12, 20], given[70, 60], given[40, 41] = 7.0, 9.0, 30.0  # the last is the star
    found = detect(image, fwhm=FWHM, detection_map=given)
    np.testing.assert_array_equal(found["peak"], [9, 7])


def test_missing_pixels_are_no_peaks():
    image = observed((22.3, 130.0, 50.0))
    image[disc(SHAPE, *place(STAR, 22.3, 130.0), 3)] = np.nan
    assert len(detect(image, fwhm=FWHM)) == 0


def test_a_map_without_a_value_has_no_sources():
    given = np.full(SHAPE, np.nan)
    given[STAR[::-1]] = 99.0
    assert len(detect(NOISE, fwhm=FWHM, detection_map=given)) == 0


def test_where_no_gaussian_fits_the_pixel_stays():
    image = observed(noise=-np.abs(NOISE))
    given = np.zeros(SHAPE)
    given[12, 20] = 9.0
    (found,) = detect(image, fwhm=FWHM, detection_map=given)
    assert (found["x"].value, found["y"].value) == (20, 12)
    assert not found["refined"]


def test_units_and_the_pixel_scale_are_carried_along():
    (found,) = detect(observed((22.3, 130.0, 50.0)) * u.mJy, fwhm=FWHM, pixel_scale=0.027)
    assert found["flux"].unit == u.mJy
    assert found["separation_angle"].to_value(u.mas) == pytest.approx(27 * found["separation"].value)
    assert found["separation_angle_error"].to_value(u.mas) == pytest.approx(27 * found["separation_error"].value)


def test_a_reduction_knows_its_pixel_scale_and_its_unit(reduction):
    found = detect(reduction, fwhm=3.0, threshold=2.0)
    assert len(found) > 0
    scale = reduction.science.geometry.pixel_scale
    np.testing.assert_allclose(found["separation_angle"].to_value(u.arcsec), scale * found["separation"].value)
    assert found["flux"].unit == reduction.unit


def test_the_table_says_how_it_was_made():
    found = detect(observed((22.3, 130.0, 50.0)), POINT, threshold=4.0, inner_radius=10, outer_radius=30)
    searched = found.meta.pop("searched_pixels")
    assert searched == pytest.approx(np.pi * (30**2 - 10**2), rel=0.02)
    expected = stats.norm.sf(4.0) * searched / (np.pi * (FWHM / 2) ** 2)
    assert found.meta.pop("expected_false_positives") == pytest.approx(expected)
    assert found.meta == {
        "threshold": 4.0,
        "fwhm": FWHM,
        "center": [41.0, 40.0],
        "aperture_radius": 2.0,
        "aperture_correction": POINT.flux / POINT.aperture_flux(2.0),
    }


@pytest.mark.parametrize("sources", [[], [(22.3, 130.0, 50.0)]], ids=["empty", "one"])
def test_the_table_comes_back_from_a_file(tmp_path, sources):
    found = detect(observed(*sources) * u.mJy, POINT, pixel_scale=0.027)
    found.write(tmp_path / "sources.ecsv")
    back = QTable.read(tmp_path / "sources.ecsv")
    assert back.colnames == found.colnames
    assert dict(back.meta) == dict(found.meta)
    for name in found.colnames:
        np.testing.assert_array_equal(back[name], found[name])


def test_places_and_fluxes_scatter_by_their_errors():
    rng = np.random.default_rng(5)
    x, y = place(STAR, 22.3, 130.0)
    places, fluxes = [], []
    for _ in range(12):
        image = observed((22.3, 130.0, 130.0), noise=rng.normal(size=SHAPE))
        (found,) = detect(image, POINT, inner_radius=19, outer_radius=26)[:1]
        offsets = np.array([found["x"].value - x, found["y"].value - y])
        places.extend(offsets / found["position_error"].value)
        fluxes.append((found["flux"] - 130.0) / found["flux_error"])
    assert 0.5 < np.std(places) < 1.3
    assert np.mean(fluxes) == pytest.approx(0, abs=0.8)
    assert 0.5 < np.std(fluxes) < 1.6


def test_without_a_ratio_above_zero_there_is_no_position_error():
    np.testing.assert_array_equal(np.isnan(position_error([-2.0, 0.0, np.nan, 5.0], FWHM)), [True, True, True, False])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'fwhm' must be given where 'psf' is not, got None"),
        ({"fwhm": 0.2}, "'fwhm' must be a number in"),
        ({"fwhm": FWHM, "threshold": np.nan}, "'threshold' must be a finite number"),
        ({"fwhm": FWHM, "detection_map": np.zeros((3, 3))}, r"'detection_map' must be of shape \(81, 83\)"),
        ({"fwhm": FWHM, "pixel_scale": -1.0}, "'pixel_scale' must be a number above 0"),
        ({"fwhm": FWHM, "inner_radius": 500}, "'outer_radius' must be such that pixels lie between"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        detect(NOISE, **options)


def test_the_image_is_untouched():
    image = observed((22.3, 130.0, 50.0))
    before = image.copy()
    detect(image, fwhm=FWHM)
    np.testing.assert_array_equal(image, before)
