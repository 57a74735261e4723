"""Robust statistics over frames and over pixels; NaN is missing."""

from __future__ import annotations

import warnings

import numpy as np
from astropy.stats import mad_std
from scipy import special

from astronmf._typing import FloatArray

__all__ = ["MAD_TO_SIGMA", "MEDIAN_PENALTY", "mad_sigma", "median_frame"]

MAD_TO_SIGMA = float(1 / special.ndtri(0.75))  # of a Gaussian

# A median of many Gaussian values scatters so much more than their mean.
MEDIAN_PENALTY = float(np.sqrt(np.pi / 2))


def median_frame(cube: FloatArray) -> FloatArray:
    """Return the median over axis 0 of what is there: (n, y, x) to (y, x), NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.asarray(np.nanmedian(cube, axis=0))


def mad_sigma(values: FloatArray, axis: int | None = None) -> FloatArray:
    """Return the standard deviation of a Gaussian of the same median absolute deviation, of what is there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.asarray(mad_std(values, axis=axis, ignore_nan=True))
