"""Robust statistics over frames and over pixels that the steps share; NaN is missing."""

from __future__ import annotations

import warnings

import numpy as np

from astronmf._typing import FloatArray

__all__ = ["MAD_TO_SIGMA", "mad_sigma", "median_frame"]

MAD_TO_SIGMA = 1.4826  # of a Gaussian


def median_frame(cube: FloatArray) -> FloatArray:
    """Return the median over axis 0 of what is there: (n, y, x) to (y, x), NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.asarray(np.nanmedian(cube, axis=0))


def mad_sigma(values: FloatArray, axis: int | None = None) -> FloatArray:
    """Return the standard deviation of a Gaussian of the same median absolute deviation, of what is there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        middle = np.nanmedian(values, axis=axis, keepdims=True)
        return np.asarray(MAD_TO_SIGMA * np.nanmedian(np.abs(values - middle), axis=axis))
