"""Compiling the kernels before the work starts, where that has not been done on this machine yet."""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf._typing import Progress
from astronmf.core.alternating import Settings, alternate
from astronmf.core.initialize import new_component
from astronmf.core.problem import Problem
from astronmf.core.projection import project
from astronmf.kernels._jit import compiles
from astronmf.kernels.gram import pair_products

__all__ = ["compile_kernels"]

WHAT = "compiling, first use only"


def compile_kernels(dtype: np.dtype[Any], progress: Progress) -> None:
    """Compile what a fit needs, and say so; nothing happens where all kernels are in the cache.

    Parameters
    ----------
    dtype
        Of the computation.
    progress
        Called as ``progress(done, total, what)``.
    """
    one = np.ones((1, 1), dtype)
    if not compiles(pair_products, one, one.copy()):  # kept together with all others
        return
    rng = np.random.default_rng(0)
    X = rng.random((6, 40)).astype(dtype)
    gap = np.zeros(X.shape, dtype=bool)
    gap[0, 0] = True
    cases: list[dict[str, Any]] = [{"weights": rng.random(X.shape).astype(dtype), "mask": gap}, {"mask": gap}]
    for number, case in enumerate(cases):
        progress(2 * number, 2 * len(cases), WHAT)
        problem = Problem.from_arrays(X, dtype=dtype, **case)
        empty = np.zeros((0, 6), dtype), np.zeros((0, 40), dtype)
        coefficient, component = (factor[None] for factor in new_component(problem, *empty))
        for solver in ("cd", "mu"):
            alternate(problem, coefficient, component, Settings(solver, 0.0, 3))
        progress(2 * number + 1, 2 * len(cases), WHAT)
        project(Problem.from_arrays(X, dtype=np.float64, **case), component)
    progress(2 * len(cases), 2 * len(cases), WHAT)
