"""Alternating minimization: solve all pixels for fixed coefficients, then all observations for fixed components.

``solver="cd"`` solves each row's non-negative least-squares problem by coordinate descent and extrapolates between
alternations (HER: Ang & Gillis 2019); ``solver="mu"`` is the multiplicative rule of Lee & Seung (2001) with weights
(Blanton & Roweis 2007; Zhu 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import TypeAlias

import numpy as np

from astronmf._typing import FloatArray
from astronmf.core.memory import alike
from astronmf.core.parallel import item_blocks, map_blocks, take_blocks
from astronmf.core.problem import Problem, pair_products
from astronmf.kernels.multiplicative import multiplicative_step
from astronmf.kernels.nnls import coordinate_descent
from astronmf.kernels.objective import coordinate_gain, quadratic_form

__all__ = ["Settings", "State", "alternate", "chi2_by_observation", "improve"]

INNER_SWEEPS = 50
INNER_TOLERANCE = 1e-4

# Extrapolation (Ang & Gillis 2019, table 1): how it starts, grows after a success and shrinks after a failure.
EXTRAPOLATION_START = 0.5
EXTRAPOLATION_GROWTH = 1.05
EXTRAPOLATION_LIMIT_GROWTH = 1.01
EXTRAPOLATION_SHRINKAGE = 1.5

# So many slow iterations in a row make it worth looking whether this is the end: extrapolation starts slowly, and once
# more after each restart.
SLOW_ITERATIONS = 3

# To this fraction of Σ V X², χ² from Gram matrices of single precision is uncertain.
SINGLE_ROUNDING = 1e-7

# Above this fraction of Σ V X², χ² from Gram matrices is good to nine digits.
CANCELLATION = 1e-6

# Below this fraction of Σ V X², χ² from Gram matrices is rounding error.
ROUNDING = 1e-14


# Packed Gram matrices and right-hand sides of a batch of row problems.
System: TypeAlias = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class Settings:
    """How to iterate.

    Attributes
    ----------
    solver : {"cd", "mu"}
    tol : float
        Stop when three iterations in a row each lower χ² by less than this fraction, and `State.kkt` is below it.
    max_iter : int
        Of each stage.
    """

    solver: str = "cd"
    tol: float = 1e-6
    max_iter: int = 1000


@dataclass
class State:
    """Factors on their way, with χ² (scaled units) after each iteration.

    Attributes
    ----------
    coefficients : (k, n) array
    components : (k, p) array
    chi2 : float
    summed : bool
        Whether χ² is summed from residuals; in single precision only.
    trace : list of float
    times : list of float
        When each value of the trace was reached, by `time.perf_counter`.
    slow_iterations : int
        How many in a row, up to now, lowered χ² by less than the tolerance.
    patience : int
        How many of them end the iteration.
    system : ((k (k + 1) / 2, n) array, (k, n) array) or None
        The observations' problems for `components`, where they are known.
    kkt : float
    converged : bool
    """

    coefficients: FloatArray
    components: FloatArray
    chi2: float
    summed: bool = False
    trace: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    slow_iterations: int = 0
    patience: int = SLOW_ITERATIONS
    system: System | None = None
    kkt: float = float("nan")
    converged: bool = False

    def flipped(self) -> State:
        """Return the same with coefficients and components exchanged."""
        return replace(self, coefficients=self.components, components=self.coefficients, system=None)

    def correct(self, chi2: float) -> None:
        """Put what was summed from residuals in the place of χ² from the row problems, which may have been too low."""
        self.trace = [max(value, chi2) for value in self.trace]
        self.chi2 = chi2

    def accept(self, coefficients: FloatArray, components: FloatArray, chi2: float, system: System) -> None:
        """Go to new factors."""
        self.coefficients, self.components, self.chi2, self.system = coefficients, components, chi2, system

    def record(self, chi2: float) -> None:
        """Note χ² after an iteration."""
        self.trace.append(chi2)
        self.times.append(perf_counter())


def alternate(
    problem: Problem, coefficients: FloatArray, components: FloatArray, settings: Settings, fixed: int = 0
) -> State:
    """Return factors improved until they converge, from a start (k, n) and (k, p); the rest as `improve`."""
    state = State(coefficients, components, chi2(problem, coefficients, components))
    improve(problem, state, settings, fixed)
    return state


def improve(problem: Problem, state: State, settings: Settings, fixed: int = 0) -> None:
    """Move a state on until it converges; the arrays that it starts from are not modified.

    Its χ² never rises from one iteration to the next, whatever the extrapolation tried.

    Parameters
    ----------
    problem
    state
        Factors of at least 0, and the χ² that the first iteration must not exceed.
    settings
    fixed
        The first so many components stay as they are; all coefficients move.
    """
    run = _multiplicative if settings.solver == "mu" else _extrapolated
    run(problem, state, settings, fixed)
    if not state.converged:
        state.kkt = kkt(problem, state, fixed)
    state.system = None


def _multiplicative(problem: Problem, state: State, settings: Settings, fixed: int) -> None:
    """Iterate the multiplicative rule, components first, as Zhu (2016) does."""
    for _ in range(settings.max_iter):
        components, system = sweep(problem, state.coefficients, state.components, settings.solver, fixed)
        coefficients, found = solve_coefficients(
            problem, system, state.coefficients, components, state, settings.solver
        )
        before = state.chi2
        state.accept(coefficients, components, found, system)
        state.record(found)
        if _is_converged(problem, state, before, settings, fixed):
            return


def _extrapolated(problem: Problem, state: State, settings: Settings, fixed: int) -> None:
    """Alternate with extrapolation; a trial that raises χ² is dropped, and plain steps go on from the last pair."""
    solver = settings.solver
    last_coefficients = ahead = state.coefficients
    last_components: FloatArray | None = None  # as they were solved; those of the state, unless it was extrapolated to
    extrapolation, strength, limit = 0.0, EXTRAPOLATION_START, 1.0
    for _ in range(settings.max_iter):
        move = None
        if extrapolation > 0:
            if last_components is None:
                last_components = alike(state.components)
                last_components[...] = state.components
            move = partial(_extrapolate, last_components, extrapolation)
        components, system = sweep(problem, ahead, state.components, solver, fixed, move)
        coefficients, found = solve_coefficients(problem, system, ahead, components, state, solver)
        before = state.chi2
        state.record(min(before, found))  # in this order `before` stays where `found` is NaN
        descends = found <= before  # NaN does not
        if not descends and extrapolation > 0:
            limit, strength, extrapolation = strength, strength / EXTRAPOLATION_SHRINKAGE, 0.0
            ahead, last_components = state.coefficients, None
            continue
        if not descends:  # not even a plain step: rounding is all that is left
            state.converged = _is_stationary(problem, state, settings, fixed)
            return
        state.accept(coefficients, components, found, system)
        if _is_converged(problem, state, before, settings, fixed):
            return
        ahead, last_coefficients = _moved(coefficients, last_coefficients, strength), coefficients
        extrapolation = strength
        strength = min(limit, strength * EXTRAPOLATION_GROWTH)
        limit = min(1.0, limit * EXTRAPOLATION_LIMIT_GROWTH)


def _moved(factor: FloatArray, last: FloatArray, strength: float) -> FloatArray:
    """Return `factor` moved on by `strength` times its last step, and kept at least 0."""
    out = factor - last
    out *= factor.dtype.type(strength)
    out += factor
    return np.maximum(out, 0, out=out)


def _extrapolate(last: FloatArray, strength: float, here: FloatArray, block: slice) -> FloatArray:
    """Return where extrapolation moves a block that was just solved, which takes the place of the `last`."""
    moved = _moved(here, last[:, block], strength)
    last[:, block] = here
    return moved


def _is_converged(problem: Problem, state: State, before: float, settings: Settings, fixed: int) -> bool:
    """Return whether χ² has stopped falling and the optimality conditions hold, each to the tolerance."""
    slow = before - state.chi2 <= settings.tol * state.chi2 or state.chi2 <= ROUNDING * problem.square_sum
    state.slow_iterations = state.slow_iterations + 1 if slow else 0
    if state.slow_iterations < state.patience:
        return False
    state.converged = settings.tol > 0 and _is_stationary(problem, state, settings, fixed)
    state.slow_iterations = 0  # to measure takes as long as to iterate: not again at once
    return state.converged


def _is_stationary(problem: Problem, state: State, settings: Settings, fixed: int) -> bool:
    """Measure `State.kkt` and return whether it is below the tolerance (or χ² is zero to rounding)."""
    state.kkt = kkt(problem, state, fixed)
    return state.kkt <= settings.tol or state.chi2 <= ROUNDING * problem.square_sum


def kkt(problem: Problem, state: State, fixed: int = 0) -> float:
    """Return what single-coordinate steps could still remove of χ², as a fraction of it."""
    coefficients, components = state.coefficients, state.components
    gram, right = problem.coefficient_system(components) if state.system is None else state.system
    gain = _gain(gram, right, coefficients.astype(np.float64), 0)
    products = pair_products(coefficients)

    def block_gain(block: slice) -> float:
        gram, right = problem.component_system(products, coefficients, block)
        return _gain(gram, right, np.ascontiguousarray(components[:, block]), fixed)

    gain += sum(map_blocks(block_gain, problem.blocks()))
    return gain / state.chi2 if state.chi2 > 0 else 0.0


def sweep(
    problem: Problem,
    coefficients: FloatArray,
    components: FloatArray,
    solver: str,
    fixed: int = 0,
    move: Callable[[FloatArray, slice], FloatArray] | None = None,
) -> tuple[FloatArray, System]:
    """Solve all pixels for given coefficients, and set up the observations' problems for what was found.

    Each block of pixels is solved, moved and summed into the observations' problems while its data are in cache, so
    that they are read from memory once.

    Parameters
    ----------
    problem
    coefficients : (k, n) array
    components : (k, p) array
        Start.
    solver
    fixed
        The first so many components stay as they are.
    move
        Called with a block's new components, (k, m), and the block; returns what to take instead.

    Returns
    -------
    components : (k, p) array
    system : ((k (k + 1) / 2, n) array, (k, n) array)
        Gram matrices and right-hand sides of the observations.
    """
    products = pair_products(coefficients)
    new = alike(components)

    def solve_block(block: slice) -> FloatArray:
        here = components[:, block].copy()
        gram, right = problem.component_system(products, coefficients, block)
        _solve(gram, right, here, solver, fixed)
        if move is not None:
            here = move(here, block)
        new[:, block] = here
        return here

    return new, problem.solved_system(solve_block, len(components))


def solve_coefficients(
    problem: Problem, system: System, start: FloatArray, components: FloatArray, state: State, solver: str
) -> tuple[FloatArray, float]:
    """Return the coefficients that solve the observations' problems for `components`, from `start`; and their χ².

    In single precision the row problems give χ² to some digits only. Unless it falls by more than those, it is summed
    from the residuals, and so is that of `state`; and so are all that follow as soon as it moves by no more than those.
    """
    double = _solved(system, start.astype(np.float64), solver)
    found = _chi2_from_system(problem, *system, double)
    if problem.dtype == np.float64:
        return double, found
    single = double.astype(problem.dtype)
    rounding = SINGLE_ROUNDING * problem.square_sum
    if state.chi2 - found > rounding and not state.summed:
        return single, found
    if not state.summed:
        state.summed = abs(state.chi2 - found) <= rounding
        state.correct(chi2(problem, state.coefficients, state.components))
    return single, chi2(problem, single, components)


def _solved(system: System, start: FloatArray, solver: str) -> FloatArray:
    """Return the solutions of many row problems, a part of them at a time."""

    def part(items: slice) -> FloatArray:
        here = start[:, items].copy()
        gram, right = (np.ascontiguousarray(array[:, items]) for array in system)
        _solve(gram, right, here, solver, 0)
        return here

    return np.concatenate(map_blocks(part, item_blocks(start.shape[1])), axis=1)


def _chi2_from_system(problem: Problem, gram: FloatArray, right: FloatArray, solution: FloatArray) -> float:
    """Return χ² of solved row problems: it falls out of their Gram matrices."""
    out = np.empty(right.shape[1])
    quadratic_form(gram, right, solution, out)
    return max(problem.square_sum + float(out.sum()), 0.0)


def _gain(gram: FloatArray, right: FloatArray, solution: FloatArray, fixed: int) -> float:
    """Return what single-coordinate steps could remove of a batch of row problems."""
    out = np.empty(right.shape[1])
    coordinate_gain(gram, right, solution, fixed, out)
    return float(out.sum())


def _solve(gram: FloatArray, right: FloatArray, solution: FloatArray, solver: str, fixed: int) -> None:
    """Improve a batch of row problems in place."""
    if solver == "mu":
        multiplicative_step(gram, right, solution, fixed)
    else:
        coordinate_descent(gram, right, solution, fixed, INNER_SWEEPS, INNER_TOLERANCE)


def chi2_of_solution(
    problem: Problem, gram: FloatArray, right: FloatArray, solution: FloatArray, components: FloatArray
) -> FloatArray:
    """Return each observation's χ², (n,): from the row problems, or from residuals where that loses digits."""
    out = np.empty(right.shape[1])
    quadratic_form(gram, right, solution, out)
    out += problem.squares
    if (out > CANCELLATION * problem.squares).all():
        return out
    return chi2_by_observation(problem, solution, components)


def chi2(problem: Problem, coefficients: FloatArray, components: FloatArray) -> float:
    """Return ``Σ V (X − C B)²`` from the residuals, in the problem's units."""
    return float(chi2_by_observation(problem, coefficients, components).sum())


def chi2_by_observation(problem: Problem, coefficients: FloatArray, components: FloatArray) -> FloatArray:
    """Return each observation's ``Σ_j V (X − C B)²``, (n,), in the problem's units."""

    def of_block(block: slice) -> FloatArray:
        return problem.chi2_part(coefficients.T @ components[:, block], block)

    out = np.zeros(problem.shape[0])
    take_blocks(of_block, problem.blocks(), partial(np.add, out, out=out))
    return out
