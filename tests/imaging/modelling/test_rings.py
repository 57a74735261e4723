import pickle
from dataclasses import FrozenInstanceError

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imaging_helpers import gaussian

from astronmf.imaging.geometry import Geometry, sky_position
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.rings import EdgeOnDisk, Ring
from astronmf.imaging.psf import PSF

RING = Ring(30.0, 60.0, 40.0, inner_width=3.0)
EDGE = EdgeOnDisk(128.0, height=3.0, break_radius=30.0, inner_slope=-1.5, outer_slope=-4.5, core=3.0)
SHAPE = (181, 181)

RINGS = {
    "plain": {},
    "face-on": {"inclination": 0},
    "forward": {"g": 0.8, "inclination": 75},
    "backward": {"g": -0.6},
    "two widths": {"outer_width": 7.0},
    "wide": {"inner_width": 18.0, "outer_width": 7.0},
    "offset": {"offset_along": 8.0, "offset_across": -5.0, "g": 0.4},
    "turned over": {"inclination": 130, "g": 0.4},
    "thick": {"height": 3.0, "g": 0.6},
    "edge-on": {"height": 2.0, "inclination": 90, "g": 0.4},
    "beyond edge-on": {"height": 2.0, "inclination": 93},
    "offset and thick": {"height": 2.0, "offset_across": 9.0, "g": 0.3},
    "narrow": {"inner_width": 0.5, "inclination": 70},
}


def at(model, separation, position_angle):
    turn = np.deg2rad(position_angle)
    return float(model.brightness(separation * np.sin(turn), separation * np.cos(turn)))


def projected(ring, side):
    """Return how far from the star the ridge meets the minor axis."""
    return ring.radius * abs(np.cos(np.deg2rad(ring.inclination))) * side


@pytest.mark.parametrize("options", RINGS.values(), ids=RINGS)
def test_the_pixels_of_a_ring_sum_to_its_flux(options):
    ring = RING.with_parameters(flux=7.0, **options)
    assert ring.image(SHAPE).sum() == pytest.approx(7.0, rel=1e-3)


@given(
    inclination=st.floats(0, 180),
    g=st.floats(-0.9, 0.9),
    height=st.floats(1.0, 5.0),
    along=st.floats(-12, 12),
    across=st.floats(-12, 12),
    widths=st.tuples(st.floats(1.5, 8), st.floats(1.5, 8)),
)
@settings(max_examples=15, deadline=None)
def test_the_flux_is_kept_whatever_the_ring(inclination, g, height, along, across, widths):
    ring = Ring(
        30, inclination, 17, inner_width=widths[0], outer_width=widths[1], g=g, height=height,
        offset_along=along, offset_across=across, flux=2.0,
    )  # fmt: skip
    assert ring.image((221, 221)).sum() == pytest.approx(2.0, rel=1e-3)


def test_a_face_on_ring_is_round_and_brightest_at_its_radius():
    ring = RING.with_parameters(inclination=0, g=0.5)
    separations = np.linspace(20, 40, 201)
    profiles = [[at(ring, r, angle) for r in separations] for angle in (0, 77, 200)]
    np.testing.assert_allclose(profiles[1:], [profiles[0]] * 2, rtol=1e-9)
    np.testing.assert_allclose(profiles[0] / np.max(profiles[0]), np.exp(-0.5 * ((separations - 30) / 3) ** 2))


def test_the_major_axis_is_at_the_position_angle_east_of_north():
    image = RING.image(SHAPE)
    for angle in (40, 220):
        x, y = sky_position(SHAPE, 30, angle)
        assert image[round(y), round(x)] > 0.7 * image.max()
    x, y = sky_position(SHAPE, 30, 130)
    assert image[round(y), round(x)] < 1e-3 * image.max()


@pytest.mark.parametrize(("inclination", "near"), [(60, 130), (120, 310)])
@pytest.mark.parametrize("height", [0.0, 1.0])
def test_forward_scattering_makes_the_near_side_the_brighter_one(inclination, near, height):
    ring = RING.with_parameters(inclination=inclination, g=0.5, height=height)
    distance = projected(ring, 1)
    ratio = at(ring, distance, near) / at(ring, distance, near + 180)
    sine = np.sin(np.deg2rad(60))
    expected = ((1.25 + sine) / (1.25 - sine)) ** 1.5
    assert ratio == pytest.approx(expected, rel=1e-6 if height == 0 else 0.05)
    backwards = ring.with_parameters(g=-0.5)
    assert at(backwards, distance, near) < at(backwards, distance, near + 180)


def test_an_offset_moves_the_ring_in_its_own_plane_and_brightens_the_pericentre():
    ring = RING.with_parameters(offset_along=5.0)
    assert at(ring, 35, 40) > 0.3 * at(ring, 25, 220)
    assert at(ring, 25, 220) / at(ring, 35, 40) == pytest.approx((35 / 25) ** 2)
    across = RING.with_parameters(offset_across=5.0)
    x, y = sky_position(SHAPE, 35 * 0.5, 130)  # the near side, foreshortened
    image = across.image(SHAPE, oversampling=3)
    assert image[round(y), round(x)] > 0.9 * image[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].max()


def test_inner_and_outer_width_are_on_their_sides():
    ring = RING.with_parameters(inner_width=2.0, outer_width=6.0)
    inside, ridge, outside = (at(ring, r, 40) for r in (28, 30, 36))
    assert inside / ridge == pytest.approx(np.exp(-0.5))
    assert outside / ridge == pytest.approx(np.exp(-0.5))


def test_an_edge_on_ring_is_as_thick_as_its_height():
    ring = RING.with_parameters(inclination=90, height=2.0)
    across = np.deg2rad(130)
    off = [float(ring.brightness(v * np.sin(across), v * np.cos(across))) for v in (0, 2, 4)]
    np.testing.assert_allclose(np.divide(off, off[0]), np.exp([0, -0.5, -2]), rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"offset_along": 4.0, "g": 0.3}, {"height": 2.0, "inclination": 88.0}])
def test_brightness_is_smooth_in_every_parameter(options):
    ring = RING.with_parameters(**({"outer_width": 4.0, "g": 0.1} | options))
    names = [name for name in ("radius", *Ring.LENGTHS[1:], *Ring.DIRECTIONS, "g") if getattr(ring, name)]
    for name in names:
        values = getattr(ring, name) + 1e-3 * np.arange(-3, 4)
        images = np.array([ring.with_parameters(**{name: value}).image((81, 81)) for value in values])
        bends = np.diff(images, n=3, axis=0)
        assert np.abs(bends).max() < 2e-5 * images.max(), name


def test_frames_are_the_image_turned_by_their_angles():
    geometry = Geometry(center=(40.0, 41.0), angles=np.array([0.0, 90.0]))
    frames = RING.with_parameters(g=0.3).frames(Observer(geometry, (2, 82, 81)))
    image = RING.with_parameters(g=0.3).image((82, 81), center=(40, 41))
    np.testing.assert_allclose(frames[0], image, atol=1e-14)
    middle = frames[:, 41 - 35 : 41 + 36, 40 - 35 : 40 + 36]
    counter_clockwise = np.rot90(middle[1], -1)  # rows go up here
    np.testing.assert_allclose(counter_clockwise, middle[0], atol=1e-14)
    assert frames.dtype == np.float64


def test_frames_are_convolved_and_keep_their_flux():
    psf = PSF(gaussian((21, 21), 10, 10, fwhm=4.0), 4.0)
    observer = Observer(Geometry(center=(60.0, 60.0)), (1, 121, 121), psf=psf)
    assert RING.frames(observer).sum() == pytest.approx(1.0, rel=1e-3)
    assert RING.frames(observer).max() < 0.9 * RING.image((121, 121)).max()


@pytest.mark.parametrize("model", [RING, EDGE], ids=["ring", "edge-on"])
def test_a_picture_has_the_star_at_its_middle_or_where_it_is_told(model):
    whole = model.image((60, 61))
    y, x = np.indices((60, 61))
    np.testing.assert_array_equal(whole, model.brightness(30 - x, y - 30))
    np.testing.assert_allclose(model.image((60, 61), center=(33, 28))[:50, 10:], whole[2:52, 7:58], rtol=1e-12)


@pytest.mark.parametrize("model", [RING, EDGE], ids=["ring", "edge-on"])
def test_brightness_takes_numbers_and_arrays_that_broadcast(model):
    east, north = np.arange(5)[:, None], np.arange(7, dtype=np.float32)
    grid = model.brightness(east, north)
    assert grid.shape == (5, 7)
    assert grid.dtype == np.float64
    assert model.brightness(3, 4.0) == grid[3, 4]


def test_narrow_models_are_sampled_more_finely_by_themselves():
    narrow = RING.with_parameters(inner_width=0.3, inclination=80)
    assert narrow.image(SHAPE, oversampling=1).sum() != pytest.approx(1, rel=5e-3)
    assert narrow.image(SHAPE).sum() == pytest.approx(1, rel=1e-3)
    with pytest.raises(ValueError, match=r"'oversampling' must be at most 25, got \d+, which a part of 0\.00"):
        RING.with_parameters(inner_width=0.01).image(SHAPE)


@pytest.mark.parametrize("model", [RING, EDGE], ids=["ring", "edge-on"])
def test_models_are_frozen_comparable_and_can_be_sent_to_other_processes(model):
    with pytest.raises(FrozenInstanceError):
        model.position_angle = 3.0
    assert pickle.loads(pickle.dumps(model)) == model
    assert model.with_parameters(position_angle=3).with_parameters(position_angle=model.position_angle) == model
    with pytest.raises(ValueError, match=r"'parameters' must be some of .*position_angle.*, got azimuth"):
        model.with_parameters(azimuth=3)


def test_the_outer_width_follows_the_inner_one_unless_it_is_given():
    assert RING.outer_width is None
    two = RING.with_parameters(outer_width=3.0)
    np.testing.assert_array_equal(two.image((71, 71)), RING.image((71, 71)))


def test_lengths_are_pixels_or_angles_with_a_pixel_scale():
    quantities = Ring(30 * u.pix, 1.0471975512 * u.rad, 40 * u.deg, inner_width=3 * u.pix)
    np.testing.assert_allclose(quantities.image(SHAPE), RING.image(SHAPE), atol=1e-12)
    for radius, width in ((1.5, 0.15), (1500 * u.mas, 0.15)):
        ring = Ring.from_arcsec(0.05, radius=radius, inclination=60.0, position_angle=40.0, inner_width=width)
        assert (ring.radius, ring.inner_width, ring.outer_width) == (pytest.approx(30), pytest.approx(3), None)
    disk = EdgeOnDisk.from_arcsec(
        50 * u.mas, position_angle=128.0, height=0.15, break_radius=1.5, inner_slope=-1.5, outer_slope=-4.5, core=0.15
    )
    np.testing.assert_allclose(disk.image(SHAPE), EDGE.image(SHAPE))
    with pytest.raises(ValueError, match="'radius' must be in pixels, where 'pixel_scale' is not known"):
        Ring(1.5 * u.arcsec, 60, 40, inner_width=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radius": 0}, "'radius' must be a number above 0"),
        ({"inner_width": -1.0}, "'inner_width' must be a number above 0"),
        ({"radius": np.nan}, "'radius' must be a finite number, got nan"),
        ({"flux": np.inf}, "'flux' must be a finite number"),
        ({"g": 1.0}, r"'g' must be a number in \[-0.99, 0.99\]"),
        ({"inclination": -1}, r"'inclination' must be a number in \[0.0, 180.0\]"),
        ({"inclination": 86}, "at least 5 degrees from 90 for a flat ring, got 86; give a 'height' above 0"),
        ({"height": -0.1}, "'height' must be a number in"),
        ({"offset_along": 20, "offset_across": 20}, "the centre is at most 0.9 of radius=30 from the star, got one of"),
        ({"position_angle": "north"}, "'position_angle' must be a finite number, got 'north'"),
    ],
)
def test_a_ring_that_cannot_be_is_an_error(changes, message):
    with pytest.raises(ValueError, match=message):
        RING.with_parameters(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core": 0}, "'core' must be a number above 0"),
        ({"outer_slope": -1.0}, "'outer_slope' must be at most inner_slope=-1.5, got -1"),
        ({"wings": 2.0}, r"'wings' must be a number in \[0.0, 1.9\]"),
        ({"asymmetry": 1.1}, "'asymmetry' must be a number in"),
        ({"sharpness": 0}, "'sharpness' must be a number in"),
    ],
)
def test_an_edge_on_disk_that_cannot_be_is_an_error(changes, message):
    with pytest.raises(ValueError, match=message):
        EDGE.with_parameters(**changes)


def test_the_amplitude_of_an_edge_on_disk_is_its_brightness_at_the_break():
    disk = EDGE.with_parameters(flux_at_break=5.0, asymmetry=0.25)
    sides = [at(disk, 30, angle) for angle in (128, 308)]
    assert np.mean(sides) == pytest.approx(5.0)
    assert sides[0] > sides[1]
    assert np.diff(sides)[0] == pytest.approx(-2 * 5 * 0.25 * 30 / np.hypot(30, 3))


def test_the_slopes_of_an_edge_on_disk_are_those_of_its_brightness():
    disk = EDGE.with_parameters(core=0.01)
    for near, far, slope in ((0.5, 1.0, -1.5), (500, 1000, -4.5)):
        assert np.log2(at(disk, far, 128) / at(disk, near, 128)) == pytest.approx(slope, abs=0.01)


@pytest.mark.parametrize("wings", [0.0, 0.4, 1.0])
def test_the_width_across_an_edge_on_disk_is_that_of_the_docstring(wings):
    disk = EDGE.with_parameters(wings=wings, offset=2.0)
    half = 3 * np.sqrt(2 * (np.log(2) if wings == 0 else (2**wings - 1) / wings))
    across, along = np.deg2rad(218), 30 * np.array([np.sin(np.deg2rad(128)), np.cos(np.deg2rad(128))])

    def off(v):
        return float(disk.brightness(along[0] + v * np.sin(across), along[1] + v * np.cos(across)))

    assert off(2.0) == pytest.approx(1.0)  # the midplane is shifted towards position_angle + 90
    assert off(2.0 + half) == pytest.approx(0.5)
    assert off(2.0 - half) == pytest.approx(0.5)
