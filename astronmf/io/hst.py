"""HST coronagraphy: STIS (``*_flt``, ``*_crj``, ``*_sx2``, ``*_x2d``) and NICMOS (``*_cal``) images (``format="hst"``).

Every SCI, with the ERR and DQ of the same EXTVER, is a frame.

Angles: ``ORIENTAT``, which both instruments' data handbooks define as the position angle of the image's y axis, east of
north, from the header of each SCI; where it is missing, the same from the CD matrix. Handedness and pixel scale come
from the CD matrix; ``PLATESC`` is the scale where there is none.

The star: CRPIX is the aperture's reference point. Where the star is behind STIS's wedge or bar, or in NICMOS's hole,
stands in neither header: it must be measured, and given as `center`. Without it the reader takes CRPIX, and warns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits, registry

from astronmf._typing import FloatArray
from astronmf._validation import fail
from astronmf.exceptions import FormatError, GeometryWarning, warn
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry
from astronmf.io.dq import NICMOS, STIS, DqBits, chosen_bits, flagged
from astronmf.io.files import is_fits, kept, number_array, open_fits, primary_header, provenance, unit_of
from astronmf.io.frames import (
    angle_of,
    has_wcs,
    linear_wcs,
    merged_header,
    numbered_names,
    parity_of,
    pixel_scale_of,
    read_or_given_angles,
    reference_pixel,
)

__all__ = ["read_hst"]


@dataclass(frozen=True)
class _Instrument:
    """What differs between instruments: names of flags, and those that exclude a pixel unless others are chosen."""

    flags: Mapping[str, int]
    serious: int


INSTRUMENTS = {
    # All but SMALLBLEM: what calstis writes to SDQFLAGS, "serious data quality flags", which stands above this.
    "STIS": _Instrument(STIS, 31743),
    # REED_SOL to CR_HIT: the flags above say that there is signal (SOURCE, ZEROSIG), or are the user's.
    "NICMOS": _Instrument(NICMOS, 1023),
}

# What is kept of a header, and under which name.
KEPT = {"object": "TARGNAME", "instrument": "INSTRUME", "filter": "FILTER", "aperture": "APERTURE"}


def read_hst(
    path: Any,
    *,
    center: tuple[float, float] | None = None,
    angles: Any = None,
    angle_key: str | None = None,
    pixel_scale: float | None = None,
    parity: int | None = None,
    dq_bits: DqBits = None,
    per_second: bool = False,
) -> Frames:
    """Read a calibrated file of STIS or NICMOS.

    Parameters
    ----------
    path
    center : (x, y), optional
        The star, 0-based; by default ``CRPIX1 − 1, CRPIX2 − 1`` of the first frame, with a warning.
    angles : (n,) array or path, optional
        Position angles of +y, instead of ``ORIENTAT``.
    angle_key : str, optional
        The keyword of each SCI that holds the position angle of +y, instead of ``ORIENTAT``.
    pixel_scale : float, optional
        Arcseconds a pixel; from the CD matrix by default, or ``PLATESC``.
    parity : {1, -1}, optional
        From the CD matrix by default, else 1.
    dq_bits : int, str or list, optional
        The DQ flags that exclude a pixel, as bits or by the names in `astronmf.io.dq.STIS` and
        `astronmf.io.dq.NICMOS`. By default, for STIS the header's ``SDQFLAGS`` (all but SMALLBLEM), for NICMOS all up
        to CR_HIT (512).
    per_second : bool, optional
        Divide counts by each frame's ``EXPTIME``: for frames of unequal exposure.

    Returns
    -------
    Frames
        A frame for each EXTVER of SCI.

    Raises
    ------
    FormatError
        If there is no SCI, the file is a spectrum, frames have different shapes, ERR or DQ have another shape than SCI,
        or a file of NICMOS has several sets: its ``*_ima`` holds the reads of one exposure.
    ValueError
        If a flag's name is not known.

    Warns
    -----
    GeometryWarning
        If the star's place is taken from CRPIX.
    """
    hdus = open_fits(path)
    instrument = _instrument(hdus, path)
    versions = _versions(hdus, path)
    headers = [merged_header(hdus, hdus["SCI", version]) for version in versions]
    first = headers[0]
    data = _stack([hdus["SCI", version].data for version in versions], path)
    sigma, flags = (_companion(hdus, name, versions, data.shape, path) for name in ("ERR", "DQ"))
    exposures = [float(header.get("EXPTIME", np.nan)) for header in headers]
    unit = unit_of(first, path)
    if per_second:
        seconds, unit = _seconds(exposures, unit, path), unit / u.s
        data, sigma = data / seconds, None if sigma is None else sigma / seconds
    position_angles, used = _angles(hdus, headers, angles, angle_key, path)
    bits = int(first.get("SDQFLAGS", instrument.serious)) if dq_bits is None else chosen_bits(dq_bits, instrument.flags)
    return Frames(
        data,
        sigma,
        flagged(flags, data.shape, bits),
        geometry=Geometry.of_shape(
            data.shape[1:],
            _reference_pixel(first, data.shape, path) if center is None else center,
            pixel_scale=_pixel_scale(first) if pixel_scale is None else pixel_scale,
            parity=parity_of(first) if parity is None else parity,
            angles=position_angles,
        ),
        unit=unit,
        names=numbered_names(f"{first.get('TARGNAME', '')} {first.get('ROOTNAME', '')}".strip(), path, len(data)),
        meta=kept(first, KEPT) | {"angle_key": used, "exposure_times": exposures, "inputs": provenance(path)},
    )


def _instrument(hdus: fits.HDUList, path: Any) -> _Instrument:
    """Return what is particular to a file's instrument."""
    name = str(hdus[0].header.get("INSTRUME", "")).strip()
    if name not in INSTRUMENTS:
        msg = f"{path}: INSTRUME must be {' or '.join(INSTRUMENTS)}, got {name!r}"
        raise FormatError(msg)
    if str(hdus[0].header.get("OBSTYPE", "")).strip() == "SPECTROSCOPIC":
        msg = f"{path}: a spectrum (OBSTYPE), not an image"
        raise FormatError(msg)
    return INSTRUMENTS[name]


def _versions(hdus: fits.HDUList, path: Any) -> list[int]:
    """Return the EXTVERs of SCI, one a frame."""
    versions = sorted(hdu.ver for hdu in hdus if hdu.name == "SCI")
    if not versions:
        msg = f"{path}: an image of HST has an extension SCI, this file has none"
        raise FormatError(msg)
    if len(versions) > 1 and hdus[0].header["INSTRUME"].strip() == "NICMOS":
        msg = f"{path}: {len(versions)} sets of extensions are the reads of one NICMOS exposure; read its *_cal file"
        raise FormatError(msg)
    return versions


def _stack(images: list[Any], path: Any) -> FloatArray:
    """Return images as a stack, (n, y, x)."""
    shapes = {np.shape(image) for image in images}
    if len(shapes) > 1 or len(next(iter(shapes))) != 2:
        msg = f"{path}: every SCI must be an image of the same size, got {', '.join(map(str, sorted(shapes)))}"
        raise FormatError(msg)
    return number_array(np.stack(images))


def _companion(
    hdus: fits.HDUList, name: str, versions: list[int], shape: tuple[int, ...], path: Any
) -> FloatArray | None:
    """Return an array that goes with the data, (n, y, x), or `None` where there is none, or only zeros for all."""
    if name not in hdus:
        return None
    planes: list[Any] = []
    for version in versions:
        if (name, version) not in hdus:
            msg = f"{path}: SCI {version} has no {name} of the same EXTVER"
            raise FormatError(msg)
        planes.append(_plane(hdus[name, version], shape[1:]))
        if planes[-1].shape != shape[1:]:
            msg = f"{path}: {name} {version} must have the shape of SCI, {shape[1:]}, got {planes[-1].shape}"
            raise FormatError(msg)
    stack = number_array(np.stack(planes))
    return stack if stack.any() else None


def _plane(hdu: Any, shape: tuple[int, ...]) -> Any:
    """Return an extension's image; where HST left it out because all its values are equal, an image of that value."""
    return np.full(shape, hdu.header.get("PIXVALUE", 0)) if hdu.data is None else np.asarray(hdu.data)


def _seconds(exposures: list[float], unit: u.UnitBase | None, path: Any) -> FloatArray:
    """Return exposure times to divide counts by, (n, 1, 1), or raise if that makes no sense."""
    if unit is None or u.s in unit.bases:
        raise fail("per_second", f"left out: {path} is not in counts", f"the unit {unit}")
    seconds = np.array(exposures, dtype=np.float32)[:, None, None]
    if not (seconds > 0).all():
        msg = f"{path}: EXPTIME must be above 0 for every frame, got {exposures}"
        raise FormatError(msg)
    return seconds


def _angles(
    hdus: fits.HDUList, headers: list[fits.Header], angles: Any, key: str | None, path: Any
) -> tuple[FloatArray | None, str]:
    """Return the position angle of +y of each frame, (n,), and what it comes from."""
    if angles is not None:
        return read_or_given_angles(hdus, headers[0], len(headers), angles, key), "given"
    if key is not None or all("ORIENTAT" in header for header in headers):
        used = key or "ORIENTAT"
        return np.array([angle_of(header, used) for header in headers]), used
    if not all(has_wcs(header) for header in headers):
        msg = f"{path}: SCI has neither ORIENTAT nor a CD matrix; give 'angles' or 'angle_key'"
        raise FormatError(msg)
    return np.array([_angle_of_y(linear_wcs(header)) for header in headers]), "CD matrix"


def _angle_of_y(matrix: FloatArray) -> float:
    """Return the position angle of +y, degrees, that a pixel-to-sky matrix has."""
    return float(np.rad2deg(np.arctan2(matrix[0, 1], matrix[1, 1])))


def _pixel_scale(header: fits.Header) -> float | None:
    """Return arcseconds a pixel, by the CD matrix or PLATESC."""
    scale = pixel_scale_of(header)
    return scale if scale is not None or "PLATESC" not in header else float(header["PLATESC"])


def _reference_pixel(header: fits.Header, shape: tuple[int, ...], path: Any) -> tuple[float, float] | None:
    """Return CRPIX as a 0-based (x, y), with a warning that it is not the star."""
    found = reference_pixel(header, shape)
    if found is not None:
        msg = (
            f"{path}: the star is taken to be at CRPIX, (x, y) = {found} from 0, which is the aperture's reference "
            "point; behind a wedge, a bar or a hole the star is elsewhere: measure its place and give 'center'"
        )
        warn(msg, GeometryWarning)
    return found


def _identify(origin: str, path: Any, fileobj: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG001
    """Return whether a file to be read is HST's, of an instrument that is known here."""
    if origin != "read" or path is None or not is_fits(path):
        return False
    header = primary_header(path)
    return str(header.get("TELESCOP", "")).strip() == "HST" and str(header.get("INSTRUME", "")).strip() in INSTRUMENTS


registry.register_reader("hst", Frames, read_hst)
registry.register_identifier("hst", Frames, _identify)
