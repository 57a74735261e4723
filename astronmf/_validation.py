"""The one author of argument errors: each names the argument, the constraint and the value."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def fail(name: str, constraint: str, value: object) -> ValueError:
    """Return the error for an argument that breaks its constraint, to be raised by the caller."""
    return ValueError(f"'{name}' must be {constraint}, got {value}")


def check_integer(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return `value` as an `int` in [low, high]."""
    bounds = f"an integer in [{low}, {high}]" if high is not None else f"an integer of at least {low}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise fail(name, bounds, repr(value))
    number = int(value)
    if number < low or (high is not None and number > high):
        raise fail(name, bounds, repr(number))
    return number


def check_number(name: str, value: object, low: float = -np.inf, high: float = np.inf) -> float:
    """Return `value` as a finite `float` in [low, high]."""
    bounds = _range(low, high)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise fail(name, bounds, repr(value))
    number = float(value)
    if not (np.isfinite(number) and low <= number <= high):
        raise fail(name, bounds, repr(number))
    return number


def _range(low: float, high: float) -> str:
    """Return in words which numbers are allowed; a bound that is the next float above 0 stands for an open one."""
    if np.isinf([low, high]).all():
        return "a finite number"
    if low == np.nextafter(0, 1):
        return "a number above 0" if np.isinf(high) else f"a number in (0, {high}]"
    return f"a number in [{low}, {high}]"


def check_choice(name: str, value: object, choices: Iterable[Any]) -> Any:
    """Return `value` if it is one of `choices`."""
    options = list(choices)
    if value not in options:
        raise fail(name, "one of " + ", ".join(map(repr, options)), repr(value))
    return value


def check_shape(name: str, array: np.ndarray[Any, Any], shape: Sequence[int | None]) -> None:
    """Raise unless `array` has `shape`, in which `None` stands for any length."""
    fits = array.ndim == len(shape) and all(
        wanted in (None, length) for length, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        lengths = ["any" if length is None else str(length) for length in shape]
        wanted = f"({lengths[0]},)" if len(lengths) == 1 else f"({', '.join(lengths)})"
        raise fail(name, f"of shape {wanted}", array.shape)


def check_broadcast(name: str, array: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return a read-only view of `array` in `shape`, or raise if it cannot be stretched to it."""
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise fail(name, f"of shape {shape}, or one that broadcasts to it", array.shape) from None


def check_one_of_two(first: str, one: object, second: str, other: object) -> None:
    """Raise if both arguments are given."""
    if one is not None and other is not None:
        msg = f"'{first}' and '{second}' say the same thing: give one of them, not both"
        raise ValueError(msg)


def check_not_negative(name: str, values: np.ndarray[Any, Any], advice: str) -> None:
    """Raise if any finite value is below zero; say how many and what to do."""
    negative = values < 0
    if negative.any():
        where = tuple(int(axis[0]) for axis in np.nonzero(negative))
        found = f"{float(values[where]):g} at index {where} ({int(negative.sum())} such values); {advice}"
        raise fail(name, "non-negative", found)


def as_real_array(name: str, values: object, minimum_dimensions: int = 0) -> np.ndarray[Any, Any]:
    """Return `values` as a real array in native byte order, without a copy where none is needed."""
    unit = getattr(values, "unit", None)  # a table's column without one has `None`
    if unit is not None:
        raise fail(name, "plain numbers here", f"a Quantity in {unit}")
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise fail(name, "an array of real numbers", f"dtype {array.dtype}")
    if array.ndim < minimum_dimensions:
        raise fail(name, f"an array of at least {minimum_dimensions} dimensions", f"shape {array.shape}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def as_mask(name: str, values: object) -> np.ndarray[Any, Any]:
    """Return `values` as a boolean mask (`True` = excluded); 0 and 1 are taken as well."""
    array = np.asarray(values)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind not in "fiu" or not np.isin(array, (0, 1)).all():
        raise fail(name, "boolean (True = excluded), or 0 and 1", f"dtype {array.dtype} with other values")
    return array.astype(bool)
