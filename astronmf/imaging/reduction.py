"""`Reduction`: what `reduce` returns, and what can be asked of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS

from astronmf._formats import Stored
from astronmf._typing import FloatArray, IntArray, Progress, no_progress
from astronmf.components import Components
from astronmf.estimator import SequentialNMF
from astronmf.imaging.building import Library, components_of
from astronmf.imaging.combination import Combination, combine, turn
from astronmf.imaging.forward import forward_frames
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import center_pixel
from astronmf.imaging.modelling.methods import ModellingMethods
from astronmf.imaging.modes import Recipe
from astronmf.imaging.self_reference import SelfReference
from astronmf.imaging.sky_coordinates import north_up, star_of
from astronmf.imaging.target import Bases, Choice, residual_variances

__all__ = ["Reduction"]


@dataclass(frozen=True)
class Reduction(ModellingMethods, Stored):
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
    self_reference : SelfReference or None
        How the models follow a source in the science frames, where the components were built from those.
    references : Frames or None
        Of other stars, in memory only: kept where they are needed to build the components again (mode "ardi").
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
    self_reference: SelfReference | None = None
    references: Frames | None = None

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
        return self.choice.weights(self.science) * np.isfinite(self.models)

    @property
    def chi2(self) -> float:
        """``Σ V (data − model)²`` over all pixels that took part, scale factors included."""
        return float(np.sum(self.weights * np.square(np.nan_to_num(self.residuals))))

    @property
    def n_valid(self) -> int:
        """How many values took part in the fit."""
        return int((self.weights > 0).sum())

    def at(self, n_components: int) -> Reduction:
        """Return the reduction with fewer components of the same build.

        None is built anew, but for frames that have components of their own (``min_rotation``).

        Parameters
        ----------
        n_components
            In each zone, as in `reduce`.
        """
        parameters = self.meta["parameters"] | {"n_components": n_components}
        fewer = replace(self, meta=self.meta | {"parameters": parameters})
        return fewer._of_stage(self.science, self.components.at(n_components * self.choice.n_zones))

    def over_components(self, progress: Progress = no_progress) -> FloatArray:
        """Return `combined` for every number of components that was built, (stages, y, x); nothing is built anew."""
        images = []
        for stage in self.components.stages:
            images.append(self._of_stage(self.science, self.components.at(len(stage))).combined)
            progress(len(images), len(self.components.stages), "numbers of components")
        return np.stack(images)

    def again(self, science: Frames, *, warm: bool = False, progress: Progress = no_progress) -> Reduction:
        """Return the same reduction of other data: the science frames less a source, for instance.

        Components that were built from the science frames are built again.

        Parameters
        ----------
        science : Frames
            In place of `science`, of the same shape and angles.
        warm
            Whether the build starts from the components that are there, all at once: quicker where the data are nearly
            the same. By default it is the same sequential build.
        progress
        """
        if not self.recipe.is_own:
            return self._of_stage(science, self.components)
        library, start = self.library(science), self.components if warm else None
        basis = components_of(library, self.choice.zone_numbers, None, self._estimator(), progress, start=start)
        return self.of(science, basis, library, self.choice, self.meta, quiet=True, progress=progress)

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
        return north_up(self.center, self.science.geometry.pixel_scale, self.star)

    @property
    def star(self) -> tuple[float, float] | None:
        """RA and Dec of the star, degrees, where they are known."""
        return star_of(self.meta)

    @property
    def recipe(self) -> Recipe:
        """How the science frames were modelled."""
        return Recipe.from_parameters(self.meta["parameters"])

    @property
    def bases(self) -> Bases:
        """The components of each frame."""
        own = None if self.self_reference is None else self.self_reference.own
        return Bases(self.components.data, self.choice.region, own)

    def library(self, science: Frames) -> Library:
        """Return the frames that components are built from where `science` takes the place of the science frames."""
        return self.recipe.library(science, self.references, self.choice, quiet=True)

    def _of_stage(self, science: Frames, components: Components) -> Reduction:
        """Return the reduction of frames with components of the same build."""
        library = self.library(science) if self.recipe.is_own else None
        return self.of(science, components, library, self.choice, self.meta, quiet=True)

    def _estimator(self) -> SequentialNMF:
        """Return the estimator that built the components, to build them again."""
        known = self.components.meta
        n_components = len(self.components) // self.choice.n_zones
        names = ("tol", "max_iter", "refit", "random_state", "solver", "init", "pixel_fraction", "dtype")
        return SequentialNMF(n_components, **{name: known[name] for name in names if name in known})

    def remaining(self, sources: FloatArray) -> FloatArray:
        """Return what the reduction leaves of a source in each frame, (n, y, x), in the detector's orientation.

        Parameters
        ----------
        sources : (n, y, x) array
            The source in each frame.
        """
        carried = None
        if self.self_reference is not None:
            carried = self.self_reference.carried(sources, self.weights, self.choice.zone_numbers)
        frames = forward_frames(sources, self.bases, self.weights, self.covariances, self.scale_factors, carried)
        frames[~np.isfinite(self.residuals)] = np.nan
        return frames

    def combine_frames(self, frames: FloatArray, residuals: FloatArray | None = None) -> Combination:
        """Turn frames, (n, y, x), north up and combine them as this reduction's residuals were.

        Parameters
        ----------
        frames : (n, y, x) array
            In the detector's orientation; NaN is missing.
        residuals : (n, y, x) array, optional
            What variances are taken from where they are not given; those of this reduction by default.
        """
        scatter = self.residuals if residuals is None else residuals
        variances = residual_variances(
            self.science, scatter, self.choice, self.bases, self.covariances, self.scale_factors
        )
        geometry = self.science.geometry
        return combine(turn(frames, geometry), turn(variances, geometry, order=1), self.recipe.combine)

    @classmethod
    def of(
        cls,
        science: Frames,
        components: Components,
        library: Library | None,
        choice: Choice,
        meta: dict[str, Any],
        *,
        quiet: bool = False,
        progress: Progress = no_progress,
    ) -> Reduction:
        """Model, subtract and combine, as ``meta["parameters"]`` says.

        Parameters
        ----------
        science, components
        library
            What the components were built from, where the science frames are in it.
        choice
        meta
        quiet
            Whether to leave warnings about scale factors unsaid, because they were said before.
        progress
        """
        recipe = Recipe.from_parameters(meta["parameters"])
        found = recipe.subtract(science, components, library, choice, quiet=quiet, progress=progress)
        blank, target = np.full(science.shape[1:], np.nan), found.target
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
            self_reference=found.self_reference,
            references=library.frames[len(science) :] if recipe.mode == "ardi" and library is not None else None,
        )
        combined = frames_only.combine_frames(target.residuals)
        return replace(
            frames_only,
            combined=combined.image,
            combined_uncertainty=combined.uncertainty,
            coverage=combined.coverage,
        )
