"""`plot_preparation`: frames before and after they were prepared, and where the star was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from astronmf._typing import FloatArray
from astronmf.imaging.statistics import median_frame
from astronmf.plotting.coordinates import Coordinates
from astronmf.plotting.panel import add_color_bar, draw_image, mark_star, unit_label
from astronmf.plotting.stretch import finite_values, make_norm
from astronmf.plotting.style import ACCENT_COLOR, CONTOUR_COLOR, LINE_COLOR, flux_colormap, house_style, new_figure
from astronmf.plotting.words import counted, heading

if TYPE_CHECKING:
    from astronmf.imaging.frames import Frames

__all__ = ["plot_preparation"]


@house_style()
def plot_preparation(before: Frames, after: Frames) -> Figure:
    """Draw the median of the frames before and after, in pixels, and the star's displacement from frame to frame.

    Parameters
    ----------
    before, after
        What the preparation was given, and what it made of it; the centres that it found are read from the record in
        `after`, and there is no third panel if there are none.

    Returns
    -------
    matplotlib.figure.Figure
    """
    centers = _centers(after)
    count = 2 if centers is None else 3
    figure = new_figure(5.2 * count, 4.8)
    panels: list[Axes] = list(figure.subplots(1, count))
    _draw(panels[0], before, "before")
    _draw(panels[1], after, "after")
    if centers is not None:
        panels[0].plot(*centers.T, linestyle="", marker=".", markersize=3.0, color=CONTOUR_COLOR)
        _draw_displacements(panels[2], centers)
    figure.suptitle(heading(after.meta, counted(len(before), "frame")), parse_math=False)
    return figure


def _centers(after: Frames) -> FloatArray | None:
    """Return the centres of the last step that found some, (n, 2)."""
    found: list[Any] = [step["centers"] for step in after.meta.get("preparation", []) if "centers" in step]
    return np.array(found[-1], dtype=np.float64) if found else None


def _draw(axes: Axes, frames: Frames, what: str) -> None:
    """Draw the median of the frames, and the star where their geometry says."""
    image = median_frame(np.where(frames.mask, np.nan, frames.data))
    values = finite_values(image)
    norm = make_norm(values)
    drawn = draw_image(axes, image, Coordinates(frames.shape[1:], frames.geometry.center), norm, flux_colormap())
    add_color_bar(axes, drawn, norm, unit_label(frames.unit), values)
    mark_star(axes, frames.geometry.center, 8.0)
    axes.set_title(f"{what}: median of {counted(len(frames), 'frame')}")


def _draw_displacements(axes: Axes, centers: FloatArray) -> None:
    """Draw how far the star is from the median of its places, frame by frame."""
    middle = np.median(centers, axis=0)
    for name, values, color in zip("xy", (centers - middle).T, (LINE_COLOR, ACCENT_COLOR), strict=True):
        axes.plot(
            values,
            color=color,
            marker="o",
            markersize=3.5,
            linewidth=1.0,
            label=f"{name} − {middle['xy'.index(name)]:.2f}",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("frame")
    axes.set_ylabel("displacement [pixel]")
    axes.set_title("star")
    axes.grid(alpha=0.3)
    axes.legend()
