"""docs/chainer.md says what compat does: its commands run, its options and names are those of the code."""

import re
import shlex
from pathlib import Path

from ganspec.impl_chainer.compat import TABLE, old_names
from ganspec.impl_chainer.compat.__main__ import HELP, OPTIONS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "chainer.md").read_text(encoding="utf-8")


def test_page_and_help_name_every_option_and_no_other():
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE)) - {"--no-build-isolation", "--no-deps", "--build-constraint"}
    assert named == set(OPTIONS)
    assert set(re.findall(r"--[a-z-]+", HELP)) == {*OPTIONS, "--help"}


def test_command_that_lists_the_mends_lists_them_all(python):
    (line,) = [line for line in PAGE.splitlines() if "compat.TABLE.mends" in line]
    done = python(*shlex.split(line)[1:])
    assert [text.partition(" | ")[0] for text in done.stdout.splitlines()] == [mend.name for mend in TABLE.mends]


def test_old_names_on_the_page_are_known():
    section = PAGE.partition("### Names that NumPy has removed")[2].partition("\n### ")[0]
    names = set(re.findall(r"(?:np|a)\.(\w+)", section))
    assert len(names) > 12
    assert {name for name in names if not old_names.knows(name)} == set()
