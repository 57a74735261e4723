"""The page of results, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isfinite
from statistics import median

from benchmarks import systems
from benchmarks.goals import goals
from benchmarks.race import FLOOR_ITERATIONS
from benchmarks.results import LEVELS, Memory, Race, Results, Stages, StartUp, Sweep, Target, number

#: How far the χ² of our own trace may be from the judge's, in double precision.
LARGEST_DIFFERENCE = 1e-6

INTRODUCTION = """\
Every number here comes from this call in a checkout of the source, which writes the page and its figure:

```sh
pip install -e ".[benchmark]"
python -m benchmarks
```"""

METHOD = """\
## How it is measured

*Time to quality.* On each problem all systems set out from the same random factors. What counts is the time until
χ² = Σ V (X − C B)² is within 10, 1, 0.1 and 0.01 % of the best known: the lowest χ² that any system reached from that
start, one long run of astronmf before the rounds included. Systems run in turn, round by round, and the median over
{rounds} rounds is given. A run ends when it is within 0.005 % of the best known, when it stops by itself, or when its
budget is used up; `> 60` means that the quality was not reached in 60 s. **Every row shows the χ² that the system
reached**, per valid value.

χ² is judged by one plain function in double precision, off the clock, and on the data as they are. NonnegMFPy sets
negative values to zero, and no number of iterations brings it to the best known: its times are to within 10, 1, 0.1 and
0.01 % of the best that can be had that way, which is found by {floor} iterations of astronmf on the data so changed (or
by NonnegMFPy itself, where it comes lower). Peers are looked at between iterations, the more rarely the longer they
run; between two looks the logarithm of χ² − best is taken to be linear in time. For astronmf the clock starts with the
call of `fit`, so that checking and copying count, and χ² comes from the fit's own trace, whose last value is compared
with the judge's. It has `tol={tol:g}`: where it stops by itself above the best known, it has come to another stationary
point, or to where χ² falls too slowly to tell. Compilation is not counted: everything runs on a tiny problem first.
Turning and clipping data to a peer's taste is not counted either. NonnegMFPy is given zero weights for missing values,
and iterates the way up that is faster (said under each table); nimfa 1.4.0 is lent `numpy.mat`, which NumPy 2 took
away.
All problems are simulated and seeded (`benchmarks/problems.py`)."""

DRY_RUN = """\
> **This is a dry run** with problems shrunk to {scale:g} of their size. Its numbers say nothing of real problems."""


def page(results: Results) -> str:
    """Return the whole page."""
    parts = [
        "# Benchmarks",
        *([DRY_RUN.format(scale=results.scale)] if results.scale < 1 else []),
        INTRODUCTION,
        _table(("", ""), results.machine.items()),
        *_goals(results),
        METHOD.format(rounds=results.rounds, floor=FLOOR_ITERATIONS, tol=systems.TOLERANCE),
        *_races(results),
        *(_stages(results.stages) if results.stages else ()),
        *(_target(results.target) if results.target else ()),
        *(_sweeps(results.sweeps) if results.sweeps else ()),
        *(_memory(results.memory) if results.memory else ()),
        *(_startup(results.startup) if results.startup else ()),
    ]
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _goals(results: Results) -> Iterator[str]:
    verdicts = {True: "yes", False: "**no**", None: "not decided"}
    rows = [(what, needed, measured, verdicts[met]) for what, needed, measured, met in goals(results)]
    if rows:
        yield "## What must be reached"
        yield _table(("", "needed", "measured", "reached"), rows)
        yield "Ratios are of astronmf in double precision."


def _races(results: Results) -> Iterator[str]:
    if results.races:
        yield "## Time to quality"
        yield "![χ² above the best in reach against time, all systems and problems](figures/benchmarks.png)"
    for race in results.races:
        yield f"### {race.heading}"
        yield _facts(race)
        levels = [f"{level:g} %" for level in LEVELS]
        header = ("system", *(f"{level}, s" for level in levels), "whole run, s", "iterations", "χ²/N reached")
        yield _table(header, [_race_row(race, system) for system in race.systems])
        yield _notes(race)


def _facts(race: Race) -> str:
    n, p = race.shape
    missing = 1 - race.n_valid / (n * p)
    weights = "general weights" if race.weighted else "uniform weights"
    return (
        f"{n:,} × {p:,} values, {weights}, {100 * missing:.0f} % missing, {100 * race.negative:.0f} % of the valid "
        f"values negative; budget {race.budget:g} s."
    )


def _race_row(race: Race, system: str) -> tuple[str, ...]:
    run = race.typical(system)
    cells = [_time_cell(race, system, level) for level in LEVELS]
    chi2 = max(run.chi2 for run in race.of(system))
    last = run.looks[-1].iteration if run.looks else 0
    return system, *cells, number(race.seconds(system)), str(last), f"{chi2 / race.n_valid:.6f}"


def _time_cell(race: Race, system: str, level: float) -> str:
    """Return the median time, a lower bound where the budget was too short, or what came in between."""
    seconds, outcome = race.seconds_to(system, level), race.typical(system).outcome
    if isfinite(seconds):
        return number(seconds)
    if outcome in ("target", "budget"):
        return f"> {number(race.seconds(system))}"
    return "not reached" if outcome == "stopped" else "failed"


def _notes(race: Race) -> str:
    best = race.best / race.n_valid
    notes = [f"Best known: χ²/N = {best:.6f}. NonnegMFPy: {race.orientation}."]
    notes.append(f"astronmf's own χ² against the judge's: {_differences(race)}.")
    for system, floor in race.floors.items():
        above = 100 * (floor / race.best - 1)
        notes.append(
            f"{system} sets negative values to 0: the best fit to such data has χ²/N = {floor / race.n_valid:.6f} on "
            f"the data as they are, {above:.2g} % above the best known. Its times are to within 10, 1, … % of that."
        )
    failures = {(run.system, run.outcome) for run in race.runs if run.outcome.startswith("failed")}
    notes += [f"**{system} {outcome}.**" for system, outcome in sorted(failures)]
    if max(run.difference or 0 for run in race.of(systems.OURS)) > LARGEST_DIFFERENCE:
        notes.append(f"**astronmf's own χ² is further than {LARGEST_DIFFERENCE:g} from the judge's.**")
    return " ".join(notes)


def _differences(race: Race) -> str:
    """Return by how much, as a fraction, our own last χ² differs at most."""
    found = ((name, max(run.difference or 0.0 for run in race.of(name))) for name in systems.ALL_OURS)
    return ", ".join(f"{name.partition(', ')[2]} {difference:.0e}" for name, difference in found)


def _stages(stages: Stages) -> Iterator[str]:
    yield "## (s) Sequential build"
    yield (
        "The data of (a), ten components, one at a time. NonnegMFPy has its defaults: a tolerance of 1e-5, and at most "
        "1000 iterations a stage. Each of its stages starts from the factors before it and one random column and row, "
        f"as nmf_imaging drives it. astronmf has `tol={stages.tolerances[0]:g}`. Seconds are cumulative."
    )
    header = ("k", "astronmf, s", "χ²/N", "iterations", "NonnegMFPy, s", "χ²/N", "iterations", "times")
    yield _table(header, [_stage_row(stages, i) for i in range(len(stages.peer[0].chi2))])
    slowest, fastest = (f(build.seconds[-1] for build in stages.peer) for f in (max, min))
    yield (
        f"NonnegMFPy took {number(fastest)} to {number(slowest)} s from round to round, {stages.orientation}. "
        "Totals at other tolerances of astronmf, that of NonnegMFPy and astronmf's default among them:"
    )
    header = ("tol", "seconds", "χ²/N, last stage", "χ² lower at every stage", "NonnegMFPy ÷ astronmf")
    yield _table(header, [_tolerance_row(stages, i) for i in range(len(stages.tolerances))])


def _tolerance_row(stages: Stages, index: int) -> list[str]:
    builds = stages.ours[index]
    chi2 = max(build.chi2[-1] for build in builds) / stages.n_valid
    lower = "yes" if replace(stages, ours=[builds]).lower_everywhere else "**no**"
    seconds = number(median(build.seconds[-1] for build in builds))
    return [f"{stages.tolerances[index]:g}", seconds, f"{chi2:.6f}", lower, number(stages.ratio_to(builds))]


def _stage_row(stages: Stages, index: int) -> list[str]:
    row, totals = [str(index + 1)], []
    for builds in (stages.ours[0], stages.peer):
        totals.append(median(build.seconds[index] for build in builds))
        chi2 = max(build.chi2[index] for build in builds) / stages.n_valid
        row += [number(totals[-1]), f"{chi2:.6f}", str(builds[0].iterations[index])]
    return [*row, f"{number(totals[1] / totals[0])}"]


def _target(target: Target) -> Iterator[str]:
    n, p = target.shape
    yield "## (f) Target step"
    yield (
        f"{n} frames of {p:,} px on {target.n_components} fixed components, general weights, 3 % missing: `transform`, "
        "which is exact, against `SolveNMF(H_only=True)` with its defaults; and against `W_only` on the transposed "
        "data, the same problem, where that is faster."
    )
    n_valid = target.n_valid

    def row(system: str, seconds: list[float], iterations: object, chi2: float) -> tuple[str, ...]:
        return system, number(median(seconds)), str(iterations), f"{chi2 / n_valid:.6f}"

    rows = [
        row("astronmf, exact", target.ours, "", target.chi2_ours),
        row("NonnegMFPy, `H_only`", target.h_only, target.iterations[0], target.chi2_h_only),
    ]
    if target.h_only != target.peer:
        rows.append(row("NonnegMFPy, `W_only`", target.peer, target.iterations[1], target.chi2_peer))
    yield _table(("system", "seconds", "iterations", "χ²/N"), rows)
    faster = median(target.peer) / median(target.ours)
    yield f"Ratio: {number(target.ratio)} to `H_only`, {number(faster)} to the faster way round."


def _sweeps(sweeps: list[Sweep]) -> Iterator[str]:
    yield "## Roofline"
    yield (
        "One update of both factors on the data of (a): the median time between the ends of iterations, itself the "
        "median of five fits in turn with those of the other rows, over the "
        "larger of bytes ÷ copy bandwidth and flops ÷ product rate. Bytes: data and weights, read once. Flops: Gram "
        "matrices and right-hand sides, 2 × 2 n p (k (k + 1) / 2 + k). Copy bandwidth (read and written) and the rate "
        "of a 2048² product are measured on all threads in the same run."
    )
    header = ("precision", "k", "sweep, ms", "MB", "Gflop", "copy, GB/s", "product, Gflop/s", "bound, ms", "ratio")
    yield _table(header, [_sweep_row(sweep) for sweep in sweeps])


def _sweep_row(sweep: Sweep) -> list[str]:
    rates = [sweep.bytes / 1e6, sweep.flops / 1e9, sweep.copy_rate / 1e9, sweep.product_rate / 1e9]
    texts = [sweep.dtype, str(sweep.n_components), number(1e3 * sweep.seconds), *map(number, rates)]
    return [*texts, number(1e3 * sweep.bound), f"{sweep.ratio:.2f}"]


def _memory(rows: list[Memory]) -> Iterator[str]:
    yield "## Memory"
    yield (
        "Peak resident memory of a fresh process during the fit, the median of three, above what it held before it "
        "(inputs, libraries, compiled code), over the size of data and weights."
    )
    header = ("problem", "fit", "data and weights, MB", "peak above, MB", "ratio")
    yield _table(header, [_memory_row(row) for row in rows])


def _memory_row(memory: Memory) -> list[str]:
    measured = ["not measured"] * 2
    if memory.peak is not None:
        measured = [number(memory.peak / 1e6), f"{memory.ratio:.2f}"]
    return [f"({memory.key})", memory.what, number(memory.inputs / 1e6), *measured]


def _startup(startup: StartUp) -> Iterator[str]:
    yield "## Start-up"
    yield (
        "Medians of fresh processes, the file system's cache warm. A first fit is that of two components to 12 × 40 "
        "values; with an empty compiler cache it compiles all that it needs, once for each machine and precision."
    )
    rows = [
        ("`import numpy, astropy`", number(startup.base)),
        ("`import astronmf` beyond it", number(startup.beyond)),
        ("`astronmf --help`", number(startup.help)),
        *((f"first fit, {dtype}, empty compiler cache", number(s)) for dtype, s in startup.cold.items()),
        *((f"first fit, {dtype}, full compiler cache", number(s)) for dtype, s in startup.warm.items()),
    ]
    yield _table(("", "seconds"), rows)
