"""Work that is spread over processes, in a way that Ctrl-C ends at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import TypeVar

from ganspec.tools.errors import UserError

Asked, Found = TypeVar("Asked"), TypeVar("Found")
_AHEAD = 3  # arguments for each process that are taken before their turn; there may be more than fit into memory


def spread(function: Callable[[Asked], Found], asked: Iterable[Asked], jobs: int) -> Iterator[Found]:
    """Call a function for each of several arguments, `jobs` at a time.

    Args:
        function: function of a module, which another process can import.
        asked: its arguments; no more of them are taken than the processes need to stay busy.
        jobs: number of processes; with 1 all is done in this one.

    Yields: what it returns, in the order of the arguments.

    Raises:
        UserError: a process was ended from outside.
    """
    if jobs == 1:
        yield from map(function, asked)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        try:
            waiting: deque[Future[Found]] = deque()
            for one in asked:
                waiting.append(pool.submit(function, one))
                if len(waiting) > _AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            message = "a process was ended from outside, perhaps for want of memory"
            raise UserError(f"{message}; use --jobs 1") from None
        except BaseException:  # nobody waits for what is still computed
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.kill()
            raise
