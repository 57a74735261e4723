"""What the noise of the data does to coefficients and to the model."""

from __future__ import annotations

import numpy as np

from astronmf._typing import BoolArray, FloatArray

__all__ = ["active_set_covariance", "model_variance"]

# Components whose Gram matrix, of unit diagonal, has a larger condition number depend on each other.
LARGEST_CONDITION = 1e13


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
    k = gram.shape[1]
    diagonal = np.arange(k)
    size = gram[:, diagonal, diagonal]
    scale = np.where(active, 1.0 / np.sqrt(np.where(active, size, 1.0)), 0.0)
    unit = gram * scale[:, :, None] * scale[:, None, :]  # unit diagonal: rounding is measured in one unit
    unit[:, diagonal, diagonal] = 1.0
    usable = np.isfinite(unit).all(axis=(1, 2))
    unit[~usable] = np.eye(k)
    spread = np.linalg.eigvalsh(unit)
    usable &= spread[:, 0] * LARGEST_CONDITION > spread[:, -1]
    unit[~usable] = np.eye(k)
    covariance = np.linalg.inv(unit) * scale[:, :, None] * scale[:, None, :]
    both = active[:, :, None] & active[:, None, :]
    return np.where(both, np.where(usable[:, None, None], covariance, np.nan), 0.0)


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
