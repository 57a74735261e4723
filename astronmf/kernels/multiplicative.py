"""The multiplicative update, kept to reproduce the literature."""

from __future__ import annotations

import numpy as np

from astronmf._typing import FloatArray
from astronmf.kernels._jit import LANES, jit
from astronmf.kernels.gram import packed


@jit
def multiplicative_step(gram: FloatArray, right: FloatArray, solution: FloatArray, first: int) -> None:
    """Multiply every coordinate by ``r_a / (G x)_a``, all from the same start (Zhu 2016, eqs. 9 and 10).

    With ``r = Cᵀ(V∘X)`` and ``G x = Cᵀ(V∘CB)`` this is the published rule; a coordinate whose denominator is 0
    becomes 0.

    Parameters
    ----------
    gram : (k (k + 1) / 2, m) or (k (k + 1) / 2, 1) array
        Packed Gram matrices, one for each item or one for all.
    right : (k, m) array
        Right-hand sides, at least 0.
    solution : (k, m) array
        Start, at least 0; overwritten.
    first
        Coordinates before this one are held fixed.
    """
    k, m = right.shape
    stride = 0 if gram.shape[1] == 1 else 1
    for tile in range((m + LANES - 1) // LANES):
        start = tile * LANES
        width = min(LANES, m - start)
        model = np.zeros((k, LANES), dtype=gram.dtype)
        for a in range(first, k):
            for b in range(k):
                entry = packed(a, b)
                for lane in range(width):
                    value = gram[entry, stride * (start + lane)]
                    model[a, lane] += value * solution[b, start + lane]
        for a in range(first, k):
            for lane in range(width):
                below = model[a, lane]
                ratio = right[a, start + lane] / below if below > 0 else 0 * below
                solution[a, start + lane] *= ratio
