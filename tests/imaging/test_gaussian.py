import numpy as np
import pytest
from helpers import read_only
from imaging_helpers import gaussian

from astronmf.imaging.gaussian import brightest, fit_gaussian, width_at_half_maximum

SHAPE = (31, 33)


@pytest.mark.parametrize("fwhm", [2.0, 4.0, 7.0])
def test_a_gaussian_is_found_exactly(fwhm):
    fit = fit_gaussian(read_only(gaussian(SHAPE, 15.3, 12.8, fwhm, peak=5.0)), 15, 13, 1.3 * fwhm)
    np.testing.assert_allclose((fit.x, fit.y, fit.fwhm, fit.peak), (15.3, 12.8, fwhm, 5.0), rtol=1e-5)


def test_missing_pixels_do_not_matter_to_the_fit():
    image = gaussian(SHAPE, 15.3, 12.8, 4.0)
    image[12, 14], image[14, 15] = np.nan, np.inf
    fit = fit_gaussian(image, 15, 13, 4.0)
    np.testing.assert_allclose((fit.x, fit.y, fit.fwhm), (15.3, 12.8, 4.0), rtol=1e-5)


def test_what_lies_beyond_the_core_does_not_matter():
    image = gaussian(SHAPE, 15, 13, 4.0) + gaussian(SHAPE, 25, 13, 4.0, peak=50)
    fit = fit_gaussian(image, 15, 13, 4.0)
    np.testing.assert_allclose((fit.x, fit.y), (15, 13), atol=0.05)


@pytest.mark.parametrize(
    "image",
    [-gaussian(SHAPE, 15, 13, 4.0), np.zeros(SHAPE), np.full(SHAPE, np.nan), 1 - gaussian(SHAPE, 15, 13, 4.0)],
    ids=["a hole", "nothing", "missing", "a dark spot"],
)
def test_where_there_is_no_peak_there_is_no_fit(image):
    assert fit_gaussian(image, 15, 13, 4.0) is None


def test_too_few_pixels_are_no_fit():
    image = np.full(SHAPE, np.nan)
    image[13, 14:17] = 1
    assert fit_gaussian(image, 15, 13, 4.0) is None


def test_a_hot_pixel_is_not_the_brightest_source():
    image = gaussian(SHAPE, 20, 10, 4.0)
    image[25, 5] = 3.0
    image[3, 3] = np.nan
    assert brightest(image) == (20, 10)


@pytest.mark.parametrize("fwhm", [3.0, 6.0, 10.0])
def test_the_width_at_half_the_maximum_is_about_right(fwhm):
    image = gaussian((41, 41), 20, 20, fwhm) + gaussian((41, 41), 38, 38, 3.0)
    assert width_at_half_maximum(image, 20, 20) == pytest.approx(fwhm, rel=0.15)
