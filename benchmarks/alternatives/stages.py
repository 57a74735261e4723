"""Sequential builds: on which pixels coefficients are learnt first, and how far the stages before the last go."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np

from astronmf import NMF, SequentialNMF
from astronmf.core.problem import Problem
from astronmf.exceptions import ConvergenceWarning
from benchmarks.alternatives.table import print_table
from benchmarks.problems import library
from benchmarks.race import say

N_COMPONENTS = 10
REPORTED = (5, 10)  # stages
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7)
SAMPLE_TOLERANCES = (1e-5, 1e-6)
LOOSE = 1e-4
SIZES = (1_500, 2_800, 5_000, 10_000)
WHAT = f"(a), SequentialNMF({N_COMPONENTS})"


def even(problem: Problem, block: slice) -> np.ndarray:
    """Stand in for `Problem.power`: the same for every pixel, so that the choice of pixels is even."""
    return problem.supported[block].astype(float)


def print_samples() -> None:
    """Print builds with different first samples of the pixels."""
    print("\n## Learning on a part of the pixels")
    compile_first()
    rows = []
    for tol in SAMPLE_TOLERANCES:
        rows.append(_sample_row("all pixels throughout", tol, pixel_fraction=None))
        with patch.object(Problem, "power", even):
            rows.append(_sample_row("even choice", tol))
        rows.append(_sample_row("half even, half by Σ V X² (the engine's)", tol))
    print_table(f"{WHAT}; as many pixels as the engine takes, {SIZES[1]:,}:", _sample_names(), rows)
    rows = [
        _sample_row(f"{size:,} pixels", tol, pixel_fraction=size / data()[0].shape[1])
        for tol in SAMPLE_TOLERANCES
        for size in SIZES
    ]
    print_table(f"{WHAT}; size of the sample:", _sample_names(), rows)


def print_tolerances() -> None:
    """Print builds that take their stages more or less far, and what a loose build makes of a tight last stage."""
    print("\n## How far to take the stages before the last")
    compile_first()
    rows, loose = [], None
    for tol in TOLERANCES:
        seconds, fit = timed(SequentialNMF(N_COMPONENTS, tol=tol))
        rows.append(_stage_row(f"all stages to {tol:g}", seconds, fit))
        loose = (seconds, fit) if tol == LOOSE else loose
    rows += [_refined_row(*loose, tol, pixel_fraction=None) for tol in TOLERANCES[1:]]
    rows.append(_refined_row(*loose, TOLERANCES[2], pixel_fraction="auto"))
    stages = [f"χ²/N at stage {stage}" for stage in REPORTED]
    print_table(f"{WHAT}:", ["what", "seconds", *stages, "iterations on all pixels, last stage"], rows)


def _refined_row(seconds: float, fit: Any, tol: float, pixel_fraction: str | None) -> list[str]:
    """Return the row of a loose build whose last stage is refined."""
    start = fit.factorization_.last.coefficients, fit.factorization_.last.components
    more, refined = timed(NMF(N_COMPONENTS, init=start, tol=tol, pixel_fraction=pixel_fraction))
    name = f"to {LOOSE:g}, then the last to {tol:g}{' (sample allowed)' if pixel_fraction else ''}"
    iterations = fit.factorization_.last.iterations + refined.factorization_.last.iterations
    return [name, f"{seconds + more:.2f}", "", _per_value(refined, refined.chi2_), str(iterations)]


def _stage_row(name: str, seconds: float, fit: Any) -> list[str]:
    """Return the row of a build."""
    found = [_per_value(fit, fit.factorization_.stages[stage - 1].chi2) for stage in REPORTED]
    return [name, f"{seconds:.2f}", *found, str(fit.factorization_.last.iterations)]


def _sample_names() -> Sequence[str]:
    return ["sample", "tol", "seconds", "iterations on all pixels", *(f"χ²/N at stage {stage}" for stage in REPORTED)]


def _sample_row(name: str, tol: float, pixel_fraction: float | str | None = "auto") -> list[str]:
    """Return the row of a build."""
    seconds, fit = timed(SequentialNMF(N_COMPONENTS, tol=tol, pixel_fraction=pixel_fraction))
    found = [_per_value(fit, fit.factorization_.stages[stage - 1].chi2) for stage in REPORTED]
    return [name, f"{tol:g}", f"{seconds:.2f}", str(int(fit.history_["iterations"].sum())), *found]


def _per_value(fit: Any, chi2: float) -> str:
    return f"{chi2 / fit.n_valid_:.5f}"


def timed(estimator: Any) -> tuple[float, Any]:
    """Return the seconds of a fit, and the fit."""
    X, weights, mask = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        began = perf_counter()
        fit = estimator.fit(X, weights=weights, mask=mask)
        seconds = perf_counter() - began
    say(f"    {type(estimator).__name__}, tol {estimator.tol:g}: {seconds:.2f} s")
    return seconds, fit


@cache
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the library of (a)."""
    return library()


@cache
def compile_first() -> None:
    """Fit something small."""
    timed(SequentialNMF(2, tol=0, max_iter=2))
