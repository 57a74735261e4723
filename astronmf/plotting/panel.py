"""One image panel and what is drawn on it: star, scale bar, compass, colour bar, outlines."""

from __future__ import annotations

from typing import Any, Literal

import astropy.units as u
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from astronmf._typing import FloatArray
from astronmf.plotting.coordinates import Coordinates
from astronmf.plotting.stretch import finite_values, limits_of, number_label, tick_values
from astronmf.plotting.style import CONTOUR_COLOR, figure_of, outline

__all__ = [
    "add_color_bar",
    "add_compass",
    "add_scale_bar",
    "draw_image",
    "hide_ticks",
    "mark_star",
    "outline_region",
    "say_no_data",
    "sky_directions",
    "unit_label",
]

MARK_COLOR = "white"
BAR_SHARE = 0.25  # of the panel's width that a scale bar may fill
ARROW = 0.11  # length of the compass's arrows, as a share of the panel's side


def draw_image(
    axes: Axes,
    image: Any,
    coordinates: Coordinates,
    norm: Normalize,
    colormap: Colormap,
    box: tuple[float, float, float, float] | None = None,
) -> AxesImage:
    """Draw an image with its first row at the bottom; masked, NaN and infinite pixels in the map's bad colour.

    Parameters
    ----------
    axes
    image : (y, x) array or masked array
    coordinates
    norm, colormap
    box : (x low, x high, y low, y high), optional
        What to show, in pixels; everything by default.
    """
    values = np.ma.masked_invalid(np.ma.asarray(image, dtype=np.float64))
    drawn = axes.imshow(
        values,
        cmap=colormap,
        norm=norm,
        origin="lower",
        extent=coordinates.extent,
        interpolation="nearest",
        aspect="equal",
    )
    left, right, bottom, top = coordinates.extent if box is None else coordinates.edges(box)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_xlabel(coordinates.labels[0])
    axes.set_ylabel(coordinates.labels[1])
    axes.locator_params(nbins=8, steps=[1, 2, 5, 10])
    if finite_values(values).size == 0:
        say_no_data(axes)
    return drawn


def say_no_data(axes: Axes) -> None:
    """Write that a panel has nothing to show, above where a star may be marked."""
    axes.text(0.5, 0.7, "no data", transform=axes.transAxes, ha="center", va="center", fontsize="large")


def hide_ticks(axes: Axes) -> None:
    """Take ticks and labels off a panel of a grid."""
    axes.set(xticks=[], yticks=[], xlabel="", ylabel="")


def mark_star(axes: Axes, position: tuple[float, float], size: float = 11.0) -> None:
    """Draw a small star at a position on the axes."""
    axes.plot(*position, marker="*", color="#FFE94A", markersize=size, markeredgecolor="black", markeredgewidth=0.8)


def add_scale_bar(axes: Axes) -> None:
    """Draw a bar of a round length in the lower left corner of a panel whose axes are in arcseconds."""
    (left, bottom), (right, _) = _place(axes, 0.05, 0.06), _place(axes, 1.0, 0.0)
    width = abs(axes.get_xlim()[1] - axes.get_xlim()[0])
    size, symbol = (60.0, "′") if BAR_SHARE * width >= 60 else (1.0, "″")
    length = _round_length(BAR_SHARE * width / size)
    end = left + np.sign(right - left) * length * size
    axes.plot([left, end], [bottom, bottom], color=MARK_COLOR, linewidth=2.5, path_effects=outline(4.5))
    label = f"{number_label(length)}{symbol}"
    middle = (left + end) / 2, _place(axes, 0.0, 0.08)[1]
    axes.text(*middle, label, color=MARK_COLOR, ha="center", va="bottom", path_effects=outline())


def _round_length(length: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is no longer."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step for step in (power, 2 * power, 5 * power) if step <= length * (1 + 1e-9)))


def _place(axes: Axes, across: float, up: float) -> tuple[float, float]:
    """Return the data coordinates of a point that is given in shares of the panel."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return left + across * (right - left), bottom + up * (top - bottom)


def add_compass(axes: Axes, angle: float = 0.0, parity: int = 1, labels: bool = True) -> None:
    """Draw arrows to north and east in the lower right corner.

    Parameters
    ----------
    axes
    angle
        Position angle of the panel's +y, degrees east of north: 0 for north up.
    parity
        -1 for mirror images of the sky.
    labels
        Whether to write N and E.
    """
    north, east = sky_directions(angle, parity)
    sides = axes.get_xlim()[1] - axes.get_xlim()[0], axes.get_ylim()[1] - axes.get_ylim()[0]
    shares = ARROW * min(map(abs, sides)) / np.abs(sides)  # of the panel's sides: arrows of equal length on both axes
    base = np.array([1.0, 0.0]) + np.array([-1.4, 1.4]) * shares - 0.5 * (north + east) * shares
    for name, direction in (("N", north), ("E", east)):
        _arrow(axes, base, base + direction * shares)
        if labels:
            point = _place(axes, *(base + 1.3 * direction * shares))
            axes.text(*point, name, color=MARK_COLOR, ha="center", va="center", path_effects=outline())


def sky_directions(angle: float, parity: int = 1) -> tuple[FloatArray, FloatArray]:
    """Return where north and east are on a detector: unit vectors (x, y).

    Parameters
    ----------
    angle
        Position angle of +y, degrees east of north.
    parity
        -1 for mirror images of the sky.
    """
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([parity * sine, cosine]), np.array([-parity * cosine, sine])


def _arrow(axes: Axes, start: Any, end: Any) -> None:
    """Draw an arrow between two points that are given in shares of the panel."""
    look = {"arrowstyle": "-|>", "color": MARK_COLOR, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
    properties: Any = look | {"path_effects": outline(3.5)}
    axes.annotate("", xy=_place(axes, *end), xytext=_place(axes, *start), arrowprops=properties)


def outline_region(axes: Axes, share: FloatArray, coordinates: Coordinates, color: str = CONTOUR_COLOR) -> None:
    """Draw a thin line around the pixels of which more than half belongs to a region; nothing for none, or all.

    Parameters
    ----------
    axes
    share : (y, x) array
        How much of each pixel belongs to the region, from 0 to 1.
    coordinates
    color
    """
    if not share.min() < 0.5 < share.max():
        return
    limits = axes.get_xlim(), axes.get_ylim()
    axes.contour(share, [0.5], colors=[color], linewidths=1.2, origin="lower", extent=coordinates.extent)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def unit_label(unit: u.UnitBase | None) -> str:
    """Return a unit as a label, empty for none and for pure numbers."""
    if unit is None or unit == u.dimensionless_unscaled:
        return ""
    return str(unit.to_string("latex_inline"))


def add_color_bar(
    axes: Axes, drawn: AxesImage, norm: Normalize, label: str = "", values: FloatArray | None = None
) -> Colorbar:
    """Draw the scale of an image to the right of its panel, as high as the panel.

    Parameters
    ----------
    axes, drawn, norm
    label
    values : (m,) array, optional
        The finite values of all images on this scale, by default those of this one: the bar is pointed where some lie
        beyond it, and has no ticks if there are none.
    """
    values = finite_values(drawn.get_array()) if values is None else values
    extend = _beyond(values, *limits_of(norm))
    beside = axes.inset_axes((1.03, 0.0, 0.05, 1.0))
    bar = figure_of(axes).colorbar(drawn, cax=beside, extend=extend, extendfrac=0.03, label=label)
    bar.ax.yaxis.set_major_locator(FixedLocator(tick_values(norm) if values.size else []))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(number_label))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    return bar


def _beyond(values: FloatArray, low: float, high: float) -> Literal["neither", "min", "max", "both"]:
    """Return at which ends of a scale there are values outside, in matplotlib's words."""
    below, above = bool((values < low).any()), bool((values > high).any())
    if below and above:
        return "both"
    if below:
        return "min"
    return "max" if above else "neither"
