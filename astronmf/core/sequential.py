"""Building components one at a time (Ren+ 2018), and jointly for a fixed rank."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from astronmf._typing import FloatArray, Progress, no_progress
from astronmf.core import alternating, initialize
from astronmf.core.alternating import Settings, State
from astronmf.core.problem import Problem
from astronmf.core.rank import total_variance
from astronmf.core.results import Factorization, Stage, in_callers_units
from astronmf.exceptions import ConvergenceWarning

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
    pixel_fraction : float or None
        Learn the coefficients on this fraction of the pixels, chosen at random, then solve all pixels and polish
        with a few full iterations a stage. `None`: all pixels throughout.
    random_state : int or None
        Seed of that choice.
    """

    refit: str = "all"
    pixel_fraction: float | None = None
    random_state: int | None = 0


def build(
    problem: Problem,
    n_components: int,
    settings: Settings,
    sequence: SequentialSettings,
    progress: Progress = no_progress,
) -> Factorization:
    """Build `n_components` components, each learnt with those before it in place; every stage is kept.

    Stage k starts from the k − 1 components before it and `initialize.new_component`; all coefficients are refined,
    and the components that `sequence.refit` names.

    Parameters
    ----------
    problem
    n_components
    settings, sequence
    progress
        Called after each stage.

    Returns
    -------
    Factorization
    """
    start = _Sampled(problem, settings, sequence) if sequence.pixel_fraction is not None else None
    if start is not None:
        settings = Settings(settings.solver, settings.tol, POLISH_ITERATIONS)
    n, p = problem.shape
    coefficients = np.zeros((0, n), dtype=problem.dtype)
    components = np.zeros((0, p), dtype=problem.dtype)
    stages: list[Stage] = []
    for k in range(1, n_components + 1):
        began = perf_counter()
        fixed = k - 1 if sequence.refit == "last" else 0
        if start is None:
            first = _with_new_component(problem, coefficients, components)
        else:
            first = start.next_stage(problem, components, fixed)
        state = alternating.alternate(problem, *first, settings, fixed=fixed)
        coefficients, components = state.coefficients, state.components
        if start is not None:
            state.converged = start.state.converged
        stages.append(_finish(problem, state, perf_counter() - began))
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
    stage = _finish(problem, state, perf_counter() - began)
    progress(1, 1, "components")
    return _collect(problem, [stage], settings)


def start_by_residuals(problem: Problem, n_components: int, settings: Settings) -> tuple[FloatArray, FloatArray]:
    """Return a start for a joint factorization: a sequential build with a few iterations a stage."""
    brief = Settings(settings.solver, settings.tol, STARTING_ITERATIONS)
    coefficients = np.zeros((0, problem.shape[0]), dtype=problem.dtype)
    components = np.zeros((0, problem.shape[1]), dtype=problem.dtype)
    for _ in range(n_components):
        first = _with_new_component(problem, coefficients, components)
        state = alternating.alternate(problem, *first, brief)
        coefficients, components = state.coefficients, state.components
    return coefficients, components


class _Sampled:
    """The same build on a random sample of the pixels, one stage ahead of the whole."""

    def __init__(self, problem: Problem, settings: Settings, sequence: SequentialSettings) -> None:
        p = problem.shape[1]
        assert sequence.pixel_fraction is not None
        count = min(p, max(int(np.ceil(sequence.pixel_fraction * p)), 1))
        generator = np.random.default_rng(sequence.random_state)
        self.problem = problem.subset(np.sort(generator.choice(p, count, replace=False)))
        self.settings = settings
        n, m = self.problem.shape
        self.state = State(np.zeros((0, n), problem.dtype), np.zeros((0, m), problem.dtype), np.inf)

    def next_stage(self, whole: Problem, components: FloatArray, fixed: int) -> tuple[FloatArray, FloatArray]:
        """Return the sample's coefficients of the next stage and all pixels solved for them."""
        first = _with_new_component(self.problem, self.state.coefficients, self.state.components)
        self.state = alternating.alternate(self.problem, *first, self.settings, fixed=fixed)
        coefficients = self.state.coefficients
        k, p = coefficients.shape[0], whole.shape[1]
        pixels = np.zeros((k, p), dtype=whole.dtype)
        pixels[: components.shape[0]] = components
        alternating.update_components(whole, coefficients, pixels, self.settings.solver, fixed)
        return coefficients, pixels


def _with_new_component(
    problem: Problem, coefficients: FloatArray, components: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the factors with the start of one more component appended."""
    coefficient, pattern = initialize.new_component(problem, coefficients, components)
    return np.vstack([coefficients, coefficient]), np.vstack([components, pattern])


def _finish(problem: Problem, state: State, seconds: float) -> Stage:
    """Bring a state into the caller's units."""
    chi2 = alternating.chi2(problem, state.coefficients, state.components)
    variance = total_variance(problem)
    if not np.isfinite(state.kkt):
        state.kkt = alternating.kkt(problem, state.coefficients, state.components)
    coefficients, components = in_callers_units(problem, state.coefficients, state.components)
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
        warnings.warn(msg, ConvergenceWarning, stacklevel=4)
    return Factorization(tuple(stages), problem.n_valid, problem.observed, problem.supported)
