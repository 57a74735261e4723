"""χ² above the best in reach against time: one panel for each problem, one line for each system."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks import systems
from benchmarks.goals import LEVEL, speedup
from benchmarks.results import LEVELS, Race, Results, Run, number

# Okabe & Ito's colours, told apart by all eyes; dashes besides.
STYLES: dict[str, dict[str, Any]] = {
    systems.OURS: {"color": "#0072B2", "linewidth": 4.0, "zorder": 5},
    systems.OURS_SINGLE: {"color": "#56B4E9", "linewidth": 4.0, "linestyle": (0, (2, 1)), "zorder": 6},
    systems.NONNEGMFPY: {"color": "#D55E00", "linewidth": 2.2},
    systems.SCIKIT_LEARN: {"color": "#009E73", "linewidth": 2.2, "linestyle": (0, (6, 1.5))},
    systems.SCIKIT_LEARN_MU: {"color": "#CC79A7", "linewidth": 2.2, "linestyle": (0, (3, 1, 1, 1))},
    systems.NIMFA: {"color": "#000000", "linewidth": 2.2, "linestyle": (0, (1, 1))},
}

COLUMNS = 3
HIGHEST, LOWEST = 300.0, 2e-3  # per cent
LABEL_GAP = 0.34  # decades between the names of two lines
FONT = 14


def draw(results: Results, path: Path) -> None:
    """Draw all races, and a key in the panel after the last."""
    rows = ceil((len(results.races) + 1) / COLUMNS)
    figure = Figure(figsize=(17, 1 + 4.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel, race in zip(panels, results.races, strict=False):
        _panel(panel, race)
    for panel in panels[len(results.races) :]:
        panel.set_axis_off()
    _key(panels[len(results.races)], results.races)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    figure.savefig(path, dpi=110)


def _panel(panel: Any, race: Race) -> None:
    """Draw one race."""
    lines = {system: _line(race, race.typical(system)) for system in race.systems}
    for system, (seconds, excess) in lines.items():
        panel.plot(seconds, excess, **STYLES[system])
    _frame(panel, race)
    _guides(panel)
    _name_peers(panel, {system: line for system, line in lines.items() if system not in systems.ALL_OURS})
    _gap(panel, race)


def _line(race: Race, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return seconds, and χ² above the best that the system could reach, in per cent, of a run."""
    best = race.in_reach(run.system)
    looks = [look for look in run.looks if look.seconds > 0]
    excess = np.array([100 * (look.chi2 / best - 1) for look in looks])
    return np.array([look.seconds for look in looks]), np.maximum(excess, LOWEST / 10)


def _frame(panel: Any, race: Race) -> None:
    """Set titles and axes."""
    n, p = race.shape
    panel.set_title(f"({race.key}) {race.title}", fontsize=FONT + 1, loc="left", fontweight="bold", pad=24)
    size = f"{n:,} × {p:,}, k = {race.n_components}"
    panel.annotate(size, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=FONT - 1)
    panel.set(xscale="log", yscale="log", ylim=(LOWEST, HIGHEST))
    panel.set_xlabel("seconds", fontsize=FONT)
    panel.set_ylabel("χ² above the best in reach", fontsize=FONT)
    panel.tick_params(labelsize=FONT - 1)
    panel.xaxis.set_major_locator(LogLocator(numticks=9))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlim(left=10.0 ** floor(log10(panel.get_xlim()[0])))
    panel.spines[["top", "right"]].set_visible(False)


def _guides(panel: Any) -> None:
    """Draw the levels that are reported."""
    panel.set_yticks(LEVELS, [f"{level:g} %" for level in LEVELS])
    panel.set_yticks([], minor=True)
    for level in LEVELS:
        panel.axhline(level, color="0.75", linewidth=1, zorder=0)


def _name_peers(panel: Any, lines: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write the names of lines to the right of their ends, apart from one another."""
    ends = {name: line for name, line in lines.items() if line[0].size}
    names = sorted(ends, key=lambda name: ends[name][1][-1])
    heights = _apart([log10(ends[name][1][-1]) for name in names])
    for name, height in zip(names, heights, strict=True):
        place = {"xytext": (7, 0), "textcoords": "offset points", "va": "center", "annotation_clip": False}
        label = name.replace(", ", ",\n") if len(ends) == 1 else name
        panel.annotate(label, (ends[name][0][-1], 10**height), fontsize=FONT - 1, color=STYLES[name]["color"], **place)


def _apart(heights: list[float]) -> list[float]:
    """Return ascending heights (decades) with room between them, within the panel."""
    top, bottom = log10(HIGHEST) - LABEL_GAP / 3, log10(LOWEST) + LABEL_GAP / 3
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + LABEL_GAP if placed else bottom))
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], placed[i + 1] - LABEL_GAP if i + 1 < len(placed) else top)
    return placed


def _gap(panel: Any, race: Race) -> None:
    """Draw how many times longer the next system takes to the level that counts."""
    peers = [name for name in race.systems if name not in systems.ALL_OURS]
    gaps = [gap for name in peers if (gap := speedup(race, name, LEVEL)) is not None]
    if not gaps:
        return
    ratio, bound = min(gaps)
    begin = race.seconds_to(systems.OURS, LEVEL)
    arrow = {"arrowstyle": "->" if bound else "<->", "color": "0.25", "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
    panel.annotate("", (begin * ratio, LEVEL), (begin, LEVEL), arrowprops=arrow, zorder=7)
    text = {"ha": "center", "va": "bottom", "fontsize": FONT + 2, "fontweight": "bold", "zorder": 8}
    halo = [withStroke(linewidth=4, foreground="white")]
    times, middle = f"{'> ' if bound else ''}{number(ratio)} ×", (begin * ratio**0.5, LEVEL)
    panel.annotate(times, middle, (0, 7), textcoords="offset points", path_effects=halo, **text)


def _key(panel: Any, races: Iterable[Race]) -> None:
    """Name the lines."""
    present = [name for name in STYLES if any(name in race.systems for race in races)]
    lines = [panel.plot([], [], label=name, **STYLES[name])[0] for name in present]
    panel.legend(handles=lines, loc="upper left", fontsize=FONT + 1, frameon=False, handlelength=3.2, labelspacing=0.7)
    note = (
        "All from the same start. Arrows: to\n"
        f"{LEVEL:g} %, the fastest peer ÷ astronmf in\n"
        "double precision; > where the peer\n"
        "did not get there in its time.\n"
        "NonnegMFPy sets negative data to 0:\n"
        "above the best fit to such data."
    )
    panel.text(0.02, 0.02, note, transform=panel.transAxes, fontsize=FONT, va="bottom", color="0.25")
