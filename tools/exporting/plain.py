"""A network as a folder that a plain PyTorch or Chainer program can use: source that imports the framework alone, and weights.

    model.py       the class of the network, and `load`, which gives it with its weights
    weights.pt     of PyTorch: a state dictionary, which torch.load reads with weights_only=True
    weights.npz    of Chainer: what chainer.serializers.load_npz reads
    model.json     inputs, outputs, the range of images, where the weights come from

Before a folder is written, the source is loaded and compared with ganspec's own network: see `checking`.
"""

from __future__ import annotations

import importlib.util
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ganspec.tools import backends
from ganspec.tools.exporting import chainer_layers, checking, torch_layers
from ganspec.tools.exporting.model import Model
from ganspec.tools.exporting.source import Source, comments, described, written_source

_TORCH = '''{comments}
#
# images = load()(...) with inputs as above; PyTorch is all that this file needs.

import pathlib

import torch
import torch.nn.functional as F
from torch import nn

{functions}
class {name}(nn.Module):
    def __init__(self):
        super().__init__()
{members}

    def forward(self, {inputs}):
{forward}


def load(weights=pathlib.Path(__file__).with_name("weights.pt")):
    """The network with its weights, in inference mode."""
    model = {name}(){double}
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval()
'''
_CHAINER = '''{comments}
#
# with chainer.using_config("train", False), chainer.no_backprop_mode():
#     images = load()(...)
# with inputs as above; Chainer is all that this file needs, with a Python and a NumPy that Chainer imports with. With current
# ones "import chainer" fails; ganspec mends that: python -m ganspec.impl_chainer.compat your_script.py

import os

import chainer
import chainer.functions as F
import chainer.links as L
import numpy

{functions}
class {name}(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
{members}

    def forward(self, {inputs}):
{forward}


def load(weights=os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights.npz")):
    """The network with its weights."""
    with chainer.using_config("dtype", numpy.dtype("{dtype}")):
        model = {name}()
    chainer.serializers.load_npz(weights, model)
    return model
'''


def torch_files(model: Model) -> dict[str, bytes]:
    """Write a network for PyTorch, and compare it with ours.

    Returns: the content of each file by name.

    Raises:
        UserError: PyTorch is not installed, a layer cannot be exported, or what was written computes something else.
    """
    backends.load("torch")
    source = written_source(model, torch_layers.DIALECT)
    text = _filled(_TORCH, model, source, "        ", double=".double()" if model.dtype == "float64" else "")
    files = {"model.py": text.encode(), "weights.pt": _state_file(source.arrays), "model.json": _facts(model)}
    exact = written_source(model.in_float64(), torch_layers.DIALECT).arrays

    def load(module: ModuleType, weights: dict[str, np.ndarray] | None) -> Callable[[list[np.ndarray]], Any]:
        import torch

        if weights is None:
            network = module.load()
        else:
            network = getattr(module, source.class_name)().double().eval()
            network.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})

        def call(inputs: list[np.ndarray]) -> Any:
            with torch.no_grad():
                return network(*(torch.tensor(values) for values in inputs))

        return call

    _check(model, "torch", files, load, exact)
    return files


def chainer_files(model: Model) -> dict[str, bytes]:
    """Write a network for Chainer, and compare it with ours.

    Returns: the content of each file by name.

    Raises:
        UserError: Chainer is not installed, a layer cannot be exported, or what was written computes something else.
    """
    backends.load("chainer")
    source = written_source(model, chainer_layers.DIALECT)
    text = _filled(_CHAINER, model, source, "            ", dtype=model.dtype)
    files = {"model.py": text.encode(), "weights.npz": _npz(source.arrays), "model.json": _facts(model)}
    exact = written_source(model.in_float64(), chainer_layers.DIALECT).arrays

    def load(module: ModuleType, weights: dict[str, np.ndarray] | None) -> Callable[[list[np.ndarray]], Any]:
        import chainer

        if weights is None:
            network = module.load()
        else:
            with chainer.using_config("dtype", np.dtype("float64")):
                network = getattr(module, source.class_name)()
            chainer.serializers.load_npz(io.BytesIO(_npz(weights)), network)

        def call(inputs: list[np.ndarray]) -> Any:
            with chainer.using_config("train", False), chainer.no_backprop_mode():
                return network(*inputs)

        return call

    _check(model, "chainer", files, load, exact)
    return files


def imported(folder: Path) -> ModuleType:
    """Returns: the module of a folder's `model.py`."""
    spec = importlib.util.spec_from_file_location("exported_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check(
    model: Model,
    backend: str,
    files: dict[str, bytes],
    load: Callable[[ModuleType, dict[str, np.ndarray] | None], Callable[[list[np.ndarray]], Any]],
    exact: dict[str, np.ndarray],
) -> None:
    """Compare files with our network: the source in float64, and what `load` gives in the model's own dtype."""
    house = backends.load(backend)
    with tempfile.TemporaryDirectory() as name:
        for file, content in files.items():
            (Path(name) / file).write_bytes(content)
        module = imported(Path(name))
        for weights, dtype in ((exact, "float64"), (None, model.dtype)):
            network = load(module, weights)

            def outputs(inputs: list[np.ndarray], network: Any = network) -> dict[str, np.ndarray]:
                found = network(inputs)
                named = found if isinstance(found, dict) else {next(iter(model.architecture.outputs)): found}
                return {output: house.to_numpy(value) for output, value in named.items()}

            checking.compare(model, backend, outputs, dtype)


def _filled(template: str, model: Model, source: Source, indentation: str, **more: str) -> str:
    forward = source.forward
    if any("dtype" in line for line in forward):
        forward = [_dtype_line(template), *forward]
    return template.format(
        comments="\n".join(comments(described(model))),
        functions="".join(f"\n{function}\n\n" for function in source.functions),
        name=source.class_name,
        members="\n".join(f"{indentation}{member}" for member in source.members or ["pass"] * (template is _CHAINER)),
        inputs=", ".join(source.inputs),
        forward="\n".join(f"        {line}" for line in forward),
        **more,
    )


def _dtype_line(template: str) -> str:
    if template is _TORCH:
        return "dtype = next(self.parameters(), torch.zeros(())).dtype"
    return 'dtype = next(self.params(), numpy.zeros((), "f")).dtype'


def _state_file(arrays: dict[str, np.ndarray]) -> bytes:
    import torch

    content = io.BytesIO()
    torch.save({name: torch.tensor(array) for name, array in arrays.items()}, content)
    return content.getvalue()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def _facts(model: Model) -> bytes:
    return (json.dumps(model.facts, indent=1) + "\n").encode()
