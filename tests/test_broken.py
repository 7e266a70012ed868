"""Tests of the tests: each named wrong variant, put into one backend, must be rejected by the comparison, in its true place.

The variants are the famous bugs of published GAN code: `ganspec.tools.agreement.mutants`.
"""

import argparse
import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.parts.schedule import Step
from ganspec.tools import backends
from ganspec.tools.agreement import crosscheck_system
from ganspec.tools.agreement.bounds import ROUNDINGS
from ganspec.tools.agreement.mutants import computing as c
from ganspec.tools.agreement.mutants import training as t
from ganspec.tools.agreement.mutants.catalogue import BEGAN, BY_NAME, CATALOGUE, CGAN, DRAGAN, WARMUP, Mutant
from ganspec.tools.agreement.mutants.noticing import MISSED, NOTICED, UNTOUCHED, noticed_by
from ganspec.tools.agreement.mutants.patches import patched
from ganspec.tools.agreement.mutants.program import ELSEWHERE, PASSED, REJECTED, Trial, run_mutants
from ganspec.tools.agreement.mutants.rejecting import reject
from ganspec.tools.errors import AGREED, DISAGREED, FAILED, UserError
from ganspec.tools.reporting import render_mutants
from support import layer_systems
from support.programs import here
from support.report_schema import SCHEMA, unknown_to_schema

pytestmark = pytest.mark.usefixtures("both_backends")

# Both backends have each mutant; by turns one of them has it here, and the other where there is more time.
FIRST = [(("torch", "chainer")[i % 2], mutant.name) for i, mutant in enumerate(CATALOGUE)]
SECOND = [(next(b for b in backends.NAMES if b != backend), name) for backend, name in FIRST]


def assert_rejected(backend, name):
    found = reject(BY_NAME[name], backend)
    assert found.first is not None, "it passed"
    d = found.first.difference
    assert found.in_place, f"first noticed in {d.kind} {d.name}, {d.network}/{d.layer}"


@pytest.mark.parametrize(("backend", "name"), FIRST)
def test_the_comparison_rejects(backend, name):
    assert_rejected(backend, name)


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "name"), SECOND)
def test_the_comparison_rejects_in_the_other_backend(backend, name):
    assert_rejected(backend, name)


# The same breakers where they change nothing: so it is the bug that is rejected, and not the breaker.
def boosted(override, i):
    return i < override.first or i % override.every == 0


HARMLESS = (
    Mutant("u moves once", "sndcgan_cifar10", c.spectral_vector(1), "statistic", "", "as it is", iterations=1),
    Mutant("critic steps as they are", WARMUP, t.counted_repeats(boosted), "schedule", "", "as it is", iterations=1, read=True),
    Mutant("the same words", DRAGAN, t.reworded("x_hat", "x_hat"), "value", "", "as it is", iterations=1, read=True),
    Mutant(
        "a gate that is reached at once", CGAN, t.gate_after_the_update, "schedule", "", "as it is",
        ["schedule.good_enough=9", "schedule.too_good=-9"], 2,
    ),
    Mutant("Adam's count, no growth", "dcgan_cifar10", t.count_for_each_parameter, "parameter", "", "as it is", iterations=2),
    Mutant(
        "an average without batch norm", "began_cifar10", t.average_of_parameters_only, "average", "", "as it is",
        ["averages.G=0.9"], 1,
    ),
    Mutant("symmetric padding", BEGAN, c.replace_layer("conv", c.symmetric_padding), "layer", "", "as it is", iterations=1),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(HARMLESS)), ids=[mutant.name for mutant in HARMLESS])
def test_the_comparison_accepts_what_changes_nothing(number):
    found = reject(HARMLESS[number], ("torch", "chainer")[number % 2])
    assert found.first is None or found.first.difference.diverged


def test_mutants_have_names_sources_and_kinds_that_there_are():
    assert len(BY_NAME) == len(CATALOGUE) >= 60
    for mutant in CATALOGUE:
        assert mutant.source
        assert mutant.kind in ROUNDINGS


def test_what_is_changed_is_put_back_whatever_happens():
    table, right = {"a": 1}, Step.repeats

    def fails():
        with patched() as patch:
            patch.setattr(Step, "repeats", None)
            patch.setattr(Step, "repeats", 3)
            patch.setitem(table, "a", 2)
            assert (Step.repeats, table) == (3, {"a": 2})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert (Step.repeats, table) == (right, {"a": 1})
    with pytest.raises(AttributeError), patched() as patch:
        patch.setattr(Step, "no_such_method", None)


def test_a_mutant_that_is_elsewhere_than_the_catalogue_says_is_not_in_place():
    moved = replace(BY_NAME["alpha of ELU"], where="G")
    found = reject(moved, "chainer")
    assert found.first is not None
    assert not found.in_place


def test_the_program_says_what_is_rejected(capsys, tmp_path):
    file = tmp_path / "mutants.json"
    assert here("crosscheck", "gan_mlp_mnist", "--mutants", "--jobs", "1", "--json", str(file)) == AGREED
    written = json.loads(file.read_text())
    assert not unknown_to_schema(written, SCHEMA["$defs"]["mutants"])
    assert written["format"] == SCHEMA["$defs"]["mutants"]["properties"]["format"]["const"]
    assert written["test"] is None
    assert {"torch", "chainer", "python"} <= set(written["versions"])
    own = [(mutant, name) for mutant in CATALOGUE if mutant.system == "gan_mlp_mnist" for name in backends.NAMES]
    assert len(written["mutants"]) == len(own)
    for entry, (mutant, backend) in zip(written["mutants"], own, strict=True):
        assert (entry["name"], entry["backend"], entry["source"]) == (mutant.name, backend, mutant.source)
        assert (entry["verdict"], entry["rejected"]) == ("rejected", True)
        assert entry["expected"] == {"kind": mutant.kind, "where": mutant.where}
        assert entry["first"]["kind"] == mutant.kind
        assert backend in entry["first"]["pair"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "4 of 4 mutants rejected where they are"
    assert all(line.startswith("rejected   ") for line in lines[:-1])
    assert here("crosscheck", "nothing", "--mutants") == FAILED
    assert "no mutant is tried on nothing; leave the system out, to try all" in capsys.readouterr().err
    assert here("crosscheck", "--test", "test_mine.py") == FAILED
    assert "so it needs --mutants, too" in capsys.readouterr().err
    assert here("crosscheck", "--mutants", "--html", str(tmp_path / "page.html")) == FAILED
    assert (
        "--html has no meaning with --mutants, which takes systems, --jobs, --test and --json"
        in capsys.readouterr().err
    )
    assert here("crosscheck", "--mutants", "--json", str(tmp_path / "none" / "a.json")) == FAILED
    assert "--json FILE" in capsys.readouterr().err


def test_what_passed_or_differed_elsewhere_is_not_rejected_in_the_file():
    difference = reject(BY_NAME["alpha of ELU"], "torch").first.difference
    trials = [
        Trial("alpha of ELU", "torch", PASSED),
        Trial("alpha of ELU", "chainer", ELSEWHERE, replace(difference, error=math.inf)),
        Trial("alpha of ELU", "", MISSED),
        Trial("alpha of ELU", "", UNTOUCHED),
        Trial("alpha of ELU", "", NOTICED),
    ]
    written = json.loads(render_mutants(trials, "test_mine.py::test_mine", {"python": "3"}))
    assert not unknown_to_schema(written, SCHEMA["$defs"]["mutants"])
    assert [entry["rejected"] for entry in written["mutants"]] == [False, False, False, False, True]
    verdicts = SCHEMA["$defs"]["mutant"]["properties"]["verdict"]["enum"]
    assert {entry["verdict"] for entry in written["mutants"]} == {*verdicts} - {REJECTED}
    assert [entry["first"] is None for entry in written["mutants"]] == [True, False, True, True, True]
    assert written["mutants"][1]["first"]["not_finite"] == {"error": "infinity", "ratio": "infinity"}


def test_a_users_test_notices_some_mutants_and_misses_others():
    """A test that looks at losses alone does not see batch norm's statistics; nothing in an MLP has a convolution."""
    names = ["slope of leaky ReLU", "sum for mean", "running mean that stands still", "alpha of ELU"]
    expected = losses()

    def test():
        assert losses() == pytest.approx(expected, rel=1e-9)

    notices = noticed_by(test, [BY_NAME[name] for name in names], ["torch"])
    assert [notice.outcome for notice in notices] == [NOTICED, NOTICED, MISSED, UNTOUCHED]
    test()
    with pytest.raises(UserError, match="the test fails as it is"):
        noticed_by(lambda: pytest.fail("red"), [])


def losses():
    """Returns: the losses of the first repeat of the first step."""
    system = load_system("wgan_gp_mlp_mnist", reduced=True)
    trainer = backends.make_trainer("torch", system, 0, dtype="float64")
    result = trainer.compute(0, 0, lambda: {"x": np.full((system.run.batch, *system.data.shape), 0.5)})
    return [result.values[i].item() for i in result.plan.losses.values()]


MINE = """
from ganspec.spec import load_system

def test_mine():
    assert load_system("wgan_gp_mlp_mnist").loss.constants["penalty_weight"] == 10
"""


def test_a_users_test_runs_in_pytest_with_each_mutant(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_mine.py").write_text(MINE)
    chosen = ("another penalty weight", "another learning rate", "alpha of ELU")
    monkeypatch.setattr("ganspec.tools.agreement.mutants.program.CATALOGUE", [BY_NAME[name] for name in chosen])
    asked = argparse.Namespace(mutants=True, systems=[], jobs=3, test="test_mine.py::test_mine")
    assert run_mutants(asked) == DISAGREED
    lines = capsys.readouterr().out.splitlines()
    assert [line[:12].strip() for line in lines[:-1]] == [NOTICED, MISSED, UNTOUCHED]
    assert lines[-1] == "the test notices 1 of 2 mutants that it could; 1 are in code that it does not run"
    (tmp_path / "test_mine.py").write_text(MINE.replace("10", "11"))
    with pytest.raises(UserError, match="fails as it is, so nothing can be said"):
        run_mutants(asked)
    asked.test = "test_none.py"
    with pytest.raises(UserError, match=r"pytest could not run test_none\.py"):
        run_mutants(asked)


def test_max_pooling_of_windows_that_do_not_fit_whole_is_rejected(backend, tmp_path):
    """They make a larger map, which the next layer does not take."""
    system = load_system(layer_systems.write_system(tmp_path, "max_pool", size=5, stride=2))
    backends.load(backend)
    with patched() as patch:
        c.cover_all(patch, backend)
        with pytest.raises(Exception, match=r"(?i)shape|invalid operation"):
            crosscheck_system(system, iterations=1)


def test_a_float32_implementation_with_too_large_an_error_is_rejected(backend):
    system = load_system(BEGAN, reduced=True)
    wrong = c.replace_operation("abs", lambda right, node, a, graph: right(node, a, graph) * (1.0 + 1e-4))
    other = next(name for name in backends.NAMES if name != backend)
    options = {"dtype": "float32", "iterations": 1, "witnesses": (other, backend)}
    assert crosscheck_system(system, **options).agrees
    with patched() as patch:
        wrong(patch, backend)
        assert not crosscheck_system(system, **options).agrees


def test_the_norm_has_the_gradient_zero_at_zero_where_the_naive_one_has_nan(backend):
    operations = c.module(backend, "operations")
    arrays = c.module(backend, "arrays")
    context = arrays.ArrayContext("cpu", "float64")
    zero = context.array(np.zeros((2, 3)))
    if backend == "torch":
        zero.requires_grad_()
    else:
        zero = arrays.Array(zero.array, requires_grad=True)
    right = operations.gradient(operations.norm(zero, 0.0), zero, False)
    assert np.array_equal(arrays.to_numpy(right), np.zeros((2, 3)))
    with np.errstate(invalid="ignore", divide="ignore"):
        naive = arrays.to_numpy(operations.gradient(c.square_sum(zero, 1), zero, False))
    assert np.isnan(naive).all()


def test_mutants_can_be_imported_where_no_framework_is():
    program = "import sys, ganspec.tools.agreement.mutants.program\nassert not {'torch', 'chainer'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
