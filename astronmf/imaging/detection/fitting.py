"""A point source fitted to the residuals of a reduction, and the noise that it is judged by.

To first order a reduction leaves ``flux · FM(x, y)`` of a source in the residuals. Flux and place are fitted to them by
least squares, with the derivatives of FM by those of the source; nothing is reduced again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf.imaging.detection.matched import MatchedFilter
from astronmf.imaging.detection.statistics import significance
from astronmf.imaging.exposures import exposure_angles
from astronmf.imaging.geometry import polar
from astronmf.imaging.psf import PSF, add_source
from astronmf.imaging.reduction import Reduction

__all__ = ["Fitter", "Noise", "Place"]

STEP = 0.25  # pixels between the places that derivatives are taken from
LARGEST_MOVE = 1.0  # pixels a step of the fit may go
SMALLEST_MOVE = 0.005  # pixels: a step that ends the fit
MOST_STEPS = 10
FARTHEST = 1.5  # FWHM: a fit that goes farther from its start has lost the companion
SMALLEST_SHARE = 1e-10  # of what the best known parameter is known by: what is less is not known


@dataclass(frozen=True)
class Place:
    """A flux at a place of the north-up image.

    Attributes
    ----------
    flux, x, y : float
    position_error : float
        1σ along an axis for weights of ``1/σ²`` and no other noise; NaN where the place was not fitted.
    curvature : float
        1/variance of the flux for the same.
    fixed : bool
        Whether the place was given.
    """

    flux: float
    x: float
    y: float
    position_error: float
    curvature: float
    fixed: bool = False


@dataclass(frozen=True)
class Noise:
    """What a matched filter says of the fluxes at the other position angles of a separation.

    Attributes
    ----------
    mean : float
    error : float
        Of one flux: their scatter times ``√(1 + 1/n)``.
    n_test : int
    """

    mean: float
    error: float
    n_test: int

    @classmethod
    def of(cls, tests: MatchedFilter, place: Place) -> Noise:
        """Return the noise at a place, from residuals without the source there."""
        sizes = tests.flux.shape
        row, column = (int(np.clip(round(at), 0, size - 1)) for at, size in zip((place.y, place.x), sizes, strict=True))
        here = np.zeros(sizes, dtype=bool)
        here[row, column] = True
        found = tests.statistics(region=here)
        n = int(found.n_test[row, column])
        error = float(found.scatter[row, column]) * float(np.sqrt(1 + 1 / max(n, 1)))
        return cls(float(found.mean[row, column]), error, n)

    def snr(self, flux: float) -> float:
        """Return a flux's signal-to-noise ratio; NaN where there is no noise to compare it with."""
        return (flux - self.mean) / self.error if self.error > 0 else float("nan")

    def significance(self, flux: float) -> float:
        """Return the same in Gaussian sigma of equal false positive probability (Mawet+ 2014)."""
        return float(significance(self.snr(flux), self.n_test))

    def error_of(self, place: Place) -> float:
        """Return `error`, or where too few places tell it what the weights say."""
        return self.error if np.isfinite(self.error) else float(place.curvature**-0.5)


@dataclass(frozen=True)
class Fitter:
    """A companion's fit to residuals.

    Attributes
    ----------
    reduction : Reduction
        Whose response to a source is used.
    psf : PSF
        Of unit sum.
    smearing
        As for `inject`.
    """

    reduction: Reduction
    psf: PSF
    smearing: Any = None

    def source(self, x: float, y: float) -> FloatArray:
        """Return a source of unit flux at a place of the north-up image, in each frame: (n, y, x).

        Light beyond the edge of a frame is lost.
        """
        science = self.reduction.science
        separation, position_angle = polar(self.reduction.center, x, y)
        out = np.zeros(science.shape)
        angles = exposure_angles(self.smearing, science.geometry, len(out), float(separation))
        for image, moments in zip(out, angles, strict=True):
            track = replace(science.geometry, angles=moments).positions(float(separation), float(position_angle))
            add_source(image, self.psf, track[:, 0], track[:, 1], 1.0 / len(moments))
        return out

    def trace(self, place: Place) -> FloatArray:
        """Return what the reduction leaves of a source, (n, y, x): NaN where there are no residuals."""
        return place.flux * self.reduction.remaining(self.source(place.x, place.y))

    def first(
        self, start: tuple[float, float], residuals: FloatArray | None = None, smallest_move: float = SMALLEST_MOVE
    ) -> Place:
        """Return the flux and the place that fit residuals best, near a start; the reduction's by default.

        At the start itself where the fit leaves its neighbourhood, or finds no light. A step below `smallest_move`, in
        pixels, ends it.
        """
        values = self.reduction.residuals if residuals is None else residuals
        place, (x, y) = self._step(values, *start), start
        for _ in range(MOST_STEPS):
            move = np.array([place.x - x, place.y - y])
            length = float(np.hypot(*move))
            x, y = (x, y) + move * min(1.0, LARGEST_MOVE / max(length, LARGEST_MOVE))
            if length < smallest_move or np.hypot(x - start[0], y - start[1]) > FARTHEST * self.psf.fwhm:
                break
            place = self._step(values, x, y)
        if place.flux > 0 and np.hypot(place.x - start[0], place.y - start[1]) <= FARTHEST * self.psf.fwhm:
            return place
        return self.at(start, values)

    def at(self, start: tuple[float, float], residuals: FloatArray | None = None) -> Place:
        """Return the flux that fits residuals best at a place that is known; the reduction's by default."""
        return self._step(self.reduction.residuals if residuals is None else residuals, *start, fixed=True)

    def fit(self, residuals: FloatArray, known: Place) -> Place:
        """Return what is better than a known flux and place, from residuals of the data less that source."""
        return self._step(residuals, known.x, known.y, known.flux, fixed=known.fixed)

    def _step(self, residuals: FloatArray, x: float, y: float, known: float = 0.0, *, fixed: bool = False) -> Place:
        """Return one step of the Gauss-Newton iteration from (x, y); `fixed`: of the flux alone."""
        weights = self.reduction.science.weights() * np.isfinite(residuals)
        used = weights > 0
        left = np.stack([np.nan_to_num(self.reduction.remaining(source)[used]) for source in self._sources(x, y)])
        weighted = left * weights[used]
        gram, gradient = weighted @ left.T, weighted @ residuals[used]
        spread = _inverse(gram)
        flux, *shift = (gradient[0] * _inverse(gram[:1, :1])[0, 0], 0.0, 0.0) if fixed else spread @ gradient
        total = known + float(flux)
        right, up = np.array(shift) / total if total else (0.0, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):  # where nothing is seen no error is large enough
            error = np.nan if fixed else np.sqrt((spread[1, 1] + spread[2, 2]) / 2) / np.abs(total)
            curvature = gram[0, 0] if fixed else 1.0 / spread[0, 0]
        return Place(total, float(x + right), float(y + up), float(error), float(curvature), fixed)

    def _sources(self, x: float, y: float) -> Iterator[FloatArray]:
        """Yield the source at (x, y) and its derivatives by x and y, (n, y, x) each."""
        yield self.source(x, y)
        for dx, dy in ((STEP, 0.0), (0.0, STEP)):
            yield (self.source(x + dx, y + dy) - self.source(x - dx, y - dy)) / (2 * STEP)


def _inverse(gram: FloatArray) -> FloatArray:
    """Return the inverse of a Gram matrix; 0 where it says nothing."""
    diagonal = np.diag(gram)
    scale = np.divide(1.0, np.sqrt(diagonal), out=np.zeros(len(gram)), where=diagonal > 0)
    unit = gram * scale[:, None] * scale
    return np.asarray(np.linalg.pinv(unit, rcond=SMALLEST_SHARE, hermitian=True) * scale[:, None] * scale)
