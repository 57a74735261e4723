"""Brightness of an optically thin ring that scatters a star's light, and the sum of it.

The ring's own axes: x along the major axis of its picture, y across it in the ring's plane, towards the side that is
nearer to us, z along the plane's normal. A place on the sky is (a, b), along and across the major axis, from the star;
l is the distance from the star's plane of the sky, towards us. With i the inclination,

    a = x,    b = y cos i − z sin i,    l = y sin i + z cos i

Lengths are in pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from astronmf._typing import FloatArray
from astronmf.kernels._jit import jit

# Exponents of the density beyond which nothing is added: exp(−27.6) is 1e-12, exp(−16.1) is 1e-7.
FAINTEST = 27.6
FAINTEST_SAMPLE = 16.1

# Between samples along a line of sight, in units of the standard deviation that the density has along it at the
# narrowest. Sums of a Gaussian are good to 1e-7 at 1.1 already; where the two sides of the ridge differ, its second
# derivative jumps there, and the error is 7e-4 of the peak.
SPACING = 0.8
MORE_WHERE_EVEN = 0.3


class RingShape(NamedTuple):
    """What the kernels of this module know of a ring, plain floats all.

    Attributes
    ----------
    radius, inner_width, outer_width, height
        Of the ridge, and the standard deviations of the Gaussian falls inwards, outwards, and from the plane.
    cosine, sine
        Of the inclination.
    asymmetry
        Of Henyey and Greenstein's phase function.
    offset_along, offset_across
        (x, y) of the ring's centre, the star being at (0, 0).
    north, east
        Cosine and sine of the major axis's position angle.
    """

    radius: float
    inner_width: float
    outer_width: float
    height: float
    cosine: float
    sine: float
    asymmetry: float
    offset_along: float
    offset_across: float
    north: float
    east: float


@jit
def scattered(ring: RingShape, x: float, y: float, z: float, r: float) -> float:
    """Return the phase function times the star's light on the ridge, in units of that on a centred ridge.

    Henyey & Greenstein (1941) with unit integral over the sphere, seen from the star: θ = 0 scatters towards us. The
    star's light falls with the square of the distance from the star to the ridge at the same azimuth.

    Parameters
    ----------
    ring : RingShape
    x, y, z
        From the ring's centre.
    r
        ``hypot(x, y)``.
    """
    from_star = y + ring.offset_across
    distance = np.sqrt((x + ring.offset_along) ** 2 + from_star * from_star + z * z)
    cosine = (from_star * ring.sine + z * ring.cosine) / distance if distance > 0 else 0.0
    g = ring.asymmetry
    width = 1 + g * g - 2 * g * cosine
    offset = ring.offset_along * ring.offset_along + ring.offset_across * ring.offset_across
    light = 1.0
    if offset > 0:
        turn = (ring.offset_along * x + ring.offset_across * y) / r if r > 0 else 0.0
        light = ring.radius * ring.radius / (ring.radius * ring.radius + offset + 2 * ring.radius * turn)
    return float((1 - g * g) / (4 * np.pi) * light / (width * np.sqrt(width)))


@jit
def flat_ring(east: FloatArray, north: FloatArray, ring: RingShape, factor: float, out: FloatArray) -> None:
    """Write the brightness of a ring without thickness: ``factor · exp(−(r − R)² / 2σ²) · p(θ) · light / |cos i|``.

    Parameters
    ----------
    east, north : (m,) arrays
        Places on the sky, from the star.
    ring : RingShape
        Its inclination is not 90°; its height is not looked at.
    factor
        Times which all is taken.
    out : (m,) array
        Written to. 0 where the density is below 1e-12 of the ridge's.
    """
    reach = np.sqrt(2 * FAINTEST)
    nearest = max(ring.radius - reach * ring.inner_width, 0.0) ** 2
    farthest = (ring.radius + reach * ring.outer_width) ** 2
    stretch = 1 / ring.cosine
    for i in range(out.size):
        x = north[i] * ring.north + east[i] * ring.east - ring.offset_along
        y = (east[i] * ring.north - north[i] * ring.east) * stretch - ring.offset_across
        square = x * x + y * y
        if not nearest <= square <= farthest:
            out[i] = 0.0
            continue
        r = np.sqrt(square)
        t = (r - ring.radius) / (ring.inner_width if r < ring.radius else ring.outer_width)
        out[i] = factor * abs(stretch) * np.exp(-0.5 * t * t) * scattered(ring, x, y, 0.0, r)


@jit
def _along(ring: RingShape, a: float, b: float, spacing: float, reach: float) -> float:
    """Return the integral of density times scattered light along one line of sight, by equidistant samples.

    Samples stand at whole multiples of `spacing`, so that the sum is a smooth function of the ring's parameters.
    """
    x = a - ring.offset_along
    farthest = ring.radius + reach * ring.outer_width
    if abs(x) >= farthest:
        return 0.0
    half = np.sqrt(farthest * farthest - x * x)
    low, high = -np.inf, np.inf
    if ring.sine > 1e-9:
        low = (ring.offset_across - half - b * ring.cosine) / ring.sine
        high = (ring.offset_across + half - b * ring.cosine) / ring.sine
    if abs(ring.cosine) > 1e-9:
        middle, thick = b * ring.sine / ring.cosine, reach * ring.height / abs(ring.cosine)
        low, high = max(low, middle - thick), min(high, middle + thick)
    elif abs(b) > reach * ring.height:
        return 0.0
    if not low < high:
        return 0.0
    nearest = max(ring.radius - reach * ring.inner_width, 0.0) ** 2
    first = b * ring.cosine + low * ring.sine - ring.offset_across
    last = b * ring.cosine + high * ring.sine - ring.offset_across
    if x * x + max(first * first, last * last) < nearest:
        return 0.0
    total = 0.0
    for k in range(int(np.ceil(low / spacing)), int(np.floor(high / spacing)) + 1):
        y = b * ring.cosine + k * spacing * ring.sine - ring.offset_across
        square = x * x + y * y
        if square < nearest:
            continue
        r = np.sqrt(square)
        z = k * spacing * ring.cosine - b * ring.sine
        t = (r - ring.radius) / (ring.inner_width if r < ring.radius else ring.outer_width)
        exponent = 0.5 * (t * t + z * z / (ring.height * ring.height))
        if exponent < FAINTEST_SAMPLE:
            total += np.exp(-exponent) * scattered(ring, x, y, z, r)
    return total * spacing


@jit
def thick_ring(east: FloatArray, north: FloatArray, ring: RingShape, factor: float, out: FloatArray) -> None:
    """Write the brightness of a ring of Gaussian thickness: lines of sight are integrated, at any inclination.

    The density is ``exp(−(r − R)² / 2σ² − z² / 2h²) / (√(2π) h)``, so that a thin ring is as bright as a flat one.

    Parameters
    ----------
    east, north : (m,) arrays
        Places on the sky, from the star.
    ring : RingShape
        Its height is above 0.
    factor
        Times which all is taken.
    out : (m,) array
        Written to.
    """
    width = min(ring.inner_width, ring.outer_width)
    evenness = width / max(ring.inner_width, ring.outer_width)
    narrowest = 1 / np.sqrt((ring.cosine / ring.height) ** 2 + (ring.sine / width) ** 2)
    spacing = (SPACING + MORE_WHERE_EVEN * evenness * evenness) * narrowest
    reach = np.sqrt(2 * FAINTEST_SAMPLE)
    scale = factor / (np.sqrt(2 * np.pi) * ring.height)
    for i in range(out.size):
        a = north[i] * ring.north + east[i] * ring.east
        b = east[i] * ring.north - north[i] * ring.east
        out[i] = scale * _along(ring, a, b, spacing, reach)


@jit
def ring_total(ring: RingShape, radial: FloatArray, azimuths: int, vertical: FloatArray) -> float:
    """Return the sum of a ring's light over the sky, for a factor of 1.

    Parameters
    ----------
    ring : RingShape
    radial : (2, q) array
        Radii, and the weights of each: those of the quadrature times ``exp(−(r − R)² / 2σ²)``.
    azimuths
        How many equidistant ones; for a periodic function nothing is better.
    vertical : (2, s) array
        Distances from the plane, and the weights of each, whose sum is 1. One of 0 for a flat ring.
    """
    total = 0.0
    for j in range(azimuths):
        cosine, sine = np.cos(2 * np.pi * j / azimuths), np.sin(2 * np.pi * j / azimuths)
        for q in range(radial.shape[1]):
            r = radial[0, q]
            for s in range(vertical.shape[1]):
                weight = radial[1, q] * r * vertical[1, s]
                total += weight * scattered(ring, r * cosine, r * sine, vertical[0, s], r)
    return total * 2 * np.pi / azimuths
