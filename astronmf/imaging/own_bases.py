"""Components of each frame's own, from the frames in which the sky has turned far enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf.core.problem import Problem
from astronmf.core.projection import project
from astronmf.estimator import NMF
from astronmf.imaging.building import Library
from astronmf.imaging.zones import OUTSIDE, pixels_of

__all__ = ["OwnBases", "learn_own_bases"]


@dataclass(frozen=True)
class OwnBases:
    """Components for each group of frames that share their references.

    Attributes
    ----------
    group : (n,) array of int
        Of each science frame.
    data : (groups, k, p) array
        Over the region's pixels, row by row.
    coefficients : (groups, m, k) array
        Of the library's m frames; 0 for those that are not the group's references.
    """

    group: IntArray
    data: FloatArray
    coefficients: FloatArray


def learn_own_bases(
    n_components: int, library: Library, zones: IntArray, allowed: list[BoolArray], tol: float, progress: Any
) -> OwnBases:
    """Learn components for every group of frames that has the same references.

    A group starts from the coefficients of a neighbour that has not seen its frames either; where there is none, from
    nothing. What is in a frame does not change its components, therefore. They are the exact solution for the
    coefficients that were learnt.

    Parameters
    ----------
    n_components
        Of all zones together.
    library
    zones
    allowed : list of (n, m) bool arrays
        Which of the library's frames may model each science frame, in each zone.
    tol
    progress
    """
    keys, group = np.unique(np.concatenate(allowed, axis=1), axis=0, return_inverse=True)
    region = zones != OUTSIDE
    data = np.empty((len(keys), n_components, int(region.sum())), dtype=_kind(library))
    coefficients = np.zeros((len(keys), len(library.frames), n_components))
    per_zone = n_components // len(allowed)
    for z, pixels in enumerate(pixels_of(zones)):
        columns = slice(z * per_zone, (z + 1) * per_zone)
        here = pixels[region]
        data[:, columns] = 0.0
        references = np.array([np.split(key, len(allowed))[z] for key in keys])
        for done, (g, near) in enumerate(_neighbours(references, group)):
            rows = np.flatnonzero(references[g])
            values = library.values(pixels, rows)
            start = None
            if near is not None:
                start = _coefficients(values, data[near, columns][:, here])
            learnt, basis = _learn(values, per_zone, tol, start)
            data[g, columns, here] = basis.T  # an index before a slice puts the pixels first
            coefficients[g, rows, columns] = learnt
            progress(z * len(keys) + done + 1, len(allowed) * len(keys), "references of each frame")
    return OwnBases(group.ravel(), data, coefficients)


def _neighbours(references: BoolArray, group: IntArray) -> list[tuple[int, int | None]]:
    """Return the groups in the sequence's order, each with one before it that has none of its frames as references.

    Parameters
    ----------
    references : (groups, m) bool array
        Of each group, the science frames first.
    group : (n,) array of int
        Of each science frame.
    """
    order = list(dict.fromkeys(group.ravel().tolist()))
    found: list[tuple[int, int | None]] = []
    anchor: int | None = None
    for g in order:
        members = np.flatnonzero(group.ravel() == g)
        if anchor is not None and references[anchor, members].any():
            anchor = None
        found.append((g, anchor))
        anchor = g if anchor is None else anchor
    return found


def _coefficients(values: tuple[FloatArray, FloatArray | None, BoolArray], basis: FloatArray) -> FloatArray:
    """Return the coefficients of frames on given components, (m, k)."""
    data, weights, mask = values
    covered = np.isfinite(basis).all(axis=0)
    weights = None if weights is None else weights[:, covered]
    if mask[:, covered].all():
        return np.zeros((len(data), len(basis)))
    problem = Problem.from_arrays(data[:, covered], weights, mask[:, covered], np.float64, warn=False)
    return np.nan_to_num(project(problem, basis[:, covered]).coefficients)


def _kind(library: Library) -> np.dtype[Any]:
    return np.dtype(np.float32 if library.frames.data.dtype == np.float32 else np.float64)


def _learn(
    values: tuple[FloatArray, FloatArray | None, BoolArray],
    n_components: int,
    tol: float,
    start: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return coefficients and components of some frames; NaN where nothing is seen."""
    data, weights, mask = values
    if mask.all():
        return np.zeros((len(data), n_components)), np.full((n_components, data.shape[1]), np.nan)
    problem = Problem.from_arrays(data, weights, mask, np.float64, warn=False)
    init: Any = "residual" if start is None or not start.any() else (start, np.nan_to_num(_exact(problem, start)))
    fit = NMF(n_components, tol=tol, init=init).fit(data, weights, mask)
    learnt = np.nan_to_num(fit.coefficients_).astype(np.float64)
    return learnt, _exact(problem, learnt)


def _exact(problem: Problem, coefficients: FloatArray) -> FloatArray:
    """Return the components that are best for given coefficients, (k, p); NaN where nothing is seen."""
    found = project(problem.flipped(), coefficients.T).coefficients.T
    return np.where(problem.supported, np.nan_to_num(found), np.nan)
