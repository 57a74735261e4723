"""What the tables of alternatives share: the problems, runs with their χ² after each sweep, and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from astronmf.core.parallel import thread_count
from astronmf.core.problem import Problem
from astronmf.core.results import in_problem_units
from benchmarks import machine
from benchmarks.problems import make_problem

DESCRIBED = ("Date", "Processor", "Cores", "Memory", "System", "Versions", "BLAS")
LEVELS = (0.1, 0.01, 0.001, 0.0001)

Factors = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Run:
    """χ²/N after each sweep over all data, and the seconds that all of them took."""

    name: str
    trace: np.ndarray
    seconds: float

    def sweeps_to(self, chi2: float) -> str:
        """Return after how many sweeps χ²/N is down to a value."""
        below = np.flatnonzero(self.trace <= chi2)
        return str(below[0] + 1) if below.size else "not reached"


def heading() -> None:
    """Print what the numbers were measured on."""
    described = machine.describe(thread_count())
    print("# Alternatives to what the engine does\n")
    print("\n".join(f"- {label}: {described[label]}" for label in DESCRIBED))
    print(f"- Threads: {thread_count()}")


def setup(key: str, n_components: int) -> tuple[Problem, Factors]:
    """Return a problem of the benchmark with another rank, as the engine keeps it; and its start, (k, n), (k, p)."""
    given = replace(make_problem(key), n_components=n_components)
    problem = Problem.from_arrays(given.data, given.weights, given.mask)
    return problem, in_problem_units(problem, *given.start)


def print_runs(title: str, runs: list[Run]) -> None:
    """Print a row for each run: sweeps to within each level of the best χ² of all of them, seconds, final χ²/N."""
    best = min(run.trace.min() for run in runs)
    levels = [f"to {100 * level:g} %" for level in LEVELS]
    print_table(
        title,
        ["what", "sweeps", *levels, "seconds", "χ²/N"],
        [
            [
                run.name,
                str(run.trace.size),
                *(run.sweeps_to(best * (1 + level)) for level in LEVELS),
                f"{run.seconds:.2f}",
                f"{run.trace.min():.6f}",
            ]
            for run in runs
        ],
    )


def print_table(title: str, names: Sequence[str], cells: list[list[str]]) -> None:
    """Print a Markdown table under a title."""
    print(f"\n{title}\n")
    for row in (names, ["---"] * len(names), *cells):
        print(f"| {' | '.join(row)} |", flush=True)
