"""Solvers of the row problems: what each gains, of what there is to gain, and in what time."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

from astronmf.core.alternating import Settings, alternate
from astronmf.core.problem import pair_products
from astronmf.kernels.nnls import active_set, coordinate_descent
from astronmf.kernels.objective import quadratic_form
from benchmarks.alternatives.kernels import block_pivoting, cyclic, greedy
from benchmarks.alternatives.table import print_table, setup
from benchmarks.race import say

KEY = "a"
RANKS = (10, 20)
ITERATIONS = (5, 30)
REPEATS = 3
GREEDY_SWEEPS, GREEDY_TOLERANCE = 10, 1e-4

# Gram matrices, right-hand sides and start of a block of pixels.
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
Solver = Callable[[np.ndarray, np.ndarray, np.ndarray], object]

SOLVERS: dict[str, Solver] = {
    "cyclic, in vectors (the engine's), at most 50, to 1e-4": lambda *rows: coordinate_descent(*rows, 0, 50, 1e-4),
    "cyclic, in vectors, at most 10, to 0.03": lambda *rows: coordinate_descent(*rows, 0, 10, 0.03),
    "cyclic, in numbers, at most 50, to 1e-4": lambda *rows: cyclic(*rows, 50, 1e-4),
    "cyclic, in numbers, at most 10, to 0.03": lambda *rows: cyclic(*rows, 10, 0.03),
    "greedy, in numbers, at most 10 k steps, to 1e-4": lambda *rows: greedy(
        *rows, GREEDY_SWEEPS * len(rows[1]), GREEDY_TOLERANCE
    ),
    "block principal pivoting, in numbers": lambda *rows: block_pivoting(*rows, np.zeros(rows[1].shape[1], dtype=bool)),
    "active set, in numbers, from 0 (the target step's)": lambda *rows: active_set(
        *rows, np.zeros(rows[1].shape[1], dtype=bool)
    ),
}


def print_solvers() -> None:
    """Print the time on one thread and the part of the attainable gain, at two ranks, early and late."""
    print("\n## Solvers of the row problems")
    names, columns = [], []
    for k in RANKS:
        for iterations in ITERATIONS:
            say(f"Row solvers ({KEY}), k = {k}, after {iterations} iterations")
            names.append(f"k = {k}, after {iterations}")
            columns.append(measure(row_problems(k, iterations)))
    cells = [[solver, *row] for solver, row in zip(SOLVERS, zip(*columns, strict=True), strict=True)]
    title = f"({KEY}), all pixels for given coefficients, one thread; seconds, and part of the attainable gain in χ²:"
    print_table(title, ["solver", *names], cells)


def row_problems(k: int, iterations: int) -> list[Rows]:
    """Return the row problems of all blocks of pixels after some iterations of the engine."""
    problem, start = setup(KEY, k)
    state = alternate(problem, *start, Settings("cd", 0.0, iterations))
    products = pair_products(state.coefficients)
    return [
        (*problem.component_system(products, state.coefficients, block), state.components[:, block].copy())
        for block in problem.blocks()
    ]


def measure(blocks: list[Rows]) -> list[str]:
    """Return a cell for each solver; the active set's gain is all there is."""
    before = total(blocks, [start for *_, start in blocks])
    found = []
    for name, solver in SOLVERS.items():
        solver(*(part[:, :8].copy() for part in blocks[0]))  # compiles
        seconds, solutions = zip(*(timed(blocks, solver) for _ in range(REPEATS)), strict=True)
        found.append((median(seconds), before - total(blocks, solutions[-1])))
        say(f"    {name}: {found[-1][0]:.3f} s")
    attainable = found[-1][1]
    return [f"{seconds:.3f} s, {100 * gain / attainable:.3f} %" for seconds, gain in found]


def timed(blocks: list[Rows], solver: Solver) -> tuple[float, list[np.ndarray]]:
    """Return the seconds that all blocks take, and their solutions."""
    solutions = [start.copy() for *_, start in blocks]
    began = perf_counter()
    for (gram, right, _), solution in zip(blocks, solutions, strict=True):
        solver(gram, right, solution)
    return perf_counter() - began, solutions


def total(blocks: list[Rows], solutions: list[np.ndarray]) -> float:
    """Return the sum of all objectives."""
    value = 0.0
    for (gram, right, _), solution in zip(blocks, solutions, strict=True):
        out = np.empty(right.shape[1])
        quadratic_form(gram, right, solution, out)
        value += float(out.sum())
    return value
