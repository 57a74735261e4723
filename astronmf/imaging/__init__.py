"""Direct imaging: frames and their geometry, PSF subtraction, scale factors, forward modelling, injected sources."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "Companion": "astronmf.imaging.companions",
    "Frames": "astronmf.imaging.frames",
    "Geometry": "astronmf.imaging.geometry",
    "PSF": "astronmf.imaging.psf",
    "Reduction": "astronmf.imaging.reduction",
    "SpectralFrames": "astronmf.imaging.spectral_frames",
    "SpectralReduction": "astronmf.imaging.spectral_reduction",
    "build_components": "astronmf.imaging.subtraction",
    "find_companions": "astronmf.imaging.detection.search",
    "fit_companion": "astronmf.imaging.companions",
    "inject": "astronmf.imaging.injection",
    "inject_image": "astronmf.imaging.injection",
    "reduce": "astronmf.imaging.subtraction",
    "reduce_spectral": "astronmf.imaging.spectral",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module: reading a file needs no compiled kernel."""
    if name not in _HOMES:
        msg = f"module 'astronmf.imaging' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
