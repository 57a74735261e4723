"""How much of a companion's flux is found again: companions of known flux, reduced with the data.

Several are put into one set of frames, so far from one another that none disturbs the next, and as many sets are
reduced as separations lie between two that may share one (as in VIP; Gomez Gonzalez+ 2017, AJ 154, 7).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable

from astronmf._typing import FloatArray, Progress, no_progress
from astronmf._validation import as_real_array, check_broadcast, check_integer, check_shape, fail
from astronmf.imaging.detection.baseline import Baseline
from astronmf.imaging.detection.photometry import Photometry, photometry
from astronmf.imaging.geometry import in_pixels
from astronmf.imaging.plain import values_in
from astronmf.imaging.reduction import Reduction

__all__ = ["Throughput", "check_fluxes", "injected", "measure_throughput", "patterns", "spread_angles", "throughput_of"]

APART = 2.5  # FWHM along the radius between companions in the same frames; their position angles differ as well
GOLDEN_ANGLE = 180.0 * (3.0 - np.sqrt(5.0))  # degrees: no two multiples of it come together


@dataclass(frozen=True)
class Throughput:
    """Recovered over injected flux.

    Attributes
    ----------
    separations : (m,) array
        Pixels.
    angles : (m, a) array
        Position angles, degrees.
    fluxes : (m,) array
        Injected.
    values : (m, a) array
        NaN where no flux could be measured.
    """

    separations: FloatArray
    angles: FloatArray
    fluxes: FloatArray
    values: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Over the position angles: (m,), NaN where none has a value."""
        known = np.isfinite(self.values)
        total = np.where(known, self.values, 0.0).sum(axis=1)
        count = known.sum(axis=1)
        return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))

    @property
    def error(self) -> FloatArray:
        """1σ of the mean, from the scatter of the position angles: (m,), NaN where fewer than two have a value."""
        count = np.isfinite(self.values).sum(axis=1)
        squares = np.nansum(np.square(self.values - self.mean[:, None]), axis=1)
        variance = np.divide(squares, (count - 1) * count, out=np.full(len(count), np.nan), where=count > 1)
        return np.asarray(np.sqrt(variance))


def measure_throughput(
    reduction: Reduction,
    psf: Any,
    separations: Any,
    flux: Any,
    *,
    position_angles: Any = 4,
    method: str = "matched",
    smearing: Any = None,
    warm: bool = False,
    progress: Progress = no_progress,
) -> QTable:
    """Measure how much of the flux of companions is found again after a reduction.

    Parameters
    ----------
    reduction : Reduction
        Of any mode; read from a file, of any but "ardi".
    psf : PSF, or anything that `PSF.of` takes
        Of the star, in the detector's orientation. Only its shape matters.
    separations : (m,) array or Quantity
        Pixels from the star, or an angle where the pixel scale is known.
    flux : float, (m,) array or Quantity
        Total flux of the companions. What is found depends on it: components take up more of a bright companion.
    position_angles : int or (a,) array
        How many, evenly spread and other ones at each separation; or the same for all, degrees east of north.
    method : {"matched", "aperture"}
        See `contrast_curve`.
    smearing : float, (n,) array or "angles", optional
        Rotation within each exposure, degrees; see `inject`.
    warm
        Whether builds start from the components that are there; see `Reduction.again`.
    progress

    Returns
    -------
    `~astropy.table.QTable`
        A row for each companion: ``separation``, ``position_angle``, ``flux``, ``recovered`` and ``throughput``, which
        is `recovered` over `flux`. `recovered` is the difference that the companion makes, so that noise has no part in
        it.

    Raises
    ------
    ValueError
        If the reduction cannot be repeated, or a companion falls outside the frames.
    """
    base = Baseline.of(reduction, psf, companions=None, exclude=None, smearing=smearing, progress=progress)
    distances = np.atleast_1d(in_pixels("separations", separations, reduction.science.geometry.pixel_scale))
    fluxes = check_fluxes(flux, distances, reduction)
    angles = _angles(position_angles, len(distances))
    how = photometry(method, base.psf, smearing)
    found = throughput_of(base, how, distances, angles, fluxes, warm=warm, progress=progress)
    each = np.broadcast_to(fluxes[:, None], angles.shape)
    unit = 1 if reduction.unit is None else reduction.unit
    table = QTable({"separation": np.repeat(distances, angles.shape[1]) * u.pix})
    table["position_angle"] = angles.ravel() * u.deg
    table["flux"], table["recovered"] = each.ravel() * unit, (each * found.values).ravel() * unit
    table["throughput"] = found.values.ravel()
    table.meta |= {"method": method, "fwhm": base.psf.fwhm, **how.about}
    return table


def throughput_of(
    base: Baseline,
    how: Photometry,
    separations: FloatArray,
    angles: FloatArray,
    fluxes: FloatArray,
    *,
    warm: bool,
    progress: Progress,
) -> Throughput:
    """Return the throughput at separations, (m,) pixels, and position angles, (m, a) degrees, of (m,) fluxes."""
    before = how.image(base.reduction)
    values = np.full(angles.shape, np.nan)
    for rows, column, after in injected(base, separations, angles, fluxes, warm=warm, progress=progress):
        x, y = base.places(separations[rows], angles[rows, column])
        values[rows, column] = how.fluxes(how.image(after) - before, x, y) / fluxes[rows]
    return Throughput(separations, angles, fluxes, values)


def injected(
    base: Baseline,
    separations: FloatArray,
    angles: FloatArray,
    fluxes: FloatArray,
    *,
    warm: bool,
    progress: Progress,
) -> Iterator[tuple[list[int], int, Reduction]]:
    """Yield reductions with companions: which separations are in it, at which of their position angles, and it."""
    groups = patterns(separations, APART * base.psf.fwhm)
    total, done = len(groups) * angles.shape[1], 0
    for column in range(angles.shape[1]):
        for rows in groups:
            yield rows, column, base.with_sources(separations[rows], angles[rows, column], fluxes[rows], warm=warm)
            done += 1
            progress(done, total, "reductions with injected companions")


def patterns(separations: FloatArray, apart: float) -> list[list[int]]:
    """Return the indices of separations in groups, as few as can be, in which all are `apart` or more."""
    groups: list[list[int]] = []
    for index in np.argsort(separations, kind="stable"):
        free = (group for group in groups if separations[index] - separations[group[-1]] >= apart * (1 - 1e-9))
        group = next(free, None)
        if group is None:
            groups.append([int(index)])
        else:
            group.append(int(index))
    return groups


def spread_angles(n_separations: int, n_angles: int) -> FloatArray:
    """Return position angles, degrees, evenly spread at each separation and turned from one to the next: (m, a)."""
    around = 360.0 * np.arange(n_angles) / n_angles
    return np.asarray((GOLDEN_ANGLE * np.arange(n_separations)[:, None] + around) % 360.0)


def check_fluxes(flux: Any, separations: FloatArray, reduction: Reduction) -> FloatArray:
    """Return the flux of companions at each separation, (m,), in the reduction's unit; it must be above 0."""
    values = check_broadcast("flux", values_in("flux", flux, reduction.unit), separations.shape)
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise fail("flux", "finite and above 0", flux)
    return values


def _angles(position_angles: Any, n_separations: int) -> FloatArray:
    """Return the position angles of each separation, (m, a), from how many or which there are to be."""
    if np.ndim(position_angles) == 0:
        return spread_angles(n_separations, check_integer("position_angles", position_angles, 1))
    values = as_real_array("position_angles", position_angles).astype(np.float64)
    check_shape("position_angles", values, (None,))
    if not (values.size and np.isfinite(values).all()):
        raise fail("position_angles", "a number of them, or at least one, finite degrees", position_angles)
    return np.tile(values, (n_separations, 1))
