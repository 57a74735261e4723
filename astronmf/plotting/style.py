"""What all figures share: colours, fonts, empty figures and grids of panels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from astronmf._validation import fail

__all__ = [
    "BAD_COLOR",
    "diverging_colormap",
    "figure_of",
    "flux_colormap",
    "house_style",
    "new_figure",
    "outline",
    "panel_grid",
]

BAD_COLOR = "#8f959c"  # a grey that neither colour map comes near
LINE_COLOR = "#0072B2"  # blue and orange of Okabe and Ito: told apart by every eye
ACCENT_COLOR = "#D55E00"
CONTOUR_COLOR = "#56D9FE"

LEAST_WIDTH = 5.2  # inches: room for a heading over a single panel

STYLE: Any = {
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.labelsize": 11.0,
    "figure.titlesize": 14.0,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "legend.fontsize": 10.0,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Let artists made inside this context, or by a function that it decorates, take this package's fonts."""
    with mpl.rc_context(STYLE):
        yield


def flux_colormap() -> Colormap:
    """Return the perceptually uniform map for brightness, with missing pixels grey."""
    return mpl.colormaps["inferno"].with_extremes(bad=BAD_COLOR)


def diverging_colormap() -> Colormap:
    """Return the map for values on both sides of zero, blue to red, with missing pixels grey."""
    return mpl.colormaps["RdBu_r"].with_extremes(bad=BAD_COLOR)


def outline(width: float = 2.5, color: str = "black") -> list[Any]:
    """Return the effect that keeps a bright mark readable on a bright ground."""
    return [withStroke(linewidth=width, foreground=color)]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches, that moves its panels together when it is drawn."""
    return Figure(figsize=(width, height), layout="compressed")


def figure_of(axes: Axes) -> Figure:
    """Return the figure that axes are part of.

    Raises
    ------
    ValueError
        If they are part of none.
    """
    figure = axes.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise fail("axes", "part of a figure", figure)
    return figure


def panel_grid(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels in rows of at most `columns`.

    Parameters
    ----------
    count, columns
    width, height
        Of one panel, inches.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(max(columns * width, LEAST_WIDTH), rows * height + 0.6)
    panels: list[Axes] = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for spare in panels[count:]:
        spare.remove()
    return figure, panels[:count]
