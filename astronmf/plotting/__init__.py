"""Figures: images north up, reductions, components and how they were built; nothing here touches pyplot's state."""

from __future__ import annotations

from astronmf.plotting.calibration import plot_calibration
from astronmf.plotting.components import plot_components
from astronmf.plotting.contrast import plot_completeness, plot_contrast
from astronmf.plotting.detection import plot_companion, plot_detections
from astronmf.plotting.dispatch import plot_any
from astronmf.plotting.fit import plot_fit, plot_forward
from astronmf.plotting.frames import plot_frames
from astronmf.plotting.history import plot_history
from astronmf.plotting.image import plot_image
from astronmf.plotting.posterior import plot_posterior
from astronmf.plotting.reduction import plot_reduction

__all__ = [
    "plot_any",
    "plot_calibration",
    "plot_companion",
    "plot_completeness",
    "plot_components",
    "plot_contrast",
    "plot_detections",
    "plot_fit",
    "plot_forward",
    "plot_frames",
    "plot_history",
    "plot_image",
    "plot_posterior",
    "plot_reduction",
]
