"""A sequential build, one component at a time, the way nmf_imaging drives NonnegMFPy, and ours."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from time import perf_counter
from typing import Any

import numpy as np

import astronmf
from benchmarks import systems
from benchmarks.problems import Problem
from benchmarks.race import say
from benchmarks.results import Build, Stages

N_COMPONENTS = 10
SEED = 2

# Of ours: one that ends below the peer at every stage, the peer's own (and that of astronmf's command line), and
# astronmf's default. The first is compared.
TOLERANCES = (1e-3, 1e-5, astronmf.SequentialNMF().tol)


def compare(problem: Problem, rounds: int) -> Stages:
    """Return the builds of both systems, round by round; ours at several tolerances."""
    say(f"(s) Sequential build of {N_COMPONENTS} components: {problem.data.shape}")
    tiny = problem.tiny()
    _ours(tiny, 2, TOLERANCES[0])
    _peer(tiny, 2, systems.TRANSPOSED)
    orientation = systems.faster_orientation(problem)
    ours: list[list[Build]] = [[] for _ in TOLERANCES]
    peer: list[Build] = []
    for number in range(rounds):
        for builds, tol in zip(ours, TOLERANCES, strict=True):
            builds.append(_ours(problem, N_COMPONENTS, tol))
            say(f"    round {number + 1}, astronmf, tol={tol:g}: {builds[-1].seconds[-1]:.2f} s")
        peer.append(_peer(problem, N_COMPONENTS, orientation))
        say(f"    round {number + 1}, NonnegMFPy: {peer[-1].seconds[-1]:.2f} s")
    return Stages(problem.n_valid, TOLERANCES, ours, peer, orientation)


def _ours(problem: Problem, n_components: int, tol: float) -> Build:
    """Build to a tolerance; what is outside of the stages is counted before the first."""
    estimator = astronmf.SequentialNMF(n_components, tol=tol)
    began = perf_counter()
    systems.fit_quietly(estimator, problem)
    seconds = perf_counter() - began
    stages = estimator.factorization_.stages
    spent = np.cumsum([stage.seconds for stage in stages])
    return Build(
        seconds=[float(value) for value in spent + (seconds - spent[-1])],
        chi2=[problem.chi2(stage.coefficients, stage.components) for stage in stages],
        iterations=[stage.iterations for stage in stages],
    )


def _peer(problem: Problem, n_components: int, orientation: str) -> Build:
    """Build with NonnegMFPy's defaults: each stage starts from the one before it and a random column and row."""
    generator = np.random.default_rng(SEED)
    data, weights, _ = systems.oriented(problem, orientation)
    first, second = np.empty((data.shape[0], 0)), np.empty((0, data.shape[1]))
    build, spent = Build([], [], []), 0.0
    for _ in range(n_components):
        began = perf_counter()
        first = np.hstack([first, generator.random((data.shape[0], 1))])
        second = np.vstack([second, generator.random((1, data.shape[1]))])
        model = _solve(data, weights, first, second)
        spent += perf_counter() - began
        first, second = model.W, model.H
        factors = (second.T, first.T) if orientation == systems.TRANSPOSED else (first, second)
        build.seconds.append(spent)
        build.chi2.append(problem.chi2(*factors))
        build.iterations.append(model.iteration)
    return build


def _solve(data: np.ndarray, weights: np.ndarray | None, first: np.ndarray, second: np.ndarray) -> Any:
    """Return a NonnegMFPy model iterated with its defaults."""
    with redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        model = systems.nonnegmfpy_class()(data, W=first, H=second, V=weights, n_components=first.shape[1])
        model.SolveNMF()
    return model
