"""Work on NumPy's arrays that threads share. NumPy itself computes on one core, and lets go of Python's lock meanwhile.

The exception is its products of matrices: OpenBLAS has threads of its own, which wait for the next product without sleep, for a
tenth of a second, and take the core from whoever else works. So it is either OpenBLAS that shares its products, or we share all
work: inside of `THREADS.alone()` OpenBLAS is told to have one thread, and afterwards its former number.

There are as many threads as OpenBLAS had: OPENBLAS_NUM_THREADS and OMP_NUM_THREADS say how many, and so does whoever limits it in
the process. It is threadpoolctl that tells it, as it tells MKL and BLIS; without that package there is one thread.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import numpy as np  # noqa: F401 (loads the library that is told)

Made = TypeVar("Made")
PIECE = 1 << 17  # numbers that are worked on in one go
NUMBERS = 1 << 16  # that are worth a thread, where it copies each
EVEN = 0.8  # least share of the time of all threads that has work; else one thread does it all


class Threads:
    """The threads of this process, which are started when they are first of use."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # there only the thread that forked goes on

    def over(self, count: int, work: Callable[[slice], Made], least: int = 1) -> list[Made]:
        """Do work in parts, each in a thread of its own, or all of it in this one: outside of `alone`, and where it is little.

        Args:
            count: number of things to work on.
            work: function that works on some of them, a part of range(count), and changes nothing that another part reads.
            least: number of things that are worth a thread.

        Returns: what each part gave, in order.
        """
        threads = min(self.number(), count // max(least, 1))
        longest = -(-count // max(threads, 1))
        if threads < 2 or longest * threads * EVEN > count:
            return [work(slice(0, count))]
        others: list[Future[Made]] = []
        pool = self._started()
        try:
            for start in range(longest, count, longest):  # in the same context: it has NumPy's treatment of errors
                part = slice(start, min(start + longest, count))
                others.append(pool.submit(contextvars.copy_context().run, self._part, work, part))
            first = self._part(work, slice(0, longest))
        finally:  # whatever happens, nobody may change what the others still work on
            for other in others:
                other.exception()
        return [first, *(other.result() for other in others)]

    def _part(self, work: Callable[[slice], Made], part: slice) -> Made:
        self._own.inside = True  # what this calls has no more threads to share
        try:
            return work(part)
        finally:
            self._own.inside = False

    def number(self) -> int:
        """Returns: how many threads share work now: inside of `alone` as many as OpenBLAS had, else 1, and 1 inside of a part."""
        return self._count if self._inside and not getattr(self._own, "inside", False) else 1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While anybody is inside, OpenBLAS has one thread, and work is shared by `over`."""
        with self._lock:
            if not self._inside:
                self._count, self._give_back = limit_blas()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside = max(self._inside - 1, 0)  # a process that was forked inside begins with 0
                if not self._inside:
                    self._give_back()

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max(self._count - 1, 1), "ganspec")
            return self._pool

    def _forget(self) -> None:
        self._lock, self._inside, self._count = threading.Lock(), 0, 1
        self._pool: ThreadPoolExecutor | None = None


def limit_blas() -> tuple[int, Callable[[], None]]:
    """Have the library of matrix products use one thread.

    Returns: how many it had, and a function that gives them back; 1 where it cannot be told, and then it keeps what it has.
    """
    blas = _blas()
    if blas is None:
        return 1, lambda: None
    had = max((library.num_threads for library in blas.lib_controllers), default=1)
    return had, blas.limit(limits=1).restore_original_limits


@cache
def _blas() -> Any:
    """Returns: what controls the libraries of matrix products; None without threadpoolctl."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")


THREADS = Threads()


def in_pieces(count: int, size: int, work: Callable[[slice], Made]) -> list[Made]:
    """Do work in pieces, which threads share; what a piece gives does not depend on how many threads there are.

    Args:
        count: number of things to work on.
        size: numbers that each of them has. A piece has `PIECE` numbers, the last one perhaps fewer: it stays in the cache from
            one operation to the next, but each operation takes some 10 microseconds at least, or threads wait for Python's lock.
        work: what `Threads.over` takes.

    Returns: what each piece gave, in order.
    """

    piece = max(1, PIECE // max(size, 1))

    def some(pieces: slice) -> list[Made]:
        starts = range(pieces.start * piece, min(pieces.stop * piece, count), piece)
        return [work(slice(start, min(start + piece, count))) for start in starts]

    return [made for part in THREADS.over(-(-count // piece), some) for made in part]
