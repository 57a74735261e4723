import astropy.units as u
import numpy as np
import pytest
from helpers import read_only
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import centroid, gaussian, place

from astronmf.imaging import Geometry
from astronmf.imaging.geometry import (
    annulus,
    center_pixel,
    fill_missing,
    from_sky,
    in_degrees,
    in_pixels,
    polar,
    radius,
    sky_position,
    to_sky,
)

ANGLES = (0.0, 30.0, 90.0, 137.5, -75.0, 333.3)
FRAMES = {
    "odd": ((41, 41), (20.0, 20.0)),
    "odd, off centre": ((41, 41), (18.3, 22.6)),
    "even, n/2": ((40, 40), (20.0, 20.0)),
    "even, (n-1)/2": ((40, 40), (19.5, 19.5)),
    "even and odd": ((40, 45), (21.25, 19.75)),
}

every_angle = pytest.mark.parametrize("angle", ANGLES)
every_frame = pytest.mark.parametrize(("shape", "center"), FRAMES.values(), ids=FRAMES)
every_parity = pytest.mark.parametrize("parity", [1, -1])


def geometry_of(center, angle, parity=1):
    return Geometry(center=center, angles=[angle], parity=parity)


@every_angle
@every_frame
@every_parity
def test_a_source_lands_at_its_separation_and_position_angle(shape, center, angle, parity):
    detector = gaussian(shape, *place(center, 10.0, 70.0, angle, parity))
    sky = to_sky(detector, geometry_of(center, angle, parity), 0)
    np.testing.assert_allclose(centroid(sky), place(center_pixel(shape), 10.0, 70.0), atol=0.02)


@every_angle
@every_frame
@every_parity
def test_a_source_on_the_sky_lands_on_the_detector(shape, center, angle, parity):
    sky = gaussian(shape, *place(center_pixel(shape), 10.0, 250.0))
    detector = from_sky(sky, geometry_of(center, angle, parity), 0)
    np.testing.assert_allclose(centroid(detector), place(center, 10.0, 250.0, angle, parity), atol=0.02)


@every_angle
@every_frame
@every_parity
def test_turning_there_and_back_changes_nothing_of_a_smooth_image(shape, center, angle, parity):
    image = gaussian(shape, center[0] + 3, center[1] - 4, fwhm=6) - 0.4 * gaussian(shape, *center, fwhm=8)
    geometry = geometry_of(center, angle, parity)
    back = from_sky(to_sky(image, geometry, 0), geometry, 0)
    inner = radius(shape, center) < 13
    np.testing.assert_allclose(back[inner], image[inner], atol=2e-3)


@every_angle
@every_frame
def test_the_flux_of_a_smooth_source_is_kept(shape, center, angle):
    image = gaussian(shape, *place(center, 8.0, 45.0, angle), fwhm=4)
    assert np.nansum(to_sky(image, geometry_of(center, angle), 0)) == pytest.approx(image.sum(), rel=3e-3)


def test_positive_angles_turn_counter_clockwise():
    image = gaussian((21, 21), 10, 16)  # on +y: its position angle is the frame's own
    turned = to_sky(image, geometry_of((10, 10), 90.0), 0)
    np.testing.assert_allclose(centroid(turned), (4, 10), atol=0.02)  # east, which is left


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_quarter_turns_move_whole_pixels(quarter):
    image = np.random.default_rng(2).normal(size=(21, 21))
    turned = to_sky(image, geometry_of((10, 10), 90.0 * quarter), 0)
    np.testing.assert_allclose(turned, np.rot90(image, -quarter), atol=1e-9)


def test_a_mirrored_frame_without_a_turn_is_the_mirror_image():
    image = np.random.default_rng(3).normal(size=(21, 21))
    turned = to_sky(image, geometry_of((10, 10), 0.0, parity=-1), 0)
    np.testing.assert_allclose(turned, image[:, ::-1], atol=1e-9)


def test_without_angles_frames_stay_as_they_are():
    image = np.random.default_rng(4).normal(size=(21, 21))
    np.testing.assert_array_equal(to_sky(image, Geometry(center=(10, 10)), 0), image)


@pytest.mark.parametrize("shape", [(21, 21), (20, 24)])
def test_a_shift_by_whole_pixels_is_exact_and_leaves_blanks(shape):
    image = read_only(np.random.default_rng(5).normal(size=shape))
    middle = center_pixel(shape)
    moved = to_sky(image, geometry_of((middle[0] + 3, middle[1] - 2), 0.0), 0)
    np.testing.assert_array_equal(moved[2:, :-3], image[:-2, 3:])
    assert np.isnan(moved).sum() == image.size - image[:-2, 3:].size


def test_a_shift_by_whole_pixels_carries_missing_pixels_along():
    image = np.ones((21, 21))
    image[8, 5] = np.nan
    moved = to_sky(image, geometry_of((12, 10), 0.0), 0)
    assert np.isnan(moved[:, :-2]).nonzero() == (np.array([8]), np.array([3]))


def covered_share(missing, geometry):
    """Return how much of each north-up pixel comes from valid pixels: bilinear, pixel by pixel."""
    share = np.zeros(missing.shape)
    middle, angle = center_pixel(missing.shape), np.deg2rad(geometry.angle_of(0))
    for y, x in np.ndindex(missing.shape):
        east, north = -(x - middle[0]), y - middle[1]
        across = -(east * np.cos(angle) - north * np.sin(angle)) * geometry.parity + geometry.center[0]
        along = east * np.sin(angle) + north * np.cos(angle) + geometry.center[1]
        for row, column in np.ndindex(2, 2):
            i, j = int(np.floor(along)) + row, int(np.floor(across)) + column
            inside = 0 <= i < missing.shape[0] and 0 <= j < missing.shape[1]
            if inside and not missing[i, j]:
                share[y, x] += (1 - abs(along - i)) * (1 - abs(across - j))
    return share


@pytest.mark.parametrize("angle", [33.3, 200.0])
@every_parity
def test_missing_pixels_spread_by_more_than_half_and_no_further(angle, parity):
    image = np.ones((25, 25))
    image[7:9, 9:12] = image[17, 6] = np.nan
    geometry = geometry_of((12.3, 11.8), angle, parity)
    share = covered_share(np.isnan(image), geometry)
    assert np.abs(share - 0.5).min() > 1e-6  # no pixel of this example is on the edge
    np.testing.assert_array_equal(np.isnan(to_sky(image, geometry, 0)), share < 0.5)


@pytest.mark.parametrize("blank", [np.s_[15, 15], np.s_[10:13, 18:22], np.s_[5:20, 12]])
def test_missing_pixels_do_not_ring(blank):
    image = 100 + gaussian((31, 31), 13, 17, fwhm=9, peak=50)
    holed = image.copy()
    holed[blank] = np.nan
    geometry = geometry_of((15.2, 14.6), 40.0)
    difference = to_sky(holed, geometry, 0) - to_sky(image, geometry, 0)
    assert np.nanmax(np.abs(difference)) < 3.5  # zeros in place of the missing values would ring by 30 to 90


def test_infinite_pixels_are_missing_too():
    image = np.ones((21, 21))
    image[10, 14] = np.inf
    turned = to_sky(image, geometry_of((10, 10), 30.0), 0)
    assert not np.isinf(turned).any()


@pytest.mark.parametrize("turn", [to_sky, from_sky])
def test_a_frame_without_a_single_value_stays_blank(turn):
    assert np.isnan(turn(np.full((21, 21), np.nan), geometry_of((10, 10), 30.0), 0)).all()


def test_filling_keeps_what_is_known():
    image = np.random.default_rng(6).normal(size=(15, 15))
    image[3:9, 3:9] = np.nan
    filled = fill_missing(image)
    known = np.isfinite(image)
    np.testing.assert_array_equal(filled[known], image[known])
    assert np.isfinite(filled).all()


def test_inputs_of_a_turn_come_back_untouched():
    image = np.random.default_rng(7).normal(size=(15, 15))
    image[4, 4] = np.nan
    before = image.copy()
    to_sky(image, geometry_of((7, 7), 12.0), 0)
    np.testing.assert_array_equal(image, before)


def test_frames_of_even_size_need_a_centre_and_are_told_both_conventions():
    message = (
        r"'center' must be given for frames of even size \(40, 44\), got None; "
        r"it may be \(22, 20\) by the n/2 convention or \(21\.5, 19\.5\) by \(n - 1\)/2"
    )
    with pytest.raises(ValueError, match=message):
        Geometry.of_shape((40, 44))


def test_frames_of_odd_size_are_centred_on_their_middle_pixel():
    assert Geometry.of_shape((41, 43)).center == (21.0, 20.0)


@pytest.mark.parametrize("center", [(-1.0, 5.0), (5.0, 21.0), (30.0, 5.0), (5.0, -0.51)])
def test_a_centre_outside_the_frame_is_an_error(center):
    with pytest.raises(ValueError, match=r"'center' must be \(x, y\) inside the frame, x < 21 and y < 21, got"):
        Geometry.of_shape((21, 21), center)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_angle_that_is_not_finite_is_named_with_its_frame(value):
    with pytest.raises(
        ValueError, match=r"'angles' must be finite degrees, got (nan|inf) for frame 2 \(1 such frames\)"
    ):
        Geometry(center=(5, 5), angles=[0.0, 1.0, value])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"parity": 2}, "'parity' must be one of 1, -1, got 2"),
        ({"pixel_scale": 0.0}, "'pixel_scale' must be a number above 0"),
        ({"pixel_scale": np.nan}, "'pixel_scale' must be a number above 0"),
        ({"angles": [[1.0, 2.0]]}, "'angles' must be of shape"),
        ({"center": (np.nan, 3.0)}, "'center' must be a finite number, got nan"),
    ],
)
def test_each_part_of_a_geometry_is_checked(parts, message):
    with pytest.raises(ValueError, match=message):
        Geometry(**({"center": (5, 5)} | parts))


def test_a_selection_keeps_the_angles_of_its_frames():
    geometry = Geometry(center=(5, 5), angles=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(geometry.select([2, 0]).angles, [3.0, 1.0])
    assert geometry.select(1).angle_of(0) == 2.0


def test_an_annulus_includes_both_of_its_radii():
    chosen = annulus((11, 11), (5, 5), 3, 4)
    np.testing.assert_array_equal(chosen[5], [0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0])


def test_an_annulus_without_limits_is_everything():
    assert annulus((5, 7), (3, 2), None, None).all()


def test_an_annulus_that_leaves_nothing_is_an_error():
    message = "'outer_radius' must be such that pixels lie between it and inner_radius=8, got 7"
    with pytest.raises(ValueError, match=message):
        annulus((21, 21), (10, 10), 8, 7)


@pytest.mark.parametrize("name", ["inner_radius", "outer_radius"])
def test_a_negative_radius_is_an_error(name):
    radii = {"inner_radius": None, "outer_radius": None} | {name: -1}
    with pytest.raises(ValueError, match=f"'{name}' must be a number in"):
        annulus((21, 21), (10, 10), *radii.values())


@every_frame
@every_parity
def test_positions_are_where_a_turn_takes_a_source_from(shape, center, parity):
    geometry = Geometry(center=center, angles=ANGLES, parity=parity)
    middle = sky_position(shape, 10.0, 70.0)
    for i, (x, y) in enumerate(geometry.positions(10.0, 70.0)):
        np.testing.assert_allclose(centroid(to_sky(gaussian(shape, x, y), geometry, i)), middle, atol=0.02)


@every_parity
def test_positions_have_a_row_for_each_frame(parity):
    geometry = Geometry(center=(20.3, 19.1), angles=ANGLES, parity=parity)
    expected = [place(geometry.center, 7.0, 211.0, angle, parity) for angle in ANGLES]
    np.testing.assert_allclose(geometry.positions(7.0, 211.0), expected)


def test_without_angles_there_is_one_position():
    np.testing.assert_allclose(Geometry(center=(20, 20)).positions(5.0, 90.0), [[15, 20]], atol=1e-12)


def test_positions_take_angles_on_the_sky():
    geometry = Geometry(center=(20, 20), angles=[0.0, 40.0], pixel_scale=0.05)
    np.testing.assert_allclose(geometry.positions(350 * u.mas, 0.5 * u.rad), geometry.positions(7.0, np.rad2deg(0.5)))


def test_north_is_up_and_east_is_left_on_the_combined_image():
    np.testing.assert_allclose(sky_position((21, 31), [4.0, 4.0], [0.0, 90.0]), ([15, 11], [14, 10]), atol=1e-12)


@given(separation=st.floats(1e-3, 1e3), angle=st.floats(0, 359.999))
def test_polar_is_the_reverse_of_a_sky_position(separation, angle):
    x, y = sky_position((41, 40), separation, angle)
    distance, turn = polar(center_pixel((41, 40)), x, y)
    assert distance == pytest.approx(separation, abs=1e-9)
    assert abs((turn - angle + 180) % 360 - 180) < 1e-6


@pytest.mark.parametrize(("x", "y"), [(5, 9), (5 + 1e-20, 9), (5 + 1e-15, 9), (5, 1), (9, 5)])
def test_position_angles_are_below_a_full_turn(x, y):
    assert 0 <= polar((5, 5), x, y)[1] < 360


def test_polar_takes_arrays():
    distance, angle = polar((5, 5), [5, 1, 5], [9, 5, 2])
    np.testing.assert_allclose(distance, [4, 4, 3])
    np.testing.assert_allclose(angle, [0, 90, 180])


def test_lengths_and_angles_lose_their_units():
    assert in_pixels("r", 3 * u.pix, None) == 3
    assert in_pixels("r", 0.1 * u.arcsec, 0.05) == pytest.approx(2)
    np.testing.assert_array_equal(in_pixels("r", [1, 2], None), [1.0, 2.0])
    assert in_degrees("a", 1 * u.arcmin) == pytest.approx(1 / 60)


def test_an_angle_without_a_pixel_scale_is_an_error():
    with pytest.raises(ValueError, match=r"'r' must be in pixels, where 'pixel_scale' is not known, got 1\.0 arcsec"):
        in_pixels("r", 1 * u.arcsec, None)


@pytest.mark.parametrize("convert", [lambda v: in_pixels("r", v, None), lambda v: in_degrees("r", v)])
def test_a_place_that_is_not_finite_is_an_error(convert):
    with pytest.raises(ValueError, match="'r' must be finite, got 1 NaN or Inf"):
        convert([1.0, np.nan])
