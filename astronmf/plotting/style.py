"""What all figures share: colours, fonts, empty figures and grids of panels."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

__all__ = ["BAD_COLOR", "diverging_colormap", "flux_colormap", "house_style", "new_figure", "outline", "panel_grid"]

BAD_COLOR = "#8f959c"  # a grey that neither colour map comes near
LINE_COLOR = "#0072B2"  # blue and orange of Okabe and Ito: told apart by every eye
ACCENT_COLOR = "#D55E00"
CONTOUR_COLOR = "#56D9FE"

STYLE: dict[str, Any] = {
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.labelsize": 11.0,
    "figure.titlesize": 14.0,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "legend.fontsize": 10.0,
}


def house_style() -> AbstractContextManager[None]:
    """Return a context, which can decorate a function too, inside which new artists take this package's fonts."""
    return mpl.rc_context(STYLE)


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
    """Return an empty figure, sizes in inches, that lays itself out when it is drawn."""
    return Figure(figsize=(width, height), layout="constrained")


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
    figure = new_figure(max(columns * width, 4.0), rows * height + 0.6)
    panels: list[Axes] = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for spare in panels[count:]:
        spare.remove()
    return figure, panels[:count]
