"""An inclined ring, for injections: plain enough that its flux is known to rounding."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

FWHM_TO_SIGMA = 1 / 2.3548


def inclined_ring(
    shape: tuple[int, int],
    center: tuple[float, float],
    *,
    radius: float = 45.0,
    width: float = 4.0,
    inclination: float = 60.0,
    position_angle: float = 30.0,
    fwhm: float = 2.3,
    peak: float = 1.0,
) -> np.ndarray:
    """Return a ring of Gaussian profile, convolved with a Gaussian beam and scaled to its peak.

    Parameters
    ----------
    shape : (y, x)
    center : (x, y)
    radius, width
        Semi-major axis and standard deviation of the profile, pixels.
    inclination, position_angle
        Degrees; the latter from +y towards -x (east of north in a north-up image).
    fwhm
        Of the beam, pixels.
    peak
        Of the convolved ring.
    """
    y, x = np.indices(shape, dtype=float)
    angle = np.deg2rad(position_angle)
    along = -(x - center[0]) * np.sin(angle) + (y - center[1]) * np.cos(angle)
    across = (x - center[0]) * np.cos(angle) + (y - center[1]) * np.sin(angle)
    distance = np.hypot(along, across / np.cos(np.deg2rad(inclination)))
    ring = np.exp(-0.5 * ((distance - radius) / width) ** 2)
    ring = ndimage.gaussian_filter(ring, fwhm * FWHM_TO_SIGMA)
    return peak * ring / ring.max()
