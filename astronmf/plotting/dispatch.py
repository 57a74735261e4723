"""`plot_any`: the figure that belongs to what a file held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from astronmf._validation import fail
from astronmf.components import Components
from astronmf.imaging.frames import Frames
from astronmf.imaging.modelling.fit_result import TemplateFit
from astronmf.imaging.modelling.forward_images import ForwardImages
from astronmf.imaging.reduction import Reduction
from astronmf.plotting.components import plot_components
from astronmf.plotting.fit import plot_fit, plot_forward
from astronmf.plotting.frames import plot_frames
from astronmf.plotting.reduction import plot_reduction

__all__ = ["plot_any"]

PLOTS: tuple[tuple[type, Callable[[Any], Figure]], ...] = (
    (Reduction, plot_reduction),
    (Components, plot_components),
    (Frames, plot_frames),
    (TemplateFit, plot_fit),
    (ForwardImages, plot_forward),
)


def plot_any(content: Any) -> Figure:
    """Draw a reduction, components, frames, a fit of templates or a forward model.

    Parameters
    ----------
    content : Reduction, Components, Frames, TemplateFit or ForwardImages

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
    known = "a Reduction, Components, Frames, TemplateFit or ForwardImages"
    raise fail("content", known, f"an object of type {type(content).__name__}")
