"""Time to quality: all systems from the same start, in turn, round by round."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from math import inf
from time import perf_counter

import numpy as np

import astronmf
from benchmarks import systems
from benchmarks.problems import Problem
from benchmarks.quality import Enough, Watch
from benchmarks.results import Look, Race, Run

# A run ends here, in per cent above the best known before the rounds; below the closest level that is reported.
ENOUGH = 0.005

UNHURRIED_TOLERANCE = 1e-9
UNHURRIED_CHUNK = 100
MOST_ITERATIONS = 3000
PACE_ITERATIONS = 10
FLOOR_ITERATIONS = 300
UNHURRIED_SECONDS = 60.0


def say(message: str) -> None:
    """Report progress."""
    print(message, file=sys.stderr, flush=True)


def race(problem: Problem, rounds: int) -> Race:
    """Return all runs on a problem, after everything has been compiled and a long run has found how low χ² goes."""
    say(f"({problem.key}) {problem.title}: {problem.data.shape}, budget {problem.budget:g} s")
    warm_up(problem.tiny())
    unhurried = run_unhurried(problem)
    say(f"    unhurried: χ²/N {unhurried.chi2 / problem.n_valid:.6f} in {unhurried.seconds:.1f} s")
    orientation = systems.faster_orientation(problem)
    result = _described(problem, unhurried, orientation)
    enough = unhurried.chi2 * (1 + ENOUGH / 100)
    taking_part = systems.systems(problem, orientation, affordable_iterations(problem, unhurried))
    for number in range(rounds):
        for name, drive in taking_part.items():
            run = run_once(name, drive, Watch(problem, enough, problem.budget))
            say(f"    round {number + 1}, {name}: {run.seconds:.2f} s, χ²/N {run.chi2 / problem.n_valid:.6f}")
            result.runs.append(run)
    return result


def _described(problem: Problem, unhurried: Run, orientation: str) -> Race:
    valid = slice(None) if problem.valid_weights is None else problem.valid_weights > 0
    return Race(
        key=problem.key,
        title=problem.title,
        shape=problem.data.shape,
        n_components=problem.n_components,
        n_valid=problem.n_valid,
        weighted=problem.weights is not None,
        negative=float(np.mean(problem.data[valid] < 0)),
        budget=problem.budget,
        orientation=orientation,
        unhurried=unhurried,
        floors={systems.NONNEGMFPY: floor_of_clipping(problem)} if (problem.data < 0).any() else {},
    )


def floor_of_clipping(problem: Problem) -> float:
    """Return χ², on the data as they are, of a long fit to the data with negative values set to 0."""
    clipped = replace(problem, data=np.maximum(problem.data, 0))
    estimator = astronmf.NMF(
        problem.n_components, init=problem.start, tol=UNHURRIED_TOLERANCE, max_iter=FLOOR_ITERATIONS
    )
    systems.fit_quietly(estimator, clipped)
    return problem.chi2(estimator.coefficients_, estimator.components_)


def warm_up(tiny: Problem) -> None:
    """Let every system compile, load and allocate what it needs."""
    for name, drive in systems.systems(tiny, systems.TRANSPOSED, (5, 5)).items():
        run_once(name, drive, Watch(tiny, 0.0, tiny.budget))


def run_once(name: str, drive: systems.Drive, watch: Watch) -> Run:
    """Return one run; a system that fails is told of, not left out."""
    gc.collect()
    run, outcome = None, "stopped"
    try:
        run = drive(watch)
    except Enough:
        outcome = "target" if watch.looks[-1].chi2 <= watch.enough else "budget"
    except (ArithmeticError, ValueError, TypeError, AttributeError, ImportError) as error:
        outcome = f"failed: {error}"
    if run is None:
        lowest = min((look.chi2 for look in watch.looks if np.isfinite(look.chi2)), default=inf)
        run = Run(name, watch.looks, watch.seconds, lowest, outcome)
    return replace(run, system=name)


def run_unhurried(problem: Problem) -> Run:
    """Return a long run of ours, in chunks so that it ends in time; each goes on from the factors of the one before."""
    factors, looks, iterations, stopped = problem.start, [], 0, False
    options = {"tol": UNHURRIED_TOLERANCE, "max_iter": UNHURRIED_CHUNK}
    began, limit = perf_counter(), min(UNHURRIED_SECONDS, 3 * problem.budget)
    while not stopped and iterations < MOST_ITERATIONS and perf_counter() - began < limit:
        estimator = astronmf.NMF(problem.n_components, init=factors, **options)
        systems.fit_quietly(estimator, problem)
        factors = np.nan_to_num(estimator.coefficients_), np.nan_to_num(estimator.components_)
        stage = estimator.factorization_.last
        iterations, stopped = iterations + stage.iterations, stage.converged
        looks.append(Look(perf_counter() - began, iterations, problem.chi2(*factors)))
    lowest = min(look.chi2 for look in looks)
    return Run("unhurried", looks, perf_counter() - began, lowest, "stopped" if stopped else "budget")


def affordable_iterations(problem: Problem, unhurried: Run) -> tuple[int, int]:
    """Return how many iterations of ours the budget pays for, in double and in single precision."""
    double, single = (
        systems.iteration_seconds(problem, problem.start, dtype, PACE_ITERATIONS) for dtype in (np.float64, np.float32)
    )
    affordable = problem.budget * unhurried.looks[-1].iteration / unhurried.seconds
    return tuple(max(1, min(MOST_ITERATIONS, int(affordable * faster))) for faster in (1, double / single))
