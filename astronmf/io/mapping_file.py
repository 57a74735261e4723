"""What a mapping file may say, and its reading: a TOML file of sections and keys (see docs/instruments.md)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from astropy.nddata.bitmask import extend_bit_flag_map

from astronmf.exceptions import FormatError

__all__ = ["KEYS", "Sections", "load_mapping"]

#: Sections by name, and in each the values by key.
Sections = dict[str, dict[str, Any]]

TEXT, WHOLE, NUMBER, LIST, TABLE = (str,), (int,), (int, float), (list,), (dict,)
EXTENSION = (str, int)
WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
    bool: "true or false",
}

#: Every section and key that a mapping file may have, and the types of its values.
KEYS: dict[str, dict[str, tuple[type, ...]]] = {
    "data": {"extension": EXTENSION, "axes": TEXT, "trim": TABLE, "unit": TEXT, "unit_key": TEXT},
    "error": {"extension": EXTENSION, "kind": TEXT},
    "flags": {"extension": EXTENSION, "bits": (int, str, list), "names": TABLE},
    "mask": {"extension": EXTENSION, "excluded": TEXT},
    "angle": {
        "key": TEXT,
        "end_key": TEXT,
        "column": TEXT,
        "file": TEXT,
        "value": NUMBER,
        "sign": WHOLE,
        "offset": NUMBER,
    },
    "center": {"keys": LIST, "first_pixel": WHOLE, "position": LIST},
    "pixels": {"scale": NUMBER, "scale_key": TEXT, "parity": WHOLE},
    "frames": {"name_key": TEXT, "reference_key": TEXT, "reference_value": (str, int, float, bool)},
}

#: Values that are one of a few.
CHOICES: dict[tuple[str, str], tuple[Any, ...]] = {
    ("data", "axes"): ("nyx", "nxy", "ynx", "yxn", "xny", "xyn", "yx", "xy"),
    ("error", "kind"): ("sigma", "variance", "inverse variance"),
    ("mask", "excluded"): ("nonzero", "zero"),
    ("angle", "sign"): (1, -1),
    ("center", "first_pixel"): (0, 1),
    ("pixels", "parity"): (1, -1),
}

#: Keys of which a section may have one.
ALTERNATIVES = {
    "data": ("unit", "unit_key"),
    "angle": ("key", "column", "file", "value"),
    "center": ("keys", "position"),
    "pixels": ("scale", "scale_key"),
}

#: Keys that others need beside them.
NEEDED = {
    ("angle", "end_key"): "key",
    ("center", "first_pixel"): "keys",
    ("frames", "reference_key"): "reference_value",
    ("frames", "reference_value"): "reference_key",
}


def load_mapping(path: Any) -> Sections:
    """Return a mapping file's sections, each with the keys that it has; those that are left out are empty.

    Raises
    ------
    FileNotFoundError, FormatError
        If there is no such file, or it is not as it should be.
    """
    where = Path(path)
    if not where.is_file():
        msg = f"{where}: no such file"
        raise FileNotFoundError(msg)
    try:
        content = tomllib.loads(where.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{where}: not TOML ({error})"
        raise FormatError(msg) from error
    _check_names(content, KEYS, "section", where)
    for name, section in content.items():
        if not isinstance(section, dict):
            msg = f"{where}: [{name}] must be a section, got {section!r}"
            raise FormatError(msg)
        _check_section(name, section, where)
    return {name: content.get(name, {}) for name in KEYS}


def _check_section(name: str, section: dict[str, Any], path: Path) -> None:
    """Raise unless a section's keys are known, their values are of the right kind, and they go together."""
    _check_names(section, KEYS[name], f"key in [{name}]", path)
    for key, value in section.items():
        kinds = KEYS[name][key]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            msg = f"{path}: {key} in [{name}] must be {' or '.join(WORDS[kind] for kind in kinds)}, got {value!r}"
            raise FormatError(msg)
        choices = CHOICES.get((name, key), (value,))
        if value not in choices:
            msg = f"{path}: {key} in [{name}] must be one of {', '.join(map(repr, choices))}, got {value!r}"
            raise FormatError(msg)
        needed = NEEDED.get((name, key), key)
        if needed not in section:
            msg = f"{path}: {key} in [{name}] needs {needed} beside it"
            raise FormatError(msg)
    _check_flags(section.get("names", {}), path)
    given = [key for key in ALTERNATIVES.get(name, ()) if key in section]
    if len(given) > 1:
        msg = f"{path}: [{name}] has {' and '.join(given)}, which say the same thing: give one of them"
        raise FormatError(msg)


def _check_flags(names: dict[str, Any], path: Path) -> None:
    """Raise unless every flag is a power of 2, and no two have one name."""
    try:
        extend_bit_flag_map("Names", **names)
    except (AttributeError, TypeError, ValueError) as error:
        msg = f"{path}: names in [flags]: {error}"
        raise FormatError(msg) from error


def _check_names(given: dict[str, Any], known: dict[str, Any], what: str, path: Path) -> None:
    """Raise if there is a name that is not known, and list those that are."""
    for name in given:
        if name not in known:
            msg = f"{path}: no {what} is called {name!r}; there are {', '.join(known)}"
            raise FormatError(msg)
