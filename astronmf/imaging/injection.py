"""Point sources and disks of known flux, put into the frames where the sky's rotation takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import check_broadcast, fail
from astronmf.imaging.exposures import add_point, check_inside, rotation_in_exposure
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry, in_degrees, in_pixels
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.sources import as_source
from astronmf.imaging.plain import values_in
from astronmf.imaging.psf import PSF

__all__ = ["inject", "inject_image", "source_frames"]


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
        check_inside(frames.geometry, place, turn, frames.shape[1:])
        add_point(data, frames.geometry, point, place, turn, fluxes=totals)
    return frames.replace_data(data)


def inject_image(frames: Frames, image: Any, *, smearing: Any = None) -> Frames:
    """Return the frames with a disk, or anything else that is known as an image, added.

    Parameters
    ----------
    frames : Frames
        Not modified.
    image : (y, x) array, Quantity, NDData or Source
        As seen by the telescope (convolved), finite, north up. Without coordinates of its own it is on the pixels of
        `Reduction.combined`, star at ``(n_x // 2, n_y // 2)``. A `SkyImage` may have others.
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

    Warns
    -----
    GeometryWarning
        If there is light along the image's edge and frames go on there.
    """
    observer = Observer(frames.geometry, frames.shape, smearing=smearing, unit=frames.unit)
    sources = as_source("image", image).frames(observer)
    if not sources.any():
        return frames.replace_data(frames.data.copy())
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
    return Observer(geometry, shape, psf, smearing=smearing).point(separation, position_angle)


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
