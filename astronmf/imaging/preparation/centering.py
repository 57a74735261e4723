"""`find_center`: where the star is in each frame, by one of several methods."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from astronmf._typing import FloatArray
from astronmf._validation import check_choice
from astronmf.imaging.frames import Frames

__all__ = ["METHODS", "find_center"]

_HOMES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gaussian": ("profiles", "center_by_profile", {"profile": "gaussian"}),
    "moffat": ("profiles", "center_by_profile", {"profile": "moffat"}),
    "doughnut": ("profiles", "center_by_profile", {"profile": "doughnut"}),
    "satellite_spots": ("spots", "center_by_spots", {}),
    "radon": ("streaks", "center_by_streaks", {}),
    "cross_correlation": ("registration", "center_by_correlation", {}),
}

METHODS = tuple(_HOMES)


def find_center(frames: Frames, method: str = "gaussian", **options: Any) -> FloatArray:
    """Return where the star is in each frame.

    Parameters
    ----------
    frames : Frames
        Masked pixels take no part.
    method : str
        What the star has left of itself in the frames decides:

        - "gaussian", "moffat": an unsaturated star, or the halo around a saturated or covered one
          (`center_by_profile`);
        - "doughnut": a star behind a vortex or another phase mask, which leaves a ring with a hole in it
          (`center_by_profile`);
        - "satellite_spots": four copies of the star that a grating or the deformable mirror throws (`center_by_spots`);
        - "radon": diffraction spikes, or speckles that are streaks pointing at the star (`center_by_streaks`);
        - "cross_correlation": whatever all frames have in common; it tells how much each is displaced, not where the
          star is (`center_by_correlation`).
    **options
        Of the method's own function.

    Returns
    -------
    (n, 2) array
        (x, y), 0-based pixels; NaN, with a `GeometryWarning`, where the method failed.

    Raises
    ------
    ValueError
        If the method is unknown, or what it needs is not given.
    """
    return _function(check_choice("method", method, METHODS))(Frames.of(frames), **options)


def _function(method: str) -> Callable[..., FloatArray]:
    """Return a method's function, its module imported only now."""
    module, name, options = _HOMES[method]
    return partial(getattr(import_module(f"astronmf.imaging.preparation.{module}"), name), **options)
