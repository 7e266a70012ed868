"""The command `ganspec`, also `python -m ganspec.tools`: one program for each sub-command.

A program is a module of `ganspec.tools.programs` with two functions: `add_arguments(parser)` adds its options to an
`argparse` parser, and `run(arguments)` does the work with what was parsed and returns the exit code. Programs are imported
only when they run, so that `ganspec show` starts at once and needs no framework. This module itself imports nothing that Python
has not loaded already, or has built in, before `main` watches over it: Ctrl-C while ganspec starts is no traceback either.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False  # type checkers know the name; `typing` itself takes a while
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, TextIO

DESCRIPTION = "A GAN written once, as data; run in PyTorch and in Chainer; proved to be the same in both."
PROGRAMS = {
    "systems": "list the systems there are",
    "show": "print a system: sources, networks, formulas, schedule, plan, every number",
    "train": "train a system",
    "report": "write a training run as one HTML page",
    "sample": "draw images from a trained generator",
    "interpolate": "walk from sample to sample of a trained generator",
    "manifold": "draw a square of what a trained generator makes",
    "export": "export a trained network for PyTorch, Chainer or ONNX without ganspec",
    "evaluate": "measure how good the samples of a run are",
    "crosscheck": "compare the backends and the reference on a system",
    "fuzz": "draw systems at random, and compare all witnesses on each",
    "check-updater": "hold an updater of your own, old Chainer code, against a system",
    "vectors": "check an implementation of your own against golden vectors",
    "port": "move a legacy Chainer model to PyTorch, with its numbers and a proof",
    "bench": "time training against a plain hand-written loop",
}
EXAMPLES = """examples:
  ganspec train wgan_gp_mlp_mnist --iterations 1700    train on the digits that ship with ganspec; pictures go to runs/
  ganspec crosscheck began_mnist                       do PyTorch and Chainer compute the same numbers?

'ganspec PROGRAM --help' says what a program takes.
"""
_INTERRUPTED = 130  # Ctrl-C, as shells count it
# How writing to a stream fails; what happens to their own files, programs report themselves.
_OF_A_STREAM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; a user's mistake becomes one message on the standard error.

    Args:
        arguments: words of the command line after "ganspec"; those of this process if None.

    Returns: the exit code: 0 done, 1 the backends disagree, 2 could not run, 3 training stopped itself, 130 Ctrl-C.
    """
    try:
        return _watched(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        import contextlib

        with contextlib.suppress(AttributeError, OSError, ValueError):
            print("interrupted", file=sys.stderr, flush=True)
        return _INTERRUPTED
    finally:
        _silence_if_broken(sys.stderr)


def _watched(given: list[str]) -> int:
    """Run a sub-command, and say what went wrong. Returns: the exit code."""
    from ganspec.spec.text.errors import SpecError
    from ganspec.tools.errors import FAILED, UserError, is_out_of_memory, say

    try:
        _open_standard_streams()
        try:
            return _run(given)
        finally:
            sys.stdout.flush()  # here, where a failure can still be said
    except (SpecError, UserError) as error:
        say(str(error))
        return getattr(error, "code", FAILED)
    except OSError as error:
        return _system_refused(error)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python says so of Ctrl-C while it makes a class
            raise error.__cause__ from None
        if not is_out_of_memory(error):
            raise
        say("out of memory: end other programs, or make the batch (such as --set run.batch=16) or the networks smaller")
        return FAILED


def _run(given: list[str]) -> int:
    import importlib

    name = next((word for word in given if not word.startswith("-")), "")
    program: Any = (
        importlib.import_module(f"ganspec.tools.programs.{name.replace('-', '_')}") if name in PROGRAMS else None
    )
    parser = _parser(name, program)
    if not given:
        parser.print_help()
        return 0
    parsed = parser.parse_args(given)
    # The function to run is not put into the namespace: an option may be called `run`, too.
    return int(program.run(parsed))


def _parser(name: str, program: Any) -> argparse.ArgumentParser:
    """Returns: the parser of all sub-commands; only the parser of the program `name` knows its options."""
    import argparse
    from importlib.metadata import version

    class Parser(argparse.ArgumentParser):
        def _print_message(self, message: str, file: TextIO | None = None) -> None:
            from ganspec.tools.run.launch import Launch

            if Launch.of(os.environ).rank:  # the first of several processes says it
                return
            if file is not None and file is sys.stdout:  # argparse would not say that it could not write
                file.write(message)
            else:
                super()._print_message(message, file)

    parser = Parser(
        prog="ganspec",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ganspec {version('ganspec')}")
    subparsers = parser.add_subparsers(required=True, metavar="PROGRAM")
    for each, text in PROGRAMS.items():
        subparser = subparsers.add_parser(each, help=text, description=text, allow_abbrev=False)
        if each == name:
            program.add_arguments(subparser)
    return parser


def _open_standard_streams() -> None:
    """Make both standard streams such that writing text never raises an encoding error.

    Raises:
        UserError: the standard output is closed.
    """
    if sys.stderr is None:  # closed by whoever started us; a file opened later must not take its number
        _to_devnull(2)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (for the life of the process)
    if sys.stdout is None:
        _to_devnull(1)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        from ganspec.tools.errors import UserError

        raise UserError("the standard output is closed; send it to a file, or to /dev/null")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # titles and paths may hold what a terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")


def _system_refused(error: OSError) -> int:
    """Say what the system refused that no program foresaw. Returns: the exit code."""
    from ganspec.tools.errors import FAILED, reason, say

    _silence_if_broken(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return 0  # the program that read our output has ended, `head` for example
    if error.filename is None and error.errno in _OF_A_STREAM:
        say(f"the standard output cannot be written: {reason(error)}; send it to another file, or free some space")
    else:
        say(f"{error.filename or 'the system refused'}: {reason(error)}")
    return FAILED


def _silence_if_broken(stream: Any) -> None:
    """Let a stream that cannot be written lead nowhere; otherwise Python would complain again at exit."""
    try:
        stream.flush()
    except AttributeError:  # closed before we started, and nothing was written
        return
    except (OSError, ValueError):
        import contextlib

        with contextlib.suppress(OSError, ValueError):
            _to_devnull(stream.fileno())


def _to_devnull(number: int) -> None:
    opened = os.open(os.devnull, os.O_WRONLY)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


if __name__ == "__main__":
    sys.exit(main())
