"""What the files of fits and of forward models have in common."""

from __future__ import annotations

import json
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import Table

from astronmf.exceptions import FormatError
from astronmf.imaging.geometry import Geometry
from astronmf.imaging.modelling.on_sky import OnSky
from astronmf.io.files import from_ascii, native_array, table_hdu, to_ascii, unit_of, unit_text
from astronmf.io.frames import geometry_to_header
from astronmf.io.reduction import describe_place

__all__ = [
    "checked_extensions",
    "frame_geometry",
    "frame_table",
    "image_hdus",
    "input_table",
    "names_from",
    "optional_image",
    "primary_hdu",
]


def primary_hdu(content: OnSky, kind: str, **cards: Any) -> fits.PrimaryHDU:
    """Return the header that says what a file holds and how to make it again."""
    hdu, meta = fits.PrimaryHDU(), content.meta
    header = hdu.header
    header["CONTENT"] = (kind, "what this file holds")
    header["CREATOR"] = (f"astronmf {meta.get('version', '')}", "software and version")
    for keyword, key in (("OBJECT", "object"), ("INSTRUME", "instrument"), ("FILTER", "filter")):
        if key in meta:
            header[keyword] = to_ascii(str(meta[key]))
    for keyword, value in cards.items():
        header[keyword] = value
    header["COMMAND"] = to_ascii(str(meta.get("command", "")))
    header["PARAMS"] = json.dumps(meta.get("parameters", {}), default=str)
    for i, item in enumerate(meta.get("inputs", [])):
        header[f"INP{i:04d}"] = f"{to_ascii(item['name'])} sha256:{item['sha256']}"
    return hdu


def image_hdus(
    content: OnSky, unit: u.UnitBase | None, north_up: dict[str, Any], frames: dict[str, Any]
) -> list[fits.ImageHDU]:
    """Return images as extensions by name, with their unit and coordinates; those that are `None` are left out.

    Parameters
    ----------
    content
    unit
        Of all of them.
    north_up : dict of str to (y, x) arrays
        On the pixels of `Reduction.combined`.
    frames : dict of str to (..., y, x) arrays
        In the detector's orientation.
    """
    hdus = []
    for name, values in (north_up | frames).items():
        if values is None:
            continue
        hdu = fits.ImageHDU(np.ascontiguousarray(values), name=name)
        if unit is not None:
            hdu.header["BUNIT"] = unit_text(unit)
        if name in north_up:
            describe_place(content.wcs(), content.center, content.pixel_scale, hdu.header)
        elif content.geometry is not None:
            geometry_to_header(hdu.header, content.geometry)
        hdus.append(hdu)
    return hdus


def frame_table(content: OnSky, n: int, name: str, **columns: Any) -> fits.BinTableHDU:
    """Return a row for each of `n` frames: its name, its angle, and more."""
    names = content.meta.get("names") or [f"frame {i}" for i in range(n)]
    known: dict[str, Any] = {"NAME": [to_ascii(str(one)) for one in names]}
    if content.geometry is not None and content.geometry.angles is not None:
        known["ANGLE"] = content.geometry.angles
    return table_hdu(known | columns, name)


def frame_geometry(header: fits.Header, table: Any) -> Geometry | None:
    """Return the frames' geometry from an image in the detector's orientation and the table of frames."""
    if "PARITY" not in header:
        return None
    return Geometry(
        center=(header["CRPIX1"] - 1, header["CRPIX2"] - 1),
        pixel_scale=header.get("PIXSCALE"),
        angles=native_array(table["ANGLE"]) if "ANGLE" in table.names else None,
        parity=header["PARITY"],
    )


def input_table(content: OnSky) -> fits.BinTableHDU:
    """Return each input's name, SHA-256 and role."""
    inputs = content.meta.get("inputs", [])
    rows = [(to_ascii(i["name"]), i["sha256"], i.get("role", "")) for i in inputs] or [("", "", "")]
    return fits.BinTableHDU(Table(rows=rows, names=("NAME", "SHA256", "ROLE")), name="INPUTS")


def optional_image(hdus: fits.HDUList, name: str) -> Any:
    """Return an extension's array, `None` if there is no such extension."""
    return native_array(hdus[name].data) if name in hdus else None


def checked_extensions(hdus: fits.HDUList, names: tuple[str, ...], kind: str, path: Any) -> u.UnitBase | None:
    """Raise unless a file has all extensions of its kind; return the unit of the first.

    Raises
    ------
    FormatError
        If one is missing.
    """
    missing = [name for name in names if name not in hdus]
    if missing:
        msg = f"{path}: not {kind} (it has no extension {missing[0]})"
        raise FormatError(msg)
    return unit_of(hdus[names[0]].header, path)


def names_from(column: Any) -> list[str]:
    """Return the texts of a table's column."""
    return [from_ascii(str(one)) for one in column]
