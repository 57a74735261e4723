"""Signal-to-noise ratios of point sources against apertures at the same separation (Mawet et al. 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import as_mask, check_number, check_shape, fail
from astronmf.imaging.detection.apertures import ApertureMap, aperture_fluxes, ring_angles
from astronmf.imaging.detection.statistics import resolution_elements, two_sample_snr
from astronmf.imaging.detection.statistics import significance as gaussian_significance
from astronmf.imaging.geometry import annulus, center_pixel, radius
from astronmf.imaging.plain import plain_image

__all__ = ["ApertureSNR", "RingStatistics", "ring_statistics", "snr", "snr_map"]

MOST_AT_ONCE = 1_000_000  # apertures


@dataclass(frozen=True)
class ApertureSNR:
    """What apertures say of a source; ``float()`` of it is the signal-to-noise ratio.

    Attributes
    ----------
    snr : float
        ``(x₁ − x̄₂) / (s₂ √(1 + 1/n₂))``; NaN where the source's aperture has a missing pixel, or fewer than two test
        apertures have none.
    significance : float
        The same as a Gaussian deviation of equal false positive probability, in sigma.
    flux : float
        x₁, the sum in the source's aperture.
    background, scatter : float
        x̄₂ and s₂, mean and standard deviation of the sums in the test apertures.
    n_test : int
        n₂, how many test apertures there are.
    """

    snr: float
    significance: float
    flux: float
    background: float
    scatter: float
    n_test: int

    def __float__(self) -> float:
        """Return the signal-to-noise ratio."""
        return self.snr

    @property
    def flux_error(self) -> float:
        """1σ of ``flux − background``: ``s₂ √(1 + 1/n₂)``."""
        return self.scatter * float(np.sqrt(1 + 1 / self.n_test)) if self.n_test else float("nan")


def snr(
    image: Any,
    x: float,
    y: float,
    fwhm: float,
    *,
    center: tuple[float, float] | None = None,
    exclude: Any = None,
    exclude_negative_lobes: bool = False,
    spacing: str = "touching",
) -> ApertureSNR:
    """Return the signal-to-noise ratio of a source at (x, y).

    The flux in an aperture of one FWHM in diameter is compared with those of the apertures that fit beside it at the
    same separation from the star, by the two-sample t test of Mawet et al. (2014, ApJ 792, 97, equation 9).

    Parameters
    ----------
    image : (y, x) array, Quantity, masked array, NDData, CCDData or Reduction
        Starlight subtracted; NaN and masked pixels (`True` = excluded) are missing.
    x, y : float
        0-based pixels.
    fwhm : float
        Of the PSF, pixels.
    center : (x, y), optional
        The star; ``(n_x // 2, n_y // 2)``, as in `Reduction.combined`, by default.
    exclude : (y, x) bool array, optional
        `True` = not to be used by test apertures, such as other companions or a disk.
    exclude_negative_lobes : bool, optional
        Leave out the two test apertures beside the source: there angular differential imaging leaves its negative
        copies.
    spacing : {"touching", "even"}, optional
        Each test aperture touches the next, clockwise from the source, as in VIP; or all are evenly apart.

    Returns
    -------
    ApertureSNR
        Test apertures that are not wholly on valid pixels are not used.

    Raises
    ------
    ValueError
        If (x, y) is outside the image, or nearer to the star than half a FWHM.
    """
    values, _ = plain_image("image", image)
    size = _checked_fwhm(fwhm, values)
    star = _star(center, values)
    place = [
        check_number(name, at, -0.5, n - 0.5) for name, at, n in zip("xy", (x, y), values.shape[::-1], strict=True)
    ]
    right, up = np.array([place[0] - star[0]]), np.array([place[1] - star[1]])
    distance = np.hypot(right, up)
    count = int(resolution_elements(distance[0], size))
    if count == 0:
        found = f"{distance[0]:.3g} pixels from it"
        raise fail("x", f"at least half a FWHM, {size / 2:.3g} pixels, from the star at {star}", found)
    turn = ring_angles(distance, count, size, spacing, flanks=not exclude_negative_lobes)
    around = _around(star, right, up, turn)
    signal = float(aperture_fluxes(values, star[0] + right, star[1] + up, size / 2)[0])
    tests = aperture_fluxes(_without(values, exclude), around[0].ravel(), around[1].ravel(), size / 2)
    n, mean, scatter = (part[0] for part in _moments(tests[None]))
    ratio = two_sample_snr(signal, mean, scatter, n)
    return ApertureSNR(
        float(ratio), float(gaussian_significance(ratio, n)), signal, float(mean), float(scatter), int(n)
    )


def snr_map(
    image: Any,
    fwhm: float,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    *,
    center: tuple[float, float] | None = None,
    exclude: Any = None,
    exclude_negative_lobes: bool = False,
    spacing: str = "touching",
    significance: bool = False,
) -> FloatArray:
    """Return the signal-to-noise ratio of a source at every pixel.

    Parameters
    ----------
    image, fwhm, center, exclude, exclude_negative_lobes, spacing
        As for `snr`.
    inner_radius, outer_radius : float, optional
        Pixels from the star, both included; no limit by default.
    significance : bool, optional
        Return Gaussian deviations of equal false positive probability, in sigma, instead: they can be compared across
        separations.

    Returns
    -------
    (y, x) array
        NaN outside the radii, where an aperture on the pixel has a missing pixel, and where fewer than two test
        apertures have none.

    Notes
    -----
    Sums in apertures between pixels are interpolated (see `ApertureMap`): the map differs from `snr` at the same place
    by less than 1 % where the image is as smooth as a telescope's.
    """
    values, _ = plain_image("image", image)
    size = _checked_fwhm(fwhm, values)
    star = _star(center, values)
    region = annulus(_shape(values), star, inner_radius, outer_radius)
    sums = ApertureMap.of(values, size / 2)
    tests = sums if exclude is None else ApertureMap.of(_without(values, exclude), size / 2)
    found = ring_statistics(sums, tests, region, star, size, spacing, flanks=not exclude_negative_lobes)
    return found.significance if significance else found.snr


class Sampled(Protocol):
    """Anything that has a value at any place of an image."""

    def at(self, x: Any, y: Any) -> FloatArray:
        """Return the values at (x, y), of any shape; NaN where there is none."""
        ...


@dataclass(frozen=True)
class RingStatistics:
    """Each pixel's value against those around the star at its separation.

    Attributes
    ----------
    mean, scatter : (y, x) arrays
        Of the test values.
    n_test : (y, x) array of int
        How many there are.
    snr : (y, x) array
    """

    mean: FloatArray
    scatter: FloatArray
    n_test: IntArray
    snr: FloatArray

    @property
    def significance(self) -> FloatArray:
        """Gaussian deviations of equal false positive probability, in sigma: (y, x)."""
        return np.asarray(gaussian_significance(self.snr, self.n_test))


def ring_statistics(
    values: Sampled,
    tests: Sampled,
    region: BoolArray,
    star: tuple[float, float],
    fwhm: float,
    spacing: str = "touching",
    *,
    flanks: bool = True,
) -> RingStatistics:
    """Compare every pixel of a region with places one FWHM apart on its ring; parameters as of `snr_map`.

    Parameters
    ----------
    values, tests
        What is compared, and with what.
    region : (y, x) bool array
        `True` = wanted.
    star : (x, y)
    fwhm : float
    spacing : {"touching", "even"}
    flanks
        Whether the two places beside a pixel are among those that it is compared with.
    """
    distance = radius(_shape(region), star)
    counts = np.where(region, resolution_elements(distance, fwhm), 0)
    mean, scatter, snr_found = (np.full(region.shape, np.nan) for _ in range(3))
    n_test = np.zeros(region.shape, dtype=int)
    for y, x, count in _chunks(counts):
        turn = ring_angles(distance[y, x], count, fwhm, spacing, flanks=flanks)
        n, mean[y, x], scatter[y, x] = _moments(tests.at(*_around(star, x - star[0], y - star[1], turn)))
        n_test[y, x] = n
        snr_found[y, x] = two_sample_snr(values.at(x, y), mean[y, x], scatter[y, x], n)
    return RingStatistics(mean, scatter, n_test, snr_found)


def _chunks(counts: IntArray) -> Iterator[tuple[IntArray, IntArray, int]]:
    """Yield (y, x) of pixels whose rings hold the same number of apertures, not too many apertures at once."""
    for count in np.unique(counts[counts > 0]):
        y, x = np.nonzero(counts == count)
        most = max(1, MOST_AT_ONCE // int(count))
        for start in range(0, len(y), most):
            yield y[start : start + most], x[start : start + most], int(count)


def _around(
    star: tuple[float, float], right: FloatArray, up: FloatArray, turn: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (x, y) of (m,) offsets from the star turned about it, counter-clockwise by (m, k) angles: (m, k)."""
    cosine, sine = np.cos(turn), np.sin(turn)
    x = star[0] + right[:, None] * cosine - up[:, None] * sine
    y = star[1] + right[:, None] * sine + up[:, None] * cosine
    return x, y


def _moments(fluxes: FloatArray) -> tuple[Any, FloatArray, FloatArray]:
    """Return the number, mean and standard deviation of what is valid in each row of (m, k) fluxes."""
    known = np.isfinite(fluxes)
    n = known.sum(axis=1)
    mean = np.where(known, fluxes, 0.0).sum(axis=1) / np.maximum(n, 1)
    squares = np.square(np.where(known, fluxes - mean[:, None], 0.0)).sum(axis=1)
    scatter = np.sqrt(squares / np.maximum(n - 1, 1))
    return n, np.where(n > 0, mean, np.nan), np.where(n > 1, scatter, np.nan)


def _without(image: FloatArray, exclude: Any) -> FloatArray:
    """Return the image with excluded pixels missing."""
    if exclude is None:
        return image
    mask: BoolArray = as_mask("exclude", exclude)
    check_shape("exclude", mask, image.shape)
    return np.where(mask, np.nan, image)


def _checked_fwhm(fwhm: float, image: FloatArray) -> float:
    return check_number("fwhm", fwhm, 1.0, float(min(image.shape)))


def _star(center: tuple[float, float] | None, image: FloatArray) -> tuple[float, float]:
    """Return where the star is, at the package's own pixel where nothing else is said."""
    x, y = center_pixel(_shape(image)) if center is None else center
    return check_number("center", x), check_number("center", y)


def _shape(image: FloatArray | BoolArray) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
