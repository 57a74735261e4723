import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from helpers import read_only
from imaging_helpers import disc, gaussian
from scipy import ndimage, stats

from astronmf.imaging import Frames
from astronmf.imaging.combination import turn
from astronmf.imaging.detection import snr, snr_map
from astronmf.imaging.detection.apertures import aperture_fluxes

IMAGE = read_only(ndimage.gaussian_filter(np.random.default_rng(7).normal(size=(61, 61)), 1.2))
FWHM = 3.6

# (x, y), ratio, and ratio without the flanking apertures, by vip_hci 2.1.1 of the same image.
REFERENCE = [
    ((40.0, 33.0), 1.2734195392282168, 1.2877508113728524),
    ((30.0, 18.5), -0.7162975749436626, -0.7667490110590999),
    ((24.3, 36.1), 1.107289385597497, 1.1861423639236026),
    ((47.2, 20.9), 0.5379303763624648, 0.5371948009511476),
    ((34.0, 30.0), 0.948467185408023, 0.5187296157214202),
]


def by_hand(image, x, y, fwhm, center):
    """Return the ratio, one aperture after the other."""
    right, up = x - center[0], y - center[1]
    step = 2 * np.arcsin(fwhm / 2 / np.hypot(right, up))
    fluxes = []
    for i in range(int(2 * np.pi / step)):
        angle = np.arctan2(up, right) - i * step
        at = np.hypot(right, up) * np.array([np.cos(angle), np.sin(angle)]) + center
        fluxes.append(aperture_fluxes(image, at[:1], at[1:], fwhm / 2)[0])
    tests = np.array(fluxes[1:])
    tests = tests[np.isfinite(tests)]
    return (fluxes[0] - tests.mean()) / (tests.std(ddof=1) * np.sqrt(1 + 1 / len(tests)))


@pytest.mark.parametrize(("place", "expected", "without_lobes"), REFERENCE)
def test_it_is_what_vip_finds(place, expected, without_lobes):
    assert snr(IMAGE, *place, FWHM).snr == pytest.approx(expected, rel=1e-6)
    assert snr(IMAGE, *place, FWHM, exclude_negative_lobes=True).snr == pytest.approx(without_lobes, rel=1e-6)


@pytest.mark.parametrize(("place", "center"), [((40.3, 30.1), (30, 30)), ((25.0, 20.2), (28.4, 31.7))])
def test_it_is_the_flux_against_those_of_the_same_separation(place, center):
    assert float(snr(IMAGE, *place, FWHM, center=center)) == pytest.approx(by_hand(IMAGE, *place, FWHM, center))


def test_a_brighter_image_has_the_same_ratio_and_so_has_one_with_a_background():
    expected = snr(IMAGE, 40, 33, FWHM)
    for image in (7 * IMAGE, IMAGE + 3):
        found = snr(image, 40, 33, FWHM)
        assert found.snr == pytest.approx(expected.snr)
        assert found.significance == pytest.approx(expected.significance)


def test_it_says_what_it_measured():
    found = snr(IMAGE, 40, 33, FWHM)
    assert found.n_test == 17
    assert found.snr == pytest.approx((found.flux - found.background) / found.flux_error)
    assert stats.norm.sf(found.significance) == pytest.approx(stats.t.sf(found.snr, 16))


def test_noise_is_as_significant_as_gaussian_noise():
    # Pixels one aperture apart: nearly independent, so that there are some 200 of them.
    found = snr_map(IMAGE, FWHM, 4, 26, significance=True)[2::4, 2::4]
    assert np.nanmean(found) == pytest.approx(0, abs=0.2)
    assert np.nanstd(found) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("lobes", [False, True])
@pytest.mark.parametrize("spacing", ["touching", "even"])
@pytest.mark.parametrize("shape", [(61, 61), (60, 56)])
def test_the_map_is_the_ratio_at_every_pixel(lobes, spacing, shape):
    image = IMAGE[: shape[0], : shape[1]]
    options = {"exclude_negative_lobes": lobes, "spacing": spacing}
    found = snr_map(image, FWHM, **options)
    for y, x in np.random.default_rng(4).integers(8, 50, (60, 2)):
        if np.hypot(x - shape[1] // 2, y - shape[0] // 2) >= FWHM / 2:
            np.testing.assert_allclose(found[y, x], snr(image, x, y, FWHM, **options).snr, rtol=0.01, atol=0.01)


def test_a_map_of_significance_is_that_of_the_ratios():
    found = snr_map(IMAGE, FWHM, significance=True)
    for x, y in ((40, 33), (33, 30), (12, 20)):
        assert found[y, x] == pytest.approx(snr(IMAGE, x, y, FWHM).significance, abs=0.02)


def test_close_to_the_star_a_significance_is_less_than_its_ratio():
    image = IMAGE + gaussian(IMAGE.shape, 34, 30, FWHM, peak=20)
    found = snr(image, 34, 30, FWHM)
    assert found.significance < 0.6 * found.snr


def test_the_map_is_blank_outside_the_radii_and_where_nothing_fits():
    found = snr_map(IMAGE, FWHM, 6, 20)
    rows, columns = np.indices(IMAGE.shape)
    distance = np.hypot(columns - 30, rows - 30)
    np.testing.assert_array_equal(np.isfinite(found), (distance >= 6) & (distance <= 20))
    everywhere = snr_map(IMAGE, FWHM)
    assert np.isnan(everywhere[distance < FWHM / 2]).all()
    assert np.isnan(everywhere[0]).all()


def test_apertures_with_missing_pixels_are_left_out():
    holed = IMAGE.copy()
    holed[disc(IMAGE.shape, 24, 21, 3)] = np.nan
    found = snr(holed, 40, 33, FWHM)
    assert found.n_test < 17
    assert found.snr == pytest.approx(by_hand(holed, 40, 33, FWHM, (30, 30)))
    assert snr_map(holed, FWHM)[33, 40] == pytest.approx(found.snr, abs=0.01)


@pytest.mark.parametrize("value", [1e30, -1e30, np.nan])
def test_what_is_under_a_mask_does_not_matter(value):
    mask = disc(IMAGE.shape, 24, 21, 3)
    content = np.ma.masked_array(np.where(mask, value, IMAGE), mask)
    expected = np.where(mask, np.nan, IMAGE)
    assert snr(content, 40, 33, FWHM) == snr(expected, 40, 33, FWHM)
    np.testing.assert_array_equal(snr_map(content, FWHM), snr_map(expected, FWHM))


def test_a_source_on_missing_pixels_has_no_ratio():
    holed = IMAGE.copy()
    holed[33, 40] = np.nan
    assert np.isnan(float(snr(holed, 40, 33, FWHM)))
    assert np.isnan(snr_map(holed, FWHM)[32:35, 39:42]).all()


def test_with_a_single_test_aperture_there_is_no_ratio():
    found = snr(IMAGE, 32, 30, FWHM)
    assert found.n_test == 1
    assert np.isnan([found.snr, found.significance, found.scatter]).all()


def test_excluded_pixels_serve_no_test_but_a_source_may_stand_on_them():
    other = gaussian(IMAGE.shape, 20, 27, FWHM, peak=5)
    image, mask = IMAGE + other, disc(IMAGE.shape, 20, 27, 4)
    plain, without = snr(image, 40, 33, FWHM), snr(image, 40, 33, FWHM, exclude=mask)
    assert without.n_test < plain.n_test
    assert without.scatter < 0.5 * plain.scatter
    assert np.isfinite(snr(image, 20, 27, FWHM, exclude=mask).snr)
    assert np.isfinite(snr_map(image, FWHM, exclude=mask)[27, 20])


def test_evenly_apart_a_turned_image_has_a_turned_map():
    found = snr_map(np.rot90(IMAGE), FWHM, spacing="even")
    np.testing.assert_allclose(found, np.rot90(snr_map(IMAGE, FWHM, spacing="even")), atol=0.02)


@pytest.mark.parametrize("content", [IMAGE * u.Jy, CCDData(IMAGE, unit="Jy"), IMAGE.astype(">f8")])
def test_any_kind_of_image_is_taken(content):
    assert snr(content, 40, 33, FWHM) == snr(IMAGE, 40, 33, FWHM)


def test_a_reduction_is_searched_around_its_star(reduction):
    np.testing.assert_array_equal(snr_map(reduction, 3.0), snr_map(reduction.combined, 3.0, center=reduction.center))


@pytest.mark.parametrize(
    ("x", "y", "fwhm", "options", "message"),
    [
        (70, 30, FWHM, {}, r"'x' must be a number in \[-0.5, 60.5\]"),
        (30, -4, FWHM, {}, r"'y' must be a number in \[-0.5, 60.5\]"),
        (
            31,
            30,
            FWHM,
            {},
            r"'x' must be at least half a FWHM, 1.8 pixels, from the star at \(30.0, 30.0\), got 1 pixel",
        ),
        (40, 30, 0.5, {}, r"'fwhm' must be a number in \[1.0, 61.0\]"),
        (40, 30, FWHM, {"exclude": np.zeros((3, 3), bool)}, "'exclude' must be of shape"),
        (40, 30, FWHM, {"spacing": "wide"}, "'spacing' must be one of"),
        (40, 30, FWHM, {"center": (np.nan, 3)}, "'center' must be a finite number"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(x, y, fwhm, options, message):
    with pytest.raises(ValueError, match=message):
        snr(IMAGE, x, y, fwhm, **options)


def test_a_stack_is_no_image():
    with pytest.raises(ValueError, match=r"'image' must be of shape \(any, any\)"):
        snr_map(IMAGE[None], FWHM)


def test_a_planet_stands_out_of_real_speckles(realdata):
    folder = realdata / "hci_naco_betapic"
    data, angles = (fits.getdata(folder / f"naco_betapic_{name}.fits").astype(float) for name in ("cube", "pa"))
    frames = Frames(data, angles=angles.ravel() - 104.84 + 0.45, center=(51.2, 51.05))
    image = np.mean(turn(data - np.median(data, axis=0), frames.geometry), axis=0)
    found = snr(image, 50 - 16.45 * np.sin(np.deg2rad(210.9)), 50 + 16.45 * np.cos(np.deg2rad(210.9)), 4.6)
    assert found.n_test == 21
    assert found.snr > 2
