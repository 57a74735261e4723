"""Headings: what was observed, and how much of what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["counted", "heading", "shortened"]

SEPARATOR = "  ·  "


def heading(meta: Mapping[str, Any], *parts: str) -> str:
    """Return a heading: object, instrument and filter as far as `meta` knows them, then `parts`."""
    known = [str(meta[key]) for key in ("object", "instrument", "filter") if meta.get(key)]
    return SEPARATOR.join([*known, *parts])


def counted(total: int, word: str, drawn: int | None = None) -> str:
    """Return a number of things in words: "1 frame", "6 frames", or "4 of 6 frames" if fewer are drawn."""
    noun = word if total == 1 else f"{word}s"
    return f"{total} {noun}" if drawn in (None, total) else f"{drawn} of {total} {noun}"


def shortened(name: str, longest: int = 32) -> str:
    """Return a name with its middle left out if it is too long: the ends are what tells file names apart."""
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"
