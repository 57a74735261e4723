"""What the noise of the data does to coefficients and to the model."""

from __future__ import annotations

import numpy as np

from astronmf._typing import BoolArray, FloatArray

__all__ = ["active_set_covariance", "model_variance"]


def active_set_covariance(gram: FloatArray, active: BoolArray) -> FloatArray:
    """Return ``(B_A V B_Aᵀ)⁻¹`` of each observation, with zeros for coefficients at their bound.

    Parameters
    ----------
    gram : (m, k, k) array
        ``B V Bᵀ`` of each observation.
    active : (m, k) array of bool
        Coefficients above 0.

    Returns
    -------
    (m, k, k) array
        NaN on the active set where its components depend on each other: the single errors are then unbounded.
    """
    covariance = np.zeros(gram.shape)
    for i, chosen in enumerate(active):
        index = np.flatnonzero(chosen)
        if index.size:
            covariance[i][np.ix_(index, index)] = _inverse(gram[i][np.ix_(index, index)])
    return covariance


def _inverse(matrix: FloatArray) -> FloatArray:
    """Invert a positive definite matrix scaled to unit diagonal first; NaN if it is singular to rounding."""
    scale = 1.0 / np.sqrt(np.diagonal(matrix))
    unit = matrix * np.outer(scale, scale)
    if not np.isfinite(unit).all() or np.linalg.cond(unit) > 1e13:
        return np.full(matrix.shape, np.nan)
    return np.asarray(np.linalg.inv(unit) * np.outer(scale, scale))


def model_variance(components: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return the model's variance at each pixel, ``b Cov bᵀ``.

    Parameters
    ----------
    components : (k, ...) array
    covariance : (k, k) array
        Of one observation's coefficients.

    Returns
    -------
    (...) array
    """
    return np.asarray(np.sum(components * np.tensordot(covariance, components, axes=1), axis=0))
