"""Frames that are modelled with components built from themselves, and how a source moves those components.

In angular differential imaging the science frames are the library. A source m (n × p: what it is in every frame) is
then in the components too. To first order, with C the library's coefficients and A the frames' weights, it moves the
components by ``(Cᵀ A C)⁻¹ Cᵀ A m``, so that frame i's model follows it by ``Σ_j h_ij m_j`` with

    h_i = c_i (Cᵀ A C)⁻¹ Cᵀ A        ("hat" matrix)

and of the source there remains ``FM = (m − H m)(I − P_B)``, with P_B the projection on the frame's active components.
That is the first-order change of the residual at a stationary point of χ²: the tangent space of C B taken off. Where a
frame's weights differ from pixel to pixel, or values are missing, A and with it H belongs to the pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf.components import Components
from astronmf.imaging.building import Library
from astronmf.imaging.own_bases import OwnBases
from astronmf.imaging.zones import pixels_of

__all__ = [
    "SelfReference",
    "component_change",
    "frame_weights",
    "hat_matrix",
    "mean_weights",
    "own_hats",
    "shared_hats",
]

# Values in the largest array of a block of pixels.
LARGEST_BLOCK = 4_000_000

# Of the trace of a pixel's normal equations: what keeps those solvable that too few frames see.
SMALLEST_PIVOT = 1e-12


@dataclass(frozen=True)
class SelfReference:
    """How far each science frame's model follows a source in the science frames.

    Attributes
    ----------
    hats : (zones, n, n) array
        ``h_ij`` of each zone, for each frame's mean weight.
    coefficients : (n, k) array
        Of the science frames.
    learnt : (m, k) array
        C: of the library, whose first n frames are the science frames.
    other_weights : (zones, m − n) array
        Mean weights of the library's other frames, 0 counted where they are missing.
    own : OwnBases or None
        Where frames have components of their own; its coefficients then stand in the place of `learnt`.
    """

    hats: FloatArray
    coefficients: FloatArray
    learnt: FloatArray
    other_weights: FloatArray
    own: OwnBases | None = None

    def carried(self, sources: FloatArray, weights: FloatArray, zones: IntArray) -> FloatArray:
        """Return what the components take up of a source, ``H m``: (n, y, x).

        Parameters
        ----------
        sources : (n, y, x) array
        weights : (n, y, x) array
            Of the values that the components were built from; 0 for the others.
        zones : (y, x) array of int
        """
        out = np.zeros(sources.shape)
        for number, pixels in enumerate(pixels_of(zones)):
            here, source = weights[:, pixels], sources[:, pixels]
            if (here == here[:, :1]).all():
                out[:, pixels] = self.hats[number] @ source
                continue
            y, x = np.nonzero(pixels)
            rows = np.nan_to_num(_by_zone(self.coefficients, zones)[number])
            for frames, library in self._libraries(zones, number):
                change = component_change(library, here, source, self.other_weights[number])
                out[frames[:, None], y, x] = rows[frames] @ change
        return out

    def _libraries(self, zones: IntArray, number: int) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield frames and the library's coefficients for their components in a zone."""
        if self.own is None:
            yield np.arange(len(self.coefficients)), _by_zone(self.learnt, zones)[number]
            return
        for group, learnt in enumerate(_by_zone(self.own.coefficients, zones)[number]):
            yield np.flatnonzero(self.own.group == group), learnt

    def transposed(self, frames: FloatArray, weights: FloatArray, zones: IntArray) -> FloatArray:
        """Return ``Hᵀ`` times (n, y, x) frames, zone by zone; parameters as of `carried`."""
        out = np.zeros(frames.shape)
        for number, pixels in enumerate(pixels_of(zones)):
            values, here = frames[:, pixels], weights[:, pixels]
            if (here == here[:, :1]).all():
                out[:, pixels] = self.hats[number].T @ values
                continue
            rows = np.nan_to_num(_by_zone(self.coefficients, zones)[number])
            for group, library in self._libraries(zones, number):
                right = (values[group].T @ rows[group])[:, :, None]
                moved = _solved(library, here, right, self.other_weights[number])[:, :, 0]
                out[:, pixels] += here * (np.nan_to_num(library[: len(here)]) @ moved.T)
        return out

    def overlaps(
        self,
        weights: FloatArray | None,
        seen: FloatArray,
        between: FloatArray,
        zones: IntArray,
        number: int,
    ) -> tuple[FloatArray, FloatArray]:
        """Return what a source that is at some pixels of a zone in frame j adds to two sums: (n, p) each.

        The sums over frames are ``(H m)ᵀ m``, of which j's own term is returned, and ``(H m)ᵀ W H m``, of which those
        terms are in which j's source is the first factor.

        Parameters
        ----------
        weights : (n, p) array or None
            At the pixels, 0 for values that the components were not built from; `None`: each frame's mean weight.
        seen : (n, p) array
            W, there.
        between : (n, n) array
            ``m_iᵀ m_j``, the same at all these pixels.
        zones : (y, x) array of int
        number : int
            Of the zone.
        """
        if weights is None:
            followed = self.hats[number] @ between
            return np.tile(np.diag(followed)[:, None], seen.shape[1]), (followed * self.hats[number]).T @ seen
        once, twice = np.zeros(weights.shape), np.zeros(weights.shape)
        rows = np.nan_to_num(_by_zone(self.coefficients, zones)[number])
        for group, library in self._libraries(zones, number):
            weighted = weights.T[:, :, None] * np.nan_to_num(library[: len(weights)])
            right = np.broadcast_to(rows[group].T, (weights.shape[1], rows.shape[1], len(group)))
            moved = _solved(library, weights, right, self.other_weights[number])
            along = between @ weighted
            once[group] = np.einsum("pik,pki->ip", along[:, group], moved)
            spread = (moved * seen[group].T[:, None]) @ moved.transpose(0, 2, 1)
            twice += np.sum((weighted @ spread) * along, axis=2).T
        return once, twice


def hat_matrix(rows: FloatArray, library: FloatArray, weights: FloatArray) -> FloatArray:
    """Return ``c_i (Cᵀ A C)⁻¹ Cᵀ A`` for every row c_i.

    Parameters
    ----------
    rows : (n, k) array
    library : (m, k) array
        C.
    weights : (m,) array
        The diagonal of A.

    Returns
    -------
    (n, m) array
    """
    half = np.sqrt(weights)[:, None]
    inverse = np.linalg.pinv(half * np.nan_to_num(library), rcond=1e-10)
    return np.asarray(np.nan_to_num(rows) @ inverse * half.T)


def component_change(
    library: FloatArray, weights: FloatArray, sources: FloatArray, other_weights: FloatArray
) -> FloatArray:
    """Return ``(Cᵀ A C)⁻¹ Cᵀ A m`` of each pixel: how a source moves the components, (k, p).

    Parameters
    ----------
    library : (m, k) array
        C; its first n rows are those of the frames that have the source.
    weights, sources : (n, p) arrays
    other_weights : (m − n,) array
        Of the other rows, at every pixel.
    """
    n, k = len(sources), library.shape[1]
    change = np.zeros((k, sources.shape[1]))
    touched = np.flatnonzero((weights * sources != 0).any(axis=0))
    right = (weights[:, touched] * sources[:, touched]).T @ np.nan_to_num(library[:n])
    change[:, touched] = _solved(library, weights[:, touched], right[:, :, None], other_weights)[:, :, 0].T
    return change


def _solved(library: FloatArray, weights: FloatArray, right: FloatArray, other_weights: FloatArray) -> FloatArray:
    """Return ``(Cᵀ A C)⁻¹ right`` of each pixel, (p, k, r) as `right`; the others as of `component_change`."""
    n, k = len(weights), library.shape[1]
    flat = np.ascontiguousarray(np.nan_to_num(library))  # sums end in other bits where memory runs another way
    norm = np.sqrt(np.square(flat).sum(axis=0))
    norm = np.where(norm > 0, norm, 1.0)
    flat = flat / norm
    pairs = (flat[:, :, None] * flat[:, None, :]).reshape(len(flat), -1)
    out = np.empty(right.shape)
    for part in np.array_split(np.arange(len(out)), 1 + len(out) * k * (k + right.shape[2]) // LARGEST_BLOCK):
        gram = (weights[:, part].T @ pairs[:n] + other_weights @ pairs[n:]).reshape(-1, k, k)
        ridge = SMALLEST_PIVOT * np.trace(gram, axis1=1, axis2=2) + np.finfo(float).tiny
        out[part] = np.linalg.solve(gram + ridge[:, None, None] * np.eye(k), right[part] / norm[:, None])
    return out / norm[:, None]


def frame_weights(weights: FloatArray | None, mask: BoolArray) -> FloatArray:
    """Return each frame's mean weight over its valid pixels, relative to the largest: (m,); inputs are (m, p)."""
    if weights is None:
        return np.asarray(mask.mean(axis=1) < 1.0, dtype=np.float64)
    total = np.where(mask, 0.0, weights).sum(axis=1) / np.maximum((~mask).sum(axis=1), 1)
    return np.asarray(total / max(total.max(), np.finfo(float).tiny))


def mean_weights(library: Library, zones: IntArray) -> FloatArray:
    """Return the mean weights of the library's frames behind the science frames, missing values as 0: (zones, m)."""
    found = []
    for pixels in pixels_of(zones):
        _, weights, mask = library.values(pixels, slice(library.n_science, None))
        found.append(np.where(mask, 0.0, 1.0 if weights is None else weights).mean(axis=1))
    return np.stack(found)


def shared_hats(components: Components, coefficients: FloatArray, library: Library, zones: IntArray) -> FloatArray:
    """Return the hat matrices of the n science frames, the first of the library, that share one basis.

    Parameters
    ----------
    components
        Built from the library.
    coefficients : (n, k) array
        Of the science frames.
    library
    zones

    Returns
    -------
    (zones, n, n) array
    """
    n, hats = len(coefficients), []
    parts = zip(pixels_of(zones), _by_zone(coefficients, zones), _by_zone(components.coefficients, zones), strict=True)
    for pixels, rows, learnt in parts:
        _, weights, mask = library.values(pixels)
        hats.append(hat_matrix(rows, learnt, frame_weights(weights, mask))[:, :n])
    return np.stack(hats)


def own_hats(own: OwnBases, coefficients: FloatArray, library: Library, zones: IntArray) -> FloatArray:
    """Return the hat matrices of frames with bases of their own; `coefficients` (n, k) are those of the frames."""
    n = len(own.group)
    found = []
    parts = zip(pixels_of(zones), _by_zone(coefficients, zones), _by_zone(own.coefficients, zones), strict=True)
    for pixels, rows, learnt in parts:
        _, weights, mask = library.values(pixels)
        share = frame_weights(weights, mask)
        hats = [hat_matrix(rows[i : i + 1], learnt[group], share)[0, :n] for i, group in enumerate(own.group)]
        found.append(np.stack(hats))
    return np.stack(found)


def _by_zone(coefficients: FloatArray, zones: IntArray) -> list[FloatArray]:
    """Return the coefficients, components last, of each zone."""
    return np.split(coefficients, int(zones.max()) + 1, axis=-1)
