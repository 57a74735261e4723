"""`plot_history`: how much every further component explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from astronmf._typing import BoolArray, FloatArray
from astronmf.plotting.stretch import number_label, tick_values
from astronmf.plotting.style import ACCENT_COLOR, LINE_COLOR, house_style, new_figure

if TYPE_CHECKING:
    from astronmf.components import Components

__all__ = ["plot_history"]


@house_style()
def plot_history(components: Components) -> Figure:
    """Draw χ² for each valid value, and the fractional residual variance, against the number of components.

    Parameters
    ----------
    components
        Stages of their build that did not converge are marked by open symbols.

    Returns
    -------
    matplotlib.figure.Figure
    """
    history = components.history
    number = np.asarray(history["stage"])
    converged = np.asarray(history["converged"], dtype=bool)
    n_valid = components.meta.get("n_valid")
    chi2 = np.asarray(history["chi2"], dtype=np.float64) / (n_valid or 1)
    variance = np.asarray(history["fractional_residual_variance"], dtype=np.float64)
    figure = new_figure(11.0, 4.4)
    left, right = figure.subplots(1, 2)
    _draw_curve(left, number, chi2, converged, LINE_COLOR)
    _draw_curve(right, number, variance, converged, ACCENT_COLOR)
    left.set_ylabel("χ² / number of valid values" if n_valid else "χ²")
    right.set_ylabel("fractional residual variance")
    return figure


def _draw_curve(axes: Axes, number: FloatArray, values: FloatArray, converged: BoolArray, color: str) -> None:
    """Draw one quantity: a line, filled symbols where a stage converged, open ones where it did not."""
    axes.plot(number, values, color=color, linewidth=1.5)
    for chosen, face, label in ((converged, color, "converged"), (~converged, "white", "not converged")):
        if chosen.any():
            axes.plot(
                number[chosen], values[chosen], "o", color=color, markerfacecolor=face, markersize=7.0, label=label
            )
    if not converged.all():
        axes.legend()
    axes.set_xlim(number.min() - 0.5, number.max() + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("number of components")
    axes.grid(alpha=0.3)
    _scale(axes, values[np.isfinite(values)])


def _scale(axes: Axes, values: FloatArray) -> None:
    """Make the vertical axis logarithmic, as far as values allow, with plain numbers at its ticks."""
    if values.size and values.min() > 0:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_yticks(tick_values(LogNorm(low, high)))
        axes.set_ylim(low, high)
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(number_label))
