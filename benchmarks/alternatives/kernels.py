"""Row solvers that the engine does without: one item at a time, in numbers rather than vectors.

Each takes packed Gram matrices, (k (k + 1) / 2, m), one for each item; right-hand sides, (k, m); and a start, (k, m),
which it overwrites.
"""

from __future__ import annotations

import numpy as np

from astronmf.kernels._jit import jit
from astronmf.kernels.nnls import solve_positive_definite

BACKUPS = 3  # full exchanges that may fail before one coordinate moves at a time (Kim & Park 2011)


@jit
def _load_item(gram: np.ndarray, item: int, scale: np.ndarray, matrix: np.ndarray) -> None:
    """Unpack an item's Gram matrix, its rows and columns multiplied by `scale`."""
    for a in range(scale.size):
        for b in range(a + 1):
            matrix[a, b] = gram[a * (a + 1) // 2 + b, item] * scale[a] * scale[b]
            matrix[b, a] = matrix[a, b]


@jit
def _begin(gram: np.ndarray, right: np.ndarray, solution: np.ndarray, item: int, work: tuple[np.ndarray, ...]) -> None:
    """Set an item's matrix, the inverses of its diagonal, and the slopes ``r − G x``; the scale is left alone."""
    matrix, scale, inverse, slope = work
    _load_item(gram, item, scale, matrix)
    for a in range(slope.size):
        slope[a] = right[a, item]
        for b in range(slope.size):
            slope[a] -= matrix[a, b] * solution[b, item]
        inverse[a] = 1 / matrix[a, a] if matrix[a, a] > 0 else 0.0


@jit
def _room(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return room for a matrix, ones to scale it by, inverses and slopes."""
    return np.empty((k, k)), np.ones(k), np.empty(k), np.empty(k)


@jit
def cyclic(gram: np.ndarray, right: np.ndarray, solution: np.ndarray, sweeps: int, tolerance: float) -> None:
    """Go through the coordinates in turn, as the engine does; an item stops as a tile of the engine's does."""
    k, m = right.shape
    matrix, _, inverse, slope = work = _room(k)
    for item in range(m):
        _begin(gram, right, solution, item, work)
        first_gain = 0.0
        for sweep in range(sweeps):
            gain = 0.0
            for a in range(k):
                step = max(slope[a] * inverse[a], -solution[a, item])
                if step != 0:
                    gain += step * (2 * slope[a] - matrix[a, a] * step)
                    solution[a, item] += step
                    for b in range(k):
                        slope[b] -= step * matrix[a, b]
            if sweep == 0:
                first_gain = gain
            if gain <= tolerance * first_gain:
                break


@jit
def greedy(gram: np.ndarray, right: np.ndarray, solution: np.ndarray, steps: int, tolerance: float) -> None:
    """Move the coordinate that gains most, until even that gains less than `tolerance` of the first."""
    k, m = right.shape
    matrix, _, inverse, slope = work = _room(k)
    for item in range(m):
        _begin(gram, right, solution, item, work)
        first_gain = 0.0
        for taken in range(steps):
            best, chosen, move = 0.0, -1, 0.0
            for a in range(k):
                step = max(slope[a] * inverse[a], -solution[a, item])
                gain = step * (2 * slope[a] - matrix[a, a] * step)
                if gain > best:
                    best, chosen, move = gain, a, step
            if taken == 0:
                first_gain = best
            if chosen < 0 or best < tolerance * first_gain:
                break
            solution[chosen, item] += move
            for b in range(k):
                slope[b] -= move * matrix[chosen, b]


@jit
def block_pivoting(gram: np.ndarray, right: np.ndarray, solution: np.ndarray, solved: np.ndarray) -> None:
    """Solve exactly by block principal pivoting (Kim & Park 2011), from the support of the start.

    An item stays as it was where its columns depend on each other or the exchanges run out; `solved` is then `False`.
    """
    k, m = right.shape
    matrix, scale, vector, x = np.empty((k, k)), np.empty(k), np.empty(k), np.empty(k)
    passive = np.empty(k, dtype=np.bool_)
    for item in range(m):
        for a in range(k):
            diagonal = gram[a * (a + 1) // 2 + a, item]
            scale[a] = 1 / np.sqrt(diagonal) if diagonal > 0 else 0.0
            vector[a] = right[a, item] * scale[a]
            passive[a] = solution[a, item] > 0 and diagonal > 0
        _load_item(gram, item, scale, matrix)
        solved[item] = _pivot(matrix, vector, passive, x)
        if solved[item]:
            for a in range(k):
                solution[a, item] = x[a] * scale[a]


@jit
def _pivot(matrix: np.ndarray, vector: np.ndarray, passive: np.ndarray, x: np.ndarray) -> bool:
    """Exchange coordinates between the passive set and 0 until no sign is wrong; return whether that was reached."""
    k = vector.size
    chosen, target, wrong = np.empty(k, dtype=np.int64), np.empty(k), np.empty(k, dtype=np.bool_)
    fewest, backups = k + 1, BACKUPS
    for _ in range(10 * k + 10):
        size = 0
        for a in range(k):
            if passive[a]:
                chosen[size] = a
                size += 1
        if not solve_positive_definite(matrix, vector, chosen, size, target):
            return False
        x[:] = 0.0
        for i in range(size):
            x[chosen[i]] = target[i]
        count = _find_wrong(matrix, vector, passive, x, wrong)
        if count == 0:
            return True
        if count < fewest:
            fewest, backups = count, BACKUPS
        elif backups > 0:
            backups -= 1
        else:
            _keep_last(wrong)
        for a in range(k):
            passive[a] = passive[a] != wrong[a]
    return False


@jit
def _find_wrong(matrix: np.ndarray, vector: np.ndarray, passive: np.ndarray, x: np.ndarray, wrong: np.ndarray) -> int:
    """Mark passive coordinates below 0, and those at 0 whose slope is upwards; return how many."""
    k, count = vector.size, 0
    threshold = 1e-14 * k * max(np.abs(vector).max(), 1e-300)
    for a in range(k):
        slope = vector[a]
        for b in range(k):
            slope -= matrix[a, b] * x[b]
        wrong[a] = x[a] < 0 if passive[a] else slope > threshold and matrix[a, a] > 0
        count += wrong[a]
    return count


@jit
def _keep_last(wrong: np.ndarray) -> None:
    """Leave only the last mark."""
    last = np.flatnonzero(wrong)[-1]
    wrong[:] = False
    wrong[last] = True
