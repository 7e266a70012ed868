"""Exported source: every kind of layer in both frameworks, names and texts that cannot break out, and a check that can fail."""

import ast
import json
import keyword
import string
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganspec.spec import load_system, system_names
from ganspec.spec.layers import KINDS
from ganspec.spec.training.runs import Run
from ganspec.spec.training.state import initial_state
from ganspec.tools.errors import UserError
from ganspec.tools.exporting import chainer_layers, plain, torch_layers
from ganspec.tools.exporting.model import model_of
from ganspec.tools.exporting.source import comments, identifier
from support.layer_systems import CODES, MIDDLES, write_conditional_system, write_system
from support.states import shaken_state

DIALECTS = {"torch": torch_layers, "chainer": chainer_layers}
FILES = {"torch": plain.torch_files, "chainer": plain.chainer_files}
IMPORTED = {"torch": {"pathlib", "torch"}, "chainer": {"os", "chainer", "numpy"}}


def made(system, network, iteration=0, dtype="float32"):
    """Returns: the model of a network as training could have left it."""
    state = replace(shaken_state(initial_state(system, 0), 0), iteration=iteration)
    return model_of(Run(system, state, dtype, {"backend": "torch"}), "run", network)


def imports(text):
    """Returns: the top-level modules that a source imports, by statement."""
    nodes = list(ast.walk(ast.parse(text)))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in found}


def test_there_is_a_row_for_each_kind_of_layer_in_each_dialect():
    for module in DIALECTS.values():
        assert module.ROWS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", [*MIDDLES, *CODES])
def test_an_exported_network_computes_the_same(kind, backend, tmp_path):
    conditional = kind in CODES
    system = write_conditional_system(tmp_path, kind) if conditional else load_system(write_system(tmp_path, kind))
    # It is compared with ours before it is returned; that this can fail is tested below.
    files = FILES[backend](made(system, "D"))
    assert imports(files["model.py"]) == IMPORTED[backend]
    facts = json.loads(files["model.json"])
    assert facts["network"] == "D"
    assert facts["inputs"]["x"]["sample"] == "images"


@pytest.mark.slow
@pytest.mark.parametrize("name", system_names())
def test_networks_of_packaged_systems_are_exported_in_every_stage(name, backend):
    system = load_system(name, reduced=True)
    middle = [system.growth.images * 3 // 2 // system.run.batch + 1, 10**9] if system.growth else []
    for iteration in (0, *middle):
        for network in system.networks:
            FILES[backend](made(system, network, iteration))


@pytest.mark.parametrize(("kind", "wrong"), [
    ("leaky_relu", {"torch": "F.leaky_relu({x}, 0.31)", "chainer": "F.leaky_relu({x}, slope=0.31)"}),
    ("softmax", {"torch": "torch.softmax({x}, dim=2)", "chainer": "F.softmax({x}, axis=2)"}),
])  # fmt: skip
def test_what_computes_something_else_is_refused(kind, wrong, backend, tmp_path, monkeypatch):
    row = torch_layers.form(wrong[backend])
    monkeypatch.setitem(DIALECTS[backend].ROWS, kind, row)
    model = made(load_system(write_system(tmp_path, kind)), "D")
    with pytest.raises(UserError, match=r"gives other numbers .* apart by .*; nothing was written"):
        FILES[backend](model)


def test_weights_that_are_not_those_of_the_run_are_refused(backend, tmp_path, monkeypatch):
    model = made(load_system(write_system(tmp_path, "linear")), "D")
    changed = {path: array * 1.001 for path, array in model.arrays.items()}
    # In float32, too: the source is right here, and the weights of the file are not.
    with pytest.raises(UserError, match="gives other numbers"):
        FILES[backend](replace(model, arrays=changed))


def test_a_kind_without_a_row_is_refused_by_name(backend, tmp_path, monkeypatch):
    monkeypatch.delitem(DIALECTS[backend].ROWS, "tanh")
    with pytest.raises(UserError, match=r"the layer tanh_1 of D is of the kind tanh, which cannot be exported"):
        FILES[backend](made(load_system(write_system(tmp_path, "linear")), "D"))


def test_layers_may_have_the_names_of_what_a_file_uses(backend, tmp_path, monkeypatch):
    names = ["torch", "h", "F", "dtype", "load", "class_", "print", "numpy"]
    layers = [f'{{ kind = "tanh", name = "{name}" }}' for name in names]
    norm = 'kind = "pixel_norm", epsilon = 1e-3'
    layers = [f'{{ {norm}, name = "pixel_norm" }}', *layers, f"{{ {norm} }}"]
    read = ", ".join(f'"{name}"' for name in ["pixel_norm", *names, "pixel_norm_2"])
    monkeypatch.setitem(MIDDLES, "names", f'{", ".join(layers)}, {{ kind = "add", from = [{read}] }}')
    assert FILES[backend](made(load_system(write_system(tmp_path, "names")), "D"))


def test_weights_are_folded_as_inference_uses_them(tmp_path):
    system = load_system(write_system(tmp_path, "conv, spectral", slope=0.5))
    model = made(system, "D", dtype="float64")
    (layer,) = (layer for layer in model.original.layers if layer.name == "m")
    assert {"gain", "spectral_norm"} <= layer.settings.keys()
    (plain_layer,) = (layer for layer in model.architecture.layers if layer.name == "m")
    assert not plain_layer.settings.keys() & {"gain", "spectral_norm"}
    assert "m/u" in model.whole
    assert "m/u" not in model.arrays
    # One power iteration from u, by hand, of stride = 2 of them; then the gain.
    w, u = model.whole["m/W"], model.whole["m/u"]
    matrix = w.reshape(len(w), -1)
    for _ in range(2):
        v = matrix.T @ u / np.linalg.norm(matrix.T @ u)
        u = matrix @ v / np.linalg.norm(matrix @ v)
    np.testing.assert_allclose(model.arrays["m/W"], w / (u @ matrix @ v) * 0.5, rtol=1e-10)


@settings(max_examples=15)
@given(st.lists(st.text(string.ascii_letters + string.digits + "_/", min_size=1, max_size=6), max_size=8))
def test_names_become_identifiers_each_its_own(names):
    taken = {"self", "h"}
    found = [identifier(name, taken) for name in [*names, "class", "match", "self", "1a", "a/b", "a_b", "print"]]
    assert len(set(found)) == len(found)
    for name in found:
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert name not in ("self", "h", "match", "print")


@settings(max_examples=10)
@given(st.lists(st.text(max_size=30), max_size=3))
def test_texts_stay_comments(lines):
    text = "\n".join(comments([*lines, 'a\n"""\nimport os', "x" * 1_000, "\u2028import os\r\x0c"]))
    assert all(line.startswith("#") and line.isascii() and len(line) < 600 for line in text.splitlines())
    assert not ast.parse(text).body


def test_a_strangers_names_and_title_cannot_break_out(backend, tmp_path):
    system = load_system(write_system(tmp_path, "linear"))
    model = made(system, "D")
    facts = {**model.facts, "title": 'x"""\nimport os', "run": "a\nb", "classes": ["\x1b[2J", "é"]}
    files = FILES[backend](replace(model, facts=facts))
    assert imports(files["model.py"]) == IMPORTED[backend]
    assert b"\x1b" not in files["model.py"]
