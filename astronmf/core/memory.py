"""Factors that grow by a component a stage, without leaving holes in memory.

What is freed is kept by the C library for the next array that fits. Arrays that are each a little larger than those
before them never do, and a build would hold several factors' worth of nothing: so they have room for the last stage
from the beginning. Room that nothing was written to costs none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf._typing import FloatArray

__all__ = ["alike", "with_room"]


def with_room(rows: int, most: int, columns: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return zeros, (rows, columns), with room for `most` rows."""
    return np.zeros((most, columns), dtype=dtype)[:rows]


def alike(array: FloatArray) -> FloatArray:
    """Return an uninitialized array of the same shape, and with as much room as `array`, (rows, columns), has."""
    room = array.base
    if room is None or room.ndim != 2 or room.shape[1] != array.shape[1] or len(room) < len(array):
        return np.empty_like(array)
    return np.empty(room.shape, array.dtype)[: len(array)]
