"""ONNX files: what onnxruntime computes of them, their names and properties; slow, because PyTorch's exporter is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.training.runs import Run
from ganspec.spec.training.state import initial_state
from ganspec.tools.errors import UserError
from ganspec.tools.exporting import onnx
from ganspec.tools.exporting.model import model_of
from support.layer_systems import CODES, MIDDLES, write_conditional_system, write_system
from support.programs import here
from support.runs import CONDITIONAL, write_run
from support.states import shaken_state

runtime = pytest.importorskip("onnxruntime")
for needed in ("torch", "onnx", "onnxscript"):
    pytest.importorskip(needed)
pytestmark = pytest.mark.slow


def made(system, network, iteration=0, dtype="float32"):
    state = replace(shaken_state(initial_state(system, 0), 0), iteration=iteration)
    return model_of(Run(system, state, dtype, {"backend": "chainer"}), "run", network)


@pytest.mark.parametrize("name", system_names())
def test_networks_of_packaged_systems_are_exported(name):
    system = load_system(name, reduced=True)
    for iteration in (0, 10**9) if system.growth else (0,):
        for network in system.networks:
            assert onnx.onnx_file(made(system, network, iteration))


@pytest.mark.parametrize("kind", [*MIDDLES, *CODES])
def test_every_kind_of_layer_is_exported(kind, tmp_path):
    conditional = kind in CODES
    system = write_conditional_system(tmp_path, kind) if conditional else load_system(write_system(tmp_path, kind))
    assert onnx.onnx_file(made(system, "D"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_file_has_names_a_free_batch_and_properties(dtype, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", CONDITIONAL, backend="chainer", dtype=dtype)
    assert here("sample", "run", "--n", 12, "--npz", "a.npz") == 0
    assert here("export", "run", "--to", "onnx", "--out", "g.onnx") == 0
    session = runtime.InferenceSession("g.onnx", providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["z", "y"]
    assert [o.name for o in session.get_outputs()] == ["out"]
    with np.load("a.npz") as file:
        given = {"z": file["latents_z"].astype(np.float32), "y": file["labels"]}
        (found,) = session.run(None, given)
        np.testing.assert_allclose(found, file["values"], atol=1e-5)
    kept = session.get_modelmeta().custom_metadata_map
    assert json.loads(kept["range"]) == [0.0, 1.0]
    assert json.loads(kept["inputs"])["z"] == {"shape": [2], "dtype": "float32", "sample": "normal(0.0, 1.0)"}
    assert json.loads(kept["ganspec"])["iteration"] == 3


def test_a_file_that_computes_something_else_is_refused(tmp_path):
    model = made(load_system(write_system(tmp_path, "leaky_relu")), "D")
    content = onnx.onnx_file(model)
    onnx.check(model, content)
    other = {path: array * 1.001 for path, array in model.whole.items()}
    with pytest.raises(UserError, match="gives other numbers"):
        onnx.check(replace(model, whole=other), content)
    with pytest.raises(UserError, match="onnxruntime refuses the exported D"):
        onnx.check(model, content[: len(content) // 2])
