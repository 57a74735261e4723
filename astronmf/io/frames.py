"""Frames from any FITS cube, or from SCI, ERR and DQ extensions, and back (``format="fits"``)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits, registry
from astropy.wcs import WCS, FITSFixedWarning

from astronmf._typing import FloatArray
from astronmf._validation import as_real_array, check_broadcast, check_shape, fail
from astronmf.exceptions import FormatError, GeometryWarning, warn
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry
from astronmf.io.dq import DqBits, chosen_bits, flag_names, flagged
from astronmf.io.files import (
    from_ascii,
    identify_fits,
    json_from,
    json_hdu,
    kept,
    number_array,
    open_fits,
    provenance,
    read_angles,
    table_hdu,
    to_ascii,
    unit_of,
    unit_text,
    write_fits,
)

__all__ = ["read_frames", "write_frames"]

DO_NOT_USE = 1

# What is kept of a header, and under which name.
KEPT = {"object": "OBJECT", "instrument": "INSTRUME", "filter": "FILTER"}


def read_frames(
    path: Any,
    *,
    center: tuple[float, float] | None = None,
    angles: Any = None,
    angle_key: str | None = None,
    angle_column: str | None = None,
    pixel_scale: float | None = None,
    parity: int | None = None,
    dq_bits: DqBits = None,
) -> Frames:
    """Read a FITS cube, ``(n, y, x)`` or a single image, or SCI/ERR/DQ extensions.

    Parameters
    ----------
    path
        With an SCI extension, that is the data, ERR its 1σ errors and DQ its flags, if they are there; without, the
        first image with at least two axes. Integers, either byte order and tile compression are understood.
    center : (x, y), optional
        The star, 0-based. By default ``CRPIX1 − 1, CRPIX2 − 1`` where the header has them inside the frame, else the
        middle of an odd-sized frame.
    angles : array or path, optional
        Position angles of +y, degrees east of north: an array, or a FITS image, FITS table or text file of them.
    angle_key : str, optional
        The header keyword that holds the angle of all frames of this file.
    angle_column : str, optional
        The column of a table in this file; ``ANGLE`` is used without being asked for.
    pixel_scale : float, optional
        Arcseconds a pixel; by default ``PIXSCALE``, or from the header's WCS.
    parity : {1, -1}, optional
        By default from the header's WCS, else 1.
    dq_bits : int, str or list, optional
        The DQ flags that exclude a pixel: bits, or names where the header's instrument has them (`astronmf.io.dq`);
        any flag by default.

    Raises
    ------
    FormatError
        If the file is broken or has no image.
    ValueError
        If more than one source of angles is given, or shapes disagree.
    """
    hdus = open_fits(path)
    image = science_hdu(hdus, path)
    data = as_stack(image, path)
    header = merged_header(hdus, image)
    parts = {
        "pixel_scale": pixel_scale if pixel_scale is not None else pixel_scale_of(header),
        "angles": read_or_given_angles(hdus, header, len(data), angles, angle_key, angle_column),
        "parity": parity if parity is not None else parity_of(header),
    }
    reference = reference_pixel(header, data.shape)
    if center is None:
        warn_of_reference_pixel(header, reference, data.shape)
    table = frame_table(hdus)
    return Frames(
        data,
        None if "ERR" not in hdus else number_array(hdus["ERR"].data),
        flagged(hdus["DQ"].data if "DQ" in hdus else None, data.shape, chosen_bits(dq_bits, flag_names(header))),
        geometry=Geometry.of_shape(data.shape[1:], center or reference, **parts),
        unit=unit_of(header, path),
        names=frame_names(table, header, path, len(data)),
        is_reference=None if table is None or "IS_PSF" not in table.names else table["IS_PSF"],
        meta=kept(header, KEPT) | preparation_of(hdus) | {"inputs": provenance(path)},
    )


def science_hdu(hdus: fits.HDUList, path: Any) -> Any:
    """Return the extension that holds the data."""
    if "SCI" in hdus:
        return hdus["SCI"]
    for hdu in hdus:
        if isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) and np.ndim(hdu.data) >= 2:
            return hdu
    msg = f"{path}: holds no image"
    raise FormatError(msg)


def as_stack(image: Any, path: Any) -> FloatArray:
    """Return an extension's image as a stack, (n, y, x), or raise if it has other axes."""
    data = number_array(image.data)
    stack = data[None] if data.ndim == 2 else data
    check_shape(f"{path} [{image.name or 'PRIMARY'}]", stack, (None, None, None))
    return stack


def merged_header(hdus: fits.HDUList, image: Any) -> fits.Header:
    """Return the primary header with the image's own on top."""
    header = hdus[0].header.copy()
    header.update(image.header)
    return header


def reference_pixel(header: fits.Header, shape: tuple[int, ...]) -> tuple[float, float] | None:
    """Return CRPIX as a 0-based (x, y), if the header has it and it lies inside the frame."""
    if "CRPIX1" not in header or "CRPIX2" not in header:
        return None
    x, y = float(header["CRPIX1"]) - 1, float(header["CRPIX2"]) - 1
    inside = -0.5 <= x <= shape[-1] - 0.5 and -0.5 <= y <= shape[-2] - 0.5
    return (x, y) if inside else None


def warn_of_reference_pixel(header: fits.Header, found: tuple[float, float] | None, shape: tuple[int, ...]) -> None:
    """Say that a sky coordinate's reference pixel is taken for the star, where it need not be."""
    middle = ((shape[-1] - 1) / 2, (shape[-2] - 1) / 2)
    if found is not None and "CTYPE1" in header and found != middle:
        msg = f"the star is taken to be at CRPIX, (x, y) = {found} from 0; give 'center' if it is elsewhere"
        warn(msg, GeometryWarning)


def read_or_given_angles(
    hdus: fits.HDUList, header: fits.Header, count: int, angles: Any, key: str | None, column: str | None = None
) -> FloatArray | None:
    """Return the angles from the one source that is given, or from an ANGLE column, or `None`."""
    given = {"angles": angles, "angle_key": key, "angle_column": column}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise fail("angles", "given in one way", " and ".join(named))
    if angles is not None:
        values = as_real_array(
            "angles",
            read_angles(angles) if isinstance(angles, str | bytes) or hasattr(angles, "__fspath__") else angles,
        )
        return check_broadcast("angles", np.atleast_1d(values), (count,))
    if key is not None:
        return np.full(count, angle_of(header, key))
    return _angle_column(hdus, column, count)


def angle_of(header: fits.Header, key: str) -> float:
    """Return the angle that a header keyword holds."""
    if key not in header:
        raise fail("angle_key", "a keyword of the header", repr(key))
    try:
        return float(header[key])
    except ValueError:
        raise fail("angle_key", "a keyword that holds a number", f"{key} = {header[key]!r}") from None


def _angle_column(hdus: fits.HDUList, column: str | None, count: int) -> FloatArray | None:
    """Return a table column of angles: the one that is named, or ANGLE if there is one."""
    for hdu in hdus:
        if isinstance(hdu, fits.BinTableHDU) and not isinstance(hdu, fits.CompImageHDU):
            matching = [name for name in hdu.columns.names if name.upper() == (column or "ANGLE").upper()]
            if matching:
                return check_broadcast("angles", np.asarray(hdu.data[matching[0]], dtype=np.float64), (count,))
    if column is not None:
        raise fail("angle_column", "a column of a table in the file", repr(column))
    return None


def frame_table(hdus: fits.HDUList) -> Any:
    """Return the FRAMES table, if there is one."""
    return hdus["FRAMES"].data if "FRAMES" in hdus else None


def frame_names(table: Any, header: fits.Header, path: Any, count: int) -> list[str]:
    """Return the frames' names: the table's, or numbered."""
    if table is not None and "NAME" in table.names:
        return [from_ascii(str(name)) for name in table["NAME"]]
    return numbered_names(str(header.get("OBJECT", "")), path, count)


def numbered_names(name: str, path: Any, count: int) -> list[str]:
    """Return names for a file's frames: what it shows, or its own name, and a number if there are several."""
    stem = name or Path(path).name
    return [stem if count == 1 else f"{stem} {i}" for i in range(count)]


def has_wcs(header: fits.Header) -> bool:
    """Return whether a header has sky coordinates."""
    return "CTYPE1" in header and any(key in header for key in ("CD1_1", "PC1_1", "CDELT1"))


def linear_wcs(header: fits.Header) -> FloatArray:
    """Return the header's pixel-to-sky matrix in degrees, (2, 2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return np.asarray(WCS(header, naxis=2, relax=True).celestial.pixel_scale_matrix)


def pixel_scale_of(header: fits.Header) -> float | None:
    """Return PIXSCALE, or the WCS's scale, in arcseconds."""
    if "PIXSCALE" in header:
        return float(header["PIXSCALE"])
    if not has_wcs(header):
        return None
    return float(np.sqrt(abs(np.linalg.det(linear_wcs(header)))) * 3600) or None


def parity_of(header: fits.Header) -> int:
    """Return -1 if the WCS says that east is right of north when north is up."""
    if "PARITY" in header:
        return int(header["PARITY"])
    return -1 if has_wcs(header) and np.linalg.det(linear_wcs(header)) > 0 else 1


def write_frames(frames: Frames, path: Any, *, overwrite: bool = False) -> None:
    """Write SCI, ERR, DQ (1 = excluded) and FRAMES (NAME, ANGLE, IS_PSF), which `read_frames` reads back.

    Of frames that were prepared, what was done is in PREPARATION.
    """
    primary = fits.PrimaryHDU()
    science = fits.ImageHDU(frames.data, name="SCI")
    geometry_to_header(science.header, frames.geometry)
    if frames.unit is not None:
        science.header["BUNIT"] = unit_text(frames.unit)
    hdus = [primary, science]
    if frames.sigma is not None:
        hdus.append(fits.ImageHDU(np.ascontiguousarray(frames.sigma), name="ERR"))
    hdus.append(fits.ImageHDU(frames.mask.astype(np.uint8) * DO_NOT_USE, name="DQ"))
    hdus.append(table_hdu(frame_columns(frames), "FRAMES"))
    if "preparation" in frames.meta:  # not in the header, by which files of an instrument are told
        about = {key: frames.meta[key] for key in (*KEPT, "preparation") if key in frames.meta}
        hdus.append(json_hdu(about, "PREPARATION"))
    write_fits(hdus, path, overwrite=overwrite)


def preparation_of(hdus: fits.HDUList) -> dict[str, Any]:
    """Return what was done to the frames, if anything was."""
    return json_from(hdus["PREPARATION"]) if "PREPARATION" in hdus else {}


def frame_columns(frames: Frames) -> dict[str, Any]:
    """Return the columns of the FRAMES table."""
    columns: dict[str, Any] = {"NAME": [to_ascii(name) for name in frames.names], "IS_PSF": frames.is_reference}
    if frames.angles is not None:
        columns["ANGLE"] = frames.angles
    return columns


def geometry_to_header(header: fits.Header, geometry: Geometry) -> None:
    """Write centre (1-based), pixel scale and parity."""
    header["CRPIX1"] = (geometry.center[0] + 1, "star's x, 1-based")
    header["CRPIX2"] = (geometry.center[1] + 1, "star's y, 1-based")
    header["PARITY"] = (geometry.parity, "1: sky-handed, -1: mirrored")
    if geometry.pixel_scale is not None:
        header["PIXSCALE"] = (geometry.pixel_scale, "arcsec per pixel")


registry.register_reader("fits", Frames, read_frames)
registry.register_writer("fits", Frames, write_frames)
registry.register_identifier("fits", Frames, identify_fits)
