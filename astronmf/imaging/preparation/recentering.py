"""`recenter`: the star at one and the same pixel in every frame; `set_center`: say where it is, and move nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf._validation import check_integer, check_one_of_two, fail
from astronmf.exceptions import GeometryWarning, warn
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import SPLINE_ORDER, center_pixel, shifted
from astronmf.imaging.preparation.centering import find_center
from astronmf.imaging.preparation.places import as_centers
from astronmf.imaging.preparation.records import recorded

__all__ = ["recenter", "set_center"]

SCATTER = 0.1  # pixels: frames whose stars are farther apart are not well described by one centre


def recenter(
    frames: Frames,
    centers: Any = None,
    *,
    method: str | None = None,
    to: tuple[float, float] | None = None,
    order: int = SPLINE_ORDER,
    progress: Progress = no_progress,
    **options: Any,
) -> Frames:
    """Move every frame so that its star is at one common place.

    Parameters
    ----------
    frames : Frames
    centers : (2,) or (n, 2) array, optional
        Where the star is, (x, y), 0-based pixels: in all frames, or in each.
    method : str, optional
        Instead: how `find_center` is to find it; "gaussian" by default.
    to : (x, y), optional
        Where to put it; by default the middle pixel of odd-sized frames, pixel ``n // 2`` of even-sized ones.
    order : int, optional
        Of the spline, 1 to 5.
    progress
        Called as ``progress(done, total, what)``.
    **options
        Of the method; see `find_center`.

    Returns
    -------
    Frames
        A pixel is masked where its value would come from missing pixels, or from beyond the frame, by more than half.
        Variances are interpolated linearly: the errors are those of single pixels before the resampling, which makes
        neighbours correlated. A displacement by whole pixels changes no bit.

    Raises
    ------
    ValueError
        If both `centers` and `method` are given, or the star was not found in a frame.
    """
    check_one_of_two("centers", centers, "method", method)
    frames = Frames.of(frames)
    order = check_integer("order", order, 1, 5)
    x, y = center_pixel((frames.shape[1], frames.shape[2])) if to is None else to
    goal = as_centers("to", (x, y), frames)[0]
    places, how = _places(frames, centers, method, options, progress)
    parts = []
    for i, place in enumerate(places):
        parts.append(_moved(frames, i, (goal[0] - place[0], goal[1] - place[1]), order))
        progress(i + 1, len(frames), "recentring")
    data, mask, sigma = zip(*parts, strict=True)
    return recorded(
        frames,
        "recenter",
        how | {"to": goal, "order": order},
        {"centers": places},
        data=np.stack(data),
        mask=np.stack(mask),
        uncertainty=None if frames.sigma is None else np.stack(sigma),
        geometry=replace(frames.geometry, center=(float(goal[0]), float(goal[1]))),
    )


def set_center(
    frames: Frames,
    centers: Any = None,
    *,
    method: str | None = None,
    progress: Progress = no_progress,
    **options: Any,
) -> Frames:
    """Say where the star is, and move nothing: for frames that are aligned already.

    Parameters
    ----------
    frames : Frames
    centers : (2,) or (n, 2) array, optional
        Where the star is, (x, y), 0-based pixels.
    method : str, optional
        Instead: how `find_center` is to find it; "gaussian" by default.
    progress
        Called as ``progress(done, total, what)``.
    **options
        Of the method; see `find_center`.

    Returns
    -------
    Frames
        With the median of the centres as their centre; a `GeometryWarning` says if they scatter by more than 0.1
        pixels.

    Raises
    ------
    ValueError
        If both `centers` and `method` are given, or the star was not found in a frame.
    """
    check_one_of_two("centers", centers, "method", method)
    frames = Frames.of(frames)
    places, how = _places(frames, centers, method, options, progress)
    middle = np.median(places, axis=0)
    scatter = float(np.sqrt(np.mean(np.square(places - middle).sum(axis=1))))
    if scatter > SCATTER:
        warn(f"the star moves by {scatter:.2f} pixels (rms) between frames; recenter them instead", GeometryWarning)
    geometry = replace(frames.geometry, center=(float(middle[0]), float(middle[1])))
    return recorded(frames, "set_center", how, {"centers": places, "scatter": scatter}, geometry=geometry)


def _places(
    frames: Frames, centers: Any, method: str | None, options: dict[str, Any], progress: Progress
) -> tuple[FloatArray, dict[str, Any]]:
    """Return where the star is in each frame, and how that is known."""
    if centers is not None:
        if options:
            raise fail("centers", f"given without options of a method such as '{next(iter(options))}'", "both")
        return as_centers("centers", centers, frames), {"method": "given"}
    method = "gaussian" if method is None else method
    places = find_center(frames, method, progress=progress, **options)
    lost = np.flatnonzero(np.isnan(places).any(axis=1))
    if lost.size:
        found = f"none for {frames.names[lost[0]]} ({lost.size} such frames); reject these frames, or give 'centers'"
        raise fail("method", "one that finds the star in every frame", found)
    return places, {"method": method} | options


def _moved(
    frames: Frames, i: int, offset: tuple[float, float], order: int
) -> tuple[FloatArray, BoolArray, FloatArray | None]:
    """Return one frame's data, mask and errors after a displacement by (x, y)."""
    missing = frames.mask[i]
    data = shifted(np.where(missing, np.nan, frames.data[i]), offset, order)
    mask = np.isnan(data)
    if all(float(step).is_integer() for step in offset):
        data = shifted(frames.data[i], offset)  # what lies under the mask goes along, and so do the errors' very bits
        return data, mask, None if frames.sigma is None else shifted(frames.sigma[i], offset)
    if frames.sigma is None:
        return data, mask, None
    variance = np.where(missing, np.nan, np.square(frames.sigma[i], dtype=np.float64))
    sigma = np.sqrt(shifted(variance, offset, order=1)).astype(frames.sigma.dtype)
    return data, mask, np.where(mask, np.nan, sigma)
