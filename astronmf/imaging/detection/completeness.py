"""Completeness: which share of companions of some contrast would be found, at some separation from the star."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import QTable
from scipy.optimize import isotonic_regression

from astronmf._typing import BoolArray, FloatArray, Progress, no_progress
from astronmf._validation import as_real_array, check_integer, check_number, check_shape, fail
from astronmf.imaging.detection.baseline import Baseline, star_flux_of
from astronmf.imaging.detection.catalogue import shown_shortly
from astronmf.imaging.detection.matched import MatchedFilter, matched_filter
from astronmf.imaging.detection.photometry import MatchedPhotometry, known_separations, without
from astronmf.imaging.detection.throughput import APART, injected, spread_angles
from astronmf.imaging.geometry import in_pixels, radius
from astronmf.imaging.psf import PSF
from astronmf.imaging.reduction import Reduction

__all__ = ["completeness_map", "contrast_at"]

#: Contrasts that are tried by default, relative to the contrast curve at the separation.
LEVELS = np.geomspace(0.5, 2.0, 5)

#: Shares of companions whose contrasts the table has columns for.
SHARES = (0.50, 0.95)


def completeness_map(
    reduction: Reduction,
    psf: Any,
    *,
    star_flux: Any = None,
    contrasts: Any = None,
    separations: Any = None,
    threshold: float = 5.0,
    n_position_angles: int = 8,
    companions: Any = "find",
    exclude: Any = None,
    smearing: Any = None,
    warm: bool = True,
    progress: Progress = no_progress,
) -> QTable:
    """Put companions into the frames, reduce them, and count those that are detected.

    A companion is detected if the matched filter, within one FWHM of where it was put, is `threshold` or more above the
    noise of that separation, in Gaussian sigma of equal false positive probability. The noise is that of the data
    without it, as `find_companions` takes a companion off before it judges.

    Parameters
    ----------
    reduction, psf, star_flux, companions, exclude, smearing, progress
        As for `contrast_curve`.
    contrasts : (c,) array, optional
        Companion over star, in growing order, the same at all separations. By default five at each separation, from
        half to twice what the noise of the matched filter alone lets expect.
    separations : (m,) array or Quantity, optional
        Pixels from the star, or an angle where the pixel scale is known, in growing order; 1.25 FWHM apart by default.
    threshold : float
        In sigma.
    n_position_angles : int
        Companions for each contrast and separation.
    warm : bool
        Whether builds start from the components that are there; see `Reduction.again`.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each separation:

        - ``separation``: pixels, and ``separation_angle``: arcseconds, where the pixel scale is known;
        - ``contrast``, ``completeness``, ``n_detected``, ``n_injected``: of c contrasts each, (c,). Companions where
          the matched filter has no value are not counted;
        - ``contrast_50``, ``contrast_95``: the contrast from which on 50 % and 95 % are detected (see `contrast_at`),
          NaN where that is not among those tried.

    Raises
    ------
    ValueError
        As of `contrast_curve`, and if contrasts are not above 0 and growing.
    """
    check_number("threshold", threshold, 1.0)
    check_integer("n_position_angles", n_position_angles, 1)
    given = _growing("contrasts", LEVELS if contrasts is None else contrasts)
    point = PSF.of(psf)
    star, origin = star_flux_of(star_flux, point, reduction)
    base = Baseline.of(reduction, point, companions=companions, exclude=exclude, smearing=smearing, progress=progress)
    empty = matched_filter(base.reduction, point, smearing=smearing)
    how, noise = MatchedPhotometry(point, smearing), without(empty.flux, base.excluded)
    rings = _separations(separations, how, noise, reduction)
    levels = np.tile(given, (len(rings), 1))
    if contrasts is None:
        levels = how.noise(noise, rings).limit(threshold)[:, None] / star * LEVELS
    judge = _Judge(base, empty, threshold)
    found, count = judge.counts(rings, levels * star, n_position_angles, warm=warm, progress=progress)
    share = np.divide(found, count, out=np.full(found.shape, np.nan), where=count > 0)
    table = base.table(rings, star, origin)
    table["contrast"], table["completeness"], table["n_detected"], table["n_injected"] = levels, share, found, count
    for wanted in SHARES:
        table[f"contrast_{100 * wanted:.0f}"] = [
            contrast_at(wanted, *row) for row in zip(levels, found, count, strict=True)
        ]
    table.meta |= {"threshold": float(threshold), "n_position_angles": n_position_angles, "warm": bool(warm)}
    return shown_shortly(table)


def contrast_at(share: float, contrasts: FloatArray, found: FloatArray, count: FloatArray) -> float:
    """Return the contrast from which on a share of the companions is detected.

    Brighter companions are not detected less often: where the counts say so, they are averaged (isotonic regression,
    weighted by the numbers injected). Between two contrasts the share is linear in the logarithm of the contrast.

    Parameters
    ----------
    share : float
        0 to 1.
    contrasts : (c,) array
        Growing.
    found, count : (c,) arrays
        Detected and injected.

    Returns
    -------
    float
        NaN if the share is exceeded at all contrasts, or at none.
    """
    known = count > 0
    if known.sum() < 2:
        return float("nan")
    shares = isotonic_regression(found[known] / count[known], weights=count[known].astype(np.float64)).x
    reached = np.flatnonzero(shares >= share)
    if reached.size == 0 or reached[0] == 0:
        return float("nan")
    i, logs = int(reached[0]), np.log(contrasts[known])
    part = (share - shares[i - 1]) / (shares[i] - shares[i - 1])
    return float(np.exp(logs[i - 1] + part * (logs[i] - logs[i - 1])))


@dataclass(frozen=True)
class _Judge:
    """Which companions are detected.

    Attributes
    ----------
    base : Baseline
    empty : MatchedFilter
        Without companions.
    threshold : float
    """

    base: Baseline
    empty: MatchedFilter
    threshold: float

    def counts(
        self, separations: FloatArray, fluxes: FloatArray, n_angles: int, *, warm: bool, progress: Progress
    ) -> tuple[FloatArray, FloatArray]:
        """Return how many companions are detected, and how many were put in: (m, c), of (m, c) fluxes."""
        angles = spread_angles(len(separations), n_angles)
        found, count = np.zeros(fluxes.shape, dtype=int), np.zeros(fluxes.shape, dtype=int)
        for level in range(fluxes.shape[1]):
            counted = _continued(progress, level, fluxes.shape[1])
            for rows, column, after in injected(
                self.base, separations, angles, fluxes[:, level], warm=warm, progress=counted
            ):
                x, y = self.base.places(separations[rows], angles[rows, column])
                highest = self.highest(after, x, y)
                found[rows, level] += highest >= self.threshold
                count[rows, level] += np.isfinite(highest)
        return found, count

    def highest(self, after: Reduction, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the highest significance within one FWHM of each place, (m,); NaN where it is not known."""
        fwhm = self.base.psf.fwhm
        near = [radius(self.base.shape, place) <= fwhm for place in zip(x, y, strict=True)]
        found = matched_filter(after, self.base.psf, smearing=self.base.smearing)
        region: BoolArray = np.any(near, axis=0)
        sigma = found.statistics(self.empty, self.base.excluded, region).significance
        known = [values[np.isfinite(values)] for values in (sigma[disc] for disc in near)]
        return np.array([values.max() if values.size else np.nan for values in known])


def _continued(progress: Progress, level: int, n_levels: int) -> Progress:
    """Return the progress of one of several loops of the same length, as part of them all."""
    return lambda done, total, what: progress(level * total + done, n_levels * total, what)


def _separations(separations: Any, how: MatchedPhotometry, noise: FloatArray, reduction: Reduction) -> FloatArray:
    """Return separations in pixels, (m,), at which the noise is known."""
    if separations is not None:
        scale = reduction.science.geometry.pixel_scale
        return known_separations(how, noise, np.atleast_1d(in_pixels("separations", separations, scale)))
    known = known_separations(how, noise)
    step = how.psf.fwhm * APART / 2  # so that every second may share its frames
    wanted = np.arange(known[0], known[-1] + 1e-6, step)
    return wanted[np.isfinite(how.noise(noise, wanted).noise)]


def _growing(name: str, values: Any) -> FloatArray:
    """Return numbers above 0 in growing order, (c,)."""
    numbers = np.atleast_1d(as_real_array(name, values).astype(np.float64))
    check_shape(name, numbers, (None,))
    if not (numbers.size and np.isfinite(numbers).all() and (numbers > 0).all() and (np.diff(numbers) > 0).all()):
        raise fail(name, "at least one number above 0, in growing order", values)
    return numbers
