"""A network as an ONNX file, by PyTorch's exporter (torch.onnx, with torch.export), compared with ours by onnxruntime.

Numbers are float32, which every runtime computes; the batch is free; inputs and outputs have the names of the spec. Its
metadata properties are "ganspec", all that is said of the network as JSON, and for programs that look for one thing "range",
"inputs" and "outputs".

Chainer's own exporter, onnx_chainer, does not run on current libraries: it imports `onnx.mapping`, which onnx has no more.
Weights are neutral, so runs of Chainer are exported in the same way.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.text.errors import printable
from ganspec.tools import backends
from ganspec.tools.errors import UserError
from ganspec.tools.exporting import checking
from ganspec.tools.exporting.model import Model, example_inputs
from ganspec.tools.exporting.plain import imported, torch_files

OPSET = 18
_MOST_BYTES = 2**31 - 1  # of a message in Google's format
_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_WITNESSES = 3  # samples with which the network is traced


def onnx_file(model: Model) -> bytes:
    """Export a network, and compare what onnxruntime computes with ours.

    Returns: the content of an ONNX file.

    Raises:
        UserError: PyTorch or a package of the extra `onnx` is not installed, the exporter fails, the network is too large, or
            what was exported computes something else.
    """
    require_packages()
    backends.load("torch")
    narrow = in_float32(model)
    if sum(array.nbytes for array in narrow.arrays.values()) > _MOST_BYTES:
        raise UserError(
            f"{model.name} is too large for an ONNX file, which has at most 2 GB; --to safetensors has no bound"
        )
    with tempfile.TemporaryDirectory() as name:
        for file, content in torch_files(narrow).items():
            (Path(name) / file).write_bytes(content)
        found = _exported(narrow, imported(Path(name)).load())
    for key, value in properties(narrow).items():
        added = found.metadata_props.add()
        added.key, added.value = key, value
    content = found.SerializeToString()
    check(narrow, content)
    return content  # type: ignore[no-any-return]


def require_packages() -> None:
    """Raises: UserError: a package of the extra `onnx` is not installed."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(f"--to onnx needs {' and '.join(missing)}: pip install 'ganspec[torch,onnx]'")


def in_float32(model: Model) -> Model:
    """Returns: the same network with numbers of float32, and what is said of it likewise."""
    if model.dtype == "float32":
        return model
    inputs = {
        name: known | ({"dtype": "float32"} if "labels" not in known else {})
        for name, known in model.facts["inputs"].items()
    }
    arrays = {path: array.astype(np.float32) for path, array in model.arrays.items()}
    whole = {path: array.astype(np.float32) for path, array in model.whole.items()}
    facts = {**model.facts, "dtype": "float32", "inputs": inputs}
    return replace(model, arrays=arrays, whole=whole, dtype="float32", facts=facts)


def properties(model: Model) -> dict[str, str]:
    """Returns: the properties of the file, texts by name."""
    facts = model.facts
    parts = {key: json.dumps(facts[key]) for key in ("range", "inputs", "outputs")}
    return {"ganspec": json.dumps(facts), **parts}


def check(model: Model, content: bytes) -> None:
    """Compare what onnxruntime computes with ours.

    Raises:
        UserError: it refuses the file, or computes something else.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no class of their own
        raise UserError(
            f"onnxruntime refuses the exported {model.name}: {_first(error)}; nothing was written"
        ) from None

    def outputs(inputs: list[np.ndarray]) -> Mapping[str, np.ndarray]:
        given = dict(zip(model.architecture.inputs, inputs, strict=True))
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, given), strict=True))

    checking.compare(model, "torch", outputs, "float32")


def _exported(model: Model, network: Any) -> Any:
    """Returns: the network as PyTorch's exporter makes it, an onnx.ModelProto."""
    import torch

    inputs = tuple(torch.tensor(values) for values in example_inputs(model, _WITNESSES))
    batch = torch.export.Dim("N")
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            # Not optimised: the optimiser of onnxscript takes the addition of a small epsilon for that of nothing.
            program = torch.onnx.export(
                network, inputs, input_names=list(model.architecture.inputs), output_names=list(model.architecture.outputs),
                dynamic_shapes=tuple({0: batch} for _ in inputs), opset_version=OPSET, dynamo=True, optimize=False,
                verbose=False,
            )  # fmt: skip
        assert program is not None
        return program.model_proto
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError) as error:
        raise UserError(
            f"PyTorch's exporter could not export {model.name}: {_first(error)}; nothing was written"
        ) from None
    finally:
        logger.setLevel(level)


def _first(error: Exception) -> str:
    """Returns: the first line of what an exception says, printable."""
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0][:300])
