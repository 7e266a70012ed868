"""Compare witnesses on a system: the same parameters, data and draws, every quantity, one verdict.

Exit code 0 where all agree, 1 where one does not or where training diverged, 2 where it could not run.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

import ganspec
from ganspec.spec import System, load_system, system_names
from ganspec.spec.reference.planned import check_computable, directions
from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import CheckpointError, write_atomically
from ganspec.spec.training.options import DTYPES
from ganspec.tools import backends
from ganspec.tools.agreement.bundle import Asked, read_bundle, write_bundle
from ganspec.tools.agreement.crosscheck import crosscheck_system, replay
from ganspec.tools.agreement.evidence import Evidence
from ganspec.tools.agreement.given import WITNESSES
from ganspec.tools.agreement.mutants.program import Trial, add_mutant_arguments, run_mutants
from ganspec.tools.agreement.report import Comparison, Divergence, Report
from ganspec.tools.agreement.witnesses import REFERENCE
from ganspec.tools.errors import AGREED, DISAGREED, UserError, cannot_write, require_place
from ganspec.tools.processes import spread
from ganspec.tools.programs import options as shared
from ganspec.tools.reporting import (
    compare_reports,
    read_json,
    render_html,
    render_json,
    render_junit,
    render_mutants,
    render_terminal,
)

EPILOG = """exit code: 0 where all quantities agree; 1 where one does not (DISAGREE), and where values became infinite or NaN in
all (diverged): nothing can be said about such values, so that is no agreement either; with --against also where a system that
agreed in the older report is no longer there; 2 where it could not run."""
MOST_DIRECTIONS = 4_000  # with which the reference takes about a minute for a small network
_NOT_OF_MUTANTS = ("witnesses", "set", "full", "junit", "html", "against", "bundle", "replay")  # options
_WRITERS = {"json": render_json, "junit": lambda report, against: render_junit(report), "html": render_html}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec crosscheck`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "systems", metavar="SYSTEM", nargs="*", help="names or TOML files; default: every packaged system"
    )
    parser.add_argument(
        "--witnesses", metavar="A,B,...", type=_names, default=None,
        help=f"who is compared, at least two: backends, and the reference; the first trains (default: {','.join(WITNESSES)}; "
        "without the reference where that would take too long)",
    )  # fmt: skip
    parser.add_argument("--dtype", choices=DTYPES, default="float64", help="default: float64")
    shared.add_device(parser)
    parser.add_argument(
        "--iterations", type=shared.positive, default=10, metavar="N",
        help="number of iterations, in lockstep and then in a run of each (default: 10)",
    )  # fmt: skip
    shared.add_seed(parser)
    shared.add_set(parser, "every system")
    parser.add_argument("--full", action="store_true", help="at full size, not at the system's reduced sizes")
    parser.add_argument(
        "--jobs", type=shared.positive, metavar="N", default=None,
        help="systems that are compared at a time, each in a process of its own (default: one for each core)",
    )  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="write the whole table of each system")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON, too")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit's XML, which CI shows as tests")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as one HTML page with curves and samples")
    parser.add_argument("--against", type=Path, metavar="FILE", help="say what changed since an older report (JSON)")
    parser.add_argument(
        "--bundle", type=Path, metavar="DIR",
        help="write the first divergence of each system to a folder in DIR, from which --replay computes it again",
    )  # fmt: skip
    parser.add_argument("--replay", type=Path, metavar="DIR", help="compute the divergence of a bundle again")
    add_mutant_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0 where all agree, 1 where one does not or where training diverged."""
    files = {name: getattr(arguments, name) for name in _WRITERS if getattr(arguments, name)}
    for name, path in files.items():
        require_place(path, option=f"--{name} FILE")
    if arguments.mutants or arguments.test:
        return _tried(arguments)
    against = read_json(arguments.against) if arguments.against else None
    if arguments.replay:
        comparisons = [_replayed(arguments.replay)]
    else:
        asked = [_asked(name, arguments) for name in arguments.systems or system_names()]
        for each in asked:  # all that is wrong with a system is said before the first is compared
            load_system(each.system, each.settings, reduced=each.reduced)
        comparisons = list(_compared(asked, arguments))
    report = Report(tuple(comparisons), versions(comparisons[0].witnesses))
    print("\n".join(map(printable, render_terminal(report, arguments.verbose, against))), flush=True)
    for name, path in files.items():
        _write(path, _WRITERS[name](report, against), name)
    worse = against is not None and compare_reports(against, report).regressed
    return AGREED if report.agrees and not worse else DISAGREED


def _tried(arguments: argparse.Namespace) -> int:
    """Try mutants, which are all compared in the same way. Returns: 0 where all are rejected, 1 where one is not.

    Raises:
        UserError: there is an option that would say otherwise, or a file that is not written.
    """
    for name in _NOT_OF_MUTANTS:
        if getattr(arguments, name):
            raise UserError(f"--{name} has no meaning with --mutants, which takes systems, --jobs, --test and --json")

    def write(trials: tuple[Trial, ...]) -> None:
        if arguments.json:
            found = versions((*backends.NAMES, REFERENCE))
            _write(arguments.json, render_mutants(trials, arguments.test, found), "json")

    return run_mutants(arguments, write)


def versions(witnesses: Iterable[str]) -> dict[str, str]:
    """Returns: the version of ganspec, of Python and of each library that witnesses use."""
    found = {"ganspec": ganspec.__version__, "python": platform.python_version(), "numpy": np.__version__}
    for name in witnesses:
        found |= backends.versions(name)
    return found


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    known = backends.names()
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) < 2 or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"expected at least two of {', '.join(known)}, such as torch,chainer")
    if names[0] not in backends.NAMES:
        first = " or ".join(backends.NAMES)
        raise argparse.ArgumentTypeError(
            f"the first also shows what one rounding changes, so it is {first}; name that first"
        )
    return names


def _asked(name: str, arguments: argparse.Namespace) -> Asked:
    a = arguments
    return Asked(name, tuple(a.set), not a.full, a.seed, a.dtype, a.device, a.witnesses or ())


def _compared(asked: list[Asked], arguments: argparse.Namespace) -> Iterator[Comparison]:
    """Yields: the comparison of each system, in order."""
    jobs = min(arguments.jobs or len(os.sched_getaffinity(0)), len(asked))
    if jobs > 1 or not arguments.full:  # threads of arrays this small would wait for one another
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    one = partial(compare, iterations=arguments.iterations, bundles=arguments.bundle)
    yield from tqdm(spread(one, asked, jobs), total=len(asked), desc="systems", disable=len(asked) == 1, leave=False)


def compare(asked: Asked, iterations: int, bundles: Path | None) -> Comparison:
    """Compare witnesses on one system.

    Args:
        asked: the system, and how it is compared.
        iterations: number of iterations.
        bundles: folder in which a bundle of the first divergence is made; None for none.

    Returns: what was found.
    """
    system = load_system(asked.system, asked.settings, reduced=asked.reduced)
    asked = replace(asked, witnesses=asked.witnesses or _usual(system, asked.dtype))

    def write(divergence: Divergence, evidence: Evidence) -> str:
        if bundles is None:
            return ""
        folder = bundles / re.sub(r"[^A-Za-z0-9_.-]+", "-", system.name)
        try:
            write_bundle(folder, asked, system, divergence, evidence)
        except OSError as error:
            raise cannot_write(folder, error, option="--bundle DIR") from None
        except CheckpointError as error:
            print(f"{system.name}: no bundle: {error}", file=sys.stderr)
            return ""
        return str(folder)

    try:
        comparison = crosscheck_system(
            system, seed=asked.seed, dtype=asked.dtype, device=asked.device, iterations=iterations,
            witnesses=asked.witnesses, on_divergence=write,
        )  # fmt: skip
    except UserError:
        raise
    except Exception as error:  # a backend of one's own raises what it likes: that is no disagreement
        traceback.print_exc()
        raise UserError(f"{system.name}: could not be compared: {type(error).__name__}: {error}") from None
    return replace(comparison, reduced=asked.reduced)


def _usual(system: System, dtype: str) -> tuple[str, ...]:
    """Returns: all witnesses, but for the reference where it is of no use: that is said."""
    count, why = directions(system), ""
    if count > MOST_DIRECTIONS:
        why = f"a penalty differentiates by {count:,} numbers, each of which it takes alone; choose smaller sizes in [reduced]"
    try:
        check_computable(system)
    except NotImplementedError as error:
        why = str(error).partition(": ")[2]
    if not why or dtype != "float64":
        return WITNESSES
    print(
        printable(f"{system.name}: the reference is left out: {why}, or ask for it with --witnesses"), file=sys.stderr
    )
    return tuple(name for name in WITNESSES if name != REFERENCE)


def _replayed(folder: Path) -> Comparison:
    bundle = read_bundle(folder)
    asked = bundle.asked
    print(f"{folder}: {bundle.name}, {bundle.evidence.place}", flush=True)
    options = {"seed": asked.seed, "dtype": asked.dtype, "device": asked.device, "witnesses": asked.witnesses}
    try:
        comparison = replay(bundle.loaded, bundle.evidence, **options)
    except UserError:
        raise
    except (ValueError, LookupError, TypeError, StopIteration, RuntimeError) as error:
        why = printable(str(error)[:200]) or "it has too few batches"
        raise UserError(f"{folder}: what it holds does not fit its system: {why}; write the bundle anew") from None
    return replace(comparison, reduced=asked.reduced, bundle=str(folder))


def _write(path: Path, text: str, option: str) -> None:
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise cannot_write(path, error, option=f"--{option} FILE") from None
