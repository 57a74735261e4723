"""Products of pairs of a factor's rows (Khatri-Rao), and the packed order in which Gram matrices are kept.

A symmetric ``k × k`` matrix is kept as its lower triangle, row by row: entry (a, b) with a ≥ b stands at
``a (a + 1) / 2 + b``.
"""

from __future__ import annotations

from astronmf._typing import FloatArray, IntArray
from astronmf.kernels._jit import jit


@jit
def packed(a: int, b: int) -> int:
    """Return where entry (a, b) of a symmetric matrix stands in its packed triangle."""
    if a < b:
        a, b = b, a
    return a * (a + 1) // 2 + b


@jit
def pair_products(factor: FloatArray, out: FloatArray) -> None:
    """Write ``out[packed(a, b), i] = factor[a, i] * factor[b, i]``.

    Parameters
    ----------
    factor : (k, m) array
        Component-first factor.
    out : (k (k + 1) / 2, m) array
        Written to.
    """
    k, m = factor.shape
    for a in range(k):
        for b in range(a + 1):
            row = a * (a + 1) // 2 + b
            for i in range(m):
                out[row, i] = factor[a, i] * factor[b, i]


@jit
def add_products(products: FloatArray, source: IntArray, target: IntArray, sign: FloatArray, out: FloatArray) -> None:
    """Add ``sign[q] * products[:, source[q]]`` to ``out[:, target[q]]``, for each q in turn.

    Parameters
    ----------
    products : (K, m) array
    source, target : (q,) arrays of int
    sign : (q,) array
    out : (K, l) array
        Added to.
    """
    for row in range(products.shape[0]):
        for q in range(source.size):
            out[row, target[q]] += sign[q] * products[row, source[q]]
