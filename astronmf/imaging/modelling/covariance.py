"""Which amplitudes the data determine, and how well."""

from __future__ import annotations

import numpy as np

from astronmf._typing import BoolArray, FloatArray

__all__ = ["condition_number", "inverse_of_known", "told_from_star", "variance_inflation"]

# Of a template's curvature: what has less outside the star's components is a sum of them, but for rounding.
SMALLEST_LEFT = 1e-11

# Of a curvature of unit diagonal: what lies below the largest eigenvalue by more is not known.
SMALLEST_SHARE = 1e-7

# Of a direction that is not known: a template with a smaller part in it is determined by the others.
LARGEST_PART = 1e-4


def told_from_star(alone: FloatArray, curvature: FloatArray) -> BoolArray:
    """Return which templates the star's components cannot stand for: (t,).

    Parameters
    ----------
    alone : (t, t) array
        ``T V Tᵀ`` of the templates as they are in the data.
    curvature : (t, t) array
        Inverse covariance of the amplitudes, the star eliminated.
    """
    return np.asarray(np.diag(curvature) > SMALLEST_LEFT * np.diag(alone))


def inverse_of_known(curvature: FloatArray, known: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Return the inverse of a curvature, 0 for what is not known, and what is.

    Parameters
    ----------
    curvature : (t, t) array
        Inverse covariance of amplitudes.
    known : (t,) array of bool
        Amplitudes to take into account.

    Returns
    -------
    (t, t) array
    (t,) array of bool
        `False` also for amplitudes of templates that depend on each other.
    """
    size = np.diag(curvature)
    used = known & (size > 0)
    scale = np.where(used, 1.0 / np.sqrt(np.where(used, size, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(curvature * scale[:, None] * scale)
    kept = values > SMALLEST_SHARE * max(float(values[-1]), 0.0)
    found = used & (np.square(vectors[:, ~kept]).sum(axis=1) < LARGEST_PART)
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return inverse * scale[:, None] * scale, np.asarray(found)


def variance_inflation(alone: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return by how much star and other templates raise the variance of each amplitude: (t,).

    1 or more, but where the star's components follow the templates: these then show in frames where they are not.

    Parameters
    ----------
    alone : (t, t) array
        ``T V Tᵀ`` of the templates as they are in the data: the inverse variances if nothing else were fitted stand on
        its diagonal.
    covariance : (t, t) array
        Of the amplitudes.
    """
    return np.asarray(np.diag(alone) * np.diag(covariance))


def condition_number(alone: FloatArray, curvature: FloatArray) -> float:
    """Return the largest over the smallest curvature of amplitudes, in units of templates of equal weight.

    The largest is that before the star is fitted too, so that a single template within the span of the star's
    components has a large number as well; 1 for templates that overlap neither with the star nor with each other.

    Parameters
    ----------
    alone, curvature : (t, t) arrays
        As for `told_from_star`.
    """
    size = np.diag(alone)
    if not (size > 0).any():
        return float("nan")
    scale = 1.0 / np.sqrt(size[size > 0])
    some = np.ix_(size > 0, size > 0)
    before, after = (np.linalg.eigvalsh(g[some] * scale[:, None] * scale) for g in (alone, curvature))
    return float(before[-1] / after[0]) if after[0] > 0 else float("inf")
