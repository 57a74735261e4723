"""What is asked of data, weights and mask before they are laid out, and what is said of values that take no part."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import as_real_array, check_broadcast, check_not_negative, fail
from astronmf.core.layout import SMALLEST_WEIGHT
from astronmf.exceptions import MissingDataWarning, warn

__all__ = ["checked_mask", "checked_weights", "warn_of_faint_weights", "warn_of_unexpected", "working_dtype"]


def working_dtype(data: FloatArray, dtype: DTypeLike | None) -> np.dtype[Any]:
    """Return float32 or float64: what is asked for, or what the data are in."""
    if dtype is None:
        return np.dtype(np.float32 if data.dtype == np.float32 else np.float64)
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        raise fail("dtype", "float32 or float64", repr(dtype)) from None
    if wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise fail("dtype", "float32 or float64", wanted)
    return wanted


def checked_weights(weights: Any, shape: tuple[int, ...]) -> FloatArray | None:
    """Return weights in the data's shape, or `None`."""
    if weights is None:
        return None
    given = check_broadcast("weights", as_real_array("weights", weights), shape)
    check_not_negative("weights", given, "use 0 for a value that is missing")
    return given


def checked_mask(mask: Any, shape: tuple[int, ...]) -> BoolArray | None:
    """Return a mask in the data's shape, or `None`."""
    return None if mask is None else check_broadcast("mask", np.asarray(mask, dtype=bool), shape)


def warn_of_unexpected(count: int, size: int) -> None:
    """Say how many values are missing although nothing declared them so."""
    if count:
        msg = f"{count} of {size} values of 'X' are NaN or Inf and not masked: they are treated as missing"
        warn(msg, MissingDataWarning)


def warn_of_faint_weights(count: int, size: int, kind: np.dtype[Any]) -> None:
    """Say how many weights were too small for the type of the computation."""
    if count:
        limit = f"below {SMALLEST_WEIGHT[kind.type]:g} of the mean weight, out of range in {kind}"
        msg = f"{count} of {size} weights are {limit}: their values are treated as missing; set such 'weights' to 0"
        warn(msg, MissingDataWarning)
