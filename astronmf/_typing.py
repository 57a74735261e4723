"""Array aliases: the shapes are in the docstrings, the kinds are here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.integer[Any]]

#: Called as ``progress(done, total, what)`` after each unit of work.
Progress: TypeAlias = Callable[[int, int, str], None]


def no_progress(done: int, total: int, what: str) -> None:
    """Say nothing: the default for every ``progress`` argument."""
