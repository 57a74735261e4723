"""Parts of the frame that are modelled on their own: the whole region, annuli, and segments of annuli."""

from __future__ import annotations

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import check_integer, check_number
from astronmf.imaging.geometry import radius

__all__ = ["OUTSIDE", "middle_radius", "one_zone", "pixels_of", "zones_of"]

#: The number of pixels that are in no zone.
OUTSIDE = -1


def one_zone(region: BoolArray) -> IntArray:
    """Return the zones of a region, (y, x) bool, that is modelled as a whole."""
    return np.where(region, 0, OUTSIDE)


def zones_of(
    region: BoolArray, center: tuple[float, float], annulus_width: float | None = None, n_segments: int = 1
) -> IntArray:
    """Return the number of the zone that each pixel of a region is in.

    Parameters
    ----------
    region : (y, x) bool array
        `True` = reduced.
    center : (x, y)
        The star, 0-based pixels.
    annulus_width : float, optional
        In pixels, from the region's inner edge on; what is left outside joins the last annulus if it is narrower than
        half of it. One annulus, the whole region, by default.
    n_segments : int
        Equal sectors of each annulus.

    Returns
    -------
    (y, x) array of int
        From 0, outwards; `OUTSIDE` (−1) where the region is not.
    """
    check_integer("n_segments", n_segments, 1)
    distance = radius((region.shape[0], region.shape[1]), center)
    zones = _annuli(distance, region, annulus_width) * n_segments
    y, x = np.indices(region.shape, dtype=np.float64)
    turn = np.arctan2(y - center[1], x - center[0]) / (2 * np.pi) % 1.0
    zones += np.minimum((turn * n_segments).astype(int), n_segments - 1)
    _, numbers = np.unique(zones[region], return_inverse=True)  # without gaps
    out = np.full(region.shape, OUTSIDE)
    out[region] = numbers
    return out


def _annuli(distance: FloatArray, region: BoolArray, width: float | None) -> IntArray:
    """Return the number of each pixel's annulus, from the region's inner edge on."""
    if width is None:
        return np.zeros(region.shape, dtype=int)
    check_number("annulus_width", width, 1.0)
    inner, outer = float(distance[region].min()), float(distance[region].max())
    count = max(1, round((outer - inner) / width))
    return np.asarray(np.clip(((distance - inner) / width).astype(int), 0, count - 1))


def pixels_of(zones: IntArray) -> list[BoolArray]:
    """Return the pixels of each zone: (y, x) bool arrays."""
    return [zones == number for number in range(int(zones.max()) + 1)]


def middle_radius(pixels: BoolArray, center: tuple[float, float]) -> float:
    """Return the radius half-way between a zone's inner and outer edge, in pixels."""
    distance = radius((pixels.shape[0], pixels.shape[1]), center)[pixels]
    return float(distance.min() + distance.max()) / 2
