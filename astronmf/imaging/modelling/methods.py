"""What can be asked of a reduction about disks and planets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from astronmf._typing import FloatArray, Progress, no_progress
from astronmf._validation import fail
from astronmf.imaging.modelling.fit import Settings, fit_templates, named_sources, settled_observation
from astronmf.imaging.modelling.fit_result import TemplateFit
from astronmf.imaging.modelling.forward_model import ForwardModel, forward_image, forward_model
from astronmf.imaging.modelling.likelihood import Likelihood
from astronmf.imaging.modelling.noise import DEFAULT_SYSTEMATICS
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.reduced import Reduced
from astronmf.imaging.modelling.sources import as_source
from astronmf.imaging.psf import PSF

__all__ = ["ModellingMethods"]


class ModellingMethods:
    """Methods of `astronmf.imaging.Reduction`."""

    def forward(
        self: Reduced,
        image: Any,
        *,
        psf: Any = None,
        pixel_scale: Any = None,
        transmission: Any = None,
        smearing: Any = None,
        exact: bool | None = None,
    ) -> FloatArray:
        """Return this reduction's effect on a disk or planet: what `combined` shows of it.

        Where the scale factors were given and the combination is linear, the answer comes from the active components
        alone (see `astronmf.imaging.forward`), exact as long as the source leaves them active. Where factors were
        searched, a median was taken, or frames were weighted by the scatter of their residuals, the source moves that
        too: then the data less the source are reduced again on the same components, and the difference of the two
        images is returned. `forward_model` says more; this is its `image`.

        Parameters
        ----------
        image : (y, x) array, Quantity, NDData or Source
            An image is north up and finite. Without a WCS or a `pixel_scale` it is on the pixels of `combined`, star
            at `center`. Without a `psf` it is as seen by the telescope (convolved).
        psf : PSF, or anything that `PSF.of` takes, optional
            What the source is convolved with, in the detector's orientation.
        pixel_scale : float or Quantity, optional
            Of the image: arcseconds.
        transmission : (y, x) array, optional
            The share of the light that passes at each pixel of the detector.
        smearing : float, (n,) array or "angles", optional
            Rotation within each exposure, degrees; see `inject`.
        exact : bool, optional
            Whether the data less the source are reduced again: `True` whatever the mode, with components that were
            built from the science frames built again; `False` never. By default as said above.

        Returns
        -------
        (y, x) array
            In `unit`; NaN where `combined` is.

        Warns
        -----
        ScaleFactorWarning
            If scale factors are searched again for a source that is fainter than they can tell.
        """
        observer = self.observer(psf=psf, transmission=transmission, smearing=smearing)
        return forward_image(self, as_source("image", image, pixel_scale), observer, exact=exact)

    def forward_model(
        self: Reduced,
        source: Any,
        *,
        psf: Any = None,
        pixel_scale: Any = None,
        transmission: Any = None,
        smearing: Any = None,
        exact: bool | None = None,
        in_data: bool = True,
    ) -> ForwardModel:
        """Return what this reduction leaves of a source, per frame and combined, and how far that can be trusted.

        `combined` and `frames` of the answer always come from the active components and the scale factors that there
        are, `exact` and `exact_frames` from reducing again.

        Parameters
        ----------
        source, psf, pixel_scale, transmission, smearing
            As the image and the others of `forward`.
        exact : bool, optional
            Whether to reduce again as well. By default where that is not the same (factors were searched, or the
            combination is not linear) and costs little (the components are of other stars).
        in_data : bool
            Whether the source is in the data, so that the data less the source are what is compared with. If not, it
            is tried, and the data and the source together are.

        Warns
        -----
        ScaleFactorWarning
            As `forward`.
        """
        observer = self.observer(psf=psf, transmission=transmission, smearing=smearing)
        return forward_model(self, as_source("source", source, pixel_scale), observer, exact=exact, in_data=in_data)

    def observer(
        self: Reduced, *, psf: Any = None, transmission: Any = None, smearing: Any = None, cached: bool = False
    ) -> Observer:
        """Return how the sky becomes the science frames; parameters as of `forward`, and as of `Observer`."""
        point = None if psf is None else PSF.of(psf)
        parts = {"psf": point, "transmission": transmission, "smearing": smearing, "cached": cached, "star": self.star}
        return Observer(self.science.geometry, self.science.shape, unit=self.unit, **parts)

    def fit(
        self: Reduced,
        templates: Any,
        *,
        psf: Any = None,
        transmission: Any = None,
        smearing: Any = None,
        star: str = "components",
        annulus_width: float | None = None,
        systematics: Any = DEFAULT_SYSTEMATICS,
        non_negative: bool = True,
        calibration: str | None = None,
        n_angles: int = 12,
        max_reductions: int = 3,
        progress: Progress = no_progress,
    ) -> TemplateFit:
        """Fit the star and any number of disks, planets or background stars to all science frames at once.

        Each frame has its own star; each template has one amplitude, shared by all frames. Pixels that were declared
        missing take part: the templates account for the light there.

        Parameters
        ----------
        templates : source, mapping of names to sources, or sequence of sources
            A source is a `Ring`, `EdgeOnDisk`, `PointSource`, `SkyImage`, `CallableModel`, an adapter's model, or an
            image as `forward` takes it; without a `psf`, as seen by the telescope.
        psf, transmission, smearing
            As in `forward`.
        star : {"components", "frame", "roll", "annulus", "all"}
            How the star is modelled: by its components in each frame, whose coefficients are fitted anew; or by the
            models that are there, with one scale factor for each frame, for the frames of the same angle, for each
            annulus, or for all. What these models have taken up of the templates is accounted for.
        annulus_width : float, optional
            In pixels, with ``star="annulus"``; the reduction's own zones by default.
        systematics : float, (y, x) or (n, y, x) array
            By how much the star's model may be wrong, added to the errors in quadrature: a fraction of the star's light
            at each pixel, or 1σ in the data's unit, such as `reference_systematics` finds.
        non_negative : bool
            Whether amplitudes are at least 0. With a calibration they are of free sign.
        calibration : {None, "angles"}
            "angles": the templates turned to other position angles say what bias and what noise there is: see
            `astronmf.imaging.modelling.calibration`, and the documentation for when that misleads (rings that are
            nearly face-on, real structure at other angles).
        n_angles : int
            How many other angles, at least 3.
        max_reductions : int
            Where components were built from the science frames (modes "adi" and "ardi"), or models that are there are
            used: how often, at most, the frames without the templates are reduced again, until no amplitude changes by
            a twentieth of its error.
        progress

        Returns
        -------
        TemplateFit

        Raises
        ------
        ValueError
            If a template is not finite, has no known scale, or needs a PSF that is not given.

        Warns
        -----
        DegeneracyWarning
            If a template has no light where there are data, cannot be told from the star or other templates, or hardly
            can; or if it does not change when it is turned, so that it cannot be calibrated.
        ConvergenceWarning
            If amplitudes still change after the last reduction, or a reduction in mode "ardi" was read from a file,
            which does not hold what it takes to reduce again.
        """
        settings = Settings(star, annulus_width, systematics, non_negative, calibration, n_angles, max_reductions)
        observer = self.observer(psf=psf, transmission=transmission, smearing=smearing)
        return fit_templates(self, named_sources(templates), observer, settings, progress)

    def likelihood(
        self: Reduced,
        templates: Any,
        free: Mapping[str, Any],
        *,
        psf: Any = None,
        transmission: Any = None,
        smearing: Any = None,
        star: str = "components",
        annulus_width: float | None = None,
        systematics: Any = DEFAULT_SYSTEMATICS,
        non_negative: bool = True,
        noise_factor: float = 1.0,
        progress: Progress = no_progress,
    ) -> Likelihood:
        """Return the log-probability of parameters of disks and planets, for emcee or any other sampler.

        Nothing is built or reduced again for a trial; amplitudes and the star's coefficients are the best ones for it.
        Where components were built from the science frames (modes "adi" and "ardi"), or the noise comes from residuals
        because the frames have no errors, the sources are fitted once as they are given, and components and noise are
        those without them: give sources that are near the truth, and make the likelihood again at the best ones.

        Parameters
        ----------
        templates, psf, transmission, smearing, star, annulus_width, systematics, non_negative
            As in `fit`.
        free : mapping
            The ranges of the free parameters: ``{"disk": {"radius": (40, 50)}}``, or ``{"disk.radius": (40, 50)}``;
            ``{"radius": (40, 50)}`` where there is one source.
        noise_factor : float
            By how much errors are larger than stated: ``TemplateFit.calibration.noise_factor``. χ² is divided by its
            square.
        progress

        Returns
        -------
        Likelihood
            ``likelihood(vector)``, its `names`, ``likelihood.maximize()``; see `sample_posterior`.
        """
        settings = Settings(star, annulus_width, systematics, non_negative)
        sources = named_sources(templates)
        observer = self.observer(psf=psf, transmission=transmission, smearing=smearing, cached=True)
        bounds = _flat(free, list(sources))
        observation = settled_observation(self, sources, observer, settings, progress)
        return Likelihood(sources, bounds, observation, observer, noise_factor, non_negative)


def _flat(free: Mapping[str, Any], sources: list[str]) -> dict[str, tuple[float, float]]:
    """Return ranges by ``source.parameter``."""
    out: dict[str, tuple[float, float]] = {}
    for name, value in free.items():
        if isinstance(value, Mapping):
            out |= {f"{name}.{parameter}": _ends(ends) for parameter, ends in value.items()}
        else:
            key = f"{sources[0]}.{name}" if len(sources) == 1 and "." not in name else name
            out[key] = _ends(value)
    return out


def _ends(value: Any) -> tuple[float, float]:
    if np.shape(value) != (2,):
        raise fail("free", "a lower and an upper end for each parameter", value)
    return value[0], value[1]
