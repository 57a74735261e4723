"""Direct imaging: frames and their geometry, PSF subtraction, scale factors, forward modelling."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astronmf.imaging.frames import Frames
    from astronmf.imaging.geometry import Geometry
    from astronmf.imaging.reduction import Reduction
    from astronmf.imaging.subtraction import build_components, reduce

__all__ = ["Frames", "Geometry", "Reduction", "build_components", "reduce"]

_HOMES = {
    "Frames": "astronmf.imaging.frames",
    "Geometry": "astronmf.imaging.geometry",
    "Reduction": "astronmf.imaging.reduction",
    "build_components": "astronmf.imaging.subtraction",
    "reduce": "astronmf.imaging.subtraction",
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
