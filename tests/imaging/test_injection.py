import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from helpers import read_only
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import centroid, gaussian, place, point_sources, same_frames

from astronmf.exceptions import GeometryWarning
from astronmf.imaging import PSF, Frames, Geometry, inject, inject_image
from astronmf.imaging.combination import turn
from astronmf.imaging.exposures import rotation_in_exposure
from astronmf.imaging.gaussian import fit_gaussian
from astronmf.imaging.geometry import center_pixel, radius, sky_position
from astronmf.imaging.injection import source_frames

ANGLES = read_only([0.0, 20.0, 55.0, -30.0])
SHAPE = (4, 41, 43)
POINT = PSF(gaussian((21, 21), 10, 10, fwhm=3.0), 3.0)


def blank(shape=SHAPE, angles=ANGLES, data=None, **parts):
    content = np.zeros(shape) if data is None else data
    given_parts = {"angles": angles, "center": (21.4, 20.2), "unit": "mJy", "pixel_scale": 0.05} | parts
    return Frames(content, **given_parts)


def noisy(dtype=np.float64):
    data = np.random.default_rng(1).normal(size=SHAPE).astype(dtype)
    data[0, 3, 4] = -0.0
    mask = np.random.default_rng(2).random(SHAPE) < 0.1
    return blank(data=np.where(mask, np.nan, data), mask=mask, uncertainty=np.full(SHAPE, 2.0))


@pytest.mark.parametrize("parity", [1, -1])
def test_a_companion_is_where_the_sky_has_it_in_each_frame(parity):
    frames = inject(blank(parity=parity), POINT, 9.0, 130.0, 50.0)
    for image, angle in zip(frames.data, ANGLES, strict=True):
        np.testing.assert_allclose(centroid(image), place((21.4, 20.2), 9.0, 130.0, angle, parity), atol=1e-3)


def test_turned_back_all_frames_show_it_at_the_same_place():
    frames = inject(blank(), POINT, 9.0, 130.0, 50.0)
    for image in turn(frames.data, frames.geometry):
        np.testing.assert_allclose(centroid(image), sky_position(SHAPE[1:], 9.0, 130.0), atol=0.02)


@given(separation=st.floats(0, 8), angle=st.floats(-720, 720), flux=st.floats(-1e4, 1e4))
def test_the_flux_of_each_frame_is_the_one_that_was_asked_for(separation, angle, flux):
    frames = inject(blank(), POINT, separation, angle, flux)
    np.testing.assert_allclose(frames.data.sum(axis=(1, 2)), flux, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_the_flux_of_the_psf_does_not_matter(factor):
    one, other = (inject(blank(), psf, 9.0, 130.0, 50.0) for psf in (POINT, POINT.scaled(factor)))
    np.testing.assert_allclose(one.data, other.data, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_flux_changes_no_bit(dtype):
    frames = noisy(dtype)
    for injected in (
        inject(frames, POINT, [5, 9.3], [10, 200], 0.0, smearing=2.0),
        inject_image(frames, np.zeros(SHAPE[1:])),
    ):
        same_frames(injected, frames)
        assert np.array_equal(np.signbit(injected.data), np.signbit(frames.data))
        assert injected.data is not frames.data


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_only_the_data_change(dtype):
    frames = noisy(dtype)
    before = frames.data.copy()
    injected = inject(frames, POINT, 9.0, 130.0, 50.0)
    np.testing.assert_array_equal(frames.data, before)
    np.testing.assert_array_equal(injected.mask, frames.mask)
    np.testing.assert_array_equal(injected.sigma, frames.sigma)
    assert injected.data.dtype == dtype
    assert np.isnan(injected.data[frames.mask]).all()
    assert (injected.names, injected.unit, injected.geometry) == (frames.names, frames.unit, frames.geometry)


def test_far_from_the_companion_no_pixel_is_touched():
    frames = noisy()
    injected = inject(frames, POINT, 12.0, 0.0, 50.0)
    touched = (injected.data != frames.data) & ~frames.mask
    assert touched.any()
    assert touched.mean() < 0.8
    for i, (x, y) in enumerate(frames.geometry.positions(12.0, 0.0)):
        rows, columns = np.nonzero(touched[i])
        assert np.abs(rows - y).max() < 20
        assert np.abs(columns - x).max() < 20


def test_injection_is_linear():
    frames = noisy()
    both = inject(frames, POINT, [5.0, 9.3], [10.0, 200.0], [30.0, -7.0])
    one_by_one = inject(inject(frames, POINT, 5.0, 10.0, 30.0), POINT, 9.3, 200.0, -7.0)
    np.testing.assert_allclose(both.data, one_by_one.data, atol=1e-12)


def test_a_negative_flux_takes_the_companion_away():
    frames = noisy()
    back = inject(inject(frames, POINT, 9.0, 130.0, 50.0), POINT, 9.0, 130.0, -50.0)
    np.testing.assert_allclose(back.data, frames.data, atol=1e-12)


def test_fluxes_may_differ_from_frame_to_frame():
    fluxes = np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 10.0, 0.0]])
    frames = inject(blank(), POINT, [5.0, 8.0], [10.0, 200.0], fluxes)
    np.testing.assert_allclose(frames.data.sum(axis=(1, 2)), fluxes.sum(axis=0), rtol=1e-5)


def test_units_are_converted():
    plain = inject(blank(), POINT, 9.0, 130.0, 50.0)
    with_units = inject(blank(), POINT, 450 * u.mas, 130 * u.deg, 0.05 * u.Jy)
    np.testing.assert_allclose(with_units.data, plain.data, atol=1e-12)


def test_one_place_serves_several_position_angles():
    several = inject(blank(), POINT, 9.0, [0.0, 120.0, 240.0], 5.0)
    np.testing.assert_allclose(several.data.sum(axis=(1, 2)), 15.0, rtol=1e-5)


def test_an_image_of_a_star_serves_as_a_psf():
    star = gaussian((21, 21), 10, 10, fwhm=3.0, peak=9.0)
    np.testing.assert_allclose(
        inject(blank(), star, 9.0, 130.0, 50.0).data, inject(blank(), POINT, 9.0, 130.0, 50.0).data, atol=1e-12
    )


def test_without_angles_all_frames_are_alike():
    frames = inject(blank(angles=None), POINT, 9.0, 130.0, 50.0)
    np.testing.assert_array_equal(frames.data, np.broadcast_to(frames.data[0], SHAPE))


def test_a_single_frame_keeps_its_axis():
    assert inject(blank(shape=(1, 41, 43), angles=[20.0]), POINT, 9.0, 130.0, 50.0).shape == (1, 41, 43)


def exposure(separation, position_angle, angle, degrees, count=400):
    """Return a source of unit peak drawn at many moments of an exposure."""
    moments = angle + degrees * ((np.arange(count) + 0.5) / count - 0.5)
    center = (21.4, 20.2)
    return point_sources(SHAPE[1:], center, separation, position_angle, moments, fwhm=3.0).mean(axis=0)


@pytest.mark.parametrize("smearing", [15.0, -15.0, 15 * u.deg, np.array([15.0, 15.0, 15.0, 15.0])])
def test_a_turn_during_the_exposure_draws_a_source_out(smearing):
    frames = inject(blank(), POINT, 10.0, 130.0, POINT.flux, smearing=smearing)
    for image, angle in zip(frames.data, ANGLES, strict=True):
        np.testing.assert_allclose(image, exposure(10.0, 130.0, angle, 15.0), atol=8e-3)
    assert frames.data[0].max() < 0.9


def test_each_exposure_may_have_a_turn_of_its_own():
    degrees = np.array([0.0, 5.0, 10.0, 30.0])
    frames = inject(blank(), POINT, 10.0, 130.0, POINT.flux, smearing=degrees)
    for image, angle, turned in zip(frames.data, ANGLES, degrees, strict=True):
        np.testing.assert_allclose(image, exposure(10.0, 130.0, angle, turned), atol=8e-3)


def test_a_turn_keeps_the_flux_and_the_place():
    frames = inject(blank(), POINT, 10.0, 130.0, 50.0, smearing=6.0)
    np.testing.assert_allclose(frames.data.sum(axis=(1, 2)), 50.0, rtol=1e-5)
    for image, at in zip(frames.data, frames.geometry.positions(10.0, 130.0), strict=True):
        np.testing.assert_allclose(centroid(image), at, atol=0.02)


def test_the_turn_of_an_exposure_is_that_to_its_nearer_neighbour():
    geometry = Geometry(center=(5, 5), angles=[10.0, 12.0, 15.0, 40.0, 41.0])
    np.testing.assert_allclose(rotation_in_exposure("angles", geometry, 5), [2, 2, 3, 1, 1])


def test_turns_are_the_short_way_round():
    geometry = Geometry(center=(5, 5), angles=[358.0, 359.5, 1.0])
    np.testing.assert_allclose(rotation_in_exposure("angles", geometry, 3), 1.5)


def test_turns_may_be_taken_from_the_angles():
    angles = np.array([0.0, 8.0, 16.0, 24.0])
    one, other = (inject(blank(angles=angles), POINT, 10.0, 130.0, 50.0, smearing=s) for s in ("angles", 8.0))
    np.testing.assert_array_equal(one.data, other.data)


@pytest.mark.parametrize("geometry", [Geometry(center=(5, 5)), Geometry(center=(5, 5), angles=[3.0])])
def test_turns_cannot_be_taken_from_angles_that_are_not_there(geometry):
    with pytest.raises(ValueError, match="'smearing' must be given in degrees, where there are no neighbouring angles"):
        rotation_in_exposure("angles", geometry, 1)


@pytest.mark.parametrize(
    ("smearing", "message"),
    [
        ("yes", "'smearing' must be degrees, 'angles' or None, got 'yes'"),
        (np.nan, "'smearing' must be finite"),
        ([1.0, 2.0], r"'smearing' must be of shape \(4,\)"),
    ],
)
def test_a_turn_that_makes_no_sense_is_an_error(smearing, message):
    with pytest.raises(ValueError, match=message):
        inject(blank(), POINT, 9.0, 130.0, 50.0, smearing=smearing)


@pytest.mark.parametrize(
    ("separation", "position_angle", "flux", "message"),
    [
        (9.0, 0.0, np.nan, "'flux' must be finite, got 1 NaN or Inf"),
        (9.0, 0.0, [np.inf], "'flux' must be finite, got 1 NaN or Inf"),
        (9.0, 0.0, [1.0, 2.0], r"'flux' must be of shape \(1, 4\)"),
        (9.0, np.nan, 1.0, "'position_angle' must be finite"),
        (np.inf, 0.0, 1.0, "'separation' must be finite"),
        (-1.0, 0.0, 1.0, "'separation' must be a number, or one for each companion, of at least 0"),
        ([[3.0]], 0.0, 1.0, "'separation' must be a number, or one for each companion"),
        ([3.0, 4.0], [0.0, 1.0, 2.0], 1.0, r"'position_angle' must be one, or one for each separation, \(2,\)"),
        (100.0, 0.0, 1.0, "'separation' must be such that the companion is inside the frame, got 100 pixels at 0 deg"),
        (1 * u.Jy, 0.0, 1.0, "not convertible"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(separation, position_angle, flux, message):
    with pytest.raises((ValueError, u.UnitConversionError), match=message):
        inject(blank(), POINT, separation, position_angle, flux)


def test_an_angle_needs_a_pixel_scale():
    with pytest.raises(ValueError, match="'separation' must be in pixels, where 'pixel_scale' is not known"):
        inject(blank(pixel_scale=None), POINT, 1 * u.arcsec, 0.0, 1.0)


def test_a_companion_that_leaves_the_frame_is_a_warning():
    frames = blank(shape=(2, 41, 21), angles=[0.0, 90.0], center=(10, 20))
    with pytest.warns(GeometryWarning, match="15 pixels at 0 degrees is outside the frame in 1 of 2 frames"):
        injected = inject(frames, POINT, 15.0, 0.0, 50.0)
    assert injected.data[0].sum() == pytest.approx(50, rel=1e-4)
    assert injected.data[1].sum() < 5


def test_source_frames_are_what_a_companion_of_unit_flux_adds():
    frames = blank()
    sources = source_frames(frames.shape, frames.geometry, POINT, 9.0, 130.0, 4.0)
    np.testing.assert_allclose(50 * sources, inject(frames, POINT, 9.0, 130.0, 50.0, smearing=4.0).data, atol=1e-12)


def disk():
    _, columns = np.indices(SHAPE[1:])
    x, y = center_pixel(SHAPE[1:])
    return np.exp(-(((radius(SHAPE[1:], (x, y)) - 10) / 3) ** 2)) * (1 + (columns - x) / 40)


def test_a_disk_is_north_up_when_the_frames_are_turned_back():
    frames = inject_image(blank(), disk())
    for image in turn(frames.data, frames.geometry):
        near = radius(SHAPE[1:], center_pixel(SHAPE[1:])) < 16
        np.testing.assert_allclose(image[near], disk()[near], atol=5e-3)


def test_a_disk_of_another_unit_is_converted():
    np.testing.assert_allclose(inject_image(blank(), disk() * u.Jy).data, 1000 * inject_image(blank(), disk()).data)


def test_a_point_as_an_image_is_smeared_like_a_companion():
    x, y = sky_position(SHAPE[1:], 10.0, 130.0)
    image = gaussian(SHAPE[1:], x, y, fwhm=3.0)
    one = inject_image(blank(), image, smearing=15.0)
    np.testing.assert_allclose(one.data, inject(blank(), POINT, 10, 130, POINT.flux, smearing=15.0).data, atol=0.02)


def test_an_image_keeps_single_precision_single():
    assert inject_image(noisy(np.float32), disk()).data.dtype == np.float32


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ones((5, 5)), r"'image' must be of shape \(41, 43\), got \(5, 5\)"),
        (np.full(SHAPE[1:], np.nan), "'image' must be finite everywhere"),
        (np.zeros((5, 5)), r"'image' must be of shape \(41, 43\), got \(5, 5\)"),
    ],
)
def test_an_image_that_does_not_fit_is_an_error(image, message):
    with pytest.raises(ValueError, match=message):
        inject_image(blank(), image)


def test_a_real_planet_taken_out_and_put_back_is_at_its_place(realdata):
    folder = realdata / "hci_naco_betapic"
    data, without, angles, star = (
        fits.getdata(folder / f"naco_betapic_{name}.fits").astype(float)
        for name in ("cube", "noplanet_cube", "pa", "psf")
    )
    geometry = Geometry(center=(51.2, 51.05), angles=angles.ravel() - 104.84 + 0.45, pixel_scale=0.02719)
    frames = Frames(without, geometry=geometry)
    injected = inject(frames, star, 16.45, 210.9, 1618.0)
    offsets = []
    for i, (x, y) in enumerate(geometry.positions(16.45, 210.9)):
        fits_ = [fit_gaussian(cube[i] - without[i], x, y, 4.5) for cube in (injected.data, data)]
        offsets.append((fits_[1].x - fits_[0].x, fits_[1].y - fits_[0].y))
    assert np.abs(np.median(offsets, axis=0)).max() < 0.3
