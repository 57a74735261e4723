"""`plot_frames`: what was observed, frame by frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from astronmf._validation import check_integer
from astronmf.plotting.coordinates import Coordinates, aspect, whole
from astronmf.plotting.panel import (
    add_color_bar,
    add_compass,
    add_scale_bar,
    draw_image,
    hide_ticks,
    mark_star,
    unit_label,
)
from astronmf.plotting.stretch import finite_values, make_norm
from astronmf.plotting.style import flux_colormap, house_style, panel_grid
from astronmf.plotting.words import counted, heading, shortened

if TYPE_CHECKING:
    from astronmf.imaging.frames import Frames

__all__ = ["plot_frames"]

COLUMNS = 4


@house_style()
def plot_frames(frames: Frames, limit: int = 12) -> Figure:
    """Draw the first frames as the detector saw them, on one colour scale, each with its name and directions.

    Parameters
    ----------
    frames
        Masked pixels are drawn grey.
    limit
        How many frames to draw at most.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `limit` is not a positive integer.
    """
    count = min(len(frames), check_integer("limit", limit, 1))
    images = np.ma.MaskedArray(frames.data[:count], mask=frames.mask[:count])
    values = finite_values(images)
    norm = make_norm(values)
    geometry = frames.geometry
    coordinates = Coordinates(frames.shape[1:], geometry.center, geometry.pixel_scale, north_up=False)
    figure, panels = panel_grid(count, COLUMNS, 3.0, 3.0 * aspect(whole(frames.shape[1:])) + 0.3)
    for i, axes in enumerate(panels):
        draw_image(axes, images[i], coordinates, norm, flux_colormap())
        hide_ticks(axes)
        mark_star(axes, coordinates.position(*geometry.center), 8.0)
        axes.set_title(_title(frames, i), fontsize="small", parse_math=False)
        if geometry.angles is not None:
            add_compass(axes, geometry.angle_of(i), geometry.parity)
        if geometry.pixel_scale is not None and i == 0:
            add_scale_bar(axes)
    last_of_first_row = panels[min(COLUMNS, count) - 1]
    add_color_bar(last_of_first_row, last_of_first_row.images[0], norm, unit_label(frames.unit), values)
    figure.suptitle(heading(frames.meta, counted(len(frames), "frame", count)), parse_math=False)
    return figure


def _title(frames: Frames, index: int) -> str:
    """Return a frame's name, its angle if known, and whether it is of a reference star."""
    name, role = shortened(frames.names[index]), ", reference" if frames.is_reference[index] else ""
    if frames.angles is None:
        return f"{name}{role}"
    angle = f"{frames.angles[index]:.1f}°".replace("-", "−")
    return f"{name}\n{angle}{role}"
