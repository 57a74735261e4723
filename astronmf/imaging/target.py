"""The target step: model science frames with given components, and subtract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf.core.problem import Problem
from astronmf.core.projection import project
from astronmf.core.results import Projection
from astronmf.core.uncertainty import model_variance
from astronmf.imaging.frames import Frames
from astronmf.imaging.own_bases import OwnBases
from astronmf.imaging.scaling import ScaleFactor, frame_groups, scale_factors
from astronmf.imaging.statistics import mad_sigma
from astronmf.imaging.zones import OUTSIDE, pixels_of

__all__ = ["Bases", "Choice", "Target", "model_target", "residual_variances"]

FEWEST_IN_TIME = 10  # frames from which the scatter of one pixel is known to a fifth or so


@dataclass(frozen=True)
class Choice:
    """Which pixels of the science frames do what.

    Attributes
    ----------
    region : (y, x) array of bool
        Pixels to reduce.
    imputed : (n, y, x) array of bool
        Pixels declared missing: they do not enter the fit, and the model covers them (Ren+ 2020).
    scale_region : (y, x) array of bool
        Pixels that a best scale factor is judged by, as far as they entered the fit.
    zones : (y, x) array of int or None
        Parts of the region with coefficients of their own, see `astronmf.imaging.zones`; `None` is one zone.
    """

    region: BoolArray
    imputed: BoolArray
    scale_region: BoolArray
    zones: IntArray | None = None

    @property
    def zone_numbers(self) -> IntArray:
        """The number of each pixel's zone, −1 outside the region: (y, x)."""
        return np.where(self.region, 0 if self.zones is None else self.zones, OUTSIDE)

    @property
    def n_zones(self) -> int:
        """How many zones there are."""
        return int(self.zone_numbers.max()) + 1

    def zone_parts(self, n_components: int) -> Iterator[tuple[slice, BoolArray]]:
        """Yield each zone's components, a slice, and pixels, (y, x) bool."""
        pixels = pixels_of(self.zone_numbers)
        each = n_components // len(pixels)
        for number, here in enumerate(pixels):
            yield slice(number * each, (number + 1) * each), here

    def weights(self, science: Frames) -> FloatArray:
        """Return what the fit uses: ``1/σ²``, 0 where a pixel takes no part: (n, y, x)."""
        return science.weights() * (self.region & ~self.imputed)


@dataclass(frozen=True)
class Target:
    """Science frames, modelled and subtracted, in the detector's orientation.

    Attributes
    ----------
    models : (n, y, x) array
        Factor times model, also over pixels that were declared missing; NaN outside the region.
    residuals : (n, y, x) array
        Data less model; NaN where either is missing.
    projection : Projection
    factors : list of ScaleFactor
    """

    models: FloatArray
    residuals: FloatArray
    projection: Projection
    factors: list[ScaleFactor]


@dataclass(frozen=True)
class Bases:
    """The components of each science frame.

    Attributes
    ----------
    shared : (k, y, x) array
        Of frames without components of their own; NaN where they do not cover.
    region : (y, x) bool array
    own : OwnBases or None
    """

    shared: FloatArray
    region: BoolArray
    own: OwnBases | None = None

    def __len__(self) -> int:
        """Return the number of components."""
        return len(self.shared)

    def by_frame(self, n: int) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield frames and the components that they share, (k, y, x), until all `n` frames are done."""
        if self.own is None:
            yield np.arange(n), np.where(self.region, self.shared, np.nan)
            return
        for group, basis in enumerate(self.own.data):
            placed = np.full((len(self), *self.region.shape), np.nan)
            placed[:, self.region] = basis
            yield np.flatnonzero(self.own.group == group), placed


def model_target(
    science: Frames, bases: Bases, choice: Choice, scale: Any, scale_by: str = "frame", *, quiet: bool = False
) -> Target:
    """Model every science frame with its components and subtract.

    Parameters
    ----------
    science
    bases
    choice
    scale
        See `scale_factors`.
    scale_by
        See `frame_groups`.
    quiet
        Whether to leave warnings about scale factors unsaid, because they were said before.
    """
    weights = choice.weights(science)
    projection, models = _projected(science, bases, choice, weights)
    models = models.reshape(len(models), -1)
    data = np.where(science.mask, np.nan, science.data).reshape(models.shape)
    judged = ((weights > 0) & choice.scale_region).reshape(models.shape)
    sigmas = None if science.sigma is None else science.sigma.reshape(models.shape)
    cleared = np.asarray((choice.imputed & choice.region).any(axis=(1, 2)))
    groups = frame_groups(science.angles, len(science), scale_by)
    factors = scale_factors(scale, data, models, sigmas, judged, cleared, groups=groups, quiet=quiet)
    models *= np.array([factor.value for factor in factors])[:, None]
    residuals = data - models
    return Target(models.reshape(science.shape), residuals.reshape(science.shape), projection, factors)


def _projected(science: Frames, bases: Bases, choice: Choice, weights: FloatArray) -> tuple[Projection, FloatArray]:
    """Return all coefficients, with covariances that are 0 between zones, and the models: (n, y, x)."""
    n, k = len(science), len(bases)
    coefficients, covariance = np.full((n, k), np.nan), np.zeros((n, k, k))
    chi2, counts = np.zeros(n), np.zeros(n, dtype=int)
    models = np.full(science.shape, np.nan)
    for rows, basis in bases.by_frame(n):
        for columns, pixels in choice.zone_parts(k):
            covered = pixels & np.isfinite(basis[columns]).all(axis=0)
            part = [array[rows][:, covered] for array in (science.data, weights, science.mask)]
            if not (part[1] > 0).any():  # nothing to go by: no coefficients, and no model
                continue
            found = project(Problem.from_arrays(part[0], part[1], part[2], np.float64), basis[columns][:, covered])
            coefficients[rows, columns] = found.coefficients
            covariance[rows, columns, columns] = found.covariance
            chi2[rows] += found.chi2
            counts[rows] += found.n_valid
            y, x = np.nonzero(covered)
            models[rows[:, None], y, x] = found.coefficients @ basis[columns][:, covered]
    return Projection(coefficients, covariance, chi2, counts), models


def residual_variances(
    science: Frames,
    residuals: FloatArray,
    choice: Choice,
    bases: Bases,
    covariances: FloatArray,
    factors: FloatArray,
) -> FloatArray:
    """Return the variance of every residual: the data's, and the model's through its coefficients.

    With q the model's variance and f the scale factor it is ``σ² + f² q`` at a pixel that took no part in the fit, and
    ``σ² + f² q − 2 f q`` at one that did, whose own noise has drawn the model after it. Where no errors are given, the
    scatter of the residuals stands in: of each frame for σ, or, in sequences of ten frames or more, of each pixel in
    time, which is the variance itself. It is larger near the star.

    Parameters
    ----------
    science
    residuals : (n, y, x) array
    choice : Choice
        Says which pixels took part in the fit.
    bases : Bases
    covariances : (n, k, k) array
    factors : (n,) array

    Returns
    -------
    (n, y, x) array
        NaN where there is no residual.
    """
    known = np.isfinite(residuals)
    if science.sigma is None and len(science) >= FEWEST_IN_TIME:
        return np.where(known, _variance_in_time(residuals, known), np.nan)
    out = np.empty(science.shape)
    for rows, basis in bases.by_frame(len(science)):
        for i in rows:
            scatter = 1.0 if science.sigma is not None else float(mad_sigma(residuals[i])) ** 2
            own = scatter if science.sigma is None else np.square(science.sigma[i], dtype=np.float64)
            fitted = choice.region & ~choice.imputed[i] & ~science.mask[i]
            share = factors[i] ** 2 - 2 * factors[i] * fitted
            out[i] = np.maximum(own + scatter * share * _variance(basis, covariances[i], choice), 0.0)
    out[~known] = np.nan
    return out


def _variance_in_time(residuals: FloatArray, known: BoolArray) -> FloatArray:
    """Return each pixel's mean square over the frames that have it: (y, x)."""
    return np.asarray(np.sum(np.where(known, residuals, 0.0) ** 2, axis=0) / np.maximum(known.sum(axis=0), 1))


def _variance(basis: FloatArray, covariance: FloatArray, choice: Choice) -> FloatArray:
    """Return the model's variance, zone by zone: (y, x)."""
    out = np.full(basis.shape[1:], np.nan)
    for columns, pixels in choice.zone_parts(len(basis)):
        out[pixels] = model_variance(basis[columns][:, pixels], covariance[columns, columns])
    return out
