"""`plot_calibration`: what a template finds at other position angles, beside its amplitude."""

from __future__ import annotations

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

SHARES = (1.0, 1.6)  # heights of the axes of the amplitude and of the nulls
MARGIN = 1.25  # of an axis, over what is drawn on it
WIDTH, HEIGHT = 5.6, 5.4  # inches, for each template


@house_style()
def plot_calibration(fit: TemplateFit) -> Figure:
    """Draw the null amplitudes against the angle that a template was turned by, and its amplitude with its error.

    An inch is as much in the upper panel, of the amplitude, as in the lower one, of the null amplitudes.

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
    figure = new_figure(WIDTH * count, HEIGHT)
    grid = figure.subplots(2, count, squeeze=False, sharex="col", height_ratios=SHARES)
    for j, name in enumerate(fit.names):
        _draw_template(grid[0, j], grid[1, j], found, j)
        error = float(found.errors[j])
        words = with_error(float(found.amplitudes[j]), error) if np.isfinite(error) else fit.status[j]
        grid[0, j].set_title(f"{name}: {words}", parse_math=False)
    grid[0, 0].set_ylabel("amplitude")
    grid[1, 0].set_ylabel("null amplitude")
    figure.suptitle(heading(fit.meta, counted(len(found.angles), "other angle")), parse_math=False)
    return figure


def _draw_template(upper: Axes, lower: Axes, found: AngleCalibration, template: int) -> None:
    """Draw one template's amplitude and null amplitudes."""
    value, error = float(found.amplitudes[template]), float(found.errors[template])
    raw, raw_error = float(found.raw[template]), float(found.raw_errors[template])
    nulls, angles = found.null_amplitudes[template], (found.angles + 180.0) % 360.0 - 180.0
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
        axes.yaxis.set_major_formatter(FuncFormatter(number_label))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if not np.isfinite(value):
        for axes in (upper, lower):
            axes.text(0.5, 0.5, "not calibrated", transform=axes.transAxes, ha="center", va="center")
        return
    upper.axhspan(value - error, value + error, color=LINE_COLOR, alpha=0.2, linewidth=0)
    upper.errorbar([0.0], [value], [error], fmt="o", color=LINE_COLOR, capsize=4.0, label="calibrated")
    upper.errorbar(
        [0.0], [raw], [raw_error], fmt="s", color=ACCENT_COLOR, capsize=4.0, markerfacecolor="white", label="raw"
    )
    lower.axhspan(-error, error, color=LINE_COLOR, alpha=0.2, linewidth=0, label="± error of the amplitude")
    lower.axhline(0.0, color="black", linewidth=1.0)
    order = np.argsort(angles)
    lower.plot(angles[order], nulls[order], "o", color="black", markersize=5.0, label="null amplitudes")
    _set_limits(upper, lower, (raw - raw_error, raw + raw_error, value - error, value + error), (*nulls, error, -error))
    for axes in (upper, lower):
        axes.legend(loc="upper right", ncols=2)
    lower.set_xlim(-185.0, 185.0)
    lower.set_xticks([-180, -90, 0, 90, 180])
    lower.set_xlabel("turned by [deg], east of north")


def _set_limits(upper: Axes, lower: Axes, above: tuple[float, ...], below: tuple[float, ...]) -> None:
    """Set limits so that both axes have the same scale, with room for a legend above what is drawn."""
    middle = (min(above) + max(above)) / 2
    reach = float(np.nanmax(np.abs(below)))
    half = MARGIN * max((max(above) - min(above)) / 2 * SHARES[1] / SHARES[0], reach) or 1.0
    room = 0.35 * half
    lower.set_ylim(-half, half + room)
    share = SHARES[0] / SHARES[1]
    upper.set_ylim(middle - half * share, middle + (half + room) * share)
