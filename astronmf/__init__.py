"""Weighted, missing-data-aware, sequential non-negative matrix factorization for astronomy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astronmf import _formats
from astronmf._lazy import lazily

if TYPE_CHECKING:
    from astronmf.components import Components
    from astronmf.estimator import NMF, SequentialNMF

__version__ = "0.1.0.dev0"

__all__ = ["NMF", "Components", "SequentialNMF", "__version__"]

# Names are looked up when they are first used, so that ``import astronmf`` loads neither numba nor matplotlib.
__getattr__, __dir__ = lazily(__name__, {"Components": "components", "NMF": "estimator", "SequentialNMF": "estimator"})

# Readers and writers live above the classes that they serve; this is how those find them.
_formats.providers.append("astronmf.io")
