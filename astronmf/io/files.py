"""Opening FITS files safely and leaving nothing half-written."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astronmf._typing import BoolArray, FloatArray
from astronmf.exceptions import FormatError

# What FITS texts may hold as it is; the rest is escaped, and so is the backslash that escapes begin with.
PLAIN = "".join(chr(code) for code in range(32, 127)).replace("\\", "")
ESCAPE = re.compile(r"\\U([0-9a-f]{8})")
GZIP = b"\x1f\x8b"

# What HST's and ESO's headers call units that astropy knows by another name.
UNIT_NAMES = {
    "COUNTS": "ct",
    "COUNTS/S": "ct / s",
    "ELECTRONS": "electron",
    "ELECTRONS/S": "electron / s",
    "ADU": "adu",
    "ADU/S": "adu / s",
}

__all__ = [
    "check_writable",
    "from_ascii",
    "identify_fits",
    "is_fits",
    "json_from",
    "json_hdu",
    "kept",
    "native_array",
    "number_array",
    "open_fits",
    "primary_header",
    "provenance",
    "read_angles",
    "read_mask",
    "read_numbers",
    "read_psf",
    "sha256",
    "table_hdu",
    "to_ascii",
    "unit_named",
    "unit_of",
    "unit_text",
    "write_atomically",
    "write_fits",
]


def open_fits(path: Any) -> fits.HDUList:
    """Return a FITS file's contents, all in memory, the file closed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it is not FITS, or is truncated or otherwise broken.
    """
    where = Path(path)
    if not where.exists():
        msg = f"{where}: no such file"
        raise FileNotFoundError(msg)
    try:
        hdus, end, size, rest = _load(where)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"{where}: cannot be read as FITS ({reason})"
        raise FormatError(msg) from error
    if size < end or rest == b"XTENSION":  # what follows the last extension is not read, unless it was one
        msg = f"{where}: cannot be read as FITS (it is truncated within an extension, at byte {size})"
        raise FormatError(msg)
    return hdus


def _load(path: Path) -> tuple[fits.HDUList, int, int, bytes]:
    """Return all extensions, read; where the last one ends; where the file does; and the first bytes between."""
    with warnings.catch_warnings(), _open(path) as file:
        warnings.simplefilter("ignore")  # what astropy mends or skips in silence is found by the sizes
        warnings.filterwarnings("error", "File may have been truncated", AstropyUserWarning)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        with fits.open(file, memmap=False) as hdus:
            for hdu in hdus:
                _ = hdu.data
            last = hdus[-1].fileinfo()
            end = last["datLoc"] + last["datSpan"]
    with _open(path) as file:
        file.seek(end)
        return hdus, end, size, file.read(8)


def _open(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed if it is gzipped."""
    with path.open("rb") as file:
        compressed = file.read(2) == GZIP
    return cast("IO[bytes]", gzip.open(path, "rb")) if compressed else path.open("rb")


def is_fits(path: Any) -> bool:
    """Return whether a file, gzipped or not, begins as FITS does."""
    try:
        with _open(Path(path)) as file:
            return file.read(9) == b"SIMPLE  ="
    except (OSError, TypeError, EOFError, zlib.error):
        return False


def identify_fits(origin: str, path: Any, fileobj: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG001
    """Return whether the general FITS format serves: to write always, to read if the file is FITS."""
    return origin == "write" or (path is not None and is_fits(path))


def to_ascii(text: str) -> str:
    r"""Return a text as FITS can hold it: what is not ASCII is escaped, β as ``\U000003b2``."""
    return "".join(letter if letter in PLAIN else f"\\U{ord(letter):08x}" for letter in text)


def from_ascii(text: str) -> str:
    """Return the text that `to_ascii` wrote."""
    return ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


def unit_text(unit: u.UnitBase) -> str:
    """Return a unit's name in the FITS standard, or astropy's own where the standard has none (electron, DN)."""
    try:
        return str(unit.to_string("fits"))
    except ValueError:
        return str(unit)


def primary_header(path: Any) -> fits.Header:
    """Return a FITS file's first header, empty if it cannot be read; nothing else of the file is."""
    try:
        with warnings.catch_warnings(), _open(Path(path)) as file:
            warnings.simplefilter("ignore")
            return fits.Header.fromfile(file, padding=False)
    except Exception:  # noqa: BLE001 (whoever reads the file in earnest says what is wrong with it)
        return fits.Header()


def sha256(path: Any) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def provenance(path: Any) -> list[dict[str, str]]:
    """Return the entry that says which file something was read from."""
    return [{"name": Path(path).name, "sha256": sha256(path)}]


def number_array(data: Any) -> FloatArray:
    """Return an array in native byte order: float32 stays, integers and float64 become float64."""
    values = np.asarray(data)
    kind = np.float32 if values.dtype.kind == "f" and values.dtype.itemsize == 4 else np.float64
    return values.astype(kind)


def unit_of(header: fits.Header, path: Any, key: str = "BUNIT") -> u.UnitBase | None:
    """Return the unit that a keyword names, or `None`; an unknown name is an error, as a wrong unit would be worse."""
    name = str(header.get(key, "")).strip()
    return unit_named(name, f"{path}: {key}") if name else None


def unit_named(name: str, where: str) -> u.UnitBase:
    """Return the unit of a name, or raise and say where the name stands."""
    try:
        return u.Unit(UNIT_NAMES.get(name.upper().replace(" ", ""), name))
    except ValueError:
        msg = f"{where} must be a unit that astropy.units knows, got {name!r}; correct it"
        raise FormatError(msg) from None


def kept(header: fits.Header, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return those of some keywords that a header has, as texts, under the names that are given."""
    return {name: str(header[key]).strip() for name, key in keys.items() if header.get(key)}


def read_angles(path: Any) -> FloatArray:
    """Return angles, (n,), from a FITS image or table, or a text file of numbers."""
    return read_numbers(path, "angles")


def read_numbers(path: Any, what: str) -> FloatArray:
    """Return numbers, (n,), from a FITS image or table, or a text file; `what` they are is for the messages."""
    if not Path(path).exists():
        msg = f"{path}: no such file"
        raise FileNotFoundError(msg)
    if not is_fits(path):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # an empty file is only warned of
                return np.atleast_1d(np.loadtxt(path)).ravel()
        except (ValueError, UserWarning, OSError) as error:
            msg = f"{path}: neither FITS nor a text file of {what}"
            raise FormatError(msg) from error
    for hdu in open_fits(path):
        if hdu.data is not None:
            values = hdu.data.field(0) if hdu.data.dtype.names else hdu.data
            return np.asarray(values, dtype=np.float64).ravel()
    msg = f"{path}: holds no array or table of {what}"
    raise FormatError(msg)


def read_mask(path: Any) -> BoolArray:
    """Return the first image of a FITS file as a mask: anything but 0 is excluded (`True`)."""
    for hdu in open_fits(path):
        if hdu.data is not None and not hdu.data.dtype.names:
            return np.asarray(np.nan_to_num(np.asarray(hdu.data)) != 0)
    msg = f"{path}: holds no image to use as a mask"
    raise FormatError(msg)


def read_psf(path: Any) -> Any:
    """Return the first image of a FITS file, (y, x), or stack of images, (n, y, x), for `PSF.of`.

    Returns
    -------
    array or Quantity
        float32 or float64; with the unit that ``BUNIT`` names, where it does.
    """
    for hdu in open_fits(path):
        if hdu.data is not None and not hdu.data.dtype.names and hdu.data.ndim in (2, 3):
            values, unit = number_array(hdu.data), unit_of(hdu.header, path)
            return values if unit is None else u.Quantity(values, unit)
    msg = f"{path}: holds no image of a star, or stack of images, to use as a PSF"
    raise FormatError(msg)


@contextmanager
def write_atomically(path: Any, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there only if all went well.

    Raises
    ------
    FileExistsError
        If there is such a file and `overwrite` is not asked for.
    OSError
        If the folder does not exist or cannot be written to.
    """
    target = Path(path)
    check_writable(target, overwrite=overwrite)
    handle, name = tempfile.mkstemp(suffix=target.suffix, prefix=f".{target.stem}-", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Any, *, overwrite: bool) -> None:
    """Raise if `path` cannot be written: to be called before long work, not after it."""
    target = Path(path)
    if target.is_dir():
        msg = f"{target} is a folder; name a file to write"
        raise IsADirectoryError(msg)
    if target.exists() and not overwrite:
        msg = f"{target} exists; ask for overwriting to replace it (overwrite=True, or --overwrite)"
        raise FileExistsError(msg)
    if not target.parent.is_dir():
        msg = f"{target.parent}: no such folder to write {target.name} into"
        raise FileNotFoundError(msg)
    try:  # permissions do not tell: read-only mounts, access lists, an administrator's rights
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        msg = f"{target.parent}: {target.name} cannot be written into this folder ({error.strerror})"
        raise PermissionError(msg) from error


def _umask() -> int:
    """Return the process's file mode mask (it can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_fits(hdus: list[Any], path: Any, *, overwrite: bool) -> None:
    """Write a FITS file with checksums, all or nothing."""
    with write_atomically(path, overwrite=overwrite) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True, checksum=True)


def table_hdu(columns: dict[str, Any], name: str) -> fits.BinTableHDU:
    """Return a table extension."""
    hdu = fits.table_to_hdu(Table(columns))
    hdu.name = name
    return hdu


def native_array(values: Any) -> Any:
    """Return an array in native byte order, its type kept."""
    array = np.asarray(values)
    return array.astype(array.dtype.newbyteorder("="))


def json_hdu(values: dict[str, Any], name: str) -> fits.BinTableHDU:
    """Return a dictionary as a table of keys and JSON texts: headers are too narrow for names and hashes."""
    rows = {"KEY": list(values) or [""], "VALUE": [json.dumps(v, default=_plain) for v in values.values()] or ["null"]}
    return fits.BinTableHDU(Table(rows), name=name)


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a numpy value."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def json_from(hdu: Any) -> dict[str, Any]:
    """Return the dictionary that `json_hdu` wrote."""
    return {str(row["KEY"]): json.loads(str(row["VALUE"])) for row in hdu.data if row["KEY"]}
