"""What an attacker found: copies that were views, slopes at ties and zeros, names that lead out of the model."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np
import torch

from ganspec.tools.porting.errors import PortError
from ganspec.tools.porting.inputs import parse_input
from ganspec.tools.porting.job import Job, port
from ganspec.tools.porting.loading import Original
from ganspec.tools.porting.models import PortedModel
from ganspec.tools.porting.translating import arrays
from ganspec.tools.porting.translating.writer import translate

CLIPPED = """
import os

import chainer
import chainer.functions as F
import chainer.links as L


class Clipped(chainer.Chain):
    def __init__(self, extra=None):
        super().__init__()
        with self.init_scope():
            self.l = L.Linear(4, 3)

    def __call__(self, x):
        w = self.l.W.array.astype("f")
        w[w < 0] = 0
        seen = x.array.flatten()
        seen *= 2
        return F.matmul(x, w.T) + seen.sum()
"""


def written(folder, text):
    (folder / "model.py").write_text(text)
    return str(folder / "model.py")


def test_a_copy_that_is_changed_is_a_copy_in_the_port(tmp_path):
    done = port(Job(f"{written(tmp_path, CLIPPED)}:Clipped", (parse_input("x=4"),)), tmp_path / "out")
    assert done.report.verdict == "proved"


def test_a_port_that_changes_weights_or_inputs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_may_be_changed", lambda writer, owner: False)
    done = port(Job(f"{written(tmp_path, CLIPPED)}:Clipped", (parse_input("x=4"),)), tmp_path / "out")
    assert done.report.verdict == "differs"
    assert {row.name for row in done.report.proof.rows if not row.agrees} >= {"l/W", "input x"}


# Functions at numbers where a derivative jumps, or where a root is 0.
KINKS = {
    "F.normalize(x)": np.zeros((2, 3)),
    "F.max(x, axis=1)": np.ones((2, 3)),
    "F.min(x)": np.ones((2, 3)),
    "F.max(x, axis=1, keepdims=True)": np.array([[1.0, 2.0, 2.0]]),
    "F.maxout(x, 2)": np.ones((2, 4)),
    "F.maximum(x, 1 * x)": np.ones((2, 3)),
    "F.minimum(x, 0.5 * x)": np.zeros((2, 3)),
    "F.clipped_relu(x, 2.0)": np.array([[0.0, 2.0, 1.0, -1.0]]),
    "F.relu6(x)": np.array([[0.0, 6.0, 1.0, 7.0]]),
    "F.hard_sigmoid(x)": np.array([[-2.5, 2.5, 0.0, 3.0]]),
    "F.contrastive(x, 1 * x, np.zeros(len(x), 'i'), 1)": np.ones((2, 3)),
}


def test_slopes_at_ties_and_zeros_are_chainers(tmp_path):
    methods = "\n\n".join(f"    def k{i}(self, x):\n        return {formula}" for i, formula in enumerate(KINKS))
    head = "import chainer\nimport chainer.functions as F\nimport numpy as np\n\n\nclass Kinks(chainer.Chain):\n"
    original = Original(f"{written(tmp_path, head + methods)}:Kinks")
    link, slopes = original.make("float64"), []
    for i, given in enumerate(KINKS.values()):
        x = chainer.Variable(given.copy())
        y = original.call(link, {"x": x}, training=False, dtype="float64", method=f"k{i}")
        y.grad = np.ones_like(y.array)
        y.backward()
        slopes.append(x.grad)
    found = translate(original)
    assert not found.refusals
    module = PortedModel(Path(written(tmp_path, found.source)), "", {}).make("float64")
    for i, (formula, given) in enumerate(KINKS.items()):
        x = torch.tensor(given, requires_grad=True)
        getattr(module, f"k{i}")(x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), slopes[i], rtol=1e-12, atol=0, err_msg=formula)


@pytest.mark.parametrize(
    "text", ["chainer.os.system('true')", "os.system('true')", "np.save('x', 1)", "chainer.cuda.os", "F.relu(1)"]
)
def test_arguments_reach_nothing_beyond_the_model(text, tmp_path):
    with pytest.raises(PortError, match=r"--args: .* cannot be (named|called) here"):
        Original(f"{written(tmp_path, CLIPPED)}:Clipped", f"extra={text}").make()
