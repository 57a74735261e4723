"""`plot_components`: what was learnt, as images or as spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astronmf._typing import FloatArray
from astronmf._validation import check_integer, fail
from astronmf.imaging.geometry import center_pixel
from astronmf.plotting.coordinates import Coordinates, aspect, field_of_view
from astronmf.plotting.panel import add_scale_bar, draw_image, hide_ticks, mark_star, say_no_data
from astronmf.plotting.stretch import finite_values, make_norm
from astronmf.plotting.style import LINE_COLOR, flux_colormap, house_style, panel_grid
from astronmf.plotting.words import counted, heading

if TYPE_CHECKING:
    from astronmf.components import Components

__all__ = ["plot_components"]

IMAGE_COLUMNS = 4
SPECTRUM_COLUMNS = 2


@house_style()
def plot_components(components: Components, limit: int = 12) -> Figure:
    """Draw the first components, each on its own scale, with its mean share of the coefficients.

    Parameters
    ----------
    components
        Images, (k, y, x), in the detector's orientation and asinh-stretched; or spectra, (k, p), drawn as lines.
        Pixels that they do not cover are grey, or gaps.
    limit
        How many components to draw at most.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the components are neither images nor spectra, or `limit` is not a positive integer.
    """
    count = min(len(components), check_integer("limit", limit, 1))
    if components.data.ndim == 3:
        figure, panels = _draw_images(components, count)
    elif components.data.ndim == 2:
        figure, panels = _draw_spectra(components, count)
    else:
        raise fail("components", "images (k, y, x) or spectra (k, p)", f"shape {components.data.shape}")
    for i, (axes, share) in enumerate(zip(panels, mean_shares(components.coefficients), strict=False)):
        axes.set_title(f"{i + 1}" if np.isnan(share) else f"{i + 1}  ({share:.1%})")
    figure.suptitle(heading({}, counted(len(components), "component", count), "mean share of the coefficients"))
    return figure


def mean_shares(coefficients: FloatArray) -> FloatArray:
    """Return each component's share of an observation's coefficients, averaged over observations: (n, k) to (k,).

    Observations whose coefficients are missing or all 0 do not count; NaN if none does.
    """
    total = coefficients.sum(axis=1, keepdims=True)
    usable = (np.isfinite(total) & (total > 0)).ravel()
    if not usable.any():
        return np.full(coefficients.shape[1], np.nan)
    return np.asarray((coefficients[usable] / total[usable]).mean(axis=0))


def _draw_images(components: Components, count: int) -> tuple[Figure, list[Axes]]:
    """Draw the components as images, cropped to what any of them covers."""
    shape = components.data.shape[1], components.data.shape[2]
    center = components.meta.get("center")
    origin = center_pixel(shape) if center is None else (float(center[0]), float(center[1]))
    coordinates = Coordinates(shape, origin, components.meta.get("pixel_scale"), north_up=False)
    box = field_of_view(np.isfinite(components.data).any(axis=0))
    figure, panels = panel_grid(count, IMAGE_COLUMNS, 3.0, 3.0 * aspect(box) + 0.25)
    for image, axes in zip(components.data, panels, strict=False):
        draw_image(axes, image, coordinates, make_norm(finite_values(image)), flux_colormap(), box)
        hide_ticks(axes)
        if center is not None:
            mark_star(axes, coordinates.position(*origin), 8.0)
    if coordinates.pixel_scale is not None:
        add_scale_bar(panels[0])
    return figure, panels


def _draw_spectra(components: Components, count: int) -> tuple[Figure, list[Axes]]:
    """Draw the components as lines; pixels without a value are gaps."""
    figure, panels = panel_grid(count, SPECTRUM_COLUMNS, 5.5, 2.2)
    for spectrum, axes in zip(components.data, panels, strict=False):
        axes.plot(spectrum, color=LINE_COLOR, linewidth=1.0)
        axes.set_xlim(-0.5, len(spectrum) - 0.5)
        if not np.isfinite(spectrum).any():
            say_no_data(axes)
    for axes in panels[-SPECTRUM_COLUMNS:]:
        axes.set_xlabel("pixel")
    figure.supylabel("component (unit norm)")
    return figure, panels
