"""What a detector's pixels can show of a picture that is known more finely: sampling without aliasing.

A PSF that is measured on the detector's pixels has the pixel's own width in it. What it is convolved with is therefore
the value at the middle of each pixel and not the mean over the pixel, which would count the pixel twice; but taken from
what is left once finer structure than pixels can hold, more than half a cycle a pixel, is gone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from astronmf._typing import FloatArray

__all__ = ["REACH", "band_limited", "decimated"]

NYQUIST = 0.5  # cycles a detector pixel

#: Detector pixels on either side that the filter along each axis needs: it passes up to 0.37 and stops from 0.63 on.
REACH = 10
RIPPLE = 8.0  # Kaiser's beta: 1e-4

#: Of the filter of images: from passing to stopping, cycles a detector pixel on either side of Nyquist's frequency.
SOFTNESS = 0.1


def decimated(fine: FloatArray, oversampling: int) -> FloatArray:
    """Return the values at the middle of pixels from so many places along each axis of each: (y, x).

    Parameters
    ----------
    fine : ((y + 2 REACH) oversampling, (x + 2 REACH) oversampling) array
        Values at the places, those in `REACH` pixels more on each side included.
    oversampling : int
        Places along each axis of a pixel.
    """
    weights = _weights(oversampling)
    windows = sliding_window_view(fine, weights.size, axis=0)[::oversampling]
    windows = sliding_window_view(windows @ weights, weights.size, axis=1)[:, ::oversampling]
    return np.asarray(windows @ weights)


@lru_cache(maxsize=32)
def _weights(oversampling: int) -> FloatArray:
    """Return the weights of the places along an axis: a sinc within a Kaiser window, of unit sum."""
    at = (np.arange((2 * REACH + 1) * oversampling) + 0.5) / oversampling - 0.5 - REACH
    weights = np.sinc(2 * NYQUIST * at) * np.i0(RIPPLE * np.sqrt(1 - (at / (REACH + 0.5)) ** 2))
    weights /= weights.sum()
    weights.setflags(write=False)
    return np.asarray(weights)


def band_limited(image: FloatArray, ratio: float) -> FloatArray:
    """Return an image without what the detector's pixels, whichever way they are turned, cannot show.

    Parameters
    ----------
    image : (y, x) array
        Goes on as its mirror image beyond its edge; the sum is kept.
    ratio : float
        The width of its pixels in pixels of the detector.
    """
    y, x = (np.arange(size) / (2 * size * ratio) for size in image.shape)
    beyond = (np.hypot(y[:, None], x[None, :]) - NYQUIST) / SOFTNESS
    passed = 0.5 - 0.5 * np.sin(0.5 * np.pi * np.clip(beyond, -1, 1))
    return np.asarray(fft.idctn(fft.dctn(image) * passed), dtype=np.float64)
