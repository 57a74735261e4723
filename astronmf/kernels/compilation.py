"""Saying that kernels are being compiled: the first time takes seconds, and nobody should wonder what happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from numba.core import event

from astronmf._typing import Progress
from astronmf.kernels import _jit

__all__ = ["FIRST_USE", "WITHOUT_CACHE", "announced_compilation"]

FIRST_USE = "compiling, first use only"
WITHOUT_CACHE = "compiling (set NUMBA_CACHE_DIR to a folder to keep it)"


@contextmanager
def announced_compilation(progress: Progress | None) -> Iterator[None]:
    """Tell `progress` of every kernel that has to be compiled meanwhile, because it is not in the cache.

    Kernels are loaded, or compiled, when they are first called. A process that finds all in the cache hears nothing.

    Parameters
    ----------
    progress
        Called as ``progress(done, total, what)``; the total is how many kernels there are.
    """
    if progress is None:
        yield
        return
    listener = _Announcer(progress)
    with event.install_listener("numba:compile", listener):
        yield
    listener.end()


class _Announcer(event.Listener):
    """Counts kernels that are compiled; numba lets only one thread compile at a time."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.done = 0
        self.depth = 0

    def on_start(self, _: event.Event) -> None:
        """Speak before a kernel; not before the functions that it calls."""
        if self.depth == 0:
            self._tell(max(_jit.kernel_count(), self.done + 1))
        self.depth += 1

    def on_end(self, _: event.Event) -> None:
        """Count a kernel."""
        self.depth -= 1
        self.done += self.depth == 0

    def end(self) -> None:
        """Bring what was begun to its end, whatever the total said."""
        if self.done:
            self._tell(self.done)

    def _tell(self, total: int) -> None:
        self.progress(self.done, total, FIRST_USE if _jit.is_cached() else WITHOUT_CACHE)
