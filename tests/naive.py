"""The formula of every kernel in plain loops: slow, one item at a time, and independent of how the kernels do it.

Gram matrices are kept whole here, (m, k, k), or (1, k, k) where all items share one; `pack` brings them into the
order that the kernels use. Right-hand sides and solutions are component-first, (k, m), as in the kernels.
"""

import numpy as np
from scipy.optimize import nnls


def pack(grams):
    """Return (m, k, k) Gram matrices as lower triangles, row by row: (k (k + 1) / 2, m)."""
    k = grams.shape[1]
    return np.array([grams[:, a, b] for a in range(k) for b in range(a + 1)])


def gram_of(grams, item):
    """Return an item's own Gram matrix, or the one that all share."""
    return grams[0] if len(grams) == 1 else grams[item]


def pair_products(factor):
    """Return every product of two rows of a factor, in packed order."""
    k, m = factor.shape
    return np.array([[factor[a, i] * factor[b, i] for i in range(m)] for a in range(k) for b in range(a + 1)])


def objective(gram, right, x):
    """Return ``xᵀ G x − 2 rᵀ x`` of one item."""
    total = 0.0
    for a in range(len(x)):
        for b in range(len(x)):
            total += float(x[a]) * float(gram[a, b]) * float(x[b])
        total -= 2 * float(right[a]) * float(x[a])
    return total


def slope(gram, right, x, a):
    """Return ``r_a − (G x)_a``."""
    total = float(right[a])
    for b in range(len(x)):
        total -= float(gram[a, b]) * float(x[b])
    return total


def best_coordinate(gram, right, x, a):
    """Return where along coordinate a the objective is least, at or above 0; 0 where it does not depend on it."""
    return max(0.0, float(x[a]) + slope(gram, right, x, a) / gram[a, a]) if gram[a, a] > 0 else 0.0


def coordinate_descent(grams, right, start, first, sweeps, tolerance=0.0, tile=32):
    """Return every item after cyclic coordinate descent; items of a tile stop together."""
    solution = np.array(start, dtype=np.float64)
    m = solution.shape[1]
    for begin in range(0, m, tile):
        items = range(begin, min(begin + tile, m))
        first_gain = None
        for _ in range(sweeps):
            gain = sum(_sweep(gram_of(grams, i), right[:, i], solution[:, i], first) for i in items)
            first_gain = gain if first_gain is None else first_gain
            if gain <= tolerance * first_gain:
                break
    return solution


def _sweep(gram, right, x, first):
    """Move each coordinate of one item to its best place, in place; return by how much the objective fell."""
    before = objective(gram, right, x)
    for a in range(first, len(x)):
        x[a] = best_coordinate(gram, right, x, a)
    return before - objective(gram, right, x)


def solve(matrix, right):
    """Return the solution of a linear system by Gauss elimination with the largest pivot of each column."""
    rows = [[float(v) for v in row] + [float(r)] for row, r in zip(matrix, right, strict=True)]
    size = len(rows)
    for i in range(size):
        pivot = max(range(i, size), key=lambda j: abs(rows[j][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for j in range(size):
            if j != i:
                ratio = rows[j][i] / rows[i][i]
                rows[j] = [x - ratio * y for x, y in zip(rows[j], rows[i], strict=True)]
    return np.array([rows[i][size] / rows[i][i] for i in range(size)])


def active_set(designs, targets):
    """Return each item's non-negative least-squares solution from its design matrix itself: (k, m)."""
    return np.array([nnls(design, target)[0] for design, target in zip(designs, targets, strict=True)]).T


def multiplicative_step(grams, right, start, first):
    """Return ``x_a r_a / (G x)_a`` with all denominators taken at the start; 0 where the denominator is 0."""
    k, m = start.shape
    out = np.array(start, dtype=np.float64)
    for i in range(m):
        gram = gram_of(grams, i)
        for a in range(first, k):
            below = sum(float(gram[a, b]) * float(start[b, i]) for b in range(k))
            out[a, i] = float(start[a, i]) * float(right[a, i]) / below if below > 0 else 0.0
    return out


def quadratic_form(grams, right, solution):
    """Return each item's objective."""
    return np.array([objective(gram_of(grams, i), right[:, i], solution[:, i]) for i in range(solution.shape[1])])


def coordinate_gain(grams, right, solution, first):
    """Return by how much each item's objective falls if each coordinate alone moves to its best place, summed."""
    k, m = solution.shape
    gains = np.zeros(m)
    for i in range(m):
        gram, x = gram_of(grams, i), np.array(solution[:, i], dtype=np.float64)
        for a in range(first, k):
            if gram[a, a] > 0:
                moved = x.copy()
                moved[a] = best_coordinate(gram, right[:, i], x, a)
                gains[i] += objective(gram, right[:, i], x) - objective(gram, right[:, i], moved)
    return gains


def residual_chi2(weights, data, model):
    """Return each observation's ``Σ_j V (X − M)²``; values of weight 0 do not count."""
    return _weighted_squares(weights, data, model, lambda difference: difference)


def positive_energy(weights, data, model):
    """Return each observation's ``Σ_j V [X − M]₊²``; values of weight 0 do not count."""
    return _weighted_squares(weights, data, model, lambda difference: max(difference, 0.0))


def _weighted_squares(weights, data, model, part):
    n, m = weights.shape
    out = np.zeros(n)
    for i in range(n):
        for j in range(m):
            if weights[i, j] > 0:
                out[i] += float(weights[i, j]) * part(float(data[i, j]) - float(model[i, j])) ** 2
    return out


def survey(data, weights, mask):
    """Return which values are valid, and of each observation: their number, the unexpected, ``Σ V X²`` and ``Σ V``."""
    n, p = data.shape
    valid, sums = np.zeros((n, p), dtype=bool), np.zeros((n, 4))
    for i in range(n):
        for j in range(p):
            value, weight = float(data[i, j]), float(weights[i, j])
            if mask[i, j] or not 0 < weight < np.inf:
                continue
            if not np.isfinite(value):
                sums[i, 1] += 1
                continue
            valid[i, j] = True
            sums[i] += [1, 0, weight * value**2, weight]
    return valid, sums


def fill(data, weights, valid, data_scale, weight_scale):
    """Return ``V X``, ``V`` and each observation's ``Σ V X²`` in their units, 0 for what is not valid."""
    n, p = data.shape
    weighted, kept, squares = np.zeros((n, p)), np.zeros((n, p)), np.zeros(n)
    for i in range(n):
        for j in range(p):
            if valid[i, j]:
                value, kept[i, j] = float(data[i, j]) * data_scale, float(weights[i, j]) * weight_scale
                weighted[i, j] = kept[i, j] * value
                squares[i] += kept[i, j] * value**2
    return weighted, kept, squares


def add_products(products, source, target, sign, out):
    """Return `out` with ``sign[q] products[:, source[q]]`` added to its column ``target[q]``, for every q."""
    result = np.array(out)
    for q in range(len(source)):
        for row in range(len(products)):
            result[row, target[q]] += sign[q] * products[row, source[q]]
    return result
