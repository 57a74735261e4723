"""Threads: a few Python threads take blocks in turn, each with single-threaded BLAS and compiled loops.

Matrix products and kernels release the interpreter's lock. Letting BLAS or an OpenMP runtime spread each small product
over the cores as well makes their threads wait for one another, which costs several times more than it gains.
Results are taken in the order of the blocks, so that sums have the same bits on any number of threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Generic, TypeVar, cast

from threadpoolctl import ThreadpoolController

__all__ = ["item_blocks", "map_blocks", "take_blocks", "thread_count"]

# Small problems that one thread solves at a time.
ITEMS = 1024

Block = TypeVar("Block")
Result = TypeVar("Result")


def thread_count() -> int:
    """Return ``ASTRONMF_NUM_THREADS`` from the environment, or the number of cores this process may use."""
    wanted = os.environ.get("ASTRONMF_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def item_blocks(count: int) -> list[slice]:
    """Return slices of so many small problems that are solved together."""
    return [slice(start, min(start + ITEMS, count)) for start in range(0, count, ITEMS)]


def map_blocks(function: Callable[[Block], Result], blocks: Iterable[Block]) -> list[Result]:
    """Return ``function(block)`` of each block, in their order, worked on by several threads."""
    results: list[Result] = []
    take_blocks(function, blocks, results.append)
    return results


def take_blocks(function: Callable[[Block], Result], blocks: Iterable[Block], take: Callable[[Result], Any]) -> None:
    """Call ``take(function(block))`` for each block, in their order: the functions at once, `take` one at a time."""
    todo = list(blocks)
    queue = _Queue(function, todo, take)
    helpers = min(thread_count(), len(todo)) - 1
    with _single_threaded_blas():  # a product's bits depend on BLAS's threads
        futures = [_executor(thread_count()).submit(queue.work) for _ in range(helpers)]
        try:
            queue.work()
        finally:
            queue.stop()
            for future in futures:
                future.result()


class _Queue(Generic[Block, Result]):
    """Blocks that threads take in turn, and results that wait for those before them."""

    def __init__(
        self, function: Callable[[Block], Result], blocks: Sequence[Block], take: Callable[[Result], Any]
    ) -> None:
        self.function = function
        self.blocks = blocks
        self.take = take
        self.lock = threading.Lock()
        self.next = 0
        self.waiting: dict[int, Result] = {}
        self.taken = 0

    def work(self) -> None:
        """Work on blocks until none is left."""
        try:
            while (index := self._claim()) is not None:
                self._hand_in(index, self.function(self.blocks[index]))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let no more blocks be begun."""
        with self.lock:
            self.next = len(self.blocks)

    def _claim(self) -> int | None:
        with self.lock:
            if self.next >= len(self.blocks):
                return None
            self.next += 1
            return self.next - 1

    def _hand_in(self, index: int, result: Result) -> None:
        with self.lock:
            self.waiting[index] = result
            while self.taken in self.waiting:
                self.take(self.waiting.pop(self.taken))
                self.taken += 1


def _single_threaded_blas() -> AbstractContextManager[Any]:
    """Hold BLAS to one thread, if this is the main thread.

    OpenBLAS takes that number from the main thread only: what another thread sets may have no effect, and what it
    restores neither, so that fits in several threads at once would leave BLAS slow for good.
    """
    if threading.current_thread() is not threading.main_thread():
        return nullcontext()
    return cast("AbstractContextManager[Any]", _controller().limit(limits=1, user_api="blas"))


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
