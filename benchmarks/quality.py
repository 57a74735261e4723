"""One judge of χ² for all systems, and a stopwatch that stands still while it judges."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.results import Look

if TYPE_CHECKING:
    from benchmarks.problems import Problem

BLOCK = 400_000  # values of the data at a time

# Between two looks a run may lengthen by this fraction.
SPACING = 0.03

Factors = tuple[np.ndarray, np.ndarray]


def chi2(data: np.ndarray, weights: np.ndarray | None, coefficients: np.ndarray, components: np.ndarray) -> float:
    """Return ``Σ V (X − C B)²`` in double precision; it shares no code with any system.

    Parameters
    ----------
    data : (n, p) array
    weights : (n, p) array or None
        0 where a value is missing; `None` for ones.
    coefficients : (n, k) array
    components : (k, p) array
    """
    coefficients, components = coefficients.astype(np.float64), components.astype(np.float64)
    step = max(1, BLOCK // len(data))
    total = 0.0
    for first in range(0, data.shape[1], step):
        block = slice(first, first + step)
        squares = (data[:, block] - coefficients @ components[:, block]) ** 2
        total += float(np.sum(squares if weights is None else squares * weights[:, block]))
    return total


class Enough(Exception):  # noqa: N818 (not an error)
    """The run is as good as the best known, or has used its budget."""


class Watch:
    """A stopwatch for one run of one system.

    Parameters
    ----------
    problem
    enough
        χ² at which the run may end.
    budget
        Seconds after which it must.
    """

    def __init__(self, problem: Problem, enough: float, budget: float) -> None:
        self.problem = problem
        self.enough = enough
        self.budget = budget
        self.looks: list[Look] = []
        self.seconds = 0.0
        self._since = perf_counter()
        self._due = 0.0

    def start(self) -> None:
        """Start, or go on."""
        self._since = perf_counter()

    def stop(self) -> None:
        """Stand still."""
        self.seconds += perf_counter() - self._since

    def glance(self, iteration: int, factors: Callable[[], Factors]) -> None:
        """Look, if enough iterations have passed since the last look."""
        if iteration >= self._due:
            self.look(iteration, factors)
            self._due = iteration * (1 + SPACING)

    def look(self, iteration: int, factors: Callable[[], Factors]) -> None:
        """Judge the factors, off the clock; raise `Enough` where the run may end."""
        self.stop()
        self.looks.append(Look(self.seconds, iteration, self.problem.chi2(*factors())))
        if not np.isfinite(self.looks[-1].chi2):
            msg = "χ² is not finite"
            raise ArithmeticError(msg)
        if self.looks[-1].chi2 <= self.enough or self.seconds > self.budget:
            raise Enough
        self.start()
