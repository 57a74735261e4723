"""`plot_image`: one image, as an astronomer shows it."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astronmf._validation import as_real_array, check_number, check_shape
from astronmf.imaging.geometry import center_pixel
from astronmf.plotting.coordinates import Coordinates
from astronmf.plotting.panel import add_color_bar, add_compass, add_scale_bar, draw_image, mark_star, unit_label
from astronmf.plotting.stretch import finite_values, make_norm
from astronmf.plotting.style import figure_of, flux_colormap, house_style, new_figure

__all__ = ["plot_image"]


@house_style()
def plot_image(
    image: Any,
    *,
    pixel_scale: float | None = None,
    center: tuple[float, float] | None = None,
    unit: u.UnitBase | str | None = None,
    stretch: str = "asinh",
    limits: tuple[float, float] | None = None,
    north_up: bool = True,
    title: str | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw an image.

    Parameters
    ----------
    image : (y, x) array, masked array or Quantity
        Masked, NaN and infinite pixels are drawn grey.
    pixel_scale : float, optional
        Arcseconds a pixel; axes are then offsets, and a scale bar is drawn. In pixels without it.
    center : (x, y), optional
        The star, 0-based pixels: marked, and where offsets start. Without it offsets start at the pixel that
        north-up images have their star at, ``n // 2`` along each axis, and nothing is marked.
    unit : astropy unit or str, optional
        Of the image, for the colour bar; a Quantity's own by default.
    stretch : {"asinh", "linear"}
        "asinh" is linear within the noise, logarithmic far outside it.
    limits : (low, high), optional
        Of the colour scale, in the image's unit; robust ones by default.
    north_up : bool
        Whether north is up and east left: arrows say so, and ΔRA grows to the left.
    title : str, optional
    axes : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the image has not two axes, or another argument breaks its constraint.
    """
    values = np.ma.masked_invalid(_masked(image))
    norm = make_norm(finite_values(values), stretch, limits)
    if pixel_scale is not None:
        check_number("pixel_scale", pixel_scale, np.nextafter(0, 1))
    shape = values.shape[0], values.shape[1]
    coordinates = Coordinates(shape, center_pixel(shape) if center is None else center, pixel_scale, north_up)
    axes = new_figure(6.4, 5.4).add_subplot() if axes is None else axes
    drawn = draw_image(axes, values, coordinates, norm, flux_colormap())
    if center is not None:
        mark_star(axes, coordinates.position(*center))
    if pixel_scale is not None:
        add_scale_bar(axes)
    if north_up:
        add_compass(axes)
    unit = getattr(image, "unit", None) if unit is None else u.Unit(unit)
    add_color_bar(axes, drawn, norm, unit_label(unit))
    axes.set_title(title or "")
    return figure_of(axes)


def _masked(image: Any) -> np.ma.MaskedArray[Any, Any]:
    """Return a (y, x) float64 masked array."""
    values = as_real_array("image", np.ma.getdata(getattr(image, "value", image)))
    check_shape("image", values, (None, None))
    return np.ma.MaskedArray(values.astype(np.float64), mask=np.ma.getmaskarray(image))
