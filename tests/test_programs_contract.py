"""What every program must offer, so that `ganspec PROGRAM` finds it and no option of its own breaks it."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ganspec.tools.__main__ import PROGRAMS, main

FOLDER = Path(__file__).resolve().parent.parent / "tools" / "programs"


def test_every_program_is_in_the_table_and_the_table_names_no_other():
    # `options` is what programs share, `initial` and `cuda` are parts of `train`.
    assert {name.replace("-", "_") for name in PROGRAMS} == {path.stem for path in FOLDER.glob("*.py")} - {
        "__init__",
        "options",
        "cuda",
        "initial",
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_says_what_it_takes(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: ganspec {name} ")
    assert PROGRAMS[name] in " ".join(shown.split())
    program = importlib.import_module(f"ganspec.tools.programs.{name.replace('-', '_')}")
    assert program.run.__doc__, "its docstring says which exit codes it returns"


@pytest.mark.parametrize("option", ["run", "program", "name", "add_arguments", "arguments"])
def test_a_program_may_call_an_option_as_it_likes(option, monkeypatch):
    program, seen = ModuleType("ganspec.tools.programs.own"), []
    program.add_arguments = lambda parser: parser.add_argument(f"--{option}")
    program.run = lambda arguments: seen.append(vars(arguments)) or 0
    monkeypatch.setitem(sys.modules, program.__name__, program)
    monkeypatch.setitem(PROGRAMS, "own", "a program of one's own")
    assert main(["own", f"--{option}", "given"]) == 0
    assert seen == [{option: "given"}]
