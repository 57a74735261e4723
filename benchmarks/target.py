"""The target step: coefficients of all frames on fixed components."""

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
from benchmarks.results import Target

BASIS_ITERATIONS = 100
REPEATS = 5  # of ours in each round: one takes milliseconds
SEED = 3


def compare(problem: Problem, rounds: int) -> Target:
    """Return the times of both systems and the χ² that each reached."""
    say(f"(f) Target step: {problem.data.shape} on {problem.n_components} components")
    basis = _basis(problem)
    orientation = _faster_orientation(problem, basis)
    ours, peer, h_only, model, usual = [], [], [], None, None
    coefficients = _ours(problem, basis, [])  # compiles
    for number in range(rounds):
        for _ in range(REPEATS):
            coefficients = _ours(problem, basis, ours)
        model = _peer(problem, basis, orientation, peer)
        usual = model if orientation == systems.TRANSPOSED else _peer(problem, basis, systems.TRANSPOSED, h_only)
        say(f"    round {number + 1}: astronmf {ours[-1]:.4f} s, NonnegMFPy {peer[-1]:.2f} s")
    return Target(
        shape=problem.data.shape,
        n_components=problem.n_components,
        n_valid=problem.n_valid,
        ours=ours,
        peer=peer,
        h_only=h_only or peer,
        chi2_ours=problem.chi2(coefficients, basis.components_),
        chi2_peer=problem.chi2(_peer_coefficients(model, orientation), basis.components_),
        chi2_h_only=problem.chi2(_peer_coefficients(usual, systems.TRANSPOSED), basis.components_),
        iterations=(usual.iteration, model.iteration),
        orientation=orientation,
    )


def _basis(problem: Problem) -> Any:
    """Return an estimator that owns components; how good they are does not matter here."""
    estimator = astronmf.NMF(problem.n_components, init=problem.start, tol=0, max_iter=BASIS_ITERATIONS)
    systems.fit_quietly(estimator, problem)
    return estimator


def _ours(problem: Problem, basis: Any, seconds: list[float]) -> np.ndarray:
    """Return exact coefficients."""
    began = perf_counter()
    coefficients = basis.transform(problem.data, weights=problem.weights, mask=problem.mask)
    seconds.append(perf_counter() - began)
    return coefficients


def _peer(problem: Problem, basis: Any, orientation: str, seconds: list[float], maxiters: int | None = None) -> Any:
    """Return NonnegMFPy's model, iterated with its defaults from random coefficients."""
    data, weights, _ = systems.oriented(problem, orientation)
    components = np.nan_to_num(basis.components_)
    start = np.random.default_rng(SEED).random((problem.n_components, len(problem.data)))
    transposed = orientation == systems.TRANSPOSED
    first, second = (components.T.copy(), start) if transposed else (start.T.copy(), components)
    solver = systems.nonnegmfpy_class()
    began = perf_counter()
    with redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        model = solver(data, W=first, H=second, V=weights, n_components=problem.n_components)
        model.SolveNMF(H_only=transposed, W_only=not transposed, maxiters=maxiters)
    seconds.append(perf_counter() - began)
    return model


def _faster_orientation(problem: Problem, basis: Any) -> str:
    """Return which way up NonnegMFPy iterates faster."""
    trials: dict[str, list[float]] = {systems.TRANSPOSED: [], systems.UPRIGHT: []}
    for orientation, seconds in trials.items():
        _peer(problem, basis, orientation, seconds, maxiters=2)
    return min(trials, key=lambda orientation: trials[orientation][0])


def _peer_coefficients(model: Any, orientation: str) -> np.ndarray:
    return model.H.T if orientation == systems.TRANSPOSED else model.W
