"""Few exceptions to data that are otherwise complete: Gram matrices are shared, but for what the exceptions change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf.kernels.gram import add_products

__all__ = ["Gaps"]

# Above this missing fraction a dense product costs less than taking the missing values off one by one.
SPARSE_FRACTION = 0.05

# Where less than this is left of a shared Gram matrix, the item's own is summed instead: differences are taken in
# double precision, so that they keep twelve digits, or all of single precision's.
LITTLE = 1e-3


@dataclass(frozen=True)
class Gaps:
    """Where values are missing, for weights that are 0 or 1.

    A pixel that most observations have is taken as complete, and its missing values are the exceptions; any other is
    taken as empty, and its valid values are.

    Attributes
    ----------
    complete : (p,) array of bool
        Pixels taken as complete.
    observations, pixels : (q,) arrays of int
        The exceptions, sorted by pixel.
    sign : (q,) array
        −1 for a missing value, +1 for a valid one.
    bounds : (p + 1,) array of int
        Where each pixel's exceptions start.
    """

    complete: BoolArray
    observations: IntArray
    pixels: IntArray
    sign: FloatArray
    bounds: IntArray

    @classmethod
    def find(cls, valid: BoolArray, dtype: np.dtype[np.floating]) -> Gaps | None:
        """Return the exceptions among (n, p) values, or `None` if they are too many to be worth it.

        Too many, too, are those of an observation that lacks half of the pixels.
        """
        n, p = valid.shape
        count = np.count_nonzero(valid, axis=0)
        complete = 2 * count > n
        exceptions = int(np.where(complete, n - count, count).sum())
        if exceptions > SPARSE_FRACTION * n * p or any(_lacks_half(row, complete) for row in valid):
            return None
        each = [np.flatnonzero(row != complete).astype(np.int32) for row in valid]
        pixels = np.concatenate(each)
        observations = np.repeat(np.arange(n, dtype=np.int32), [len(row) for row in each])
        order = np.argsort(pixels, kind="stable")
        pixels = pixels[order]
        sign = np.where(complete[pixels], -1, 1).astype(dtype)
        return cls(complete, observations[order], pixels, sign, np.searchsorted(pixels, np.arange(p + 1)))

    def subset(self, pixels: IntArray) -> Gaps:
        """Return the exceptions of some pixels only (their indices)."""
        counts = np.diff(self.bounds)[pixels]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        chosen = np.repeat(self.bounds[pixels] - bounds[:-1], counts) + np.arange(bounds[-1])
        new = np.repeat(np.arange(pixels.size, dtype=np.int32), counts)
        return Gaps(self.complete[pixels], self.observations[chosen], new, self.sign[chosen], bounds)

    def flipped(self, n: int) -> Gaps:
        """Return the exceptions with observations and pixels exchanged; all pixels must be complete."""
        order = np.argsort(self.observations, kind="stable")
        pixels = self.observations[order]
        bounds = np.searchsorted(pixels, np.arange(n + 1))
        return Gaps(np.ones(n, dtype=bool), self.pixels[order], pixels, self.sign[order], bounds)

    def weights(self, n: int, block: slice, dtype: np.dtype[np.floating]) -> FloatArray:
        """Return a block's weights of 0 and 1, (n, m)."""
        out = np.repeat(self.complete[None, block], n, axis=0).astype(dtype)
        here = self._within(block)
        out[self.observations[here], self.pixels[here] - block.start] += self.sign[here]
        return out

    def erase(self, values: FloatArray, block: slice) -> None:
        """Set a block's values, (n, m), to 0 where they are missing."""
        here = self._within(block)
        exceptions = self.observations[here], self.pixels[here] - block.start
        kept = np.where(self.sign[here] > 0, values[exceptions], 0)
        if not self.complete[block].all():
            values[:, ~self.complete[block]] = 0
        values[exceptions] = kept

    def component_gram(self, products: FloatArray, block: slice) -> FloatArray:
        """Return the Gram matrices of a block's pixels, (K, m), or (K, 1) where all share one.

        Parameters
        ----------
        products : (K, n) array
            Pair products of the coefficients.
        block
        """
        whole = products.sum(axis=1, keepdims=True, dtype=np.float64)
        complete, here = self.complete[block], self._within(block)
        if here.start == here.stop and complete.all():
            return np.asarray(whole, dtype=products.dtype)
        gram = whole * complete
        add_products(products, self.observations[here], self.pixels[here] - block.start, self.sign[here], gram)
        lost = np.flatnonzero(_little_left(gram, whole) & complete)
        if lost.size:
            weights = self.weights(products.shape[1], block, products.dtype)
            gram[:, lost] = products @ weights[:, lost]
        return np.asarray(gram, dtype=products.dtype)

    def coefficient_gram(self, products: FloatArray, n: int, block: slice) -> FloatArray:
        """Return a block's part of the observations' Gram matrices, (K, n), or (K, 1) where all have the same part.

        Parameters
        ----------
        products : (K, m) array
            Pair products of the block's components.
        n
            How many observations there are.
        block
        """
        here, complete = self._within(block), self.complete[block]
        shared = np.asarray(products.sum(axis=1, keepdims=True, where=complete, dtype=np.float64))
        if here.start == here.stop:
            return shared
        gram = np.repeat(shared, n, axis=1)
        add_products(products, self.pixels[here] - block.start, self.observations[here], self.sign[here], gram)
        lost = np.flatnonzero(_little_left(gram, shared))
        if lost.size:
            gram[:, lost] = products @ self.weights(n, block, products.dtype)[lost].T
        return gram

    def _within(self, block: slice) -> slice:
        """Return which exceptions are those of a block's pixels."""
        return slice(int(self.bounds[block.start]), int(self.bounds[block.stop]))


def _little_left(gram: FloatArray, shared: FloatArray) -> BoolArray:
    """Return for which items so little is left of the shared matrix, in any coordinate, that rounding would show.

    A few missing values may hold nearly all there is of a component: the bright core of a star.
    """
    size = int(np.sqrt(2 * len(gram)))
    diagonal = [a * (a + 1) // 2 + a for a in range(size)]
    return np.asarray((gram[diagonal] < LITTLE * shared[diagonal]).any(axis=0))


def _lacks_half(valid: BoolArray, complete: BoolArray) -> bool:
    """Return whether an observation has less than half of the pixels that most have."""
    return bool(2 * np.count_nonzero(valid & complete) < np.count_nonzero(complete))
