"""Preparing frames: where the star is, recentring, cropping, bad pixels, background, flux, choice of frames, binning.

Each step takes `Frames` and returns new ones, and says in ``meta["preparation"]`` what it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astronmf._lazy import lazily

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

__getattr__, __dir__ = lazily(
    __name__,
    {
        "bin_frames": "imaging.preparation.binning",
        "center_by_correlation": "imaging.preparation.registration",
        "center_by_profile": "imaging.preparation.profiles",
        "center_by_spots": "imaging.preparation.spots",
        "center_by_streaks": "imaging.preparation.streaks",
        "crop": "imaging.preparation.framing",
        "find_center": "imaging.preparation.centering",
        "mask_bad_pixels": "imaging.preparation.bad_pixels",
        "normalize_flux": "imaging.preparation.normalization",
        "pad": "imaging.preparation.framing",
        "recenter": "imaging.preparation.recentering",
        "reject_frames": "imaging.preparation.rejection",
        "select_references": "imaging.preparation.references",
        "set_center": "imaging.preparation.recentering",
        "subtract_background": "imaging.preparation.background",
    },
)
