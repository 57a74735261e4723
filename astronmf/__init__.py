"""Weighted, missing-data-aware, sequential non-negative matrix factorization for astronomy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from astronmf import _formats

if TYPE_CHECKING:
    from astronmf.components import Components
    from astronmf.estimator import NMF, SequentialNMF

__version__ = "0.1.0.dev0"

__all__ = ["NMF", "Components", "SequentialNMF", "__version__"]

# Names are looked up when they are first used, so that ``import astronmf`` loads neither numba nor matplotlib.
_HOMES = {"Components": "astronmf.components", "NMF": "astronmf.estimator", "SequentialNMF": "astronmf.estimator"}

# Readers and writers live above the classes that they serve; this is how those find them.
_formats.providers.append("astronmf.io")


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        msg = f"module 'astronmf' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
