"""Packages that are not needed but where their own objects are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["needed"]


def needed(module: str, wanted_by: str) -> Any:
    """Return a module of another package.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed; the message says how to install it.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:  # it is there, but what it needs is not: its own message says more
            raise
        msg = f"'{wanted_by}' needs {package}, which is not installed: pip install 'astronmf[benchmark]'"
        raise ModuleNotFoundError(msg, name=package) from error
