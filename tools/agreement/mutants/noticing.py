"""Which of the famous bugs would a user's own test notice?

The test compares the user's code with ganspec's. It passes, so the two agree; if one of them had a bug, the test should fail.
Which of the two has it makes no difference to a comparison, so each mutant in turn is put into ganspec's side.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ganspec.tools import backends
from ganspec.tools.agreement.mutants.catalogue import BY_NAME, CATALOGUE, Mutant
from ganspec.tools.agreement.mutants.patches import Patch, patched
from ganspec.tools.errors import UserError, command

NOTICED, MISSED, UNTOUCHED = "noticed", "MISSED", "not touched"
PLUGIN = "ganspec.tools.agreement.mutants.noticing"
_NAME, _FILE = "GANSPEC_MUTANT", "GANSPEC_MUTANT_REACHED"  # how the plugin is told what to do
_FAILED, _LONGEST = 1, 4000  # pytest's exit code where a test fails; characters of its output that a message shows


@dataclass(frozen=True)
class Notice:
    """What a test said of a mutant.

    Args:
        mutant: the mutant.
        outcome: `NOTICED` where the test failed; `MISSED` where it passed although the wrong code ran; `UNTOUCHED` where nothing
            that the test runs has this code.
    """

    mutant: Mutant
    outcome: str


@contextmanager
def broken(mutant: Mutant, names: Sequence[str] = ()) -> Iterator[Patch]:
    """Break ganspec's own side until the block ends.

    Args:
        mutant: what is wrong.
        names: backends that are broken; none for all that are installed.
    """
    with patched() as patch:
        for name in names or [name for name in backends.NAMES if find_spec(name)]:
            backends.load(name)
            mutant.wrong(patch, name)
            if mutant.read:  # files belong to all backends
                break
        yield patch


def noticed_by(
    test: Callable[[], Any], mutants: Sequence[Mutant] = CATALOGUE, names: Sequence[str] = ()
) -> tuple[Notice, ...]:
    """Run a test against each mutant, in this process.

    Args:
        test: a function without arguments that raises where it disagrees; it must load its systems itself, each time anew.
        mutants: mutants to try.
        names: backends that are broken; none for all that are installed.

    Returns: what the test said of each.

    Raises:
        UserError: the test fails with nothing broken.
    """
    if error := _raised(test):
        raise UserError(f"the test fails as it is, so nothing can be said: {type(error).__name__}: {error}") from error
    notices = []
    for mutant in mutants:
        with broken(mutant, names) as patch:
            notices.append(Notice(mutant, _outcome(_raised(test) is not None, patch.reached > 0)))
    return tuple(notices)


def noticed_by_pytest(node: str, jobs: int = 1, mutants: Sequence[Mutant] = CATALOGUE) -> Iterator[Notice]:
    """Run a test of pytest's against each mutant, each in a process of its own.

    Args:
        node: the test as pytest names it, "tests/test_mine.py::test_gan", or a file of tests.
        jobs: number of processes at a time.
        mutants: mutants to try.

    Yields: what the test said of each, in their order.

    Raises:
        UserError: pytest is not installed, or the test fails with nothing broken.
    """
    if find_spec("pytest") is None:
        raise UserError("pytest is not installed; install it with: pip install pytest")
    failed, _, shown = _run_pytest(node, "")
    if failed:
        raise UserError(f"{node} fails as it is, so nothing can be said:\n{shown}")
    with ThreadPoolExecutor(jobs) as pool:
        for mutant, (failed, reached, _) in zip(
            mutants, pool.map(lambda m: _run_pytest(node, m.name), mutants), strict=True
        ):
            yield Notice(mutant, _outcome(failed, reached))


def _outcome(failed: bool, reached: bool) -> str:
    return NOTICED if failed else MISSED if reached else UNTOUCHED


def _raised(test: Callable[[], Any]) -> BaseException | None:
    try:
        test()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # pytest's own failures are no Exception
        return error
    return None


def _run_pytest(node: str, mutant: str) -> tuple[bool, bool, str]:
    """Returns: whether the test failed, whether wrong code ran, and the end of the output."""
    with tempfile.TemporaryDirectory(prefix="ganspec-mutant-") as folder:
        reached = Path(folder) / "reached"
        words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", PLUGIN, "-p", "no:cacheprovider", node]
        one_thread = {"OMP_NUM_THREADS": "1"}  # the processes would wait for one another's
        environment = {**one_thread, **os.environ, _NAME: mutant, _FILE: str(reached)}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, _FAILED):
            shown = (done.stdout + done.stderr)[-_LONGEST:]
            raise UserError(f"pytest could not run {node}; try: {command(*words[1:5], node)}\n{shown}")
        return done.returncode == _FAILED, reached.exists(), done.stdout[-_LONGEST:]


def on_trial() -> bool:
    """Returns: whether a mutant is tried in this process; then a test's verdict counts, and nobody reads what might mend it."""
    return bool(os.environ.get(_NAME))


def pytest_configure(config: Any) -> None:
    """As a plugin of pytest's: break what the environment names, until the end of the session."""
    if mutant := os.environ.get(_NAME):
        breaking = broken(BY_NAME[mutant])
        patch = breaking.__enter__()

        def end() -> None:
            if patch.reached:
                Path(os.environ[_FILE]).touch()
            breaking.__exit__(None, None, None)

        config.add_cleanup(end)
