"""What holds for every program: how it is found, what it may be called, how common options are read."""

import argparse
import importlib
import sys
from types import ModuleType

import pytest

from ganspec.tools import __main__ as command
from ganspec.tools.programs import options


@pytest.mark.parametrize("name", command.PROGRAMS)
def test_every_program_is_a_module_with_add_arguments_and_run(name, capsys):
    program = importlib.import_module(f"ganspec.tools.programs.{name.replace('-', '_')}")
    assert callable(program.add_arguments)
    assert callable(program.run)
    with pytest.raises(SystemExit) as stopped:
        command.main([name, "--help"])
    assert stopped.value.code == 0
    assert f"usage: ganspec {name}" in capsys.readouterr().out


def test_an_option_may_be_called_run(monkeypatch):
    program, given = ModuleType("ganspec.tools.programs.sweep"), []
    program.add_arguments = lambda parser: parser.add_argument("--run")
    program.run = lambda arguments: given.append(arguments.run) or 0
    monkeypatch.setitem(sys.modules, program.__name__, program)
    monkeypatch.setitem(command.PROGRAMS, "sweep", "a program of one's own")
    assert command.main(["sweep", "--run", "7"]) == 0
    assert given == ["7"]


@pytest.mark.parametrize("text", ["0", "-1", "9" * 400, "9" * 5000, "1e3", "many", ""])
def test_a_number_that_is_none_or_out_of_range_is_refused_with_the_range(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"a whole number from 1 to 1,000,000,000,000$"):
        options.positive(text)


@pytest.mark.parametrize("text", ["-1", str(2**63), "9" * 5000, "0x1"])
def test_a_seed_out_of_range_is_refused_with_the_range(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"a whole number from 0 to 9,223,372,036,854,775,807$"):
        options.seed(text)


def test_the_ends_of_the_ranges_are_allowed():
    assert options.positive("1") == 1
    assert options.positive(str(10**12)) == 10**12
    assert options.seed("0") == 0
    assert options.seed(str(2**63 - 1)) == 2**63 - 1


def test_a_number_of_many_digits_is_not_repeated_in_the_message(capsys):
    for program in ("train", "crosscheck", "bench"):
        with pytest.raises(SystemExit):
            command.main([program, "began_mnist", "--iterations", "9" * 400])
        printed = capsys.readouterr().err
        assert "--iterations: expected a whole number from 1" in printed
        assert "9999" not in printed
