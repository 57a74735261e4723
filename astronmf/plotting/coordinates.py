"""Where pixels lie on a panel's axes: arcseconds from the star, or pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from astronmf._typing import BoolArray

__all__ = ["Coordinates", "aspect", "field_of_view", "whole"]

MARGIN = 1.5  # pixels left around a field of view


@dataclass(frozen=True)
class Coordinates:
    """The axes of a panel.

    Attributes
    ----------
    shape : (y, x)
        Of the image, pixels.
    origin : (x, y)
        The pixel, 0-based, that offsets are counted from.
    pixel_scale : float or None
        Arcseconds a pixel; without it axes are in pixels, from the first one.
    north_up : bool
        Whether east is left, so that offsets in right ascension grow to the left.
    """

    shape: tuple[int, int]
    origin: tuple[float, float]
    pixel_scale: float | None = None
    north_up: bool = True

    def position(self, x: float, y: float) -> tuple[float, float]:
        """Return where pixel (x, y) lies on the axes."""
        if self.pixel_scale is None:
            return x, y
        east = -self.pixel_scale if self.north_up else self.pixel_scale
        return (x - self.origin[0]) * east, (y - self.origin[1]) * self.pixel_scale

    def edges(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top on the axes of a box (x low, x high, y low, y high) in pixels."""
        left, bottom = self.position(box[0], box[2])
        right, top = self.position(box[1], box[3])
        return left, right, bottom, top

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of the whole image on the axes."""
        return self.edges(whole(self.shape))

    @property
    def labels(self) -> tuple[str, str]:
        """What the axes are, with their unit."""
        if self.pixel_scale is None:
            return "x [pixel]", "y [pixel]"
        return ("ΔRA [arcsec]", "ΔDec [arcsec]") if self.north_up else ("Δx [arcsec]", "Δy [arcsec]")


def whole(shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the box (x low, x high, y low, y high), in pixels, that an image of (y, x) `shape` fills."""
    return -0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5


def aspect(box: tuple[float, float, float, float]) -> float:
    """Return height over width of a box, within what a panel can take."""
    return float(np.clip((box[3] - box[2]) / (box[1] - box[0]), 0.3, 2.0))


def field_of_view(covered: Any) -> tuple[float, float, float, float]:
    """Return the box (x low, x high, y low, y high), in pixels, around what is covered.

    Parameters
    ----------
    covered : (y, x) array of bool
        `True` = there is something to see; where there is nothing at all, the box is the whole image.
    """
    seen: BoolArray = np.asarray(covered, dtype=bool)
    full = whole((seen.shape[0], seen.shape[1]))
    if not seen.any():
        return full
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    return (
        max(full[0], float(columns[0]) - 0.5 - MARGIN),
        min(full[1], float(columns[-1]) + 0.5 + MARGIN),
        max(full[2], float(rows[0]) - 0.5 - MARGIN),
        min(full[3], float(rows[-1]) + 0.5 + MARGIN),
    )
