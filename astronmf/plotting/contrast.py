"""`plot_contrast` and `plot_completeness`: how faint a companion would be found, against its separation."""

from __future__ import annotations

from collections.abc import Sequence

import astropy.units as u
import matplotlib as mpl
import numpy as np
from astropy.table import QTable
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from astronmf._typing import FloatArray
from astronmf._validation import fail
from astronmf.plotting.stretch import number_label
from astronmf.plotting.style import ACCENT_COLOR, BAD_COLOR, LINE_COLOR, figure_of, house_style, new_figure
from astronmf.plotting.words import heading

__all__ = ["plot_completeness", "plot_contrast"]

#: Okabe and Ito's, told apart by every eye.
COLORS = (LINE_COLOR, ACCENT_COLOR, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

NEEDED = ("separation", "contrast", "contrast_gaussian")
NEEDED_OF_A_MAP = ("separation", "contrast", "completeness", "contrast_50", "contrast_95")
LEAST_STEP = 1.05  # between the contrasts of a map, for the height of a cell where there is only one


@house_style()
def plot_contrast(
    curves: QTable | Sequence[QTable], labels: Sequence[str] | None = None, *, companions: QTable | None = None
) -> Figure:
    """Draw contrast curves, with magnitudes on the right.

    Parameters
    ----------
    curves
        Of `contrast_curve`, one or several. A thin dashed line is the curve without the correction for small samples.
    labels
        One for each; what they were measured by by default.
    companions
        Known ones, of `companion_table` with contrasts: drawn with their errors.

    Returns
    -------
    matplotlib.figure.Figure
        Separations in arcseconds where all curves have them so, in pixels otherwise.

    Raises
    ------
    ValueError
        If there is no curve, one lacks a column, or there are not as many labels as curves.
    """
    tables = [curves] if isinstance(curves, QTable) else list(curves)
    names = _labels(tables, labels)
    column, unit, axis = _separation(tables if companions is None else [*tables, companions])
    figure = new_figure(7.6, 5.2)
    axes = figure.subplots()
    for i, (table, name) in enumerate(zip(tables, names, strict=True)):
        _draw_curve(axes, table, table[column].to_value(unit), COLORS[i % len(COLORS)], name)
    if companions is not None:
        _draw_companions(axes, companions, companions[column].to_value(unit))
    _contrast_axis(axes, axis)
    if any((table["contrast"] < 1).any() for table in tables):  # what is brighter than the star is no companion of it
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.0))
    axes.set_ylabel(f"{_sigma(tables)}contrast")
    axes.legend()
    figure.suptitle(heading(tables[0].meta), parse_math=False)
    return figure


@house_style()
def plot_completeness(table: QTable, curve: QTable | None = None) -> Figure:
    """Draw which share of companions is detected, and the contrasts at which 50 % and 95 % are.

    Parameters
    ----------
    table
        Of `completeness_map`.
    curve
        Of `contrast_curve`, drawn over it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If a column is lacking.
    """
    _check_columns(table, NEEDED_OF_A_MAP)
    column, unit, axis = _separation([table] if curve is None else [table, curve])
    separation = table[column].to_value(unit)
    figure = new_figure(7.6, 5.2)
    axes = figure.subplots()
    drawn = _draw_cells(axes, separation, np.asarray(table["contrast"]), np.asarray(table["completeness"]))
    figure_of(axes).colorbar(drawn, ax=axes, label="completeness", format=FuncFormatter(lambda x, _: f"{x:.0%}"))
    for name, style in (("contrast_50", "-"), ("contrast_95", "--")):
        share = name.removeprefix("contrast_")
        axes.plot(separation, table[name], style, color=ACCENT_COLOR, marker="o", markersize=4.0, label=f"{share} %")
    if curve is not None:
        _check_columns(curve, NEEDED)
        axes.plot(
            curve[column].to_value(unit),
            curve["contrast"],
            color="black",
            linewidth=1.2,
            label=f"{_sigma([curve])}curve",
        )
    _contrast_axis(axes, axis)
    axes.set_ylabel("contrast")
    axes.legend()
    figure.suptitle(heading(table.meta, f"above {table.meta['threshold']:g} σ"), parse_math=False)
    return figure


def _labels(tables: list[QTable], labels: Sequence[str] | None) -> list[str]:
    """Return a label for each curve."""
    if not tables:
        raise fail("curves", "a table, or at least one", "none")
    for table in tables:
        _check_columns(table, NEEDED)
    names = [str(table.meta.get("method", "")) for table in tables] if labels is None else list(labels)
    if len(names) != len(tables):
        raise fail("labels", f"as many as there are curves, {len(tables)}", len(names))
    return names


def _check_columns(table: QTable, names: tuple[str, ...]) -> None:
    lacking = [name for name in names if name not in table.colnames]
    if lacking:
        raise fail("curves", "tables with the columns " + ", ".join(names), f"one without {', '.join(lacking)}")


def _separation(tables: list[QTable]) -> tuple[str, u.UnitBase, str]:
    """Return the column of separations that all tables have, its unit, and the axis's label."""
    if all("separation_angle" in table.colnames for table in tables):
        return "separation_angle", u.arcsec, "separation [arcsec]"
    return "separation", u.pix, "separation [pixel]"


def _sigma(tables: list[QTable]) -> str:
    """Return how many sigma the limits are of, if all are of the same number."""
    numbers = {table.meta.get("sigma") for table in tables}
    number = numbers.pop() if len(numbers) == 1 else None
    return "" if number is None else f"{number:g} σ "


def _draw_curve(axes: Axes, table: QTable, separation: FloatArray, color: str, name: str) -> None:
    """Draw a curve, and it without the correction for small samples if it has one."""
    axes.plot(separation, table["contrast"], color=color, linewidth=2.0, label=name)
    if table.meta.get("student", True) and np.isfinite(table["contrast_gaussian"]).any():
        label = f"{name}, Gaussian" if name else "Gaussian"
        axes.plot(separation, table["contrast_gaussian"], "--", color=color, linewidth=1.0, label=label)


def _draw_companions(axes: Axes, table: QTable, separation: FloatArray) -> None:
    """Draw known companions."""
    _check_columns(table, ("contrast", "contrast_error"))
    axes.errorbar(
        separation,
        np.asarray(table["contrast"]),
        yerr=np.asarray(table["contrast_error"]),
        fmt="*",
        color="black",
        markersize=10.0,
        label="companions",
    )


def _draw_cells(axes: Axes, separation: FloatArray, contrast: FloatArray, share: FloatArray) -> QuadMesh:
    """Draw a cell for each separation, (m,), and contrast, (m, c), of a grid that need not be rectangular."""
    right = _edges(separation[None])[0]
    colormap = mpl.colormaps["viridis"].with_extremes(bad=BAD_COLOR)
    for i, row in enumerate(contrast):
        up = np.exp(_edges(np.log(row)[None], np.log(LEAST_STEP))[0])
        cells = np.ma.masked_invalid(share[i][:, None])
        drawn = axes.pcolormesh(right[i : i + 2], up, cells, cmap=colormap, vmin=0.0, vmax=1.0)
    return drawn


def _edges(middles: FloatArray, least: float = 1.0) -> FloatArray:
    """Return the edges between the middles of each row of (m, k): (m, k + 1)."""
    half = np.diff(middles) / 2 if middles.shape[1] > 1 else np.full((len(middles), 1), least / 2)
    first, last = middles[:, :1] - half[:, :1], middles[:, -1:] + half[:, -1:]
    return np.hstack([first, (middles[:, 1:] + middles[:, :-1]) / 2, last])


def _contrast_axis(axes: Axes, label: str) -> None:
    """Make the axis of contrasts logarithmic, with magnitudes on the right."""
    axes.set_yscale("log")
    axes.set_xlabel(label)
    axes.yaxis.set_major_formatter(FuncFormatter(number_label))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3, which="both")
    magnitudes = axes.twinx()
    magnitudes.set_ylim(*(-2.5 * np.log10(axes.get_ylim())))
    magnitudes.set_ylabel("magnitudes below the star")
