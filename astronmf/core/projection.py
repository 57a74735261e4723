"""The target step: exact non-negative least squares on fixed components, all observations at once."""

from __future__ import annotations

from functools import partial

import numpy as np

from astronmf._typing import FloatArray
from astronmf.core import alternating
from astronmf.core.parallel import item_blocks, map_blocks
from astronmf.core.problem import Problem
from astronmf.core.results import Projection
from astronmf.core.uncertainty import active_set_covariance
from astronmf.exceptions import ConvergenceWarning, warn
from astronmf.kernels.nnls import active_set

__all__ = ["project", "unpack_gram"]


def project(problem: Problem, components: FloatArray) -> Projection:
    """Model every observation with fixed components: ``min over C ≥ 0 of Σ V (X − C B)²``.

    Solved by an active-set method on each observation's Gram matrix, in double precision: the minimum itself, not an
    iterate near it.

    Parameters
    ----------
    problem
        The observations, (m, p). Weight 0 keeps a pixel out of the fit, and the model still covers it.
    components : (k, p) array
        In the caller's units; NaN at pixels that they do not cover, which the problem must not use.

    Returns
    -------
    Projection
    """
    scaled = np.nan_to_num(components.astype(np.float64)) * problem.column_scale
    gram, right = problem.coefficient_system(scaled)
    k = right.shape[0]
    parts = map_blocks(partial(_solve, gram, right), item_blocks(right.shape[1]))
    solution = np.concatenate([found for found, _ in parts], axis=1)
    if unsolved := sum(missed for _, missed in parts):
        msg = f"{unsolved} observations' coefficients are not exact: the components depend on each other to rounding"
        warn(msg, ConvergenceWarning)
    chi2 = alternating.chi2_of_solution(problem, gram, right, solution, scaled)
    scale = problem.row_scale[:, None]
    curvature = unpack_gram(gram, k) * (problem.chi2_unit * scale**2)[:, :, None]
    coefficients = solution.T / scale
    coefficients[~problem.observed] = np.nan
    return Projection(
        coefficients,
        active_set_covariance(curvature, solution.T > 0),
        chi2 * problem.chi2_unit,
        problem.counts,
    )


def _solve(gram: FloatArray, right: FloatArray, items: slice) -> tuple[FloatArray, int]:
    """Return the exact solutions of some observations' problems, and how many of them ran out of steps."""
    here = np.ascontiguousarray(right[:, items])
    solution, solved = np.zeros(here.shape), np.zeros(here.shape[1], dtype=bool)
    active_set(np.ascontiguousarray(gram[:, items]), here, solution, solved)
    return solution, int(np.count_nonzero(~solved))


def unpack_gram(gram: FloatArray, k: int) -> FloatArray:
    """Return packed triangles, (k (k + 1) / 2, m), as full matrices, (m, k, k)."""
    full = np.empty((gram.shape[1], k, k))
    rows, columns = np.tril_indices(k)
    full[:, rows, columns] = gram.T
    full[:, columns, rows] = gram.T
    return full
