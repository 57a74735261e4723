"""Numbers that judge a factorization: how much variance is left, and how many components the data bear."""

from __future__ import annotations

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf.core.parallel import map_blocks
from astronmf.core.problem import Problem
from astronmf.core.results import Factorization

__all__ = ["bayesian_information", "held_out_blocks", "held_out_chi2", "principal_component_curve", "total_variance"]


def total_variance(problem: Problem) -> float:
    """Return ``Σ V (X − x̄)²`` with ``x̄`` each pixel's weighted mean, in the problem's units."""

    def of_block(block: slice) -> float:
        mean, total = _mean_and_weight(problem, block)
        return float(np.sum(mean**2 * total))

    explained = sum(map_blocks(of_block, problem.blocks()))
    return max(problem.square_sum - explained, 0.0)


def _mean_and_weight(problem: Problem, block: slice) -> tuple[FloatArray, FloatArray]:
    """Return a block's weighted mean and summed weights; a scaled row is fitted as its scale times the mean."""
    scale = problem.row_scale
    above = scale @ problem.weighted[:, block].astype(np.float64, copy=False)
    below = scale**2 @ problem.weights_in(block).astype(np.float64, copy=False)
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0), below


def bayesian_information(factorization: Factorization) -> FloatArray:
    """Return each stage's ``χ² + m ln N`` with ``m = k (n + p − k)`` free numbers and N valid values: (stages,)."""
    size = factorization.n_valid
    return np.array(
        [stage.chi2 + (size - factorization.degrees_of_freedom(stage)) * np.log(size) for stage in factorization.stages]
    )


def principal_component_curve(problem: Problem, n_components: int) -> FloatArray:
    """Return the fraction of ``Σ V (X − x̄)²`` that k principal components leave, k = 1 … `n_components`.

    Of the weighted, mean-subtracted data with missing values at the mean: the curve that the fractional residual
    variance of NMF is drawn beside (Ren+ 2018, fig. 3). Found from the (n, n) matrix of inner products.
    """
    n = problem.shape[0]
    inner = np.zeros((n, n))
    for block in problem.blocks():
        root = np.sqrt(problem.weights_in(block).astype(np.float64))
        mean, _ = _mean_and_weight(problem, block)
        whitened = np.divide(problem.weighted[:, block], root, out=np.zeros_like(root), where=root > 0)
        whitened -= root * np.outer(problem.row_scale, mean)
        inner += whitened @ whitened.T
    variances = np.maximum(np.linalg.eigvalsh(inner)[::-1], 0.0)
    left = 1.0 - np.cumsum(variances) / max(variances.sum(), 1e-300)
    return np.asarray(np.maximum(left[:n_components], 0.0))


def held_out_blocks(shape: tuple[int, ...], size: int, fraction: float, random_state: int | None = 0) -> BoolArray:
    """Return which values to hold out: blocks of `size` pixels a side, chosen at random for each observation.

    Parameters
    ----------
    shape : (n, ...) tuple
        Of the data; trailing axes are pixel axes.
    size
        Of a block along each pixel axis: about that of a PSF, or of a resolution element.
    fraction
        Of all blocks.
    random_state
        Seed.

    Returns
    -------
    (n, ...) array of bool
        `True` = held out.
    """
    generator = np.random.default_rng(random_state)
    coarse = (shape[0], *(-(-length // size) for length in shape[1:]))
    chosen = generator.random(coarse) < fraction
    for axis in range(1, len(shape)):
        chosen = np.repeat(chosen, size, axis=axis)
    return np.asarray(chosen[tuple(slice(0, length) for length in shape)])


def held_out_chi2(X: FloatArray, weights: FloatArray, held_out: BoolArray, factorization: Factorization) -> FloatArray:
    """Return each stage's mean ``V (X − C B)²`` over the values held out of the fit: (stages,).

    Parameters
    ----------
    X, weights : (n, p) arrays
    held_out : (n, p) array of bool
    factorization
        Of the other values.
    """
    scores = np.full(len(factorization.stages), np.nan)
    usable = held_out & np.isfinite(X) & np.isfinite(weights) & (weights > 0)
    usable &= factorization.observed[:, None]
    for stage in factorization.stages:  # all stages are judged by the same values
        usable &= np.isfinite(stage.components).all(axis=0)
    for s, stage in enumerate(factorization.stages):
        total = 0.0
        for i in np.flatnonzero(usable.any(axis=1)):
            here = usable[i]
            model = stage.coefficients[i] @ stage.components[:, here]
            total += float(np.sum(weights[i, here] * (X[i, here] - model) ** 2))
        scores[s] = total / usable.sum() if usable.any() else np.nan
    return scores
