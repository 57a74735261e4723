"""VLT/SPHERE IFS: cubes of wavelengths (`SpectralFrames`, ``format="sphere"``).

A file holds ``(wavelength, y, x)`` of one exposure, as ESO's pipeline writes it; ``(n, wavelength, y, x)``; or
``(wavelength, n, y, x)``, as the SPHERE Data Centre and vlt-sphere write it, with wavelengths and angles in files of
their own. Angles are those of `astronmf.io.sphere`, with IFS's instrument offset.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits, registry

from astronmf._typing import FloatArray
from astronmf._validation import check_shape, fail
from astronmf.exceptions import FormatError
from astronmf.imaging.geometry import Geometry
from astronmf.imaging.spectral_frames import SpectralFrames
from astronmf.io.eso import Corrections, number, text
from astronmf.io.files import kept, number_array, open_fits, primary_header, provenance, read_numbers, unit_of
from astronmf.io.frames import merged_header, numbered_names, science_hdu
from astronmf.io.sphere import (
    KEPT,
    PIXEL_SCALE,
    WAVELENGTHS,
    arm_of,
    identify_sphere,
    ordered,
    sphere_angles,
)

__all__ = ["IfsCube", "read_ifs", "read_ifs_cube", "wavelengths_of"]

ENDS = ("ESO DRS IFS MIN LAMBDA", "ESO DRS IFS MAX LAMBDA")  # micrometres
RANGE = (0.9, 1.7)  # micrometres: YJ and YJH, with some room
UNITS = ((1e-3, u.m), (1e2, u.um), (5e3, u.nm), (np.inf, u.angstrom))


class IfsCube(NamedTuple):
    """What a file of IFS holds.

    Attributes
    ----------
    data : (n, wavelength, y, x) array
    wavelengths : (wavelength,) array
        Micrometres.
    angles : (n,) array or None
        Position angles of +y, degrees east of north.
    header
        The image's, and the file's under it.
    about
        ``angle_key`` and ``angle_convention``: what the angles are made of.
    """

    data: FloatArray
    wavelengths: FloatArray
    angles: FloatArray | None
    header: fits.Header
    about: dict[str, Any]


def read_ifs(
    path: Any,
    *,
    axes: str | None = None,
    wavelengths: Any = None,
    center: tuple[float, float] | None = None,
    angles: Any = None,
    angle_key: str | None = None,
    pixel_scale: float | None = None,
    true_north: float | None = None,
    pupil_offset: float | None = None,
    angle_sign: int | None = None,
) -> SpectralFrames:
    """Read exposures of IFS with all their wavelengths.

    Parameters
    ----------
    path
    axes, wavelengths
        As of `read_ifs_cube`.
    center, angles, angle_key, pixel_scale, true_north, pupil_offset, angle_sign
        As of `astronmf.io.sphere.read_sphere`.

    Returns
    -------
    SpectralFrames
        ``meta["angle_convention"]`` says how the angles were made.

    Raises
    ------
    FormatError, ValueError
        As from both of these.
    """
    corrections = Corrections(angles, angle_key, true_north, pupil_offset, angle_sign)
    cube = read_ifs_cube(path, axes=axes, wavelengths=wavelengths, corrections=corrections)
    geometry = Geometry.of_shape(
        cube.data.shape[2:],
        center,
        pixel_scale=PIXEL_SCALE["IFS"] if pixel_scale is None else pixel_scale,
        angles=cube.angles,
    )
    return SpectralFrames(
        cube.data,
        wavelengths=cube.wavelengths,
        geometry=geometry,
        unit=unit_of(cube.header, path),
        names=numbered_names(text(cube.header, "OBJECT"), path, len(cube.data)),
        meta=kept(cube.header, KEPT) | cube.about | {"inputs": provenance(path)},
    )


def read_ifs_cube(
    path: Any, *, axes: str | None = None, wavelengths: Any = None, corrections: Corrections | None = None
) -> IfsCube:
    """Read the array of a file of IFS, in order, with wavelengths and angles.

    Parameters
    ----------
    path
    axes : {"wyx", "nwyx", "wnyx"}, optional
        The order of the array's axes; by default the wavelength is the first of three, or that of the first two of four
        that has as many elements as there are wavelengths (39, unless they are given).
    wavelengths : (wavelength,) array, Quantity or path, optional
        By default the header's: its third axis, or evenly from ``ESO DRS IFS MIN LAMBDA`` to ``MAX LAMBDA``. Plain
        numbers may be m, µm, nm or Å: IFS's range tells which.
    corrections : Corrections, optional
        Angles to use instead, or what to change in those from the header.

    Raises
    ------
    FormatError
        If the file is not IFS's, or lacks a keyword that is needed.
    ValueError
        If `axes` or `wavelengths` do not fit.
    """
    hdus = open_fits(path)
    image = science_hdu(hdus, path)
    header = merged_header(hdus, image)
    if arm_of(header, path) != "IFS":
        msg = f"{path}: not of IFS, but of IRDIS, which has no axis of wavelengths"
        raise FormatError(msg)
    given = None if wavelengths is None else _micrometres(_numbers(wavelengths))
    data = ordered(number_array(image.data), axes, WAVELENGTHS if given is None else len(given))
    waves = wavelengths_of(header, data.shape[1], path) if given is None else given
    check_shape("wavelengths", waves, (data.shape[1],))
    angles, about = sphere_angles(hdus, header, len(data), path, corrections or Corrections())
    return IfsCube(data, waves, angles, header, about)


def wavelengths_of(header: fits.Header, count: int, path: Any) -> FloatArray:
    """Return the wavelengths that a header tells, micrometres: (wavelength,).

    Raises
    ------
    FormatError
        If it does not.
    """
    if text(header, "CTYPE3").startswith("WAVE"):
        step = header.get("CD3_3", header.get("CDELT3", 0.0))
        axis = number(header, "CRVAL3", path) + step * (np.arange(1, count + 1) - header.get("CRPIX3", 1.0))
        unit = text(header, "CUNIT3")
        return _micrometres(u.Quantity(axis, unit) if unit else axis)
    if all(key in header for key in ENDS):
        first, last = (number(header, key, path, "give 'wavelengths'") for key in ENDS)
        return _micrometres(np.linspace(first, last, count))
    msg = f"{path}: the header does not tell the wavelengths; give 'wavelengths'"
    raise FormatError(msg)


def _numbers(values: Any) -> Any:
    """Return wavelengths as they are, or from a file."""
    is_path = isinstance(values, str | bytes) or hasattr(values, "__fspath__")
    return read_numbers(values, "wavelengths") if is_path else values


def _micrometres(values: Any) -> FloatArray:
    """Return wavelengths in micrometres, (wavelength,); the unit of plain numbers is told by their size."""
    if not isinstance(values, u.Quantity):
        plain = np.atleast_1d(np.asarray(values, dtype=np.float64))
        values = u.Quantity(plain, next(unit for limit, unit in UNITS if not np.max(plain) >= limit))
    waves = np.atleast_1d(values.to_value(u.um)).astype(np.float64)
    if waves.ndim != 1 or not (np.isfinite(waves) & (waves >= RANGE[0]) & (waves <= RANGE[1])).all():
        raise fail("wavelengths", f"those of IFS, from {RANGE[0]} to {RANGE[1]} micrometres", waves)
    return waves


def _identify(origin: str, path: Any, *args: Any, **kwargs: Any) -> bool:
    """Return whether a file to be read is of IFS, with the keywords that angles are made of."""
    return identify_sphere(origin, path, *args, **kwargs) and arm_of(primary_header(path), path) == "IFS"


registry.register_reader("sphere", SpectralFrames, read_ifs)
registry.register_identifier("sphere", SpectralFrames, _identify)
