"""What somebody's function keeps from call to call: numbers and arrays in its globals, its closure, and the objects it uses.

A check runs the code several times from the same start, so what it keeps (BEGAN's k, a counter) is put back after each run; and
generators of random numbers that it holds are exchanged for ones that are replayed.
"""

from __future__ import annotations

import copy
import functools
import random
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ganspec.tools.conformance.errors import is_library

MAX_HOLDERS = 10_000  # objects that are looked into
MAX_ITEMS = 1000  # of a list that is put back
_VALUES = (bool, int, float, complex, str, bytes, types.NoneType, np.ndarray, np.generic, list, dict, set, tuple, deque)
_EMPTY = object()  # what is in a cell of a closure that was not assigned yet


class Reachable:
    """The variables that a function can reach through code of its author's.

    Args:
        function: a function, a method, or an object that can be called.
        apart: objects that are left alone: networks, optimisers.
    """

    def __init__(self, function: Any, apart: list[Any]) -> None:
        self._seen = {id(a) for a in apart}
        self._keep: list[Any] = []
        self._places: list[tuple[Callable[[Any], None], Callable[[], Any]]] = []
        self._spaces: list[dict[str, Any]] = []  # attributes of the author's objects
        self._missing: list[tuple[dict[str, Any], str]] = []  # globals that a function names and that are not there yet
        self.values: list[Any] = []  # everything that was looked at
        self._visit(function)

    def snapshot(self) -> Callable[[], None]:
        """Returns: a function that puts everything back as it is now, as often as it is called."""
        contents: dict[int, Callable[[], None]] = {}
        now = [(put, value) for put, get in self._places if isinstance(value := get(), _VALUES) or _is_tensor(value)]
        for _, value in now:
            _keep_content(value, contents)
        names = [(space, set(space)) for space in self._spaces]

        def restore() -> None:
            for put_back in contents.values():
                put_back()
            for put, value in now:
                put(value)
            for space, known in names:
                for name in space.keys() - known:
                    del space[name]
            for space, name in self._missing:
                space.pop(name, None)

        return restore

    def exchange(self, replace: Callable[[Any], Any]) -> Callable[[], None]:
        """Put others in the place of some values.

        Args:
            replace: function that gives another value, or None to leave the one that is there.

        Returns: a function that undoes it.
        """
        changed = []
        for put, get in self._places:
            value = get()
            other = replace(value)
            if other is not None:
                put(other)
                changed.append((put, value))

        def undo() -> None:
            for put, value in changed:
                put(value)

        return undo

    def _visit(self, value: Any) -> None:
        """Look into a function or an object of the author's, once."""
        if id(value) in self._seen or len(self._keep) > MAX_HOLDERS:
            return
        self._seen.add(id(value))
        self._keep.append(value)
        if isinstance(value, types.MethodType):
            self._visit(value.__self__)
            self._visit(value.__func__)
        elif isinstance(value, types.FunctionType):
            if is_library(value.__code__.co_filename):
                return
            for cell in value.__closure__ or ():
                self._place(lambda v, c=cell: setattr(c, "cell_contents", v), lambda c=cell: _contents(c))
            for name in _names(value.__code__):
                if name in value.__globals__:
                    space = value.__globals__
                    self._place(lambda v, s=space, n=name: s.__setitem__(n, v), lambda s=space, n=name: s.get(n))
                else:
                    self._missing.append((value.__globals__, name))
        elif isinstance(value, (list, tuple)):
            for item in value[:1000]:
                self._look(item)
        elif isinstance(value, dict):
            for key in list(value)[:1000]:
                self._place(lambda v, d=value, k=key: d.__setitem__(k, v), lambda d=value, k=key: d.get(k))
        elif isinstance(value, types.ModuleType):
            return
        elif _is_authors(type(value)):
            for kind in filter(_is_authors, type(value).__mro__):
                self._visit_class(kind)
            own = getattr(value, "__dict__", {})
            self._spaces.append(own)
            for name in own:
                self._place(lambda v, d=own, n=name: d.__setitem__(n, v), lambda d=own, n=name: d.get(n))

    def _visit_class(self, kind: type) -> None:
        for name, attribute in list(vars(kind).items()):
            if isinstance(attribute, types.FunctionType):
                self._visit(attribute)
            elif not name.startswith("__"):
                self._place(lambda v, k=kind, n=name: setattr(k, n, v), lambda k=kind, n=name: vars(k).get(n))

    def _place(self, put: Callable[[Any], None], get: Callable[[], Any]) -> None:
        self._places.append((put, get))
        self._look(get())

    def _look(self, value: Any) -> None:
        self.values.append(value)
        if isinstance(value, (types.FunctionType, types.MethodType, list, tuple, dict)) or _is_authors(type(value)):
            self._visit(value)


def _names(code: types.CodeType) -> Iterator[str]:
    """Yields: names of the globals that a function and the functions inside it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY


def _is_authors(kind: type) -> bool:
    """Returns: whether a class is the author's own, not a library's."""
    module = sys.modules.get(kind.__module__)
    path = getattr(module, "__file__", None)
    return kind.__module__ == "__main__" or bool(path and not is_library(path))


def _keep_content(value: Any, contents: dict[int, Callable[[], None]]) -> None:
    """Add to `contents` what puts the inside of a value back, and of all that it holds, each once."""
    if id(value) in contents or len(contents) > MAX_HOLDERS:
        return
    if isinstance(value, np.ndarray) and value.flags.writeable:
        contents[id(value)] = functools.partial(np.copyto, value, value.copy())
    elif _is_tensor(value):
        kept = value.detach().clone()
        contents[id(value)] = lambda: value.data.copy_(kept)
    elif isinstance(value, (list, dict, set, deque)) and len(value) <= MAX_ITEMS:
        contents[id(value)] = functools.partial(_refill, value, copy.copy(value))
    elif isinstance(value, tuple) and len(value) <= MAX_ITEMS:
        contents[id(value)] = lambda: None
    else:
        return
    if isinstance(value, (list, dict, set, deque, tuple)):
        for item in list(value.values() if isinstance(value, dict) else value):
            _keep_content(item, contents)


def _refill(holder: Any, items: Any) -> None:
    holder.clear()
    (holder.update if isinstance(holder, (dict, set)) else holder.extend)(items)


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_random_generator(value: Any) -> bool:
    """Returns: whether a value is a generator of random numbers of NumPy or of Python."""
    return isinstance(value, (np.random.Generator, np.random.RandomState, random.Random))
