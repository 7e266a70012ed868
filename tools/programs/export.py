"""Export a network of a run for programs that do not know ganspec: PyTorch, Chainer, ONNX, or plain named arrays.

What is exported computes what the run's network computes in inference; it is compared with that before anything is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ganspec.spec.text.errors import counted, printable
from ganspec.tools.exporting import neutral, onnx, plain
from ganspec.tools.exporting.model import read_model
from ganspec.tools.pictures import saving
from ganspec.tools.programs import options as shared

_SUFFIXES = {"torch": "-torch", "chainer": "-chainer", "safetensors": ".safetensors", "onnx": ".onnx"}
_FOLDERS = {"torch": plain.torch_files, "chainer": plain.chainer_files}
_FILES = {"safetensors": neutral.neutral_file, "onnx": onnx.onnx_file}
_OPTION = "--out PATH"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec export`."""
    shared.add_run(parser, "the network")
    parser.add_argument("--network", default="G", metavar="NAME", help="the network to export (default: G)")
    parser.add_argument(
        "--to", choices=sorted(_SUFFIXES), required=True,
        help="a folder of source and weights for plain PyTorch or Chainer, or a file",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="PATH", help="the file or folder; default: RUN-NETWORK here")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    kind = arguments.to
    out = arguments.out or Path(
        f"{arguments.run.resolve().name}-{arguments.network.replace('/', '-')}{_SUFFIXES[kind]}"
    )
    if kind in _FOLDERS:
        saving.refuse_full(out, _OPTION, overwrite=arguments.overwrite)
    else:
        saving.refuse_existing(out, _OPTION, overwrite=arguments.overwrite)
    if kind == "onnx":
        onnx.require_packages()
    model = read_model(arguments.run, arguments.network, arguments.checkpoint, arguments.weights)
    if kind in _FOLDERS:
        saving.save_folder(out, _FOLDERS[kind](model).items(), _OPTION)
    else:
        saving.save(out, _FILES[kind](model), _OPTION)
    count = sum(array.size for array in model.arrays.values())
    facts = model.facts
    print(printable(
        f"{model.name} of {facts['system']} after {facts['iteration']:,} iterations, {facts['weights']} weights, "
        f"{counted(count, 'number')}: {out}"
    ))  # fmt: skip
    return 0
