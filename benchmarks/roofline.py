"""One update of both factors, against the time that the machine needs at least for its bytes or its arithmetic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks import systems
from benchmarks.problems import Problem
from benchmarks.race import say
from benchmarks.results import Sweep

RANKS = (10, 20)
ITERATIONS = 25
ROUNDS = 5
REPEATS = 7
MATRIX = 2048
COPIED = 2**28  # bytes: well beyond any cache
START_SEED = 1


def measure(problem: Problem, threads: int) -> list[Sweep]:
    """Return a sweep for each rank and precision, on a problem's data."""
    say(f"Roofline: {problem.data.shape}")
    copy = copy_rate(threads)
    product = {dtype: product_rate(dtype) for dtype in ("float32", "float64")}
    cases = [(rank, dtype) for rank in RANKS for dtype in product]
    rounds = [[sweep_seconds(problem, *case) for case in cases] for _ in range(ROUNDS)]
    sweeps = []
    for (rank, dtype), seconds in zip(cases, np.median(rounds, axis=0), strict=True):
        n_bytes, flops = cost(problem.data.shape, rank, np.dtype(dtype).itemsize)
        sweeps.append(Sweep(dtype, rank, float(seconds), n_bytes, flops, copy, product[dtype]))
        say(f"    {dtype}, k = {rank}: {seconds:.4f} s, {sweeps[-1].ratio:.2f} of the bound")
    return sweeps


def cost(shape: tuple[int, int], rank: int, itemsize: int) -> tuple[float, float]:
    """Return bytes (data and weights, read once) and floating-point operations (Gram matrices, right-hand sides)."""
    size = shape[0] * shape[1]
    return 2.0 * size * itemsize, 2 * 2.0 * size * (rank * (rank + 1) / 2 + rank)


def sweep_seconds(problem: Problem, rank: int, dtype: str) -> float:
    """Return the median time between the ends of iterations."""
    generator = np.random.default_rng(START_SEED)
    n, p = problem.data.shape
    start = generator.random((n, rank)) * problem.start[0].max(), generator.random((rank, p))
    systems.iteration_seconds(problem, start, dtype, 2)  # compiles
    return systems.iteration_seconds(problem, start, dtype, ITERATIONS)


def product_rate(dtype: str) -> float:
    """Return the floating-point operations per second of a large matrix product, on all threads."""
    left, right = np.random.default_rng(0).random((2, MATRIX, MATRIX)).astype(dtype)
    seconds = []
    for _ in range(REPEATS):
        began = perf_counter()
        left @ right
        seconds.append(perf_counter() - began)
    return 2.0 * MATRIX**3 / median(seconds)


def copy_rate(threads: int) -> float:
    """Return the bytes read and written per second by a large copy, on all threads."""
    source, goal = np.ones(COPIED // 8), np.zeros(COPIED // 8)
    parts = list(zip(np.array_split(goal, threads), np.array_split(source, threads), strict=True))
    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(REPEATS):
            began = perf_counter()
            list(pool.map(lambda part: np.copyto(*part), parts))
            seconds.append(perf_counter() - began)
    return 2.0 * COPIED / median(seconds)
