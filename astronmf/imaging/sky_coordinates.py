"""Sky coordinates of images: where the star, north and east are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.wcs import WCS

from astronmf._typing import FloatArray
from astronmf._validation import fail

__all__ = ["SkyGrid", "north_up", "star_of"]

LARGEST_SKEW = 1e-3  # of a pixel: pixels that differ by more from a square are no pixels of an image here


@dataclass(frozen=True, eq=False)
class SkyGrid:
    """An image's pixels on the sky; made by `SkyGrid.of`.

    Attributes
    ----------
    wcs : WCS
        Of two axes, celestial or linear offsets.
    pixel_scale : float
        Arcseconds.
    rotation : float
        Position angle of the image's +y axis, degrees east of north.
    """

    wcs: WCS
    pixel_scale: float
    rotation: float

    @classmethod
    def of(cls, wcs: WCS) -> SkyGrid:
        """Return what a WCS says.

        Raises
        ------
        ValueError
            If it is that of a mirror image, its pixels are not square, or its axes are no angles.
        """
        if wcs.has_celestial and wcs.naxis != 2:
            wcs = wcs.celestial
        matrix = _arcseconds(wcs)
        if np.linalg.det(matrix) > 0:
            raise fail("wcs", "that of an image with east left of north", "a mirror image; turn its x axis over")
        (_, down), (_, up) = matrix
        scale = float(np.sqrt(-np.linalg.det(matrix)))
        rotation = float(np.arctan2(down, up))
        square = scale * np.array([[-np.cos(rotation), np.sin(rotation)], [np.sin(rotation), np.cos(rotation)]])
        if np.abs(matrix - square).max() > LARGEST_SKEW * scale:
            raise fail("wcs", "that of square pixels", f"{matrix.tolist()} arcsec a pixel")
        return cls(wcs, scale, float(np.rad2deg(rotation)))

    def star(self, coordinates: tuple[float, float] | None) -> tuple[float, float]:
        """Return (x, y) of the star, 0-based, from its (ra, dec) in degrees where those are known.

        Otherwise it is at the reference pixel, or where both offsets are 0.
        """
        if not self.wcs.has_celestial:
            x, y = self.wcs.wcs_world2pix([[0.0, 0.0]], 0)[0]
        elif coordinates is None:
            x, y = self.wcs.wcs.crpix - 1
        else:
            from astropy.coordinates import SkyCoord

            x, y = self.wcs.world_to_pixel(SkyCoord(*coordinates, unit=u.deg))
        if not np.isfinite([x, y]).all():
            raise fail("wcs", "of a sky on which the star is (or 'center' given)", f"nothing at {coordinates}")
        return float(x), float(y)


def star_of(meta: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return RA and Dec of the star, degrees, where a result's meta has them."""
    return (meta["ra"], meta["dec"]) if {"ra", "dec"} <= meta.keys() else None


def north_up(center: tuple[int, int], pixel_scale: float, star: tuple[float, float] | None) -> WCS:
    """Return the sky coordinates of a north-up image: offsets from the star, or RA and Dec where its own are known.

    Parameters
    ----------
    center : (x, y)
        The star, 0-based pixels.
    pixel_scale : float
        Arcseconds.
    star : (ra, dec) or None
        Degrees.
    """
    wcs = WCS(naxis=2)
    x, y = center
    wcs.wcs.crpix = [x + 1, y + 1]
    if star is not None:
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.cdelt = [-pixel_scale / 3600.0, pixel_scale / 3600.0]
        wcs.wcs.crval = star
    else:
        wcs.wcs.ctype = ["XOFFSET", "YOFFSET"]
        wcs.wcs.cunit = ["arcsec", "arcsec"]
        wcs.wcs.cdelt = [-pixel_scale, pixel_scale]
    return wcs


def _arcseconds(wcs: WCS) -> FloatArray:
    """Return offsets (east, north) for a step along (x, y): (2, 2) arcseconds."""
    if wcs.naxis != 2:
        raise fail("wcs", "of two axes", wcs.naxis)
    units = [u.Unit(unit) for unit in wcs.wcs.cunit]
    if not all(unit.is_equivalent(u.arcsec) for unit in units):
        raise fail("wcs", "of axes that are angles", [str(unit) for unit in units])
    factors = np.array([unit.to(u.arcsec) for unit in units])
    return np.asarray(wcs.pixel_scale_matrix * factors[:, None])
