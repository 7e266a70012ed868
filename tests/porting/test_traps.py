"""The whole port of small models, one for each trap: each is proved, or refused with its line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

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
        "Nested": VECTOR, "Blocks": VECTOR, "InOrder": VECTOR, "Twice": VECTOR, "Pair": VECTOR, "Named": VECTOR,
        "Encoder": VECTOR,
        "Several": ("xs.0=4", "xs.1=4"), "Labelled": ("x=2,4,4", "y=:int32:0..5"), "Keyed": ("d.left=4", "d.right=4"),
    },
    "layers": {
        "BiasBeforeNorm": ("x=2,4,4",), "Normed": VECTOR, "Kinks": VECTOR, "Smooth": VECTOR, "Lengths": ("x=2,4,4",),
        "Windows": ("x=1,8,8",), "Dropped": VECTOR, "Grown": ("x=2,4,4",), "Scaled": VECTOR,
    },
    "outside": {"Critic": VECTOR, "Noisy": VECTOR, "Sampled": VECTOR, "Counting": VECTOR, "Cast": VECTOR},
    "old": {"Old": VECTOR, "Listed": VECTOR},
}  # fmt: skip
TOLD = {"Old": {"arguments": "4", "call_arguments": "test=inference"}, "Listed": {"call_arguments": "train=training"}}


def ported(folder: Path, file: str, cls: str, inputs: tuple[str, ...], **told: Any) -> Done:
    """Returns: the port of a class, whole, in a folder."""
    return port(Job(f"{MODELS / file}.py:{cls}", tuple(map(parse_input, inputs)), **told), folder / "port")


@pytest.mark.parametrize(("file", "cls"), [(file, cls) for file, classes in PROVED.items() for cls in classes])
def test_model_is_proved(file, cls, tmp_path):
    done = ported(tmp_path, file, cls, PROVED[file][cls], **TOLD.get(cls, {}))
    assert done.report.verdict == "proved", (done.report.all_refused, done.report.proof and done.report.proof.first)
    (source,) = done.folder.glob("*.py")
    assert set(re.findall(r"^(?:import|from) (\w+)", source.read_text(), re.M)) <= {"torch", "math"}


REFUSED = {
    "Dice": r"refused.py:25: random.random: random of random cannot be ported\n    draw with numpy.random",
    "Changing": r"two runs of your model on the same numbers and draws differ; draw with numpy.random",
    "Gamma": r"refused.py:40: np.random.gamma draws numbers that cannot be given to the port",
    "Transformed": r"refused.py:47: np.fft.fft",
    "OwnFunction": r"refused.py:50: chainer.Function: a class that derives from chainer.function.Function cannot be ported",
    "Trains": r"refused.py:68: loss.backward\(\): .backward\(\) in a model belongs to its training step",
}


@pytest.mark.parametrize("cls", REFUSED)
def test_model_is_refused_with_its_line(cls, tmp_path):
    done = ported(tmp_path, "refused", cls, VECTOR)
    assert done.report.verdict == "refused"
    assert re.search(REFUSED[cls], "\n".join(done.report.all_refused)), done.report.all_refused


def test_what_a_trap_needs_stands_in_the_port(tmp_path):
    """The source says what the proof cannot tell: which of two equal forms was chosen, and what was left alone."""
    sources = {}
    for file, cls in (("layers", "Normed"), ("structures", "Blocks"), ("outside", "Cast")):
        (tmp_path / cls).mkdir()
        done = ported(tmp_path / cls, file, cls, PROVED[file][cls])
        sources[cls] = next(done.folder.glob("*.py")).read_text()
    assert "_part_affine(nn.BatchNorm1d(6, eps=2e-05, momentum=0.1), False, True)" in sources["Normed"]
    assert "affine=False" in sources["Normed"]
    assert "for block in self" in sources["Blocks"]
    assert "self.blocks" not in sources["Blocks"]
    assert "torch.float32" not in sources["Cast"]


def test_batch_norm_of_one_value_for_each_channel_is_said(tmp_path):
    done = ported(tmp_path, "layers", "Normed", VECTOR)
    said = "\n".join(done.report.proof.unexercised)
    assert (
        "batch norm of one value for each channel in training: PyTorch refuses it with an error, Chainer gives beta"
        in said
    )


def test_bias_before_a_batch_norm_is_judged_by_the_whole_gradient(tmp_path):
    done = ported(tmp_path, "layers", "BiasBeforeNorm", ("x=2,4,4",))
    rows = [r for r in done.report.proof.rows if r.name == "c/b" and r.kind == "parameter gradient" and r.case.training]
    wide = [row for row in rows if row.case.dtype == "float64"]
    assert wide
    assert max(row.largest for row in wide) < 1e-12  # it is rounding, and nothing else


# What is planted into a right port: text there, what stands there instead, and the kind of the first difference.
BUGS = {
    "eps": ("eps=2e-05", "eps=1e-05", "output"),
    "momentum": ("momentum=0.1", "momentum=0.9", "statistic"),
    "slope": ("0.3)", "0.2)", "output"),
    "missing pad": (", padding=1", "", "output"),
    "mode of dropout": ("self.training", "not self.training", "draws"),
    "detach removed": (".detach()", "", "input gradient"),
    "ceil_mode": ("ceil_mode=True", "ceil_mode=False", "output"),
    "rate of dropout": ("0.4,", "0.6,", "draws"),
    "axis of softmax": ("softmax(h, dim=1)", "softmax(h, dim=0)", "output"),
    "wrong layout": ("(0, 2, 1)", "(0, 1, 2)", "output"),
    "axes of a mean": ("(2, 3)", "(3,)", "run"),
    "sum for a mean": ("torch.mean", "torch.sum", "output"),
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Returns: a right port: its job, its source, and what proves another source against the same class."""
    from ganspec.tools.porting.loading import Original
    from ganspec.tools.porting.models import OriginalModel, PortedModel
    from ganspec.tools.porting.names import arrays_of
    from ganspec.tools.porting.proof import Proof, prove

    folder = tmp_path_factory.mktemp("everything")
    done = ported(folder, "layers", "Everything", ("x=2,7,7",))
    assert done.report.verdict == "proved", done.report.proof.first
    source = (done.folder / "everything.py").read_text()
    his = OriginalModel(Original(f"{MODELS / 'layers.py'}:Everything"), "", {})

    def proof_of(text: str) -> Proof:
        (folder / "wrong.py").write_text(text)
        port = PortedModel(folder / "wrong.py", "", {})
        return prove(
            his, port, arrays_of(his.make("float64")), [parse_input("x=2,7,7")], modes=("training",), stop=True
        )

    return source, proof_of


def test_unchanged_port_is_proved(everything):
    source, proof_of = everything
    assert proof_of(source).proved


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_a_written_port_is_refused(bug, everything):
    source, proof_of = everything
    old, new, kind = BUGS[bug]
    assert source.count(old) == 1, source
    proof = proof_of(source.replace(old, new))
    assert not proof.proved
    assert kind in {row.kind for row in proof.rows if not row.agrees}


def test_old_statistics_are_carried_as_they_are_and_said(tmp_path):
    import numpy as np

    from ganspec.tools.porting.loading import Original

    link = Original(f"{MODELS / 'layers.py'}:BiasBeforeNorm").make()
    values = {name.strip("/"): parameter.array for name, parameter in link.namedparams()}
    old = np.full(3, 1 + 2e-5, "f")  # epsilon is inside
    np.savez(
        tmp_path / "old.npz", **values, **{"bn/avg_mean": np.zeros(3, "f"), "bn/avg_var": old, "bn/N": np.array(0)}
    )
    done = ported(tmp_path, "layers", "BiasBeforeNorm", ("x=2,4,4",), snapshot=tmp_path / "old.npz")
    assert done.report.verdict == "proved"
    assert any("avg_var holds the batch normalization's eps as well" in note for note in done.report.notes)
    state = torch_state(done.folder / "weights.pt")
    assert state["bn.running_var"].numpy().tobytes() == old.tobytes()


def test_state_in_plain_attributes_is_in_no_snapshot_which_is_said(tmp_path):
    from chainer.serializers import save_npz

    from ganspec.tools.porting.loading import Original

    save_npz(tmp_path / "critic.npz", Original(f"{MODELS / 'outside.py'}:Critic").make())
    done = ported(tmp_path, "outside", "Critic", VECTOR, snapshot=tmp_path / "critic.npz")
    assert done.report.verdict == "proved"
    (note,) = [note for note in done.report.notes if "no snapshot holds" in note]
    assert note.endswith("l1/u, l2/u")
    assert not [note for note in done.report.notes if "PortError" in note]


def torch_state(path: Path) -> dict:
    import torch

    return torch.load(path, weights_only=True)


def test_betas_of_0_and_nine_tenths_go_on(tmp_path):
    """torch.optim.Adam refuses (0, 0.9), a common choice for GANs; the port's optimiser takes the whole number."""
    import chainer
    import numpy as np
    import torch
    from chainer.serializers import save_npz

    from ganspec.tools.porting.loading import Original
    from ganspec.tools.porting.models import PortedModel

    def step(model):
        model.cleargrads()
        loss = model(np.linspace(-1, 1, 12, dtype="f").reshape(3, 4))
        chainer.functions.sum(loss * loss).backward()
        optimizer.update()

    link = Original(f"{MODELS / 'structures.py'}:Twice").make()
    optimizer = chainer.optimizers.Adam(alpha=1e-2, beta1=0, beta2=0.9).setup(link)
    for _ in range(3):
        step(link)
    save_npz(tmp_path / "model.npz", link)
    save_npz(tmp_path / "adam.npz", optimizer)
    told = {"optimizer": "Adam(alpha=1e-2, beta1=0, beta2=0.9)", "optimizer_snapshot": tmp_path / "adam.npz"}
    done = ported(tmp_path, "structures", "Twice", VECTOR, snapshot=tmp_path / "model.npz", **told)
    assert done.report.verdict == "proved"

    module = PortedModel(done.folder / "twice.py", "", {})._module.build()
    module.load_state_dict(torch_state(done.folder / "weights.pt"), strict=True)
    made: dict = {}
    exec((done.folder / "optimizer.py").read_text(), made)
    continued = made["make_optimizer"](module)
    continued.carry(torch_state(done.folder / "optimizer.pt"))
    module(torch.linspace(-1, 1, 12).reshape(3, 4)).square().sum().backward()
    continued.step()
    step(link)
    for name, parameter in module.named_parameters():
        his = dict(link.namedparams())["/" + name.replace(".", "/").replace("weight", "W").replace("bias", "b")]
        np.testing.assert_allclose(parameter.detach().numpy(), his.array, rtol=1e-5, atol=1e-7)
