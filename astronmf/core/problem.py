"""Data and weights, checked once and laid out for the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import as_real_array, check_shape, fail
from astronmf.core.checks import checked_mask, checked_weights, warn_of_faint_weights, warn_of_unexpected, working_dtype
from astronmf.core.gaps import Gaps
from astronmf.core.layout import (
    Given,
    Survey,
    fill_general,
    fill_separable,
    separable_scales,
    survey,
    units,
)
from astronmf.core.parallel import map_blocks, take_blocks
from astronmf.kernels import gram as gram_kernels
from astronmf.kernels.objective import residual_chi2, square_sums

__all__ = ["Problem"]

# Entries of a block of pixels, times observations: a block's data, weights and Gram matrices stay in cache.
BLOCK_ENTRIES = 65_536

# A product with fewer pixels is slow; but where there are very many observations, a block must not be large either.
USUAL_BLOCK = 512
LARGEST_ENTRIES = 2_000_000

# Blocks start at whole vectors, and come in a multiple of this number, so that a few threads get equally many.
VECTOR = 32
SHARES = 4

# Observations for each pixel, from which on a sweep over blocks of observations costs less.
TALL = 2


@dataclass(frozen=True)
class Problem:
    """What is to be factorized: ``min over C ≥ 0, B ≥ 0 of Σ V (X − C B)²``.

    Made by `from_arrays`. Missing values have weight 0 and add nothing to any sum. Where the weights are
    ``V_ij = a_i b_j`` wherever a value is there at all, rows and columns are scaled by ``√a`` and ``√b``: what is
    left has weights 0 and 1. If few values are missing, all pixels share one Gram matrix but for the `gaps`, and no
    weights are stored; if many are, what is stored is which values are valid.

    Attributes
    ----------
    weighted : (n, p) array
        ``V X`` (scaled), 0 where missing.
    weights : (n, p) array or None
        ``V`` (scaled), 0 where missing; for separable weights, of bool, or `None` where `gaps` says it. `weights_in`
        gives them as numbers.
    gaps : Gaps or None
    row_scale : (n,) array
    column_scale : (p,) array
        The scaled data are ``X_ij row_scale_i column_scale_j``.
    squares : (n,) array
        ``Σ_j V X²`` of the scaled data.
    chi2_unit : float
        χ² in the caller's units is this times χ² of the scaled problem. Data and general weights are brought near 1
        by powers of two, which is exact and keeps single precision clear of its limits.
    counts : (n,) array of int
        How many values of each observation take part.
    supported : (p,) array of bool
        Pixels that have a valid value.
    """

    weighted: FloatArray
    weights: FloatArray | BoolArray | None
    gaps: Gaps | None
    row_scale: FloatArray
    column_scale: FloatArray
    squares: FloatArray
    chi2_unit: float
    counts: IntArray
    supported: BoolArray

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
            If a shape does not fit, a weight is negative, no value is left, or ``Σ V X²`` is out of range.
        """
        data = as_real_array("X", X)
        check_shape("X", data, (None, None))
        if data.size == 0:
            raise fail("X", "of at least one observation and one pixel", f"shape {data.shape}")
        kind = working_dtype(data, dtype)
        given = Given(data, checked_weights(weights, data.shape), checked_mask(mask, data.shape))
        found = survey(given)
        if warn:
            warn_of_unexpected(found.unexpected, data.size)
        if not found.counts.any():
            raise fail("mask", "such that at least one value is left", f"0 valid values of {data.size}")
        problem = cls._lay_out(given, found, kind)
        if warn:
            warn_of_faint_weights(int(found.counts.sum()) - problem.n_valid, data.size, kind)
        return problem

    @classmethod
    def _lay_out(cls, given: Given, found: Survey, kind: np.dtype[Any]) -> Problem:
        """Store ``V`` and ``V X``, in units near 1, and scaled to weights of 0 and 1 where they are separable."""
        n, p = given.data.shape
        valid = found.valid
        scales = separable_scales(given, valid, found.counts)
        unit = data_unit, weight_unit = units(given, found, scales)
        gaps = Gaps.find(valid, kind) if scales else None
        weighted = np.empty((n, p), dtype=kind)
        weights = None
        if scales is None:
            weights = np.empty((n, p), dtype=kind)
            squares = fill_general(given, valid, unit, weighted, weights)
        else:
            squares = fill_separable(given, valid, scales, data_unit, weighted)
        return cls(
            weighted,
            valid if scales and gaps is None else weights,
            gaps,
            (scales.rows if scales else np.ones(n)) / data_unit,
            scales.columns if scales else np.ones(p),
            squares,
            weight_unit * data_unit**2,
            np.count_nonzero(valid, axis=1),  # a weight too small for the type is missing by now
            np.asarray(valid.any(axis=0)),
        )

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
    def is_separable(self) -> bool:
        """Whether what is left of the weights is 0 and 1."""
        return self.weights is None or self.weights.dtype == bool

    @property
    def square_sum(self) -> float:
        """``Σ V X²`` of the scaled data."""
        return float(self.squares.sum())

    @property
    def n_valid(self) -> int:
        """How many values take part."""
        return int(self.counts.sum())

    @property
    def observed(self) -> BoolArray:
        """Which observations have a valid value: (n,) bool."""
        return np.asarray(self.counts > 0)

    @property
    def is_tall(self) -> bool:
        """Whether it is quicker the other way up: many more observations than pixels."""
        n, p = self.shape
        return n > TALL * p and (self.gaps is None or bool(self.gaps.complete.all()))

    def flipped(self) -> Problem:
        """Return the same problem with observations and pixels exchanged; it shares the data."""
        n, blocks = self.shape[0], self.blocks()
        return Problem(
            self.weighted.T,
            None if self.weights is None else self.weights.T,
            None if self.gaps is None else self.gaps.flipped(n),
            self.column_scale,
            self.row_scale,
            np.concatenate(map_blocks(self.power, blocks)),
            self.chi2_unit,
            np.concatenate(map_blocks(lambda block: np.count_nonzero(self.weights_in(block), axis=0), blocks)),
            self.observed,
        )

    def blocks(self) -> list[slice]:
        """Return slices of pixels whose share of the data stays in cache."""
        n, p = self.shape
        width = max(BLOCK_ENTRIES // n, min(USUAL_BLOCK, LARGEST_ENTRIES // n), VECTOR)
        count = SHARES * -(-p // (SHARES * width)) if p > width else 1
        width = -(-p // (count * VECTOR)) * VECTOR
        return [slice(start, min(start + width, p)) for start in range(0, p, width)]

    def weights_in(self, block: slice) -> FloatArray:
        """Return a block's weights as numbers, (n, m)."""
        if self.gaps is not None:
            return self.gaps.weights(self.shape[0], block, self.dtype)
        return np.asarray(self.weights)[:, block].astype(self.dtype, copy=False)

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
        if self.gaps is not None:
            return self.gaps.component_gram(products, block), right
        return products @ self.weights_in(block), right

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
        return self.solved_system(lambda block: components[:, block], components.shape[0])

    def solved_system(
        self, components_of: Callable[[slice], FloatArray], n_components: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return the observations' row problems, as `coefficient_system`, for components that are found block by block.

        Parameters
        ----------
        components_of
            Returns a block's components, (k, m); called from several threads.
        n_components
        """
        n = self.shape[0]
        gram = np.zeros((n_components * (n_components + 1) // 2, n))
        right = np.zeros((n_components, n))

        def add(part: tuple[FloatArray, FloatArray]) -> None:
            np.add(gram, part[0], out=gram)
            np.add(right, part[1], out=right)

        take_blocks(lambda block: self.coefficient_part(components_of(block), block), self.blocks(), add)
        return gram, right

    def coefficient_part(self, components: FloatArray, block: slice) -> tuple[FloatArray, FloatArray]:
        """Return what a block's components, (k, m), add to the observations' Gram matrices and right-hand sides.

        The Gram matrices are (k (k + 1) / 2, n), or (k (k + 1) / 2, 1) where all observations share the block's part.
        """
        products = pair_products(components)
        right = components @ self.weighted[:, block].T
        if self.gaps is not None:
            return self.gaps.coefficient_gram(products, self.shape[0], block), right
        return products @ self.weights_in(block).T, right

    def chi2_part(self, model: FloatArray, block: slice) -> FloatArray:
        """Return each observation's ``Σ_j V (X − M)²`` over a block's pixels, (n,).

        Parameters
        ----------
        model : (n, m) array
            ``C B`` of the block; overwritten.
        block
        """
        out = np.zeros(self.shape[0])
        if self.gaps is not None:
            self.gaps.erase(model, block)
        elif self.is_separable:
            model *= self.weights[:, block]  # type: ignore[index]
        else:
            residual_chi2(rows_first(self.weights_in(block)), rows_first(self.weighted[:, block]), model, out)
            return out
        np.subtract(self.weighted[:, block], model, out=model)
        square_sums(model, out)
        return out

    def power(self, block: slice) -> FloatArray:
        """Return ``Σ_i V X²`` of a block's pixels, (m,)."""
        return np.asarray(self._squares(block).sum(axis=0))

    def _squares(self, block: slice) -> FloatArray:
        """Return a block's ``V X²``, (n, m)."""
        squares = np.square(self.weighted[:, block], dtype=np.float64)
        if not self.is_separable:
            weights = self.weights_in(block)
            np.divide(squares, weights, out=squares, where=weights > 0)
        return squares

    def subset(self, pixels: IntArray, stands_for: FloatArray | None = None) -> Problem:
        """Return the problem of some pixels only (their indices), each counted `stands_for` times."""
        count = np.ones(pixels.size) if stands_for is None else stands_for
        root = np.sqrt(count) if self.is_separable else np.ones(pixels.size)
        factor = (root if self.is_separable else count).astype(self.dtype)
        weighted = np.take(self.weighted, pixels, axis=1)
        weighted *= factor
        weights: Any = None if self.weights is None else np.take(self.weights, pixels, axis=1)
        if not self.is_separable:
            weights *= factor
        part = replace(
            self,
            weighted=weighted,
            weights=weights,
            gaps=None if self.gaps is None else self.gaps.subset(pixels),
            column_scale=self.column_scale[pixels] * root,
            supported=self.supported[pixels],
        )
        blocks = part.blocks()
        return replace(
            part,
            squares=np.sum([part._squares(block).sum(axis=1) for block in blocks], axis=0),
            counts=np.sum([np.count_nonzero(part.weights_in(block), axis=1) for block in blocks], axis=0),
        )


def pair_products(factor: FloatArray) -> FloatArray:
    """Return the products of all pairs of a factor's rows: (k, m) to (k (k + 1) / 2, m)."""
    k, m = factor.shape
    out = np.empty((k * (k + 1) // 2, m), dtype=factor.dtype)
    gram_kernels.pair_products(np.ascontiguousarray(factor), out)
    return out


def rows_first(array: FloatArray) -> FloatArray:
    """Return an array that kernels go through row by row: a copy of one that is stored by columns."""
    return np.ascontiguousarray(array) if array.flags.f_contiguous else array
