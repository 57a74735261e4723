"""The ring's kernels against the same physics in plain loops, and against closed forms."""

from itertools import pairwise
from math import atan2, cos, erf, exp, hypot, pi, radians, sin, sqrt

import numpy as np
import pytest
from scipy.special import ellipe

from astronmf.kernels.ring import RingShape, flat_ring, ring_total, scattered, thick_ring

RINGS = {
    "plain": {},
    "face-on": {"inclination": 0.0},
    "turned over": {"inclination": 130.0, "g": -0.3, "position_angle": 250.0},
    "two widths": {"inner_width": 2.0, "outer_width": 6.0, "g": 0.7},
    "offset": {"offset_along": 5.0, "offset_across": -3.0, "position_angle": -20.0},
}
HEIGHTS = {"thin": 0.4, "thick": 2.5}
EAST, NORTH = (axis.ravel() for axis in np.meshgrid(np.arange(-36.0, 37.0, 6.0), np.arange(-34.0, 35.0, 4.0)))


def ring(
    *, radius=24.0, inner_width=3.0, outer_width=3.0, height=0.0, inclination=55.0, position_angle=35.0, g=0.4,
    offset_along=0.0, offset_across=0.0
):  # fmt: skip
    tilt, turn = radians(inclination), radians(position_angle)
    return RingShape(
        radius, inner_width, outer_width, height, cos(tilt), sin(tilt), g, offset_along, offset_across, cos(turn),
        sin(turn),
    )  # fmt: skip


def henyey_greenstein(g, cosine):
    return (1 - g**2) / (4 * pi * (1 + g**2 - 2 * g * cosine) ** 1.5)


def emission(shape, x, y, z):
    """Return density times light times phase function at a place in the ring's own axes, from the star."""
    out_along, out_across = x - shape.offset_along, y - shape.offset_across
    r = hypot(out_along, out_across)
    width = shape.inner_width if r < shape.radius else shape.outer_width
    density = exp(-0.5 * ((r - shape.radius) / width) ** 2)
    azimuth = atan2(out_across, out_along)
    ridge = (shape.offset_along + shape.radius * cos(azimuth), shape.offset_across + shape.radius * sin(azimuth))
    towards_us = (0.0, shape.sine, shape.cosine)
    distance = sqrt(x * x + y * y + z * z)
    cosine = (x * towards_us[0] + y * towards_us[1] + z * towards_us[2]) / distance if distance else 0.0
    light = shape.radius**2 / (ridge[0] ** 2 + ridge[1] ** 2)
    return density * light * henyey_greenstein(shape.asymmetry, cosine)


def on_axes(shape, east, north):
    """Return a place along and across the major axis."""
    return north * shape.north + east * shape.east, east * shape.north - north * shape.east


def flat_brightness(shape, east, north):
    along, across = on_axes(shape, east, north)
    return emission(shape, along, across / shape.cosine, 0.0) / abs(shape.cosine)


def thick_brightness(shape, east, north, step=0.1, longest=80.0):
    """Sum a line of sight in steps that are small against every width."""
    along, across = on_axes(shape, east, north)
    total = 0.0
    for i in range(int(-longest / step), int(longest / step) + 1):
        depth = i * step
        y = across * shape.cosine + depth * shape.sine
        z = depth * shape.cosine - across * shape.sine
        vertical = exp(-0.5 * (z / shape.height) ** 2) / (sqrt(2 * pi) * shape.height)
        if vertical > 1e-12:
            total += emission(shape, along, y, z) * vertical * step
    return total


def quadrature(shape, order=40):
    """Return radii and weights, and heights and weights, for the total."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    ends = (max(shape.radius - 8 * shape.inner_width, 0), shape.radius, shape.radius + 8 * shape.outer_width)
    radii, parts = [], []
    for low, high in pairwise(ends):
        r = low + 0.5 * (high - low) * (nodes + 1)
        width = shape.inner_width if high == shape.radius else shape.outer_width
        radii.append(r)
        parts.append(0.5 * (high - low) * weights * np.exp(-0.5 * ((r - shape.radius) / width) ** 2))
    if shape.height == 0:
        return np.array([np.concatenate(radii), np.concatenate(parts)]), np.array([[0.0], [1.0]])
    z, w = np.polynomial.hermite_e.hermegauss(10)
    vertical = np.array([z * shape.height, w / w.sum()])
    return np.array([np.concatenate(radii), np.concatenate(parts)]), vertical


def closed_total(shape):
    """Return the total of a centred flat ring: Gaussian integrals, and an elliptic one over azimuth."""
    radial = (
        shape.radius * shape.inner_width * sqrt(pi / 2) * erf(shape.radius / (sqrt(2) * shape.inner_width))
        - shape.inner_width**2 * (1 - exp(-0.5 * (shape.radius / shape.inner_width) ** 2))
        + shape.radius * shape.outer_width * sqrt(pi / 2)
        + shape.outer_width**2
    )
    a, b = 1 + shape.asymmetry**2, 2 * abs(shape.asymmetry) * shape.sine
    around = 4 * ellipe(2 * b / (a + b)) / ((a - b) * sqrt(a + b))
    return radial * around * (1 - shape.asymmetry**2) / (4 * pi)


@pytest.mark.parametrize("options", RINGS.values(), ids=RINGS)
def test_a_flat_ring_is_density_times_scattered_light_over_the_cosine_of_its_inclination(options, form):
    shape, out = ring(**options), np.full(EAST.size, np.nan)
    form(flat_ring)(EAST, NORTH, shape, 2.5, out)
    expected = [2.5 * flat_brightness(shape, east, north) for east, north in zip(EAST, NORTH, strict=True)]
    np.testing.assert_allclose(out, expected, rtol=1e-11, atol=2e-12 * max(expected))
    assert max(expected) > 0


@pytest.mark.parametrize("height", HEIGHTS.values(), ids=HEIGHTS)
@pytest.mark.parametrize("options", [*RINGS.values(), {"inclination": 90.0}], ids=[*RINGS, "edge-on"])
def test_a_thick_ring_is_the_integral_along_the_line_of_sight(options, height, form):
    some = slice(None, None, 3)
    shape, out = ring(height=height, **options), np.full(EAST[some].size, np.nan)
    form(thick_ring)(EAST[some], NORTH[some], shape, 2.5, out)
    expected = [2.5 * thick_brightness(shape, *place) for place in zip(EAST[some], NORTH[some], strict=True)]
    even = shape.inner_width == shape.outer_width
    np.testing.assert_allclose(out, expected, rtol=0, atol=(1e-5 if even else 1e-3) * max(expected))


def test_a_very_thin_ring_is_as_bright_as_a_flat_one(form):
    flat, thin = np.empty(EAST.size), np.empty(EAST.size)
    form(flat_ring)(EAST, NORTH, ring(), 1.0, flat)
    form(thick_ring)(EAST, NORTH, ring(height=0.02), 1.0, thin)
    np.testing.assert_allclose(thin, flat, rtol=0, atol=1e-3 * flat.max())


def test_places_far_from_the_ridge_are_exactly_0(form):
    far, out = np.array([0.0, 200.0]), np.full(2, np.nan)
    for kernel, height in ((flat_ring, 0.0), (thick_ring, 1.0)):
        form(kernel)(far, 0 * far, ring(inner_width=2.0, height=height), 1.0, out)
        np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize(("g", "inclination"), [(0.0, 0.0), (0.5, 60.0), (-0.9, 80.0)])
def test_the_total_of_a_centred_flat_ring_has_a_closed_form(g, inclination, form):
    shape = ring(g=g, inclination=inclination, outer_width=5.0)
    found = form(ring_total)(shape, quadrature(shape)[0], 160, np.array([[0.0], [1.0]]))
    assert found == pytest.approx(closed_total(shape), rel=1e-9)


@pytest.mark.parametrize("height", [0.0, 2.0])
def test_the_total_is_the_sum_of_all_that_is_emitted(height, form):
    shape = ring(offset_along=6.0, offset_across=2.0, g=0.3, height=height)
    radial, vertical = quadrature(shape, 10)
    found = form(ring_total)(shape, radial, 24, vertical)
    expected = 0.0
    for azimuth in np.arange(24) * (2 * pi / 24):
        for r, part in radial.T:
            density = exp(-0.5 * ((r - shape.radius) / 3.0) ** 2)
            for z, share in vertical.T:
                x, y = r * cos(azimuth) + shape.offset_along, r * sin(azimuth) + shape.offset_across
                expected += emission(shape, x, y, z) / density * part * r * share * 2 * pi / 24
    assert found == pytest.approx(expected, rel=1e-11)


def test_at_the_star_itself_scattering_has_no_direction(form):
    assert form(scattered)(ring(g=0.5), 0.0, 0.0, 0.0, 0.0) == pytest.approx(henyey_greenstein(0.5, 0.0))
