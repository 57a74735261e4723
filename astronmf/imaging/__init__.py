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
    from astronmf.imaging.psf import PSF
    from astronmf.imaging.reduction import Reduction
    from astronmf.imaging.spectral import reduce_spectral
    from astronmf.imaging.spectral_frames import SpectralFrames
    from astronmf.imaging.spectral_reduction import SpectralReduction
    from astronmf.imaging.subtraction import build_components, reduce

__all__ = [
    "PSF",
    "Companion",
    "Frames",
    "Geometry",
    "Reduction",
    "SpectralFrames",
    "SpectralReduction",
    "build_components",
    "find_companions",
    "fit_companion",
    "inject",
    "inject_image",
    "reduce",
    "reduce_spectral",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Companion": "imaging.companions",
        "Frames": "imaging.frames",
        "Geometry": "imaging.geometry",
        "PSF": "imaging.psf",
        "Reduction": "imaging.reduction",
        "SpectralFrames": "imaging.spectral_frames",
        "SpectralReduction": "imaging.spectral_reduction",
        "build_components": "imaging.subtraction",
        "find_companions": "imaging.detection.search",
        "fit_companion": "imaging.companions",
        "inject": "imaging.injection",
        "inject_image": "imaging.injection",
        "reduce": "imaging.subtraction",
        "reduce_spectral": "imaging.spectral",
    },
)
