"""`ganspec port` as its users meet it: a folder that is whole or not there, messages, exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

import chainer
import torch

from ganspec.tools.__main__ import main

MODEL = """
import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np


class Net(chainer.Chain):
    def __init__(self, n=4, loud=False):
        super().__init__()
        if loud:
            print("made")
        with self.init_scope():
            self.l1 = L.Linear(3, n)
            self.bn = L.BatchNormalization(n)

    def __call__(self, x, scale=1.0):
        h = F.dropout(F.leaky_relu(self.bn(self.l1(x))), 0.25)
        return h * scale

    def sample(self, n):
        return np.zeros(n)


class Unknown(chainer.Chain):
    def __call__(self, x):
        return F.roi_pooling_2d(x, np.zeros((1, 5), "f"), 2, 2, 1.0)


class Wild(chainer.Chain):
    def __call__(self, x):
        import random

        return x * random.random()


class Plain:
    pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def port(*words: str) -> int:
    return main(["port", *words])


def test_a_model_is_ported_whole(folder, capsys):
    assert port("model.py:Net", "--args", "5", "--input", "x=3", "--call-args", "scale=2.0", "--out", "ported") == 0
    shown = capsys.readouterr()
    assert "model.py: your code is run to port it" in shown.err
    assert "PROVED: model.py:Net and its port" in shown.out
    assert "model.py:22 (Net.sample)" in shown.out
    assert shown.out.endswith("written to ported\n")
    assert sorted(p.name for p in folder.iterdir() if p.name != "__pycache__") == ["model.py", "ported"]
    report = json.loads((folder / "ported" / "report.json").read_text())
    assert report["verdict"] == "proved"
    assert str(folder) not in (folder / "ported" / "report.json").read_text()
    assert (folder / "ported" / "net.py").is_file()


def test_numbers_are_carried_and_go_back(folder, capsys):
    name = {}
    exec(MODEL, name)
    link = name["Net"]()
    link.bn.avg_mean[...] = 3.0
    chainer.serializers.save_npz(str(folder / "snap.npz"), link)
    assert port("model.py:Net", "--input", "x=3", "--snapshot", "snap.npz", "--out", "ported") == 0
    weights = torch.load(folder / "ported" / "weights.pt", weights_only=True)
    assert torch.equal(weights["bn.running_mean"], torch.full((4,), 3.0))
    back = ["--back", "ported/weights.pt", "--like", "snap.npz", "--out", "back.npz"]
    assert port(*back) == 0
    with np.load(folder / "snap.npz") as one, np.load(folder / "back.npz") as two:
        assert sorted(one.files) == sorted(two.files)
        for key in one.files:
            np.testing.assert_array_equal(one[key], two[key])
    assert port(*back) == 2
    assert "--out back.npz: it is there already" in capsys.readouterr().err


def test_nothing_is_overwritten_but_an_older_port_by_force(folder, capsys):
    words = ["model.py:Net", "--input", "x=3", "--modes", "inference", "--out", "ported"]
    (folder / "ported").mkdir()
    (folder / "ported" / "mine.txt").write_text("mine")
    assert port(*words) == 2
    assert (
        "it is there already; choose another folder, or replace an older port with --force" in capsys.readouterr().err
    )
    assert port(*words, "--force") == 2
    assert "it is not the folder of a port, so --force does not replace it" in capsys.readouterr().err
    assert (folder / "ported" / "mine.txt").read_text() == "mine"
    (folder / "ported" / "mine.txt").unlink()
    assert port(*words, "--force") == 0
    assert port(*words, "--force") == 0
    assert sorted(p.name for p in folder.iterdir() if p.name != "__pycache__") == ["model.py", "ported"]


@pytest.mark.parametrize(("cls", "line"), [("Unknown", "model.py:27"), ("Wild", "model.py:34")])
def test_what_cannot_be_ported_is_refused_and_nothing_is_written(folder, capsys, cls, line):
    assert port(f"model.py:{cls}", "--input", "x=1,4,4", "--out", "ported") == 1
    shown = capsys.readouterr().out
    assert line in shown
    assert "REFUSED: " in shown
    assert shown.endswith("nothing was written\n")
    assert sorted(p.name for p in folder.iterdir() if p.name != "__pycache__") == ["model.py"]


def test_json_is_printed_alone(folder, capsys):
    assert port("model.py:Net", "--input", "x=3", "--modes", "training", "--out", "ported", "--json") == 0
    assert json.loads(capsys.readouterr().out)["modes"] == ["training"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "FILE:CLASS is missing; ganspec port --help has examples"),
        (["model.py:Net", "--out", "o"], "--input is missing; ganspec port --help has examples"),
        (["model.py:Net", "--input", "x=3"], "--out is missing; ganspec port --help has examples"),
        (["model.py:Net", "--input", "x=3", "--input", "x=4", "--out", "o"], "two inputs have the same name"),
        (["model.py:Net", "--input", "x=5", "--out", "o"], "Net failed on x: 3x5"),
        (["model.py:Nett", "--input", "x=3", "--out", "o"], "did you mean 'Net'"),
        (["model.py:Plain", "--input", "x=3", "--out", "o"], "no chainer.Link"),
        (["none.py:Net", "--input", "x=3", "--out", "o"], "none.py"),
        (["model.py:Net", "--input", "x=3", "--out", "a/b"], "--out a/b: there is no folder a; make it first"),
        (["model.py:Net", "--input", "x=3", "--out", "o", "--call-args", "1"], "--call-args '1': expected NAME=VALUE"),
        (["model.py:Net", "--input", "x=3", "--out", "o", "--call-args", "n=f()"], "--call-args 'n=f()': expected NAME=VALUE"),
        (["model.py:Net", "--input", "x=3", "--out", "o", "--snapshot", "none.npz"], "none.npz"),
        (["model.py:Net", "--input", "x=3", "--out", "o", "--optimizer", "Adam()"], "--snapshot is missing"),
        (["model.py:Net", "--input", "x=3", "--out", "o", "--like", "s.npz"], "--like belongs to --back"),
        (["--back", "w.pt", "--out", "o"], "--like is missing"),
        (["model.py:Net", "--back", "w.pt", "--like", "s.npz", "--out", "o"], "FILE:CLASS does not go with --back"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_and_nothing_is_written(folder, capsys, words, said):
    assert port(*words) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert sorted(p.name for p in folder.iterdir() if p.name != "__pycache__") == ["model.py"]
