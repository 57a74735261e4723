from math import cos, exp, radians, sin, sqrt

import numpy as np
import pytest

from astronmf.kernels.edge_on import EdgeOnShape, edge_on_disk

DISKS = {
    "plain": {},
    "one slope": {"inner_slope": -2.0, "outer_slope": -2.0},
    "rising inside": {"inner_slope": 1.5, "outer_slope": -4.0, "sharpness": 6.0},
    "winged": {"wings": 0.5},
    "Lorentzian": {"wings": 1.0, "offset": 1.5, "asymmetry": -0.4},
    "sudden": {"sharpness": 100.0},
}
EAST, NORTH = (axis.ravel() for axis in np.meshgrid(np.arange(-40.0, 41.0, 8.0), np.arange(-40.0, 41.0, 5.0)))


def disk(
    *, break_radius=20.0, inner_slope=-1.5, outer_slope=-4.5, sharpness=2.0, core=3.0, height=4.0, wings=0.0,
    offset=0.0, asymmetry=0.2, position_angle=130.0
):  # fmt: skip
    turn = radians(position_angle)
    return EdgeOnShape(
        break_radius, inner_slope, outer_slope, sharpness, core, height, wings, offset, asymmetry, cos(turn), sin(turn)
    )


def brightness(shape, east, north):
    """Return the formula of the kernel's docstring at one place."""
    s = north * shape.north + east * shape.east
    v = east * shape.north - north * shape.east - shape.offset
    x = sqrt(s * s + shape.core**2) / sqrt(shape.break_radius**2 + shape.core**2)
    n = shape.sharpness
    along = (0.5 * (x ** (-n * shape.inner_slope) + x ** (-n * shape.outer_slope))) ** (-1 / n)
    sides = 1 + shape.asymmetry * s / sqrt(s * s + shape.core**2)
    half = 0.5 * (v / shape.height) ** 2
    across = exp(-half) if shape.wings == 0 else (1 + shape.wings * half) ** (-1 / shape.wings)
    return along * sides * across


@pytest.mark.parametrize("options", DISKS.values(), ids=DISKS)
def test_an_edge_on_disk_is_a_broken_power_law_along_and_a_profile_across(options, form):
    shape, out = disk(**options), np.full(EAST.size, np.nan)
    form(edge_on_disk)(EAST, NORTH, shape, 3.0, out)
    expected = [3 * brightness(shape, *place) for place in zip(EAST, NORTH, strict=True)]
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=2e-12 * max(expected))


def test_wings_go_over_into_a_gaussian_without_a_step(form):
    found = []
    for wings in (0.0, 0.9e-9, 1.1e-9, 1e-6):
        out = np.empty(EAST.size)
        form(edge_on_disk)(EAST, NORTH, disk(wings=wings), 1.0, out)
        found.append(out)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=0, atol=1e-6 * found[0].max())


def test_nothing_overflows_far_from_the_break(form):
    out = np.empty(2)
    form(edge_on_disk)(np.zeros(2), np.array([0.0, 1e6]), disk(sharpness=100.0, position_angle=0.0), 1.0, out)
    assert np.isfinite(out).all()
    assert out[0] > 1 > out[1] > 0
