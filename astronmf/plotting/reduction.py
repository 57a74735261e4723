"""`plot_reduction`: the star before, what is left after, and how sure that is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from astronmf._typing import FloatArray
from astronmf.imaging.combination import turn
from astronmf.plotting.coordinates import Coordinates, aspect, field_of_view
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
from astronmf.plotting.words import counted, heading

if TYPE_CHECKING:
    from astronmf.imaging.reduction import Reduction

__all__ = ["before_subtraction", "decorate", "draw_flux", "imputed_share", "plot_reduction", "significance"]

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
    science = reduction.science
    shape = reduction.combined.shape[0], reduction.combined.shape[1]
    north_up = science.angles is not None
    coordinates = Coordinates(shape, reduction.center, science.geometry.pixel_scale, north_up)
    box = field_of_view(np.isfinite(reduction.combined))
    figure = new_figure(16.0, 3.9 * aspect(box) + 1.0)
    panels = figure.subplots(1, 3)
    draw_flux(panels[0], before_subtraction(reduction), coordinates, reduction, box)
    draw_flux(panels[1], reduction.combined, coordinates, reduction, box)
    _draw_significance(panels[2], reduction, coordinates, box)
    imputed = imputed_share(reduction)
    for axes, title in zip(panels, ("Before subtraction", "After subtraction", "Signal to noise"), strict=True):
        decorate(axes, coordinates, reduction)
        outline_region(axes, imputed, coordinates, "black" if axes is panels[2] else CONTOUR_COLOR)
        axes.set_title(title)
    if imputed.any():
        _explain(panels[1])
    counts = counted(len(reduction.components), "component"), counted(len(science), "frame")
    figure.suptitle(heading(reduction.meta, *counts), parse_math=False)
    return figure


def before_subtraction(reduction: Reduction) -> FloatArray:
    """Return the mean of the science frames in the reduced region, turned as `combined` is: (y, x), NaN elsewhere."""
    science = reduction.science
    used = ~science.mask & reduction.choice.region
    turned = turn(np.where(used, science.data, np.nan), science.geometry)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(turned, axis=0))


def imputed_share(reduction: Reduction) -> FloatArray:
    """Return how much of each pixel of `combined` was declared missing, at most in any frame: (y, x)."""
    imputed = reduction.choice.imputed
    if not imputed.any():
        return np.zeros(reduction.combined.shape)
    turned = turn(imputed.astype(np.float64), reduction.science.geometry, order=1)
    return np.asarray(np.nan_to_num(turned).max(axis=0))


def significance(reduction: Reduction) -> FloatArray:
    """Return `combined` over its uncertainty: (y, x), NaN where either is missing or the uncertainty is 0."""
    noise = reduction.combined_uncertainty
    known = np.isfinite(noise) & (noise > 0)
    return np.asarray(np.divide(reduction.combined, noise, out=np.full(noise.shape, np.nan), where=known))


def draw_flux(
    axes: Axes,
    image: FloatArray,
    coordinates: Coordinates,
    reduction: Reduction,
    box: tuple[float, float, float, float],
) -> None:
    """Draw an image in the reduction's unit, asinh-stretched."""
    norm = make_norm(finite_values(image))
    drawn = draw_image(axes, image, coordinates, norm, flux_colormap(), box)
    add_color_bar(axes, drawn, norm, unit_label(reduction.unit))


def _draw_significance(
    axes: Axes, reduction: Reduction, coordinates: Coordinates, box: tuple[float, float, float, float]
) -> None:
    """Draw signal over noise, white at zero."""
    ratio = significance(reduction)
    norm = symmetric_norm(finite_values(ratio), LEAST_SNR, MOST_SNR)
    drawn = draw_image(axes, ratio, coordinates, norm, diverging_colormap(), box)
    add_color_bar(axes, drawn, norm, "S/N of a pixel")


def decorate(axes: Axes, coordinates: Coordinates, reduction: Reduction) -> None:
    """Mark the star, a length and the directions, as far as they are known."""
    mark_star(axes, coordinates.position(*reduction.center))
    if coordinates.pixel_scale is not None:
        add_scale_bar(axes)
    if coordinates.north_up:
        add_compass(axes)


def _explain(axes: Axes) -> None:
    """Say what the thin line surrounds."""
    line = Line2D([], [], color=CONTOUR_COLOR, linewidth=1.5)
    axes.legend([line], ["imputed"], loc="upper left", handlelength=1.2, borderpad=0.3)
