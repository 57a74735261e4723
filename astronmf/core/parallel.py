"""Threads: blocks are shared out among a few Python threads, each with single-threaded BLAS and compiled loops.

Matrix products and kernels release the interpreter's lock. Letting BLAS or an OpenMP runtime spread each small product
over the cores as well makes their threads wait for one another, which costs several times more than it gains.
Results come back in the order of the blocks, so that sums have the same bits on any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

__all__ = ["map_blocks", "thread_count"]

Block = TypeVar("Block")
Result = TypeVar("Result")


def thread_count() -> int:
    """Return ``ASTRONMF_NUM_THREADS`` from the environment, or the number of cores this process may use."""
    wanted = os.environ.get("ASTRONMF_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_blocks(function: Callable[[Block], Result], blocks: Iterable[Block]) -> Iterator[Result]:
    """Yield ``function(block)`` for each block, in their order, worked on by several threads."""
    todo = list(blocks)
    alone = len(todo) == 1 or thread_count() == 1
    with _controller().limit(limits=1, user_api="blas"):  # a product's bits depend on BLAS's threads
        yield from map(function, todo) if alone else _executor(thread_count()).map(function, todo)


@cache
def _controller() -> ThreadpoolController:
    """Return the handle on the loaded BLAS libraries; finding them takes milliseconds, so once."""
    return ThreadpoolController()


@cache
def _executor(threads: int) -> ThreadPoolExecutor:
    """Return the pool; idle threads cost nothing."""
    return ThreadPoolExecutor(threads, thread_name_prefix="astronmf")


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_executor.cache_clear)
