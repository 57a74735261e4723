"""What the sky's rotation allows: which frames may model which (angular differential imaging)."""

from __future__ import annotations

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import check_number, fail
from astronmf.exceptions import GeometryWarning, warn
from astronmf.imaging.frames import Frames

__all__ = ["allowed_references", "check_rotation", "needed_rotation", "separations_in_angle"]

#: Less rotation than this, in degrees, over the whole sequence is none.
SMALLEST_ROTATION = 0.1


def check_rotation(science: Frames, *, quiet: bool = False) -> FloatArray:
    """Return the frames' angles if they can serve for angular differential imaging.

    Parameters
    ----------
    science
    quiet
        Whether to leave warnings unsaid, because they were said before.

    Raises
    ------
    ValueError
        If the angles are missing, or the sky does not turn.

    Warns
    -----
    GeometryWarning
        If the angles look like radians, or do not run in one direction.
    """
    if science.angles is None:
        found = "None; give them (angles=… to Frames, --angles or --angle-key on the command line), or use mode='rdi'"
        raise fail("angles", "known for every science frame in angular differential imaging", found)
    turned = np.unwrap(science.angles, period=360.0)
    span = float(np.ptp(turned))
    if span < SMALLEST_ROTATION:
        found = f"{span:.3g}° from {len(turned)} frames: a source does not move; use mode='rdi' with references"
        raise fail("angles", f"such that the sky turns by at least {SMALLEST_ROTATION}°", found)
    if not quiet:
        _warn_of_angles(science.angles, turned, science.names)
    return science.angles


def _warn_of_angles(angles: FloatArray, turned: FloatArray, names: list[str]) -> None:
    """Warn of angles that look like radians or do not run in one direction; `turned` are without jumps at 360."""
    if np.abs(angles).max() <= 2 * np.pi and len(turned) > 2:
        span = np.ptp(turned)
        msg = f"all 'angles' lie within ±2π and turn by {span:.3g}: they are taken as degrees; are they radians?"
        warn(msg, GeometryWarning)
    steps = np.diff(turned)
    if (steps > 0).any() and (steps < 0).any():
        first = int(np.flatnonzero(np.sign(steps) == -np.sign(steps[np.argmax(steps != 0)]))[0]) + 1
        msg = (
            f"'angles' do not run in one direction (first turn back: {names[first]}); that is fine if the "
            "frames are not in order of time, and wrong if the angles are in another order than the frames"
        )
        warn(msg, GeometryWarning)


def needed_rotation(min_rotation: float, fwhm: float, radius: float) -> float:
    """Return the rotation, in degrees, that moves a source at `radius` by `min_rotation` FWHM; 180 if none does."""
    half_chord = min_rotation * fwhm / (2 * max(radius, np.finfo(float).tiny))
    return float(np.rad2deg(2 * np.arcsin(min(half_chord, 1.0))))


def separations_in_angle(angles: FloatArray) -> FloatArray:
    """Return by how many degrees each frame is turned against each other, 0 to 180: (n, n)."""
    difference = np.abs(angles[:, None] - angles[None, :]) % 360.0
    return np.minimum(difference, 360.0 - difference)


def allowed_references(
    science: Frames, radius: float, min_rotation: float, fwhm: float | None, n_components: int, n_others: int = 0
) -> BoolArray:
    """Return which frames may be references of which, at a radius.

    Parameters
    ----------
    science
    radius
        In pixels from the star.
    min_rotation
        In FWHM: by how much a source at that radius must have moved.
    fwhm
        In pixels.
    n_components
        As many references must be left.
    n_others
        References of other stars that every frame has besides.

    Returns
    -------
    (n, n) bool array
        ``[i, j]`` is `True` if frame j may model frame i. No frame models itself.

    Raises
    ------
    ValueError
        If `fwhm` is missing, or a frame is left with fewer references than components.
    """
    check_number("min_rotation", min_rotation, 0.0)
    if fwhm is None:
        raise fail("fwhm", "given, in pixels, with 'min_rotation'", None)
    least = needed_rotation(min_rotation, check_number("fwhm", fwhm, np.nextafter(0, 1)), radius)
    angles = check_rotation(science, quiet=True)
    allowed = separations_in_angle(angles) >= least
    np.fill_diagonal(allowed, val=False)
    left = allowed.sum(axis=1) + n_others
    short = np.flatnonzero(left < n_components)
    if short.size:
        named = ", ".join(f"{science.names[i]} at {angles[i]:.2f}° ({left[i]} left)" for i in short[:3])
        found = (
            f"{min_rotation:g}: at {radius:.1f} pixels that is {least:.1f}°, too much for {short.size} of "
            f"{len(science)} frames: {named}{', …' if short.size > 3 else ''}; "
            "lower min_rotation or n_components, or reduce from a larger radius on"
        )
        raise fail("min_rotation", f"such that every frame keeps {n_components} references or more", found)
    return allowed
