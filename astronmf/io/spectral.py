"""Exposures of several wavelengths from any FITS cube, and back; reductions of them (``format="fits"``)."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits, registry
from astropy.wcs import WCS, FITSFixedWarning

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import as_real_array, check_broadcast, check_shape
from astronmf.exceptions import FormatError
from astronmf.imaging.geometry import Geometry
from astronmf.imaging.spectral_frames import SpectralFrames
from astronmf.imaging.spectral_reduction import SpectralReduction
from astronmf.io.dq import DqBits, chosen_bits, flag_names, flagged
from astronmf.io.files import (
    identify_fits,
    json_from,
    json_hdu,
    kept,
    native_array,
    open_fits,
    provenance,
    read_numbers,
    table_hdu,
    to_ascii,
    unit_of,
    unit_text,
    write_fits,
)
from astronmf.io.frames import (
    DO_NOT_USE,
    KEPT,
    frame_names,
    frame_table,
    geometry_to_header,
    merged_header,
    parity_of,
    pixel_scale_of,
    preparation_of,
    read_or_given_angles,
    reference_pixel,
    science_hdu,
    warn_of_reference_pixel,
)

__all__ = [
    "holds_wavelengths",
    "read_spectral_frames",
    "read_spectral_reduction",
    "write_spectral_frames",
    "write_spectral_reduction",
]

IMAGES = ("COMBINED", "COMBINED_ERR", "COVERAGE")


def read_spectral_frames(
    path: Any,
    *,
    wavelengths: Any = None,
    center: tuple[float, float] | None = None,
    angles: Any = None,
    angle_key: str | None = None,
    angle_column: str | None = None,
    pixel_scale: float | None = None,
    parity: int | None = None,
    dq_bits: DqBits = None,
) -> SpectralFrames:
    """Read a FITS cube, ``(n, wavelength, y, x)`` or ``(wavelength, y, x)``, or SCI/ERR/DQ extensions of such.

    The images stay in the file until they are used, if it is not compressed.

    Parameters
    ----------
    path
    wavelengths : (w,) array, Quantity or path, optional
        Micrometres: an array, or a FITS image, FITS table or text file of them. By default the table WAVELENGTHS, or
        the header's spectral axis (``CTYPE3`` and what belongs to it).
    center, angles, angle_key, angle_column, pixel_scale, parity, dq_bits
        As of `astronmf.io.frames.read_frames`.

    Raises
    ------
    FormatError
        If the file is broken, has no image, or does not tell the wavelengths.
    ValueError
        If more than one source of angles is given, shapes disagree, or wavelengths do not increase.
    """
    hdus = _opened(path)
    image = science_hdu(hdus, path)
    data = image.data[None] if np.ndim(image.data) == 3 else image.data
    check_shape(f"{path} [{image.name or 'PRIMARY'}]", data, (None, None, None, None))
    header, size = merged_header(hdus, image), data.shape[2:]
    parts = {
        "pixel_scale": pixel_scale if pixel_scale is not None else pixel_scale_of(header),
        "angles": read_or_given_angles(hdus, header, len(data), angles, angle_key, angle_column),
        "parity": parity if parity is not None else parity_of(header),
    }
    reference = reference_pixel(header, size)
    if center is None:
        warn_of_reference_pixel(header, reference, size)
    table = frame_table(hdus)
    return SpectralFrames(
        data,
        None if "ERR" not in hdus else hdus["ERR"].data,
        None if "DQ" not in hdus else _flagged(hdus["DQ"].data, data.shape, chosen_bits(dq_bits, flag_names(header))),
        wavelengths=_wavelengths(hdus, header, data.shape[1], path) if wavelengths is None else _given(wavelengths),
        geometry=Geometry.of_shape(size, center or reference, **parts),
        unit=unit_of(header, path),
        names=frame_names(table, header, path, len(data)),
        is_reference=None if table is None or "IS_PSF" not in table.names else table["IS_PSF"],
        meta=kept(header, KEPT) | preparation_of(hdus) | {"inputs": provenance(path)},
    )


def holds_wavelengths(path: Any) -> bool:
    """Return whether a file's image has an axis of exposures and one of wavelengths, or a table of wavelengths."""
    with suppress(Exception), warnings.catch_warnings():  # what is wrong with a file, its reader says
        warnings.simplefilter("ignore")
        with fits.open(Path(path)) as hdus:
            return "WAVELENGTHS" in hdus or any(hdu.is_image and len(hdu.shape) == 4 for hdu in hdus)
    return False


def _opened(path: Any) -> fits.HDUList:
    """Return a FITS file's contents, images mapped to memory where that is possible."""
    with suppress(Exception):  # whoever reads the whole file can read it, or says what is wrong with it
        hdus, complete = _mapped(Path(path))
        if complete:
            return hdus
    return open_fits(path)


def _mapped(path: Path) -> tuple[fits.HDUList, bool]:
    """Return a file's contents, images mapped to memory, and whether they end where the file does."""
    with warnings.catch_warnings(), fits.open(path, memmap=True) as hdus:
        warnings.simplefilter("ignore")
        arrays = [hdu.data for hdu in hdus]
        last = hdus[-1].fileinfo()
    for hdu, array in zip(hdus, arrays, strict=True):  # what is mapped, astropy lets go of when it closes the file
        if array is not None:
            hdu.data = array
    return hdus, last["datLoc"] + last["datSpan"] == path.stat().st_size


def _flagged(flags: Any, shape: tuple[int, ...], bits: int | None) -> BoolArray:
    """Return which pixels a DQ array excludes, exposure by exposure: flags take eight times the memory."""
    mask = np.empty(shape, dtype=bool)
    for i, part in enumerate(check_broadcast("DQ", np.asarray(flags), shape)):
        mask[i] = flagged(part, shape[1:], bits)
    return mask


def _given(wavelengths: Any) -> Any:
    """Return wavelengths as they are, or from a file."""
    is_path = isinstance(wavelengths, str | bytes) or hasattr(wavelengths, "__fspath__")
    return read_numbers(wavelengths, "wavelengths") if is_path else wavelengths


def _wavelengths(hdus: fits.HDUList, header: fits.Header, count: int, path: Any) -> Any:
    """Return the wavelengths that a file tells."""
    if "WAVELENGTHS" in hdus:
        column = hdus["WAVELENGTHS"].columns[0]
        values = as_real_array("wavelengths", hdus["WAVELENGTHS"].data.field(0))
        return u.Quantity(values, column.unit) if column.unit else values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        axis = WCS(header).spectral
    if axis.naxis == 1 and header.get("CTYPE3"):
        return u.Quantity(axis.pixel_to_world(np.arange(count)))
    msg = f"{path}: the file does not tell the wavelengths; give 'wavelengths'"
    raise FormatError(msg)


def write_spectral_frames(frames: SpectralFrames, path: Any, *, overwrite: bool = False) -> None:
    """Write SCI, ERR, DQ (1 = excluded), WAVELENGTHS and FRAMES, which `read_spectral_frames` reads back."""
    science = fits.ImageHDU(frames.data, name="SCI")
    geometry_to_header(science.header, frames.geometry)
    if frames.unit is not None:
        science.header["BUNIT"] = unit_text(frames.unit)
    hdus = [fits.PrimaryHDU(), science]
    if frames.sigma is not None:
        hdus.append(fits.ImageHDU(np.ascontiguousarray(frames.sigma), name="ERR"))
    if frames.mask is not None:
        hdus.append(fits.ImageHDU(frames.mask.astype(np.uint8) * DO_NOT_USE, name="DQ"))
    columns: dict[str, Any] = {"NAME": [to_ascii(name) for name in frames.names], "IS_PSF": frames.is_reference}
    if frames.angles is not None:
        columns["ANGLE"] = frames.angles
    hdus += [_wavelength_hdu(frames.wavelengths), table_hdu(columns, "FRAMES")]
    if "preparation" in frames.meta:
        about = {key: frames.meta[key] for key in (*KEPT, "preparation") if key in frames.meta}
        hdus.append(json_hdu(about, "PREPARATION"))
    write_fits(hdus, path, overwrite=overwrite)


def _wavelength_hdu(wavelengths: FloatArray, fwhm: FloatArray | None = None) -> fits.BinTableHDU:
    """Return a row for each channel."""
    columns = {"WAVELENGTH": u.Quantity(wavelengths, u.um)}
    if fwhm is not None:
        columns["FWHM"] = u.Quantity(fwhm, u.pix)
    return table_hdu(columns, "WAVELENGTHS")


def write_spectral_reduction(reduction: SpectralReduction, path: Any, *, overwrite: bool = False) -> None:
    """Write COMBINED, COMBINED_ERR and COVERAGE, (w, y, x), COLLAPSED and COLLAPSED_ERR, WAVELENGTHS and META."""
    collapsed = reduction.collapse()
    images = [
        ("COMBINED", reduction.combined),
        ("COMBINED_ERR", reduction.combined_uncertainty),
        ("COVERAGE", reduction.coverage.astype(np.int32)),
        ("COLLAPSED", collapsed.image),
        ("COLLAPSED_ERR", collapsed.uncertainty),
    ]
    hdus: list[Any] = [_primary(reduction)]
    for name, values in images:
        hdus.append(fits.ImageHDU(values, name=name))
        if reduction.unit is not None and name != "COVERAGE":
            hdus[-1].header["BUNIT"] = unit_text(reduction.unit)
        _describe_sky(reduction, hdus[-1].header)
    hdus += [_wavelength_hdu(reduction.wavelengths, reduction.fwhm), json_hdu(reduction.meta, "META")]
    write_fits(hdus, path, overwrite=overwrite)


def _primary(reduction: SpectralReduction) -> fits.PrimaryHDU:
    """Return the header that says how to run this again."""
    hdu = fits.PrimaryHDU()
    header = hdu.header
    header["CONTENT"] = ("spectral reduction", "what this file holds")
    header["CREATOR"] = (f"astronmf {reduction.meta.get('version', '')}", "software and version")
    for key, keyword in KEPT.items():
        if key in reduction.meta:
            header[keyword] = to_ascii(str(reduction.meta[key]))
    header["NCHANNEL"] = (len(reduction), "channels")
    header["COMMAND"] = to_ascii(str(reduction.meta.get("command", "astronmf.imaging.reduce_spectral")))
    header["PARAMS"] = json.dumps(reduction.meta["parameters"], default=str)
    for i, item in enumerate(reduction.meta.get("inputs", [])):
        header[f"INP{i:04d}"] = f"{to_ascii(item['name'])} sha256:{item['sha256']}"
    return hdu


def _describe_sky(reduction: SpectralReduction, header: fits.Header) -> None:
    """Write the north-up coordinates of the first two axes."""
    if reduction.wcs is not None:
        header.update(reduction.wcs.to_header())
        header["WCSAXES"] = header["NAXIS"]
    if reduction.pixel_scale is not None:
        header["PIXSCALE"] = (reduction.pixel_scale, "arcsec per pixel")
    header["CRPIX1"] = (reduction.center[0] + 1, "star's x, 1-based")
    header["CRPIX2"] = (reduction.center[1] + 1, "star's y, 1-based")


def read_spectral_reduction(path: Any) -> SpectralReduction:
    """Read a reduction of channels."""
    hdus = open_fits(path)
    missing = [name for name in (*IMAGES, "WAVELENGTHS", "META") if name not in hdus]
    if missing:
        msg = f"{path}: not a reduction of several wavelengths (it has no extension {missing[0]})"
        raise FormatError(msg)
    combined, errors, coverage = (native_array(hdus[name].data) for name in IMAGES)
    table, header = hdus["WAVELENGTHS"].data, hdus["COMBINED"].header
    wcs = WCS(hdus["COLLAPSED"].header) if "COLLAPSED" in hdus and "CTYPE1" in header else None
    return SpectralReduction(
        combined,
        errors,
        coverage,
        wavelengths=native_array(table["WAVELENGTH"]),
        fwhm=native_array(table["FWHM"]) if "FWHM" in table.names else None,
        unit=unit_of(header, path),
        pixel_scale=header.get("PIXSCALE"),
        wcs=wcs,
        meta=json_from(hdus["META"]),
    )


registry.register_reader("fits", SpectralFrames, read_spectral_frames)
registry.register_writer("fits", SpectralFrames, write_spectral_frames)
registry.register_identifier("fits", SpectralFrames, identify_fits)
registry.register_reader("fits", SpectralReduction, read_spectral_reduction)
registry.register_writer("fits", SpectralReduction, write_spectral_reduction)
registry.register_identifier("fits", SpectralReduction, identify_fits)
