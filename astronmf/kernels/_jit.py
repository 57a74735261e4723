"""The one compilation policy of the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be reordered, fused and freed of signed zeros, so that they vectorise. "nnan" and "ninf" are left out:
# with them the compiler deletes every test for NaN, and missing data would poison results in silence.
FAST_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

# Items handled together where the compiler finds the vectors itself.
LANES = 32

_kernels: list[Any] = []


def jit(function: Function) -> Function:
    """Compile a kernel: cached on disk, without the interpreter's lock, and with IEEE division.

    ``error_model="numpy"`` gives inf and NaN where Python would raise from inside the loop; every kernel that
    divides says what it does about a zero. Kernels are single-threaded: `astronmf.core.parallel` gives each thread
    its own block. The plain function stays reachable as ``py_func``.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FAST_MATH}
    try:
        compiled: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither this package's folder nor the user's can be written to
        compiled = numba.njit(**options)(function)
    _kernels.append(compiled)
    return cast("Function", compiled)


def kernel_count() -> int:
    """Return how many kernels are there."""
    return len(_kernels)


def is_cached() -> bool:
    """Return whether compiled kernels are kept on disk."""
    return all(kernel.stats.cache_path is not None for kernel in _kernels if hasattr(kernel, "stats"))
