"""An observer turns the sky into frames without losing light, and does the same thing quickly as slowly."""

import astropy.units as u
import numpy as np
import pytest
from helpers import read_only
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import gaussian, place, point_sources
from scipy import signal

from astronmf.exceptions import GeometryWarning
from astronmf.imaging import PSF, Geometry
from astronmf.imaging.geometry import center_pixel, from_sky, radius
from astronmf.imaging.injection import source_frames
from astronmf.imaging.modelling import Observer
from astronmf.imaging.modelling import observing as observing_module

ANGLES = read_only([0.0, 20.0, 55.0, -30.0])
CENTER = (21.4, 20.2)
SHAPE = (4, 41, 43)
POINT = PSF(gaussian((15, 17), 8, 7, fwhm=3.0), 3.0)
TRANSMISSION = read_only(1 - np.exp(-((radius(SHAPE[1:], CENTER) / 6) ** 2)))


def observer(shape=SHAPE, center=CENTER, angles=ANGLES, parity=1, **parts):
    return Observer(Geometry(center, 0.05, angles, parity), shape, **parts)


def spot(x, y, fwhm=4.0, shape=SHAPE[1:]):
    return gaussian(shape, x, y, fwhm=fwhm)


def ring(shape=SHAPE[1:], size=9.0, width=2.5):
    """Return a ring that is brighter in the north-east."""
    x, y = center_pixel(shape)
    rows, columns = np.indices(shape)
    return np.exp(-(((radius(shape, (x, y)) - size) / width) ** 2)) * (2 + (rows - y - columns + x) / (2 * size))


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("center", [CENTER, (21.0, 20.0)])
def test_an_image_on_the_detector_s_pixels_is_turned_as_frames_are_turned_back(center, parity):
    seen = observer(center=center, parity=parity).image(ring(), convolved=True)
    geometry = Geometry(center, 0.05, ANGLES, parity)
    expected = [np.nan_to_num(from_sky(ring(), geometry, i)) for i in range(len(ANGLES))]
    np.testing.assert_allclose(seen, expected, atol=1e-13)


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("ratio", [0.21, 0.5, 0.8, 1.0, 1.3])
def test_what_is_at_a_place_of_the_image_is_there_in_each_frame(ratio, parity):
    size = int(60 / ratio) // 2 * 2 + 1
    star = (size // 2 + 1.3, size // 2 - 2.2)
    image = gaussian((size, size), *place(star, 9.0 / ratio, 130.0), fwhm=4.0 / ratio)
    seen = observer(parity=parity).image(image, center=star, ratio=ratio, convolved=True)
    for frame, angle in zip(seen, ANGLES, strict=True):
        expected = gaussian(SHAPE[1:], *place(CENTER, 9.0, 130.0, angle, parity), fwhm=4.0)
        np.testing.assert_allclose(frame, expected, atol=0.03)


@given(ratio=st.floats(0.15, 1.4), separation=st.floats(0, 8), angle=st.floats(0, 360), fwhm=st.floats(4, 6))
def test_the_light_of_an_image_is_kept_whatever_its_pixels(ratio, separation, angle, fwhm):
    size = int(56 / ratio) // 2 * 2 + 1
    image = gaussian((size, size), *place((size // 2, size // 2), separation / ratio, angle), fwhm=fwhm / ratio)
    seen = observer(angles=[20.0], shape=(1, 41, 43)).image(image / ratio**2, ratio=ratio, convolved=True)
    assert seen.sum() == pytest.approx(image.sum(), rel=1e-3)


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.5])
def test_a_single_bright_pixel_keeps_its_light(ratio):
    image = np.zeros((101, 101))
    image[60, 47] = 1.0
    seen = observer().image(image / ratio**2, ratio=ratio, convolved=True)
    np.testing.assert_allclose(seen.sum(axis=(1, 2)), 1.0, rtol=0.01)


@pytest.mark.parametrize("ratio", [0.3, 0.7, 1.0, 1.6])
def test_surface_brightness_is_kept(ratio):
    size = 2 * int(40 / ratio) + 1
    seen = observer().image(np.full((size, size), 7.0), ratio=ratio, convolved=True)
    np.testing.assert_allclose(seen, 7.0, rtol=1e-12)


def test_a_detector_s_pixel_is_the_mean_of_the_finer_pixels_within_it():
    fine = np.random.default_rng(1).random((45, 45))
    shape = (1, 15, 15)
    seen = observer(shape=shape, center=(7, 7), angles=None).image(fine, ratio=1 / 3, convolved=True)
    np.testing.assert_allclose(seen[0], fine.reshape(15, 3, 15, 3).mean(axis=(1, 3)), rtol=1e-12)


def test_outside_the_image_there_is_nothing():
    seen = observer(center=(21, 20)).image(ring((15, 17), 3, 1), convolved=True)
    assert (seen[:, radius(SHAPE[1:], (21, 20)) > 12] == 0).all()
    assert (seen[:, 20, 24] > 0.1).all()


def test_an_image_far_from_the_frames_is_a_warning():
    with pytest.warns(GeometryWarning, match="no light of the image falls on the frames"):
        seen = observer().image(spot(20, 20), center=(500, 500), convolved=True)
    assert (seen == 0).all()


def test_light_along_the_image_s_edge_is_a_warning_where_the_frames_go_on():
    with pytest.warns(GeometryWarning, match="the image has 50% of its peak along its edge, and frames go on there"):
        observer().image(spot(7, 11, 6.0, (15, 15)), convolved=True)


def test_light_along_the_frames_own_edge_is_none():
    observer(angles=None, center=(21, 20)).image(np.ones(SHAPE[1:]), convolved=True)


def test_without_angles_frames_are_north_up_and_whole_pixels_change_no_bit():
    noise = np.pad(np.random.default_rng(2).normal(size=(37, 39)), 2)
    seen = observer(angles=None, center=(20, 21)).image(noise, convolved=True)
    assert seen.shape == SHAPE
    np.testing.assert_array_equal(seen[3, 1:, :-1], noise[:-1, 1:])
    assert (seen[:, 0] == 0).all()


def test_frames_of_one_orientation_are_computed_once_and_are_the_same():
    angles = np.array([5.0, 9.0, 5.0, 5.0])
    several = observer(angles=angles, psf=POINT)
    seen = several.image(ring(), convolved=False)
    np.testing.assert_array_equal(seen[0], seen[2])
    np.testing.assert_array_equal(seen[0], seen[3])
    calls = []
    several.brightness(lambda east, north: calls.append(1) or np.hypot(east, north))
    assert len(calls) == 2


@pytest.mark.parametrize("shape", [SHAPE[1:], (9, 12), (41, 5)])
def test_convolution_is_with_the_whole_psf_and_keeps_the_size(shape):
    image = np.random.default_rng(3).normal(size=shape)
    stack = Observer(Geometry((2, 2)), (1, *shape), POINT)
    seen = stack.image(image, center=(2, 2), convolved=False)
    unit = POINT.data / POINT.flux
    expected = signal.convolve(np.pad(image, 20), unit, mode="same")[20:-20, 20:-20]
    np.testing.assert_allclose(seen[0], expected, atol=1e-13)


@pytest.mark.parametrize("factor", [1e-5, 1.0, 30.0])
def test_the_psf_s_own_flux_does_not_matter_and_light_is_kept(factor):
    seen = observer(psf=POINT.scaled(factor)).image(ring(), convolved=False)
    np.testing.assert_allclose(seen.sum(axis=(1, 2)), ring().sum(), rtol=1e-3)


def test_a_psf_that_is_not_round_stays_in_the_detector_s_orientation():
    long = PSF(gaussian((15, 15), 7, 7, 3.0) + gaussian((15, 15), 10, 7, 3.0), 3.0)
    seen = observer(psf=long, center=(21, 20)).image(spot(21, 20, 1.5), convolved=False)
    for frame in seen:
        np.testing.assert_allclose(frame, seen[0], atol=2e-3)


def test_an_image_as_the_telescope_sees_it_is_not_convolved():
    np.testing.assert_array_equal(
        observer(psf=POINT).image(ring(), convolved=True), observer().image(ring(), convolved=True)
    )


def test_transmission_is_the_detector_s_and_comes_before_the_convolution():
    plain = observer().image(ring(), convolved=True)
    through = observer(transmission=TRANSMISSION).image(ring(), convolved=True)
    np.testing.assert_allclose(through, plain * TRANSMISSION, atol=1e-15)
    blurred = observer(transmission=TRANSMISSION, psf=POINT).image(ring(), convolved=False)
    expected = [signal.convolve(frame, POINT.data / POINT.flux, mode="same") for frame in through]
    np.testing.assert_allclose(blurred, expected, atol=1e-13)


@pytest.mark.parametrize("parity", [1, -1])
def test_a_brightness_function_is_evaluated_at_the_pixels_of_each_orientation(parity):
    east, north = -9.0 * np.sin(np.deg2rad(-130)), 9.0 * np.cos(np.deg2rad(-130))
    seen = observer(parity=parity).brightness(
        lambda e, n: np.exp(-4 * np.log(2) * ((e - east) ** 2 + (n - north) ** 2) / 16)
    )
    expected = [gaussian(SHAPE[1:], *place(CENTER, 9.0, 130.0, angle, parity), fwhm=4.0) for angle in ANGLES]
    np.testing.assert_allclose(seen, expected, atol=1e-13)


def test_oversampled_pixels_are_means_over_their_area():
    seen = observer(angles=None, center=(3, 2), shape=(1, 5, 7)).brightness(lambda e, n: e + n**2, oversampling=4)
    y, x = np.indices((5, 7))
    part = np.mean(((np.arange(4) + 0.5) / 4 - 0.5) ** 2)
    np.testing.assert_allclose(seen[0], 3 - x + (y - 2) ** 2 + part, atol=1e-12)


def test_a_brightness_function_goes_through_the_telescope():
    def smooth(east, north):
        return np.exp(-((np.hypot(east, north) - 9) ** 2) / 8)

    plain = observer().brightness(smooth)
    seen = observer(psf=POINT, transmission=TRANSMISSION).brightness(smooth)
    expected = [signal.convolve(frame * TRANSMISSION, POINT.data / POINT.flux, mode="same") for frame in plain]
    np.testing.assert_allclose(seen, expected, atol=1e-13)


@pytest.mark.parametrize("smearing", [None, 4.0, "angles"])
@pytest.mark.parametrize("angles", [ANGLES, None, [3.0, 3.0, 3.0, 8.0]])
def test_a_point_is_a_companion_of_unit_flux(smearing, angles):
    if angles is None and smearing == "angles":
        return
    seen = observer(psf=POINT, smearing=smearing, angles=angles)
    frames = seen.point(9.0, 130.0)
    expected = source_frames(SHAPE, seen.geometry, POINT, 9.0, 130.0, smearing)
    np.testing.assert_allclose(frames, expected, atol=1e-15)
    np.testing.assert_allclose(frames.sum(axis=(1, 2)), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(seen.point(450 * u.mas, 130 * u.deg), frames)


def test_a_convolved_brightness_is_as_wide_as_source_and_psf_together():
    psf, wide = (PSF(gaussian((31, 31), 15, 15, fwhm=width), width) for width in (4.0, 5.0))
    seen = observer(psf=psf).brightness(lambda e, n: np.exp(-4 * np.log(2) * ((e - 7) ** 2 + (n + 3) ** 2) / 9))
    point = observer(psf=wide).point(np.hypot(7, 3), np.rad2deg(np.arctan2(7, -3)))
    light = 9 * np.pi / (4 * np.log(2))
    np.testing.assert_allclose(seen, light * point, atol=1e-3 * light * point.max())


def test_a_point_loses_what_the_transmission_map_takes_at_its_place():
    sharp = observer(psf=POINT, transmission=np.where(radius(SHAPE[1:], CENTER) < 6, 0.25, 1.0))
    np.testing.assert_allclose(sharp.point(3.0, 40.0).sum(axis=(1, 2)), 0.25, rtol=1e-5)
    np.testing.assert_allclose(sharp.point(9.0, 40.0).sum(axis=(1, 2)), 1.0, rtol=1e-5)


def test_a_point_outside_all_frames_is_an_error_and_outside_some_a_warning():
    with pytest.raises(ValueError, match="'separation' must be such that the companion is inside the frame"):
        observer(psf=POINT).point(60.0, 0.0)
    some = observer(psf=POINT, shape=(3, 41, 21), angles=[0.0, 90.0, 90.0], center=(10, 20))
    with pytest.warns(GeometryWarning, match="is outside the frame in 2 of 3 frames"):
        some.point(15.0, 0.0)


@pytest.mark.parametrize("smearing", [15.0, np.array([0.0, 5.0, 10.0, 30.0])])
def test_a_turn_during_the_exposure_draws_an_image_out(smearing):
    image = gaussian(SHAPE[1:], *place(center_pixel(SHAPE[1:]), 10.0, 130.0), fwhm=4.0)
    seen = observer(smearing=smearing).image(image, convolved=True)
    for frame, angle, turn in zip(seen, ANGLES, np.broadcast_to(smearing, 4), strict=True):
        moments = angle + turn * ((np.arange(200) + 0.5) / 200 - 0.5)
        expected = point_sources(SHAPE[1:], CENTER, 10.0, 130.0, moments, fwhm=4.0).mean(axis=0)
        np.testing.assert_allclose(frame, expected, atol=0.02)


def test_a_turn_during_the_exposure_draws_a_brightness_function_out():
    image = gaussian(SHAPE[1:], *place(center_pixel(SHAPE[1:]), 10.0, 130.0), fwhm=4.0)
    east, north = 10 * np.sin(np.deg2rad(130)), 10 * np.cos(np.deg2rad(130))
    seen = observer(smearing=12.0)
    drawn = seen.brightness(lambda e, n: np.exp(-4 * np.log(2) * ((e - east) ** 2 + (n - north) ** 2) / 16))
    np.testing.assert_allclose(drawn, seen.image(image, convolved=True), atol=0.01)


@pytest.mark.parametrize("parity", [1, -1])
def test_a_turned_sky_is_turned_east_of_north(parity):
    straight = observer(psf=POINT, parity=parity)
    turned = straight.turned(35.0)
    np.testing.assert_allclose(turned.point(9.0, 130.0), straight.point(9.0, 165.0), atol=1e-15)
    middle = center_pixel(SHAPE[1:])
    images = [gaussian(SHAPE[1:], *place(middle, 9.0, pa), fwhm=5.0) for pa in (130.0, 165.0)]
    np.testing.assert_allclose(
        turned.image(images[0], convolved=False), straight.image(images[1], convolved=False), atol=5e-3
    )


def test_a_turned_sky_without_angles_is_turned_as_well():
    straight = observer(psf=POINT, angles=None)
    np.testing.assert_allclose(straight.turned(20.0).point(9, 10), straight.point(9, 30), atol=1e-15)


@pytest.mark.parametrize("smearing", [None, 9.0, [0.0, 0.0, 5.0, 2.0]])
@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.filterwarnings("ignore:the image has:astronmf.exceptions.GeometryWarning")  # to its very edge
@pytest.mark.parametrize(("ratio", "shape"), [(1.0, (41, 43)), (0.4, (90, 95)), (1.7, (28, 30)), (1.0, (12, 9))])
def test_kept_rotations_do_what_interpolation_does(ratio, shape, parity, smearing):
    parts = {"psf": POINT, "transmission": TRANSMISSION, "smearing": smearing, "parity": parity}
    image = ring(shape, 3.0, 1.0) + 0.1
    slow = observer(**parts).image(image, ratio=ratio, center=(5.5, 4.0), convolved=False)
    kept = observer(**parts, cached=True)
    for _ in range(2):
        fast = kept.image(image, ratio=ratio, center=(5.5, 4.0), convolved=False)
        np.testing.assert_allclose(fast, slow, atol=1e-10)


def test_kept_rotations_follow_the_angle_and_the_pixels_of_each_call():
    slow, kept = observer(), observer(cached=True)
    for degrees in (0.0, 30.0, 0.0):
        for ratio in (1.0, 0.5, 1.0):
            one, other = (some.turned(degrees).image(ring(), ratio=ratio, convolved=True) for some in (slow, kept))
            np.testing.assert_allclose(other, one, atol=1e-10)


def test_what_would_take_too_much_memory_is_not_kept(monkeypatch):
    monkeypatch.setattr(observing_module, "LARGEST_CACHE", 1000)
    kept = observer(cached=True)
    np.testing.assert_array_equal(kept.image(ring(), convolved=True), observer().image(ring(), convolved=True))


def test_an_image_is_left_untouched():
    image = ring()
    observer(psf=POINT, cached=True).image(image, convolved=False)
    np.testing.assert_array_equal(image, ring())


def test_single_precision_images_are_computed_in_double():
    single = ring().astype(np.float32)
    seen = observer().image(single, convolved=True)
    assert seen.dtype == np.float64
    np.testing.assert_array_equal(seen, observer().image(single.astype(float), convolved=True))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"transmission": np.ones((5, 5))}, r"'transmission' must be of shape \(41, 43\)"),
        ({"transmission": np.full(SHAPE[1:], np.nan)}, "'transmission' must be finite everywhere, got 1763 NaN or Inf"),
        ({"transmission": np.full(SHAPE[1:], -1.0)}, "'transmission' must be non-negative"),
        (
            {"transmission": np.full(SHAPE[1:], 50.0)},
            "'transmission' must be the share of the .*, got up to 50",
        ),
        ({"psf": np.ones((5, 5))}, "'psf' must be a PSF"),
        ({"angles": [1.0, 2.0]}, r"'angles' must be of shape \(4,\)"),
    ],
)
def test_parts_that_make_no_sense_are_errors(parts, message):
    with pytest.raises(ValueError, match=message):
        observer(**parts)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o: o.image(ring(), convolved=False), "'psf' must be given, for a source that is not convolved yet"),
        (lambda o: o.point(3, 4), "'psf' must be given, for a source that is not convolved yet"),
        (lambda o: o.image(np.full((5, 5), np.nan), convolved=True), "'values' must be finite everywhere .* 25 NaN"),
        (lambda o: o.image(np.ones(5), convolved=True), r"'values' must be of shape \(any, any\)"),
        (lambda o: o.image(ring(), ratio=0.0, convolved=True), "'ratio' must be a number above 0"),
        (lambda o: o.image(ring(), center=(np.nan, 1), convolved=True), "'center' must be a finite number"),
        (lambda o: o.brightness(lambda e, n: 1.0), r"'function' must be of shape \(41, 43\), got \(\)"),
        (lambda o: o.brightness(lambda e, n: e * np.nan), "'function' must be such that brightness is finite"),
        (lambda o: o.brightness(np.hypot, oversampling=0), "'oversampling' must be an integer of at least 1"),
    ],
)
def test_what_cannot_be_observed_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call(observer())
