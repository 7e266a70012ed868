"""What `ganspec port` says of a mistake: golden messages, exit codes, and nothing half-written.

Each case runs the program in a folder with the files of `FILES`; what it prints stands in messages/NAME.txt.
"""

from __future__ import annotations

import pickle
import re
import shlex
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

import numpy as np

from ganspec.tools.__main__ import main

MESSAGES = Path(__file__).with_name("messages")
MODEL = """import random

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np


class Generator(chainer.Chain):
    def __init__(self, n=4):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(n, 3)

    def __call__(self, z):
        return F.tanh(self.l1(z))


class Sized(Generator):
    def __init__(self, n, ch):
        super().__init__(n)


class Dice(Generator):
    def __call__(self, z):
        if np.random.rand() < 0.5:
            return F.relu(self.l1(z))
        return F.tanh(self.l1(z))


class Changing(Generator):
    calls = 0

    def __call__(self, z):
        Changing.calls += 1
        return self.l1(z) * Changing.calls


class Unknown(Generator):
    def __call__(self, z):
        h = self.l1(z)
        return h + np.fft.fft(h.array).real


class Unseeded(Generator):
    def __call__(self, z):
        return self.l1(z) * random.random()


class Encoder(Generator):
    def encode(self, z):
        return self.l1(z)

    __call__ = None


class Settings:
    ch = 3
"""
FILES = {
    "model.py": MODEL,
    "python2.py": "import chainer\n\nprint 'hello'\n",
    "broken.py": "import chainer\nimport no_such_module_of_mine\n",
    "fails.py": "import chainer\n\nSIZE = 1 / 0\n",
    "other.py": "x = 1\n",
}
PORT = "port model.py:Generator --input z=4"
# Of each case the command and its exit code.
CASES = {
    "needs_arguments": ("port model.py:Sized --input z=4 --out new", 2),
    "does_not_import": ("port broken.py:Model --input z=4 --out new", 2),
    "fails_at_import": ("port fails.py:Model --input z=4 --out new", 2),
    "python_2": ("port python2.py:Model --input z=4 --out new", 2),
    "no_such_file": ("port modle.py:Generator --input z=4 --out new", 2),
    "no_such_class": ("port model.py:Genrator --input z=4 --out new", 2),
    "no_class_named": ("port model.py --input z=4 --out new", 2),
    "no_links": ("port model.py:Settings --input z=4 --out new", 2),
    "nothing_in_it": ("port other.py:Model --input z=4 --out new", 2),
    "no_such_method": ("port model.py:Encoder --input z=4 --call encoed --out new", 2),
    "input_does_not_fit": ("port model.py:Generator --input z=5 --out new", 2),
    "input_without_value": ("port model.py:Generator --input z --out new", 2),
    "input_without_range": ("port model.py:Generator --input z=4:int32 --out new", 2),
    "input_twice": (f"{PORT} --input z=4 --out new", 2),
    "no_input": ("port model.py:Generator --out new", 2),
    "no_out": (PORT, 2),
    "out_exists": (f"{PORT} --out there", 2),
    "out_is_no_port": (f"{PORT} --out there --force", 2),
    "out_without_folder": (f"{PORT} --out no/new", 2),
    "arguments_without_sense": ("port model.py:Generator --args 'n=' --input z=4 --out new", 2),
    "arguments_unknown": ("port model.py:Generator --args 'm=4' --input z=4 --out new", 2),
    "arguments_that_run": ("port model.py:Generator --args '__import__(\"os\").getpid()' --input z=4 --out new", 2),
    "no_such_source": (f"{PORT} --source nowhere --out new", 2),
    "no_snapshot": (f"{PORT} --snapshot nowhere.npz --out new", 2),
    "snapshot_of_another_class": (f"{PORT} --snapshot another.npz --out new", 2),
    "missing_array": (f"{PORT} --snapshot missing.npz --out new", 2),
    "extra_array": (f"{PORT} --snapshot extra.npz --out new", 2),
    "another_shape": (f"{PORT} --snapshot shape.npz --out new", 2),
    "never_initialised": (f"{PORT} --snapshot objects.npz --out new", 2),
    "pickle": (f"{PORT} --snapshot model.pickle --out new", 2),
    "damaged_snapshot": (f"{PORT} --snapshot damaged.npz --out new", 2),
    "optimizer_without_snapshot": (f"{PORT} --optimizer 'Adam(2e-4)' --out new", 2),
    "optimizer_unknown": (f"{PORT} --snapshot right.npz --optimizer 'Adm(2e-4)' --out new", 2),
    "optimizer_argument_unknown": (f"{PORT} --snapshot right.npz --optimizer 'Adam(lr=2e-4)' --out new", 2),
    "hook_without_number": (f"{PORT} --snapshot right.npz --optimizer SGD --hook WeightDecay --out new", 2),
    "hook_without_optimizer": (f"{PORT} --snapshot right.npz --hook 'WeightDecay(1e-4)' --out new", 2),
    "like_without_back": (f"{PORT} --like right.npz --out new", 2),
    "back_without_like": ("port --back right.npz --out new", 2),
    "back_with_class": ("port model.py:Generator --back right.npz --like right.npz --out new", 2),
    "changes_each_time": ("port model.py:Changing --input z=4 --out new", 1),
    "branches_each_time": ("port model.py:Dice --input z=4 --out new", 1),
    "draws_unseeded": ("port model.py:Unseeded --input z=4 --out new", 1),
    "unknown_operation": ("port model.py:Unknown --input z=4 --out new", 1),
}  # fmt: skip


class Harmful:
    """What a pickle must not make: reading it would leave a file."""

    def __reduce__(self):
        return (open, ("harmed", "w"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with his files and snapshots, which is the working directory."""
    folder = tmp_path / "his"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    W, b = np.zeros((3, 4), "f"), np.zeros(3, "f")
    for name, arrays in {
        "right": {"l1/W": W, "l1/b": b}, "missing": {"l1/W": W}, "extra": {"l1/W": W, "l1/b": b, "l2/W": W},
        "shape": {"l1/W": W.T, "l1/b": b}, "another": {"c0/W": W, "c0/b": b, "bn/gamma": b},
        "objects": {"l1/W": W, "l1/b": np.array(None, dtype=object)},
    }.items():  # fmt: skip
        np.savez(folder / f"{name}.npz", **arrays)
    (folder / "model.pickle").write_bytes(pickle.dumps(Harmful()))
    (folder / "damaged.npz").write_bytes((folder / "right.npz").read_bytes()[:-60])
    (folder / "there").mkdir()
    (folder / "there" / "thesis.tex").write_text("mine")
    return folder


def run(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Returns: exit code, and what was printed, with a short name for the folder and without numbers of rounding."""
    try:
        code = main(shlex.split(command))
    except SystemExit as stopped:
        code = stopped.code
    out, err = capsys.readouterr()
    text = "".join(f"{line}\n" for line in (err + out).splitlines())
    text = re.sub(r"\d+ quantities in \d+ cases\n +float64 +float32 *\n(  .*\n)+", "TABLE\n", text)
    text = re.sub(r"(  run: .*\n      in .*\n)(  run: .*\n      in .*\n|  and \d+ more.*\n)+", r"\1  ...\n", text)
    text = re.sub(r"\d+ of \d+ quantities differ", "N of M quantities differ", text)
    return code, text.replace(f"{folder.resolve()}/", "FOLDER/").replace(f"{folder}/", "FOLDER/")


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_answered(name, folder, capsys):
    command, expected = CASES[name]
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    code, said = run(command, folder, capsys)
    golden = MESSAGES / f"{name}.txt"
    assert said == golden.read_text("utf-8")
    assert code == expected
    assert "Traceback" not in said
    after = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    assert after == before, "something was written"
    assert not [path for path in folder.rglob("*") if path.is_dir() and path.name != "there"]


def test_every_message_has_a_case():
    assert {path.stem for path in MESSAGES.glob("*")} == set(CASES)


def test_a_right_command_is_proved_and_written(folder, capsys):
    code, said = run(f"{PORT} --snapshot right.npz --optimizer SGD --out new", folder, capsys)
    assert code == 0, said
    assert said.endswith("PROVED: model.py:Generator and its port: everything that ran agrees\nwritten to new\n")
    assert (folder / "new" / "generator.py").is_file()
    assert zipfile.is_zipfile(folder / "right.npz")
    assert not list(folder.glob(".*"))
