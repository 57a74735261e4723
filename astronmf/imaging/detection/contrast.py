"""The contrast curve: how faint a companion would be found, at each separation from the star."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import QTable
from scipy.interpolate import PchipInterpolator

from astronmf._typing import FloatArray, IntArray, Progress, no_progress
from astronmf._validation import check_integer, check_number
from astronmf.imaging.detection.baseline import Baseline, star_flux_of
from astronmf.imaging.detection.catalogue import shown_shortly
from astronmf.imaging.detection.photometry import known_separations, photometry, without
from astronmf.imaging.detection.throughput import check_fluxes, spread_angles, throughput_of
from astronmf.imaging.geometry import in_pixels
from astronmf.imaging.psf import PSF
from astronmf.imaging.reduction import Reduction

__all__ = ["contrast_curve"]

LARGEST_SIGMA = 20.0

#: Times the noise: where few places say what that is, the limit is so bright that components would take up all of it.
BRIGHTEST = 20.0


def contrast_curve(
    reduction: Reduction,
    psf: Any,
    *,
    star_flux: Any = None,
    sigma: float = 5.0,
    separations: Any = None,
    method: str = "matched",
    n_components: Sequence[int] | None = None,
    n_position_angles: int = 4,
    flux: Any = None,
    companions: Any = "find",
    exclude: Any = None,
    student: bool = True,
    smooth: bool = True,
    smearing: Any = None,
    warm: bool = False,
    progress: Progress = no_progress,
) -> QTable:
    """Return the faintest companion that would be detected at each separation.

        contrast = τ · noise / throughput / star flux,    τ = t⁻¹(Φ(−σ); n₂ − 1) √(1 + 1/n₂)

    The noise is the scatter of a companion's flux over the position angles of a separation; the throughput, what is
    found of companions that are put into the frames and reduced with them; τ, what few places at a separation ask for
    (Mawet et al. 2014, ApJ 792, 97, equation 10).

    Parameters
    ----------
    reduction : Reduction
        Of any mode; read from a file, of any but "ardi".
    psf : PSF, or anything that `PSF.of` takes
        Of the star, in the detector's orientation, unsaturated.
    star_flux : float or Quantity, optional
        Total flux of the star in the science frames' unit and for their exposure, on the same scale as `PSF.flux`: the
        sum over the stamp. That of the PSF by default, if it has a unit and this can be converted to the frames'.
    sigma : float
        Of a Gaussian: 5 stands for a false positive probability of 2.9e-7 at every separation.
    separations : (m,) array or Quantity, optional
        Pixels from the star, or an angle where the pixel scale is known. From one FWHM on in steps of a pixel, as far
        as the noise is known, by default.
    method : {"matched", "aperture"}
        What measures a flux. "matched": the matched filter along the companion's track, which knows what the reduction
        does to it (see `matched_filter`); n₂ is one less than the places one FWHM apart at a separation, as
        `find_companions` judges. "aperture": sums in apertures of one FWHM in diameter on the combined image; n₂ is the
        number of those at a separation, as in VIP.
    n_components : sequence of int, optional
        Numbers of components that the matched filter is averaged over, see `matched_filter`; `warm` must be `False`.
    n_position_angles : int
        At which companions are put in, one after the other.
    flux : float, (m,) array or Quantity, optional
        Total flux of those companions, one or for each separation. ``τ · noise`` by default, what would just be
        detected if nothing of it were lost, and no more than 20 times the noise, which τ is where five places say what
        that is. A much brighter companion loses more of itself to the components.
    companions : "find", None, list of Companion, or table of `companion_table`
        Those in the data; they are taken off before anything is measured, and what is within one FWHM of them is no
        noise. "find": those that `find_companions` finds.
    exclude : (y, x) bool array, optional
        `True` = no noise: a disk, for instance. On the pixels of `Reduction.combined`, north up.
    student : bool
        Whether τ is for small samples; σ otherwise.
    smooth : bool
        Whether the noise of apertures is made a smooth function of separation, as in VIP.
    smearing : float, (n,) array or "angles", optional
        Rotation within each exposure, degrees; see `inject`.
    warm : bool
        Whether builds start from the components that are there; see `Reduction.again`. Quicker.
    progress
        Called as ``progress(done, total, what)``.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each separation:

        - ``separation``: pixels, and ``separation_angle``: arcseconds, where the pixel scale is known;
        - ``contrast``, and ``contrast_gaussian``, with σ instead of τ;
        - ``flux_limit``: total flux, contrast times the star's;
        - ``noise``: 1σ of a total flux, before the throughput;
        - ``throughput``, ``throughput_error``: means over position angles, and 1σ of them from their scatter, measured
          about one FWHM apart and interpolated between;
        - ``injected_flux``: of the companions that the throughput was measured with;
        - ``n_test``: n₂.

        Contrasts are NaN where nothing of a companion is found again. ``meta`` says how everything was measured.

    Raises
    ------
    ValueError
        If a separation is nearer than one FWHM or where the noise is not known; the star's flux is needed; the PSF is
        larger than the frames; or the reduction cannot be repeated, because it is one of mode "ardi" from a file.

    Notes
    -----
    The throughput is that of companions of ``injected_flux``. Where it is small, the limit is much brighter, and loses
    more: ``flux=curve["flux_limit"]``, with the same separations, measures it at the limit. `completeness_map` makes no
    such assumption.
    """
    check_number("sigma", sigma, np.nextafter(0, 1), LARGEST_SIGMA)
    check_integer("n_position_angles", n_position_angles, 1)
    point = PSF.of(psf)
    how = photometry(method, point, smearing, smooth=smooth, n_components=n_components)
    star, origin = star_flux_of(star_flux, point, reduction)
    base = Baseline.of(reduction, point, companions=companions, exclude=exclude, smearing=smearing, progress=progress)
    image = without(how.image(base.reduction), base.excluded)
    rings = known_separations(how, image, _in_pixels(separations, reduction))
    noise = how.noise(image, rings)
    usual = np.minimum(noise.limit(sigma), BRIGHTEST * noise.noise)
    put_in = usual if flux is None else check_fluxes(flux, rings, reduction)
    knots = knots_of(rings, point.fwhm)
    angles = spread_angles(len(knots), n_position_angles)
    measured = throughput_of(base, how, rings[knots], angles, put_in[knots], warm=warm, progress=progress)
    kept, error = (between(rings[knots], part, rings) for part in (measured.mean, measured.error))
    table = base.table(rings, star, origin)
    limits = {"contrast": noise.limit(sigma, student=student), "contrast_gaussian": noise.limit(sigma, student=False)}
    usable = star * np.where(kept > 0, kept, np.nan)
    for name, limit in limits.items():
        table[name] = limit / usable
    unit = 1 if reduction.unit is None else reduction.unit
    table["flux_limit"], table["noise"] = star * table["contrast"] * unit, noise.noise * unit
    table["throughput"], table["throughput_error"] = kept, error
    table["injected_flux"] = put_in * unit
    table["n_test"] = noise.n_test
    table.meta |= {"sigma": float(sigma), "student": bool(student), "method": method, **how.about}
    table.meta |= {"n_position_angles": n_position_angles, "warm": bool(warm), "throughput_at": rings[knots].tolist()}
    return shown_shortly(table)


def knots_of(separations: FloatArray, fwhm: float) -> IntArray:
    """Return the indices of separations, (m,), the first and the last among them, that are about one FWHM apart."""
    count = int(np.ceil((separations[-1] - separations[0]) / fwhm)) + 1
    wanted = np.linspace(separations[0], separations[-1], count)
    return np.unique(np.abs(separations[:, None] - wanted).argmin(axis=0))


def between(knots: FloatArray, values: FloatArray, separations: FloatArray) -> FloatArray:
    """Return values that are known at knots, (k,), at separations, (m,): a curve without peaks of its own.

    NaN outside the knots that have a value.
    """
    known = np.isfinite(values)
    if known.sum() < 2:
        return np.asarray(np.interp(separations, knots, values, np.nan, np.nan))
    return np.asarray(PchipInterpolator(knots[known], values[known], extrapolate=False)(separations))


def _in_pixels(separations: Any, reduction: Reduction) -> FloatArray | None:
    """Return separations in pixels, (m,), if there are any."""
    if separations is None:
        return None
    return np.atleast_1d(in_pixels("separations", separations, reduction.science.geometry.pixel_scale))
