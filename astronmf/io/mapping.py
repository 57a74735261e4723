"""Frames of any instrument, by a mapping file that says where FITS files have what (``mapping="instrument.toml"``).

Sections and keys are those of `astronmf.io.mapping_file.KEYS`; docs/instruments.md says what they mean, with an
example.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits, registry

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import check_broadcast, fail
from astronmf.exceptions import FormatError
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import Geometry
from astronmf.io.dq import DqBits, chosen_bits, flag_names, flagged
from astronmf.io.eso import angles_between, number
from astronmf.io.files import number_array, open_fits, provenance, read_angles, unit_named, unit_of
from astronmf.io.frames import (
    merged_header,
    numbered_names,
    parity_of,
    pixel_scale_of,
    read_or_given_angles,
    science_hdu,
)
from astronmf.io.mapping_file import Sections, load_mapping

__all__ = ["read_mapped"]

ADVICE = "correct the mapping, or take another for this file"


def read_mapped(
    path: Any,
    *,
    mapping: Any = None,
    center: tuple[float, float] | None = None,
    angles: Any = None,
    angle_key: str | None = None,
    angle_column: str | None = None,
    pixel_scale: float | None = None,
    parity: int | None = None,
    dq_bits: DqBits = None,
) -> Frames:
    """Read a FITS file as a mapping file says.

    Parameters
    ----------
    path
    mapping : path
        The TOML file.
    center, angles, angle_key, angle_column, pixel_scale, parity, dq_bits : optional
        As in the general FITS format, instead of what the mapping says: `center` in the pixels of the frames that are
        returned, angles without the mapping's sign and offset.

    Returns
    -------
    Frames
        The mapping file's name and SHA-256 are in ``meta["mapping"]``.

    Raises
    ------
    FormatError
        If the mapping is not TOML, has a key or a value that it cannot have (the message lists those that it can), or
        asks for what the file does not have.
    ValueError
        If an option does not fit.
    """
    if mapping is None:
        raise fail("mapping", "a TOML file that says where the file has what", "None")
    sections = load_mapping(mapping)
    hdus = open_fits(path)
    image = _extension(hdus, sections["data"], path) or science_hdu(hdus, path)
    header = merged_header(hdus, image)
    data = _array(image, sections["data"], path)
    sigma, mask = _errors(hdus, sections, data.shape, path)
    mask |= _flagged(hdus, sections, data.shape, path, dq_bits, header) | _masked(hdus, sections, data.shape, path)
    if angles is None and angle_key is None and angle_column is None:
        position_angles = _angles(hdus, header, len(data), sections["angle"], path)
    else:
        position_angles = read_or_given_angles(hdus, header, len(data), angles, angle_key, angle_column)
    frames = sections["frames"]
    return Frames(
        data,
        sigma,
        mask,
        geometry=Geometry.of_shape(
            data.shape[1:],
            _center(header, sections, path) if center is None else center,
            pixel_scale=_pixel_scale(header, sections["pixels"], path) if pixel_scale is None else pixel_scale,
            parity=sections["pixels"].get("parity", parity_of(header)) if parity is None else parity,
            angles=position_angles,
        ),
        unit=_unit(header, sections["data"], path, mapping),
        names=numbered_names(_name(header, frames, path), path, len(data)),
        is_reference=np.full(len(data), _is_reference(header, frames, path)),
        meta={"mapping": provenance(mapping), "inputs": provenance(path)},
    )


def _extension(hdus: fits.HDUList, section: dict[str, Any], path: Any) -> Any:
    """Return the extension that a section names, or `None` where it names none."""
    name = section.get("extension")
    if name is None:
        return None
    if (isinstance(name, int) and not 0 <= name < len(hdus)) or (isinstance(name, str) and name not in hdus):
        known = ", ".join(f"{i} ({hdu.name or 'no name'})" for i, hdu in enumerate(hdus))
        msg = f"{path}: no extension {name!r}; there are {known}"
        raise FormatError(msg)
    return hdus[name]


def _array(hdu: Any, section: dict[str, Any], path: Any, *, integers: bool = False) -> Any:
    """Return an extension's array with its axes in order, (n, y, x), and trimmed."""
    name = hdu.name or "PRIMARY"
    if hdu.data is None or np.ndim(hdu.data) not in (2, 3):
        msg = f"{path} [{name}]: must be an image of 2 or 3 axes, got {'none' if hdu.data is None else hdu.data.shape}"
        raise FormatError(msg)
    values = np.asarray(hdu.data) if integers else number_array(hdu.data)
    axes = section.get("axes", "nyx")
    order = axes if values.ndim == 3 else axes.replace("n", "")
    if len(order) != values.ndim:
        msg = f"{path} [{name}]: the mapping's axes {axes!r} do not fit an array of shape {values.shape}"
        raise FormatError(msg)
    ordered = np.transpose(values, [order.index(axis) for axis in "nyx" if axis in order])
    rows, columns = (_limits(section, axis, ordered.shape[-2 + i], path) for i, axis in enumerate("yx"))
    trimmed = ordered[..., rows, columns]
    return trimmed if trimmed.ndim == 3 else trimmed[None]


def _limits(section: dict[str, Any], axis: str, length: int, path: Any) -> slice:
    """Return the part of an axis that is kept."""
    trim = section.get("trim", {})
    limits = trim.get(axis, [0, length])
    whole = isinstance(limits, list) and len(limits) == 2 and all(type(limit) is int for limit in limits)
    if set(trim) - {"x", "y"} or not whole or not 0 <= limits[0] < limits[1] <= length:
        msg = (
            f"{path}: trim must be {{x = [first, end], y = [first, end]}}, from 0 to {length} along {axis}, got {trim}"
        )
        raise FormatError(msg)
    return slice(*limits)


def _unit(header: fits.Header, section: dict[str, Any], path: Any, mapping: Any) -> Any:
    """Return the data's unit, or `None`."""
    if "unit" in section:
        return unit_named(section["unit"], f"{mapping}: unit in [data]")
    return unit_of(header, path, section.get("unit_key", "BUNIT"))


def _errors(
    hdus: fits.HDUList, sections: Sections, shape: tuple[int, ...], path: Any
) -> tuple[FloatArray | None, BoolArray]:
    """Return 1σ errors, or `None`, and which values they exclude: those of no weight."""
    mask = np.zeros(shape, dtype=bool)
    hdu = _extension(hdus, sections["error"], path)
    if hdu is None:
        return None, mask
    values = check_broadcast("error", _array(hdu, sections["data"], path), shape)
    kind = sections["error"].get("kind", "sigma")
    if kind == "sigma":
        return values, mask
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not above 0 has no error, and ends up masked
        if kind == "variance":
            return np.sqrt(values), mask
        return 1 / np.sqrt(values), mask | (values == 0)


def _flagged(
    hdus: fits.HDUList, sections: Sections, shape: tuple[int, ...], path: Any, dq_bits: DqBits, header: fits.Header
) -> BoolArray:
    """Return which values flags exclude: the bits chosen in the call, those of the mapping, or any."""
    section = sections["flags"]
    hdu = _extension(hdus, section, path)
    if hdu is None:
        return np.zeros(shape, dtype=bool)
    names = section.get("names", flag_names(header))
    bits = chosen_bits(section.get("bits") if dq_bits is None else dq_bits, names)
    return flagged(_array(hdu, sections["data"], path, integers=True), shape, bits)


def _masked(hdus: fits.HDUList, sections: Sections, shape: tuple[int, ...], path: Any) -> BoolArray:
    """Return which values a mask excludes."""
    hdu = _extension(hdus, sections["mask"], path)
    if hdu is None:
        return np.zeros(shape, dtype=bool)
    marked = np.nan_to_num(_array(hdu, sections["data"], path)) != 0
    excluded = marked if sections["mask"].get("excluded", "nonzero") == "nonzero" else ~marked
    return np.array(check_broadcast("mask", excluded, shape))


def _angles(
    hdus: fits.HDUList, header: fits.Header, count: int, section: dict[str, Any], path: Any
) -> FloatArray | None:
    """Return ``sign × value + offset`` of each frame's angle, (n,), or `None` where the mapping names none."""
    if "key" in section:
        start, end = (number(header, section.get(k, section["key"]), path, ADVICE) for k in ("key", "end_key"))
        values: Any = angles_between(start, end, count)
    elif "file" in section:
        values = read_angles(Path(path).parent / section["file"].replace("{stem}", Path(path).name.split(".")[0]))
    else:
        values = section.get("value", read_or_given_angles(hdus, header, count, None, None, section.get("column")))
    if values is None:
        return None
    stated = check_broadcast("angles", np.atleast_1d(np.asarray(values, dtype=np.float64)), (count,))
    return np.asarray(section.get("sign", 1) * stated + section.get("offset", 0.0))


def _center(header: fits.Header, sections: Sections, path: Any) -> tuple[float, float] | None:
    """Return the star's place in the trimmed frames, 0-based (x, y), or `None` where the mapping has none."""
    section, trim = sections["center"], sections["data"].get("trim", {})
    named = section.get("keys", section.get("position"))
    if named is None:
        return None
    kind = str if "keys" in section else (int, float)
    if len(named) != 2 or not all(isinstance(item, kind) for item in named):
        msg = f"{path}: the mapping's [center] must have two {'keywords' if kind is str else 'numbers'}, got {named}"
        raise FormatError(msg)
    first = section.get("first_pixel", 1) if kind is str else 0
    x, y = (number(header, item, path, ADVICE) if kind is str else float(item) for item in named)
    return x - first - trim.get("x", [0])[0], y - first - trim.get("y", [0])[0]


def _pixel_scale(header: fits.Header, section: dict[str, Any], path: Any) -> float | None:
    """Return arcseconds a pixel: the mapping's, or what the general format finds."""
    if "scale_key" in section:
        return number(header, section["scale_key"], path, ADVICE)
    return section.get("scale", pixel_scale_of(header))


def _name(header: fits.Header, section: dict[str, Any], path: Any) -> str:
    """Return what a file shows: by the mapping's keyword, or OBJECT if there is one."""
    return str(_card(header, section.get("name_key", "OBJECT" if "OBJECT" in header else None), path) or "")


def _card(header: fits.Header, key: str | None, path: Any) -> Any:
    """Return what a keyword of the mapping holds, `None` without a keyword."""
    if key is not None and key not in header:
        msg = f"{path}: the header has no {key}; {ADVICE}"
        raise FormatError(msg)
    return None if key is None else header[key]


def _is_reference(header: fits.Header, section: dict[str, Any], path: Any) -> bool:
    """Return whether a file is of a reference star."""
    key = section.get("reference_key")
    return key is not None and bool(_card(header, key, path) == section["reference_value"])


registry.register_reader("mapping", Frames, read_mapped)
