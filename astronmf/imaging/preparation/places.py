"""Positions of the star: those given to start from, and those found."""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import as_real_array, check_broadcast, fail
from astronmf.exceptions import GeometryWarning, warn
from astronmf.imaging.frames import Frames

__all__ = ["as_centers", "checked"]


def as_centers(name: str, centers: Any, frames: Frames) -> FloatArray:
    """Return an (x, y) for each frame, (n, 2) float64: those given, one for all, or by default the frames' own centre.

    Raises
    ------
    ValueError
        If one is not finite or lies outside its frame.
    """
    values = as_real_array(name, frames.geometry.center if centers is None else centers).astype(np.float64)
    values = np.array(check_broadcast(name, values, (len(frames), 2)))
    size = np.array(frames.shape[:0:-1])
    wrong = np.flatnonzero(~((values >= -0.5) & (values <= size - 0.5)).all(axis=1))  # NaN is not inside either
    if wrong.size:
        found = f"{tuple(values[wrong[0]].tolist())} for {frames.names[wrong[0]]} ({wrong.size} such frames)"
        raise fail(name, f"(x, y) inside frames of {size[0]} x {size[1]} pixels", found)
    return values


def checked(centers: FloatArray, frames: Frames, method: str) -> FloatArray:
    """Return centres with those outside their frames NaN, and warn of all that are."""
    size = np.array(frames.shape[:0:-1])
    with np.errstate(invalid="ignore"):
        inside = np.all((centers >= -0.5) & (centers <= size - 0.5), axis=1)
    if not inside.all():
        failed = [name for name, good in zip(frames.names, inside, strict=True) if not good]
        msg = f"no centre found by {method} in {len(failed)} of {len(frames)} frames, the first of them {failed[0]}"
        warn(msg, GeometryWarning)
    return np.where(inside[:, None], centers, np.nan)
