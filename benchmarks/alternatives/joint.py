"""Both factors from one start: what accelerates the alternation, and how far each row problem is taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from scipy.optimize import minimize

from astronmf.core import alternating
from astronmf.core.alternating import Settings, State, System, alternate
from astronmf.core.problem import Problem
from astronmf.core.projection import unpack_gram
from benchmarks.alternatives.newton import Curvature, conjugate_gradients, restricted_inverse
from benchmarks.alternatives.table import Factors, Run, print_runs, setup
from benchmarks.race import say

CASES = (("a", 5, 120), ("a", 10, 150), ("d", 10, 120))
INNER_CASE = ("a", 10, 150)
INNER = ((1, 1e-4), (3, 1e-4), (10, 1e-4), (50, 1e-4), (50, 1e-3), (50, 1e-2))

# Plain sweeps before a method takes over that needs to be near.
WARM = 4

DEPTH = 10  # of Anderson's memory
REGULARISATION = 1e-10
CORRECTIONS = 20  # of the quasi-Newton memory

NEWTON_SWEEPS = 40
SAMPLED_FRACTION = 0.1
FIRST_DAMPING, SMALLEST_DAMPING = 1e-2, 1e-7

Method = Callable[[Problem, np.ndarray, np.ndarray, int], list[float]]


class Point(NamedTuple):
    """Coefficients, (k, n), with the components that are best for them, χ², half its gradient, and Gram matrices."""

    coefficients: np.ndarray
    components: np.ndarray
    chi2: float
    slope: np.ndarray
    gram: np.ndarray


class Sweeps:
    """The engine's sweeps over all data, with χ² after each."""

    def __init__(self, problem: Problem, components: np.ndarray) -> None:
        self.problem = problem
        self.components = components
        self.trace: list[float] = []

    def alternate(self, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Solve for the components, then for the coefficients; return these, and their scale in χ²."""
        system = self._solve_components(coefficients)
        state = State(coefficients, self.components, np.inf)
        found = alternating.solve_coefficients(self.problem, system, coefficients, self.components, state, "cd")
        self.trace.append(found[1])
        curvature = _diagonal(system[0], len(coefficients))
        return found[0], np.sqrt(np.where(curvature > 0, curvature, 1.0))

    def eliminate(self, coefficients: np.ndarray) -> Point:
        """Solve for the components only."""
        gram, right = self._solve_components(coefficients)
        full = unpack_gram(gram, len(coefficients))
        slope = np.einsum("nab,bn->an", full, coefficients) - right
        self.trace.append(self.problem.square_sum + float(np.sum(coefficients * (slope - right))))
        return Point(coefficients, self.components, self.trace[-1], slope, full)

    def _solve_components(self, coefficients: np.ndarray) -> System:
        self.components, system = alternating.sweep(self.problem, coefficients, self.components, "cd")
        return system


def plain(problem: Problem, coefficients: np.ndarray, components: np.ndarray, count: int) -> list[float]:
    """Alternate, and nothing else."""
    sweeps = Sweeps(problem, components)
    for _ in range(count):
        coefficients, _ = sweeps.alternate(coefficients)
    return sweeps.trace


def extrapolated(problem: Problem, coefficients: np.ndarray, components: np.ndarray, count: int) -> list[float]:
    """Return χ² of the engine."""
    return alternate(problem, coefficients, components, Settings("cd", 0.0, count)).trace


def anderson(problem: Problem, coefficients: np.ndarray, components: np.ndarray, count: int) -> list[float]:
    """Mix the last results of the alternation so that their steps nearly cancel; drop what raises χ²."""
    sweeps, best, safe, trial = Sweeps(problem, components), np.inf, coefficients, coefficients
    memory: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=DEPTH + 1)
    for _ in range(count):
        kept = sweeps.components
        result, scale = sweeps.alternate(trial)
        if sweeps.trace[-1] > best:
            sweeps.components, trial = kept, safe
            memory.clear()
            continue
        best, safe = sweeps.trace[-1], result
        memory.append((((result - trial) * scale).ravel(), result.ravel()))
        trial = np.maximum(_mixed(memory), 0).reshape(result.shape)
    return sweeps.trace


def _mixed(memory: deque[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the mixture of results whose mixed step is the shortest."""
    step, result = memory[-1]
    if len(memory) == 1:
        return result
    steps, results = (np.diff(np.array(part), axis=0) for part in zip(*memory, strict=True))
    normal = steps @ steps.T
    normal += REGULARISATION * np.trace(normal) * np.eye(len(normal))
    return result - np.linalg.solve(normal, steps @ step) @ results


def quasi_newton(problem: Problem, coefficients: np.ndarray, components: np.ndarray, count: int) -> list[float]:
    """Minimise over the coefficients by L-BFGS-B, the components eliminated, in units of each one's curvature."""
    sweeps = Sweeps(problem, components)
    for _ in range(WARM):
        coefficients, scale = sweeps.alternate(coefficients)

    def objective(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        point = sweeps.eliminate(scaled.reshape(scale.shape) / scale)
        return point.chi2, (2 * point.slope / scale).ravel()

    minimize(
        objective,
        (coefficients * scale).ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * scale.size,
        options={"maxcor": CORRECTIONS, "maxiter": count, "maxfun": count - WARM, "ftol": 0, "gtol": 0},
    )
    return sweeps.trace


def gauss_newton(problem: Problem, coefficients: np.ndarray, components: np.ndarray, count: int) -> list[float]:
    """Take damped Gauss-Newton steps in the coefficients, the components eliminated, curvature from a sample."""
    sweeps, curvature = Sweeps(problem, components), Curvature(problem, SAMPLED_FRACTION)
    for _ in range(WARM):
        coefficients, _ = sweeps.alternate(coefficients)
    damping, here = FIRST_DAMPING, sweeps.eliminate(coefficients)
    while len(sweeps.trace) < min(count, NEWTON_SWEEPS):
        there = sweeps.eliminate(np.maximum(here.coefficients + _newton_step(here, curvature, damping), 0))
        if there.chi2 < here.chi2:
            here, damping = there, max(damping / 3, SMALLEST_DAMPING)
        else:
            sweeps.components, damping = here.components, damping * 10
    return sweeps.trace


def _newton_step(here: Point, curvature: Curvature, damping: float) -> np.ndarray:
    """Return where the free coefficients should go."""
    free = (here.coefficients > 0) | (here.slope < 0)
    curvature.move(here.coefficients, here.components, damping)
    inverse = restricted_inverse(here.gram, free, damping)
    return conjugate_gradients(curvature, inverse, np.where(free, -here.slope, 0.0), free)


def _diagonal(gram: np.ndarray, k: int) -> np.ndarray:
    """Return the diagonals, (k, n), of packed Gram matrices."""
    return np.array([gram[a * (a + 1) // 2 + a] for a in range(k)])


METHODS: dict[str, Method] = {
    "plain alternation": plain,
    "HER (the engine)": extrapolated,
    f"Anderson, depth {DEPTH}": anderson,
    "quasi-Newton (L-BFGS-B), components eliminated": quasi_newton,
    f"Gauss-Newton with CG, components eliminated, curvature of {SAMPLED_FRACTION:.0%} of the pixels": gauss_newton,
}


def run(name: str, method: Method, problem: Problem, start: Factors, count: int) -> Run:
    """Time a method; its trace is the best so far, per value."""
    began = perf_counter()
    trace = method(problem, *start, count)
    seconds = perf_counter() - began
    say(f"    {name}: {seconds:.2f} s")
    return Run(name, np.minimum.accumulate(trace) * problem.chi2_unit / problem.n_valid, seconds)


def print_accelerations() -> None:
    """Print a table for each problem."""
    print("\n## Acceleration of the alternation")
    for key, k, count in CASES:
        problem, start = setup(key, k)
        say(f"Acceleration ({key}), k = {k}")
        for method in METHODS.values():  # compiles, and warms up
            method(problem, *start, WARM + 2)
        runs = [run(name, method, problem, start, count) for name, method in METHODS.items()]
        print_runs(f"({key}), {_size(problem)}, k = {k}:", runs)


def print_inner_sweeps() -> None:
    """Print what more or fewer sweeps within each row problem do."""
    print("\n## Sweeps of coordinate descent within each row problem")
    key, k, count = INNER_CASE
    problem, start = setup(key, k)
    say(f"Inner sweeps ({key}), k = {k}")
    runs = []
    for sweeps, tolerance in INNER:
        with patch.multiple(alternating, INNER_SWEEPS=sweeps, INNER_TOLERANCE=tolerance):
            name = f"at most {sweeps}, to {tolerance:g}"
            runs.append(run(name, extrapolated, problem, start, count))
    print_runs(f"({key}), {_size(problem)}, k = {k}, HER; the engine's are {_inner_defaults()}:", runs)


def _inner_defaults() -> str:
    return f"at most {alternating.INNER_SWEEPS}, to {alternating.INNER_TOLERANCE:g}"


def _size(problem: Problem) -> str:
    n, p = problem.shape
    return f"{n} observations × {p:,} pixels"
