"""The one place where units, NDData and masked arrays are taken apart."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import InverseVariance, NDData, NDUncertainty

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import (
    as_mask,
    as_real_array,
    check_broadcast,
    check_not_negative,
    check_one_of_two,
)
from astronmf.exceptions import MissingDataWarning

__all__ = ["Values", "unpack"]


@dataclass(frozen=True)
class Values:
    """Plain arrays and the unit that they are in.

    Attributes
    ----------
    data : (n, ...) array
    weights : array that broadcasts to the data's shape, or None
        ``1/σ²`` in the data's unit.
    mask : array that broadcasts to the data's shape, or None
        `True` = excluded.
    unit : astropy unit or None
    """

    data: FloatArray
    weights: FloatArray | None
    mask: BoolArray | None
    unit: u.UnitBase | None


def unpack(
    X: Any, weights: Any = None, mask: Any = None, uncertainty: Any = None, unit: u.UnitBase | None = None
) -> Values:
    """Return data, weights and mask as plain arrays in one unit.

    Parameters
    ----------
    X : (n, ...) array, Quantity, masked array, NDData or CCDData
        The mask, uncertainty and unit that it carries are used; `mask` is added to its own.
    weights : array or Quantity, optional
        ``1/σ²``.
    mask : bool array, optional
        `True` = excluded.
    uncertainty : array, Quantity or NDUncertainty, optional
        1σ. 0, negative, NaN or Inf makes a value missing, with a warning that counts them.
    unit
        To convert to; the data's own by default.

    Raises
    ------
    ValueError
        If both `weights` and `uncertainty` are given, or a weight is negative.
    """
    check_one_of_two("weights", weights, "uncertainty", uncertainty)
    if isinstance(X, NDData):
        mask = _either(X.mask, mask)
        if weights is None and uncertainty is None:
            uncertainty = X.uncertainty
        X = X.data if X.unit is None else u.Quantity(X.data, X.unit, copy=False)
    if isinstance(X, np.ma.MaskedArray):
        mask = _either(np.ma.getmaskarray(X), mask)
        X = X.data
    own = X.unit if isinstance(X, u.Quantity) else None
    unit = own if unit is None else unit
    data = as_real_array("X", _strip(X, unit), minimum_dimensions=1)
    flags = None if mask is None else check_broadcast("mask", as_mask("mask", mask), data.shape)
    if uncertainty is not None:
        weights = _weights_of(uncertainty, unit, flags, data.shape)
    elif weights is not None:
        weights = as_real_array("weights", _strip(weights, None if unit is None else unit**-2))
        check_broadcast("weights", weights, data.shape)
        check_not_negative("weights", weights, "use 0 for a value that is missing")
    return Values(data, weights, flags, unit)


def _either(one: Any, other: Any) -> Any:
    """Return the union of two masks, either of which may be `None`."""
    if one is None or other is None:
        return other if one is None else one
    return as_mask("mask", one) | as_mask("mask", other)


def _strip(values: Any, unit: u.UnitBase | None) -> Any:
    """Return a Quantity's value in `unit`; anything else as it is."""
    if isinstance(values, u.Quantity):
        return values.value if unit is None else values.to_value(unit)
    return values


def _weights_of(
    uncertainty: Any, unit: u.UnitBase | None, mask: BoolArray | None, shape: tuple[int, ...]
) -> FloatArray:
    """Return ``1/σ²``, 0 where σ says nothing; count those that no mask excluded."""
    if isinstance(uncertainty, NDUncertainty):
        inverse = uncertainty.represent_as(InverseVariance)
        values = inverse.array if inverse.unit is None else u.Quantity(inverse.array, inverse.unit)
        return as_real_array("uncertainty", _strip(values, None if unit is None else unit**-2))
    sigma = as_real_array("uncertainty", _strip(uncertainty, unit))
    check_broadcast("uncertainty", sigma, shape)
    usable = np.isfinite(sigma) & (sigma > 0)
    silent = np.broadcast_to(~usable, shape)
    count = int((silent if mask is None else silent & ~mask).sum())
    if count:
        msg = f"{count} values of 'uncertainty' are 0, negative, NaN or Inf and not masked: they are treated as missing"
        warnings.warn(msg, MissingDataWarning, stacklevel=4)
    weights = np.zeros(sigma.shape, dtype=np.float64)
    np.divide(1.0, np.square(sigma, dtype=np.float64), out=weights, where=usable)
    return weights
