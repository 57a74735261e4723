"""One pass over what the caller gave: what is valid and how large it is; and one more that writes what is kept."""

from __future__ import annotations

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf.kernels._jit import jit


@jit
def survey(data: FloatArray, weights: FloatArray, mask: BoolArray, valid: BoolArray, sums: FloatArray) -> None:
    """Write which values of some observations are valid, and what they add up to.

    Parameters
    ----------
    data, weights : (n, p) arrays
    mask : (n, p) array of bool
        `True` = excluded.
    valid : (n, p) array of bool
        Written to: not masked, ``0 < weight < inf``, and finite.
    sums : (n, 4) array of float64
        Written to: the number of valid values; the number that are NaN or Inf although nothing says so;
        ``Σ V X²``; ``Σ V``.
    """
    n, p = data.shape
    for i in range(n):
        expected, count, squares, total = 0, 0, 0.0, 0.0
        for j in range(p):  # one kind of number at a time, so that the loops are vectorised
            usable = (weights[i, j] > 0) & (weights[i, j] < np.inf) & ~mask[i, j]
            expected += usable
            valid[i, j] = usable & (np.abs(data[i, j]) < np.inf)
            count += valid[i, j]
        for j in range(p):
            value = float(data[i, j]) if valid[i, j] else 0.0
            weight = float(weights[i, j]) if valid[i, j] else 0.0
            squares += weight * value * value
            total += weight
        sums[i, 0], sums[i, 1], sums[i, 2], sums[i, 3] = count, expected - count, squares, total


@jit
def fill(
    data: FloatArray,
    weights: FloatArray,
    valid: BoolArray,
    data_scale: float,
    weight_scale: float,
    smallest: float,
    weighted: FloatArray,
    kept: FloatArray,
    squares: FloatArray,
) -> None:
    """Write ``V X`` to `weighted` and ``V`` to `kept`, both scaled and 0 where not valid, and ``Σ V X²`` to `squares`.

    Parameters
    ----------
    data, weights : (n, p) arrays
    valid : (n, p) array of bool
        Becomes `False` where the scaled weight is below `smallest`.
    data_scale, weight_scale
        Factors of the data and of the weights.
    smallest
        Weights below it are 0.
    weighted, kept : (n, p) arrays
    squares : (n,) array of float64
        Of each observation.
    """
    n, p = data.shape
    for i in range(n):
        sum_of_squares = 0.0
        for j in range(p):
            weight = float(weights[i, j]) * weight_scale if valid[i, j] else 0.0
            counts = valid[i, j] & (weight >= smallest)
            weight = weight if counts else 0.0
            value = float(data[i, j]) * data_scale if counts else 0.0
            valid[i, j] = counts
            kept[i, j] = weight
            weighted[i, j] = weight * value
            sum_of_squares += weight * value * value
        squares[i] = sum_of_squares
