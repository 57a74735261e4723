"""How a class finds readers and writers that live in a higher layer: through astropy's unified I/O registry."""

from __future__ import annotations

import inspect
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from astronmf._validation import check_shape, fail
from astronmf.exceptions import FormatError

__all__ = ["Stored", "providers", "read", "read_stack", "write"]

Class = TypeVar("Class")

#: Modules that register formats when they are imported; others may add theirs.
providers: list[str] = []

GENERAL = "fits"


def read(cls: type[Class], path: Any, format: str | None, **options: Any) -> Class:  # noqa: A002
    """Return what a file holds, by the reader for its format.

    Raises
    ------
    FileNotFoundError, FormatError
        If the file is not there, or no reader knows it.
    ValueError
        If there is no such format.
    """
    where = Path(path)
    if not where.exists():
        msg = f"{where}: no such file"
        raise FileNotFoundError(msg)
    # An option that is named as a format asks for it: ``mapping="instrument.toml"``.
    named = next((name for name in _known(cls, "Read") if name in options), None)
    wanted = named if format is None else format
    found = _identify(cls, where) if wanted is None else _check_format(cls, wanted, "Read")
    from astropy.io import registry  # here, so that `import astronmf` stays light

    known = list(inspect.signature(registry.get_reader(found, cls)).parameters)[1:]
    for name, value in options.items():
        if name not in known:
            raise fail(name, f"left out: format {found!r} has {', '.join(known) or 'no options'}", value)
    result: Class = registry.read(cls, str(where), format=found, **options)
    return result


def read_stack(cls: type[Any], path: Any, format: str | None, options: dict[str, Any]) -> Any:  # noqa: A002
    """Return what one file or several hold, in one stack; an array of angles is that of all of them together.

    Parameters
    ----------
    cls
        A class with ``concatenate`` and a ``geometry``.
    path : path, or sequence of paths
    format, options
        As for `read`.

    Raises
    ------
    ValueError
        If there is no file, or not an angle for everything that they hold.
    """
    if not isinstance(path, list | tuple):
        return read(cls, path, format, **options)
    if not path:
        raise fail("path", "at least one file", "an empty list")
    angles: Any = options.get("angles")
    given = bool(np.ndim(angles))
    each = [read(cls, one, format, **(options | ({"angles": None} if given else {}))) for one in path]
    stack = each[0] if len(each) == 1 else cls.concatenate(each)
    if given:
        check_shape("angles", np.asarray(angles), (len(stack),))
        stack.geometry = replace(stack.geometry, angles=angles)
    return stack


def write(content: Any, path: Any, format: str, **options: Any) -> None:  # noqa: A002
    """Write to a file by the writer for a format."""
    from astropy.io import registry

    registry.write(content, str(Path(path)), format=_check_format(type(content), format, "Write"), **options)


class Stored:
    """A result that one file holds whole."""

    @classmethod
    def read(cls, path: Any, *, format: str | None = None) -> Self:  # noqa: A002
        """Return what a file holds.

        Parameters
        ----------
        path
            A FITS file that `write` made (components also come from the file of a reduction).
        format : str, optional
            Found out by default.

        Raises
        ------
        FileNotFoundError
            If the file is not there.
        FormatError
            If it holds something else.
        """
        return read(cls, path, format)

    def write(self, path: Any, *, format: str = "fits", overwrite: bool = False) -> None:  # noqa: A002
        """Write everything to one FITS file, with checksums and the provenance of every input.

        Parameters
        ----------
        path
        format : str
        overwrite : bool
            Whether a file that is there may be replaced.
        """
        write(self, path, format, overwrite=overwrite)


def _load() -> None:
    """Import every provider; Python remembers those already imported."""
    for name in providers:
        import_module(name)


def _known(cls: type, direction: str) -> list[str]:
    """Return the names of the formats that a class can be read from or written to."""
    from astropy.io import registry

    _load()
    return [str(row["Format"]) for row in registry.get_formats(cls) if row[direction] == "Yes"]


def _check_format(cls: type, name: str, direction: str) -> str:
    """Return the name of a format that can be read or written."""
    known = _known(cls, direction)
    if name not in known:
        raise fail("format", "one of " + ", ".join(map(repr, known)), repr(name))
    return name


def _identify(cls: type, path: Path) -> str:
    """Return the format of a file: an instrument's own before the general one."""
    from astropy.io import registry

    _load()
    found = registry.identify_format("read", cls, str(path), None, [], {})
    special = [name for name in found if name != GENERAL]
    if not found or len(special) > 1:
        what = "several formats fit: " + ", ".join(special) if special else "not FITS, nor any other known format"
        msg = f"{path}: {what}; name one with 'format'"
        raise FormatError(msg)
    return str((special or found)[0])
