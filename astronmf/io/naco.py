"""VLT/NACO imaging and coronagraphy, raw or calibrated, one exposure a file (``format="naco"``).

Angles, in degrees. Pupil tracking, with ``PARANG`` between ``ESO TEL PARANG START`` and ``ESO TEL PARANG END``, at the
middle of each frame::

    angle = angle_sign × (PARANG + pupil_offset + true_north),    pupil_offset = PUPILPOS − (90 + 89.44)

where ``PUPILPOS`` is ``ESO ADA PUPILPOS``, or 180 − PARANG START + POSANG (``ESO ADA POSANG``) where a header lacks it.
NACO's user manual calls 90 + (89.44 − PUPILPOS) the rotator's offset, which is subtracted from the parallactic angle.
Field tracking, with POSANG between ``ESO ADA POSANG`` and ``ESO ADA POSANG END``::

    angle = angle_sign × (POSANG + true_north)

Both take ESO's angles as position angles of +y, east of north. `true_north` is added, and is 0 unless it is given: it
changed between interventions, by tenths of a degree. Papers differ in its sign: "−0.45°" of Absil+ 2013 (A&A 559, L12)
is subtracted there, which is ``true_north=0.45`` here.
"""

from __future__ import annotations

from typing import Any

from astropy.io import fits, registry

from astronmf._typing import FloatArray
from astronmf._validation import check_number, fail
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry
from astronmf.io.eso import (
    FRAMES,
    PARANG,
    Corrections,
    angles_between,
    check_frame_count,
    number,
    parallactic_angles,
    text,
)
from astronmf.io.files import is_fits, kept, open_fits, primary_header, provenance, unit_of
from astronmf.io.frames import (
    as_stack,
    merged_header,
    numbered_names,
    pixel_scale_of,
    science_hdu,
)

__all__ = ["read_naco"]

SCALE = "ESO INS PIXSCALE"
POSANG = ("ESO ADA POSANG", "ESO ADA POSANG END")
ZERO = 90 + 89.44  # of PUPILPOS: NACO user manual, "Pupil tracking"
NAMES = ("NACO", "NAOS+CONICA")

# What is kept of a header, and under which name.
KEPT = {
    "object": "OBJECT",
    "instrument": "INSTRUME",
    "filter": "ESO INS OPTI6 NAME",
    "coronagraph": "ESO INS OPTI1 NAME",
}


def read_naco(
    path: Any,
    *,
    center: tuple[float, float] | None = None,
    angles: Any = None,
    angle_key: str | None = None,
    pixel_scale: float | None = None,
    true_north: float | None = None,
    pupil_offset: float | None = None,
    angle_sign: int | None = None,
) -> Frames:
    """Read an exposure of NACO.

    Parameters
    ----------
    path
        A cube ``(n, y, x)`` or an image. The average that NACO appends to its cubes, one frame more than
        ``ESO DET NDIT``, is left out.
    center : (x, y), optional
        The star, 0-based; by default the middle of frames of odd size. CRPIX is not used: it is not the star.
    angles : (n,) array or path, optional
        Position angles of +y, instead of those from the header; of the frames that are left.
    angle_key : str, optional
        The keyword with the position angle of +y, used as it stands.
    pixel_scale : float, optional
        Arcseconds a pixel; by default ``ESO INS PIXSCALE``, or from the header's WCS.
    true_north : float, optional
        Degrees to add to every angle; 0 by default.
    pupil_offset : float, optional
        Degrees to add to the parallactic angle, instead of PUPILPOS − 179.44; for pupil tracking only.
    angle_sign : {1, -1}, optional
        -1 turns the angles over; 1 by default.

    Returns
    -------
    Frames
        A frame for each integration; ``meta["angle_convention"]`` says how the angles were made.

    Raises
    ------
    FormatError
        If the file has no image, lacks a keyword that the angles need, or has more frames than the exposure had.
    ValueError
        If the centre is missing for frames of even size, or an option does not fit.
    """
    hdus = open_fits(path)
    image = science_hdu(hdus, path)
    header = merged_header(hdus, image)
    data = _without_average(as_stack(image, path), header, path)
    wanted = Corrections(angles, angle_key, true_north, pupil_offset, angle_sign)
    position_angles, about = wanted.position_angles(
        hdus, header, len(data), lambda: _angles(header, len(data), path, pupil_offset), 0.0
    )
    scale = _pixel_scale(header, path) if pixel_scale is None else pixel_scale
    return Frames(
        data,
        geometry=Geometry.of_shape(data.shape[1:], center, pixel_scale=scale, angles=position_angles),
        unit=unit_of(header, path),
        names=numbered_names(text(header, "OBJECT"), path, len(data)),
        meta=kept(header, KEPT) | about | {"inputs": provenance(path)},
    )


def _without_average(data: FloatArray, header: fits.Header, path: Any) -> FloatArray:
    """Return a cube without the average of its frames, which NACO writes behind them."""
    return data[:-1] if FRAMES in header and len(data) == number(header, FRAMES, path) + 1 > 1 else data


def _angles(header: fits.Header, count: int, path: Any, pupil_offset: float | None) -> tuple[FloatArray, str, str]:
    """Return the position angles of +y but for true north, (n,), their keyword, and their terms."""
    check_frame_count(header, count, path)
    if not _tracks_pupil(header):
        if pupil_offset is not None:
            raise fail("pupil_offset", "left out for field tracking", pupil_offset)
        ends = [number(header, key, path) for key in POSANG if key in header or key == POSANG[0]]
        return angles_between(ends[0], ends[-1], count), POSANG[0], "POSANG"
    if pupil_offset is None:
        offset, term = _pupil_offset(header, path), f"PUPILPOS - {ZERO:g}"
    else:
        offset = check_number("pupil_offset", pupil_offset)
        term = f"{offset:g}"
    return parallactic_angles(header, count, path) + offset, PARANG[0], f"PARANG + {term}"


def _tracks_pupil(header: fits.Header) -> bool:
    """Return whether the field turned while the pupil stood still."""
    return header.get("ESO TEL ROT ALTAZTRACK") is True or "PT" in text(header, "ESO DPR TECH").split(",")


def _pupil_offset(header: fits.Header, path: Any) -> float:
    """Return what the rotator adds to the parallactic angle."""
    if "ESO ADA PUPILPOS" in header:
        return number(header, "ESO ADA PUPILPOS", path) - ZERO
    pupil = 180 - number(header, PARANG[0], path) + number(header, POSANG[0], path)
    return float((pupil - ZERO + 180) % 360 - 180)


def _pixel_scale(header: fits.Header, path: Any) -> float | None:
    """Return the objective's arcseconds a pixel, or the WCS's."""
    return number(header, SCALE, path, "give 'pixel_scale'") if SCALE in header else pixel_scale_of(header)


def _identify(origin: str, path: Any, fileobj: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG001
    """Return whether a file to be read is an exposure of NACO, with the keywords that angles are made of."""
    if origin != "read" or path is None or not is_fits(path):
        return False
    header = primary_header(path)
    return text(header, "INSTRUME") in NAMES and PARANG[0] in header


registry.register_reader("naco", Frames, read_naco)
registry.register_identifier("naco", Frames, _identify)
