"""What must be reached, computed from what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import NamedTuple

from benchmarks import systems
from benchmarks.results import Race, Results, number

RATIOS = (("a", systems.NONNEGMFPY, 150.0), ("c", systems.NONNEGMFPY, 100.0), ("d", systems.SCIKIT_LEARN, 3.0))
LEVEL = 0.1  # per cent above the best

SEQUENTIAL, TARGET_STEP = 300.0, 500.0
ROOFLINE, MEMORY = 3.0, 1.5
IMPORT_SECONDS, HELP_SECONDS = 0.3, 1.0


class Goal(NamedTuple):
    """A row: what, what must be reached, what was, and whether that suffices (`None`: not decided by this run)."""

    what: str
    needed: str
    measured: str
    met: bool | None


def goals(results: Results) -> list[Goal]:
    """Return the goals of all parts that were run."""
    races = ((results.race(key), peer, needed) for key, peer, needed in RATIOS)
    rows = [race_goal(race, peer, needed) for race, peer, needed in races if race is not None]
    return [*rows, *_builds(results), *_costs(results)]


def speedup(race: Race, peer: str, level: float) -> tuple[float, bool] | None:
    """Return how many times longer a peer takes to a quality, and whether that is only a lower bound.

    `None` where ours never got there, or the peer failed or ended by itself above it.
    """
    ours, theirs = race.seconds_to(systems.OURS, level), race.seconds_to(peer, level)
    if not isfinite(ours) or race.typical(peer).outcome not in ("target", "budget"):
        return None
    return (theirs / ours, False) if isfinite(theirs) else (race.seconds(peer) / ours, True)


def race_goal(race: Race, peer: str, needed: float) -> Goal:
    """Return the row of one ratio; a lower bound that is too low decides nothing."""
    what = f"{race.heading}: to {LEVEL:g} %, {peer} ÷ astronmf"
    found = speedup(race, peer, LEVEL)
    if found is None:
        return Goal(what, f"≥ {needed:g}", "not comparable", None)
    ratio, bound = found
    met = True if ratio >= needed else None if bound else False
    return Goal(what, f"≥ {needed:g}", f"{'> ' if bound else ''}{number(ratio)}", met)


def _builds(results: Results) -> Iterator[Goal]:
    if (stages := results.stages) is not None:
        lower = "lower" if stages.lower_everywhere else "not lower"
        met = stages.lower_everywhere and stages.ratio >= SEQUENTIAL
        what = "(s) Sequential build, ten components: NonnegMFPy ÷ astronmf"
        yield Goal(what, f"≥ {SEQUENTIAL:g}, χ² lower at every stage", f"{number(stages.ratio)}, {lower}", met)
    if (target := results.target) is not None:
        lower = target.chi2_ours <= min(target.chi2_h_only, target.chi2_peer)
        what = "(f) Target step: NonnegMFPy `H_only` ÷ astronmf"
        found = f"{number(target.ratio)}, {'lower' if lower else 'not lower'}"
        yield Goal(what, f"≥ {TARGET_STEP:g}, χ² lower", found, lower and target.ratio >= TARGET_STEP)


def _costs(results: Results) -> Iterator[Goal]:
    if results.sweeps:
        worst = max(sweep.ratio for sweep in results.sweeps)
        yield Goal("Sweep ÷ roofline, the worst of all", f"≤ {ROOFLINE:g}", f"{worst:.2f}", worst <= ROOFLINE)
    if ratios := [memory.ratio for memory in results.memory if memory.ratio is not None]:
        what = "Peak memory above the inputs ÷ inputs, the worst of all"
        yield Goal(what, f"≤ {MEMORY:g}", f"{max(ratios):.2f}", max(ratios) <= MEMORY)
    if (startup := results.startup) is not None:
        met = startup.beyond <= IMPORT_SECONDS
        what = "`import astronmf` beyond numpy and astropy"
        yield Goal(what, f"≤ {IMPORT_SECONDS:g} s", f"{startup.beyond:.2f} s", met)
        met = startup.help <= HELP_SECONDS
        yield Goal("`astronmf --help`", f"≤ {HELP_SECONDS:g} s", f"{startup.help:.2f} s", met)
