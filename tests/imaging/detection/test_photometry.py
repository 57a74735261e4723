import numpy as np
import pytest
from helpers import read_only
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import disc, gaussian
from scipy import ndimage, stats

from astronmf.imaging import PSF
from astronmf.imaging.detection import detection_threshold, resolution_elements
from astronmf.imaging.detection.apertures import aperture_fluxes
from astronmf.imaging.detection.photometry import (
    AperturePhotometry,
    MatchedPhotometry,
    known_separations,
    photometry,
    without,
)

FWHM = 3.6
POINT = PSF.of(gaussian((21, 21), 10, 10, fwhm=FWHM), FWHM)
IMAGE = read_only(ndimage.gaussian_filter(np.random.default_rng(7).normal(size=(61, 61)), 1.2))
STAR = 30
SEPARATIONS = np.array([7.6, 11.6, 15.6, 19.6])
ROUGH, SMOOTH, MATCHED = AperturePhotometry(POINT, smooth=False), AperturePhotometry(POINT), MatchedPhotometry(POINT)

# Standard deviations of apertures on that image by vip_hci 2.1.1 (noise_per_annulus), as they are and smoothed.
VIP = [1.9324649740268391, 1.9318695639722163, 1.7294919497271881, 1.8593639648043288]
VIP_SMOOTHED = [2.045854486697456, 1.8455050080187687, 1.6463685791899976, 1.9015779129013186]


def of_sample(found):
    """Return the noise in an aperture with the number of apertures, not one less, in the denominator, as VIP has it."""
    return found.noise / ROUGH.correction * np.sqrt(1 - 1 / found.n_test)


def test_the_noise_of_apertures_is_vips():
    np.testing.assert_allclose(of_sample(ROUGH.noise(IMAGE, SEPARATIONS)), VIP, rtol=1e-9)


def test_the_smoothed_noise_is_vips():
    ratio = of_sample(SMOOTH.noise(IMAGE, SEPARATIONS)) / VIP_SMOOTHED
    np.testing.assert_allclose(ratio, 1, rtol=0.01)  # the denominators of neighbours differ


def test_apertures_are_side_by_side_and_begin_to_the_right():
    separation = 9.0
    turn = FWHM / separation * np.arange(int(2 * np.pi * separation / FWHM))
    x, y = STAR + separation * np.cos(turn), STAR + separation * np.sin(turn)
    expected = ROUGH.correction * aperture_fluxes(IMAGE, x, y, FWHM / 2).std(ddof=1)
    found = ROUGH.noise(IMAGE, np.array([separation]))
    np.testing.assert_allclose(found.noise, expected)
    assert found.n_test == len(turn)


def test_apertures_on_excluded_pixels_are_not_counted():
    excluded = disc(IMAGE.shape, STAR + 11, STAR, 4)
    found = ROUGH.noise(without(IMAGE, excluded), np.array([11.0]))
    assert found.n_test == ROUGH.noise(IMAGE, np.array([11.0])).n_test - 3
    spoilt = ROUGH.noise(IMAGE + 1000 * excluded, np.array([11.0]))
    assert spoilt.noise > 100 * found.noise


def test_the_noise_of_the_matched_filter_is_the_scatter_along_the_ring():
    rng = np.random.default_rng(3)
    white = rng.normal(size=(401, 401))
    found = MATCHED.noise(white, np.array([150.0]))
    np.testing.assert_allclose(found.noise, 2 / 3, rtol=0.06)  # bilinear interpolation quiets white noise by 2/3


def test_the_limit_of_the_matched_filter_is_what_a_search_asks_for():
    found = MATCHED.noise(IMAGE, SEPARATIONS)
    np.testing.assert_array_equal(found.n_test, resolution_elements(SEPARATIONS, FWHM) - 1)
    np.testing.assert_allclose(found.limit(5.0), detection_threshold(5.0, SEPARATIONS, FWHM) * found.noise)


def test_the_limit_of_apertures_is_for_as_many_as_there_are():
    found = ROUGH.noise(IMAGE, SEPARATIONS)
    n = (2 * np.pi * SEPARATIONS / FWHM).astype(int)
    expected = stats.t.isf(stats.norm.sf(5.0), n - 1) * np.sqrt(1 + 1 / n)
    np.testing.assert_allclose(found.limit(5.0), expected * found.noise)
    np.testing.assert_allclose(found.limit(5.0, student=False), 5.0 * found.noise)


@pytest.mark.parametrize("how", [ROUGH, MATCHED], ids=["aperture", "matched"])
@given(factor=st.floats(1e-6, 1e6), level=st.floats(-10, 10))
def test_the_noise_scales_with_the_image_and_does_not_care_for_a_level(how, factor, level):
    before, after = (how.noise(image, SEPARATIONS).noise for image in (IMAGE, factor * (IMAGE + level)))
    np.testing.assert_allclose(after, factor * before, rtol=1e-7)


@pytest.mark.parametrize("how", [ROUGH, MATCHED], ids=["aperture", "matched"])
def test_the_flux_of_a_source_is_its_total_flux(how):
    flux, x, y = 70.0, 37.3, 24.8
    image = POINT.image((61, 61), x, y, flux)
    if how is MATCHED:  # a map of fluxes, whatever its shape around a source is
        image /= POINT.normalized.peak
    np.testing.assert_allclose(how.fluxes(image, np.array([x]), np.array([y])), flux, rtol=5e-3)


@pytest.mark.parametrize("how", [ROUGH, MATCHED], ids=["aperture", "matched"])
def test_where_nothing_is_known_there_is_no_flux(how):
    image = without(IMAGE, disc(IMAGE.shape, 40, 30, 3))
    assert np.isnan(how.fluxes(image, np.array([40.0]), np.array([30.0])))
    assert np.isfinite(how.fluxes(image, np.array([20.0]), np.array([30.0])))


@pytest.mark.parametrize("how", [ROUGH, MATCHED], ids=["aperture", "matched"])
def test_too_few_places_say_nothing(how):
    only = without(IMAGE, ~disc(IMAGE.shape, 42, 30, 3))
    found = how.noise(only, np.array([12.0]))
    assert np.isnan(found.noise)
    assert np.isnan(found.limit(5.0))


@pytest.mark.parametrize("how", [ROUGH, SMOOTH, MATCHED], ids=["rough", "smooth", "matched"])
def test_by_default_separations_begin_at_one_fwhm_and_end_where_the_noise_does(how):
    image = without(IMAGE, ~disc(IMAGE.shape, STAR, STAR, 25))
    found = known_separations(how, image)
    np.testing.assert_allclose(found, FWHM + np.arange(len(found)))
    assert 21 <= found[-1] <= 25
    assert np.isfinite(how.noise(image, found).noise).all()


@pytest.mark.parametrize(
    ("separations", "message"),
    [
        (
            [2.0, 9.0],
            r"must be in \[3.6, 2\d\.\d*\] pixels: one FWHM \(3.6 pixels\) or more from the star.*got 2 pixels",
        ),
        ([9.0, 29.0], r"must be in \[3.6, 2\d\.\d*\] pixels.*got 29 pixels"),
        ([9.0, 9.0], "must be at least one, in growing order"),
        ([], "must be at least one, in growing order"),
        ([[9.0]], r"must be of shape \(any,\)"),
    ],
)
def test_separations_where_nothing_is_known_are_errors_that_name_the_range(separations, message):
    image = without(IMAGE, ~disc(IMAGE.shape, STAR, STAR, 25))
    with pytest.raises(ValueError, match=f"'separations' {message}"):
        known_separations(ROUGH, image, np.array(separations))


def test_a_ring_that_is_missing_is_left_out_of_the_range():
    ring = disc(IMAGE.shape, STAR, STAR, 17) & ~disc(IMAGE.shape, STAR, STAR, 11)
    with pytest.raises(
        ValueError, match=r"must be in \[3.6, 1\d\.\d*\] or \[1\d\.\d*, 4\d\.\d*\] pixels.*got 14 pixels"
    ):
        known_separations(MATCHED, without(IMAGE, ring), np.array([8.0, 14.0, 20.0]))


def test_an_image_without_noise_anywhere_has_no_separations():
    with pytest.raises(ValueError, match="where the noise is known, which is nowhere"):
        known_separations(ROUGH, np.full((31, 31), np.nan))


def test_an_unknown_method_is_an_error():
    with pytest.raises(ValueError, match="'method' must be one of 'matched', 'aperture', got 'psf'"):
        photometry("psf", POINT)
