"""The table that detected sources are listed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma
from astropy.table import QTable

from astronmf._typing import FloatArray
from astronmf._validation import check_number
from astronmf.imaging.detection.signal_to_noise import ApertureSNR
from astronmf.imaging.geometry import polar

__all__ = ["Source", "position_error", "shown_shortly", "source_table", "with_error"]

SMALLEST_PLAIN, LARGEST_PLAIN = -3, 5  # powers of ten that are written out
FORMAT = ".6g"  # of numbers on the screen; files have them to the last digit


@dataclass(frozen=True)
class Source:
    """A peak of a map, its place on the image, and what apertures say of it there.

    Attributes
    ----------
    x, y : float
        0-based pixels.
    refined : bool
        Whether the place is that of a fit, not of a pixel.
    peak : float
        The map's value.
    aperture : ApertureSNR
    """

    x: float
    y: float
    refined: bool
    peak: float
    aperture: ApertureSNR


def position_error(snr: Any, fwhm: float) -> FloatArray:
    """Return 1σ of a place along one axis, in pixels: ``√2 σ_PSF / (S/N)``, NaN where S/N is not above 0."""
    ratio = np.asarray(snr, dtype=np.float64)
    sigma = fwhm * gaussian_fwhm_to_sigma
    return np.asarray(np.divide(np.sqrt(2) * sigma, ratio, out=np.full(ratio.shape, np.nan), where=ratio > 0))


def source_table(
    sources: list[Source],
    star: tuple[float, float],
    fwhm: float,
    *,
    correction: float = 1.0,
    unit: u.UnitBase | None = None,
    pixel_scale: float | None = None,
) -> QTable:
    """Return a row for each source, in the order given; without a single one, the same columns.

    Parameters
    ----------
    sources : list of Source
    star : (x, y)
        0-based pixels.
    fwhm : float
        Of a source, pixels.
    correction : float
        Total flux over flux in the aperture.
    unit : astropy unit, optional
        Of the fluxes.
    pixel_scale : float, optional
        Arcseconds a pixel.
    """
    x, y, peak = (np.array([getattr(source, name) for source in sources], float) for name in ("x", "y", "peak"))
    ratio, sigma, flux, error = (
        np.array([getattr(source.aperture, name) for source in sources], float)
        for name in ("snr", "significance", "flux", "flux_error")
    )
    background = np.array([source.aperture.background for source in sources], float)
    shift = position_error(ratio, fwhm)
    separation, angle = polar(star, x, y)
    table = QTable({"id": np.arange(1, len(sources) + 1), "x": x * u.pix, "y": y * u.pix})
    table["position_error"] = shift * u.pix
    table["refined"] = np.array([source.refined for source in sources], bool)
    table["separation"], table["separation_error"] = separation * u.pix, shift * u.pix
    if pixel_scale is not None:
        scale = check_number("pixel_scale", pixel_scale, np.nextafter(0, 1)) * u.arcsec
        table["separation_angle"], table["separation_angle_error"] = separation * scale, shift * scale
    table["position_angle"], table["position_angle_error"] = angle * u.deg, np.rad2deg(shift / separation) * u.deg
    table["flux"], table["flux_error"] = _in(unit, (flux - background) * correction), _in(unit, error * correction)
    table["snr"], table["significance"], table["peak"] = ratio, sigma, peak
    table["n_test"] = np.array([source.aperture.n_test for source in sources], int)
    return shown_shortly(table)


def _in(unit: u.UnitBase | None, values: FloatArray) -> Any:
    return values if unit is None else values * unit


def with_error(value: float, error: float) -> str:
    """Return a value and its error in words, to two digits of the error; the value alone where that is not known."""
    if not (np.isfinite(error) and error > 0):
        return f"{value:.4g}"
    exponent = int(np.floor(np.log10(max(abs(value), error))))
    power = 0 if SMALLEST_PLAIN <= exponent <= LARGEST_PLAIN else exponent
    digits = max(0, 1 - int(np.floor(np.log10(error))) + power)
    both = f"{value / 10.0**power:.{digits}f} ± {error / 10.0**power:.{digits}f}"
    return both if power == 0 else f"({both})e{power}"


def shown_shortly(table: QTable) -> QTable:
    """Return a table that shows few digits of its numbers on the screen; files have them to the last."""
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.info.format = FORMAT
    return table
