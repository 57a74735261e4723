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
from functools import cache
from typing import Any, Generic, TypeVar

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
                if not future.cancel():  # one that has not begun has nothing left to do
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


class _SingleThreadedBlas:
    """Holds BLAS to one thread as long as any thread of the process is within.

    The number is one for the whole process: what the first to come in finds, the last to leave restores. threadpoolctl
    (from 3.7 on) lets one thread only set it, and ignores all others without a word; here any thread may come first
    or leave last, so that whoever has that right is relieved of it.
    """

    def __init__(self) -> None:
        self.libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self.lock = threading.Lock()
        self.users = 0
        self.before: list[int] = []

    def __enter__(self) -> None:
        with self.lock:
            if self.users == 0:
                self.before = [library.num_threads for library in self.libraries]
                self._set([1] * len(self.libraries))
            self.users += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.users -= 1
            if self.users == 0:
                self._set(self.before)

    def _set(self, counts: list[int]) -> None:
        for library, count in zip(self.libraries, counts, strict=True):
            relieve = getattr(library, "clear_controlling_thread", _nobody)
            relieve(force=True)
            library.set_num_threads(count)
            relieve(force=True)


def _nobody(*, force: bool) -> None:
    """Relieve nobody: libraries other than OpenBLAS, and older versions of threadpoolctl, know of no such right."""


@cache
def _single_threaded_blas() -> _SingleThreadedBlas:
    """Return the one that all share; finding the loaded libraries takes milliseconds, so once."""
    return _SingleThreadedBlas()


@cache
def _executor(threads: int) -> ThreadPoolExecutor:
    """Return the pool; idle threads cost nothing."""
    return ThreadPoolExecutor(threads, thread_name_prefix="astronmf")


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_executor.cache_clear)
    os.register_at_fork(after_in_child=_single_threaded_blas.cache_clear)
