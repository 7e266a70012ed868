"""The command `ganspec`, also `python -m ganspec.tools`: one program for each sub-command.

Programs are imported only when they run, so that `ganspec show` starts at once and needs no framework.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import ganspec
from ganspec.spec.text.errors import SpecError
from ganspec.tools.errors import FAILED, INTERRUPTED, UserError

PROGRAMS = {
    "systems": "list the systems there are",
    "show": "print a system: sources, networks, formulas, schedule, plan, every number",
    "train": "train a system",
    "crosscheck": "compare the two backends on a system",
    "bench": "time training against a plain hand-written loop",
}
EXAMPLES = """examples:
  ganspec train wgan_gp_mlp_mnist --iterations 1700    train on the digits that ship with ganspec; pictures go to runs/
  ganspec crosscheck began_mnist                       do PyTorch and Chainer compute the same numbers?

'ganspec PROGRAM --help' says what a program takes.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; a user's mistake becomes one message on the standard error.

    Returns: the exit code: 0 done, 1 the backends disagree, 2 could not run, 3 training stopped itself, 130 Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = next((a for a in given if not a.startswith("-")), "")
    program: Any = importlib.import_module(f"ganspec.tools.programs.{name}") if name in PROGRAMS else None
    parser = _parser(name, program)
    if not given:
        parser.print_help()
        return 0
    parsed = parser.parse_args(given)
    try:
        return int(program.run(parsed))
    except (SpecError, UserError) as error:
        print(error, file=sys.stderr)
        return getattr(error, "code", FAILED)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        print("out of memory: make the batch or the networks smaller", file=sys.stderr)
        return FAILED


def _parser(name: str, program: Any) -> argparse.ArgumentParser:
    """Returns: the parser of all sub-commands; only that of the program `name` knows its options."""
    parser = argparse.ArgumentParser(
        prog="ganspec",
        description=(ganspec.__doc__ or "").splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ganspec {ganspec.__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="PROGRAM")
    for each, text in PROGRAMS.items():
        subparser = subparsers.add_parser(each, help=text, description=text, allow_abbrev=False)
        if each == name:
            program.add_arguments(subparser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
