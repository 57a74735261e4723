"""Tables of results to ECSV files and back: text, with units and what each table says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from astropy.table import QTable

from astronmf.exceptions import FormatError
from astronmf.io.files import write_atomically

__all__ = ["check_table_name", "read_table", "write_table"]

FORMAT = "ascii.ecsv"


def check_table_name(path: Any) -> None:
    """Raise unless a file's name ends as that of a table."""
    if Path(path).suffix.lower() != ".ecsv":
        msg = f"{path}: a table's name ends in .ecsv"
        raise ValueError(msg)


def write_table(table: QTable, path: Any, *, overwrite: bool = False) -> None:
    """Write a table, all or nothing."""
    check_table_name(path)
    with write_atomically(path, overwrite=overwrite) as temporary:
        table.write(temporary, format=FORMAT, overwrite=True)


def read_table(path: Any) -> QTable:
    """Read a table.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it is no ECSV table.
    """
    if not Path(path).exists():
        msg = f"{path}: no such file"
        raise FileNotFoundError(msg)
    try:
        return QTable.read(path, format=FORMAT)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"{path}: cannot be read as an ECSV table ({reason})"
        raise FormatError(msg) from error
