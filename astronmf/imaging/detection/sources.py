"""A list of the point sources that stand out of an image."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from astropy.table import QTable
from photutils.detection import find_peaks
from photutils.utils.exceptions import NoDetectionsWarning
from scipy import stats

from astronmf._typing import FloatArray
from astronmf._validation import check_number, check_shape, fail
from astronmf.imaging.detection.catalogue import Source, source_table
from astronmf.imaging.detection.signal_to_noise import snr, snr_map
from astronmf.imaging.gaussian import GaussianFit, fit_gaussian
from astronmf.imaging.geometry import annulus, center_pixel, radius
from astronmf.imaging.plain import plain_image
from astronmf.imaging.psf import PSF

__all__ = ["detect"]


def detect(
    image: Any,
    psf: Any = None,
    fwhm: float | None = None,
    *,
    threshold: float = 5.0,
    detection_map: Any = None,
    inner_radius: float | None = None,
    outer_radius: float | None = None,
    center: tuple[float, float] | None = None,
    pixel_scale: float | None = None,
    exclude: Any = None,
    exclude_negative_lobes: bool = False,
) -> QTable:
    """Return the point sources that are above a threshold, the most significant first.

    Parameters
    ----------
    image : (y, x) array, Quantity, masked array, NDData, CCDData or Reduction
        North up, starlight subtracted; NaN and masked pixels (`True` = excluded) are missing.
    psf : PSF, or what `PSF.of` takes, optional
        Corrects fluxes for the light outside the aperture, and says how wide a source is.
    fwhm : float, optional
        Of a source, pixels; that of `psf` by default. One of the two must be given.
    threshold : float, optional
        In sigma: the Gaussian deviation of equal false positive probability, whatever the separation.
    detection_map : (y, x) array, optional
        A map in sigma to look for peaks in, such as that of a matched filter; `snr_map` with ``significance=True`` by
        default.
    inner_radius, outer_radius : float, optional
        Pixels from the star, both included; no limit by default.
    center : (x, y), optional
        The star; ``(n_x // 2, n_y // 2)``, as in `Reduction.combined`, by default.
    pixel_scale : float, optional
        Arcseconds a pixel; that of a `Reduction` by default.
    exclude : (y, x) bool array, optional
        `True` = not to be used by test apertures, such as a disk or other companions: of two of the same brightness at
        the same separation, neither stands out of the other.
    exclude_negative_lobes : bool, optional
        As for `snr`.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each source:

        - ``id``, from 1;
        - ``x``, ``y``, ``position_error``: of a Gaussian fitted to the image, and 1σ along each axis, 0-based pixels;
        - ``refined``: whether that fit succeeded; if not, the place is that of the peak's pixel;
        - ``separation``, ``separation_error``: pixels, and ``separation_angle``, ``separation_angle_error`` where the
          pixel scale is known: arcseconds;
        - ``position_angle``, ``position_angle_error``: degrees east of north;
        - ``flux``, ``flux_error``: above the mean of the test apertures; in the aperture, or with a PSF in total;
        - ``snr``, ``significance``, ``n_test``: as of `ApertureSNR`, at (x, y);
        - ``peak``: the value of the map that passed the threshold.

        ``meta`` says what was searched, how, and how many false positives Gaussian noise would leave.

    Raises
    ------
    ValueError
        If neither `psf` nor `fwhm` is given, or the map's shape is not the image's.

    Notes
    -----
    Peaks are maxima within one FWHM; of sources that come within one FWHM of each other the more significant is kept.

    The position error is the bound for a Gaussian PSF in white noise, ``σ_x = √2 σ_PSF / (S/N)`` with
    ``σ_PSF = FWHM / (2 √(2 ln 2))``. It leaves out the errors of the star's position, the pixel scale and the angles.
    Fluxes are as the image shows them: what a reduction has taken from a source is not put back.
    """
    values, unit = plain_image("image", image)
    point = None if psf is None else PSF.of(psf)
    size = _width(point, fwhm, values)
    check_number("threshold", threshold)
    star = center_pixel(_shape(values)) if center is None else center
    how = {"center": star, "exclude": exclude, "exclude_negative_lobes": exclude_negative_lobes}
    if detection_map is None:
        sigma = snr_map(values, size, inner_radius, outer_radius, significance=True, **how)
    else:
        sigma, _ = plain_image("detection_map", detection_map)
        check_shape("detection_map", sigma, values.shape)
    region = annulus(_shape(values), star, inner_radius, outer_radius) & (radius(_shape(values), star) >= size / 2)
    searched = np.where(region, sigma, np.nan)
    found = [_measured(values, peak, size, how) for peak in _peaks(searched, threshold, size)]
    correction = 1.0 if point is None else point.flux / point.aperture_flux(size / 2)
    scale = _pixel_scale_of(image) if pixel_scale is None else pixel_scale
    table = source_table(_merged(found, size), star, size, correction=correction, unit=unit, pixel_scale=scale)
    table.meta |= {
        "threshold": float(threshold),
        "fwhm": size,
        "center": [float(star[0]), float(star[1])],
        "aperture_radius": size / 2,
        "aperture_correction": float(correction),
        "searched_pixels": int(np.isfinite(searched).sum()),
        "expected_false_positives": _false_positives(searched, threshold, size),
    }
    return table


def _width(psf: PSF | None, fwhm: float | None, image: FloatArray) -> float:
    """Return how wide a source is, in pixels."""
    if fwhm is None:
        if psf is None:
            raise fail("fwhm", "given where 'psf' is not", "None")
        fwhm = psf.fwhm
    return check_number("fwhm", fwhm, 1.0, float(min(image.shape)))


def _pixel_scale_of(image: Any) -> float | None:
    """Return the pixel scale of a `Reduction`, `None` for anything else."""
    return image.science.geometry.pixel_scale if hasattr(image, "science") else None


def _false_positives(searched: FloatArray, threshold: float, fwhm: float) -> float:
    """Return how many resolution elements of Gaussian noise are above the threshold on average."""
    elements = np.isfinite(searched).sum() / (np.pi * (fwhm / 2) ** 2)
    return float(stats.norm.sf(threshold) * elements)


def _peaks(sigma: FloatArray, threshold: float, fwhm: float) -> list[tuple[int, int, float]]:
    """Return (x, y, value) of the maxima within one FWHM that are above the threshold, the highest first."""
    unknown = ~np.isfinite(sigma)
    if unknown.all():
        return []
    reach = int(np.ceil(fwhm))
    nearby = radius((2 * reach + 1, 2 * reach + 1), (reach, reach)) <= fwhm
    lowest = float(sigma[~unknown].min())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        found = find_peaks(np.where(unknown, lowest, sigma), threshold, footprint=nearby, mask=unknown)
    if found is None:
        return []
    peaks = [(int(row["x_peak"]), int(row["y_peak"]), float(row["peak_value"])) for row in found]
    return sorted(peaks, key=lambda peak: -peak[2])


def _measured(image: FloatArray, peak: tuple[int, int, float], fwhm: float, how: dict[str, Any]) -> Source:
    """Return the source at a peak: its place from a fit to the image, or the pixel where that fails."""
    x, y, height = peak
    fit = fit_gaussian(image, x, y, fwhm)
    if fit is not None and np.hypot(fit.x - x, fit.y - y) <= fwhm and _is_on(image, fit, fwhm, how["center"]):
        aperture = snr(image, fit.x, fit.y, fwhm, **how)
        if np.isfinite(aperture.flux):
            return Source(fit.x, fit.y, refined=True, peak=height, aperture=aperture)
    return Source(float(x), float(y), refined=False, peak=height, aperture=snr(image, x, y, fwhm, **how))


def _is_on(image: FloatArray, fit: GaussianFit, fwhm: float, star: tuple[float, float]) -> bool:
    """Return whether a place is on the image and far enough from the star for test apertures."""
    inside = 0 <= fit.x <= image.shape[1] - 1 and 0 <= fit.y <= image.shape[0] - 1
    return inside and bool(np.hypot(fit.x - star[0], fit.y - star[1]) >= fwhm / 2)


def _merged(sources: list[Source], fwhm: float) -> list[Source]:
    """Return the sources, the highest first, without those within one FWHM of a higher one."""
    kept: list[Source] = []
    for source in sources:
        if all(np.hypot(source.x - other.x, source.y - other.y) > fwhm for other in kept):
            kept.append(source)
    return kept


def _shape(image: FloatArray) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
