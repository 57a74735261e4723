"""The systems that are compared, each driven so that its clock stands still while its χ² is judged.

A peer is prepared off the clock (data clipped at 0 and turned the way that suits it, zeros for the weights of what is
missing); what its own calls copy and check is on it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from math import inf
from time import perf_counter
from typing import Any

import numpy as np

import astronmf
from astronmf.exceptions import ConvergenceWarning
from benchmarks.problems import Problem
from benchmarks.quality import Factors, Watch
from benchmarks.results import Look, Run

OURS = "astronmf, float64"
OURS_SINGLE = "astronmf, float32"
ALL_OURS = (OURS, OURS_SINGLE)
NONNEGMFPY = "NonnegMFPy"
SCIKIT_LEARN = "scikit-learn, cd"
SCIKIT_LEARN_MU = "scikit-learn, mu"
NIMFA = "nimfa, lsnmf"

TOLERANCE = 1e-7
LONGEST_CHUNK = 32
ENDLESS = 10**9
TRIAL_ITERATIONS = 2
TRIALS = 2

TRANSPOSED, UPRIGHT = "pixels × frames", "frames × pixels"

Drive = Callable[[Watch], Run | None]


def systems(problem: Problem, orientation: str, max_iter: tuple[int, int]) -> dict[str, Drive]:
    """Return what takes part in a problem, by name.

    Parameters
    ----------
    problem
    orientation
        Of the data for NonnegMFPy.
    max_iter
        Of ours, in double and in single precision: as many iterations as the budget pays for, as a fit cannot be
        ended from outside.
    """
    found: dict[str, Drive] = {
        OURS: partial(drive_ours, dtype=np.float64, max_iter=max_iter[0]),
        OURS_SINGLE: partial(drive_ours, dtype=np.float32, max_iter=max_iter[1]),
        NONNEGMFPY: partial(drive_nonnegmfpy, orientation=orientation),
    }
    if problem.weights is None:
        found[SCIKIT_LEARN] = partial(drive_scikit_learn, solver="cd")
        found[SCIKIT_LEARN_MU] = partial(drive_scikit_learn, solver="mu")
        found[NIMFA] = drive_nimfa
    return found


def drive_ours(watch: Watch, dtype: Any, max_iter: int) -> Run:
    """Fit once; χ² against time comes from the fit's own trace, with all that is outside it counted first."""
    problem = watch.problem
    estimator = astronmf.NMF(problem.n_components, init=problem.start, tol=TOLERANCE, max_iter=max_iter, dtype=dtype)
    began = perf_counter()
    fit_quietly(estimator, problem)
    seconds = perf_counter() - began
    stage = estimator.factorization_.last
    setup = seconds - stage.seconds
    looks = [
        Look(setup + s, i + 1, c) for i, (s, c) in enumerate(zip(stage.seconds_trace, stage.chi2_trace, strict=True))
    ]
    judged = problem.chi2(estimator.coefficients_, estimator.components_)
    outcome = "stopped" if stage.converged else "budget"
    return Run("", looks, seconds, judged, outcome, abs(stage.chi2_trace[-1] / judged - 1))


def iteration_seconds(problem: Problem, start: Factors, dtype: Any, iterations: int) -> float:
    """Return the median time between the ends of our iterations."""
    estimator = astronmf.NMF(len(start[1]), init=start, tol=0, max_iter=iterations, dtype=dtype)
    fit_quietly(estimator, problem)
    return float(np.median(np.diff(estimator.factorization_.last.seconds_trace)))


def fit_quietly(estimator: Any, problem: Problem) -> None:
    """Fit, without the warning that the iterations did not suffice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(problem.data, weights=problem.weights, mask=problem.mask)


def nonnegmfpy_class() -> Any:
    """Return NonnegMFPy's class with a counter of iterations, and a glance of `watch` after each.

    It computes its cost at the start and after each iteration, which is where the glance is taken.
    """
    from NonnegMFPy import nmf

    class Watched(nmf.NMF):
        iteration = -1
        watch: Watch | None = None
        factors: Callable[[], Factors]

        @property
        def cost(self) -> float:
            value = super().cost
            self.iteration += 1
            if self.watch is not None:
                self.watch.glance(self.iteration, self.factors)
            return float(value)

    return Watched


def drive_nonnegmfpy(watch: Watch, orientation: str) -> None:
    """Iterate without end; the watch raises when it is enough."""
    data, weights, (first, second) = oriented(watch.problem, orientation)
    solver = nonnegmfpy_class()
    with redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        watch.start()
        model = solver(data, W=first, H=second, V=weights, n_components=watch.problem.n_components)
        model.watch = watch
        model.factors = lambda: (model.H.T, model.W.T) if orientation == TRANSPOSED else (model.W, model.H)
        model.SolveNMF(maxiters=ENDLESS, tol=-ENDLESS)


def oriented(problem: Problem, orientation: str) -> tuple[np.ndarray, np.ndarray | None, Factors]:
    """Return clipped data, weights and the start, turned and in the order that a user would store them in."""
    data, weights, start = np.clip(problem.data, 0, None), problem.valid_weights, problem.start
    if orientation == UPRIGHT:
        return data, weights, start
    weights = None if weights is None else np.ascontiguousarray(weights.T)
    return np.ascontiguousarray(data.T), weights, (start[1].T.copy(), start[0].T.copy())


def faster_orientation(problem: Problem) -> str:
    """Return which way up NonnegMFPy iterates faster."""
    seconds = {TRANSPOSED: inf, UPRIGHT: inf}
    for orientation in TRIALS * tuple(seconds):
        seconds[orientation] = min(seconds[orientation], _trial(problem, orientation))
    return min(seconds, key=lambda orientation: seconds[orientation])


def _trial(problem: Problem, orientation: str) -> float:
    """Return the seconds that a few iterations take."""
    data, weights, (first, second) = oriented(problem, orientation)
    with redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        model = nonnegmfpy_class()(data, W=first, H=second, V=weights, n_components=problem.n_components)
        began = perf_counter()
        model.SolveNMF(maxiters=TRIAL_ITERATIONS, tol=-ENDLESS)
    return perf_counter() - began


def drive_scikit_learn(watch: Watch, solver: str) -> None:
    """Iterate in chunks: it has no state besides its factors, and nothing is asked of it between iterations."""
    from sklearn.decomposition import non_negative_factorization

    problem, iterations, turn = watch.problem, 0, 0
    first, second = (factor.copy() for factor in problem.start)  # it overwrites what it is given
    options = {"n_components": problem.n_components, "init": "custom", "solver": solver, "tol": 0.0}
    watch.start()
    while True:
        chunk = min(LONGEST_CHUNK, 2 ** (turn // 2))
        first, second, _ = non_negative_factorization(problem.data, W=first, H=second, max_iter=chunk, **options)
        iterations, turn = iterations + chunk, turn + 1
        watch.look(iterations, lambda factors=(first, second): factors)


def drive_nimfa(watch: Watch) -> None:
    """Iterate without end: before each iteration it asks whether to go on, which is where a glance is taken."""
    vars(np)["mat"] = np.asmatrix  # nimfa 1.4.0 needs the name, which NumPy 2 took away
    from nimfa import Lsnmf

    class Watched(Lsnmf):
        def is_satisfied(self, c_obj: float, iteration: int) -> bool:  # noqa: ARG002 (nimfa's signature)
            watch.glance(iteration, lambda: (np.asarray(self.W), np.asarray(self.H)))
            return True

    problem = watch.problem
    first, second = (factor.copy() for factor in problem.start)
    watch.start()
    # Its own measure of convergence is not computed: it would cost it time.
    Watched(problem.data, W=first, H=second, rank=problem.n_components, max_iter=ENDLESS, test_conv=ENDLESS).factorize()
