"""The flux and the place of a companion, by forward modelling on a reduction and by reducing again without it.

To first order a reduction leaves ``flux · FM(x, y)`` of a companion in the residuals. Flux and place are fitted to
them by least squares, with the derivatives of FM by those of the source; the fit needs no reduction. Then the source
that was found is taken from the data, which are reduced again: what is left of it corrects flux and place, until
nothing is left. At the end the components have never seen the companion.

The errors are those of the noise that there is, not only of what the weights know: fluxes of the matched filter at the
other position angles of the same separation, the companion taken off, scatter by so much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable

from astronmf._typing import FloatArray, Progress, no_progress
from astronmf._validation import check_integer, check_number, fail
from astronmf.exceptions import ConvergenceWarning, warn
from astronmf.imaging.detection.catalogue import shown_shortly
from astronmf.imaging.detection.fitting import Fitter, Noise, Place
from astronmf.imaging.detection.matched import MatchedFilter, filtered, matched_filter
from astronmf.imaging.detection.point_response import PointResponse
from astronmf.imaging.geometry import in_degrees, in_pixels, polar, radius, sky_position
from astronmf.imaging.plain import values_in
from astronmf.imaging.psf import PSF
from astronmf.imaging.reduction import Reduction

__all__ = ["Companion", "can_reduce_again", "check_again", "companion_of", "companion_table", "fit_companion"]

NOTHING_LEFT = 0.05  # of the flux's error: what ends the reducing again
LEAST_SNR = 3.0  # of a source whose place can be fitted


@dataclass(frozen=True)
class Companion:
    """A point source next to the star.

    Attributes
    ----------
    x, y : float
        On the north-up image, 0-based pixels.
    separation, position_angle : float
        Pixels from the star, and degrees east of north.
    position_error : float
        1σ along each axis, pixels; NaN where the place was not fitted.
    flux, flux_error : float
        Total flux, the sum over the PSF's stamp, in the science frames' unit.
    peak : float
        Of the source, one pixel.
    aperture_flux : float
        Of the source, in an aperture of one FWHM in diameter.
    snr, significance : float
        Flux over its error; and in Gaussian sigma of equal false positive probability (Mawet+ 2014).
    n_test : int
        Places at the same separation that the error comes from.
    forward_flux : float
        By forward modelling alone, before anything was reduced again.
    n_reductions : int
        How often the data less the source were reduced again.
    flux_left : float
        What the last of these still showed of the source; NaN if there was none.
    """

    x: float
    y: float
    separation: float
    position_angle: float
    position_error: float
    flux: float
    flux_error: float
    peak: float
    aperture_flux: float
    snr: float
    significance: float
    n_test: int
    forward_flux: float
    n_reductions: int = 0
    flux_left: float = float("nan")

    @property
    def position_angle_error(self) -> float:
        """1σ of the position angle, degrees."""
        return float(np.rad2deg(self.position_error / self.separation)) if self.separation > 0 else float("nan")

    def image(self, reduction: Reduction, psf: Any, *, smearing: Any = None) -> FloatArray:
        """Return what the combined image of a reduction shows of it.

        Parameters
        ----------
        reduction : Reduction
        psf, smearing
            As for `fit_companion`.

        Returns
        -------
        (y, x) array
            In the reduction's unit; NaN where `Reduction.combined` is.
        """
        source = Fitter(reduction, PSF.of(psf).normalized, smearing).source(self.x, self.y)
        without = reduction.residuals - self.flux * reduction.remaining(source)
        return np.asarray(reduction.combined - reduction.combine_frames(without, without).image)


def fit_companion(
    reduction: Reduction,
    psf: Any,
    separation: Any,
    position_angle: Any,
    *,
    smearing: Any = None,
    max_reductions: int = 5,
    warm: bool = True,
    progress: Progress = no_progress,
) -> Companion:
    """Measure a companion: its flux and place, with errors.

    Parameters
    ----------
    reduction : Reduction
        Of any mode.
    psf : PSF, or anything that `PSF.of` takes
        Of the star, in the detector's orientation. Only its shape matters.
    separation, position_angle : float or Quantity
        About where it is, within a FWHM: pixels (or an angle on the sky) from the star, degrees east of north. The
        brightest source there is fitted; where none stands out of the noise, the flux at this very place is measured.
    smearing : float, (n,) array or "angles", optional
        Rotation within each exposure, degrees; see `inject`.
    max_reductions : int
        How often, at most, the data less the source are reduced again, to check and to correct the forward model. 0:
        forward modelling alone, which takes no reduction.
    warm : bool
        Whether those reductions start from the components that are there; see `Reduction.again`.
    progress

    Returns
    -------
    Companion

    Raises
    ------
    ValueError
        If the place is outside what was reduced, or the data cannot be reduced again.

    Warns
    -----
    ConvergenceWarning
        If nothing stands out near the place, or something is still left after the last reduction.
    """
    check_again(reduction, max_reductions)
    point = PSF.of(psf)
    response = PointResponse.of(reduction, point, smearing)
    fitter = Fitter(reduction, response.psf, smearing)
    place, noise = _first_look(response, fitter, _start(reduction, separation, position_angle))
    first, left, done = place.flux, float("nan"), 0
    for done in range(1, max_reductions + 1):
        without = reduction.science.data - place.flux * fitter.source(place.x, place.y)
        again = reduction.again(reduction.science.replace_data(without), warm=warm)
        better = replace(fitter, reduction=again).fit(again.residuals, place)
        noise = Noise.of(matched_filter(again, point, smearing=smearing), better)
        left, place = better.flux - place.flux, better
        progress(done, max_reductions, "reductions without the companion")
        if abs(left) < NOTHING_LEFT * noise.error_of(place):
            break
    else:
        if max_reductions:
            msg = f"after {done} reductions without the companion, {left:.3g} of its flux of {place.flux:.3g} is left"
            warn(msg, ConvergenceWarning)
    return companion_of(place, point, reduction, noise, forward_flux=first, n_reductions=done, flux_left=left)


def _first_look(response: PointResponse, fitter: Fitter, start: tuple[float, float]) -> tuple[Place, Noise]:
    """Return a source near a place, by forward modelling, and the noise there; at that place where none stands out."""
    map_ = filtered(response, fitter.reduction.residuals)
    near = _peak(map_, start)
    if near is not None:
        place = fitter.first(near)
        noise = Noise.of(filtered(response, fitter.reduction.residuals - fitter.trace(place)), place)
        if not place.fixed and not place.flux < LEAST_SNR * noise.error_of(place):
            return place, noise
    where = f"({start[0]:.1f}, {start[1]:.1f})"
    msg = f"nothing within a FWHM of {where} stands out by {LEAST_SNR:g} sigma: its flux is measured at that place"
    warn(msg, ConvergenceWarning)
    place = fitter.at(start)
    return place, Noise.of(filtered(response, fitter.reduction.residuals - fitter.trace(place)), place)


def _peak(map_: MatchedFilter, start: tuple[float, float]) -> tuple[float, float] | None:
    """Return (x, y) of the pixel within one FWHM of a place that a source there explains most at; `None`: nothing."""
    near = radius((map_.flux.shape[0], map_.flux.shape[1]), start) <= map_.fwhm
    gain = np.where(near & (map_.flux > 0), map_.flux * np.sqrt(map_.information), 0.0)
    y, x = np.unravel_index(int(np.argmax(gain)), gain.shape)
    return (float(x), float(y)) if gain[y, x] > 0 else None


def can_reduce_again(reduction: Reduction) -> bool:
    """Return whether all that a reduction was made from is there: a file does not hold the reference frames."""
    return reduction.recipe.mode != "ardi" or reduction.references is not None


def check_again(reduction: Reduction, max_reductions: int) -> None:
    """Raise unless a reduction can be made again so often."""
    if check_integer("max_reductions", max_reductions, 0) and not can_reduce_again(reduction):
        found = f"{max_reductions}; a file of a reduction does not hold them: reduce again from the frames"
        raise fail("max_reductions", "0 where the frames of the reference stars are not there", found)


def companion_of(place: Place, psf: PSF, reduction: Reduction, noise: Noise, **about: Any) -> Companion:
    """Return what is known of a companion; `about` gives the attributes of `Companion` that are not found here."""
    unit = psf.normalized
    separation, angle = polar(reduction.center, place.x, place.y)
    return Companion(
        x=place.x,
        y=place.y,
        separation=float(separation),
        position_angle=float(angle),
        position_error=place.position_error * noise.error * float(np.sqrt(place.curvature)),
        flux=place.flux,
        flux_error=noise.error,
        peak=place.flux * unit.peak,
        aperture_flux=place.flux * unit.aperture_flux(psf.fwhm / 2),
        snr=noise.snr(place.flux),
        significance=noise.significance(place.flux),
        n_test=noise.n_test,
        **about,
    )


def companion_table(companions: list[Companion], reduction: Reduction, star_flux: Any = None) -> QTable:
    """Return a row for each companion; without a single one, the same columns.

    Parameters
    ----------
    companions
    reduction
        Whose unit, pixel scale and star they belong to.
    star_flux : float or Quantity, optional
        Total flux of the star; adds ``contrast`` and ``contrast_error``.

    Returns
    -------
    `~astropy.table.QTable`
        ``id`` from 1; ``x``, ``y``, ``position_error``, ``separation`` and its error in pixels; ``separation_angle``
        and its error in arcseconds where the pixel scale is known; ``position_angle`` and its error in degrees east of
        north; ``flux``, ``flux_error``, ``peak``, ``aperture_flux``; ``snr``, ``significance``, ``n_test``;
        ``forward_flux``, ``flux_left``, ``n_reductions``; as of `Companion`.

    Raises
    ------
    ValueError
        If `star_flux` is not above 0.
    """

    def column(name: str, unit: u.UnitBase | None = None) -> Any:
        values = np.array([getattr(companion, name) for companion in companions], dtype=float)
        return values if unit is None else values * unit

    table = QTable({"id": np.arange(1, len(companions) + 1)})
    for name in ("x", "y", "position_error", "separation"):
        table[name] = column(name, u.pix)
    table["separation_error"] = column("position_error", u.pix)
    scale = reduction.science.geometry.pixel_scale
    if scale is not None:
        table["separation_angle"] = column("separation") * scale * u.arcsec
        table["separation_angle_error"] = column("position_error") * scale * u.arcsec
    table["position_angle"] = column("position_angle", u.deg)
    table["position_angle_error"] = column("position_angle_error", u.deg)
    for name in ("flux", "flux_error", "peak", "aperture_flux"):
        table[name] = column(name, reduction.unit)
    if star_flux is not None:
        star = check_number("star_flux", float(values_in("star_flux", star_flux, reduction.unit)), np.nextafter(0, 1))
        table["contrast"], table["contrast_error"] = column("flux") / star, column("flux_error") / star
    for name in ("snr", "significance"):
        table[name] = column(name)
    for name in ("forward_flux", "flux_left"):
        table[name] = column(name, reduction.unit)
    for name in ("n_test", "n_reductions"):
        table[name] = column(name).astype(int)
    table.meta["center"] = list(reduction.center)
    return shown_shortly(table)


def _start(reduction: Reduction, separation: Any, position_angle: Any) -> tuple[float, float]:
    """Return (x, y) of a place on the north-up image, which must be where something was reduced."""
    distance = float(in_pixels("separation", separation, reduction.science.geometry.pixel_scale))
    shape = reduction.combined.shape[0], reduction.combined.shape[1]
    x, y = sky_position(shape, distance, float(in_degrees("position_angle", position_angle)))
    column, row = round(x), round(y)
    inside = 0 <= column < shape[1] and 0 <= row < shape[0]
    if not inside or not np.isfinite(reduction.combined[row, column]):
        raise fail("separation", "inside what was reduced", f"{distance:.4g} pixels at {position_angle} degrees")
    return x, y
