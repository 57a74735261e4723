"""Many small non-negative least-squares problems at once.

Each item's problem is ``min over x ≥ 0 of xᵀ G x − 2 rᵀ x``, with its own Gram matrix ``G`` (or one that all share).
`coordinate_descent` improves a start; `active_set` solves to the end (Bro & de Jong 1997, after Lawson & Hanson 1974).
"""

from __future__ import annotations

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf.kernels._jit import jit
from astronmf.kernels._vector import lanes, load, positive, store, total, zeros


@jit
def _load_tile(source: FloatArray, start: int, width: int, tile: FloatArray) -> None:
    """Copy `width` items of every row of `source` to a tile, whose rows are one vector long; the rest is 0.

    A source of one column stands for all items.
    """
    rows, m = source.shape
    flat = source.reshape(-1)
    size = lanes(tile)
    for row in range(rows):
        if m > 1 and width == size:
            store(tile, row * size, load(flat, row * m + start))
        else:
            for lane in range(size):
                there = flat[row] if m == 1 else flat[row * m + start + min(lane, width - 1)]
                tile[row * size + lane] = there if lane < width else 0 * there


@jit
def _sweep(gram: FloatArray, inverse: FloatArray, right: FloatArray, x: FloatArray, k: int, first: int) -> float:
    """Go once through a tile's coordinates; return the gain, by how much its items' objectives fell together."""
    size = lanes(x)
    gain = zeros(x)
    for a in range(first, k):
        row = a * (a + 1) // 2
        slope = load(right, a * size)
        other = zeros(x)
        for b in range(a):
            slope = slope - load(gram, (row + b) * size) * load(x, b * size)
        entry = row + a + a + 1
        for b in range(a + 1, k):
            other = other - load(gram, entry * size) * load(x, b * size)
            entry += b + 1
        slope = slope + other
        old = load(x, a * size)
        new = positive(slope * load(inverse, a * size))
        step = new - old
        gain = gain + step * (slope + slope - load(gram, (row + a) * size) * (old + new))
        store(x, a * size, new)
    return float(total(gain))


@jit
def coordinate_descent(
    gram: FloatArray, right: FloatArray, solution: FloatArray, first: int, sweeps: int, tolerance: float
) -> int:
    """Lower every item's objective by cyclic coordinate descent, in place; return how many sweeps all tiles took.

    Coordinate a moves to ``max(0, (r_a − Σ_{b≠a} G_ab x_b) / G_aa)``, the exact minimum along it (Cichocki & Phan
    2009; Gillis & Glineur 2012), so that no sweep ever raises the objective. Items are taken in tiles of one vector;
    a tile stops when a sweep brings less than `tolerance` of what its first sweep brought.

    Parameters
    ----------
    gram : (k (k + 1) / 2, m) or (k (k + 1) / 2, 1) array
        Packed Gram matrices, one for each item or one for all.
    right : (k, m) array
        Right-hand sides.
    solution : (k, m) array
        Start, at least 0; overwritten. A coordinate whose ``G_aa`` is 0, or so small that it has no reciprocal,
        becomes 0.
    first
        Coordinates before this one are held fixed.
    sweeps
        Greatest number of sweeps.
    tolerance
        Relative size of the last sweep's gain at which a tile stops.
    """
    k, m = right.shape
    size = lanes(right)
    matrix = np.empty(k * (k + 1) // 2 * size, dtype=gram.dtype)
    inverse = np.empty(k * size, dtype=gram.dtype)
    constant = np.empty(k * size, dtype=gram.dtype)
    x = np.empty(k * size, dtype=gram.dtype)
    smallest = 4 * np.finfo(gram.dtype).tiny  # below it there is no reciprocal
    taken = 0
    for start in range(0, m, size):
        width = min(size, m - start)
        if gram.shape[1] > 1 or start == 0:
            _load_tile(gram, start, width if gram.shape[1] > 1 else size, matrix)
            for a in range(k):
                for lane in range(size):
                    diagonal = matrix[(a * (a + 1) // 2 + a) * size + lane]
                    inverse[a * size + lane] = 1 / diagonal if diagonal > smallest else 0 * diagonal
        _load_tile(right, start, width, constant)
        _load_tile(solution, start, width, x)
        first_gain = 0.0
        for sweep in range(sweeps):
            gain = _sweep(matrix, inverse, constant, x, k, first)
            taken += 1
            if sweep == 0:
                first_gain = gain
            if gain <= tolerance * first_gain:
                break
        for a in range(first, k):
            for lane in range(width):
                solution[a, start + lane] = x[a * size + lane]
    return taken


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
