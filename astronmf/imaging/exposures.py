"""Where the turning sky takes a source while a frame is exposed, and what a point then looks like."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

from astronmf._typing import FloatArray
from astronmf._validation import check_broadcast, fail
from astronmf.exceptions import GeometryWarning, warn
from astronmf.imaging.geometry import Geometry, in_degrees
from astronmf.imaging.psf import PSF, add_source

__all__ = ["add_point", "check_inside", "exposure_angles", "moments", "rotation_in_exposure"]

LONGEST_STEP = 0.25  # pixels between the places at which a moving source is drawn


def rotation_in_exposure(smearing: Any, geometry: Geometry, n: int) -> FloatArray:
    """Return by how many degrees the sky turns during each of `n` exposures, (n,).

    Parameters
    ----------
    smearing : float, (n,) array, Quantity, "angles" or None
        Degrees; `None` is 0. "angles": each frame's smaller difference from its neighbours' angles, as if one exposure
        followed the other without a break; a gap on one side does not count.
    geometry : Geometry
    n : int

    Raises
    ------
    ValueError
        If "angles" are asked for and there are fewer than two.
    """
    if smearing is None:
        return np.zeros(n)
    if isinstance(smearing, str):
        if smearing != "angles":
            raise fail("smearing", "degrees, 'angles' or None", repr(smearing))
        if geometry.angles is None or n < 2:
            raise fail("smearing", "given in degrees, where there are no neighbouring angles", repr(smearing))
        steps = (np.diff(geometry.angles) + 180.0) % 360.0 - 180.0
        before, after = np.append(steps[0], steps), np.append(steps, steps[-1])
        return np.where(np.abs(before) < np.abs(after), before, after)
    return np.array(check_broadcast("smearing", np.asarray(in_degrees("smearing", smearing)), (n,)))


def exposure_angles(smearing: Any, geometry: Geometry, n: int, reach: float) -> FloatArray:
    """Return the frames' angles at moments of equal length within each exposure: (n, moments).

    Parameters
    ----------
    smearing, geometry, n
        As for `rotation_in_exposure`.
    reach : float
        Pixels from the star within which no step between moments is longer than a quarter of a pixel.
    """
    turn = rotation_in_exposure(smearing, geometry, n)
    middles = np.array([geometry.angle_of(i) for i in range(n)])
    return np.asarray(middles[:, None] + turn[:, None] * moments(reach, float(np.abs(turn).max())))


def moments(reach: float, degrees: float) -> FloatArray:
    """Return the middles of equal parts of an exposure, −0.5 to 0.5, so many that no step is longer than allowed.

    Parameters
    ----------
    reach : float
        Pixels from the star to what moves fastest.
    degrees : float
        By which the sky turns, at least 0.
    """
    count = max(1, int(np.ceil(reach * np.deg2rad(degrees) / LONGEST_STEP)))
    return np.asarray((np.arange(count) + 0.5) / count - 0.5)


def add_point(
    data: FloatArray,
    geometry: Geometry,
    psf: PSF,
    place: tuple[float, float],
    turn: FloatArray,
    *,
    fluxes: FloatArray,
    transmission: FloatArray | None = None,
) -> None:
    """Add one point source to frames, in place.

    Parameters
    ----------
    data : (n, y, x) array
        Written into; only the pixels of the PSF's stamp are touched, and none where the flux is 0.
    geometry : Geometry
        Of the frames.
    psf : PSF
    place : (separation, position angle)
        Pixels, and degrees east of north.
    turn : (n,) array
        Degrees by which the sky turns during each exposure.
    fluxes : (n,) array
        Total flux in each frame.
    transmission : (y, x) array, optional
        The share of the light that passes at each place of the detector; all by default.
    """
    for image, track, flux in zip(data, _tracks(geometry, place, turn), fluxes, strict=True):
        share = 1.0
        if transmission is not None:
            share = ndimage.map_coordinates(transmission, track.T[::-1], order=1, mode="nearest")
        add_source(image, psf, track[:, 0], track[:, 1], flux / len(track) * share)


def check_inside(geometry: Geometry, place: tuple[float, float], turn: FloatArray, shape: tuple[int, int]) -> None:
    """Raise if a point source is outside all frames, warn if it is outside some.

    Parameters
    ----------
    geometry, place, turn
        As for `add_point`.
    shape : (y, x)
        Of a frame.
    """
    limits = np.array(shape[::-1]) - 0.5
    middles = np.array([track.mean(axis=0) for track in _tracks(geometry, place, turn)])
    outside = np.any((middles < -0.5) | (middles > limits), axis=1)
    where = f"{place[0]:g} pixels at {place[1]:g} degrees"
    if outside.all():
        raise fail("separation", "such that the companion is inside the frame", where)
    if outside.any():
        msg = f"the companion at {where} is outside the frame in {int(outside.sum())} of {len(outside)} frames"
        warn(msg, GeometryWarning)


def _tracks(geometry: Geometry, place: tuple[float, float], turn: FloatArray) -> list[FloatArray]:
    """Return where a source is during each exposure: (x, y) at moments of equal length, (moments, 2) a frame."""
    tracks = []
    for i, degrees in enumerate(turn):
        angles = geometry.angle_of(i) + degrees * moments(place[0], abs(degrees))
        tracks.append(replace(geometry, angles=angles).positions(*place))
    return tracks
