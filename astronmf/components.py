"""`Components`: a basis that was built once, kept, and used again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import Table

from astronmf._formats import Stored
from astronmf._inputs import unpack
from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import check_integer, check_shape, fail
from astronmf.core.projection import project
from astronmf.core.results import Projection
from astronmf.estimator import NMF, SequentialNMF, flat_problem

__all__ = ["Components"]

NORMALIZATION = "unit L2 norm over valid pixels"


@dataclass(frozen=True)
class Components(Stored):
    """Non-negative components, and how they came to be.

    Attributes
    ----------
    data : (k, ...) array
        Of unit L2 norm over their valid pixels; NaN at pixels that no observation saw.
    coefficients : (n, k) array
        Of the observations that they were built from.
    stages : tuple of (j, ...) arrays
        The components of every stage of the build, the last being `data`; stages of other builds may start at j > 1.
    stage_coefficients : tuple of (n, j) arrays
        The coefficients of every stage.
    history : `~astropy.table.Table`
        A row for each stage: stage, iterations, chi2, kkt, converged, seconds, fractional_residual_variance,
        reduced_chi2.
    unit : astropy unit or None
        That of the coefficients.
    meta : dict
        ``weights_origin``, ``normalization``, ``n_valid``, and what the builder adds: geometry, parameters, and each
        input's name and SHA-256 under ``inputs``.
    """

    data: FloatArray
    coefficients: FloatArray
    stages: tuple[FloatArray, ...]
    stage_coefficients: tuple[FloatArray, ...]
    history: Table
    unit: u.UnitBase | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_fit(cls, estimator: NMF | SequentialNMF, weights_origin: str, **meta: Any) -> Components:
        """Return the components of a fitted estimator.

        Parameters
        ----------
        estimator
        weights_origin
            Where the weights came from, in words.
        **meta
            Added to `meta`.
        """
        history = estimator.history_
        found, shape = estimator.factorization_, estimator.shape_
        history["fractional_residual_variance"] = estimator.fractional_residual_variance_
        history["reduced_chi2"] = [found.reduced_chi2(stage) for stage in found.stages]
        about = {
            "weights_origin": weights_origin,
            "normalization": NORMALIZATION,
            "n_valid": estimator.n_valid_,
            "reduced_chi2": estimator.reduced_chi2_,
        }
        return cls(
            data=estimator.components_,
            coefficients=estimator.coefficients_,
            stages=tuple(s.components.reshape(-1, *shape) for s in found.stages),
            stage_coefficients=tuple(s.coefficients for s in found.stages),
            history=history,
            unit=estimator.unit_,
            meta=about | meta,
        )

    def __len__(self) -> int:
        """Return the number of components."""
        return len(self.data)

    def __repr__(self) -> str:
        """Return a line that says what is inside."""
        shape = " x ".join(map(str, self.data.shape[1:]))
        return f"<Components: {len(self)} of {shape} pixels from {len(self.coefficients)} observations>"

    @property
    def mask(self) -> BoolArray:
        """Pixels that the components do not cover (`True` = not covered): the trailing shape of `data`."""
        return np.asarray(~np.isfinite(self.data).all(axis=0))

    def placed(self, pixels: BoolArray) -> Components:
        """Return components of some of the pixels, (k, p), on all of them; the others are NaN.

        Parameters
        ----------
        pixels : (...) bool array
            `True` at the p pixels that they are of.
        """

        def spread(stage: FloatArray) -> FloatArray:
            full = np.full((len(stage), *pixels.shape), np.nan)
            full[:, pixels] = stage
            return full

        stages = tuple(spread(stage) for stage in self.stages)
        return replace(self, data=stages[-1], stages=stages)

    def with_unit(self, unit: u.UnitBase) -> Components:
        """Return the same components with coefficients in `unit`."""
        return replace(self, unit=unit)

    def at(self, n_components: int) -> Components:
        """Return the components of the stage with so many, at no cost.

        Raises
        ------
        ValueError
            If no stage has that number.
        """
        sizes = [len(stage) for stage in self.stages]
        if check_integer("n_components", n_components, sizes[0], sizes[-1]) not in sizes:
            raise fail("n_components", "the number of a stage, " + ", ".join(map(str, sizes)), n_components)
        index = sizes.index(n_components)
        end = index + 1
        return replace(
            self,
            data=self.stages[index],
            coefficients=self.stage_coefficients[index],
            stages=self.stages[:end],
            stage_coefficients=self.stage_coefficients[:end],
            history=self.history[:end],
            meta=self.meta | {"reduced_chi2": float(self.history["reduced_chi2"][index])},
        )

    def project(self, X: Any, weights: Any = None, mask: Any = None, *, uncertainty: Any = None) -> Projection:
        """Model observations, (m, ...), with these components: exact non-negative least squares.

        Parameters as in `SequentialNMF.fit`; pixels that the components do not cover take no part.
        """
        values = unpack(X, weights, mask, uncertainty, self.unit)
        check_shape("X", values.data, (None, *self.data.shape[1:]))
        covered = ~self.mask.ravel()
        return project(flat_problem(values, np.float64, covered), self.data.reshape(len(self), -1)[:, covered])
