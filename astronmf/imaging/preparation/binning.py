"""`bin_frames`: means of consecutive frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import check_integer, fail
from astronmf.imaging.frames import Frames
from astronmf.imaging.preparation.records import recorded

__all__ = ["bin_frames"]


def bin_frames(frames: Frames, n: int, *, drop_rest: bool = False) -> Frames:
    """Average every `n` consecutive frames.

    Parameters
    ----------
    frames : Frames
        Their star at one place.
    n : int
        How many frames to average; those of reference stars are not averaged with others.
    drop_rest : bool, optional
        Leave out the frames at the end that are fewer than `n`, rather than average them as they are.

    Returns
    -------
    Frames
        Each pixel is the mean of the frames that have it, with the error of that mean, and is masked if none has. The
        angle is the mean angle, the shorter way around: 359° and 1° make 0°.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    frames = Frames.of(frames)
    groups = _groups(frames.is_reference, check_integer("n", n, 1))
    if drop_rest:
        groups = [group for group in groups if group.size == n]
    if not groups:
        raise fail("n", f"at most {len(frames)}, the number of frames", n)
    data, sigma, mask = (np.stack(parts) for parts in zip(*(_mean(frames, group) for group in groups), strict=True))
    geometry = frames.geometry
    if geometry.angles is not None:
        geometry = replace(geometry, angles=np.array([mean_angle(geometry.angles[group]) for group in groups]))
    return recorded(
        frames,
        "bin_frames",
        {"n": n, "drop_rest": drop_rest},
        {"bins": [group.tolist() for group in groups]},
        data=data,
        mask=mask,
        uncertainty=None if frames.sigma is None else sigma,
        geometry=geometry,
        names=[_name(frames, group) for group in groups],
        is_reference=frames.is_reference[[group[0] for group in groups]],
    )


def _groups(is_reference: BoolArray, n: int) -> list[np.ndarray]:
    """Return the numbers of the frames of each bin; a bin ends where science frames and references meet."""
    runs = np.split(np.arange(is_reference.size), np.flatnonzero(np.diff(is_reference)) + 1)
    return [run[first : first + n] for run in runs for first in range(0, run.size, n)]


def _mean(frames: Frames, group: np.ndarray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return mean, error and mask of some frames, each (y, x)."""
    valid = ~frames.mask[group]
    count = valid.sum(axis=0)
    missing = count == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(valid, frames.data[group], 0.0).sum(axis=0, dtype=np.float64) / count
        sigma = mean
        if frames.sigma is not None:
            squares = np.square(np.where(valid, frames.sigma[group], 0.0), dtype=np.float64)
            sigma = np.where(missing, np.nan, np.sqrt(squares.sum(axis=0)) / count).astype(frames.sigma.dtype)
    return mean.astype(frames.data.dtype), sigma, missing


def mean_angle(angles: FloatArray) -> float:
    """Return the mean of angles in degrees that lie near each other on the circle, in [0, 360) if all of them do."""
    middle = float(np.mean(np.unwrap(angles, period=360.0)))
    low = 0.0 if (angles >= 0).all() else -180.0
    inside = low <= middle < low + 360.0
    return middle if inside else float((middle - low) % 360.0 + low)


def _name(frames: Frames, group: np.ndarray) -> str:
    """Return the name of a bin: of its first and its last frame."""
    first, last = frames.names[group[0]], frames.names[group[-1]]
    return first if len(group) == 1 else f"{first} to {last}"
