"""VLT/SPHERE: IRDIS imaging, and single wavelengths of IFS (``format="sphere"``).

Angles, in degrees. Pupil tracking (``ESO INS4 COMB ROT`` PUPIL, or derotator mode ELEV)::

    angle = angle_sign × (PARANG + drift + pupil_offset + instrument_offset + true_north)

and field tracking (FIELD, or SKY)::

    angle = angle_sign × (POSANG + instrument_offset + true_north)

PARANG lies between ``ESO TEL PARANG START`` and ``ESO TEL PARANG END``, at the middle of each frame; POSANG is
``ESO INS4 DROT2 POSANG``. By Maire+ 2016 (Proc. SPIE 9908, 990834, arXiv:1609.06681) `pupil_offset` is 135.99 ± 0.11,
`true_north` −1.75 ± 0.08, and `instrument_offset` 0 for IRDIS, −100.48 ± 0.10 for IFS. A wrong time reference, mended
on 2016-07-12, made the derotator drift by ``drift`` = arctan(tan(ALT − 2 DROT2 BEGIN)), from ``ESO TEL ALT`` and
``ESO INS4 DROT2 BEGIN``; since then it is 0. All are position angles of +y, east of north: a source's position angle on
the sky is the one on the detector, counter-clockwise from +y, plus `angle`.

Pixel scales are Maire+ 2016's, 12.255 mas (H2) and 7.46 mas. IRDIS images have to be stretched by 0.60 % along y to be
true; that is not done here. The star is not at CRPIX, which is not used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.io import fits, registry

from astronmf._typing import FloatArray
from astronmf._validation import check_choice, check_integer, check_number, check_shape, fail
from astronmf.exceptions import FormatError, GeometryWarning, warn
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry
from astronmf.io.eso import (
    PARANG,
    Corrections,
    check_frame_count,
    number,
    parallactic_angles,
    text,
)
from astronmf.io.files import is_fits, kept, number_array, open_fits, primary_header, provenance, unit_of
from astronmf.io.frames import merged_header, numbered_names, science_hdu

__all__ = ["arm_of", "identify_sphere", "ordered", "read_sphere", "sphere_angles"]

TRUE_NORTH, PUPIL_OFFSET = -1.75, 135.99
INSTRUMENT_OFFSET = {"IRDIS": 0.0, "IFS": -100.48}
PIXEL_SCALE = {"IRDIS": 0.012255, "IFS": 0.00746}
POSANG = "ESO INS4 DROT2 POSANG"
DERIVED = ("ESO TEL ALT", "ESO INS4 DROT2 BEGIN")
MENDED = 57581  # MJD, 2016-07-12
TRACKING = {"PUPIL": "pupil", "ELEV": "pupil", "FIELD": "field", "SKY": "field"}
SIDES = ("left", "right")
WAVELENGTHS = 39  # of IFS

# What is kept of a header, and under which name.
KEPT = {
    "object": "OBJECT",
    "instrument": "INSTRUME",
    "filter": "ESO INS COMB IFLT",
    "coronagraph": "ESO INS COMB ICOR",
}


def read_sphere(
    path: Any,
    *,
    channel: str | int | None = None,
    axes: str | None = None,
    center: tuple[float, float] | None = None,
    angles: Any = None,
    angle_key: str | None = None,
    pixel_scale: float | None = None,
    true_north: float | None = None,
    pupil_offset: float | None = None,
    angle_sign: int | None = None,
) -> Frames:
    """Read frames of IRDIS, or those of one wavelength of IFS.

    Parameters
    ----------
    path
        IRDIS: ``(n, y, x)`` or an image, or ``(2, n, y, x)`` with a channel each, as the SPHERE Data Centre writes it.
        IFS: see `astronmf.io.sphere_ifs`.
    channel : {"left", "right"} or int, optional
        IRDIS: which half of raw frames, 2048 × 1024 pixels, or which of two channels: it must be given for these, and
        left out for others. IFS: the number of the wavelength, from 0; all wavelengths at once are `SpectralFrames`.
    axes : {"wyx", "nwyx", "wnyx"}, optional
        IFS: the order of the array's axes, for frames, wavelengths, y and x.
    center : (x, y), optional
        The star, 0-based pixels of the channel; by default the middle of frames of odd size.
    angles : (n,) array or path, optional
        Position angles of +y, instead of those from the header.
    angle_key : str, optional
        The keyword with the position angle of +y, used as it stands.
    pixel_scale : float, optional
        Arcseconds a pixel; 0.012255 for IRDIS and 0.00746 for IFS by default.
    true_north : float, optional
        Degrees; -1.75 by default.
    pupil_offset : float, optional
        Degrees, for pupil tracking only; 135.99 by default.
    angle_sign : {1, -1}, optional
        -1 turns the angles over; 1 by default.

    Returns
    -------
    Frames
        A frame for each integration; ``meta["angle_convention"]`` says how the angles were made.

    Raises
    ------
    FormatError
        If the file is neither IRDIS's nor IFS's, lacks a keyword that the angles need, or has more frames than the
        exposure had.
    ValueError
        If the centre is missing for frames of even size, or an option does not fit.

    Warns
    -----
    GeometryWarning
        If the derotator's drift is not known, or frames of the exposure are missing.
    """
    hdus = open_fits(path)
    image = science_hdu(hdus, path)
    header = merged_header(hdus, image)
    arm = arm_of(header, path)
    values = number_array(image.data)
    if arm != "IFS" and axes is not None:
        raise fail("axes", "left out for IRDIS", repr(axes))
    data = _wavelength(values, axes, channel) if arm == "IFS" else _side(values, channel, path)
    wanted = Corrections(angles, angle_key, true_north, pupil_offset, angle_sign)
    position_angles, about = sphere_angles(hdus, header, len(data), path, wanted)
    return Frames(
        data,
        geometry=Geometry.of_shape(
            data.shape[1:],
            center,
            pixel_scale=PIXEL_SCALE[arm] if pixel_scale is None else pixel_scale,
            angles=position_angles,
        ),
        unit=unit_of(header, path),
        names=numbered_names(text(header, "OBJECT"), path, len(data)),
        meta=kept(header, KEPT)
        | about
        | ({} if channel is None else {"channel": channel})
        | {"inputs": provenance(path)},
    )


def arm_of(header: fits.Header, path: Any) -> str:
    """Return IRDIS or IFS."""
    arm = text(header, "ESO DET ID", "ESO SEQ ARM")
    if arm not in PIXEL_SCALE:
        msg = (
            f"{path}: ESO DET ID must be {' or '.join(PIXEL_SCALE)}, got {arm!r}; other files may be read by a mapping"
        )
        raise FormatError(msg)
    return arm


def ordered(data: FloatArray, axes: str | None, count: int = WAVELENGTHS) -> FloatArray:
    """Return an IFS cube as (n, wavelength, y, x).

    Without `axes`, three are (wavelength, y, x), and of four that one is the wavelength which has `count` elements.

    Raises
    ------
    ValueError
        If `axes` does not fit the array, or is needed.
    """
    if axes is None and data.ndim == 4 and data.shape[:2].count(count) != 1:
        found = f"None, for shape {data.shape}: it does not tell which axis is the wavelength, of {count} elements"
        raise fail("axes", "'nwyx' or 'wnyx'", found)
    if axes is None:
        axes = "wyx" if data.ndim == 3 else "nwyx" if data.ndim == 4 and data.shape[1] == count else "wnyx"
    check_choice("axes", axes, ("wyx", "nwyx", "wnyx"))
    check_shape("data", data, (None,) * len(axes))
    cube = data[None] if axes == "wyx" else data
    return np.moveaxis(cube, 0, 1) if axes == "wnyx" else cube


def _wavelength(data: FloatArray, axes: str | None, channel: str | int | None) -> FloatArray:
    """Return the frames of one wavelength of IFS, (n, y, x)."""
    if isinstance(channel, str) or channel is None:
        raise fail("channel", "a wavelength's number, or the file read as SpectralFrames", repr(channel))
    cube = ordered(data, axes)
    return np.ascontiguousarray(cube[:, check_integer("channel", channel, 0, cube.shape[1] - 1)])


def _side(data: FloatArray, channel: str | int | None, path: Any) -> FloatArray:
    """Return one channel's frames of IRDIS, (n, y, x)."""
    data = data[None] if data.ndim == 2 else data
    if data.ndim == 4:
        check_shape(f"{path}", data, (2, None, None, None))
        return np.asarray(data[SIDES.index(check_choice("channel", channel, SIDES))])
    check_shape(f"{path}", data, (None, None, None))
    height, width = data.shape[1:]
    if width != 2 * height:
        if channel is not None:
            raise fail("channel", f"left out: frames of {width} x {height} pixels are of one channel", repr(channel))
        return data
    start = height * SIDES.index(check_choice("channel", channel, SIDES))
    return data[:, :, start : start + height]


def sphere_angles(
    hdus: fits.HDUList, header: fits.Header, count: int, path: Any, wanted: Corrections
) -> tuple[FloatArray | None, dict[str, Any]]:
    """Return position angles of +y, (n,), and what they are made of."""

    def nominal() -> tuple[FloatArray, str, str]:
        check_frame_count(header, count, path)
        angles, key, terms = _nominal_angles(header, count, path, wanted.pupil_offset)
        offset = INSTRUMENT_OFFSET[arm_of(header, path)]
        return angles + offset, key, f"{terms} + {offset:g}"

    return wanted.position_angles(hdus, header, count, nominal, TRUE_NORTH)


def _nominal_angles(
    header: fits.Header, count: int, path: Any, pupil_offset: float | None
) -> tuple[FloatArray, str, str]:
    """Return the angles but for the instrument's offset and true north, (n,), their keyword, and their terms."""
    mode = TRACKING.get(text(header, "ESO INS4 COMB ROT", "ESO INS4 DROT2 MODE"))
    if mode is None:
        msg = f"{path}: the header does not say whether the pupil or the field was tracked; give 'angles'"
        raise FormatError(msg)
    if mode == "field":
        if pupil_offset is not None:
            raise fail("pupil_offset", "left out for field tracking", pupil_offset)
        return np.full(count, number(header, POSANG, path)), POSANG, "POSANG"
    offset = PUPIL_OFFSET if pupil_offset is None else check_number("pupil_offset", pupil_offset)
    angles = parallactic_angles(header, count, path) + _drift(header, path) + offset
    return angles, PARANG[0], f"PARANG + drift + {offset:g}"


def _drift(header: fits.Header, path: Any) -> float:
    """Return the derotator's drift, degrees: 0 since its clock was mended."""
    if "MJD-OBS" not in header or number(header, "MJD-OBS", path) >= MENDED:
        return 0.0
    if any(key not in header for key in DERIVED):
        msg = (
            f"{path}: without {' and '.join(DERIVED)} the derotator's drift before 2016-07-12 is not known; taken as 0"
        )
        warn(msg, GeometryWarning)
        return 0.0
    altitude, derotator = (number(header, key, path) for key in DERIVED)
    return float(np.rad2deg(np.arctan(np.tan(np.deg2rad(altitude - 2 * derotator)))))


def identify_sphere(origin: str, path: Any, fileobj: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG001
    """Return whether a file to be read is of IRDIS or IFS, with the keywords that angles are made of."""
    if origin != "read" or path is None or not is_fits(path):
        return False
    header = primary_header(path)
    known = text(header, "ESO DET ID", "ESO SEQ ARM") in PIXEL_SCALE
    return text(header, "INSTRUME") == "SPHERE" and known and PARANG[0] in header


registry.register_reader("sphere", Frames, read_sphere)
registry.register_identifier("sphere", Frames, identify_sphere)
