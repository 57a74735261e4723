"""What a reduction leaves of a point source, for all places of the sky at once.

With m_i the PSF where a place falls in frame i, the reduction leaves (see `astronmf.imaging.forward` and
`astronmf.imaging.self_reference`)

    FM_i = m_i − f_i [(H m)_i + P_i (m_i − (H m)_i)],    P_i = Bᵀ Cov_i B V_i

FM is linear in m. Its product with the weighted residuals is therefore the correlation of the PSF with the adjoint of
FM applied to them, summed along the track of each place. Its square needs ``m_iᵀ V m_j``, which depends, with weights
that vary little over a PSF, only on how far apart the source is in frames i and j: on the separation and the angle
between the frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage, signal

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf.imaging.exposures import exposure_angles
from astronmf.imaging.geometry import radius, sky_to_detector
from astronmf.imaging.psf import PSF
from astronmf.imaging.reduction import Reduction

__all__ = ["PointResponse"]

#: Values in the largest array of a block of places.
LARGEST_BLOCK = 8_000_000

#: Pixels between the separations that the overlap of a source with itself is computed for.
RADIUS_STEP = 0.5

#: Directions over which that overlap is averaged.
DIRECTIONS = 32

#: Of the largest: what is smaller is rounding.
SMALLEST_VALUE = 1e-9


@dataclass(frozen=True)
class PointResponse:
    """A reduction, as it responds to point sources.

    Attributes
    ----------
    reduction : Reduction
    psf : PSF
        Of unit sum.
    angles : (n, m) array
        Of the frames, at m moments of each exposure.
    """

    reduction: Reduction
    psf: PSF
    angles: FloatArray

    @classmethod
    def of(cls, reduction: Reduction, psf: PSF, smearing: Any = None) -> PointResponse:
        """Return the response to a PSF; `smearing` as for `inject`."""
        science = reduction.science
        angles = exposure_angles(smearing, science.geometry, len(science), _reach(reduction))
        return cls(reduction, psf.normalized, angles)

    @cached_property
    def weights(self) -> FloatArray:
        """``V`` of the residuals, 0 where there are none: (n, y, x). Pixels declared missing in the fit count here.

        Frames whose active components depend on each other are left out: what they do to a source is not known.
        """
        solved = np.asarray(np.isfinite(self.reduction.covariances).all(axis=(1, 2)))
        known = np.isfinite(self.reduction.residuals) & solved[:, None, None]
        return np.asarray(self.reduction.science.weights() * known)

    @cached_property
    def hats(self) -> FloatArray:
        """``H`` of each zone, (zones, n, n); zeros where the components do not come from the science frames."""
        found, n = self.reduction.self_reference, len(self.angles)
        return np.zeros((self.reduction.choice.n_zones, n, n)) if found is None else found.hats

    @cached_property
    def overlap(self) -> _Overlap:
        """The product of the source with itself, moved."""
        return _Overlap.of(self.psf.data)

    @cached_property
    def places(self) -> tuple[IntArray, IntArray]:
        """The pixels (y, x) of the north-up image that are no farther from the star than the region reaches."""
        y, x = np.nonzero(_from_star(self.reduction, self.reduction.center) <= _reach(self.reduction))
        return y, x

    @cached_property
    def separations(self) -> FloatArray:
        """Of the `places` from the star, pixels: (places,)."""
        return _from_star(self.reduction, self.reduction.center)[self.places]

    def signal(self, residuals: FloatArray) -> FloatArray:
        """Return ``Σ_i FM_iᵀ V_i R_i`` at each of the `places`: (places,)."""
        adjoint = self._adjoint(residuals)
        out = np.zeros(len(self.places[0]))
        for i, frame in enumerate(adjoint):
            smooth = ndimage.spline_filter(self._correlated(frame), 3, mode="mirror")
            for x, y in self._tracks(i, slice(None)):
                out += ndimage.map_coordinates(smooth, [y, x], order=3, prefilter=False) / self.angles.shape[1]
        return out

    @cached_property
    def information(self) -> tuple[FloatArray, FloatArray]:
        """``Σ_i FM_iᵀ V_i FM_i`` at each of the `places`, and which share of the source is seen there: (places,)."""
        information, share = np.zeros(len(self.places[0])), np.zeros(len(self.places[0]))
        for zone, (columns, pixels) in enumerate(self.reduction.choice.zone_parts(len(self.reduction.components))):
            within = _Zone(self, zone, columns, pixels)
            for block in self._blocks(columns.stop - columns.start):
                found, seen = within.information(block)
                information[block] += found
                share[block] += seen
        return information, share

    def _adjoint(self, residuals: FloatArray) -> FloatArray:
        """Return the adjoint of FM applied to ``V R``: (n, y, x)."""
        found, choice = self.reduction, self.reduction.choice
        weighted = np.where(self.weights > 0, self.weights * np.nan_to_num(residuals), 0.0)
        projected = np.zeros(weighted.shape)
        for rows, basis in found.bases.by_frame(len(weighted)):
            for columns, pixels in choice.zone_parts(len(basis)):
                part = np.nan_to_num(basis[columns][:, pixels])
                for i in rows:
                    change = np.nan_to_num(found.covariances[i, columns, columns]) @ (part @ weighted[i][pixels])
                    projected[i][pixels] = change @ part
        factors = found.scale_factors[:, None, None]
        projected *= factors * found.weights
        out = weighted - projected
        if found.self_reference is not None:
            following = factors * weighted - projected
            out -= found.self_reference.transposed(following, found.weights, choice.zone_numbers) * (found.weights > 0)
        return out

    def _correlated(self, frames: FloatArray, power: int = 1) -> FloatArray:
        """Return what the PSF, or its square, collects around each pixel of (..., y, x) frames."""
        kernel = (self.psf.data**power)[::-1, ::-1]
        kernel = kernel.reshape((1,) * (frames.ndim - 2) + kernel.shape)
        return np.asarray(signal.oaconvolve(frames, kernel, mode="same", axes=(-2, -1)))

    def _tracks(self, frame: int, block: slice) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield where the places of a block are in a frame, (x, y), at each moment of the exposure."""
        geometry, star = self.reduction.science.geometry, self.reduction.center
        y, x = self.places
        offsets = np.stack([y[block] - star[1], x[block] - star[0]])
        for angle in self.angles[frame]:
            up, right = sky_to_detector(angle, geometry.parity) @ offsets
            yield geometry.center[0] + right, geometry.center[1] + up

    def _blocks(self, n_components: int) -> Iterator[slice]:
        """Yield slices of the places."""
        size = max(1, LARGEST_BLOCK // (len(self.angles) * (n_components + 2)))
        for start in range(0, len(self.places[0]), size):
            yield slice(start, start + size)


@dataclass(frozen=True)
class _Zone:
    """A zone's share of the information.

    What the projection takes is computed as if the weights were a level for each frame times a pattern on the
    detector, but where they are 0.

    Attributes
    ----------
    response : PointResponse
    number : int
    columns : slice
        Its components.
    pixels : (y, x) bool array
    """

    response: PointResponse
    number: int
    columns: slice
    pixels: BoolArray

    def information(self, block: slice) -> tuple[FloatArray, FloatArray]:
        """Return ``Σ_i FM_iᵀ V_i FM_i`` of the zone's pixels, and which share of all m² those are: (places,)."""
        frames = range(len(self.response.angles))
        local = np.stack([self._sampled(self.squares[i % len(self.squares)], i, block) for i in frames])
        weight, light, fitted, used, zone = np.moveaxis(local, 1, 0)
        information = self._own(weight, zone, block)
        if self.correction is not None:
            information += sum(self._sampled(self.correction[i : i + 1], i, block)[0] for i in frames)
        information -= self._lost(weight, fitted, np.clip(used * _inverse(zone), 0.0, 1.0), block)
        return information, light.sum(axis=0) / (len(local) * np.square(self.response.psf.data).sum())

    def _own(self, weight: FloatArray, zone: FloatArray, block: slice) -> FloatArray:
        """Return ``Σ_i (m − f H m)ᵀ V (m − f H m)`` with one weight for each frame in the build: (places,)."""
        distance = self.response.separations[block]
        steps, terms = self.terms
        first, second = (np.array([np.interp(distance, steps, one) for one in part.T]) for part in terms)
        return np.asarray(np.sum(weight * first + zone * second, axis=0))

    def _lost(self, weight: FloatArray, fitted: FloatArray, used: FloatArray, block: slice) -> FloatArray:
        """Return what the projection on the active components takes of it: (places,).

        ``f (2 a − f d)ᵀ Cov d`` with a = B V (m − f H m) and d = B V (m − H m), V the filter's weights in a and the
        fit's in d.
        """
        found, (levels, _) = self.response.reduction, self.pattern
        covariances = np.nan_to_num(found.covariances[:, self.columns, self.columns])
        hat = self.response.hats[self.number]
        out = np.zeros(weight.shape[1])
        for rows, maps in self.products:
            sampled = np.stack([self._sampled(maps, i, block) for i in range(len(weight))])
            light, along = sampled[:, -1], sampled[:, :-1]
            carried = np.tensordot(hat[rows] * levels[rows, None], used[:, None] * along, axes=1)
            for i, taken in zip(rows, carried, strict=True):
                factor, own = found.scale_factors[i], along[i] * _inverse(light[i])
                share = fitted[i] * own - taken
                seen = 2 * (weight[i] * own - factor * taken) - factor * share
                out += factor * np.sum(seen * (covariances[i] @ share), axis=0)
        return out

    @cached_property
    def squares(self) -> FloatArray:
        """What the zone has of a source at each pixel: (n or 1, 5, y, x).

        ``mᵀ V m`` and ``mᵀ m`` over the filter's valid pixels, then over those of the fit, and ``mᵀ m`` over all.
        """
        seen = self.response.weights
        fitted = self.response.reduction.weights * (seen > 0)
        count = 1 if _alike(seen) and _alike(fitted) else len(seen)
        out = np.empty((count, 5, *self.pixels.shape), dtype=np.float32)
        for i in range(count):
            both = np.stack([seen[i], fitted[i]]) * self.pixels
            parts = [both[0], both[0] > 0, both[1], both[1] > 0, self.pixels]
            out[i] = self.response._correlated(np.stack(parts).astype(np.float64), power=2)
        return out

    @cached_property
    def pattern(self) -> tuple[FloatArray, FloatArray]:
        """The mean weight in each frame, (n,), and what the weights of all frames have in common: (y, x)."""
        weights = self.response.weights * self.pixels
        count = (weights > 0).sum(axis=(1, 2))
        levels = weights.sum(axis=(1, 2)) / np.maximum(count, 1)
        relative = weights * _inverse(levels)[:, None, None]
        return levels, relative.sum(axis=0) / np.maximum((weights > 0).sum(axis=0), 1)

    @cached_property
    def products(self) -> list[tuple[IntArray, FloatArray]]:
        """Frames of the same components, and ``B b m`` of a source at each pixel: (k + 1, y, x), the last ``mᵀ b m``.

        b is the `pattern`.
        """
        _, pattern = self.pattern
        square = self.response._correlated(pattern, power=2)[None]
        found = []
        for rows, basis in self.response.reduction.bases.by_frame(len(self.response.angles)):
            maps = self.response._correlated(pattern * np.nan_to_num(basis[self.columns]))
            found.append((rows, np.concatenate([maps, square])))
        return found

    @cached_property
    def terms(self) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
        """Separations, (s,), and what each frame's source adds, (s, n): times ``mᵀ V m``, and times ``mᵀ m``."""
        steps = np.arange(0.0, self.response.separations.max() + RADIUS_STEP, RADIUS_STEP)
        levels = self.pattern[0][:, None]
        first, second = zip(*(self._terms_at(step, levels, None) for step in steps), strict=True)
        return steps, (np.array(first)[:, :, 0], np.array(second)[:, :, 0])

    @cached_property
    def correction(self) -> FloatArray | None:
        """What the weights of single pixels change in what a source at each pixel adds: (n, y, x); `None`: nothing."""
        response, found = self.response, self.response.reduction
        used = found.weights * (response.weights > 0)
        here = used[:, self.pixels]
        if found.self_reference is None or (here == here[:, :1]).all():
            return None
        distance = radius((self.pixels.shape[0], self.pixels.shape[1]), found.science.geometry.center)
        rings = np.rint(distance / RADIUS_STEP).astype(int)
        change = np.zeros(used.shape, dtype=np.float32)
        for ring in np.unique(rings[self.pixels]):
            y, x = np.nonzero(self.pixels & (rings == ring))
            weights, step = response.weights[:, y, x], ring * RADIUS_STEP
            one = self._terms_at(step, weights, used[:, y, x])
            mean = self._terms_at(step, self.pattern[0][:, None], None)
            change[:, y, x] = weights * (one[0] - mean[0]) + one[1] - mean[1]
        for image in change:
            image[:] = response._correlated(image, power=2)
        return change

    def _terms_at(
        self, separation: float, weights: FloatArray, used: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Return what each frame's source adds, at pixels of given weights, (n, p): times ``mᵀ V m``, and ``mᵀ m``.

        `used` are the weights in the build; `None`: one for each frame.
        """
        response, found = self.response, self.response.reduction
        between = response.overlap.between(response.angles, separation)
        whole = np.tile(np.diag(between)[:, None], weights.shape[1])
        if found.self_reference is None:
            return whole, np.zeros(whole.shape)
        factors, zones = found.scale_factors[:, None], found.choice.zone_numbers
        seen = factors**2 * weights
        once, twice = found.self_reference.overlaps(used, seen, between, zones, self.number)
        return whole - 2 * factors * once, twice

    def _sampled(self, maps: FloatArray, frame: int, block: slice) -> FloatArray:
        """Return (k, y, x) maps along the track of a block's places, averaged over the exposure: (k, places)."""
        tracks = list(self.response._tracks(frame, block))
        return sum((_bilinear(maps, x, y) for x, y in tracks), np.zeros(1)) / len(tracks)


@dataclass(frozen=True)
class _Overlap:
    """The product of the PSF with itself, moved, relative to that with itself in place."""

    distances: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, psf: FloatArray) -> _Overlap:
        """Return it as a function of distance, averaged over directions."""
        product = signal.fftconvolve(psf, psf[::-1, ::-1])
        middle = np.array(product.shape) // 2
        distances = np.arange(0.0, float(middle.min()), 0.25)
        turn = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
        y, x = (middle[axis] + distances[:, None] * part for axis, part in enumerate((np.sin(turn), np.cos(turn))))
        values = ndimage.map_coordinates(product, [y, x], order=3).mean(axis=1)
        return cls(distances, values / values[0])

    def between(self, angles: FloatArray, separation: float) -> FloatArray:
        """Return the overlap of a source at a separation in each frame with that in each other: (n, n)."""
        n, moments = angles.shape
        flat = np.deg2rad(angles.ravel())
        chord = 2 * separation * np.abs(np.sin((flat[:, None] - flat[None, :]) / 2))
        overlap = np.interp(chord, self.distances, self.values, right=0.0)
        return np.asarray(overlap.reshape(n, moments, n, moments).mean(axis=(1, 3)))


def _from_star(reduction: Reduction, star: tuple[float, float]) -> FloatArray:
    """Return each pixel's distance from the star, which is elsewhere in the frames than in the combined image."""
    y, x = reduction.combined.shape
    return radius((y, x), star)


def _reach(reduction: Reduction) -> float:
    """Return how far from the star the reduced region goes, pixels."""
    return float(_from_star(reduction, reduction.science.geometry.center)[reduction.choice.region].max())


def _alike(frames: FloatArray) -> bool:
    """Return whether all frames are equal: what is computed of the first then serves all."""
    return bool((frames == frames[:1]).all())


def _inverse(values: FloatArray) -> FloatArray:
    """Return 1/values, 0 where there is nothing but rounding: (m,)."""
    known = values > SMALLEST_VALUE * values.max(initial=0.0)
    return np.divide(1.0, values, out=np.zeros_like(values), where=known)


def _bilinear(maps: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return (k, y, x) maps at (x, y), 0 outside: (k, places)."""
    rows, columns = maps.shape[1:]
    inside = (np.abs(x - (columns - 1) / 2) <= columns / 2) & (np.abs(y - (rows - 1) / 2) <= rows / 2)
    right, up = np.clip(x, 0.0, columns - 1.0), np.clip(y, 0.0, rows - 1.0)
    left, low = (np.minimum(part.astype(int), max(size - 2, 0)) for part, size in ((right, columns), (up, rows)))
    along, above = right - left, up - low
    beside, over = np.minimum(left + 1, columns - 1), np.minimum(low + 1, rows - 1)
    lower = maps[:, low, left] * (1 - along) + maps[:, low, beside] * along
    upper = maps[:, over, left] * (1 - along) + maps[:, over, beside] * along
    return np.asarray((lower * (1 - above) + upper * above) * inside)
