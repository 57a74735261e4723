"""`plot_calibration`: what a template finds at other position angles, beside its amplitude."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from astronmf._validation import fail
from astronmf.imaging.detection.catalogue import with_error
from astronmf.imaging.modelling.calibration import AngleCalibration
from astronmf.imaging.modelling.fit_result import TemplateFit
from astronmf.plotting.stretch import number_label
from astronmf.plotting.style import ACCENT_COLOR, LINE_COLOR, house_style, new_figure
from astronmf.plotting.words import counted, heading

__all__ = ["plot_calibration"]

SHARES = (1.0, 3.2)  # widths of the axes of the amplitude and of the nulls
MARGIN = 1.15  # of an axis, over what is drawn on it
ROOM = 0.3  # of half an axis, for a legend above what is drawn
WIDTH, HEIGHT = 8.4, 2.7  # inches, for each template


@house_style()
def plot_calibration(fit: TemplateFit) -> Figure:
    """Draw each template's amplitude with its error, and the null amplitudes against the angle of the turned template.

    A row for each template. An inch is as much on the left, of the amplitude, as on the right, of the null amplitudes.

    Parameters
    ----------
    fit : TemplateFit
        With a calibration.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the fit was not calibrated.
    """
    found = fit.calibration
    if found is None:
        raise fail("fit", "made with calibration='angles'", "one without a calibration")
    count = len(fit.names)
    figure = new_figure(WIDTH, HEIGHT * count + 0.6)
    grid = figure.subplots(count, 2, squeeze=False, sharex="col", width_ratios=SHARES)
    for j, (name, (left, right)) in enumerate(zip(fit.names, grid, strict=True)):
        _draw_template(left, right, found, j)
        error = float(found.errors[j])
        words = with_error(float(found.amplitudes[j]), error) if np.isfinite(error) else fit.status[j]
        left.set_title(f"{name}: {words}", loc="left", parse_math=False)
    _finish(grid)
    figure.align_ylabels(grid[:, 0])
    figure.align_ylabels(grid[:, 1])
    figure.suptitle(heading(fit.meta, counted(len(found.angles), "other angle")), parse_math=False)
    return figure


def _draw_template(left: Axes, right: Axes, found: AngleCalibration, template: int) -> None:
    """Draw one template's amplitude and null amplitudes."""
    value, error = float(found.amplitudes[template]), float(found.errors[template])
    raw, raw_error = float(found.raw[template]), float(found.raw_errors[template])
    nulls, angles = found.null_amplitudes[template], (found.angles + 180.0) % 360.0 - 180.0
    for axes in (left, right):
        axes.yaxis.set_major_formatter(FuncFormatter(number_label))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if not np.isfinite(value):
        for axes in (left, right):
            axes.text(0.5, 0.5, "not calibrated", transform=axes.transAxes, ha="center", va="center")
        return
    left.axhspan(value - error, value + error, color=LINE_COLOR, alpha=0.2, linewidth=0)
    left.errorbar([0.0], [value], [error], fmt="o", color=LINE_COLOR, capsize=4.0)
    left.errorbar([1.0], [raw], [raw_error], fmt="s", color=ACCENT_COLOR, capsize=4.0, markerfacecolor="white")
    right.axhspan(-error, error, color=LINE_COLOR, alpha=0.2, linewidth=0, label="± error of the amplitude")
    right.axhline(0.0, color="black", linewidth=1.0)
    order = np.argsort(angles)
    right.plot(angles[order], nulls[order], "o", color="black", markersize=5.0, label="null amplitudes")
    _set_limits(left, right, (raw - raw_error, raw + raw_error, value - error, value + error), (*nulls, error, -error))


def _set_limits(left: Axes, right: Axes, beside: tuple[float, ...], nulls: tuple[float, ...]) -> None:
    """Set limits so that both axes have the same scale, with room for a legend above what is drawn."""
    middle = (min(beside) + max(beside)) / 2
    half = MARGIN * max((max(beside) - min(beside)) / 2, float(np.nanmax(np.abs(nulls)))) or 1.0
    for axes, centre in ((left, middle), (right, 0.0)):
        axes.set_ylim(centre - half, centre + (1 + ROOM) * half)


def _finish(grid: Any) -> None:
    """Write what the axes are, and one legend."""
    for left, right in grid:
        left.set_ylabel("amplitude")
        right.set_ylabel("null amplitude")
        right.grid(alpha=0.3)
    left, right = grid[-1]
    left.set_xlim(-0.6, 1.6)
    left.set_xticks([0.0, 1.0], ["calibrated", "raw"])
    right.set_xlim(-185.0, 185.0)
    right.set_xticks([-180, -90, 0, 90, 180])
    right.set_xlabel("turned by [deg], east of north")
    drawn = [right for _, right in grid if right.lines]
    if drawn:
        drawn[0].legend(loc="upper right", ncols=2)
