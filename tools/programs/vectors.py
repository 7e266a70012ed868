"""Golden vectors: check an implementation against them, look through them for damage, or write them anew.

Exit code 0 where all answers agree, 1 where one does not, 2 where it could not run.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from ganspec.spec.text.errors import counted, printable
from ganspec.tools.errors import AGREED, DISAGREED, UserError

EPILOG = """A module has functions named as the kinds of case: layer, function, optimizer, loss, system. Each takes a case and
returns its answers by name; docs/vectors.md says which. What it lacks is skipped and counted.

exit code: 0 where all answers agree, and there is one; 1 where one does not; 2 where it could not run."""
MOST_SHOWN = 20  # wrong answers that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec vectors`."""
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check", metavar="MODULE", help="check an implementation: a module's name, or a path ending in .py"
    )
    what.add_argument("--lint", action="store_true", help="look for damage and gaps, and for data files edited since")
    what.add_argument("--write", type=Path, metavar="DIR", help="compute all vectors in both backends, and write them")
    parser.add_argument(
        "--from", type=Path, dest="folder", metavar="DIR", help="vectors to use (default: those of ganspec)"
    )
    parser.add_argument(
        "--only", default="*", metavar="PATTERN", help="check the cases whose id fits, such as 'layer/*'"
    )


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0 where all answers agree or nothing is checked, 1 where an answer or a vector is wrong."""
    from ganspec.tools.vectors.files import PACKAGED, read_vectors

    if arguments.write:
        if arguments.only != "*" or arguments.folder:
            raise UserError("--write writes all vectors; leave out --only and --from")
        return _write(arguments.write)
    folder = arguments.folder or PACKAGED
    if arguments.lint:
        return _lint(folder)
    vectors = read_vectors(folder)
    if arguments.check:
        return _check(arguments.check, vectors, arguments.only)
    kinds = Counter(vector.case.kind for vector in vectors)
    print(f"{counted(len(vectors), 'golden vector')} in {printable(str(folder))}")
    for kind, count in kinds.items():
        print(f"  {kind:<9} {count:>4}")
    print("check an implementation of your own with: ganspec vectors --check MODULE")
    return AGREED


def _write(folder: Path) -> int:
    from ganspec.tools.vectors.files import write_vectors
    from ganspec.tools.vectors.making import make_all

    written = write_vectors(folder, make_all(progress=lambda case: print(case, file=sys.stderr, flush=True)))
    size = sum(path.stat().st_size for path in written)
    print(f"{counted(len(written), 'file')}, {size:,} bytes, in {printable(str(folder))}")
    return AGREED


def _lint(folder: Path) -> int:
    from ganspec.tools.vectors.files import read_vectors
    from ganspec.tools.vectors.linting import findings

    vectors = read_vectors(folder)
    found = findings(folder, vectors)
    for line in found:
        print(printable(line))
    print(f"{counted(len(vectors), 'golden vector')}, {counted(len(found), 'finding')}")
    return DISAGREED if found else AGREED


def _check(name: str, vectors: list, pattern: str) -> int:
    from fnmatch import fnmatchcase

    from ganspec.tools.vectors.checking import check, load_module

    module = load_module(name)
    chosen = [vector for vector in vectors if fnmatchcase(vector.case.id, pattern)]
    if not chosen:
        raise UserError(f"--only {printable(pattern)}: no case has such an id; 'layer/*' is a pattern of some")
    outcomes = [check(module, vector) for vector in chosen]
    wrong = [(outcome.id, line) for outcome in outcomes for line in outcome.wrong]
    for case, line in wrong[:MOST_SHOWN]:
        print(printable(f"{case}: {line}"))
    if len(wrong) > MOST_SHOWN:
        print(f"... and {len(wrong) - MOST_SHOWN:,} more")
    print(f"  {'kind':<9} {'agree':>7} {'wrong':>7} {'skipped':>8}")
    for kind in dict.fromkeys(vector.case.kind for vector in chosen):
        own = [outcome for outcome in outcomes if outcome.id.startswith(f"{kind}/")]
        wrong_cases, skipped_cases = (
            sum(map(bool, each)) for each in ([o.wrong for o in own], [o.reason for o in own])
        )
        agree = sum(bool(o.compared and not o.wrong) for o in own)
        print(f"  {kind:<9} {agree:>7} {wrong_cases:>7} {skipped_cases:>8}")
    compared = sum(outcome.compared for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    for reason, count in Counter(outcome.reason for outcome in outcomes if outcome.reason).items():
        print(f"  skipped {counted(count, 'case')}: {printable(reason)}")
    if skipped:
        print(f"  skipped {counted(skipped, 'answer')} that {'is' if skipped == 1 else 'are'} None")
    if not compared and not wrong:
        raise UserError("nothing was checked, because everything was skipped")
    print(
        f"{counted(compared, 'answer')} compared, {len(wrong):,} wrong: {printable(name)} {'DISAGREES' if wrong else 'agrees'}"
    )
    return DISAGREED if wrong else AGREED
