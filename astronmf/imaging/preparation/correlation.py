"""How alike frames are: sums over the pixels that two of them have, for every pair at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from astronmf._typing import BoolArray, FloatArray

__all__ = ["PairSums"]


@dataclass(frozen=True)
class PairSums:
    """Weighted sums over the pixels that frame i of one stack and frame j of another have in common.

    Attributes
    ----------
    weight, one, other, one_one, other_other, one_other : (n, m) arrays
        Σ w, Σ w x, Σ w y, Σ w x², Σ w y² and Σ w x y, with x of the first stack, which the weights w belong to.
    """

    weight: FloatArray
    one: FloatArray
    other: FloatArray
    one_one: FloatArray
    other_other: FloatArray
    one_other: FloatArray

    @classmethod
    def of(cls, first: FloatArray, weights: FloatArray, second: FloatArray, valid: BoolArray) -> PairSums:
        """Return the sums.

        Parameters
        ----------
        first, weights : (n, p) arrays
            A weight of 0 is a missing value.
        second, valid : (m, p) arrays
        """
        known = valid.astype(np.float64)
        x = np.where(weights > 0, first, 0.0).astype(np.float64)
        y = np.where(valid, second, 0.0).astype(np.float64)
        return cls(
            weight=weights @ known.T,
            one=(weights * x) @ known.T,
            other=weights @ y.T,
            one_one=(weights * x**2) @ known.T,
            other_other=weights @ (y**2).T,
            one_other=(weights * x) @ y.T,
        )

    def correlation(self) -> FloatArray:
        """Return Pearson's coefficient of every pair, (n, m); NaN where a frame is constant or nothing is common."""
        with np.errstate(invalid="ignore", divide="ignore"):
            covariance = self.one_other - self.one * self.other / self.weight
            here = self.one_one - self.one**2 / self.weight
            there = self.other_other - self.other**2 / self.weight
            spread = np.sqrt(np.maximum(here, 0) * np.maximum(there, 0))
            steady = (here > 1e-12 * self.one_one) & (there > 1e-12 * self.other_other)
            return np.where(steady, covariance / spread, np.nan)

    def factor(self) -> FloatArray:
        """Return the f of least Σ w (x − f y)² of every pair, (n, m); NaN where y is 0 or nothing is common."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.other_other > 0, self.one_other / self.other_other, np.nan)

    def scatter(self) -> FloatArray:
        """Return the weighted root mean square of x − f y of every pair, (n, m)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            left = self.one_one - self.factor() * self.one_other
            return np.sqrt(np.maximum(left, 0) / self.weight)
