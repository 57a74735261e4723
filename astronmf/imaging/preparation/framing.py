"""`crop` and `pad`: smaller and larger frames about the star."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import check_integer, check_shape, fail
from astronmf.imaging.frames import Frames
from astronmf.imaging.preparation.records import recorded

__all__ = ["crop", "pad"]


def crop(frames: Frames, size: int | tuple[int, int]) -> Frames:
    """Cut frames about the star: its pixel becomes ``size // 2``.

    Parameters
    ----------
    frames : Frames
    size : int or (y, x)
        In pixels.

    Returns
    -------
    Frames
        The centre in their geometry follows.

    Raises
    ------
    ValueError
        If the cut would reach beyond the frame.
    """
    frames = Frames.of(frames)
    wanted, first = _placed(frames, size)
    for axis, (length, low, side) in enumerate(zip(frames.shape[1:], first, wanted, strict=True)):
        if low < 0 or low + side > length:
            star = _star(frames)[axis]
            largest = min(2 * star + 1, 2 * (length - star))
            raise fail(
                "size", f"at most {largest} along {'yx'[axis]}, where the star is", f"{side}; pad the frames first"
            )
    (top, left), (height, width) = first, wanted
    window = (slice(None), slice(top, top + height), slice(left, left + width))
    return _framed(frames, "crop", wanted, first, [np.array(part[window]) for part in _arrays(frames)])


def pad(frames: Frames, size: int | tuple[int, int]) -> Frames:
    """Put frames into larger ones, NaN and masked around them: the star's pixel becomes ``size // 2``.

    Parameters
    ----------
    frames : Frames
    size : int or (y, x)
        In pixels.

    Returns
    -------
    Frames
        The centre in their geometry follows.

    Raises
    ------
    ValueError
        If the frames would reach beyond that size.
    """
    frames = Frames.of(frames)
    wanted, first = _placed(frames, size)
    for axis, (length, low, side) in enumerate(zip(frames.shape[1:], first, wanted, strict=True)):
        if low > 0 or low + side < length:
            star = _star(frames)[axis]
            smallest = max(2 * star, 2 * (length - star) - 1)
            raise fail("size", f"at least {smallest} along {'yx'[axis]}, where the star is", f"{side}; crop the frames")
    around = (
        (0, 0),
        *((-low, low + side - length) for length, low, side in zip(frames.shape[1:], first, wanted, strict=True)),
    )
    fills = (np.nan, True, np.nan)
    parts = [np.pad(part, around, constant_values=fill) for part, fill in zip(_arrays(frames), fills, strict=False)]
    return _framed(frames, "pad", wanted, first, parts)


def _placed(frames: Frames, size: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the new (y, x) size, and the old pixel that becomes (0, 0)."""
    sides = np.atleast_1d(np.asarray(size))
    if sides.size == 1:
        sides = np.repeat(sides, 2)
    check_shape("size", sides, (2,))
    height, width = (check_integer("size", side, 1) for side in sides)
    y, x = _star(frames)
    return (height, width), (y - height // 2, x - width // 2)


def _star(frames: Frames) -> tuple[int, int]:
    """Return (y, x) of the star's pixel; half a pixel counts up."""
    x, y = frames.geometry.center
    return min(int(np.floor(y + 0.5)), frames.shape[1] - 1), min(int(np.floor(x + 0.5)), frames.shape[2] - 1)


def _arrays(frames: Frames) -> list[FloatArray]:
    """Return data, mask, and errors if there are any."""
    return [frames.data, frames.mask] + ([] if frames.sigma is None else [frames.sigma])


def _framed(
    frames: Frames, step: str, size: tuple[int, int], first: tuple[int, int], parts: list[FloatArray]
) -> Frames:
    """Return frames of other arrays, the centre moved with them."""
    x, y = frames.geometry.center
    return recorded(
        frames,
        step,
        {"size": size},
        {"first_pixel": (first[1], first[0])},
        data=parts[0],
        mask=parts[1],
        uncertainty=parts[2] if len(parts) > 2 else None,
        geometry=replace(frames.geometry, center=(x - first[1], y - first[0])),
    )
