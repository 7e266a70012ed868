"""`ganspec crosscheck`: its verdicts, its exit codes, its files."""

import json
import os
from xml.etree import ElementTree

import pytest

from ganspec.tools.__main__ import main
from ganspec.tools.agreement.mutants.computing import replace_operation

pytestmark = pytest.mark.usefixtures("both_backends")


def wrong_abs(patch, backend="chainer", factor=1.001):
    replace_operation("abs", lambda right, node, a, create_graph: right(node, a, create_graph) * factor)(patch, backend)


def test_crosscheck_says_agree_with_0_and_disagree_with_1(tmp_path, patch, capsys):
    files = {name: tmp_path / f"a.{name}" for name in ("json", "junit", "html")}
    arguments = ["crosscheck", "began_mnist", "--iterations", "1", "--bundle", str(tmp_path / "bundles")]
    arguments += [text for name, path in files.items() for text in (f"--{name}", str(path))]
    assert main(arguments) == 0
    assert "torch, chainer and reference agree on began_mnist" in capsys.readouterr().out
    found = json.loads(files["json"].read_text())
    assert found["agrees"] is True
    assert {row["kind"] for row in found["systems"][0]["rows"]} >= {"layer", "loss", "parameter gradient", "slope"}
    assert ElementTree.parse(files["junit"]).getroot().get("failures") == "0"
    assert "began_mnist" in files["html"].read_text()
    assert not (tmp_path / "bundles").exists()
    wrong_abs(patch)
    old = tmp_path / "old.json"
    files["json"].rename(old)
    assert main([*arguments, "--against", str(old)]) == 1
    printed = capsys.readouterr().out
    assert "DISAGREE on began_mnist" in printed
    assert "chainer is alone: torch and reference agree with one another" in printed
    assert "losses/began.toml:" in printed
    assert "no longer agrees" in printed
    assert json.loads(files["json"].read_text())["agrees"] is False
    # The bundle computes it again, and says nothing once it is mended.
    folder = tmp_path / "bundles" / "began_mnist"
    assert f"ganspec crosscheck --replay {folder}" in printed
    assert main(["crosscheck", "--replay", str(folder)]) == 1
    assert "abs(" in capsys.readouterr().out
    patch.undo()
    assert main(["crosscheck", "--replay", str(folder)]) == 0


def test_every_system_is_judged(patch, capsys):
    wrong_abs(patch, factor=1 + 1e-9)
    systems = ["gan_mlp_mnist", "began_mnist"]  # the first does not take an absolute value
    assert main(["crosscheck", *systems, "--iterations", "1", "--jobs", "1"]) == 1
    assert "DISAGREE on 1 of 2 systems: began_mnist" in capsys.readouterr().out


def test_processes_say_the_same(capsys):
    systems = ["gan_mlp_mnist", "cgan_mlp_mnist"]
    assert main(["crosscheck", *systems, "--iterations", "1", "--jobs", "2"]) == 0
    assert "agree" in capsys.readouterr().out


def test_float32_is_judged_by_float64(monkeypatch, capsys):
    """A mistake that both backends make is none between them."""
    arguments = ["crosscheck", "began_mnist", "--dtype", "float32", "--iterations", "1"]
    assert main(arguments) == 0
    import ganspec.impl_chainer.evaluation
    import ganspec.impl_torch.evaluation

    for module in (ganspec.impl_torch.evaluation, ganspec.impl_chainer.evaluation):
        right = module.evaluate_operation

        def coarse(node, a, graph, right=right):
            value = right(node, a, graph)
            return value * (1.0 + 1e-4) if node.op == "abs" and "32" in str(a[0].dtype) else value

        monkeypatch.setattr(module, "evaluate_operation", coarse)
    capsys.readouterr()
    assert main([*arguments, "--verbose"]) == 1
    assert "float64 is alone: torch and chainer agree with one another" in capsys.readouterr().out


def test_crosscheck_of_a_system_that_diverges_in_all_says_so_and_is_no_agreement(tmp_path, capfd):
    file = tmp_path / "a.json"
    wild = ["--set", "optimizers.learning_rate=1e15", "--set", "schedule.critic_steps=2"]
    arguments = ["crosscheck", "wgan_gp_mlp_mnist", *wild, "--dtype", "float32", "--iterations", "2"]
    assert main([*arguments, "--witnesses", "torch,chainer", "--json", str(file)]) == 1
    printed = capfd.readouterr()
    assert "diverged" in printed.out
    assert "Warning" not in printed.err
    written = json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert written["agrees"] is False


@pytest.mark.parametrize("option", ["json", "junit", "html"])
def test_a_file_that_cannot_be_written_is_said_before_anything_is_computed(option, tmp_path, capsys):
    assert main(["crosscheck", "began_mnist", f"--{option}", str(tmp_path / "none" / "a")]) == 2
    printed = capsys.readouterr()
    assert f"make its folder first, or choose another place with --{option} FILE" in printed.err
    assert not printed.out


@pytest.mark.parametrize("text", ["torch", "torch,torch", "reference,torch", "torch,nobody", ""])
def test_witnesses_that_are_none_are_refused(text, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["crosscheck", "began_mnist", "--witnesses", text])
    assert stop.value.code == 2
    assert "--witnesses" in capsys.readouterr().err


@pytest.mark.parametrize("place", [[5, 0, 0], [0, 99, 0], [0, 0, 99]])
def test_a_bundle_whose_record_does_not_fit_its_arrays_is_refused(place, tmp_path, patch, capsys):
    wrong_abs(patch)
    options = ["--iterations", "1", "--witnesses", "torch,chainer"]
    assert main(["crosscheck", "began_mnist", *options, "--bundle", str(tmp_path)]) == 1
    record = tmp_path / "began_mnist" / "bundle.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"place": place}))
    capsys.readouterr()
    assert main(["crosscheck", "--replay", str(record.parent)]) in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_a_report_replaces_no_pipe_and_no_link(tmp_path, capsys):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        assert main(["crosscheck", "gan_mlp_mnist", "--json", str(tmp_path / name)]) == 2
        assert "--json FILE" in capsys.readouterr().err
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "mine"


def test_a_witness_that_breaks_is_no_disagreement(patch, capsys):
    def breaks(right, node, a, create_graph):
        raise ZeroDivisionError("boom")

    replace_operation("abs", breaks)(patch, "chainer")
    assert main(["crosscheck", "began_mnist", "--iterations", "1"]) == 2
    assert "began_mnist: could not be compared: ZeroDivisionError: boom" in capsys.readouterr().err
