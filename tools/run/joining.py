"""Joining the processes that were started with this one, and leaving them: how a failure of one ends all.

A process that fails between iterations tells the others, and all end with one message and one exit code. One that fails in the
middle of an iteration says so itself and ends; the others notice that it is gone.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from ganspec.spec.text.errors import SpecError
from ganspec.tools import backends
from ganspec.tools.errors import FAILED, INTERRUPTED, UserError, is_out_of_memory, say
from ganspec.tools.run.launch import STARTERS, Launch
from ganspec.tools.run.ranks import Together, Told

_NO_PACKAGE = "install what several processes of Chainer need with: pip install 'ganspec[mpi]'"
_NO_LIBRARY = (
    "mpi4py is installed, and finds no MPI library that it can use: install one, such as with: pip install mpich, or with your "
    "system's packages, and start the processes with the mpiexec of that library"
)


@contextmanager
def together(launch: Launch, backend: str | None) -> Iterator[Together]:
    """Join the processes that were started with this one; at the end, leave them.

    Args:
        launch: how this process was started.
        backend: the backend as far as it is known; None where a run that is resumed will tell.

    Yields: the processes. Where there are several, those but the first are silent.

    Raises:
        UserError: this process cannot join, or fails, and is the only one.
        SystemExit: one of several processes failed, and it was said; its code is the same in all of them.
    """
    if not launch.starter:
        yield Together()
        return
    with contextlib.ExitStack() as silence:
        if launch.rank:
            nowhere = silence.enter_context(open(os.devnull, "w", encoding="utf-8"))
            silence.enter_context(contextlib.redirect_stdout(nowhere))
            silence.enter_context(contextlib.redirect_stderr(nowhere))
        try:
            ranks = Together(_join(launch, backend), launch)
        except UserError as error:  # as in all others, of which the first speaks
            if launch.rank:
                raise SystemExit(error.code) from None
            raise
        try:
            yield ranks
            ranks.settle()
        except BaseException as error:
            silence.close()
            _end(ranks, error)
        ranks.group.leave()


def _end(ranks: Together, error: BaseException) -> NoReturn:
    """End this process and, one way or the other, all of them, with one message."""
    if isinstance(error, (UserError, SpecError)) and not ranks.in_step:
        try:
            told = error if isinstance(error, Told) else ranks.tell(error)
        except Exception as another:  # while it was told
            error = another
        else:
            if ranks.leads:
                say(str(told))
            ranks.group.exchange("")  # torchrun ends the first process, silent or not, when another one has failed
            ranks.group.leave()
            raise SystemExit(told.code) from None
    code = getattr(error, "code", FAILED)
    if ranks.group.is_lost(error) and not is_out_of_memory(error):
        if ranks.leads:
            say(str(ranks.lost()))
    else:
        text = str(error)
        if isinstance(error, KeyboardInterrupt):
            text, code = "interrupted", INTERRUPTED
        elif is_out_of_memory(error):
            text = "out of memory: end other programs, or make the batch or the networks smaller"
        elif not isinstance(error, (UserError, SpecError)):
            traceback.print_exception(error)
            code = 1
        if ranks.leads or code != INTERRUPTED:
            say(f"process {ranks.share.rank} of {ranks.size}: {text}")
    ranks.group.leave(code)
    raise SystemExit(code) from None


def _join(launch: Launch, backend: str | None) -> Any:
    if backend is not None:
        launch.check_backend(backend)
    name = next(name for name, starter in STARTERS.items() if starter == launch.starter)
    backends.load(name)
    try:
        processes = __import__(f"ganspec.impl_{name}.ranks", fromlist=["Processes"]).Processes
        return processes()
    except ImportError as error:
        raise UserError(_cannot_import(error)) from None
    except OSError as error:
        raise UserError(f"the processes that {launch.starter} started do not find one another: {error}") from None


def _cannot_import(error: ImportError) -> str:
    """Returns: why the processes cannot be joined: a package, or the library that mpi4py is a way to, is missing."""
    name = str(error.name or "")
    if name.partition(".")[0] == "mpi4py" and not isinstance(error, ModuleNotFoundError):
        return f"mpi4py does not import: {error}\n{_NO_LIBRARY}"
    return f"{name or 'mpi4py'} does not import: {error}; {_NO_PACKAGE}"
