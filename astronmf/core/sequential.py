"""Building components one at a time (Ren+ 2018), and jointly for a fixed rank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf.core import alternating, initialize
from astronmf.core.alternating import Settings, State
from astronmf.core.memory import with_room
from astronmf.core.problem import Problem
from astronmf.core.rank import total_variance
from astronmf.core.results import Factorization, Stage, in_callers_units, undetermined
from astronmf.core.sampling import Sample
from astronmf.exceptions import ConvergenceWarning, warn

__all__ = ["SequentialSettings", "build", "factorize"]

STARTING_ITERATIONS = 2

# Pixels on which coefficients are learnt, where it is left to us: this part of all, but so many for each component, and
# no more than so many; and only of data that are worth it, and if it saves most of the work.
SAMPLED_FRACTION = 0.1
SAMPLED_FOR_COMPONENT = 20
MOST_SAMPLED = 5_000
SMALLEST_DATA = 1_000_000
SMALLEST_SAVING = 4

# How far the sample is taken: beyond that it learns its own noise.
SAMPLE_TOLERANCE = 1e-6
SAMPLE_ITERATIONS = 200

# A start that the sample improves by less than this fraction of χ² is better off without it; or by less than so many
# times k over the number of its pixels, which is what coefficients gain from its noise.
SMALLEST_LESSON = 0.01
OWN_NOISE = 3


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
    pixel_fraction : float, "auto" or None
        Learn the coefficients on this fraction of the pixels, chosen at random, before going on with all of them.
        "auto": where there are many more pixels than observations. `None`: all pixels throughout.
    random_state : int or None
        Seed of all that is random.
    """

    refit: str = "all"
    new: str = "residual"
    pixel_fraction: float | str | None = "auto"
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
    builder = _Builder(problem, n_components, settings, sequence, None if start is None else State(*start, np.inf))
    given = builder.state.coefficients.shape[0]
    variance = total_variance(problem)
    stages: list[Stage] = []
    for k in range(max(given, 1), n_components + 1):
        began = perf_counter()
        builder.advance(grow=k > given)
        unknown = undetermined(problem, builder.state.coefficients)
        if sequence.refit == "last" and stages:  # components that stay as they are stay so to the last NaN
            unknown[: k - 1] = np.isnan(stages[-1].components)
        stages.append(_finish(problem, builder.state, unknown, variance, began))
        progress(k, n_components, "components")
    return _collect(problem, stages, settings)


def factorize(
    problem: Problem,
    coefficients: FloatArray,
    components: FloatArray,
    settings: Settings,
    sequence: SequentialSettings | None = None,
    progress: Progress = no_progress,
) -> Factorization:
    """Improve all components together from a start, (k, n) and (k, p): a factorization of fixed rank.

    Of `sequence`, what it says of the sample of pixels counts.
    """
    began = perf_counter()
    start = State(coefficients, components, np.inf)
    builder = _Builder(problem, len(coefficients), settings, sequence or SequentialSettings(), start)
    builder.advance(grow=False)
    stage = _finish(problem, builder.state, None, total_variance(problem), began)
    progress(1, 1, "components")
    return _collect(problem, [stage], settings)


def start_by_residuals(problem: Problem, n_components: int, settings: Settings) -> tuple[FloatArray, FloatArray]:
    """Return a start for a joint factorization: a sequential build with a few iterations a stage."""
    brief = Settings(settings.solver, settings.tol, STARTING_ITERATIONS)
    builder = _Builder(problem, n_components, brief, SequentialSettings(pixel_fraction=None))
    for _ in range(n_components):
        builder.advance(grow=True)
    return builder.state.coefficients, builder.state.components


class _Builder:
    """The factors so far, and how to take them one stage on.

    A problem of many more observations than pixels is worked on the other way up: what is said here of pixels is then
    true of observations, and of components what is said of coefficients.

    With a sample of the pixels, the stage is first learnt on the sample. Coefficients are few and each pixel tells of
    all of them, so that a small part of the pixels brings them nearly to where all pixels would, at a small part of
    the cost.
    """

    def __init__(
        self,
        problem: Problem,
        n_components: int,
        settings: Settings,
        sequence: SequentialSettings,
        start: State | None = None,
    ) -> None:
        self.is_flipped = problem.is_tall and settings.solver == "cd" and sequence.refit == "all"
        self.problem = problem.flipped() if self.is_flipped else problem
        self.n_components = n_components
        self.settings = settings
        self.sequence = sequence
        start = _empty(problem) if start is None else start
        self._state = start.flipped() if self.is_flipped else start
        self.sample = _sample(self.problem, n_components, settings, sequence)

    @property
    def state(self) -> State:
        """The factors so far."""
        return self._state.flipped() if self.is_flipped else self._state

    def advance(self, grow: bool) -> None:
        """Add a component (or refine those given at the start) and iterate."""
        coefficients, chi2 = self._state.coefficients, self._state.chi2
        components: FloatArray | None = self._state.components
        fixed = len(coefficients) if grow and self.sequence.refit == "last" else 0
        learnt = None if self.sample is None else self._learn(self.sample, grow, fixed)
        if learnt is not None:
            if grow and not fixed:  # as large as what is worked on, and hardly ever needed again
                components = None
            self._state = learnt
            alternating.improve(self.problem, learnt, self.settings, fixed)
        if learnt is None or not learnt.chi2 < chi2:  # a stage never ends above the one before it
            start = self._solved(coefficients, components)
            start = _with_new_component(self.problem, *start, self.sequence) if grow else start
            self._state = alternating.alternate(self.problem, *start, self.settings, fixed)

    def _solved(self, coefficients: FloatArray, components: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """Return factors: with the components that the coefficients ask for, if none are given."""
        if components is None:
            start = np.zeros((len(coefficients), self.problem.shape[1]), self.problem.dtype)
            components, _ = alternating.sweep(self.problem, coefficients, start, "cd")
        return coefficients, components

    def _learn(self, sample: Sample, grow: bool, fixed: int) -> State | None:
        """Return the coefficients that the sample teaches, and components for all pixels to start from.

        Those components are a mere start, above which the first iteration may end; and near the end as it is, it takes
        one slow iteration less to make one. `None` if the sample has little to teach: a good start that was given would
        be spoilt by its own noise.
        """
        components = sample.of(self._state.components)
        learnt = self._learnt_on(sample, components, grow, fixed)
        if learnt is None:
            return None
        start = with_room(len(learnt.coefficients), self.n_components, self.problem.shape[1], self.problem.dtype)
        start[: len(components)] = self._state.components
        sample.put(learnt.components[fixed:], start[fixed:])
        return State(learnt.coefficients, start, np.inf, patience=alternating.SLOW_ITERATIONS - 1)

    def _learnt_on(self, sample: Sample, components: FloatArray, grow: bool, fixed: int) -> State | None:
        """Return factors of the sampled pixels, brought to their end; `None` as `_learn`."""
        part = sample.problem(self.problem)  # not kept: gathering it again is quick
        coefficients = self._state.coefficients
        if grow:
            coefficients, components = _with_new_component(part, coefficients, components, self.sequence)
        rough = replace(
            self.settings,
            tol=max(self.settings.tol, SAMPLE_TOLERANCE),
            max_iter=min(self.settings.max_iter, SAMPLE_ITERATIONS),
        )
        learnt = alternating.alternate(part, coefficients, components, rough, fixed)
        lesson = max(SMALLEST_LESSON, OWN_NOISE * len(coefficients) / sample.pixels.size)
        given = np.inf if grow else alternating.chi2(part, coefficients, components)
        return learnt if learnt.chi2 <= (1 - lesson) * given else None


def _sample(problem: Problem, n_components: int, settings: Settings, sequence: SequentialSettings) -> Sample | None:
    """Return the pixels on which coefficients are learnt first; `None` for all of them."""
    fraction = sequence.pixel_fraction
    if fraction is None or settings.solver == "mu":
        return None
    worthwhile = _sampled_pixels(problem, n_components) if fraction == "auto" else float(fraction) * problem.shape[1]
    if not worthwhile:
        return None
    sample = Sample.draw(problem, int(np.ceil(worthwhile)), sequence.random_state)
    return sample if sample.pixels.size else None


def _sampled_pixels(problem: Problem, n_components: int) -> int:
    """Return how many pixels to learn on; 0 where a sample is not worth it."""
    n, p = problem.shape
    count = min(max(int(SAMPLED_FRACTION * p), SAMPLED_FOR_COMPONENT * n_components), MOST_SAMPLED)
    return count if n * p >= SMALLEST_DATA and count * SMALLEST_SAVING <= p else 0


def _empty(problem: Problem) -> State:
    """Return factors of no components."""
    n, p = problem.shape
    return State(np.zeros((0, n), problem.dtype), np.zeros((0, p), problem.dtype), problem.square_sum)


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


def _finish(problem: Problem, state: State, unknown: BoolArray | None, variance: float, began: float) -> Stage:
    """Bring a state into the caller's units; its stage began at that time."""
    chi2 = state.chi2
    if problem.dtype != np.float64 or chi2 < alternating.CANCELLATION * problem.square_sum:
        chi2 = alternating.chi2(problem, state.coefficients, state.components)
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
        seconds=perf_counter() - began,
        chi2_trace=tuple(value * problem.chi2_unit for value in state.trace),
        seconds_trace=tuple(time - began for time in state.times),
    )


def _collect(problem: Problem, stages: list[Stage], settings: Settings) -> Factorization:
    """Return the stages as one result, and warn of those that did not converge."""
    if settings.tol > 0:
        _warn_of(
            [stage for stage in stages if not stage.converged and stage.iterations >= settings.max_iter],
            f"of {len(stages)} stages did not reach 'tol'={settings.tol:g} in 'max_iter' iterations",
            "raise 'max_iter' or 'tol'",
        )
        _warn_of(
            [stage for stage in stages if not stage.converged and stage.iterations < settings.max_iter],
            f"of {len(stages)} stages ended above 'tol'={settings.tol:g}, where rounding lets no step lower χ²",
            "use dtype='float64' or raise 'tol'",
        )
    return Factorization(tuple(stages), problem.n_valid, problem.observed, problem.supported)


def _warn_of(stages: list[Stage], what: str, advice: str) -> None:
    """Warn of stages that did not converge, if there are any."""
    if stages:
        numbers = ", ".join(str(stage.n_components) for stage in stages)
        warn(f"{len(stages)} {what} (number of components: {numbers}); {advice}", ConvergenceWarning)
