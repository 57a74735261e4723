"""Where a new component starts: the strongest non-negative pattern left in the residual.

Nothing here is random, and nothing depends on how rows or columns of a separable problem are scaled.
"""

from __future__ import annotations

import numpy as np

from astronmf._typing import FloatArray
from astronmf.core.parallel import map_blocks
from astronmf.core.problem import Problem, rows_first
from astronmf.kernels.objective import positive_energy

__all__ = ["new_component", "random_factors"]

PASSES = 4


def new_component(problem: Problem, coefficients: FloatArray, components: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the start of one more component, (n,) coefficients and (p,) pixels.

    The observation whose positive residual weighs most, ``max_i Σ_j V [X − C B]₊²``, gives the first pattern; a few
    rank-one non-negative least-squares passes over the residual let the other observations speak.

    Parameters
    ----------
    problem
    coefficients : (k, n) array
    components : (k, p) array
        Those already there; k may be 0.
    """
    n, p = problem.shape

    def positive_part(block: slice) -> FloatArray:
        out = np.zeros(n)
        model = coefficients.T @ components[:, block]
        weights, weighted = rows_first(problem.weights_in(block)), rows_first(problem.weighted[:, block])
        positive_energy(weights, weighted, model, out)
        return out

    energy = np.sum(map_blocks(positive_part, problem.blocks()), axis=0)
    coefficient = np.zeros(n, dtype=problem.dtype)
    coefficient[int(energy.argmax())] = 1.0
    pattern = np.zeros(p, dtype=problem.dtype)
    for _ in range(PASSES):
        coefficient = _rank_one_pass(problem, coefficients, components, coefficient, pattern)
    return coefficient, pattern


def _rank_one_pass(
    problem: Problem, coefficients: FloatArray, components: FloatArray, coefficient: FloatArray, pattern: FloatArray
) -> FloatArray:
    """Fit the residual's best pattern for `coefficient` (written to `pattern`), then the coefficient for it."""
    power = coefficient**2

    def of_block(block: slice) -> FloatArray:
        weights = problem.weights_in(block)
        residual = coefficients.T @ components[:, block]
        residual *= weights
        np.subtract(problem.weighted[:, block], residual, out=residual)
        pattern[block] = positive_ratio(coefficient @ residual, power @ weights)
        return np.array([residual @ pattern[block], weights @ pattern[block] ** 2])

    above, below = np.asarray(map_blocks(of_block, problem.blocks()), dtype=np.float64).sum(axis=0)
    return positive_ratio(above, below).astype(problem.dtype)


def positive_ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return ``max(above, 0) / below``, and 0 where `below` is 0."""
    out = np.zeros_like(above)
    np.divide(np.maximum(above, 0), below, out=out, where=below > 0)
    return out


def random_factors(problem: Problem, n_components: int, random_state: int | None) -> tuple[FloatArray, FloatArray]:
    """Return uniform random factors, (k, n) and (k, p), scaled so that their product has the data's mean square."""
    generator = np.random.default_rng(random_state)
    n, p = problem.shape
    coefficients = generator.random((n_components, n))
    components = generator.random((n_components, p))
    weight = sum(float(problem.weights_in(block).sum(dtype=np.float64)) for block in problem.blocks())
    level = np.sqrt(problem.square_sum / max(weight, 1e-300) / n_components)
    return (coefficients * level).astype(problem.dtype), components.astype(problem.dtype)
