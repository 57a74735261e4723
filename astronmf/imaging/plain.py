"""Images as plain arrays in which NaN is missing, whatever they came as."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import NDData

from astronmf._inputs import any_of, parts
from astronmf._typing import FloatArray
from astronmf._validation import as_mask, as_real_array, check_broadcast, check_shape, fail

__all__ = ["plain_image", "plain_values", "values_in"]


def plain_values(name: str, content: Any) -> tuple[FloatArray, u.UnitBase | None]:
    """Return float64 values with NaN where they are masked or not finite, and their unit.

    Parameters
    ----------
    name
        Of the argument, for errors.
    content : array, Quantity, masked array, NDData, CCDData, Frames or Reduction
        Of a `Reduction`, its combined image. A mask is `True` = excluded.
    """
    if hasattr(content, "combined"):
        return plain_values(name, content.combined)[0], content.unit
    mask = None
    if isinstance(content, NDData):
        mask = content.mask
        content = content.data if content.unit is None else u.Quantity(content.data, content.unit, copy=False)
    values, own_mask, unit = parts(content)
    data = as_real_array(name, values).astype(np.float64)
    missing = ~np.isfinite(data)
    mask = any_of(mask, own_mask)
    if mask is not None:
        missing |= check_broadcast("mask", as_mask("mask", mask), data.shape)
    data[missing] = np.nan
    return data, unit


def plain_image(name: str, content: Any) -> tuple[FloatArray, u.UnitBase | None]:
    """Return one image, (y, x) float64 with NaN where missing, and its unit; see `plain_values`."""
    data, unit = plain_values(name, content)
    check_shape(name, data, (None, None))
    if not np.isfinite(data).any():
        raise fail(name, "an image with at least one valid pixel", "none")
    return data, unit


def values_in(name: str, values: Any, unit: u.UnitBase | None) -> FloatArray:
    """Return plain float64 numbers in `unit`; numbers without one are in it already.

    Raises
    ------
    ValueError
        If they have a unit and `unit` is `None`.
    """
    plain, _, own = parts(values)
    if own is not None:
        if unit is None:
            raise fail(name, "without a unit, as the data are", own)
        plain = u.Quantity(plain, own).to_value(unit)
    return as_real_array(name, plain).astype(np.float64)
