"""A setting of the whole process that several threads need, each perhaps another value of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any


class InForce:
    """A setting of the whole process, which has one value at a time.

    The first thread inside sets it, the last one that leaves puts back what was found. A thread that wants the same value enters
    at once; one that wants another value waits until nobody is inside, however long that takes: were others held up for its
    sake, threads that wait for each other inside, such as those of one group of ranks, would wait for ever.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads: list[int] = []  # of each who is inside
        self._value: Hashable = None
        self._setting = ExitStack()

    @contextlib.contextmanager
    def inside(self, value: Hashable, setting: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
        """Give a context in which the setting has a value.

        Args:
            value: the value, compared with that of others inside.
            setting: function that gives what sets it, and puts back what it found.

        Raises:
            RuntimeError: this thread is inside already, with another value: it would wait for itself.
        """
        thread = threading.get_ident()
        with self._changed:
            if thread in self._threads and value != self._value:
                raise RuntimeError(f"{value!r} is wanted within {self._value!r}, by one thread; leave that first")
            self._changed.wait_for(lambda: not self._threads or value == self._value)
            if not self._threads:
                self._setting.enter_context(setting())
                self._value = value
            self._threads.append(thread)
        try:
            yield
        finally:
            with self._changed:
                self._threads.remove(thread)
                if not self._threads:
                    self._changed.notify_all()
                    self._setting.close()
