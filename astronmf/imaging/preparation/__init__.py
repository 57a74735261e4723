"""Preparing frames: where the star is, recentring, cropping, bad pixels, background, flux, choice of frames, binning.

Each step takes `Frames` and returns new ones, and says in ``meta["preparation"]`` what it did.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astronmf.imaging.preparation.background import subtract_background
    from astronmf.imaging.preparation.bad_pixels import mask_bad_pixels
    from astronmf.imaging.preparation.binning import bin_frames
    from astronmf.imaging.preparation.centering import find_center
    from astronmf.imaging.preparation.framing import crop, pad
    from astronmf.imaging.preparation.normalization import normalize_flux
    from astronmf.imaging.preparation.profiles import center_by_profile
    from astronmf.imaging.preparation.recentering import recenter, set_center
    from astronmf.imaging.preparation.references import select_references
    from astronmf.imaging.preparation.registration import center_by_correlation
    from astronmf.imaging.preparation.rejection import reject_frames
    from astronmf.imaging.preparation.spots import center_by_spots
    from astronmf.imaging.preparation.streaks import center_by_streaks

__all__ = [
    "bin_frames",
    "center_by_correlation",
    "center_by_profile",
    "center_by_spots",
    "center_by_streaks",
    "crop",
    "find_center",
    "mask_bad_pixels",
    "normalize_flux",
    "pad",
    "recenter",
    "reject_frames",
    "select_references",
    "set_center",
    "subtract_background",
]

_HOMES = {
    "bin_frames": "binning",
    "center_by_correlation": "registration",
    "center_by_profile": "profiles",
    "center_by_spots": "spots",
    "center_by_streaks": "streaks",
    "crop": "framing",
    "find_center": "centering",
    "mask_bad_pixels": "bad_pixels",
    "normalize_flux": "normalization",
    "pad": "framing",
    "recenter": "recentering",
    "reject_frames": "rejection",
    "select_references": "references",
    "set_center": "recentering",
    "subtract_background": "background",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module: what a step does not need is not imported for it."""
    if name not in _HOMES:
        msg = f"module 'astronmf.imaging.preparation' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"astronmf.imaging.preparation.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
