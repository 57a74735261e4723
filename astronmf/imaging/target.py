"""The target step: model science frames with given components, and subtract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf.components import Components
from astronmf.core.results import Projection
from astronmf.core.uncertainty import model_variance
from astronmf.imaging.frames import Frames
from astronmf.imaging.scaling import ScaleFactor, scale_factors

__all__ = ["Target", "model_target"]

MAD_TO_SIGMA = 1.4826


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
    """

    region: BoolArray
    imputed: BoolArray
    scale_region: BoolArray

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


def model_target(science: Frames, components: Components, choice: Choice, scale: Any, *, quiet: bool = False) -> Target:
    """Model every science frame with the components and subtract.

    Parameters
    ----------
    science
    components
    choice
    scale
        See `scale_factors`.
    quiet
        Whether to leave warnings about scale factors unsaid, because they were said before.
    """
    weights = choice.weights(science)
    projection = components.project(science.data, weights=weights, mask=science.mask)
    basis = np.where(choice.region, components.data, np.nan).reshape(len(components), -1)
    models = projection.coefficients @ basis
    data = np.where(science.mask, np.nan, science.data).reshape(models.shape)
    judged = ((weights > 0) & choice.scale_region).reshape(models.shape)
    sigmas = None if science.sigma is None else science.sigma.reshape(models.shape)
    cleared = np.asarray((choice.imputed & choice.region).any(axis=(1, 2)))
    factors = scale_factors(scale, data, models, sigmas, judged, cleared, quiet=quiet)
    models *= np.array([factor.value for factor in factors])[:, None]
    residuals = data - models
    return Target(models.reshape(science.shape), residuals.reshape(science.shape), projection, factors)


def residual_variances(
    science: Frames,
    residuals: FloatArray,
    fitted: BoolArray,
    basis: FloatArray,
    covariances: FloatArray,
    factors: FloatArray,
) -> FloatArray:
    """Return the variance of every residual: the data's, and the model's through its coefficients.

    With q the model's variance and f the scale factor it is ``σ² + f² q`` at a pixel that took no part in the fit, and
    ``σ² + f² q − 2 f q`` at one that did, whose own noise has drawn the model after it.

    Parameters
    ----------
    science
    residuals : (n, y, x) array
        Their scatter stands in for the data's errors where those are not known.
    fitted : (n, y, x) array of bool
        Which pixels took part in the fit.
    basis : (k, y, x) array
    covariances : (n, k, k) array
    factors : (n,) array

    Returns
    -------
    (n, y, x) array
        NaN where there is no residual.
    """
    out = np.empty(science.shape)
    for i, covariance in enumerate(covariances):
        scatter = 1.0 if science.sigma is not None else _robust_variance(residuals[i])
        own = scatter if science.sigma is None else np.square(science.sigma[i], dtype=np.float64)
        share = factors[i] ** 2 - 2 * factors[i] * fitted[i]
        out[i] = np.maximum(own + scatter * share * model_variance(basis, covariance), 0.0)
    out[~np.isfinite(residuals)] = np.nan
    return out


def _robust_variance(residual: FloatArray) -> float:
    """Return the variance that a Gaussian of the same median absolute deviation has."""
    values = residual[np.isfinite(residual)]
    if values.size == 0:
        return float("nan")
    return float((MAD_TO_SIGMA * np.median(np.abs(values - np.median(values)))) ** 2)
