"""Brightness of a disk that is seen edge-on, as a power law along its midplane and a profile across it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from astronmf._typing import FloatArray
from astronmf.kernels._jit import jit

FAINTEST = 27.6  # of a Gaussian's exponent, beyond which nothing is added: 1e-12
ALMOST_NONE = 1e-9  # wings below which the profile is the Gaussian to 1e-7


class EdgeOnShape(NamedTuple):
    """What the kernel knows of an edge-on disk, plain floats all; lengths are in pixels.

    Attributes
    ----------
    break_radius, inner_slope, outer_slope, sharpness, core
        Of the power law along the midplane.
    height, wings
        Standard deviation of the profile across it (of the Gaussian of the same curvature), and the reciprocal of
        Moffat's exponent; 0 is a Gaussian.
    offset
        Of the midplane from the star.
    asymmetry
        By which the side towards the position angle is brighter, and the other fainter.
    north, east
        Cosine and sine of the midplane's position angle.
    """

    break_radius: float
    inner_slope: float
    outer_slope: float
    sharpness: float
    core: float
    height: float
    wings: float
    offset: float
    asymmetry: float
    north: float
    east: float


@jit
def edge_on_disk(east: FloatArray, north: FloatArray, disk: EdgeOnShape, factor: float, out: FloatArray) -> None:
    """Write the brightness ``factor · S(s) · V(v)`` at distances s along the midplane and v from it.

    With ``x = √(s² + core²) / √(break² + core²)``, slopes p (inner) and q (outer), sharpness n and wings w,

        S = [½ (x^(−n p) + x^(−n q))]^(−1/n) · (1 + asymmetry · s / √(s² + core²))
        V = (1 + w v² / 2h²)^(−1/w),  or exp(−v² / 2h²) for w = 0

    Parameters
    ----------
    east, north : (m,) arrays
        Places on the sky, from the star, pixels.
    disk : EdgeOnShape
    factor
        Times which all is taken.
    out : (m,) array
        Written to. 0 where a Gaussian is below 1e-12.
    """
    softening = disk.core * disk.core
    unit = 1 / (disk.break_radius * disk.break_radius + softening)
    bend = disk.sharpness * (disk.inner_slope - disk.outer_slope)
    curvature = 1 / (disk.height * disk.height)
    for i in range(out.size):
        v = east[i] * disk.north - north[i] * disk.east - disk.offset
        exponent = 0.5 * v * v * curvature
        if disk.wings > ALMOST_NONE:
            exponent = np.log(1 + disk.wings * exponent) / disk.wings
        if not exponent < FAINTEST:
            out[i] = 0.0
            continue
        s = north[i] * disk.north + east[i] * disk.east
        square = s * s + softening
        distance = 0.5 * np.log(square * unit)
        # The larger of the two powers of x is taken out, so that neither overflows.
        turn = bend * distance
        both = max(turn, 0.0) + np.log(0.5 + 0.5 * np.exp(-abs(turn)))
        profile = disk.inner_slope * distance - both / disk.sharpness
        sides = 1 + disk.asymmetry * s / np.sqrt(square)
        out[i] = factor * sides * np.exp(profile - exponent)
