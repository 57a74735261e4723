"""Compiling the kernels before the work starts, where that has not been done on this machine yet."""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf._typing import FloatArray, Progress
from astronmf.core.alternating import Settings, alternate
from astronmf.core.initialize import new_component
from astronmf.core.problem import Problem
from astronmf.core.projection import project
from astronmf.kernels._jit import cache_misses

__all__ = ["compile_kernels"]

WHAT = "compiling, first use only"

# A block of pixels is a contiguous array if it is the only one, and for the compiler another type if it is not.
SHAPES = ((6, 40), (130, 600))

_ready: set[np.dtype[Any]] = set()


def compile_kernels(dtype: np.dtype[Any], progress: Progress) -> None:
    """Load what a fit needs, once in a process; where it has to be compiled first, say so.

    Parameters
    ----------
    dtype
        Of the computation.
    progress
        Called as ``progress(done, total, what)`` as soon as a kernel was not in the cache.
    """
    if dtype in _ready:
        return
    cases = [(shape, weighted) for shape in SHAPES for weighted in (True, False)]
    before = cache_misses()
    for done, (shape, weighted) in enumerate(cases):
        X = np.random.default_rng(0).random(shape).astype(dtype)
        given = X, X + 1 if weighted else None, np.eye(*shape, dtype=bool)
        problem = Problem.from_arrays(*given)
        if cache_misses() > before:
            progress(done, len(cases), WHAT)
        start = _factorize(problem)
        project(Problem.from_arrays(*given, dtype=np.float64), start)
    if cache_misses() > before:
        progress(len(cases), len(cases), WHAT)
    _ready.add(dtype)


def _factorize(problem: Problem) -> FloatArray:
    """Go through all that a fit does; return a component, (1, p)."""
    n, p = problem.shape
    empty = np.zeros((0, n), problem.dtype), np.zeros((0, p), problem.dtype)
    coefficient, component = (factor[None] for factor in new_component(problem, *empty))
    for solver in ("cd", "mu"):
        alternate(problem, coefficient, component, Settings(solver, 0.0, 3))
    return component
