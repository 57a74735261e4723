"""Companions, found one after the other: each is taken off before the noise is judged and the next is looked for.

A companion spoils its own ring: what the reduction leaves of it, bright or dark, reaches to other position angles, and
raises the scatter that it is compared with, and that of any other companion at its separation. The forward models of
all candidates are taken from the residuals before the scatter is measured; those that then do not stand out of the
noise are put back, until all that are left do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from astropy.table import QTable
from scipy import stats

from astronmf._typing import FloatArray, Progress, no_progress
from astronmf._validation import check_integer, check_number
from astronmf.exceptions import ConvergenceWarning, warn
from astronmf.imaging.companions import NOTHING_LEFT, Companion, check_again, companion_of, companion_table
from astronmf.imaging.detection.candidates import Candidates
from astronmf.imaging.detection.fitting import Fitter
from astronmf.imaging.detection.matched import MatchedFilter, filtered
from astronmf.imaging.detection.point_response import PointResponse
from astronmf.imaging.detection.signal_to_noise import RingStatistics
from astronmf.imaging.psf import PSF
from astronmf.imaging.reduction import Reduction

__all__ = ["Search", "find_companions"]


@dataclass(frozen=True)
class Search:
    """What was found, and the maps that it was found on.

    Attributes
    ----------
    companions : list of Companion
        The most significant first.
    filter : MatchedFilter
        Of the reduction's residuals.
    noise : MatchedFilter
        Of the residuals less all companions.
    table : `~astropy.table.QTable`
        A row for each companion; see `companion_table`. ``meta`` says what was searched, and how many false positives
        Gaussian noise would leave.
    """

    companions: list[Companion]
    filter: MatchedFilter
    noise: MatchedFilter
    table: QTable

    @cached_property
    def snr(self) -> FloatArray:
        """The flux at each place over the scatter of the noise at its separation: (y, x)."""
        return self._statistics.snr

    @cached_property
    def significance(self) -> FloatArray:
        """The same in Gaussian sigma of equal false positive probability: (y, x)."""
        return self._statistics.significance

    @cached_property
    def _statistics(self) -> RingStatistics:
        return self.filter.statistics(self.noise)


def find_companions(
    reduction: Reduction,
    psf: Any,
    *,
    threshold: float = 5.0,
    max_companions: int = 10,
    star_flux: Any = None,
    smearing: Any = None,
    max_reductions: int = 0,
    warm: bool = True,
    progress: Progress = no_progress,
) -> Search:
    """Find point sources with the matched filter, and measure them by forward modelling.

    Parameters
    ----------
    reduction : Reduction
        Of any mode.
    psf : PSF, or anything that `PSF.of` takes
        Of the star, in the detector's orientation. Only its shape matters.
    threshold : float
        In sigma: the Gaussian deviation of equal false positive probability, whatever the separation.
    max_companions : int
    star_flux : float or Quantity, optional
        Total flux of the star, as `PSF.flux` of an unsaturated image scaled to the exposure: adds contrasts.
    smearing : float, (n,) array or "angles", optional
        Rotation within each exposure, degrees; see `inject`.
    max_reductions : int
        How often, at most, the data less all companions are reduced again, to correct their fluxes and places and to
        find what they hid. 0: forward modelling alone, which takes no reduction.
    warm : bool
        Whether those reductions start from the components that are there; see `Reduction.again`.
    progress

    Returns
    -------
    Search

    Raises
    ------
    ValueError
        If an argument breaks its constraint, or the data cannot be reduced again.

    Warns
    -----
    ConvergenceWarning
        If something of a companion is still left after the last reduction.
    """
    check_number("threshold", threshold, 1.0)
    check_integer("max_companions", max_companions, 1)
    check_again(reduction, max_reductions)
    response = PointResponse.of(reduction, PSF.of(psf), smearing)
    first = filtered(response, reduction.residuals)
    candidates = Candidates(response, Fitter(reduction, response.psf, smearing), reduction.residuals, first)
    candidates.look(threshold, max_companions, progress)
    for done in range(max_reductions):
        if not candidates.all:
            break
        candidates = candidates.without(reduction.science, warm=warm)
        progress(done + 1, max_reductions, "reductions without the companions")
        if not _most_left(candidates) < NOTHING_LEFT:
            continue
        candidates.look(threshold, max_companions - len(candidates.known), progress)
        if not candidates.new:
            break
    found = _companions(candidates, reduction, threshold)
    table = companion_table(found, reduction, star_flux)
    elements = np.isfinite(first.flux).sum() / (np.pi * (first.fwhm / 2) ** 2)
    table.meta |= {
        "threshold": float(threshold),
        "fwhm": first.fwhm,
        "searched_pixels": int(np.isfinite(first.flux).sum()),
        "expected_false_positives": float(stats.norm.sf(threshold) * elements),
    }
    return Search(found, first, candidates.noise, table)


def _most_left(candidates: Candidates) -> float:
    """Return how much the last reduction still showed of a companion, relative to its error, at most."""
    left = [abs(one.flux_left) / candidates.noise_at(one).error_of(one.place) for one in candidates.known]
    return max(left, default=0.0)


def _companions(candidates: Candidates, reduction: Reduction, threshold: float) -> list[Companion]:
    """Return the candidates that stand out, the most significant first."""
    if not _most_left(candidates) < NOTHING_LEFT:
        msg = f"up to {_most_left(candidates):.2g} sigma of a companion is left after the last reduction without it"
        warn(msg, ConvergenceWarning)
    found = []
    for one in candidates.all:
        about = {name: getattr(one, name) for name in ("forward_flux", "flux_left", "n_reductions")}
        found.append(companion_of(one.place, candidates.fitter.psf, reduction, candidates.noise_at(one), **about))
    strong = [companion for companion in found if companion.significance >= threshold]
    return sorted(strong, key=lambda companion: -companion.significance)
