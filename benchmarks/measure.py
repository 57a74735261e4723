"""Runs the parts that were asked for, one after the other, and writes what they found."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import figure, machine, memory, page, race, roofline, stages, startup, target
from benchmarks.problems import MAKERS, Problem, make_problem
from benchmarks.results import Results

TARGET_COMPONENTS = 20


def measure(asked: argparse.Namespace) -> Results:
    """Return the results of all parts; after each, what is known by then is saved."""
    results = Results(machine.describe(asked.threads), asked.rounds, asked.scale)
    for part in (name for name in PARTS if name in asked.problems):
        PARTS[part](results, asked)
        if asked.json:
            results.save(asked.json)
    return results


def write(results: Results, folder: Path) -> None:
    """Write the page and, if any problem was raced, the figure."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text(page.page(results), encoding="utf-8")
    if results.races:
        figure.draw(results, folder / "figures" / "benchmarks.png")
    race.say(f"wrote {folder / 'benchmarks.md'}")


def _problem(key: str, asked: argparse.Namespace) -> Problem:
    problem = make_problem(key, asked.scale)
    return problem if asked.budget is None else replace(problem, budget=asked.budget)


def _startup(results: Results, _: argparse.Namespace) -> None:
    results.startup = startup.measure()


def _roofline(results: Results, asked: argparse.Namespace) -> None:
    results.sweeps = roofline.measure(_problem("a", asked), asked.threads)


def _memory(results: Results, asked: argparse.Namespace) -> None:
    results.memory = memory.measure(asked.scale)


def _target(results: Results, asked: argparse.Namespace) -> None:
    problem = replace(_problem("a", asked), n_components=TARGET_COMPONENTS)
    results.target = target.compare(problem, asked.rounds)


def _stages(results: Results, asked: argparse.Namespace) -> None:
    results.stages = stages.compare(_problem("a", asked), asked.sequential_rounds or asked.rounds)


def _race(key: str) -> Callable[[Results, argparse.Namespace], None]:
    def run(results: Results, asked: argparse.Namespace) -> None:
        results.races.append(race.race(_problem(key, asked), asked.rounds))

    return run


#: In the order in which they run.
PARTS: dict[str, Callable[[Results, argparse.Namespace], None]] = {
    "startup": _startup,
    "roofline": _roofline,
    "memory": _memory,
    "f": _target,
    **{key: _race(key) for key in MAKERS},
    "s": _stages,
}
