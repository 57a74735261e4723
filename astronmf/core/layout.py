"""Which values are valid, in what units to hold them, and whether their weights separate into rows and columns.

Everything goes over slices of observations, shared among threads, so that nothing of the data's size is made but what
is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import fail
from astronmf.core.parallel import map_blocks
from astronmf.kernels import layout as kernels

__all__ = ["Given", "Scales", "Survey", "fill_general", "fill_separable", "separable_scales", "survey", "units"]

Result = TypeVar("Result")

# Values handled together: a slice and its few temporaries stay in the second-level cache.
SLICE_ENTRIES = 32_768

# Of the mean weight: below it, products of weights and coefficients would underflow.
SMALLEST_WEIGHT = {np.float32: 1e-30, np.float64: 1e-280}

# Ratios of separable weights agree to so many roundings: those of the weights themselves, and of the quotients.
SEPARABLE = 32


@dataclass(frozen=True)
class Given:
    """What the caller gave, checked: ``X`` and, in its shape, weights and mask (or `None`)."""

    data: FloatArray
    weights: FloatArray | None
    mask: BoolArray | None

    def over_observations(self, function: Callable[[slice], Result]) -> list[Result]:
        """Return ``function(rows)`` for slices of observations, in their order."""
        n, p = self.data.shape
        step = max(1, SLICE_ENTRIES // p)
        return map_blocks(function, [slice(start, min(start + step, n)) for start in range(0, n, step)])

    def rows(self, rows: slice) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Return some observations' data, weights and mask, contiguous and of the types that kernels take."""
        data = _plain(self.data[rows])
        weights = np.ones_like(data) if self.weights is None else _plain(self.weights[rows])
        mask = np.zeros(data.shape, dtype=bool) if self.mask is None else np.ascontiguousarray(self.mask[rows])
        return _read_only(data), _read_only(weights), _read_only(mask)


@dataclass(frozen=True)
class Scales:
    """Roots of separable weights, ``√a`` (n,) and ``√b`` (p,)."""

    rows: FloatArray
    columns: FloatArray


@dataclass(frozen=True)
class Survey:
    """What the caller's values add up to.

    Attributes
    ----------
    valid : (n, p) array of bool
    counts : (n,) array of int
        Valid values of each observation.
    unexpected : int
        How many values are NaN or Inf although nothing says so.
    squares, weights : float
        ``Σ V X²`` and ``Σ V``.
    """

    valid: BoolArray
    counts: IntArray
    unexpected: int
    squares: float
    weights: float


def survey(given: Given) -> Survey:
    """Find which values are valid, and what they add up to."""
    valid = np.empty(given.data.shape, dtype=bool)
    sums = np.empty((len(valid), 4))

    def of_rows(rows: slice) -> None:
        kernels.survey(*given.rows(rows), valid[rows], sums[rows])

    given.over_observations(of_rows)
    counts, unexpected = sums[:, 0].astype(np.int64), int(sums[:, 1].sum())
    return Survey(valid, counts, unexpected, float(sums[:, 2].sum()), float(sums[:, 3].sum()))


def separable_scales(given: Given, valid: BoolArray, counts: IntArray) -> Scales | None:
    """Return ``√a`` and ``√b`` if ``V_ij = a_i b_j`` for all valid values to rounding, else `None`.

    Starts from the fullest observation and goes on to those that share a pixel with it, which tell of further pixels.
    Where that does not reach every observation, only uniform weights are seen to be separable: nothing is lost but
    time.

    Parameters
    ----------
    given
    valid : (n, p) array of bool
    counts : (n,) array of int
        Valid values of each observation.
    """
    n, p = valid.shape
    weights = given.weights
    if weights is None:
        return Scales(np.ones(n), np.ones(p))
    rows, columns = np.ones(n), np.ones(p)
    known = np.zeros(p, dtype=bool)
    left = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] > 0]
    while left:
        apart = []
        for i in left:
            shared = valid[i] & known
            if not shared.any() and known.any():
                apart.append(i)
                continue
            if not _extends(weights[i], valid[i], shared, (rows[i : i + 1], columns)):
                return None
            known |= valid[i]
        if len(apart) == len(left):
            return _uniform_scales(weights, valid)
        left = apart
    return Scales(np.sqrt(rows), np.sqrt(columns))


def _extends(weights: FloatArray, valid: BoolArray, shared: BoolArray, scales: tuple[FloatArray, FloatArray]) -> bool:
    """Return whether an observation is a multiple of the columns where it shares pixels with them, and extend them.

    Parameters
    ----------
    weights, valid : (p,) arrays
        Of the observation.
    shared : (p,) array of bool
        Its valid pixels of known column; none for the first observation.
    scales : ((1,) array, (p,) array)
        Its own scale and those of the columns; written to.
    """
    row, columns = scales
    if shared.any():
        ratio = weights[shared] / columns[shared]
        row[0] = ratio[0]
        tolerance = SEPARABLE * float(np.finfo(np.result_type(weights.dtype, np.float32)).eps)
        if np.ptp(ratio) > tolerance * row[0]:
            return False
    new = valid & ~shared
    columns[new] = weights[new] / row[0]
    return True


def _uniform_scales(weights: FloatArray, valid: BoolArray) -> Scales | None:
    """Return the scales of weights that are all the same, else `None`."""
    n, p = weights.shape
    i = int(valid.any(axis=1).argmax())
    common = weights[i, valid[i]][0]
    if not all(bool(np.all(weights[row, valid[row]] == common)) for row in range(n)):
        return None
    return Scales(np.full(n, np.sqrt(float(common))), np.ones(p))


def units(given: Given, found: Survey, scales: Scales | None) -> tuple[float, float]:
    """Return powers of two near the data's root mean square and near the mean weight (1 for separable weights)."""
    squares, total, count = found.squares, found.weights, int(found.counts.sum())
    if scales is not None:
        squares, total = sum(given.over_observations(partial(_square_sum, given, found.valid, scales))), float(count)
    if not np.isfinite([squares, total]).all():
        largest = _largest(given, found.valid)
        raise fail("X", "such that the sum of weights × X² is finite", f"values up to {largest:g}")
    if squares == 0 and (largest := _largest(given, found.valid)) > 0:
        raise fail("X", "such that the sum of weights × X² is above 0 in double precision", f"values up to {largest:g}")
    data_unit = _power_of_two(np.sqrt(squares / total))
    return data_unit, 1.0 if scales else _power_of_two(total / count)


def _square_sum(given: Given, valid: BoolArray, scales: Scales, rows: slice) -> float:
    """Return the sum of squares of some observations' scaled values."""
    with np.errstate(over="ignore"):  # in the thread that works
        values = _scaled(given, valid, scales, rows)
        return float(np.vdot(values, values))


def fill_general(
    given: Given, valid: BoolArray, unit: tuple[float, float], weighted: FloatArray, weights: FloatArray
) -> FloatArray:
    """Write ``V X`` and ``V``, 0 where missing and in their units; return ``Σ V X²`` of each observation.

    A weight so far below the mean that sums with it would leave the range of the type is missing: `valid` says so.
    """
    squares = np.empty(len(valid))
    smallest = SMALLEST_WEIGHT[weights.dtype.type]

    def of_rows(rows: slice) -> None:
        data, own, _ = given.rows(rows)
        out = weighted[rows], weights[rows], squares[rows]
        kernels.fill(data, own, valid[rows], 1.0 / unit[0], 1.0 / unit[1], smallest, *out)

    given.over_observations(of_rows)
    return squares


def fill_separable(
    given: Given, valid: BoolArray, scales: Scales, data_unit: float, weighted: FloatArray
) -> FloatArray:
    """Write ``X √a √b``, 0 where missing and in its unit; return the sum of squares of each observation."""

    def of_rows(rows: slice) -> FloatArray:
        values = _scaled(given, valid, scales, rows)
        values *= 1.0 / data_unit
        weighted[rows] = values
        return np.asarray(np.einsum("ij,ij->i", values, values))

    return np.concatenate(given.over_observations(of_rows))


def _scaled(given: Given, valid: BoolArray, scales: Scales, rows: slice) -> FloatArray:
    """Return some observations' values times the roots of separable weights; 0: missing."""
    here = valid[rows]
    values = np.zeros(here.shape)
    np.copyto(values, given.data[rows], where=here)
    values *= scales.rows[rows, None]
    values *= scales.columns
    return values


def _plain(values: FloatArray) -> FloatArray:
    """Return contiguous values in single or double precision, without a copy where none is needed."""
    return np.ascontiguousarray(values, dtype=values.dtype if values.dtype in (np.float32, np.float64) else np.float64)


def _read_only(array: FloatArray | BoolArray) -> Any:
    """Return a view that cannot be written to: the compiler takes what can and what cannot for two types."""
    view = array.view()
    view.flags.writeable = False
    return view


def _largest(given: Given, valid: BoolArray) -> float:
    """Return the largest absolute valid value."""
    return max(float(np.max(np.abs(row), where=here, initial=0.0)) for row, here in zip(given.data, valid, strict=True))


def _power_of_two(value: float) -> float:
    """Return the power of two nearest to `value` on a logarithmic scale, 1 for 0."""
    return float(2.0 ** np.round(np.log2(value))) if value > 0 else 1.0
