"""Data and weights, checked once and laid out for the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import as_real_array, check_broadcast, check_not_negative, check_shape, fail
from astronmf.core.parallel import map_blocks
from astronmf.exceptions import MissingDataWarning, warn
from astronmf.kernels import gram as gram_kernels

__all__ = ["Problem"]

# Entries of a block of pixels, times observations: about the size of a second-level cache in double precision.
BLOCK_ENTRIES = 400_000
SMALLEST_BLOCK = 256

# Above this missing fraction a dense product of the mask costs less than subtracting the missing values.
SPARSE_FRACTION = 0.02


@dataclass(frozen=True)
class Problem:
    """What is to be factorized: ``min over C ≥ 0, B ≥ 0 of Σ V (X − C B)²``.

    Made by `from_arrays`. Missing values have weight 0 and add nothing to any sum. Where the weights are
    ``V_ij = a_i b_j`` wherever a value is there at all, rows and columns are scaled by ``√a`` and ``√b``: what is
    left has weights 0 and 1, so that pixels without a missing value share one Gram matrix.

    Attributes
    ----------
    weighted : (n, p) array
        ``V X`` (scaled), 0 where missing.
    weights : (n, p) array
        ``V`` (scaled), 0 where missing. For separable weights it is the mask of valid values.
    complete : (p,) array of bool or None
        For separable weights, the pixels that have no missing value; `None` for general weights.
    row_scale : (n,) array
    column_scale : (p,) array
        The scaled data are ``X_ij row_scale_i column_scale_j``.
    square_sum : float
        ``Σ V X²`` of the scaled data.
    chi2_unit : float
        χ² in the caller's units is this times χ² of the scaled problem. Data and general weights are brought near 1
        by powers of two, which is exact and keeps single precision clear of its limits.
    n_valid : int
        How many values take part.
    """

    weighted: FloatArray
    weights: FloatArray
    complete: BoolArray | None
    row_scale: FloatArray
    column_scale: FloatArray
    square_sum: float
    chi2_unit: float
    n_valid: int

    @classmethod
    def from_arrays(
        cls,
        X: Any,
        weights: Any = None,
        mask: Any = None,
        dtype: DTypeLike | None = None,
        *,
        warn: bool = True,
    ) -> Problem:
        """Check data, weights and mask, and lay them out; the inputs are not modified.

        Parameters
        ----------
        X : (n, p) array
            Data; negative values stay. NaN or Inf is missing.
        weights : array that broadcasts to (n, p), optional
            ``1/σ²``. 0, NaN or Inf makes the value missing; negative is an error. Ones by default.
        mask : bool array that broadcasts to (n, p), optional
            `True` = excluded.
        dtype : float32 or float64, optional
            Of the computation; that of `X` if it is one of the two, else float64.
        warn
            Whether to warn of values that are missing although no mask or weight says so.

        Returns
        -------
        Problem

        Raises
        ------
        ValueError
            If a shape does not fit, a weight is negative, or no value is left.
        """
        data = as_real_array("X", X)
        check_shape("X", data, (None, None))
        if data.size == 0:
            raise fail("X", "of at least one observation and one pixel", f"shape {data.shape}")
        kind = working_dtype(data, dtype)
        given = np.ones((1, 1)) if weights is None else as_real_array("weights", weights)
        given = check_broadcast("weights", given, data.shape)
        check_not_negative("weights", given, "use 0 for a value that is missing")
        valid = np.isfinite(given) & (given > 0)
        if mask is not None:
            valid &= ~check_broadcast("mask", np.asarray(mask, dtype=bool), data.shape)
        finite = np.isfinite(data)
        if warn:
            _warn_of_unexpected(int((valid & ~finite).sum()), data.size)
        valid &= finite
        if not valid.any():
            raise fail("mask", "such that at least one value is left", f"0 valid values of {data.size}")
        return cls._lay_out(data, given, valid, kind)

    @classmethod
    def _lay_out(cls, data: FloatArray, given: FloatArray, valid: BoolArray, kind: np.dtype[Any]) -> Problem:
        """Store ``V`` and ``V X``, in units near 1, and scaled to weights of 0 and 1 where they are separable."""
        scales = separable_scales(given, valid)
        n, p = data.shape
        rows, columns = scales or (np.ones(n), np.ones(p))
        data_unit, weight_unit = _units(data, given, valid, rows if scales else None, columns)
        weighted = np.zeros((n, p), dtype=kind)
        weights = np.zeros((n, p), dtype=kind)
        square_sum = 0.0
        for i in range(n):  # row by row: no third array of this size
            here = valid[i]
            values = data[i, here] * (rows[i] / data_unit) * columns[here]
            scale = np.float64(1.0) if scales else given[i, here] / weight_unit
            square_sum += float(np.sum(scale * values**2))
            weights[i, here] = scale
            weighted[i, here] = values * scale
        complete = np.asarray(valid.all(axis=0)) if scales else None
        chi2_unit = weight_unit * data_unit**2
        return cls(weighted, weights, complete, rows / data_unit, columns, square_sum, chi2_unit, int(valid.sum()))

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of observations and of pixels."""
        n, p = self.weighted.shape
        return n, p

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the computation."""
        return self.weighted.dtype

    @property
    def observed(self) -> BoolArray:
        """Which observations have a valid value: (n,) bool."""
        return np.asarray(self.weights.any(axis=1))

    @property
    def supported(self) -> BoolArray:
        """Which pixels have a valid value: (p,) bool."""
        return np.asarray(self.weights.any(axis=0))

    def blocks(self) -> Iterator[slice]:
        """Yield slices of pixels whose share of the data stays in cache."""
        n, p = self.shape
        width = max(SMALLEST_BLOCK, BLOCK_ENTRIES // n)
        for start in range(0, p, width):
            yield slice(start, min(start + width, p))

    def component_system(
        self, products: FloatArray, coefficients: FloatArray, block: slice
    ) -> tuple[FloatArray, FloatArray]:
        """Return the packed Gram matrices and right-hand sides of a block's pixels, coefficients fixed.

        Parameters
        ----------
        products : (k (k + 1) / 2, n) array
            Pair products of the coefficients.
        coefficients : (k, n) array
        block : slice of pixels

        Returns
        -------
        gram : (k (k + 1) / 2, m) or (k (k + 1) / 2, 1) array
        right : (k, m) array
        """
        right = coefficients @ self.weighted[:, block]
        if self.complete is None:
            return products @ self.weights[:, block], right
        return self._shared_gram(products, block, self.complete[block]), right

    def _shared_gram(self, products: FloatArray, block: slice, complete: BoolArray) -> FloatArray:
        """Return one Gram matrix for all pixels, less what the missing values of the others would have added."""
        whole: FloatArray = products.sum(axis=1, keepdims=True, dtype=np.float64).astype(self.dtype)
        gaps = np.flatnonzero(~complete)
        if gaps.size == 0:
            return whole
        gram = np.repeat(whole, block.stop - block.start, axis=1)
        gram[:, gaps] = products @ self.weights[:, block][:, gaps]
        return gram

    def coefficient_system(self, components: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the packed Gram matrices and right-hand sides of all observations, components fixed.

        In double precision whatever the data's type: these sums run over all pixels.

        Parameters
        ----------
        components : (k, p) array

        Returns
        -------
        gram : (k (k + 1) / 2, n) array
        right : (k, n) array
        """
        k, n = components.shape[0], self.shape[0]
        gram = np.zeros((k * (k + 1) // 2, n))
        right = np.zeros((k, n))
        for block_gram, block_right in map_blocks(partial(self._block_system, components), self.blocks()):
            gram += block_gram
            right += block_right
        return gram, right

    def _block_system(self, components: FloatArray, block: slice) -> tuple[FloatArray, FloatArray]:
        """Return a block's part of the observations' Gram matrices and right-hand sides."""
        here = components[:, block]
        return self._block_gram(pair_products(here), block), here @ self.weighted[:, block].T

    def _block_gram(self, products: FloatArray, block: slice) -> FloatArray:
        """Return a block's part of the observations' Gram matrices: shared over its complete pixels."""
        if self.complete is None:
            return np.asarray(products @ self.weights[:, block].T)
        complete = self.complete[block]
        if complete.all():
            return np.asarray(products.sum(axis=1, keepdims=True, dtype=np.float64))
        shared = products[:, complete].sum(axis=1, keepdims=True, dtype=np.float64)
        return np.asarray(shared + products[:, ~complete] @ self.weights[:, block][:, ~complete].T)

    def subset(self, pixels: IntArray) -> Problem:
        """Return the problem of some pixels only (their indices)."""
        weights = np.ascontiguousarray(self.weights[:, pixels])
        weighted = np.ascontiguousarray(self.weighted[:, pixels])
        there = np.asarray(weights > 0)
        square_sum = float(np.sum(weighted[there].astype(np.float64) ** 2 / weights[there]))
        complete = None if self.complete is None else self.complete[pixels]
        return replace(
            self,
            weighted=weighted,
            weights=weights,
            complete=complete,
            column_scale=self.column_scale[pixels],
            square_sum=square_sum,
            n_valid=int(there.sum()),
        )


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


def pair_products(factor: FloatArray) -> FloatArray:
    """Return the products of all pairs of a factor's rows: (k, m) to (k (k + 1) / 2, m)."""
    k, m = factor.shape
    out = np.empty((k * (k + 1) // 2, m), dtype=factor.dtype)
    gram_kernels.pair_products(np.ascontiguousarray(factor), out)
    return out


def separable_scales(weights: FloatArray, valid: BoolArray) -> tuple[FloatArray, FloatArray] | None:
    """Return ``√a`` and ``√b`` if ``V_ij = a_i b_j`` for all valid values to rounding, else `None`.

    Only weights with an observation that has every supported pixel can be seen to be separable; nothing is lost
    otherwise but time.
    """
    n = weights.shape[0]
    counts = valid.sum(axis=1)
    fullest = int(counts.argmax())
    if counts[fullest] < valid.any(axis=0).sum():
        return _uniform_scales(weights, valid)
    columns = np.where(valid[fullest], weights[fullest], 1.0).astype(np.float64)
    rows = np.ones(n)
    for i in range(n):
        here = valid[i]
        if here.any():
            ratio = weights[i, here].astype(np.float64) / columns[here]
            rows[i] = ratio[0]
            if np.ptp(ratio) > 4e-15 * rows[i]:
                return None
    return np.sqrt(rows), np.sqrt(columns)


def _uniform_scales(weights: FloatArray, valid: BoolArray) -> tuple[FloatArray, FloatArray] | None:
    """Return the scales of weights that are all the same, else `None`."""
    n, p = weights.shape
    i = int(valid.any(axis=1).argmax())
    common = weights[i, valid[i]][0]
    if not all(bool(np.all(weights[row, valid[row]] == common)) for row in range(n)):
        return None
    return np.full(n, np.sqrt(float(common))), np.ones(p)


def _units(
    data: FloatArray, weights: FloatArray, valid: BoolArray, rows: FloatArray | None, columns: FloatArray
) -> tuple[float, float]:
    """Return powers of two near the data's root mean square and near the mean weight (1 where rows are scaled)."""
    squares = total = 0.0
    for i in range(data.shape[0]):
        here = valid[i]
        values = data[i, here].astype(np.float64)
        scale = weights[i, here].astype(np.float64) if rows is None else np.float64(1.0)
        values *= 1.0 if rows is None else rows[i] * columns[here]
        with np.errstate(over="ignore"):
            squares += float(np.sum(scale * values**2))
        total += float(np.sum(scale)) if rows is None else float(here.sum())
    if not np.isfinite([squares, total]).all():
        raise fail("X", "such that the sum of weights × X² is finite", f"values up to {np.abs(data[valid]).max():g}")
    data_unit = _power_of_two(np.sqrt(squares / total))
    return data_unit, 1.0 if rows is not None else _power_of_two(total / valid.sum())


def _power_of_two(value: float) -> float:
    """Return the power of two nearest to `value` on a logarithmic scale, 1 for 0."""
    return float(2.0 ** np.round(np.log2(value))) if value > 0 else 1.0


def _warn_of_unexpected(count: int, size: int) -> None:
    """Say how many values are missing although nothing declared them so."""
    if count:
        msg = f"{count} of {size} values of 'X' are NaN or Inf and not masked: they are treated as missing"
        warn(msg, MissingDataWarning)
