"""The one place where units, NDData and masked arrays are taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import NDData, NDUncertainty, StdDevUncertainty
from astropy.utils.masked import Masked

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import (
    as_mask,
    as_real_array,
    check_broadcast,
    check_not_negative,
    check_one_of_two,
    fail,
)
from astronmf.exceptions import MissingDataWarning, warn

__all__ = ["Values", "any_of", "parts", "sigma_of", "unpack"]


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
    weights : array, Quantity or masked array, optional
        ``1/σ²``; without a unit, in that of `X`.
    mask : bool array, optional
        `True` = excluded.
    uncertainty : array, Quantity, masked array or NDUncertainty, optional
        1σ; without a unit, in that of `X`. 0, negative, NaN or Inf makes a value missing, with a warning that counts
        them.
    unit
        To convert to; the data's own by default.

    Raises
    ------
    ValueError
        If both `weights` and `uncertainty` are given, a weight is negative, or a unit has nothing to be compared with.
    """
    check_one_of_two("weights", weights, "uncertainty", uncertainty)
    if isinstance(X, NDData):
        mask = any_of(X.mask, mask)
        if weights is None and uncertainty is None:
            uncertainty = X.uncertainty
        X = X.data if X.unit is None else u.Quantity(X.data, X.unit, copy=False)
    values, own_mask, own = parts(X)
    unit = own if unit is None else unit
    data = as_real_array("X", _in_unit("X", values, own, unit), minimum_dimensions=1)
    weights, weight_mask = _weights("weights", weights, -2, own, unit)
    sigma, sigma_mask = _weights("uncertainty", sigma_of(uncertainty), 1, own, unit)
    mask = any_of(any_of(mask, own_mask), weight_mask)
    flags = None if mask is None else check_broadcast("mask", as_mask("mask", mask), data.shape)
    if sigma is not None:
        sigma = sigma if sigma_mask is None else np.where(sigma_mask, np.nan, sigma)
        weights = _inverse_variance(sigma, flags, data.shape)
    elif weights is not None:
        check_broadcast("weights", weights, data.shape)
        check_not_negative("weights", weights, "use 0 for a value that is missing")
    return Values(data, weights, flags, unit)


def any_of(one: Any, other: Any) -> Any:
    """Return the union of two masks, either of which may be `None`."""
    if one is None or other is None:
        return other if one is None else one
    return as_mask("mask", one) | as_mask("mask", other)


def parts(values: Any) -> tuple[Any, Any, u.UnitBase | None]:
    """Return the values, the mask and the unit of an array, Quantity, or masked array of either kind."""
    mask = None
    if isinstance(values, Masked):
        values, mask = values.unmasked, values.mask
    elif isinstance(values, np.ma.MaskedArray):
        values, mask = values.data, np.ma.getmaskarray(values)
    if isinstance(values, u.Quantity):
        return values.value, mask, values.unit
    return values, mask, None


def sigma_of(uncertainty: Any) -> Any:
    """Return 1σ errors from whatever kind of uncertainty astropy knows; anything else as it is."""
    if not isinstance(uncertainty, NDUncertainty):
        return uncertainty
    try:
        with np.errstate(divide="ignore", invalid="ignore"):  # an inverse variance of 0 is an infinite error: missing
            deviation = uncertainty.represent_as(StdDevUncertainty)
    except TypeError:
        found = type(uncertainty).__name__
        raise fail("uncertainty", "of a kind that a standard deviation can be had from", found) from None
    return deviation.array if deviation.unit is None else u.Quantity(deviation.array, deviation.unit, copy=False)


def _in_unit(name: str, values: Any, own: u.UnitBase | None, wanted: u.UnitBase | None) -> Any:
    """Return values in the unit that is wanted; values without one are taken to be in it."""
    if own is None or own == wanted:
        return values
    if wanted is None:
        raise fail(name, "without a unit, as the data are", own)
    return u.Quantity(values, own, copy=False).to_value(wanted)


def _weights(
    name: str, values: Any, power: int, own: u.UnitBase | None, wanted: u.UnitBase | None
) -> tuple[FloatArray | None, Any]:
    """Return weights or errors, a power of the data's unit, as a plain array, and their mask."""
    if values is None:
        return None, None
    plain, mask, unit = parts(values)
    if unit is None and own is not None:
        unit = own**power
    return as_real_array(name, _in_unit(name, plain, unit, None if wanted is None else wanted**power)), mask


def _inverse_variance(sigma: FloatArray, mask: BoolArray | None, shape: tuple[int, ...]) -> FloatArray:
    """Return ``1/σ²``, 0 where σ says nothing; count those that no mask excluded."""
    check_broadcast("uncertainty", sigma, shape)
    usable = np.isfinite(sigma) & (sigma > 0)
    silent = np.broadcast_to(~usable, shape)
    count = int((silent if mask is None else silent & ~mask).sum())
    if count:
        msg = f"{count} values of 'uncertainty' are 0, negative, NaN or Inf and not masked: they are treated as missing"
        warn(msg, MissingDataWarning)
    weights = np.zeros(sigma.shape, dtype=np.float64)
    np.divide(1.0, np.square(sigma, dtype=np.float64), out=weights, where=usable)
    return weights
