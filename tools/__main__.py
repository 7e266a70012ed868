"""The command `ganspec`, also `python -m tools`: one program a sub-command.

Programs are imported only when they run, so that `ganspec show` starts at once and needs no framework.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from spec.errors import SpecError
from tools.errors import FAILED, INTERRUPTED, UserError

PROGRAMS = {
    "systems": "list the systems there are",
    "show": "print a system: sources, networks, formulas, schedule, plan, every number",
    "train": "train a system",
    "crosscheck": "compare the two backends on a system",
    "bench": "time training against a plain hand-written loop",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; a user's mistake becomes one message on the standard error.

    Returns: the exit code: 0 done, 1 the backends disagree, 2 could not run, 3 training stopped itself, 130 Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="ganspec", description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    subparsers = parser.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    chosen = next((a for a in given if not a.startswith("-")), "")
    for name, text in PROGRAMS.items():
        subparser = subparsers.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name == chosen:
            module = importlib.import_module(f"tools.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    parsed = parser.parse_args(given)
    try:
        return int(parsed.run(parsed))
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


if __name__ == "__main__":
    sys.exit(main())
