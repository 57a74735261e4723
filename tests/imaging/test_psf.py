import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, NDData
from helpers import read_only
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import gaussian

from astronmf.exceptions import GeometryWarning, MissingDataWarning
from astronmf.imaging import PSF, Frames
from astronmf.imaging.gaussian import fit_gaussian

STAR = read_only(gaussian((31, 31), 15, 15, fwhm=4.0, peak=7.0))

moved = pytest.mark.filterwarnings("ignore:the star of 'psf':astronmf.exceptions.GeometryWarning")


def airy(shape, x, y, fwhm):
    """Return the diffraction pattern of a round aperture, of unit peak."""
    from scipy.special import j1

    rows, columns = np.indices(shape)
    radius = np.hypot(columns - x, rows - y) * np.pi * 1.0290 / fwhm + 1e-12
    return (2 * j1(radius) / radius) ** 2


def noiseless(fwhm=4.0, size=31):
    return PSF(gaussian((size, size), size // 2, size // 2, fwhm=fwhm), fwhm)


def test_a_centred_star_is_left_as_it_is():
    psf = PSF.of(STAR)
    np.testing.assert_array_equal(psf.data, STAR)
    assert psf.fwhm == pytest.approx(4.0, rel=1e-6)
    assert psf.unit is None
    assert psf.peak == 7.0
    assert psf.flux == pytest.approx(STAR.sum())


@pytest.mark.parametrize("fwhm", [1.5, 2.0, 3.3, 6.0])
def test_the_width_is_measured(fwhm):
    assert PSF.of(gaussian((41, 41), 20, 20, fwhm=fwhm)).fwhm == pytest.approx(fwhm, rel=1e-4)


@pytest.mark.parametrize("fwhm", [3.0, 4.6, 6.0])
def test_the_width_of_a_diffraction_pattern_is_that_at_half_its_peak(fwhm):
    assert PSF.of(airy((41, 41), 20, 20, fwhm)).fwhm == pytest.approx(fwhm, rel=0.025)


def test_the_width_of_an_elliptical_star_is_that_of_the_circle_of_its_area():
    rows, columns = np.indices((41, 41)) - 20
    turned = columns * np.cos(0.5) + rows * np.sin(0.5), rows * np.cos(0.5) - columns * np.sin(0.5)
    star = np.exp(-4 * np.log(2) * (turned[0] ** 2 / 3**2 + turned[1] ** 2 / 5**2))
    assert PSF.of(star).fwhm == pytest.approx(np.sqrt(15), rel=1e-4)


def test_a_given_width_is_kept():
    assert PSF.of(STAR, 3.7).fwhm == 3.7
    assert PSF.of(PSF.of(STAR), 3.7).fwhm == 3.7


def test_what_is_a_psf_already_is_returned():
    psf = PSF.of(STAR)
    assert PSF.of(psf) is psf


@pytest.mark.parametrize(
    "content",
    [
        STAR * u.mJy,
        NDData(STAR, unit=u.mJy),
        CCDData(STAR, unit="mJy"),
        Frames(STAR, unit="mJy"),
        Frames(np.array([STAR, STAR, 9 * STAR]), unit="mJy"),
        CCDData(STAR, unit="mJy", mask=STAR < 0),
    ],
    ids=["Quantity", "NDData", "CCDData", "Frames", "median of Frames", "masked"],
)
def test_it_is_made_of_whatever_there_is(content):
    psf = PSF.of(content)
    np.testing.assert_allclose(psf.data, STAR)
    assert psf.unit == u.mJy


@pytest.mark.parametrize("dtype", [np.float32, np.int16, ">f4"])
def test_it_is_of_double_precision_whatever_came(dtype):
    psf = PSF.of((1000 * STAR).astype(dtype))
    assert psf.data.dtype == np.float64
    assert psf.fwhm == pytest.approx(4.0, rel=1e-3)


def test_the_median_is_of_what_is_valid():
    stack = np.array([STAR, STAR, STAR])
    stack[0, 15, 15] = np.nan
    stack[1, 15, 15] = 1e30
    frames = Frames(stack, mask=(stack == 1e30) | np.isnan(stack))
    np.testing.assert_array_equal(PSF.of(frames).data, STAR)


@pytest.mark.parametrize(("x", "y"), [(15.3, 15.0), (14.6, 15.4), (13.0, 17.0), (12.2, 15.9)])
def test_a_star_off_the_middle_is_moved_there_with_a_warning(x, y):
    with pytest.warns(GeometryWarning, match=rf"the star of 'psf' is at \(x, y\) = \({x:.2f}, {y:.2f}\) of 31 x 31"):
        psf = PSF.of(gaussian((31, 31), x, y, fwhm=4.0))
    middle = psf.shape[1] // 2, psf.shape[0] // 2
    np.testing.assert_allclose(psf.data, gaussian(psf.shape, *middle, fwhm=4.0), atol=1e-3)
    assert psf.shape[0] % 2 == psf.shape[1] % 2 == 1


def test_a_star_within_a_twentieth_of_a_pixel_is_not_interpolated():
    star = gaussian((31, 31), 15.03, 14.97, fwhm=4.0)
    np.testing.assert_array_equal(PSF.of(star).data, star)


@pytest.mark.parametrize(("x", "y"), [(20, 20), (19, 20), (19.5, 19.5)])
def test_an_image_of_even_size_is_cut_to_odd_size_around_the_star(x, y):
    with pytest.warns(GeometryWarning, match="it was moved to the middle pixel of 39 x 39 pixels"):
        psf = PSF.of(gaussian((40, 40), x, y, fwhm=4.0))
    np.testing.assert_allclose(psf.data, gaussian((39, 39), 19, 19, fwhm=4.0), atol=1e-3)


@pytest.mark.parametrize(("x", "y"), [(20, 20), (19, 20)])
@moved
def test_whole_pixels_are_cut_without_interpolation(x, y):
    np.testing.assert_array_equal(
        PSF.of(gaussian((40, 40), x, y, fwhm=4.0), center=(x, y)).data, gaussian((39, 39), 19, 19, fwhm=4.0)
    )


def test_a_given_centre_is_believed_without_a_warning():
    psf = PSF.of(gaussian((31, 31), 15.4, 15.0, fwhm=4.0), center=(15.4, 15.0))
    np.testing.assert_allclose(psf.data, gaussian((31, 31), 15, 15, fwhm=4.0), atol=1e-3)


@pytest.mark.parametrize("center", [(-1, 3), (3, 40), (np.nan, 3)])
def test_a_centre_off_the_image_is_an_error(center):
    with pytest.raises(ValueError, match="'center' must be a number in"):
        PSF.of(STAR, center=center)


def test_a_few_missing_pixels_are_filled_with_a_warning():
    holed = STAR.copy()
    holed[10, 10], holed[20, 12] = np.nan, np.inf
    with pytest.warns(MissingDataWarning, match="2 pixels of 'psf' are missing: they are filled from their neighbours"):
        psf = PSF.of(holed)
    np.testing.assert_allclose(psf.data, STAR, atol=0.02 * 7)


def test_many_missing_pixels_are_an_error():
    holed = STAR.copy()
    holed[:3] = np.nan
    message = r"'psf' must be valid but for at most 5% of its pixels, got 93 of 961"
    with pytest.raises(ValueError, match=message):
        PSF.of(holed)


@pytest.mark.filterwarnings("ignore:1 pixels of 'psf' are missing:astronmf.exceptions.MissingDataWarning")
def test_a_missing_pixel_in_the_core_is_an_error():
    holed = STAR.copy()
    holed[15, 16] = np.nan
    with pytest.raises(ValueError, match="'psf' must be valid within half a FWHM of the star, got 1 missing pixels"):
        PSF.of(holed)


@pytest.mark.parametrize("image", [np.zeros((21, 21)), -STAR, STAR - 1])
def test_an_image_without_light_is_an_error(image):
    with pytest.raises(ValueError, match="'psf' must be an image whose total flux is above 0"):
        PSF.of(image)


@pytest.mark.parametrize("image", [np.ones((21, 21)), np.ones((21, 21)) + np.arange(21) / 10])
def test_an_image_without_a_peak_is_an_error(image):
    with pytest.raises(ValueError, match="'psf' must be an image of a star"):
        PSF.of(image)


@pytest.mark.parametrize("fwhm", [0.9, 32, np.nan, -3])
def test_a_width_that_no_psf_has_is_an_error(fwhm):
    with pytest.raises(ValueError, match=r"'fwhm' must be a number in \[1.0, 31.0\]"):
        PSF.of(STAR, fwhm)


@pytest.mark.parametrize("image", [STAR[0], STAR[None, None], np.zeros((0, 3, 3))])
def test_other_shapes_are_an_error(image):
    with pytest.raises(ValueError, match="'psf' must be of"):
        PSF.of(image)


@pytest.mark.parametrize("image", [STAR[:-1], STAR[:, 1:]])
def test_the_constructor_wants_odd_sides(image):
    with pytest.raises(ValueError, match=r"'psf' must be of odd sides, .*; PSF.of makes it so"):
        PSF(image, 4.0)


def test_the_constructor_wants_no_holes():
    holed = STAR.copy()
    holed[3, 3] = np.nan
    with pytest.raises(ValueError, match="'psf' must be finite everywhere, got 1 NaN or Inf"):
        PSF(holed, 4.0)


def test_light_at_the_edge_is_a_warning():
    with pytest.warns(GeometryWarning, match=r"'psf' is clipped: its edge has 3\.\d% of its peak"):
        PSF.of(STAR + 0.25, 4.0, center=(15, 15))


def test_an_edge_close_to_the_star_is_a_warning():
    with pytest.warns(GeometryWarning, match=r"'psf' is clipped: .* is 1\.4 FWHM from the star"):
        PSF.of(STAR[10:-10, 10:-10])


def test_it_cannot_be_written_to_and_its_input_is_untouched():
    image = STAR.copy()
    psf = PSF.of(image)
    with pytest.raises(ValueError, match="read-only"):
        psf.data[0, 0] = 1
    image[0, 0] = 99
    assert psf.data[0, 0] == STAR[0, 0]


def test_normalised_it_has_a_sum_of_one_and_no_unit():
    psf = PSF.of(STAR * u.mJy).normalized
    assert psf.flux == pytest.approx(1, abs=1e-12)
    assert psf.unit is None


def test_scaled_it_is_as_much_brighter():
    assert PSF.of(STAR).scaled(3).flux == pytest.approx(3 * STAR.sum())
    with pytest.raises(ValueError, match="'factor' must be a number above 0"):
        PSF.of(STAR).scaled(0)


def test_cut_it_keeps_the_star_in_the_middle():
    psf = PSF.of(STAR).cut(11)
    np.testing.assert_array_equal(psf.data, STAR[10:-10, 10:-10])
    assert psf.flux < STAR.sum()


@pytest.mark.parametrize(("size", "message"), [(10, "odd"), (33, "an integer in"), (0, "an integer in")])
def test_it_is_cut_to_odd_sizes_that_fit(size, message):
    with pytest.raises(ValueError, match=f"'size' must be {message}"):
        PSF.of(STAR).cut(size)


@pytest.mark.parametrize("radius", [2.0, 3.1, 6.0])
def test_the_flux_in_an_aperture_is_that_of_a_gaussian(radius):
    psf = noiseless(fwhm=6.0, size=61)
    inside = 1 - np.exp(-4 * np.log(2) * radius**2 / 6.0**2)
    # Pixels are sampled at their middles, not integrated over: exact only as far as they are small.
    assert psf.aperture_flux(radius) / psf.flux == pytest.approx(inside, rel=0.02)


@given(x=st.floats(20, 40), y=st.floats(20, 40), flux=st.floats(-1e3, 1e3), fwhm=st.floats(2, 5))
def test_the_flux_is_kept_wherever_the_source_is(x, y, flux, fwhm):
    image = noiseless(fwhm).image((61, 61), x, y, flux)
    assert image.sum() == pytest.approx(flux, rel=1e-6, abs=1e-9)


@given(x=st.floats(20, 40), y=st.floats(20, 40))
def test_a_source_is_where_it_was_put(x, y):
    fit = fit_gaussian(noiseless(3.0).image((61, 61), x, y, 100.0), round(x), round(y), 3.0)
    np.testing.assert_allclose((fit.x, fit.y), (x, y), atol=2e-3)
    assert fit.fwhm == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize("profile", [gaussian, airy])
@pytest.mark.parametrize(("fwhm", "tolerance"), [(2.0, 8e-3), (3.0, 1.5e-3), (4.6, 1e-3)])
def test_between_pixels_it_looks_as_it_would_there(profile, fwhm, tolerance):
    psf = PSF(profile((41, 41), 20, 20, fwhm), fwhm)
    image = psf.image((41, 41), 20.5, 20.5)
    near = np.s_[8:-8, 8:-8]
    np.testing.assert_allclose(image[near], profile((41, 41), 20.5, 20.5, fwhm)[near], atol=tolerance)


def test_on_a_pixel_it_is_the_stamp_itself():
    psf = PSF.of(STAR)
    image = psf.image((50, 60), 30, 20)
    np.testing.assert_allclose(image[5:36, 15:46], STAR, atol=1e-12)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (-3.3, 20), (59, 39.7), (30, 45)])
def test_at_the_edge_it_is_cut_and_does_not_come_back_on_the_other_side(x, y):
    image = noiseless(4.0).image((40, 60), x, y)
    np.testing.assert_allclose(image, gaussian((40, 60), x, y, fwhm=4.0), atol=1e-3)


def test_far_outside_there_is_nothing():
    assert not noiseless(4.0).image((40, 60), 200, -100).any()


def test_several_sources_add_up():
    psf = noiseless(4.0)
    both = psf.image((50, 50), [20, 28.5], [22, 25.1], [3.0, 5.0])
    np.testing.assert_allclose(both, psf.image((50, 50), 20, 22, 3.0) + psf.image((50, 50), 28.5, 25.1, 5.0))


def test_no_source_is_no_light():
    assert not noiseless(4.0).image((20, 20), [], [], []).any()


def test_it_says_what_it_is():
    assert repr(PSF.of(STAR)) == "<PSF: 31 x 31 pixels, FWHM 4 pixels, flux 126.906>"


def test_a_real_star_is_a_psf(realdata):
    with fits.open(realdata / "hci_naco_betapic" / "naco_betapic_psf.fits") as hdus:
        psf = PSF.of(hdus[0].data)
    assert psf.shape == (39, 39)
    assert psf.fwhm == pytest.approx(4.57, abs=0.05)
    assert psf.aperture_flux(psf.fwhm / 2) / psf.flux == pytest.approx(0.28, abs=0.02)
