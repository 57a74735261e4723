"""From frames in many orientations to one image, north up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from astronmf._typing import FloatArray, IntArray
from astronmf._validation import check_choice
from astronmf.core.parallel import map_blocks
from astronmf.imaging.geometry import Geometry, to_sky
from astronmf.imaging.statistics import MEDIAN_PENALTY, median_frame

__all__ = ["METHODS", "Combination", "combine", "turn"]

METHODS = ("mean", "median", "weighted")


@dataclass(frozen=True)
class Combination:
    """A combined image.

    Attributes
    ----------
    image : (y, x) array
        NaN where no frame has a value.
    uncertainty : (y, x) array
        1σ of single pixels, from the frames' errors before resampling: resampling makes neighbours correlated and
        single pixels quieter. The model's share of the error is common to many pixels, which a sum must allow for.
    coverage : (y, x) array of int
        How many frames have a value.
    """

    image: FloatArray
    uncertainty: FloatArray
    coverage: IntArray


def turn(frames: FloatArray, geometry: Geometry, order: int = 3) -> FloatArray:
    """Turn every frame north up with the star at the centre pixel: (n, y, x) to (n, y, x)."""
    return np.stack(map_blocks(lambda i: to_sky(frames[i], geometry, i, order), range(len(frames))))


def combine(frames: FloatArray, variances: FloatArray, method: str) -> Combination:
    """Combine north-up frames, each pixel from the frames that have it.

    Parameters
    ----------
    frames, variances : (n, y, x) arrays
        NaN is missing.
    method : {"mean", "median", "weighted"}
        "weighted" is by inverse variance.
    """
    check_choice("combine", method, METHODS)
    known = np.isfinite(frames) & np.isfinite(variances)
    count = known.sum(axis=0)
    weights = np.zeros(frames.shape)
    np.divide(1.0, variances, out=weights, where=known & (variances > 0))
    exact = (known & (variances <= 0)).any(axis=0)  # an error of 0 has no inverse: such pixels are averaged
    weights = np.where(exact if method == "weighted" else True, known / np.maximum(count, 1), weights)
    total = weights.sum(axis=0)
    variance = np.sum(weights**2 * np.where(known, variances, 0.0), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        uncertainty = np.where(count > 0, np.sqrt(variance) / total, np.nan)
        image = np.where(count > 0, np.sum(weights * np.where(known, frames, 0.0), axis=0) / total, np.nan)
    if method == "median":
        image = median_frame(np.where(known, frames, np.nan))
        uncertainty = np.where(count > 2, MEDIAN_PENALTY, 1.0) * uncertainty
    return Combination(image, uncertainty, count)
