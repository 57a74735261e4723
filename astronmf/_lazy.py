"""How a package gives names that are loaded when they are first used: reading a file needs no compiled kernel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    Parameters
    ----------
    package
        Its name.
    homes
        The module, below ``astronmf``, of each public name that is not there from the start.
    """

    def get(name: str) -> Any:
        if name not in homes:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(f"astronmf.{homes[name]}"), name)

    def list_names() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return get, list_names
