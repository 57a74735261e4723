"""Fluxes in circular apertures, and which apertures lie wholly on valid pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from photutils.aperture import CircularAperture
from scipy import ndimage, signal

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import check_choice

__all__ = ["ApertureMap", "aperture_fluxes", "ring_angles"]

SPACINGS = ("touching", "even")
OVERSAMPLING = 4  # places of the aperture to a pixel, along each axis, that sums are computed at; even
SLACK = 0.005  # pixels: interpolated distances are too large by up to this
SPLINE_ORDER = 3  # between those places
WHOLE = 1e-6  # share of an aperture that may be missing from rounding


def ring_angles(separation: FloatArray, count: int, fwhm: float, spacing: str, *, flanks: bool) -> FloatArray:
    """Return the angles from sources to their test apertures on the same ring, rad counter-clockwise: (m, k).

    Parameters
    ----------
    separation : (m,) array
        Of the sources, pixels.
    count
        Apertures on the ring, that of the source among them.
    fwhm
        Diameter of an aperture, pixels.
    spacing : {"touching", "even"}
        Each aperture touches the next, clockwise from the source, which leaves a gap at the end, as in VIP; or all
        are evenly apart.
    flanks
        Whether the two beside the source are among those returned.
    """
    check_choice("spacing", spacing, SPACINGS)
    steps = np.arange(1, count) if flanks else np.arange(2, count - 1)
    if spacing == "even":
        turns: FloatArray = np.broadcast_to(-2 * np.pi * steps / count, (len(separation), len(steps)))
        return turns
    return np.asarray(-2 * np.arcsin(np.minimum(fwhm / (2 * separation), 1.0))[:, None] * steps)


def aperture_fluxes(image: FloatArray, x: FloatArray, y: FloatArray, radius: float) -> FloatArray:
    """Return the flux in each aperture, with the exact overlap of pixels: (m,); NaN where it has a missing pixel.

    Parameters
    ----------
    image : (y, x) array
        NaN is missing, and so is all beyond its edge.
    x, y : (m,) arrays
        Middles of the apertures, 0-based pixels.
    radius : float
        Pixels.
    """
    if len(x) == 0:
        return np.empty(0)
    apertures = CircularAperture(np.column_stack([x, y]), radius)
    missing = ~np.isfinite(image)
    fluxes, _ = apertures.do_photometry(np.where(missing, 0.0, image), method="exact")
    areas, _ = apertures.do_photometry((~missing).astype(np.float64), method="exact")
    whole = np.nan_to_num(areas) >= (1 - WHOLE) * np.pi * radius**2
    return np.where(whole, fluxes, np.nan)


@dataclass(frozen=True)
class ApertureMap:
    """The flux in an aperture around any place of an image.

    The sum over an aperture is the image convolved with the overlap of the aperture and a pixel. It is computed for
    apertures around every quarter of a pixel, and interpolated between.

    Attributes
    ----------
    coefficients : (rows, columns) array
        Of the spline through the sums.
    clearance : (rows, columns) array
        How far the nearest missing pixel's edge is, or the image's, in pixels.
    radius : float
        Of the apertures, pixels.
    margin : int
        Pixels around the image that both arrays include.
    """

    coefficients: FloatArray
    clearance: FloatArray
    radius: float
    margin: int

    @classmethod
    def of(cls, image: FloatArray, radius: float) -> ApertureMap:
        """Return the map of a (y, x) image, in which NaN is missing, for apertures of `radius` pixels."""
        margin = int(np.ceil(radius)) + 2
        padded = np.pad(image, margin, constant_values=np.nan)
        missing = ~np.isfinite(padded)
        values = np.where(missing, 0.0, padded)
        sums = np.empty((OVERSAMPLING * padded.shape[0], OVERSAMPLING * padded.shape[1]))
        for row, column in np.ndindex(OVERSAMPLING, OVERSAMPLING):
            overlap = _overlap(radius, column / OVERSAMPLING, row / OVERSAMPLING)[::-1, ::-1]
            sums[row::OVERSAMPLING, column::OVERSAMPLING] = signal.oaconvolve(values, overlap, mode="same")
        return cls(ndimage.spline_filter(sums, SPLINE_ORDER), _clearance(missing), radius, margin)

    def at(self, x: Any, y: Any) -> FloatArray:
        """Return the flux in apertures around (x, y), of any shape; NaN where one has a missing pixel."""
        places = OVERSAMPLING * (np.stack([y, x]) + self.margin)
        fluxes = ndimage.map_coordinates(self.coefficients, places, order=SPLINE_ORDER, prefilter=False)
        clearance = ndimage.map_coordinates(self.clearance, places, order=1, cval=0.0)
        return np.where(clearance < self.radius + SLACK, np.nan, fluxes)


def _clearance(missing: BoolArray) -> FloatArray:
    """Return the distance of every quarter of a pixel from the nearest missing pixel's edge, 0 inside it.

    Pixels' edges lie on whole quarters, and so do the points of a square that are nearest to one.
    """
    points = np.zeros((OVERSAMPLING * missing.shape[0], OVERSAMPLING * missing.shape[1]), dtype=bool)
    points[::OVERSAMPLING, ::OVERSAMPLING] = missing
    squares = ndimage.maximum_filter(points, OVERSAMPLING + 1, mode="constant", cval=True)
    return np.asarray(ndimage.distance_transform_edt(~squares)) / OVERSAMPLING


def _overlap(radius: float, x: float, y: float) -> FloatArray:
    """Return how much of each pixel lies in an aperture that is (x, y) off the middle pixel: odd-sized (y, x)."""
    reach = int(np.ceil(radius)) + 1
    aperture = CircularAperture((reach + x, reach + y), radius)
    return np.asarray(aperture.to_mask(method="exact").to_image((2 * reach + 1, 2 * reach + 1)))
