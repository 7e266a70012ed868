"""`ganspec export` on runs: files that need no ganspec, neutral weights, and what is said of them."""

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open

from ganspec.spec.training.checkpoint import read_checkpoint
from ganspec.tools.exporting import onnx
from ganspec.tools.sampling.generator import Generator
from support.programs import here
from support.runs import CONDITIONAL, GROWING, MLP, state_at, write_run

ALONE = """
import importlib.abc, json, sys
class Wall(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not to be imported")
sys.meta_path.insert(0, Wall())
import numpy as np
sys.path.insert(0, FOLDER)
import model
z, y = (np.load("inputs.npz")[name] for name in ("latents_z", "labels"))
"""
TORCH = """
import torch
network = model.load()
assert isinstance(network, torch.nn.Module) and not network.training
with torch.no_grad():
    np.save("found.npy", network(torch.tensor(z, dtype=torch.float32), torch.tensor(y)).numpy())
"""
CHAINER = """
import chainer
network = model.load()
assert isinstance(network, chainer.Chain)
with chainer.using_config("train", False):
    np.save("found.npy", network(z.astype("float32"), y).array)
assert not [name for name in sys.modules if name.startswith(("ganspec.spec", "ganspec.tools"))]
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Returns: the folder of a conditional run of Chainer; the current folder is the one in which it lies."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", CONDITIONAL, backend="chainer", classes=[f"digit {i}" for i in range(10)])
    return tmp_path / "run"


@pytest.mark.parametrize("system", [MLP, CONDITIONAL, GROWING], ids=lambda system: system[0])
def test_a_folder_is_left_whose_module_gives_the_runs_images(system, backend, tmp_path, monkeypatch):
    from ganspec.tools.exporting.plain import imported

    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", system, backend={"torch": "chainer", "chainer": "torch"}[backend], iterations=(3, 9))
    assert here("export", "run", "--to", backend, "--checkpoint", 3) == 0
    folder = tmp_path / f"run-G-{backend}"
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json", "model.py", "weights.pt" if backend == "torch" else "weights.npz",
    ]  # fmt: skip
    network = imported(folder).load()
    generator = Generator.from_run("run", checkpoint=3, backend=backend)
    inputs = generator.inputs(range(6))
    given = [a if a.dtype.kind == "i" else a.astype(np.float32) for a in inputs]
    if backend == "torch":
        import torch

        found = network(*map(torch.tensor, given)).detach().numpy()
    else:
        import chainer

        with chainer.using_config("train", False):
            found = network(*given).array
    np.testing.assert_allclose(found, generator.images(inputs), atol=1e-5)
    facts = json.loads((folder / "model.json").read_text())
    assert (facts["iteration"], facts["run"], facts["range"]) == (3, "run", list(generator.system.data.range))
    assert facts["weights"] == ("averaged" if "G" in generator.system.averages else "trained")


@pytest.mark.slow
def test_the_folder_works_in_a_process_that_has_the_framework_alone(run, tmp_path, backend):
    assert here("export", run, "--to", backend) == 0
    assert here("sample", run, "--n", 12, "--npz", "inputs.npz") == 0
    blocked = ["ganspec", "safetensors"] if backend == "torch" else ["ganspec.spec"]
    head = ALONE.replace("BLOCKED", repr(blocked)).replace("FOLDER", repr(f"run-G-{backend}"))
    (tmp_path / "script.py").write_text(head + (TORCH if backend == "torch" else CHAINER))
    # Chainer itself imports on a current Python only with the compatibility layer, which knows nothing of systems.
    start = ["-m", "ganspec.impl_chainer.compat"] if backend == "chainer" else ["-I"]
    done = subprocess.run([sys.executable, *start, "script.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load("inputs.npz") as file:
        np.testing.assert_allclose(np.load("found.npy"), file["values"], atol=1e-5)


def test_neutral_weights_are_those_of_the_checkpoint_with_all_that_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    system = write_run(tmp_path / "run", MLP, iterations=(3,))
    for network, weights in (("G", "averaged"), ("G", "trained"), ("D", "trained")):
        out = f"{network}-{weights}.safetensors"
        options = ["--weights", weights] if network == "G" else []
        assert here("export", "run", "--to", "safetensors", "--network", network, "--out", out, *options) == 0
        state = state_at(system, 3)
        expected = state.of(f"parameters/{network}") | state.of(f"statistics/{network}")
        expected = state.of(f"averages/{network}") if weights == "averaged" else expected
        with safe_open(out, framework="numpy") as file:
            facts = json.loads(file.metadata()["ganspec"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        assert {f"{network}/{path}" for path in expected} == arrays.keys()
        assert all(np.array_equal(arrays[f"{network}/{path}"], array) for path, array in expected.items())
        assert facts["weights"] == weights
        layers = facts["architecture"]["layers"]
        assert list(layers) == [layer.name for layer in system.networks[network].layers]
        assert layers["l1"]["kind"] == "linear"
    assert facts["inputs"] == {"x": {"shape": [1, 6, 6], "dtype": "float32", "sample": "images"}}


def test_what_is_given_is_said(run, capsys):
    assert here("export", run, "--to", "safetensors") == 0
    assert (
        capsys.readouterr().out
        == "G of cgan_mnist after 3 iterations, trained weights, 1,459 numbers: run-G.safetensors\n"
    )
    with safe_open("run-G.safetensors", framework="numpy") as file:
        facts = json.loads(file.metadata()["ganspec"])
    assert facts["inputs"] == {
        "z": {"shape": [2], "dtype": "float32", "sample": "normal(0.0, 1.0)"},
        "y": {"shape": [], "dtype": "int64", "labels": 10},
    }
    assert facts["outputs"] == {"out": [1, 8, 8]}
    assert facts["classes"][3] == "digit 3"
    assert not any(str(run.parent) in str(value) for value in facts.values()), "no path of this machine"
    state, _ = read_checkpoint(run / "checkpoints" / "00000003.safetensors")
    assert facts["iteration"] == state.iteration


def test_a_package_that_is_missing_is_named_with_its_extra(run, tmp_path, monkeypatch, capsys):
    find = onnx.importlib.util.find_spec
    monkeypatch.setattr(onnx.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    assert here("export", run, "--to", "onnx") == 2
    said = capsys.readouterr().err
    assert "--to onnx needs " in said
    assert "onnxscript" in said
    assert "pip install 'ganspec[torch,onnx]'" in said
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
