"""How the flux of a point source is measured where limits are wanted, and how it scatters around the star.

Both ways give total fluxes: the sum over the stamp of the PSF.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import ndimage, signal

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import check_choice, check_shape, fail
from astronmf.imaging.detection.apertures import aperture_fluxes
from astronmf.imaging.detection.matched import PointMap, matched_filter
from astronmf.imaging.detection.statistics import resolution_elements, threshold
from astronmf.imaging.geometry import center_pixel, fill_missing
from astronmf.imaging.psf import PSF
from astronmf.imaging.reduction import Reduction

__all__ = [
    "AperturePhotometry",
    "MatchedPhotometry",
    "Photometry",
    "RingNoise",
    "known_separations",
    "photometry",
    "without",
]

METHODS = ("matched", "aperture")
PHASES = 8  # sets of places on a ring, each one FWHM apart, that the scatter of the matched filter is averaged over
SMOOTHING_WIDTH = 2.0  # FWHM
SMOOTHING_ORDER = 2  # of the polynomial that the noise follows over that width
RANGE_STEP = 0.25  # pixels between the separations that are tried to find out where the noise is known


@dataclass(frozen=True)
class RingNoise:
    """The noise of a source's flux at some separations.

    Attributes
    ----------
    noise : (m,) array
        1σ of the total flux, NaN where fewer than two places say what it is.
    n_test : (m,) array of int
        n₂: in how many places a detection would be judged by.
    """

    noise: FloatArray
    n_test: IntArray

    def limit(self, sigma: float, *, student: bool = True) -> FloatArray:
        """Return the least flux that counts as a detection, if nothing of it is lost: (m,).

        ``τ · noise``, with ``τ = t⁻¹(Φ(−σ); n₂ − 1) √(1 + 1/n₂)`` (Mawet et al. 2014, equation 10), or ``τ = σ``.
        """
        if not student:
            return sigma * self.noise
        n = np.maximum(self.n_test, 1)
        return np.asarray(threshold(sigma, self.n_test) * np.sqrt(1 + 1 / n) * self.noise)


class Photometry(Protocol):
    """A way to measure the flux of a source."""

    @property
    def psf(self) -> PSF:
        """Whose FWHM says how large a source is."""
        ...

    @property
    def about(self) -> dict[str, Any]:
        """What a reader of the result must know."""
        ...

    def image(self, reduction: Reduction) -> FloatArray:
        """Return the north-up image that is measured on: (y, x)."""
        ...

    def fluxes(self, image: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the total fluxes of sources at (x, y), (m,); NaN where there is none."""
        ...

    def noise(self, image: FloatArray, separations: FloatArray) -> RingNoise:
        """Return the noise at separations, (m,) pixels, from the star; NaN is missing in the image."""
        ...


@dataclass(frozen=True)
class AperturePhotometry:
    """Sums in apertures of one FWHM in diameter on the combined image, corrected for the light outside.

    Attributes
    ----------
    psf : PSF
    smooth : bool
        Whether the noise is made a smooth function of separation.
    """

    psf: PSF
    smooth: bool = True

    @property
    def correction(self) -> float:
        """Total flux over flux in the aperture."""
        return self.psf.flux / self.psf.aperture_flux(self.psf.fwhm / 2)

    @property
    def about(self) -> dict[str, Any]:
        """What a reader of the result must know."""
        return {
            "aperture_radius": self.psf.fwhm / 2,
            "aperture_correction": self.correction,
            "noise_smoothed": self.smooth,
        }

    def image(self, reduction: Reduction) -> FloatArray:
        """Return the combined image."""
        return reduction.combined

    def fluxes(self, image: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the total fluxes of sources at (x, y), (m,); NaN where the aperture has a missing pixel."""
        return self.correction * aperture_fluxes(image, x, y, self.psf.fwhm / 2)

    def noise(self, image: FloatArray, separations: FloatArray) -> RingNoise:
        """Return the standard deviation of apertures side by side on each ring.

        The first is on the image's +x axis, the others follow counter-clockwise, one FWHM of arc apart: as in VIP. All
        of them are counted in n₂. The smooth noise is a polynomial of the second order through the separations within
        one FWHM, one pixel apart (Savitzky and Golay).
        """
        found = self._scatter(image, separations)
        if not self.smooth:
            return found
        fwhm = self.psf.fwhm
        steps = np.arange(fwhm, np.hypot(*image.shape) / 2, 1.0)
        smooth = _smoothed(self._scatter(image, steps).noise, int(SMOOTHING_WIDTH * fwhm))
        known = np.isfinite(smooth)
        if known.any():
            smooth = np.interp(separations, steps[known], smooth[known])
        return RingNoise(np.where(np.isfinite(found.noise), smooth, np.nan), found.n_test)

    def _scatter(self, image: FloatArray, separations: FloatArray) -> RingNoise:
        """Return the noise of each separation on its own."""
        fwhm, star = self.psf.fwhm, center_pixel(_shape(image))
        noise, count = np.full(len(separations), np.nan), np.zeros(len(separations), dtype=int)
        for i, separation in enumerate(separations):
            turn = fwhm / separation * np.arange(int(2 * np.pi * separation / fwhm))
            values = self.fluxes(image, star[0] + separation * np.cos(turn), star[1] + separation * np.sin(turn))
            noise[i], count[i] = _pooled(values[None]), np.isfinite(values).sum()
        return RingNoise(noise, count)


@dataclass(frozen=True)
class MatchedPhotometry:
    """Fluxes of the matched filter.

    Attributes
    ----------
    psf : PSF
    smearing
        As for `inject`.
    n_components : sequence of int or None
        As for `matched_filter`.
    """

    psf: PSF
    smearing: Any = None
    n_components: Sequence[int] | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What a reader of the result must know."""
        return {} if self.n_components is None else {"averaged_over_components": [int(k) for k in self.n_components]}

    def image(self, reduction: Reduction) -> FloatArray:
        """Return the matched filter's map of fluxes."""
        return matched_filter(reduction, self.psf, n_components=self.n_components, smearing=self.smearing).flux

    def fluxes(self, image: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the total fluxes of sources at (x, y), (m,); NaN where the map has none."""
        known = ndimage.map_coordinates(np.isfinite(image).astype(np.int8), [y, x], order=0)
        found = ndimage.map_coordinates(fill_missing(image), [y, x], order=3, mode="nearest")
        return np.where(known > 0, found, np.nan)

    def noise(self, image: FloatArray, separations: FloatArray) -> RingNoise:
        """Return the standard deviation of the map at places one FWHM apart on each ring.

        Averaged over rings of such places that begin at different position angles. n₂ is one less than the number of
        places, as a source would take one of them.
        """
        fwhm, star, points = self.psf.fwhm, center_pixel(_shape(image)), PointMap(image)
        noise, count = np.full(len(separations), np.nan), np.zeros(len(separations), dtype=int)
        for i, separation in enumerate(separations):
            n = int(resolution_elements(separation, fwhm))
            turn = 2 * np.pi * (np.arange(n) + np.arange(PHASES)[:, None] / PHASES) / max(n, 1)
            values = points.at(star[0] + separation * np.cos(turn), star[1] + separation * np.sin(turn))
            noise[i], count[i] = _pooled(values), max(np.isfinite(values).sum() // PHASES - 1, 0)
        return RingNoise(np.where(count >= 2, noise, np.nan), count)


def photometry(
    method: str, psf: PSF, smearing: Any = None, *, smooth: bool = True, n_components: Sequence[int] | None = None
) -> Photometry:
    """Return the way of measuring that has a name, "matched" or "aperture"."""
    if check_choice("method", method, METHODS) == "matched":
        return MatchedPhotometry(psf, smearing, n_components)
    if n_components is not None:
        raise fail("n_components", "left out with method='aperture'", n_components)
    return AperturePhotometry(psf, smooth)


def known_separations(how: Photometry, image: FloatArray, separations: FloatArray | None = None) -> FloatArray:
    """Return separations, (m,) pixels, if the noise is known at all of them.

    By default, those from one FWHM on in steps of a pixel where half of the places or more say what it is.

    Raises
    ------
    ValueError
        If it is not, or they are nearer than one FWHM to the star, or not in growing order.
    """
    if separations is None:
        steps = np.arange(how.psf.fwhm, np.hypot(*image.shape) / 2, 1.0)
        found = how.noise(image, steps)
        steps = steps[np.isfinite(found.noise) & (found.n_test >= resolution_elements(steps, how.psf.fwhm) / 2)]
        return steps if steps.size else _known_or_fail(how, image, np.array([how.psf.fwhm]))
    check_shape("separations", separations, (None,))
    if separations.size == 0 or (np.diff(separations) <= 0).any():
        raise fail("separations", "at least one, in growing order", separations)
    return _known_or_fail(how, image, separations)


def _known_or_fail(how: Photometry, image: FloatArray, separations: FloatArray) -> FloatArray:
    """Return the separations if the noise is known at all of them, or raise and say where it is."""
    far = separations >= how.psf.fwhm * (1 - 1e-9)
    known = far & np.isfinite(how.noise(image, np.where(far, separations, how.psf.fwhm)).noise)
    if known.all():
        return separations
    why = f"one FWHM ({how.psf.fwhm:.3g} pixels) or more from the star, and inside what was reduced and not excluded"
    raise fail("separations", f"{_ranges(how, image)}: {why}", f"{separations[~known][0]:.4g} pixels")


def _ranges(how: Photometry, image: FloatArray) -> str:
    """Return, in words, the separations at which the noise is known."""
    steps = np.arange(how.psf.fwhm, np.hypot(*image.shape) / 2, RANGE_STEP)
    known = np.isfinite(how.noise(image, steps).noise)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int))).reshape(-1, 2)
    parts = [f"[{steps[first]:.4g}, {steps[stop - 1]:.4g}]" for first, stop in ends]
    return f"in {' or '.join(parts)} pixels" if parts else "where the noise is known, which is nowhere"


def without(image: FloatArray, excluded: BoolArray) -> FloatArray:
    """Return an image with pixels missing that are not to be used."""
    return np.where(excluded, np.nan, image)


def _pooled(values: FloatArray) -> float:
    """Return the standard deviation of what is known in each row of (rows, m) values about its own mean."""
    known = np.isfinite(values)
    count = known.sum(axis=1, keepdims=True)
    freedom = int(np.maximum(count - 1, 0).sum())
    if freedom < 1:
        return float("nan")
    mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
    return float(np.sqrt(np.where(known, np.square(values - mean), 0.0).sum() / freedom))


def _smoothed(values: FloatArray, width: int) -> FloatArray:
    """Return evenly spaced values, NaN where missing, smoothed over so many of them; as they are if too few."""
    known = np.isfinite(values)
    window = min(int(known.sum()) - 2, width)
    window += 1 - window % 2
    if window <= SMOOTHING_ORDER:
        return values
    first, last = np.flatnonzero(known)[[0, -1]]
    inner = slice(first, last + 1)
    whole = np.interp(np.arange(first, last + 1), np.flatnonzero(known), values[known])
    out = values.copy()
    out[inner] = signal.savgol_filter(whole, window, SMOOTHING_ORDER, mode="nearest")
    return out


def _shape(image: FloatArray) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
