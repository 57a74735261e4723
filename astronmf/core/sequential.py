"""Building components one at a time (Ren+ 2018), and jointly for a fixed rank."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf.core import alternating, initialize
from astronmf.core.alternating import Settings, State
from astronmf.core.problem import Problem
from astronmf.core.rank import total_variance
from astronmf.core.results import Factorization, Stage, in_callers_units, undetermined
from astronmf.exceptions import ConvergenceWarning, warn

__all__ = ["SequentialSettings", "build", "factorize"]

POLISH_ITERATIONS = 3
STARTING_ITERATIONS = 2


@dataclass(frozen=True)
class SequentialSettings:
    """How a sequential build goes on from stage to stage.

    Attributes
    ----------
    refit : {"all", "last"}
        "all" refines every component at every stage (the literature's rule); "last" only the new one, so that the
        first k components of any stage are those of stage k.
    new : {"residual", "random"}
        Where a new component starts: see `initialize`.
    pixel_fraction : float or None
        Learn the coefficients on this fraction of the pixels, chosen at random, then solve all pixels and polish
        with a few full iterations a stage. `None`: all pixels throughout.
    random_state : int or None
        Seed of all that is random.
    """

    refit: str = "all"
    new: str = "residual"
    pixel_fraction: float | None = None
    random_state: int | None = 0


def build(
    problem: Problem,
    n_components: int,
    settings: Settings,
    sequence: SequentialSettings,
    start: tuple[FloatArray, FloatArray] | None = None,
    progress: Progress = no_progress,
) -> Factorization:
    """Build `n_components` components, each learnt with those before it in place; every stage is kept.

    Stage k starts from the k − 1 components before it and a new one; all coefficients are refined, and the
    components that `sequence.refit` names.

    Parameters
    ----------
    problem
    n_components
    settings, sequence
    start : ((j, n) array, (j, p) array), optional
        Coefficients and components to go on from; the first stage refines them.
    progress
        Called after each stage.

    Returns
    -------
    Factorization
    """
    builder = _Sampled(problem, settings, sequence) if sequence.pixel_fraction else _Whole(problem, settings, sequence)
    if start is not None:
        builder.state = State(*start, np.inf)
    given = builder.state.coefficients.shape[0]
    stages: list[Stage] = []
    for k in range(max(given, 1), n_components + 1):
        began = perf_counter()
        builder.advance(grow=k > given)
        unknown = undetermined(problem, builder.state.coefficients)
        if sequence.refit == "last" and stages:  # components that stay as they are stay so to the last NaN
            unknown[: k - 1] = np.isnan(stages[-1].components)
        stages.append(_finish(problem, builder.state, unknown, perf_counter() - began))
        progress(k, n_components, "components")
    return _collect(problem, stages, settings)


def factorize(
    problem: Problem,
    coefficients: FloatArray,
    components: FloatArray,
    settings: Settings,
    progress: Progress = no_progress,
) -> Factorization:
    """Improve all components together from a start, (k, n) and (k, p): a factorization of fixed rank."""
    began = perf_counter()
    state = alternating.alternate(problem, coefficients, components, settings)
    stage = _finish(problem, state, None, perf_counter() - began)
    progress(1, 1, "components")
    return _collect(problem, [stage], settings)


def start_by_residuals(problem: Problem, n_components: int, settings: Settings) -> tuple[FloatArray, FloatArray]:
    """Return a start for a joint factorization: a sequential build with a few iterations a stage."""
    brief = Settings(settings.solver, settings.tol, STARTING_ITERATIONS)
    builder = _Whole(problem, brief, SequentialSettings())
    for _ in range(n_components):
        builder.advance(grow=True)
    return builder.state.coefficients, builder.state.components


class _Whole:
    """A build on all pixels: the factors so far, and how to take them one stage on."""

    def __init__(self, problem: Problem, settings: Settings, sequence: SequentialSettings) -> None:
        self.problem = problem
        self.settings = settings
        self.sequence = sequence
        self.state = _empty(problem)

    def advance(self, grow: bool) -> None:
        """Add a component (or refine those given at the start) and iterate."""
        coefficients, components = self.state.coefficients, self.state.components
        if grow:
            coefficients, components = _with_new_component(self.problem, coefficients, components, self.sequence)
        fixed = _fixed(coefficients, self.sequence) if grow else 0
        self.state = alternating.alternate(self.problem, coefficients, components, self.settings, fixed=fixed)


class _Sampled:
    """A build that learns its coefficients on a random sample of the pixels, and polishes on all of them."""

    def __init__(self, problem: Problem, settings: Settings, sequence: SequentialSettings) -> None:
        p = problem.shape[1]
        count = min(p, int(np.ceil((sequence.pixel_fraction or 1.0) * p)))
        generator = np.random.default_rng(sequence.random_state)
        chosen = np.sort(generator.choice(p, count, replace=False))
        self.sample = _Whole(problem.subset(chosen), settings, sequence)
        self.problem = problem
        self.sequence = sequence
        self.polish = Settings(settings.solver, settings.tol, POLISH_ITERATIONS)
        self.state = _empty(problem)

    def advance(self, grow: bool) -> None:
        """Take the sample one stage on, solve all pixels for its coefficients, and polish."""
        self.sample.advance(grow)
        coefficients = self.sample.state.coefficients
        pixels = np.zeros((coefficients.shape[0], self.problem.shape[1]), dtype=self.problem.dtype)
        pixels[:-1] = self.state.components
        fixed = _fixed(coefficients, self.sequence)
        alternating.update_components(self.problem, coefficients, pixels, self.polish.solver, fixed)
        self.state = alternating.alternate(self.problem, coefficients, pixels, self.polish, fixed=fixed)
        self.state.converged = self.sample.state.converged


def _empty(problem: Problem) -> State:
    """Return factors of no components."""
    n, p = problem.shape
    return State(np.zeros((0, n), problem.dtype), np.zeros((0, p), problem.dtype), np.inf)


def _fixed(coefficients: FloatArray, sequence: SequentialSettings) -> int:
    """Return how many components stay as they are."""
    return coefficients.shape[0] - 1 if sequence.refit == "last" else 0


def _with_new_component(
    problem: Problem, coefficients: FloatArray, components: FloatArray, sequence: SequentialSettings
) -> tuple[FloatArray, FloatArray]:
    """Return the factors with the start of one more component appended."""
    if sequence.new == "random":
        seed = None if sequence.random_state is None else sequence.random_state + coefficients.shape[0]
        coefficient, pattern = initialize.random_factors(problem, 1, seed)
    else:
        coefficient, pattern = initialize.new_component(problem, coefficients, components)
    return np.vstack([coefficients, coefficient]), np.vstack([components, pattern])


def _finish(problem: Problem, state: State, unknown: BoolArray | None, seconds: float) -> Stage:
    """Bring a state into the caller's units."""
    chi2 = alternating.chi2(problem, state.coefficients, state.components)
    variance = total_variance(problem)
    coefficients, components = in_callers_units(problem, state.coefficients, state.components, unknown)
    return Stage(
        n_components=state.coefficients.shape[0],
        coefficients=coefficients,
        components=components,
        chi2=chi2 * problem.chi2_unit,
        fractional_residual_variance=chi2 / variance if variance > 0 else float("nan"),
        iterations=len(state.trace),
        kkt=state.kkt,
        converged=state.converged,
        seconds=seconds,
        chi2_trace=tuple(value * problem.chi2_unit for value in state.trace),
    )


def _collect(problem: Problem, stages: list[Stage], settings: Settings) -> Factorization:
    """Return the stages as one result, and warn of those that did not converge."""
    late = [stage.n_components for stage in stages if not stage.converged]
    if late and settings.tol > 0:
        msg = (
            f"{len(late)} of {len(stages)} stages did not reach 'tol'={settings.tol:g} in 'max_iter' iterations "
            f"(number of components: {', '.join(map(str, late))}); raise 'max_iter' or 'tol'"
        )
        warn(msg, ConvergenceWarning)
    return Factorization(tuple(stages), problem.n_valid, problem.observed, problem.supported)
