"""What is measured, as plain numbers that can be saved, and what follows from them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from math import inf, isfinite, log
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

LEVELS = (10.0, 1.0, 0.1, 0.01)  # per cent above the best χ² known

# A χ² this close to the best is as good as the best, in a logarithm.
SMALLEST_EXCESS = 1e-7


def number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if not isfinite(value):
        return "–"
    digits = max(0, 2 - int(f"{value:e}".partition("e")[2])) if value else 0
    return f"{value:.{min(digits, 6)}f}"


class Look(NamedTuple):
    """χ² at one moment of a run."""

    seconds: float
    iteration: int
    chi2: float


@dataclass(frozen=True)
class Run:
    """One run of one system.

    Attributes
    ----------
    system : str
    looks : list of Look
    seconds : float
        In all, χ²'s judging left out.
    chi2 : float
        The lowest that was reached, judged independently.
    outcome : str
        "target" or "budget": ended by us, because the run had reached the best known or used its time; "stopped": by
        itself; else what failed.
    difference : float or None
        Of the system's own χ² from the judge's, as a fraction, where its own is used.
    """

    system: str
    looks: list[Look]
    seconds: float
    chi2: float
    outcome: str
    difference: float | None = None

    def seconds_to(self, limit: float, best: float) -> float:
        """Return when χ² came down to a limit, or infinity.

        Between looks that are more than one iteration apart, the logarithm of what χ² lies above the best is taken to
        be linear in time.
        """
        index = next((i for i, look in enumerate(self.looks) if look.chi2 <= limit), None)
        if index is None:
            return inf
        here, before = self.looks[index], self.looks[max(0, index - 1)]
        if here.iteration - before.iteration < 2:
            return here.seconds
        smallest = SMALLEST_EXCESS * best
        start, end = (log(max(look.chi2 - best, smallest)) for look in (before, here))
        passed = (start - log(limit - best)) / (start - end)
        return before.seconds + passed * (here.seconds - before.seconds)


@dataclass(frozen=True)
class Race:
    """Time to quality on one problem.

    Attributes
    ----------
    key, title : str
    shape : (n, p)
    n_components, n_valid : int
    weighted : bool
    negative : float
        Fraction of the valid values.
    budget : float
    orientation : str
        Of the data for NonnegMFPy.
    unhurried : Run
        The long run before the rounds.
    runs : list of Run
        Of all rounds.
    floors : dict
        For a system that changes the data: χ², on the data as they are, of the best fit to what it makes of them.
    """

    key: str
    title: str
    shape: tuple[int, int]
    n_components: int
    n_valid: int
    weighted: bool
    negative: float
    budget: float
    orientation: str
    unhurried: Run
    runs: list[Run] = field(default_factory=list)
    floors: dict[str, float] = field(default_factory=dict)

    @property
    def best(self) -> float:
        """The lowest χ² that any system reached from this start."""
        return min(run.chi2 for run in (self.unhurried, *self.runs) if isfinite(run.chi2))

    @property
    def heading(self) -> str:
        """The letter, the title and the number of components."""
        return f"({self.key}) {self.title}, k = {self.n_components}"

    @property
    def systems(self) -> list[str]:
        """The systems that took part, in order."""
        return list(dict.fromkeys(run.system for run in self.runs))

    def in_reach(self, system: str) -> float:
        """Return the best χ² known that a system could reach: where it changes the data, it is above `best`."""
        own = min((run.chi2 for run in self.of(system) if isfinite(run.chi2)), default=inf)
        return min(self.floors[system], own) if system in self.floors else self.best

    def of(self, system: str) -> list[Run]:
        """Return all runs of a system."""
        return [run for run in self.runs if run.system == system]

    def seconds_to(self, system: str, level: float) -> float:
        """Return the median over the rounds of the seconds to within `level` per cent of the best in reach."""
        best = self.in_reach(system)
        return median(run.seconds_to(best * (1 + level / 100), best) for run in self.of(system))

    def seconds(self, system: str) -> float:
        """Return the median length of a system's runs."""
        return median(run.seconds for run in self.of(system))

    def typical(self, system: str) -> Run:
        """Return the run of median length."""
        return sorted(self.of(system), key=lambda run: run.seconds)[len(self.of(system)) // 2]


@dataclass(frozen=True)
class Build:
    """One sequential build: a row for each number of components.

    Attributes
    ----------
    seconds : list of float
        Since the beginning, after each stage.
    chi2 : list of float
        Judged, after each stage.
    iterations : list of int
    """

    seconds: list[float]
    chi2: list[float]
    iterations: list[int]


@dataclass(frozen=True)
class Stages:
    """Sequential builds of two systems, all rounds; a list for each tolerance of ours."""

    n_valid: int
    tolerances: tuple[float, ...]
    ours: list[list[Build]]
    peer: list[Build]
    orientation: str

    @property
    def ratio(self) -> float:
        """The peer's total time over ours at the first tolerance, medians."""
        return self.ratio_to(self.ours[0])

    @property
    def lower_everywhere(self) -> bool:
        """Whether our χ² is lower after every stage of every round, at every tolerance."""
        return all(
            max(build.chi2[stage] for build in builds) <= min(build.chi2[stage] for build in self.peer)
            for builds in self.ours
            for stage in range(len(self.peer[0].chi2))
        )

    def ratio_to(self, builds: list[Build]) -> float:
        """Return the peer's total time over that of some builds, medians."""
        theirs, ours = (median(build.seconds[-1] for build in those) for those in (self.peer, builds))
        return theirs / ours


@dataclass(frozen=True)
class Target:
    """The target step: coefficients on fixed components."""

    shape: tuple[int, int]
    n_components: int
    n_valid: int
    ours: list[float]
    peer: list[float]
    h_only: list[float]
    chi2_ours: float
    chi2_peer: float
    chi2_h_only: float
    iterations: tuple[int, int]
    orientation: str

    @property
    def ratio(self) -> float:
        """The time of the peer's `H_only` over ours, medians."""
        return median(self.h_only) / median(self.ours)


@dataclass(frozen=True)
class Sweep:
    """One update of both factors against what the machine can do at best."""

    dtype: str
    n_components: int
    seconds: float
    bytes: float
    flops: float
    copy_rate: float
    product_rate: float

    @property
    def bound(self) -> float:
        """Seconds that moving the data, or the arithmetic, take at least."""
        return max(self.bytes / self.copy_rate, self.flops / self.product_rate)

    @property
    def ratio(self) -> float:
        """How many times longer the sweep takes."""
        return self.seconds / self.bound


@dataclass(frozen=True)
class Memory:
    """Peak memory above the inputs; `peak` is `None` where it cannot be measured."""

    key: str
    what: str
    inputs: int
    peak: int | None

    @property
    def ratio(self) -> float | None:
        """Peak over data and weights."""
        return None if self.peak is None else self.peak / self.inputs


@dataclass(frozen=True)
class StartUp:
    """Seconds, medians of fresh processes.

    Attributes
    ----------
    base : float
        ``import numpy, astropy``.
    package : float
        ``import numpy, astropy, astronmf``.
    help : float
        ``astronmf --help``.
    cold, warm : dict of str to float
        The first fit of a process with an empty compiler cache, and with the cache that this left, by dtype.
    """

    base: float
    package: float
    help: float
    cold: dict[str, float]
    warm: dict[str, float]

    @property
    def beyond(self) -> float:
        """What astronmf adds to the import; 0 where it is less than the scatter."""
        return max(0.0, self.package - self.base)


@dataclass
class Results:
    """All that one call of the benchmark measured."""

    machine: dict[str, str]
    rounds: int
    scale: float
    races: list[Race] = field(default_factory=list)
    stages: Stages | None = None
    target: Target | None = None
    sweeps: list[Sweep] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    startup: StartUp | None = None

    def race(self, key: str) -> Race | None:
        """Return the race on a problem, if it was run."""
        return next((race for race in self.races if race.key == key), None)

    def save(self, path: Path) -> None:
        """Write all numbers as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    """Read what `Results.save` wrote."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    stages, target, startup = raw["stages"], raw["target"], raw["startup"]
    parts = {
        "races": [_race(race) for race in raw["races"]],
        "stages": stages
        and Stages(
            **stages | {"ours": [_builds(builds) for builds in stages["ours"]], "peer": _builds(stages["peer"])}
        ),
        "target": target and Target(**target),
        "sweeps": [Sweep(**sweep) for sweep in raw["sweeps"]],
        "memory": [Memory(**memory) for memory in raw["memory"]],
        "startup": startup and StartUp(**startup),
    }
    return Results(**raw | parts)


def _race(raw: dict[str, Any]) -> Race:
    return Race(**raw | {"unhurried": _run(raw["unhurried"]), "runs": [_run(run) for run in raw["runs"]]})


def _builds(raw: list[dict[str, Any]]) -> list[Build]:
    return [Build(**build) for build in raw]


def _run(raw: dict[str, Any]) -> Run:
    return Run(**raw | {"looks": [Look(*look) for look in raw["looks"]]})
