"""What the row problems say of the whole: χ², what coordinate steps could still gain, and residuals of a block.

Each item's share is written out and summed by the caller, so that a sum has the same bits on any number of threads.
"""

from __future__ import annotations

import numpy as np

from astronmf._typing import FloatArray
from astronmf.kernels._jit import LANES, jit
from astronmf.kernels.gram import packed


@jit
def quadratic_form(gram: FloatArray, right: FloatArray, solution: FloatArray, out: FloatArray) -> None:
    """Write each item's ``xᵀ G x − 2 rᵀ x``; their sum plus ``Σ V X²`` is χ².

    Parameters
    ----------
    gram : (k (k + 1) / 2, m) or (k (k + 1) / 2, 1) array
    right, solution : (k, m) arrays
    out : (m,) array of float64
    """
    k, m = right.shape
    stride = 0 if gram.shape[1] == 1 else 1
    for item in range(m):
        column = stride * item
        value = 0.0
        for a in range(k):
            product = 0.0
            for b in range(k):
                entry = packed(a, b)
                product += gram[entry, column] * solution[b, item]
            value += solution[a, item] * (product - 2.0 * right[a, item])
        out[item] = value


@jit
def coordinate_gain(gram: FloatArray, right: FloatArray, solution: FloatArray, first: int, out: FloatArray) -> None:
    """Write the χ² that one step along each of an item's coordinates, taken alone, would remove, summed.

    It is zero if and only if the Karush-Kuhn-Tucker conditions hold: no slope where ``x > 0``, none upwards where
    ``x = 0``. Measured in χ² it depends neither on the data's unit nor on how the components are scaled.

    Parameters
    ----------
    gram : (k (k + 1) / 2, m) or (k (k + 1) / 2, 1) array
    right, solution : (k, m) arrays
    first
        Coordinates before this one are held fixed and do not count.
    out : (m,) array of float64
    """
    k, m = right.shape
    stride = 0 if gram.shape[1] == 1 else 1
    slope = np.empty(LANES)
    for start in range(0, m, LANES):
        width = min(LANES, m - start)
        for lane in range(width):
            out[start + lane] = 0.0
        for a in range(first, k):
            for lane in range(width):
                slope[lane] = right[a, start + lane]
            for b in range(k):
                entry = packed(a, b)
                for lane in range(width):
                    slope[lane] -= gram[entry, stride * (start + lane)] * solution[b, start + lane]
            for lane in range(width):
                own = float(gram[a * (a + 1) // 2 + a, stride * (start + lane)])
                step = max(slope[lane] / own, -float(solution[a, start + lane])) if own > 0 else 0.0
                out[start + lane] += step * (2.0 * slope[lane] - own * step)


@jit
def residual_chi2(weights: FloatArray, weighted: FloatArray, model: FloatArray, out: FloatArray) -> None:
    """Add each observation's ``Σ_j V (X − M)²`` over a block of pixels to `out`.

    ``V (X − M)² = (V X − V M)² / V``; values of weight 0 do not count.

    Parameters
    ----------
    weights, weighted, model : (n, m) arrays
        ``V``, ``V X`` and the model ``C B``.
    out : (n,) array
        Added to.
    """
    n, m = weights.shape
    one = weights.dtype.type(1)
    for i in range(n):
        total = 0.0
        for j in range(m):
            weight = weights[i, j]
            difference = weighted[i, j] - weight * model[i, j]
            term = difference * difference / (weight if weight > 0 else one)
            total += term if weight > 0 else 0 * weight
        out[i] += total


@jit
def square_sums(values: FloatArray, out: FloatArray) -> None:
    """Add the sum of squares of each row of `values`, (n, m), to `out`, (n,) of float64."""
    n, m = values.shape
    for i in range(n):
        total = 0.0
        for j in range(m):
            total += values[i, j] * values[i, j]
        out[i] += total


@jit
def positive_energy(weights: FloatArray, weighted: FloatArray, model: FloatArray, out: FloatArray) -> None:
    """Add each observation's ``Σ_j V [X − M]₊²`` over a block of pixels to `out`; arguments as `residual_chi2`."""
    n, m = weights.shape
    for i in range(n):
        total = 0.0
        for j in range(m):
            if weights[i, j] > 0:
                difference = max(float(weighted[i, j]) - float(weights[i, j]) * float(model[i, j]), 0.0)
                total += difference * difference / weights[i, j]
        out[i] += total
