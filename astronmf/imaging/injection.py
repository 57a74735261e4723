"""Point sources and disks of known flux, put into the frames where the sky's rotation takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import check_broadcast, fail
from astronmf.exceptions import GeometryWarning, warn
from astronmf.imaging.forward import sources_in_frames
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry, center_pixel, in_degrees, in_pixels
from astronmf.imaging.plain import values_in
from astronmf.imaging.psf import PSF, add_source

__all__ = ["exposure_angles", "inject", "inject_image", "rotation_in_exposure", "source_frames"]

LONGEST_STEP = 0.25  # pixels between the places at which a moving source is drawn


def inject(
    frames: Frames, psf: Any, separation: Any, position_angle: Any, flux: Any, *, smearing: Any = None
) -> Frames:
    """Return the frames with companions of known place and flux added.

    Parameters
    ----------
    frames : Frames
        Not modified.
    psf : PSF, or what `PSF.of` takes
        In the detector's orientation; its own flux does not matter.
    separation : float, array or Quantity
        From the star: pixels, or an angle if the frames' pixel scale is known. One for each companion.
    position_angle : float, array or Quantity
        Degrees east of north; with `separation`, of shapes that broadcast to (companions,).
    flux : float, array or Quantity
        Total flux in the frames' unit: one for all, (companions,), or (companions, n) for each frame. Negative fluxes
        take a source away.
    smearing : float, (n,) array, Quantity or "angles", optional
        Degrees by which the sky turns during each exposure, see `rotation_in_exposure`; none by default.

    Returns
    -------
    Frames
        The same but for their data. Masked pixels stay masked, and errors stay as they are: no photon noise of the
        source is added to either. Companions of zero flux change no bit.

    Raises
    ------
    ValueError
        If a companion is outside the frame in all frames, or a number is not finite.

    Warns
    -----
    GeometryWarning
        If a companion is outside the frame in some frames.
    """
    point = PSF.of(psf)
    places = _places(separation, position_angle, frames.geometry)
    fluxes = _fluxes(flux, frames, len(places))
    turn = rotation_in_exposure(smearing, frames.geometry, len(frames))
    data = frames.data.copy()
    for place, totals in zip(places, fluxes, strict=True):
        _add_companion(data, frames.geometry, point, place, turn, totals)
    return frames.replace_data(data)


def inject_image(frames: Frames, image: Any, *, smearing: Any = None) -> Frames:
    """Return the frames with a disk, or anything else that is known as an image, added.

    Parameters
    ----------
    frames : Frames
        Not modified.
    image : (y, x) array or Quantity
        On the pixels of `Reduction.combined`: north up, star at ``(n_x // 2, n_y // 2)``, as seen by the telescope
        (convolved), finite, in the frames' unit.
    smearing
        As for `inject`.

    Returns
    -------
    Frames
        As of `inject`; an image of zeros changes no bit.

    Raises
    ------
    ValueError
        If the image has another shape than a frame, or is not finite everywhere.
    """
    values = values_in("image", image, frames.unit)
    turn = rotation_in_exposure(smearing, frames.geometry, len(frames))
    rows, columns = np.nonzero(values) if values.shape == frames.shape[1:] else ([0], [0])
    if len(rows) == 0:
        return frames.replace_data(frames.data.copy())
    x, y = center_pixel(frames.shape[1:])
    reach = float(np.hypot(np.subtract(columns, x), np.subtract(rows, y)).max())
    moments = _moments(reach, float(np.abs(turn).max()))
    sources = np.zeros(frames.shape)
    for moment in moments:
        sources += sources_in_frames(values, _turned(frames.geometry, moment * turn), frames.shape) / len(moments)
    return frames.replace_data((frames.data + sources).astype(frames.data.dtype))


def source_frames(
    shape: tuple[int, int, int],
    geometry: Geometry,
    psf: PSF,
    separation: Any,
    position_angle: Any,
    smearing: Any = None,
) -> FloatArray:
    """Return what one companion of unit flux looks like in each frame.

    Parameters
    ----------
    shape : (n, y, x)
        Of the frames.
    geometry : Geometry
        Whose centre, angles and parity to use.
    psf : PSF
    separation, position_angle : float or Quantity
        As for `inject`, of one companion.
    smearing
        As for `inject`.

    Returns
    -------
    (n, y, x) array
        float64, in the detector's orientation.
    """
    (place,) = _places(separation, position_angle, geometry)
    out = np.zeros(shape)
    _add_companion(out, geometry, psf, place, rotation_in_exposure(smearing, geometry, len(out)), np.ones(len(out)))
    return out


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
    return np.asarray(middles[:, None] + turn[:, None] * _moments(reach, float(np.abs(turn).max())))


def _places(separation: Any, position_angle: Any, geometry: Geometry) -> list[tuple[float, float]]:
    """Return (separation in pixels, position angle in degrees) of each companion."""
    distances = np.atleast_1d(in_pixels("separation", separation, geometry.pixel_scale))
    angles = np.atleast_1d(in_degrees("position_angle", position_angle))
    try:
        pairs = np.broadcast_arrays(distances, angles)
    except ValueError:
        found = f"shape {angles.shape}"
        raise fail("position_angle", f"one, or one for each separation, {distances.shape}", found) from None
    if pairs[0].ndim > 1 or (distances < 0).any():
        raise fail("separation", "a number, or one for each companion, of at least 0", separation)
    return [(float(distance), float(angle)) for distance, angle in zip(*pairs, strict=True)]


def _fluxes(flux: Any, frames: Frames, companions: int) -> FloatArray:
    """Return the flux of each companion in each frame: (companions, n)."""
    values = values_in("flux", flux, frames.unit)
    if not np.isfinite(values).all():
        raise fail("flux", "finite", f"{int((~np.isfinite(values)).sum())} NaN or Inf")
    columns = values[:, None] if values.ndim == 1 else values
    return check_broadcast("flux", columns, (companions, len(frames)))


def _add_companion(
    data: FloatArray,
    geometry: Geometry,
    psf: PSF,
    place: tuple[float, float],
    turn: FloatArray,
    fluxes: FloatArray,
) -> None:
    """Add one companion to frames, (n, y, x), in place."""
    tracks = _tracks(geometry, place, turn)
    _check_inside(tracks, data.shape, place)
    for image, track, flux in zip(data, tracks, fluxes, strict=True):
        add_source(image, psf, track[:, 0], track[:, 1], flux / len(track))


def _tracks(geometry: Geometry, place: tuple[float, float], turn: FloatArray) -> list[FloatArray]:
    """Return where a companion is during each exposure: (x, y) at moments of equal length, (moments, 2) a frame."""
    tracks = []
    for i, degrees in enumerate(turn):
        angles = geometry.angle_of(i) + degrees * _moments(place[0], abs(degrees))
        tracks.append(replace(geometry, angles=angles).positions(*place))
    return tracks


def _moments(reach: float, degrees: float) -> FloatArray:
    """Return the middles of equal parts of an exposure, −0.5 to 0.5, so many that no step is longer than allowed."""
    count = max(1, int(np.ceil(reach * np.deg2rad(degrees) / LONGEST_STEP)))
    return np.asarray((np.arange(count) + 0.5) / count - 0.5)


def _turned(geometry: Geometry, degrees: FloatArray) -> Geometry:
    """Return the geometry with the frames' angles advanced by (n,) degrees."""
    return replace(geometry, angles=degrees + (0.0 if geometry.angles is None else geometry.angles))


def _check_inside(tracks: list[FloatArray], shape: tuple[int, ...], place: tuple[float, float]) -> None:
    """Raise if a companion is outside all frames, warn if it is outside some."""
    limits = np.array(shape[:0:-1]) - 0.5
    middles = np.array([track.mean(axis=0) for track in tracks])
    outside = np.any((middles < -0.5) | (middles > limits), axis=1)
    where = f"{place[0]:g} pixels at {place[1]:g} degrees"
    if outside.all():
        raise fail("separation", "such that the companion is inside the frame", where)
    if outside.any():
        warn(
            f"the companion at {where} is outside the frame in {int(outside.sum())} of {len(tracks)} frames",
            GeometryWarning,
        )
