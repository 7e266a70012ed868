"""`ganspec crosscheck --mutants`: every mutant must be rejected, at the place where it is."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tqdm import tqdm

from ganspec.spec.text.errors import counted, printable
from ganspec.tools import backends
from ganspec.tools.agreement.mutants.catalogue import BY_NAME, CATALOGUE
from ganspec.tools.agreement.mutants.noticing import MISSED, NOTICED, UNTOUCHED, Notice, noticed_by_pytest
from ganspec.tools.agreement.mutants.rejecting import reject
from ganspec.tools.agreement.report import Difference
from ganspec.tools.errors import AGREED, DISAGREED, UserError
from ganspec.tools.processes import spread

REJECTED, ELSEWHERE, PASSED = "rejected", "ELSEWHERE", "PASSED"


@dataclass(frozen=True)
class Trial:
    """What became of one mutant.

    Args:
        mutant: its name.
        backend: backend that was wrong; empty where a test of the user's was tried, for which all are.
        verdict: `REJECTED`, `ELSEWHERE` where something else differs first, `PASSED`; of a test `NOTICED`, `MISSED`, `UNTOUCHED`.
        first: the first quantity that differs; None where there is none, or where a test was tried.
    """

    mutant: str
    backend: str
    verdict: str
    first: Difference | None = None


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


def run_mutants(
    arguments: argparse.Namespace, report: Callable[[tuple[Trial, ...]], None] = lambda trials: None
) -> int:
    """Try every mutant, or those of some systems.

    Args:
        arguments: systems, whose mutants are tried (none for all); jobs; test.
        report: function that is given all trials at the end.

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
        notices = noticed_by_pytest(arguments.test, jobs, mutants)
        trials = _say_notices(tqdm(notices, total=len(mutants), disable=None))
        report(trials)
        return DISAGREED if any(trial.verdict == MISSED for trial in trials) else AGREED
    for name in backends.NAMES:
        backends.load(name)  # what is missing is said before anything runs
    asked = [(mutant.name, backend) for mutant in mutants for backend in backends.NAMES]
    trials = _say_rejections(tqdm(spread(_try, asked, jobs), total=len(asked), disable=None))
    report(trials)
    return AGREED if all(trial.verdict == REJECTED for trial in trials) else DISAGREED


def _try(asked: tuple[str, str]) -> Trial:
    mutant, backend = asked
    rejection = reject(BY_NAME[mutant], backend)
    if rejection.first is None:
        return Trial(mutant, backend, PASSED)
    return Trial(mutant, backend, REJECTED if rejection.in_place else ELSEWHERE, rejection.first.difference)


def _where(d: Difference | None) -> str:
    if d is None:
        return "nothing differs"
    return f"{d.place}: {d.kind}: {d.name}" + (f" ({d.source})" if d.source else "")


def _say_rejections(found: Iterable[Trial]) -> tuple[Trial, ...]:
    """Print one line for each. Returns: all."""
    trials = []
    for trial in found:
        trials.append(trial)
        line = f"{trial.verdict:<10} {trial.backend:<8} {trial.mutant}: {_where(trial.first)}"
        tqdm.write(printable(line), file=sys.stdout)
        if trial.verdict == ELSEWHERE:
            expected = BY_NAME[trial.mutant]
            tqdm.write(printable(f"{'':<20}expected first: {expected.kind} {expected.where}".rstrip()), file=sys.stdout)
    verdicts = [trial.verdict for trial in trials]
    right = verdicts.count(REJECTED)
    others = {ELSEWHERE: "noticed elsewhere first", PASSED: "passed"}
    rest = [f"{verdicts.count(verdict)} {words}" for verdict, words in others.items() if verdict in verdicts]
    print(f"{right} of {counted(len(verdicts), 'mutant')} rejected where they are" + "".join(f", {r}" for r in rest))
    return tuple(trials)


def _say_notices(found: Iterable[Notice]) -> tuple[Trial, ...]:
    """Print one line for each mutant that the test could notice. Returns: all."""
    trials = []
    for notice in found:
        trials.append(Trial(notice.mutant.name, "", notice.outcome))
        tqdm.write(printable(f"{notice.outcome:<12} {notice.mutant.name} ({notice.mutant.source})"), file=sys.stdout)
    outcomes = [trial.verdict for trial in trials]
    touched = len(outcomes) - outcomes.count(UNTOUCHED)
    print(
        f"the test notices {outcomes.count(NOTICED)} of {counted(touched, 'mutant')} that it could; "
        f"{outcomes.count(UNTOUCHED)} are in code that it does not run"
    )
    return tuple(trials)
