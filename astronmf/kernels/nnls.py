"""Many small non-negative least-squares problems at once.

Each item's problem is ``min over x ≥ 0 of xᵀ G x − 2 rᵀ x``, with its own Gram matrix ``G`` (or one that all share).
`coordinate_descent` improves a start; `active_set` solves to the end (Bro & de Jong 1997, after Lawson & Hanson 1974).
"""

from __future__ import annotations

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf.kernels._jit import LANES, jit
from astronmf.kernels.gram import packed


@jit
def coordinate_descent(
    gram: FloatArray, right: FloatArray, solution: FloatArray, first: int, sweeps: int, tolerance: float
) -> None:
    """Lower every item's objective by cyclic coordinate descent, in place.

    Coordinate a moves to ``max(0, x_a + (r − G x)_a / G_aa)``, the exact minimum along it (Cichocki & Phan 2009;
    Gillis & Glineur 2012), so that no sweep ever raises the objective. A tile of items stops when a sweep brings
    less than `tolerance` of what its first sweep brought.

    Parameters
    ----------
    gram : (k (k + 1) / 2, m) or (k (k + 1) / 2, 1) array
        Packed Gram matrices, one for each item or one for all.
    right : (k, m) array
        Right-hand sides.
    solution : (k, m) array
        Start, at least 0; overwritten. A coordinate whose ``G_aa`` is 0 becomes 0.
    first
        Coordinates before this one are held fixed.
    sweeps
        Greatest number of sweeps.
    tolerance
        Relative size of the last sweep's gain at which a tile stops.
    """
    k, m = right.shape
    stride = 0 if gram.shape[1] == 1 else 1
    for tile in range((m + LANES - 1) // LANES):
        start = tile * LANES
        width = min(LANES, m - start)
        matrix = np.empty((k * (k + 1) // 2, LANES), dtype=gram.dtype)
        for entry in range(k * (k + 1) // 2):
            for lane in range(width):
                matrix[entry, lane] = gram[entry, stride * (start + lane)]
        inverse = np.zeros((k, LANES), dtype=gram.dtype)
        for a in range(k):
            for lane in range(width):
                diagonal = matrix[a * (a + 1) // 2 + a, lane]
                if diagonal > 0:
                    inverse[a, lane] = 1 / diagonal
        slope = np.empty(LANES, dtype=gram.dtype)
        first_gain = 0.0
        for sweep in range(sweeps):
            gain = 0.0
            for a in range(first, k):
                own = a * (a + 1) // 2 + a
                for lane in range(width):
                    slope[lane] = right[a, start + lane]
                for b in range(k):
                    entry = packed(a, b)
                    for lane in range(width):
                        slope[lane] -= matrix[entry, lane] * solution[b, start + lane]
                for lane in range(width):
                    old = solution[a, start + lane]
                    known = inverse[a, lane] > 0
                    new = max(old + slope[lane] * inverse[a, lane], 0) if known else 0 * old
                    solution[a, start + lane] = new
                    step = new - old
                    gain += step * (2 * slope[lane] - matrix[own, lane] * step)
            if sweep == 0:
                first_gain = gain
            if gain <= tolerance * first_gain:
                break


@jit
def solve_positive_definite(
    matrix: FloatArray, right: FloatArray, chosen: IntArray, size: int, out: FloatArray
) -> bool:
    """Solve ``matrix[chosen][:, chosen] out = right[chosen]`` by Cholesky factorization.

    Parameters
    ----------
    matrix : (k, k) array
        Symmetric, with ones (or zeros, for absent coordinates) on its diagonal.
    right : (k,) array
    chosen : (k,) array of int
        The first `size` entries are the coordinates that take part.
    size
        How many take part.
    out : (k,) array
        Its first `size` entries are written.

    Returns
    -------
    bool
        `False` where a pivot is lost to rounding: the chosen columns depend on each other.
    """
    lower = np.empty((size, size), dtype=matrix.dtype)
    for i in range(size):
        for j in range(i + 1):
            total = matrix[chosen[i], chosen[j]]
            for c in range(j):
                total -= lower[i, c] * lower[j, c]
            if i != j:
                lower[i, j] = total / lower[j, j]
            elif total > 1e-13:
                lower[i, i] = np.sqrt(total)
            else:
                return False
    for i in range(size):
        total = right[chosen[i]]
        for c in range(i):
            total -= lower[i, c] * out[c]
        out[i] = total / lower[i, i]
    for i in range(size - 1, -1, -1):
        total = out[i]
        for c in range(i + 1, size):
            total -= lower[c, i] * out[c]
        out[i] = total / lower[i, i]
    return True


@jit
def _step_to_boundary(x: FloatArray, chosen: IntArray, size: int, target: FloatArray) -> int:
    """Move `x` towards `target` until a chosen coordinate reaches 0; drop those that did; return how many stay."""
    fraction = 1.0
    for i in range(size):
        if target[i] <= 0:
            here = x[chosen[i]]
            fraction = min(fraction, here / (here - target[i]) if here > 0 else 0.0)
    kept = 0
    for i in range(size):
        here = x[chosen[i]]
        blocked = target[i] <= 0 and (here <= 0 or here / (here - target[i]) <= fraction)
        x[chosen[i]] = 0.0 if blocked else here + fraction * (target[i] - here)
        if not blocked:
            chosen[kept] = chosen[i]
            kept += 1
    return kept


@jit
def _solve_one(gram: FloatArray, right: FloatArray, x: FloatArray) -> bool:
    """Solve one problem with unit diagonal exactly, from ``x = 0``; return whether it ended by itself."""
    k = right.size
    chosen = np.empty(k, dtype=np.int64)
    target = np.empty(k, dtype=gram.dtype)
    refused = np.zeros(k, dtype=np.bool_)
    size = 0
    threshold = 1e-14 * k * max(np.abs(right).max(), 1e-300)
    for _ in range(10 * k + 10):
        best, entering = threshold, -1
        for a in range(k):
            slope = right[a]
            for b in range(k):
                slope -= gram[a, b] * x[b]
            if x[a] <= 0 and gram[a, a] > 0 and not refused[a] and slope > best:
                best, entering = slope, a
        if entering < 0:
            return True
        chosen[size] = entering
        size += 1
        if not solve_positive_definite(gram, right, chosen, size, target) or target[size - 1] <= 0:
            refused[entering] = True  # its column depends on those already in
            size -= 1
            continue
        refused[:] = False
        while size > 0 and target[:size].min() <= 0:
            size = _step_to_boundary(x, chosen, size, target)
            solve_positive_definite(gram, right, chosen, size, target)
        for i in range(size):
            x[chosen[i]] = target[i]
    return False


@jit
def active_set(gram: FloatArray, right: FloatArray, solution: FloatArray, solved: BoolArray) -> None:
    """Solve every item's problem exactly.

    Coordinates are scaled to a unit diagonal first, so that rounding is measured in one unit. A coordinate with
    ``G_aa = 0`` stays at 0; of columns that depend on each other, the one with the steepest slope is used.

    Parameters
    ----------
    gram : (k (k + 1) / 2, m) or (k (k + 1) / 2, 1) array
        Packed Gram matrices, one for each item or one for all.
    right : (k, m) array
        Right-hand sides.
    solution : (k, m) array
        Written to.
    solved : (m,) array of bool
        Written to; `False` where the number of steps ran out.
    """
    k, m = right.shape
    stride = 0 if gram.shape[1] == 1 else 1
    for item in range(m):
        scale = np.zeros(k)
        matrix = np.empty((k, k))
        vector = np.empty(k)
        x = np.zeros(k)
        column = stride * item
        for a in range(k):
            diagonal = gram[a * (a + 1) // 2 + a, column]
            scale[a] = 1 / np.sqrt(diagonal) if diagonal > 0 else 0.0
        for a in range(k):
            vector[a] = right[a, item] * scale[a]
            for b in range(a + 1):
                matrix[a, b] = gram[a * (a + 1) // 2 + b, column] * scale[a] * scale[b]
                matrix[b, a] = matrix[a, b]
        solved[item] = _solve_one(matrix, vector, x)
        for a in range(k):
            solution[a, item] = x[a] * scale[a]
