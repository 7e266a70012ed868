"""`ganspec crosscheck --mutants`: every mutant must be rejected, at the place where it is."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable

from tqdm import tqdm

from ganspec.spec.text.errors import counted, printable
from ganspec.tools import backends
from ganspec.tools.agreement.mutants.catalogue import BY_NAME, CATALOGUE
from ganspec.tools.agreement.mutants.noticing import MISSED, NOTICED, UNTOUCHED, Notice, noticed_by_pytest
from ganspec.tools.agreement.mutants.rejecting import Rejection, reject
from ganspec.tools.errors import AGREED, DISAGREED, UserError
from ganspec.tools.processes import spread

_REJECTED, _ELSEWHERE, _PASSED = "rejected", "ELSEWHERE", "PASSED"


def add_mutant_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec crosscheck` that are about mutants."""
    parser.add_argument(
        "--mutants", action="store_true",
        help="put each of the famous bugs of GAN code into one backend in turn; each must be rejected, where it is",
    )  # fmt: skip
    parser.add_argument(
        "--test", metavar="NODE",
        help="with --mutants: which of the bugs does this test of yours notice? such as tests/test_mine.py::test_gan",
    )  # fmt: skip


def run_mutants(arguments: argparse.Namespace) -> int:
    """Try every mutant, or those of some systems.

    Args:
        arguments: systems, whose mutants are tried (none for all); jobs; test.

    Returns: 0 where all are rejected in their place, or noticed by the test; 1 where one is not.

    Raises:
        UserError: a framework is not there, no mutant is tried on a system, the test fails as it is.
    """
    if not arguments.mutants:
        raise UserError("--test says which mutants a test notices, so it needs --mutants, too")
    mutants = [mutant for mutant in CATALOGUE if not arguments.systems or mutant.system in arguments.systems]
    if not mutants:
        raise UserError(f"no mutant is tried on {', '.join(arguments.systems)}; leave the system out, to try all")
    jobs = arguments.jobs or os.cpu_count() or 1
    if arguments.test:
        return _say_notices(tqdm(noticed_by_pytest(arguments.test, jobs, mutants), total=len(mutants), disable=None))
    for name in backends.NAMES:
        backends.load(name)  # what is missing is said before anything runs
    asked = [(mutant.name, backend) for mutant in mutants for backend in backends.NAMES]
    return _say_rejections(tqdm(spread(_try, asked, jobs), total=len(asked), disable=None))


def _try(asked: tuple[str, str]) -> tuple[str, str, str, str]:
    """Returns: mutant, backend, verdict, and where it was noticed first."""
    mutant, backend = asked
    rejection = reject(BY_NAME[mutant], backend)
    return mutant, backend, _verdict(rejection), _where(rejection)


def _verdict(rejection: Rejection) -> str:
    if rejection.first is None:
        return _PASSED
    return _REJECTED if rejection.in_place else _ELSEWHERE


def _where(rejection: Rejection) -> str:
    if rejection.first is None:
        return "nothing differs"
    d = rejection.first.difference
    return f"{d.place}: {d.kind}: {d.name}" + (f" ({d.source})" if d.source else "")


def _say_rejections(found: Iterable[tuple[str, str, str, str]]) -> int:
    """Print one line for each. Returns: the exit code."""
    verdicts = []
    for mutant, backend, verdict, where in found:
        verdicts.append(verdict)
        tqdm.write(printable(f"{verdict:<10} {backend:<8} {mutant}: {where}"), file=sys.stdout)
        if verdict == _ELSEWHERE:
            expected = BY_NAME[mutant]
            tqdm.write(printable(f"{'':<20}expected first: {expected.kind} {expected.where}".rstrip()), file=sys.stdout)
    right = verdicts.count(_REJECTED)
    others = {_ELSEWHERE: "noticed elsewhere first", _PASSED: "passed"}
    rest = [f"{verdicts.count(verdict)} {words}" for verdict, words in others.items() if verdict in verdicts]
    print(f"{right} of {counted(len(verdicts), 'mutant')} rejected where they are" + "".join(f", {r}" for r in rest))
    return AGREED if right == len(verdicts) else DISAGREED


def _say_notices(found: Iterable[Notice]) -> int:
    """Print one line for each mutant that the test could notice. Returns: the exit code."""
    outcomes = []
    for notice in found:
        outcomes.append(notice.outcome)
        tqdm.write(printable(f"{notice.outcome:<12} {notice.mutant.name} ({notice.mutant.source})"), file=sys.stdout)
    touched = len(outcomes) - outcomes.count(UNTOUCHED)
    print(
        f"the test notices {outcomes.count(NOTICED)} of {counted(touched, 'mutant')} that it could; "
        f"{outcomes.count(UNTOUCHED)} are in code that it does not run"
    )
    return DISAGREED if MISSED in outcomes else AGREED
