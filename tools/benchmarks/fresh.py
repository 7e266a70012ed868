"""Functions called in a process of their own, so that no measurement finds what another one left behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from ganspec.spec.text.errors import SpecError
from ganspec.tools.errors import FAILED, UserError

# NumPy's and PyTorch's libraries read these once, when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Found = TypeVar("Found")


def in_fresh_process(function: Callable[..., Found], *given: object, threads: int = 0, what: str = "") -> Found:
    """Call a function in a new process, which ends with it.

    Args:
        function: function of a module, which another process can import.
        given: its arguments.
        threads: number of threads of the libraries there; 0 for their own choice.
        what: what is measured, for the message.

    Returns: what the function returns.

    Raises:
        UserError: the process died; or the function raised one, or a `SpecError`.
    """
    with thread_variables(threads), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_called, function, given).result()
        except BrokenProcessPool:
            where = f"{what}: its process" if what else "a process"
            raise UserError(f"{where} died; is there memory for all that it measures?") from None


def _called(function: Callable[..., Found], given: tuple[object, ...]) -> Found:
    """Call a function; a user's mistake comes back as a plain `UserError`, for some of its kinds do not travel."""
    try:
        return function(*given)
    except (SpecError, UserError) as error:
        raise UserError(str(error), getattr(error, "code", FAILED)) from None


@contextmanager
def thread_variables(threads: int) -> Iterator[None]:
    """Set the variables for processes started inside; 0 leaves them as they are."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    if threads:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
