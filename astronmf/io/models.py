"""Model files: sources for a forward model or a fit, and the ranges of their free parameters, in TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import NDData
from astropy.wcs import WCS

from astronmf._validation import check_number
from astronmf.exceptions import FormatError, GeometryWarning, warn
from astronmf.io.files import number_array, open_fits, unit_of
from astronmf.io.frames import has_wcs, pixel_scale_of

if TYPE_CHECKING:
    from astronmf.imaging.modelling.sources import SkyImage, Source

__all__ = ["ModelFile", "read_model", "read_model_image"]

LENGTHS = ("pixels", "arcsec")
TOP = ("lengths", "pixel_scale")

#: What a fit finds without being told: the model's scale.
AMPLITUDES = ("flux", "flux_at_break")


class ModelFile(NamedTuple):
    """What a model file says.

    Attributes
    ----------
    sources : dict
        The sources by name, in the file's order.
    free : dict
        For each source with free parameters, (low, high) by the parameter's name, in the source's own units: pixels
        and degrees.
    """

    sources: dict[str, Source]
    free: dict[str, dict[str, tuple[float, float]]]


@dataclass(frozen=True)
class _Kind:
    """One kind of model: how it is made, and the parameters that it has, needs, and has as lengths."""

    make: Callable[..., Source]
    known: tuple[str, ...]
    needed: tuple[str, ...]
    lengths: tuple[str, ...] = ()
    numbers: bool = True


def read_model(path: Any, *, pixel_scale: float | None = None) -> ModelFile:
    """Read a model file.

    Each table is a source, by its own name. ``model`` says which kind it is: "ring" (`Ring`), "edge-on" (`EdgeOnDisk`),
    "point" (`PointSource`) or "image" (a FITS file, `SkyImage`); the other keys are its parameters. A table ``free``
    within it has the ranges within which a fit may look for a parameter. ::

        lengths = "pixels"          # or "arcsec"

        [disk]
        model = "ring"
        radius = 45.0
        inclination = 60.0          # degrees
        position_angle = 30.0       # degrees east of north
        inner_width = 3.0
        [disk.free]
        radius = [40.0, 50.0]

        [star]
        model = "point"
        separation = 50.0
        position_angle = 250.0

        [other]
        model = "image"
        file = "model.fits"         # beside this file
        convolved = false

    Parameters
    ----------
    path
    pixel_scale : float, optional
        Arcseconds a detector pixel, for lengths in arcseconds; the file's own key ``pixel_scale`` stands in for it.

    Returns
    -------
    ModelFile
        A named tuple (sources, free).

    Raises
    ------
    FileNotFoundError
        If there is no such file, or an image that it names is not there.
    FormatError
        If it is not as it should be; the message names the key and says what is allowed.
    """
    where = Path(path)
    content = _load(where)
    scale = _scale(content, pixel_scale, where)
    tables = {name: table for name, table in content.items() if name not in TOP}
    if not tables:
        msg = f"{where}: has no source; a source is a table such as [disk], with a key 'model'"
        raise FormatError(msg)
    for name, table in tables.items():
        if not isinstance(table, dict):
            msg = f"{where}: {name} must be a table with a key 'model', or one of {', '.join(TOP)}, got {table!r}"
            raise FormatError(msg)
    sources = {name: _source(name, table, scale, where) for name, table in tables.items()}
    free = {name: _ranges(name, table, scale, where) for name, table in tables.items() if table.get("free")}
    return ModelFile(sources, free)


def read_model_image(path: Any, *, pixel_scale: float | None = None, convolved: bool | None = None) -> SkyImage:
    """Read a model image: the first image of a FITS file, (y, x), with its unit and its place on the sky.

    Parameters
    ----------
    path
    pixel_scale : float, optional
        Arcseconds a pixel; by default that of the header (its WCS, or ``PIXSCALE``). Where the star and north are is
        read from a WCS in any case.
    convolved : bool, optional
        As for `SkyImage`.

    Raises
    ------
    FileNotFoundError, FormatError
        If there is no such file, it is not FITS, or it holds no such image.
    """
    from astronmf.imaging.modelling.sources import SkyImage

    hdu = _first_image(path)
    unit = unit_of(hdu.header, path)
    values: Any = number_array(hdu.data)
    try:
        if has_wcs(hdu.header) or _has_offsets(hdu.header, path, told=pixel_scale is not None):
            values = NDData(values, unit=unit, wcs=WCS(hdu.header, naxis=2))
        elif pixel_scale is None:
            pixel_scale = pixel_scale_of(hdu.header)
        return SkyImage(values, pixel_scale=pixel_scale, convolved=convolved, unit=unit, name=str(path))
    except ValueError as error:
        told = str(error)  # that names the file, where its values are wrong
        raise FormatError(told if str(path) in told else f"{path}: {told}") from error


def _has_offsets(header: fits.Header, path: Any, *, told: bool) -> bool:
    """Return whether a header without CTYPE has all that offsets from the star need; warn of CDELT if it has not.

    There is none to warn of where the pixel scale is `told`, or PIXSCALE.
    """
    steps = [header.get(f"CDELT{axis}", 1.0) for axis in (1, 2)]
    if "CTYPE1" in header or steps == [1.0, 1.0]:
        return False
    units = [str(header.get(f"CUNIT{axis}", "")) for axis in (1, 2)]
    has_place = all(f"CRPIX{axis}" in header and header.get(f"CRVAL{axis}", 0) == 0 for axis in (1, 2))
    if has_place and all(u.Unit(unit, parse_strict="silent").is_equivalent(u.arcsec) for unit in units):
        return True
    if not told and "PIXSCALE" not in header:
        msg = f"{path}: CDELT is not used, for want of CUNIT (of an angle) and CRPIX, or CTYPE; give 'pixel_scale'"
        warn(msg, GeometryWarning)
    return False


def _first_image(path: Any) -> Any:
    """Return the first extension with an image of two axes."""
    for hdu in open_fits(path):
        if hdu.data is not None and isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU) and hdu.data.ndim == 2:
            return hdu
    msg = f"{path}: holds no image (y, x) to use as a model"
    raise FormatError(msg)


def _load(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file."""
    if not path.is_file():
        msg = f"{path}: no such file"
        raise FileNotFoundError(msg)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: not TOML ({error})"
        raise FormatError(msg) from error


def _scale(content: Mapping[str, Any], given: float | None, path: Path) -> float:
    """Return the length that the file's unit of length has in detector pixels."""
    lengths = content.get("lengths", LENGTHS[0])
    if lengths not in LENGTHS:
        msg = f"{path}: lengths must be one of {', '.join(map(repr, LENGTHS))}, got {lengths!r}"
        raise FormatError(msg)
    own = content.get("pixel_scale")
    if own is not None and (not _is_number(own) or own <= 0):
        msg = f"{path}: pixel_scale must be arcseconds a pixel, above 0, got {own!r}"
        raise FormatError(msg)
    if lengths == LENGTHS[0]:
        return 1.0
    scale = own if given is None else given
    if scale is None:
        msg = f"{path}: lengths in arcsec need the detector's pixel scale: add a line pixel_scale = (arcsec a pixel)"
        raise FormatError(msg)
    return 1 / check_number("pixel_scale", scale, np.nextafter(0, 1))


def _kinds() -> dict[str, _Kind]:
    """Return every kind of model by name."""
    from astronmf.imaging.modelling.rings import EdgeOnDisk, Ring
    from astronmf.imaging.modelling.sources import PointSource

    kinds = {"ring": _of_class(Ring, Ring.LENGTHS), "edge-on": _of_class(EdgeOnDisk, EdgeOnDisk.LENGTHS)}
    kinds["point"] = _of_class(PointSource, ("separation",))
    kinds["image"] = _Kind(read_model_image, ("file", "pixel_scale", "convolved"), ("file",), numbers=False)
    return kinds


def _of_class(model: Any, lengths: tuple[str, ...]) -> _Kind:
    """Return the kind that a dataclass is."""
    known = fields(model)
    needed = tuple(one.name for one in known if one.default is MISSING)
    return _Kind(model, tuple(one.name for one in known), needed, lengths)


def _source(name: str, table: dict[str, Any], scale: float, path: Path) -> Source:
    """Return the source that a table describes."""
    kind = _kind_of(name, table, path)
    given = {key: value for key, value in table.items() if key not in ("model", "free")}
    _check_keys(given, kind.known, f"parameter of a {table['model']} ([{name}])", path)
    missing = [key for key in kind.needed if key not in given]
    if missing:
        msg = f"{path}: [{name}] needs {', '.join(missing)}"
        raise FormatError(msg)
    if not kind.numbers:
        return _image(name, given, path)
    for key, value in given.items():
        if not _is_number(value):
            msg = f"{path}: {key} in [{name}] must be a number, got {value!r}"
            raise FormatError(msg)
    try:
        return kind.make(**{key: value * scale if key in kind.lengths else value for key, value in given.items()})
    except ValueError as error:
        msg = f"{path}: [{name}]: {error}"
        raise FormatError(msg) from error


def _kind_of(name: str, table: dict[str, Any], path: Path) -> _Kind:
    """Return the kind of a table's model."""
    kinds = _kinds()
    if table.get("model") not in kinds:
        found = f"got {table['model']!r}" if "model" in table else "there is none"
        msg = f"{path}: model in [{name}] must be one of {', '.join(map(repr, kinds))}; {found}"
        raise FormatError(msg)
    return kinds[table["model"]]


def _image(name: str, given: dict[str, Any], path: Path) -> SkyImage:
    """Return the image that a table names; a relative path is one from the model file's folder."""
    types: dict[str, tuple[Any, str]] = {
        "file": (str, "a text"),
        "pixel_scale": (int | float, "a number"),
        "convolved": (bool, "true or false"),
    }
    for key, value in given.items():
        kind, words = types[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            msg = f"{path}: {key} in [{name}] must be {words}, got {value!r}"
            raise FormatError(msg)
    rest = {key: value for key, value in given.items() if key != "file"}
    return read_model_image(path.parent / given["file"], **rest)


def _ranges(name: str, table: dict[str, Any], scale: float, path: Path) -> dict[str, tuple[float, float]]:
    """Return the ranges of a source's free parameters."""
    kind, ranges = _kind_of(name, table, path), table["free"]
    if not isinstance(ranges, dict):
        msg = f"{path}: free in [{name}] must be a table of ranges [low, high], got {ranges!r}"
        raise FormatError(msg)
    known = [key for key in kind.known if key not in AMPLITUDES] if kind.numbers else []
    _check_keys(ranges, known, f"parameter that may be free ([{name}.free])", path)
    return {
        key: _range(f"{key} in [{name}.free]", ranges[key], table.get(key), path, scale if key in kind.lengths else 1.0)
        for key in ranges
    }


def _range(what: str, value: Any, start: Any, path: Path, scale: float) -> tuple[float, float]:
    """Return a range in the source's units."""
    if not (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]):
        msg = f"{path}: {what} must be [low, high], two numbers, the lower one first, got {value!r}"
        raise FormatError(msg)
    low, high = value
    if start is not None and not low <= start <= high:
        msg = f"{path}: {what} must hold the value that it starts from, {start:g}, got [{low:g}, {high:g}]"
        raise FormatError(msg)
    return float(low * scale), float(high * scale)


def _is_number(value: Any) -> bool:
    """Return whether a TOML value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_keys(given: Any, known: Any, what: str, path: Path) -> None:
    """Raise if there is a key that is not known, and list those that are."""
    for key in given:
        if key not in known:
            there = f"there are {', '.join(known)}" if known else "an image has none"
            msg = f"{path}: no {what} is called {key!r}; {there}"
            raise FormatError(msg)
