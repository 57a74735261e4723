"""`plot_reduction`: the star before, what is left after, and how sure that is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from astronmf._typing import BoolArray, FloatArray
from astronmf.imaging.combination import turn
from astronmf.plotting.coordinates import Coordinates, field_of_view
from astronmf.plotting.panel import (
    add_color_bar,
    add_compass,
    add_scale_bar,
    draw_image,
    mark_star,
    outline_region,
    unit_label,
)
from astronmf.plotting.stretch import finite_values, make_norm, symmetric_norm
from astronmf.plotting.style import CONTOUR_COLOR, diverging_colormap, flux_colormap, house_style, new_figure

if TYPE_CHECKING:
    from astronmf.imaging.reduction import Reduction

__all__ = ["plot_reduction"]

LEAST_SNR, MOST_SNR = 5.0, 15.0  # of the limits of the colour scale


@house_style()
def plot_reduction(reduction: Reduction) -> Figure:
    """Draw the mean science frame, the combined residual, and its signal-to-noise ratio, side by side.

    Parameters
    ----------
    reduction
        North is up where its frames have angles. A thin line surrounds the pixels that were declared missing. The
        noise of the third panel is ``combined_uncertainty``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(16.0, 5.2)
    panels = figure.subplots(1, 3)
    science = reduction.science
    shape = reduction.combined.shape[0], reduction.combined.shape[1]
    north_up = science.angles is not None
    coordinates = Coordinates(shape, reduction.center, science.geometry.pixel_scale, north_up)
    box = field_of_view(np.isfinite(reduction.combined))
    _draw_flux(panels[0], before_subtraction(reduction), coordinates, reduction, box)
    _draw_flux(panels[1], reduction.combined, coordinates, reduction, box)
    _draw_significance(panels[2], reduction, coordinates, box)
    imputed = imputed_region(reduction)
    for axes, title in zip(panels, ("Before subtraction", "After subtraction", "Signal to noise"), strict=True):
        _decorate(axes, coordinates, reduction)
        outline_region(axes, imputed, coordinates, "black" if axes is panels[2] else CONTOUR_COLOR)
        axes.set_title(title)
    if imputed.any():
        _explain(panels[1])
    figure.suptitle(describe(reduction))
    return figure


def before_subtraction(reduction: Reduction) -> FloatArray:
    """Return the mean of the science frames in the reduced region, turned as `combined` is: (y, x), NaN elsewhere."""
    science = reduction.science
    used = ~science.mask & reduction.choice.region
    turned = turn(np.where(used, science.data, np.nan), science.geometry)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(turned, axis=0))


def imputed_region(reduction: Reduction) -> BoolArray:
    """Return the pixels of `combined` that were declared missing in any frame: (y, x)."""
    imputed = reduction.choice.imputed
    if not imputed.any():
        return np.zeros(reduction.combined.shape, dtype=bool)
    turned = turn(imputed.astype(np.float64), reduction.science.geometry, order=1)
    return np.asarray((turned > 0.5).any(axis=0))


def significance(reduction: Reduction) -> FloatArray:
    """Return `combined` over its uncertainty: (y, x), NaN where either is missing or the uncertainty is 0."""
    noise = reduction.combined_uncertainty
    known = np.isfinite(noise) & (noise > 0)
    return np.divide(reduction.combined, noise, out=np.full(noise.shape, np.nan), where=known)


def describe(reduction: Reduction) -> str:
    """Return the title: object, instrument and filter as far as they are known, and two counts."""
    known = [str(reduction.meta[key]) for key in ("object", "instrument", "filter") if reduction.meta.get(key)]
    counts = [(len(reduction.components), "component"), (len(reduction.science), "frame")]
    words = [f"{count} {word}" if count == 1 else f"{count} {word}s" for count, word in counts]
    return "  ·  ".join(known + words)


def _draw_flux(
    axes: Axes,
    image: FloatArray,
    coordinates: Coordinates,
    reduction: Reduction,
    box: tuple[float, float, float, float],
) -> None:
    """Draw an image in the reduction's unit, asinh-stretched."""
    drawn = draw_image(axes, image, coordinates, make_norm(finite_values(image)), flux_colormap(), box)
    add_color_bar(axes, drawn, unit_label(reduction.unit))


def _draw_significance(
    axes: Axes, reduction: Reduction, coordinates: Coordinates, box: tuple[float, float, float, float]
) -> None:
    """Draw signal over noise, white at zero."""
    ratio = significance(reduction)
    norm = symmetric_norm(finite_values(ratio), LEAST_SNR, MOST_SNR)
    add_color_bar(axes, draw_image(axes, ratio, coordinates, norm, diverging_colormap(), box), "S/N of a pixel")


def _decorate(axes: Axes, coordinates: Coordinates, reduction: Reduction) -> None:
    """Mark the star, a length and the directions, as far as they are known."""
    mark_star(axes, coordinates.position(*reduction.center))
    if coordinates.pixel_scale is not None:
        add_scale_bar(axes)
    if coordinates.north_up:
        add_compass(axes)


def _explain(axes: Axes) -> None:
    """Say what the thin line surrounds."""
    line = Line2D([], [], color=CONTOUR_COLOR, linewidth=1.5)
    axes.legend([line], ["declared missing in the fit"], loc="upper left", framealpha=0.9)
