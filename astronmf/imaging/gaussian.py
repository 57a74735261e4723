"""Where a point source is and how wide: an elliptical Gaussian fitted to its core."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from astropy.modeling.fitting import TRFLSQFitter
from astropy.modeling.models import Gaussian2D
from astropy.stats import gaussian_fwhm_to_sigma, gaussian_sigma_to_fwhm
from astropy.utils.exceptions import AstropyUserWarning
from scipy import ndimage

from astronmf._typing import FloatArray
from astronmf.imaging.geometry import radius

__all__ = ["GaussianFit", "brightest", "fit_gaussian", "width_at_half_maximum"]

ROUNDS = 2  # the second fit is of the pixels around what the first has found
CORE = 0.7  # FWHM around the middle that are fitted: farther out a diffraction pattern falls faster than a Gaussian
SMALLEST_CORE = 2.0  # pixels: a smaller circle has too few for six parameters
MOST_WIDER = 4.0  # times what the fit began with


@dataclass(frozen=True)
class GaussianFit:
    """An elliptical Gaussian.

    Attributes
    ----------
    x, y : float
        Its middle, 0-based pixels.
    fwhm : float
        Full width at half maximum of the round Gaussian of the same area, pixels.
    peak : float
        Its height.
    """

    x: float
    y: float
    fwhm: float
    peak: float


def brightest(image: FloatArray) -> tuple[int, int]:
    """Return (x, y) of the brightest pixel of a (y, x) image smoothed by 1 pixel, so that no hot pixel is taken."""
    smooth = ndimage.gaussian_filter(np.where(np.isfinite(image), image, 0.0), 1.0, mode="constant")
    y, x = np.unravel_index(int(smooth.argmax()), image.shape)
    return int(x), int(y)


def width_at_half_maximum(image: FloatArray, x: int, y: int) -> float:
    """Return the diameter of the circle of the same area as the pixels around (x, y) above half its value."""
    above, _ = ndimage.label(np.nan_to_num(image) > image[y, x] / 2)
    return float(2 * np.sqrt((above == above[y, x]).sum() / np.pi))


def fit_gaussian(image: FloatArray, x: float, y: float, fwhm: float) -> GaussianFit | None:
    """Fit an elliptical Gaussian without background to the pixels within 0.7 FWHM of (x, y), 2 at least.

    Parameters
    ----------
    image : (y, x) array
        NaN is missing.
    x, y : float
        Where to start, 0-based pixels.
    fwhm : float
        About how wide the source is, pixels.

    Returns
    -------
    GaussianFit or None
        `None` where the fit leaves the pixels that it was given, or is no peak.
    """
    found = GaussianFit(float(x), float(y), float(fwhm), np.nan)
    for _ in range(ROUNDS):
        step = _fit_once(image, found)
        if step is None:
            return None
        found = step
    return found


def _fit_once(image: FloatArray, start: GaussianFit) -> GaussianFit | None:
    """Return a fit to the core around `start`, or `None`."""
    reach = max(CORE * start.fwhm, SMALLEST_CORE)
    core = (radius(_shape(image), (start.x, start.y)) <= reach) & np.isfinite(image)
    if core.sum() < 7 or image[core].max() <= 0:  # fewer pixels than parameters, or no peak
        return None
    rows, columns = np.nonzero(core)
    sigma = start.fwhm * gaussian_fwhm_to_sigma
    guess = Gaussian2D(float(image[core].max()), start.x, start.y, sigma, sigma, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # a fit that has failed is seen by its numbers
        model = TRFLSQFitter()(guess, columns, rows, image[core])
    width = gaussian_sigma_to_fwhm * float(np.sqrt(abs(model.x_stddev.value * model.y_stddev.value)))
    found = GaussianFit(float(model.x_mean.value), float(model.y_mean.value), width, float(model.amplitude.value))
    moved = np.hypot(found.x - start.x, found.y - start.y)
    good = (
        np.isfinite([moved, width]).all() and moved <= reach and 0 < width < MOST_WIDER * start.fwhm and found.peak > 0
    )
    return found if good else None


def _shape(image: FloatArray) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
