"""A group of processes in one process: each is a thread, and what they exchange passes through a list."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class ThreadGroup:
    """One member of a group of threads, as `spec.training.ranks.Group` says. It counts what it exchanges.

    Args:
        rank: number of the thread.
        size: number of threads.
        meeting: barrier and places that all of them share.
    """

    def __init__(self, rank: int, size: int, meeting: tuple[threading.Barrier, list[Any]]) -> None:
        self.rank, self.size = rank, size
        self._barrier, self._places = meeting
        self.shapes: list[tuple[int, ...]] = []

    def total(self, array: Any) -> Any:
        self.shapes.append(tuple(array.shape))
        given = self._all(array)
        assert len({a.shape for a in given}) == 1, "the threads are not at the same place"
        whole = given[0].clone() if hasattr(given[0], "clone") else given[0].copy()
        for other in given[1:]:
            whole += other
        return whole

    def exchange(self, text: str) -> list[str]:
        return self._all(text)

    def _all(self, own: Any) -> list[Any]:
        self._barrier.wait()
        self._places[self.rank] = own
        self._barrier.wait()
        given = list(self._places)
        self._barrier.wait()
        return given


def in_threads(size: int, work: Callable[[ThreadGroup], Result]) -> list[Result]:
    """Do the same work in every member of a group of threads.

    Args:
        size: number of threads.
        work: function of the thread's group.

    Returns: what each thread's work returns. An error of one of them is raised, and ends the others.
    """
    barrier, results, errors = threading.Barrier(size, timeout=60), [None] * size, []
    places: list[Any] = [None] * size

    def run(rank: int) -> None:
        try:
            results[rank] = work(ThreadGroup(rank, size, (barrier, places)))
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
    return results
