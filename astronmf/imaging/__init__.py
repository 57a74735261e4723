"""Direct imaging: frames and their geometry, PSF subtraction, scale factors, forward modelling, injected sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astronmf._lazy import lazily

if TYPE_CHECKING:
    from astronmf.imaging.companions import Companion, fit_companion
    from astronmf.imaging.detection.search import find_companions
    from astronmf.imaging.frames import Frames
    from astronmf.imaging.geometry import Geometry
    from astronmf.imaging.injection import inject, inject_image
    from astronmf.imaging.modelling.callable_model import CallableModel
    from astronmf.imaging.modelling.fit_result import TemplateFit
    from astronmf.imaging.modelling.forward_images import ForwardImages
    from astronmf.imaging.modelling.forward_model import ForwardModel
    from astronmf.imaging.modelling.likelihood import Likelihood
    from astronmf.imaging.modelling.noise import reference_systematics
    from astronmf.imaging.modelling.observing import Observer
    from astronmf.imaging.modelling.rings import EdgeOnDisk, Ring
    from astronmf.imaging.modelling.sampling import Posterior, sample_posterior
    from astronmf.imaging.modelling.sources import PointSource, SkyImage, Source
    from astronmf.imaging.modelling.together import Together
    from astronmf.imaging.psf import PSF
    from astronmf.imaging.reduction import Reduction
    from astronmf.imaging.spectral import reduce_spectral
    from astronmf.imaging.spectral_frames import SpectralFrames
    from astronmf.imaging.spectral_reduction import SpectralReduction
    from astronmf.imaging.subtraction import build_components, reduce

__all__ = [
    "PSF",
    "CallableModel",
    "Companion",
    "EdgeOnDisk",
    "ForwardImages",
    "ForwardModel",
    "Frames",
    "Geometry",
    "Likelihood",
    "Observer",
    "PointSource",
    "Posterior",
    "Reduction",
    "Ring",
    "SkyImage",
    "Source",
    "SpectralFrames",
    "SpectralReduction",
    "TemplateFit",
    "Together",
    "build_components",
    "find_companions",
    "fit_companion",
    "inject",
    "inject_image",
    "reduce",
    "reduce_spectral",
    "reference_systematics",
    "sample_posterior",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "CallableModel": "imaging.modelling.callable_model",
        "Companion": "imaging.companions",
        "EdgeOnDisk": "imaging.modelling.rings",
        "ForwardImages": "imaging.modelling.forward_images",
        "ForwardModel": "imaging.modelling.forward_model",
        "Frames": "imaging.frames",
        "Geometry": "imaging.geometry",
        "Likelihood": "imaging.modelling.likelihood",
        "Observer": "imaging.modelling.observing",
        "PSF": "imaging.psf",
        "PointSource": "imaging.modelling.sources",
        "Posterior": "imaging.modelling.sampling",
        "Reduction": "imaging.reduction",
        "Ring": "imaging.modelling.rings",
        "SkyImage": "imaging.modelling.sources",
        "Source": "imaging.modelling.sources",
        "SpectralFrames": "imaging.spectral_frames",
        "SpectralReduction": "imaging.spectral_reduction",
        "TemplateFit": "imaging.modelling.fit_result",
        "Together": "imaging.modelling.together",
        "build_components": "imaging.subtraction",
        "find_companions": "imaging.detection.search",
        "fit_companion": "imaging.companions",
        "inject": "imaging.injection",
        "inject_image": "imaging.injection",
        "reduce": "imaging.subtraction",
        "reduce_spectral": "imaging.spectral",
        "reference_systematics": "imaging.modelling.noise",
        "sample_posterior": "imaging.modelling.sampling",
    },
)
