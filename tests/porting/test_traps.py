"""The whole port of small models, one for each trap: each is proved, or refused with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

from ganspec.tools.porting.inputs import parse_input
from ganspec.tools.porting.job import Done, Job, port

MODELS = Path(__file__).with_name("models")
VECTOR, PICTURE = ("x=4",), ("x=2,8,8",)
# Of each file the classes: arguments, inputs, and what else the port is told.
PROVED = {
    "structures": {
        "Nested": VECTOR, "Blocks": VECTOR, "InOrder": VECTOR, "Twice": VECTOR, "Pair": VECTOR, "Named": VECTOR, "Encoder": VECTOR,
        "Several": ("xs.0=4", "xs.1=4"), "Labelled": ("x=2,4,4", "y=:int32:0..5"),
    },
    "layers": {
        "BiasBeforeNorm": ("x=2,4,4",), "Normed": VECTOR, "Kinks": VECTOR, "Smooth": VECTOR, "Lengths": ("x=2,4,4",), "Windows": ("x=1,8,8",),
        "Dropped": VECTOR, "Grown": ("x=2,4,4",), "Scaled": VECTOR,
    },
    "outside": {"Critic": VECTOR, "Noisy": VECTOR, "Sampled": VECTOR, "Counting": VECTOR, "Cast": VECTOR},
    "old": {"Old": VECTOR, "Listed": VECTOR},
}  # fmt: skip
TOLD = {"Old": {"arguments": "4", "call_arguments": "test=inference"}, "Listed": {"call_arguments": "train=training"}}


def ported(folder: Path, file: str, cls: str, inputs: tuple[str, ...], **told: str) -> Done:
    """Returns: the port of a class, whole, in a folder."""
    return port(Job(f"{MODELS / file}.py:{cls}", tuple(map(parse_input, inputs)), **told), folder / "port")


@pytest.mark.parametrize(("file", "cls"), [(file, cls) for file, classes in PROVED.items() for cls in classes])
def test_model_is_proved(file, cls, tmp_path):
    done = ported(tmp_path, file, cls, PROVED[file][cls], **TOLD.get(cls, {}))
    assert done.report.verdict == "proved", (done.report.all_refused, done.report.proof and done.report.proof.first)
    (source,) = done.folder.glob("*.py")
    assert set(re.findall(r"^(?:import|from) (\w+)", source.read_text(), re.M)) <= {"torch", "math"}
