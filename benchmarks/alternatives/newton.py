"""Curvature of χ² in the coefficients with the components eliminated, and conjugate gradients that use it.

With the components at their best for the coefficients C, the Gauss-Newton matrix is the Schur complement: for a change
Z, ``G Z`` minus what the components take back by moving along, those that are not at 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from astronmf.core.problem import Problem, pair_products
from astronmf.core.projection import unpack_gram
from astronmf.core.sampling import Sample

MOST_STEPS = 30
RELATIVE_RESIDUAL = 0.1
PIXEL_DAMPING = 1e-10  # keeps a pixel's Gram matrix regular


class Curvature:
    """The Gauss-Newton matrix from a sample of the pixels, applied to a change of the coefficients, (k, n)."""

    def __init__(self, problem: Problem, fraction: float) -> None:
        self.sample = Sample.draw(problem, round(fraction * problem.shape[1]), 0)
        self.problem = self.sample.problem(problem)
        self.whole = slice(0, self.problem.shape[1])
        self.weights = self.problem.weights_in(self.whole)

    def move(self, coefficients: np.ndarray, components: np.ndarray, damping: float) -> None:
        """Go to a point; `damping` times the diagonal is added."""
        k = len(coefficients)
        self.coefficients, self.components = coefficients, self.sample.of(components)
        self.gram = unpack_gram(self.problem.coefficient_system(self.components)[0], k)
        self.damping = damping * np.einsum("naa->an", self.gram)
        self.moving = self.components > 0
        pixel_gram, _ = self.problem.component_system(pair_products(coefficients), coefficients, self.whole)
        self.inverse = restricted_inverse(unpack_gram(pixel_gram, k), self.moving, PIXEL_DAMPING)

    def __call__(self, change: np.ndarray) -> np.ndarray:
        """Apply the matrix."""
        coupled = self.coefficients @ (self.weights * (change.T @ self.components))
        answer = _apply(self.inverse, np.where(self.moving, coupled, 0.0))
        taken_back = self.components @ (self.weights * (self.coefficients.T @ answer)).T
        return _apply(self.gram, change) + self.damping * change - taken_back


def restricted_inverse(gram: np.ndarray, free: np.ndarray, damping: float) -> np.ndarray:
    """Return inverses of (m, k, k) matrices with `damping` added to their diagonals, of the `free`, (k, m), part only.

    One matrix, (1, k, k), stands for all. The other rows and columns are those of the identity.
    """
    diagonal = np.einsum("maa->ma", gram)
    matrix = np.where(free.T[:, :, None] & free.T[:, None, :], gram, 0.0)
    place = np.arange(gram.shape[1])
    matrix[:, place, place] = np.where(free.T & (diagonal > 0), diagonal * (1 + damping), 1.0)
    return np.linalg.inv(matrix)


def conjugate_gradients(
    curvature: Callable[[np.ndarray], np.ndarray], inverse: np.ndarray, right: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """Solve ``curvature(x) = right`` roughly among the free entries, preconditioned by `inverse`, (n, k, k)."""
    x, residual = np.zeros_like(right), right
    direction = better = _apply(inverse, residual)
    size = first = float(np.sum(residual * better))
    for _ in range(MOST_STEPS):
        curved = np.where(free, curvature(direction), 0.0)
        bend = float(np.sum(direction * curved))
        if bend <= 0 or size <= RELATIVE_RESIDUAL**2 * first:
            break
        x = x + size / bend * direction
        residual = residual - size / bend * curved
        better = _apply(inverse, residual)
        before, size = size, float(np.sum(residual * better))
        direction = better + size / before * direction
    return x


def _apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the products of (m, k, k) matrices and (k, m) vectors, (k, m)."""
    return np.einsum("mab,bm->am", matrices, vectors)
