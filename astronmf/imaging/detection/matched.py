"""The matched filter: how bright a point source at each place of the sky would best explain the residuals.

A source of unit flux at a place leaves ``FM_i`` of itself in frame i. With residuals R and weights V the flux that
fits best, and its information, are

    flux = Σ_i FM_iᵀ V_i R_i / information,    information = Σ_i FM_iᵀ V_i FM_i

(the forward-model matched filter; Ruffio+ 2017, ApJ 842, 14, for KLIP). Both have a closed form here, so that no source
has to be put at every place: see `astronmf.imaging.detection.point_response`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import as_real_array, check_shape, fail
from astronmf.imaging.detection.point_response import PointResponse
from astronmf.imaging.detection.signal_to_noise import RingStatistics, ring_statistics
from astronmf.imaging.geometry import center_pixel
from astronmf.imaging.psf import PSF
from astronmf.imaging.reduction import Reduction

__all__ = ["MatchedFilter", "filtered", "matched_filter"]

#: A place is left out where less than this of the source's light, squared, is on pixels that were observed.
SMALLEST_SHARE = 0.5


@dataclass(frozen=True)
class PointMap:
    """A map, (y, x), that has a value between its pixels too."""

    image: FloatArray

    @cached_property
    def _filled(self) -> tuple[FloatArray, FloatArray]:
        known = np.isfinite(self.image)
        return np.where(known, self.image, 0.0), known.astype(np.float64)

    def at(self, x: Any, y: Any) -> FloatArray:
        """Return the map at (x, y), bilinear; NaN where a neighbour is."""
        values, known = self._filled
        places = np.stack([np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)])
        flat = places.reshape(2, -1)
        found = ndimage.map_coordinates(values, flat, order=1)
        whole = ndimage.map_coordinates(known, flat, order=1)
        return np.where(whole > 1 - 1e-9, found, np.nan).reshape(places.shape[1:])


@dataclass(frozen=True)
class MatchedFilter:
    """Maps of the sky, north up, star at the centre pixel.

    Attributes
    ----------
    flux : (y, x) array
        Total flux of the source that fits best at each place, in the science frames' unit; NaN where none can be said.
    information : (y, x) array
        1/variance of `flux` if the weights are ``1/σ²`` and nothing else than that noise is in the residuals.
    fwhm : float
        Of the PSF, pixels.
    """

    flux: FloatArray
    information: FloatArray
    fwhm: float

    @property
    def center(self) -> tuple[int, int]:
        """The star's pixel, (x, y)."""
        return center_pixel((self.flux.shape[0], self.flux.shape[1]))

    def statistics(
        self,
        tests: MatchedFilter | None = None,
        exclude: BoolArray | None = None,
        region: BoolArray | None = None,
    ) -> RingStatistics:
        """Compare each place with the others at its separation, one FWHM apart (Mawet+ 2014).

        Parameters
        ----------
        tests
            The filter of the residuals without known sources, to say what the noise is; this one by default.
        exclude : (y, x) bool array, optional
            `True` = no test of the noise.
        region : (y, x) bool array, optional
            `True` = wanted; everywhere by default.
        """
        noise = self.flux if tests is None else tests.flux
        if exclude is not None:
            noise = np.where(exclude, np.nan, noise)
        known = np.isfinite(self.flux)
        wanted = known if region is None else known & region
        return ring_statistics(PointMap(self.flux), PointMap(noise), wanted, self.center, self.fwhm, "even")

    @cached_property
    def snr(self) -> FloatArray:
        """The flux over the scatter of the other position angles at the same separation: (y, x)."""
        return self.statistics().snr

    @cached_property
    def significance(self) -> FloatArray:
        """The same in Gaussian sigma of equal false positive probability: (y, x)."""
        return self.statistics().significance


def matched_filter(
    reduction: Reduction,
    psf: Any,
    *,
    n_components: Sequence[int] | None = None,
    residuals: Any = None,
    smearing: Any = None,
) -> MatchedFilter:
    """Return, for each place of the sky, the flux of a point source there and what it is known by.

    Parameters
    ----------
    reduction : Reduction
        Of any mode. Scale factors and missing values are taken into account.
    psf : PSF, or anything that `PSF.of` takes
        Of the star, in the detector's orientation. Only its shape matters.
    n_components : sequence of int, optional
        Numbers of components (in each zone) to average the map of fluxes over, all of the same build. What one number
        leaves is not quite what another does, so that the mean is quieter; a source is the same in all.
    residuals : (n, y, x) array, optional
        Instead of those of the reduction: less the traces of known sources. Not with `n_components`.
    smearing : float, (n,) array or "angles", optional
        Rotation within each exposure, degrees; see `inject`.

    Returns
    -------
    MatchedFilter
    """
    point = PSF.of(psf)
    if n_components is None:
        response = PointResponse.of(reduction, point, smearing)
        return filtered(response, reduction.residuals if residuals is None else residuals)
    if residuals is not None:
        raise fail("residuals", "left out with 'n_components': every number has its own", "an array")
    if len(n_components) == 0:
        raise fail("n_components", "at least one number", "none")
    maps = [matched_filter(reduction.at(k), point, smearing=smearing) for k in n_components]
    flux, information = (np.mean([getattr(one, name) for one in maps], axis=0) for name in ("flux", "information"))
    return MatchedFilter(flux, information, point.fwhm)


def filtered(response: PointResponse, residuals: Any) -> MatchedFilter:
    """Return the matched filter of residuals, (n, y, x), by a response that serves many of them."""
    values = as_real_array("residuals", residuals)
    check_shape("residuals", values, response.reduction.residuals.shape)
    above = response.signal(values)
    below, share = response.information
    seen = (below > 0) & (share >= SMALLEST_SHARE)
    flux, information = (np.full(values.shape[1:], np.nan) for _ in range(2))
    y, x = (axis[seen] for axis in response.places)
    flux[y, x], information[y, x] = above[seen] / below[seen], below[seen]
    return MatchedFilter(flux, information, response.psf.fwhm)
