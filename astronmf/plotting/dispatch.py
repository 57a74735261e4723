"""`plot_any`: the figure that belongs to what a file held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from astronmf._validation import fail
from astronmf.components import Components
from astronmf.imaging.frames import Frames
from astronmf.imaging.reduction import Reduction
from astronmf.plotting.components import plot_components
from astronmf.plotting.frames import plot_frames
from astronmf.plotting.reduction import plot_reduction

__all__ = ["plot_any"]

PLOTS: tuple[tuple[type, Callable[[Any], Figure]], ...] = (
    (Reduction, plot_reduction),
    (Components, plot_components),
    (Frames, plot_frames),
)


def plot_any(content: Any) -> Figure:
    """Draw a reduction, components or frames.

    Parameters
    ----------
    content : Reduction, Components or Frames

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no figure for such an object.
    """
    for kind, plot in PLOTS:
        if isinstance(content, kind):
            return plot(content)
    raise fail("content", "a Reduction, Components or Frames", f"an object of type {type(content).__name__}")
