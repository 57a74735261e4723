"""The matrix products behind the Gram matrices: BLAS, as the engine calls it, against vectors written by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic, overload

from astronmf.core.parallel import take_blocks
from astronmf.core.problem import Problem, pair_products
from astronmf.kernels._jit import jit
from astronmf.kernels._vector import Vector, lanes, load, store, total
from benchmarks.alternatives.table import print_table
from benchmarks.problems import library
from benchmarks.race import say

RANKS = (5, 10, 20)
DTYPES = ("float64", "float32")
N_PIXELS = 28_000  # whole vectors
REPEATS = 11

COMBINED = 8  # rows at a time
DOTTED = 4

Pair = tuple[np.ndarray, np.ndarray]


@intrinsic
def _spread(_: Any, like: Any, value: Any) -> Any:  # noqa: ARG001 (the compiler's signature)
    kind = Vector(like.dtype)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(kind)
        empty, index = ir.Constant(vector, ir.Undefined), ir.IntType(32)
        one = builder.insert_element(empty, arguments[1], ir.Constant(index, 0))
        return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(index, kind.lanes), None))

    return kind(like, like.dtype), generate


def spread(like: np.ndarray, value: float) -> np.ndarray:
    """Return a vector, of the type that an array's are of, with one value in all places."""
    return np.full(lanes(like), value, like.dtype)


@overload(spread, strict=False)
def _spread_compiled(like: Any, value: Any) -> Any:  # noqa: ARG001 (matched by name)
    def compiled(like: Any, value: Any) -> Any:
        return _spread(like, value)

    return compiled


@jit
def combine(left: np.ndarray, data: np.ndarray, start: int, out: np.ndarray) -> None:
    """Write ``out = leftᵀ data[:, start:start + width]``; left (n, R), R a multiple of 8; width of whole vectors."""
    n, rows = left.shape
    p, width = data.shape[1], out.shape[1]
    flat, target, size = data.reshape(-1), out.reshape(-1), lanes(data)
    for offset in range(0, width, size):
        for e in range(0, rows, 8):
            place, goal = start + offset, e * width + offset
            zero = load(flat, place) - load(flat, place)
            s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = zero
            for i in range(n):
                here = load(flat, place + i * p)
                s0 = s0 + spread(flat, left[i, e]) * here
                s1 = s1 + spread(flat, left[i, e + 1]) * here
                s2 = s2 + spread(flat, left[i, e + 2]) * here
                s3 = s3 + spread(flat, left[i, e + 3]) * here
                s4 = s4 + spread(flat, left[i, e + 4]) * here
                s5 = s5 + spread(flat, left[i, e + 5]) * here
                s6 = s6 + spread(flat, left[i, e + 6]) * here
                s7 = s7 + spread(flat, left[i, e + 7]) * here
            store(target, goal, s0)
            store(target, goal + width, s1)
            store(target, goal + 2 * width, s2)
            store(target, goal + 3 * width, s3)
            store(target, goal + 4 * width, s4)
            store(target, goal + 5 * width, s5)
            store(target, goal + 6 * width, s6)
            store(target, goal + 7 * width, s7)


@jit
def dots(left: np.ndarray, data: np.ndarray, start: int, out: np.ndarray) -> None:
    """Write ``out = left data[:, start:start + width]ᵀ``; left (R, width), R a multiple of 4; n even; whole vectors."""
    rows, width = left.shape
    n, p = data.shape
    flat, source, size = data.reshape(-1), left.reshape(-1), lanes(data)
    zero = load(source, 0) - load(source, 0)
    for e in range(0, rows, 4):
        for i in range(0, n, 2):
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero
            j = i + 1
            for offset in range(0, width, size):
                here = load(flat, i * p + start + offset)
                there = load(flat, j * p + start + offset)
                place = e * width + offset
                row = load(source, place)
                a0 = a0 + row * here
                b0 = b0 + row * there
                row = load(source, place + width)
                a1 = a1 + row * here
                b1 = b1 + row * there
                row = load(source, place + 2 * width)
                a2 = a2 + row * here
                b2 = b2 + row * there
                row = load(source, place + 3 * width)
                a3 = a3 + row * here
                b3 = b3 + row * there
            out[e, i], out[e + 1, i], out[e + 2, i], out[e + 3, i] = total(a0), total(a1), total(a2), total(a3)
            out[e, j], out[e + 1, j], out[e + 2, j], out[e + 3, j] = total(b0), total(b1), total(b2), total(b3)


class Products:
    """The four products of an update, for random factors: Gram matrices and right-hand sides of both."""

    def __init__(self, problem: Problem, k: int) -> None:
        generator = np.random.default_rng(k)
        n, p = problem.shape
        self.problem = problem
        self.coefficients = generator.random((k, n)).astype(problem.dtype)
        self.components = generator.random((k, p)).astype(problem.dtype)
        self.products = pair_products(self.coefficients)
        self.left = [np.ascontiguousarray(_padded(part, COMBINED).T) for part in (self.products, self.coefficients)]

    def blas_components(self, block: slice) -> Pair:
        """Return the pixels' row problems."""
        return self.problem.component_system(self.products, self.coefficients, block)

    def vector_components(self, block: slice) -> Pair:
        """Return the same, with rows of padding."""
        out = [np.empty((left.shape[1], block.stop - block.start), left.dtype) for left in self.left]
        for left, data, part in zip(self.left, self._data(), out, strict=True):
            combine(left, data, block.start, part)
        return out[0], out[1]

    def blas_coefficients(self, block: slice) -> Pair:
        """Return a block's part of the observations' row problems."""
        return self.problem.coefficient_part(self.components[:, block], block)

    def vector_coefficients(self, block: slice) -> Pair:
        """Return the same, with rows of padding."""
        here = np.ascontiguousarray(self.components[:, block])
        lefts = [_padded(part, DOTTED) for part in (pair_products(here), here)]
        out = [np.empty((len(left), self.problem.shape[0]), left.dtype) for left in lefts]
        for left, data, part in zip(lefts, self._data(), out, strict=True):
            dots(left, data, block.start, part)
        return out[0], out[1]

    def _data(self) -> Pair:
        return self.problem.weights, self.problem.weighted

    def run(self, components: Callable[[slice], Pair], coefficients: Callable[[slice], Pair]) -> Pair:
        """Go through all blocks on the engine's threads; return the observations' sums."""
        sums = [np.zeros(1), np.zeros(1)]

        def work(block: slice) -> Pair:
            components(block)
            return coefficients(block)

        def add(part: Pair) -> None:
            sums[:] = [old + new for old, new in zip(sums, part, strict=True)]

        take_blocks(work, self.problem.blocks(), add)
        return sums[0], sums[1]


def _padded(rows: np.ndarray, multiple: int) -> np.ndarray:
    """Return rows with zeros below them, to a multiple of a number."""
    missing = -len(rows) % multiple
    return np.vstack([rows, np.zeros((missing, rows.shape[1]), rows.dtype)])


def check(found: Products) -> None:
    """Raise where BLAS and vectors differ."""
    block = found.problem.blocks()[-1]
    for ours, theirs in (
        (found.vector_components, found.blas_components),
        (found.vector_coefficients, found.blas_coefficients),
    ):
        for one, other in zip(ours(block), theirs(block), strict=True):
            np.testing.assert_allclose(one[: len(other)], other, rtol=1e-3)


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median time of a call, after one that does not count."""
    seconds = []
    for _ in range(REPEATS + 1):
        began = perf_counter()
        call()
        seconds.append(perf_counter() - began)
    return 1e3 * median(seconds[1:])


def print_products() -> None:
    """Print the time of both factors' Gram matrices and right-hand sides, and nothing else of an update."""
    print("\n## The Gram products")
    rows = []
    data, weights, mask = library(n_pixels=N_PIXELS)
    for dtype in DTYPES:
        problem = Problem.from_arrays(data, weights, mask, dtype=dtype)
        for k in RANKS:
            say(f"Gram products, {dtype}, k = {k}")
            rows.append([dtype, str(k), *(f"{value:.1f}" for value in _measure(Products(problem, k)))])
    n, p = data.shape
    title = f"{n} observations × {p:,} pixels, both factors' Gram matrices and right-hand sides, milliseconds:"
    mixed = "vectors for the pixels, BLAS for the observations"
    print_table(title, ["precision", "k", "BLAS (the engine's)", "vectors by hand", mixed], rows)


def _measure(found: Products) -> list[float]:
    """Return the milliseconds of BLAS, of vectors, and of each where it may be the better."""
    check(found)
    choices = [
        (found.blas_components, found.blas_coefficients),
        (found.vector_components, found.vector_coefficients),
        (found.vector_components, found.blas_coefficients),
    ]
    return [milliseconds(partial(found.run, *choice)) for choice in choices]
