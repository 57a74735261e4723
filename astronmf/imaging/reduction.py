"""`Reduction`: what `reduce` returns, and what can be asked of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS

from astronmf import _formats
from astronmf._inputs import parts
from astronmf._typing import FloatArray, IntArray, Progress, no_progress
from astronmf._validation import fail
from astronmf.components import Components
from astronmf.imaging.combination import Combination, combine, turn
from astronmf.imaging.forward import forward_frames, sources_in_frames
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import center_pixel
from astronmf.imaging.target import Choice, Target, model_target, residual_variances

__all__ = ["Reduction"]


@dataclass(frozen=True)
class Reduction:
    """A reduced observation.

    Attributes
    ----------
    combined : (y, x) array
        North up, east left, in `unit`; the star at pixel ``(x, y) = (n_x // 2, n_y // 2)``. NaN where no frame has a
        value.
    combined_uncertainty : (y, x) array
        1σ of single pixels.
    coverage : (y, x) array of int
        How many frames contribute.
    residuals, models : (n, y, x) arrays
        In the detector's orientation; their sum is the data. Models include the scale factor and cover pixels that
        were declared missing. NaN outside the reduced region, and residuals also where the data are missing.
    coefficients : (n, k) array
    covariances : (n, k, k) array
        Of the coefficients, on the active set.
    scale_factors, scale_factor_errors : (n,) arrays
    components : Components
    science : Frames
        What was reduced.
    choice : Choice
        Which pixels were reduced, declared missing, and judged the scale factors.
    meta : dict
        ``parameters``, ``inputs`` (name and SHA-256 of each file), counts, and the version that made it.
    """

    combined: FloatArray
    combined_uncertainty: FloatArray
    coverage: IntArray
    residuals: FloatArray
    models: FloatArray
    coefficients: FloatArray
    covariances: FloatArray
    scale_factors: FloatArray
    scale_factor_errors: FloatArray
    components: Components
    science: Frames
    choice: Choice
    meta: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return a line that says what is inside."""
        n, y, x = self.residuals.shape
        return f"<Reduction: {n} frames of {y} x {x} pixels, {len(self.components)} components, χ² {self.chi2:.6g}>"

    @property
    def center(self) -> tuple[int, int]:
        """The star's pixel (x, y) in `combined`."""
        y, x = self.combined.shape
        return center_pixel((y, x))

    @property
    def unit(self) -> u.UnitBase | None:
        """Of the science frames, of `combined`, and of everything that carries flux."""
        return self.science.unit

    @property
    def weights(self) -> FloatArray:
        """What the fit used: ``1/σ²``, 0 where a pixel took no part: (n, y, x)."""
        return self.choice.weights(self.science) * ~self.components.mask

    @property
    def chi2(self) -> float:
        """``Σ V (data − model)²`` over all pixels that took part, scale factors included."""
        return float(np.sum(self.weights * np.square(np.nan_to_num(self.residuals))))

    @property
    def n_valid(self) -> int:
        """How many values took part in the fit."""
        return int((self.weights > 0).sum())

    def forward(self, image: Any) -> FloatArray:
        """Return this reduction's effect on a disk or planet: what `combined` shows of it.

        Where the scale factors were given and the combination is linear, the answer comes from the active components
        alone (see `astronmf.imaging.forward`), exact as long as the source leaves them active. Where factors were
        searched, or a median was taken, the source moves them too: then the data less the source are reduced again on
        the same components, and the difference of the two images is returned.

        Parameters
        ----------
        image : (y, x) array or Quantity
            On the pixels of `combined`: north up, star at `center`, as seen by the telescope (convolved), finite.

        Returns
        -------
        (y, x) array
            In `unit`; NaN where `combined` is.
        """
        sources = sources_in_frames(self._in_unit(image), self.science.geometry, self.science.shape)
        if self._is_linear:
            return self._combine(self._remaining(sources)).image
        without = self.science.replace_data(self.science.data - sources)
        target = model_target(without, self.components, self.choice, self._scale, quiet=True)
        return self.combined - self.from_target(without, self.components, self.choice, target, self.meta).combined

    def over_components(self, progress: Progress = no_progress) -> FloatArray:
        """Return `combined` for every number of components that was built, (stages, y, x); nothing is built anew."""
        images = []
        for stage in self.components.stages:
            components = self.components.at(len(stage))
            target = model_target(self.science, components, self.choice, self._scale, quiet=True)
            images.append(self.from_target(self.science, components, self.choice, target, self.meta).combined)
            progress(len(images), len(self.components.stages), "numbers of components")
        return np.stack(images)

    def to_ccddata(self) -> CCDData:
        """Return the combined image with unit, uncertainty, mask and a north-up WCS."""
        return CCDData(
            self.combined,
            unit=self.unit or u.dimensionless_unscaled,
            uncertainty=StdDevUncertainty(self.combined_uncertainty),
            mask=~np.isfinite(self.combined),
            wcs=self.wcs(),
        )

    def wcs(self) -> WCS | None:
        """Return the sky coordinates of `combined`: offsets from the star, or RA and Dec where they are known."""
        if self.science.geometry.pixel_scale is None:
            return None
        wcs = WCS(naxis=2)
        x, y = self.center
        scale = self.science.geometry.pixel_scale
        wcs.wcs.crpix = [x + 1, y + 1]
        if "ra" in self.meta and "dec" in self.meta:
            wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
            wcs.wcs.cunit = ["deg", "deg"]
            wcs.wcs.cdelt = [-scale / 3600.0, scale / 3600.0]
            wcs.wcs.crval = [self.meta["ra"], self.meta["dec"]]
        else:
            wcs.wcs.ctype = ["XOFFSET", "YOFFSET"]
            wcs.wcs.cunit = ["arcsec", "arcsec"]
            wcs.wcs.cdelt = [-scale, scale]
        return wcs

    @classmethod
    def read(cls, path: Any, *, format: str | None = None) -> Reduction:  # noqa: A002
        """Read a reduction.

        Parameters
        ----------
        path
            A FITS file that `write` made.
        """
        return _formats.read(cls, path, format)

    def write(self, path: Any, *, format: str = "fits", overwrite: bool = False) -> None:  # noqa: A002
        """Write everything to one FITS file with checksums and the provenance of every input.

        Parameters
        ----------
        path
        overwrite
            Whether a file that is there may be replaced.
        """
        _formats.write(self, path, format, overwrite=overwrite)

    @property
    def _basis(self) -> FloatArray:
        return np.where(self.choice.region, self.components.data, np.nan)

    @property
    def _scale(self) -> Any:
        return self.meta["parameters"]["scale"]

    @property
    def _is_linear(self) -> bool:
        """Whether neither the scale factors nor the combination depend on the source."""
        searched = (
            isinstance(self._scale, str) and self._scale != "none" and bool((self.scale_factor_errors != 0).any())
        )
        return not searched and self.meta["parameters"]["combine"] != "median"

    def _in_unit(self, image: Any) -> Any:
        """Return an image's values in `unit`; plain numbers are in it already."""
        values, _, unit = parts(image)
        if unit is None:
            return values
        if self.unit is None:
            raise fail("image", "without a unit, as the science frames are", unit)
        return u.Quantity(values, unit).to_value(self.unit)

    def _remaining(self, sources: FloatArray) -> FloatArray:
        frames = forward_frames(sources, self._basis, self.weights, self.covariances, self.scale_factors)
        frames[~np.isfinite(self.residuals)] = np.nan
        return frames

    def _combine(self, frames: FloatArray) -> Combination:
        variances = residual_variances(
            self.science, self.residuals, self.weights > 0, self._basis, self.covariances, self.scale_factors
        )
        geometry = self.science.geometry
        method = str(self.meta["parameters"]["combine"])
        return combine(turn(frames, geometry), turn(variances, geometry, order=1), method)

    @classmethod
    def from_target(
        cls, science: Frames, components: Components, choice: Choice, target: Target, meta: dict[str, Any]
    ) -> Reduction:
        """Combine subtracted frames into a reduction; ``meta["parameters"]["combine"]`` says how."""
        blank = np.full(science.shape[1:], np.nan)
        frames_only = cls(
            combined=blank,
            combined_uncertainty=blank,
            coverage=np.zeros(blank.shape, dtype=int),
            residuals=target.residuals,
            models=target.models,
            coefficients=target.projection.coefficients,
            covariances=target.projection.covariance,
            scale_factors=np.array([factor.value for factor in target.factors]),
            scale_factor_errors=np.array([factor.error for factor in target.factors]),
            components=components,
            science=science,
            choice=choice,
            meta=meta,
        )
        combined = frames_only._combine(target.residuals)
        return replace(
            frames_only,
            combined=combined.image,
            combined_uncertainty=combined.uncertainty,
            coverage=combined.coverage,
        )
