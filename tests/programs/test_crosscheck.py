"""`ganspec crosscheck`: its verdicts, its exit codes, its file."""

import json

import numpy as np
import pytest

from ganspec.tools.__main__ import main
from ganspec.tools.agreement import Trace, compare, compare_float32
from support.breakers import replace_operation


def test_crosscheck_says_agree_with_0_and_disagree_with_1(tmp_path, monkeypatch, capsys):
    arguments = ["crosscheck", "began_mnist", "--iterations", "1", "--json", str(tmp_path / "a.json")]
    assert main(arguments) == 0
    assert "the backends agree" in capsys.readouterr().out
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["agree"] is True
    assert {f["kind"] for f in found["systems"]["began_mnist"]} >= {"output", "loss", "parameter gradient"}
    replace_operation("abs", lambda right, node, a, create_graph: right(node, a, create_graph) * 1.001)(
        monkeypatch, "chainer"
    )
    assert main(arguments) == 1
    assert "DISAGREE on began_mnist" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["agree"] is False


def test_crosscheck_of_a_system_that_diverges_in_both_says_so_and_is_no_agreement(tmp_path, capfd):
    file = tmp_path / "a.json"
    wild = ["--set", "optimizers.learning_rate=1e15", "--set", "schedule.critic_steps=2"]
    arguments = [
        "crosscheck",
        "wgan_gp_mlp_mnist",
        *wild,
        "--dtype",
        "float32",
        "--iterations",
        "2",
        "--json",
        str(file),
    ]
    assert main(arguments) == 1
    printed = capfd.readouterr()
    assert "both backends diverged on wgan_gp_mlp_mnist" in printed.out
    assert "DISAGREE" not in printed.out
    assert "Warning" not in printed.err
    written = json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert written["agree"] is False
    assert any(f["both_diverged"] and f["worst"] is None for f in written["systems"]["wgan_gp_mlp_mnist"])


def trace_of(**values):
    kept = Trace()
    for name, value in values.items():
        kept.add("loss", name, value)
    return kept


NAN, ONE = np.array(np.nan), np.array(1.0)


def test_what_is_not_finite_in_one_backend_only_is_a_disagreement():
    (finding,) = compare(trace_of(a=NAN, b=ONE), trace_of(a=NAN, b=ONE))
    assert (finding.agrees, finding.both_diverged) == (False, True)
    for theirs in (trace_of(a=ONE, b=ONE), trace_of(a=NAN, b=2 * ONE), trace_of(a=NAN), trace_of(a=NAN, b=NAN)):
        (finding,) = compare(trace_of(a=NAN, b=ONE), theirs)
        assert (finding.agrees, finding.both_diverged) == (False, False)


def test_float32_that_is_not_finite_agrees_with_nothing():
    judge, finite, wild = trace_of(a=ONE), trace_of(a=ONE.astype("f4")), trace_of(a=NAN.astype("f4"))
    assert compare_float32(judge, finite, finite)[0].agrees
    (both,) = compare_float32(judge, wild, wild)
    assert (both.agrees, both.both_diverged) == (False, True)
    (one,) = compare_float32(judge, finite, wild)
    assert (one.agrees, one.both_diverged) == (False, False)


def test_a_file_that_cannot_be_written_says_which_option(tmp_path, capsys):
    assert main(["crosscheck", "began_mnist", "--iterations", "1", "--json", str(tmp_path / "none" / "a.json")]) == 2
    assert "make its folder first, or choose another place with --json FILE" in capsys.readouterr().err
