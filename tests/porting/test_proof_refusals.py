"""What the proof does not swallow: models that draw otherwise each time, what it cannot judge, what it never ran."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

import numpy as np

from ganspec.tools.errors import UserError
from ganspec.tools.porting.inputs import parse_input
from ganspec.tools.porting.proof import Proof, prove
from support.porting import Original, Ported, load, named

HIS = """
import random, time
import chainer, chainer.functions as F, chainer.links as L
import numpy as np

class Model(chainer.Chain):
    def __init__(self):
        super().__init__()
        self.state = np.zeros(2)
        self.count = 0
        with self.init_scope():
            self.l1 = L.Linear(4, 4)
            self.unused = L.Linear(2, 2)

    def __call__(self, x):
        h = self.l1(x)
        return F.tanh(h)
"""
PORT = """
import torch
from torch import nn
from torch.nn import functional as F

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("state", torch.zeros(2), persistent=False)
        self.count = 0
        self.l1 = nn.Linear(4, 4)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        h = self.l1(x)
        return torch.tanh(h)
"""


def proved(
    tmp_path, his: str, port: str = "return torch.tanh(h)", inputs: tuple[str, ...] = ("x=4",), **options: object
) -> Proof:
    """Returns: the proof of a model with another last line."""
    (tmp_path / "his.py").write_text(HIS.replace("return F.tanh(h)", his))
    (tmp_path / "port.py").write_text(PORT.replace("return torch.tanh(h)", port))
    model = Original(load(tmp_path / "his.py").Model, ())
    ported = Ported(load(tmp_path / "port.py").Model, ())
    return prove(model, ported, named(model.make("float64")), list(map(parse_input, inputs)), **options)


def test_plain_model_is_proved_and_an_unused_parameter_has_no_gradient_in_both(tmp_path):
    proof = proved(tmp_path, "return F.tanh(h)")
    assert proof.proved
    rows = [row for row in proof.rows if row.name == "unused/W" and row.kind == "parameter gradient"]
    assert rows
    assert {row.note for row in rows} == {"none in both"}
    assert not proof.refused


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("return F.tanh(h) * random.random()", "draws from Python's random"),
        ("return F.tanh(h) * time.perf_counter()", "it reads the time: "),
        ("return F.tanh(h) * np.random.beta(1, 2)", "np.random.beta draws numbers that cannot be given to the port"),
        (
            "Model.calls = getattr(Model, 'calls', 0) + 1; return h * Model.calls",
            "two runs of your model on the same numbers",
        ),
    ],
)
def test_what_differs_each_time_is_refused_with_its_line(tmp_path, last, said):
    proof = proved(tmp_path, last)
    assert not proof.proved
    assert not proof.rows
    (text,) = proof.refused
    assert said in text
    assert ("his.py:17" in text) == ("Model.calls" not in last)


def test_an_input_that_does_not_fit_is_the_users_mistake(tmp_path):
    with pytest.raises(
        UserError, match=r"your model does not run on these inputs: InvalidType: .*; mend --input or --call-args"
    ):
        proved(tmp_path, "return F.tanh(h)", inputs=("x=5",))


def test_an_object_as_output_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="your model's output is an object of Model; return arrays"):
        proved(tmp_path, "return self")


def test_arrays_are_given_where_variables_are_not_taken(tmp_path):
    his = "x = chainer.Variable(np.asarray(x.view(np.ndarray), x.dtype)); return F.tanh(self.l1(x))"
    proof = proved(tmp_path, his)
    assert proof.proved
    assert not [row for row in proof.rows if row.kind == "input gradient"]
    assert any("gradients by the inputs" in text for text in proof.unexercised)


def test_state_that_the_port_lacks_is_a_difference(tmp_path):
    proof = proved(tmp_path, "self.state = h.array.mean(0)[:2]; return F.tanh(h)", stop=True)
    assert {row.name for row in proof.rows if not row.agrees} == {"state"}
    kept = "self.state = h.detach().mean(0)[:2]; return torch.tanh(h)"
    assert proved(tmp_path, "self.state = h.array.mean(0)[:2]; return F.tanh(h)", kept).proved
    proof = proved(tmp_path, "self.count += 1; return F.tanh(h)", stop=True)
    assert {row.name for row in proof.rows if not row.agrees} == {"count"}


def test_nan_agrees_with_nothing(tmp_path):
    proof = proved(tmp_path, "return F.log(h - 1e3)", "return torch.log(h - 1e3)")
    assert not proof.proved
    assert proof.first.note == "no run could judge it: your model gives NaN"
    proof = proved(tmp_path, "return F.tanh(h)", "return torch.tanh(h) / 0 * 0", stop=True)
    assert not proof.proved


def test_infinities_agree_where_they_are_the_same(tmp_path):
    his = "return F.where(h.array > 0, h, np.full(h.shape, -np.inf, h.dtype))"
    assert proved(tmp_path, his, "return torch.where(h > 0, h, -torch.inf)").proved
    assert not proved(tmp_path, his, "return torch.where(h > 0, h, torch.inf)", stop=True).proved


def test_whole_numbers_must_be_equal(tmp_path):
    his = "return F.argmax(h, axis=1), h"
    assert proved(tmp_path, his, "return h.argmax(1), h").proved
    assert not proved(tmp_path, his, "return h.argmin(1), h", stop=True).proved
    assert not proved(tmp_path, his, "return h.argmax(1).to(h.dtype), h", stop=True).proved


def test_values_that_are_no_arrays_must_be_equal(tmp_path):
    assert proved(tmp_path, "return h, 3, None, 'a'", "return h, 3, None, 'a'").proved
    assert not proved(tmp_path, "return h, 3, None, 'a'", "return h, 3, None, 'b'", stop=True).proved


def test_zeros_in_place_of_no_gradient_are_said(tmp_path):
    proof = proved(tmp_path, "return F.tanh(h)", "return torch.tanh(h) + 0 * self.unused.weight.sum()")
    assert proof.proved
    rows = [row for row in proof.rows if row.name == "unused/W" and row.kind == "parameter gradient"]
    assert {row.note for row in rows} == {"your model gives none, the other zeros"}


def test_second_gradient_that_chainer_lacks_is_said(tmp_path):
    old = "type('Old', (chainer.Function,), {'forward': lambda s, xs: (xs[0] * 2,), 'backward': lambda s, xs, gs: (gs[0] * 2,)})"
    proof = proved(tmp_path, f"return {old}()(F.tanh(h))", "return 2 * torch.tanh(h)")
    assert proof.proved
    assert any("second order in training: Chainer has no second gradient here" in text for text in proof.unexercised)


CUT = """(type('Cut', (chainer.FunctionNode,), {
            'forward': lambda self, xs: (self.retain_inputs((0,)), (xs[0] ** 3,))[1],
            'backward': lambda self, i, gs: (chainer.Variable(3 * self.get_retained_inputs()[0].array ** 2 * gs[0].array),),
        })().apply((h,))[0])"""


def test_second_gradient_that_chainer_drops_without_a_word_is_said(tmp_path):
    proof = proved(tmp_path, f"return {CUT}", "return h ** 3")
    assert proof.proved
    assert any("Chainer's second gradient is not the derivative of its first" in text for text in proof.unexercised)
    wrong = "return (h ** 3).detach() + 3 * (h ** 2).detach() * (h - h.detach())"
    proof = proved(tmp_path, "return h ** 3", wrong, stop=True)
    assert {row.kind for row in proof.rows if not row.agrees} == {"second order"}


def test_sizes_that_his_model_refuses_are_said(tmp_path):
    his = "assert len(x) > 1 and x.shape[2:] == (2, 2); return F.tanh(h)"
    proof = proved(tmp_path, his, inputs=("x=1,2,2",), port="return torch.tanh(self.l1(x.flatten(1)))")
    assert [text for text in proof.unexercised if "which your model does not take" in text]
    assert not [row for row in proof.rows if row.case.batch == 1 or row.case.scale != 1]


def test_the_values_of_a_snapshot_are_compared(tmp_path):
    large = {"l1/W": np.full((4, 4), 1e3), "l1/b": np.zeros(4)}
    proof = proved(tmp_path, "return h", "return h", values=large)
    assert proof.proved
    assert max(row.largest for row in proof.rows if row.kind == "output" and row.case.parameters == "given") > 1e2


def test_lines_that_did_not_run_are_named(tmp_path):
    proof = proved(tmp_path, "if len(x) > 99:\n            return h\n        return F.tanh(h)")
    assert [(m.first, m.last) for m in proof.missed] == [(18, 18)]


def test_arrays_that_the_port_does_not_have_are_a_difference(tmp_path):
    proof = proved(tmp_path, "return F.tanh(h)", "return torch.tanh(h)\n    def other(self): pass", stop=True)
    assert proof.proved
    (tmp_path / "other").mkdir()
    text = PORT.replace("self.unused = nn.Linear(2, 2)", "self.unused = nn.Linear(2, 3)")
    (tmp_path / "port.py").write_text(text)
    his = Original(load(tmp_path / "his.py").Model, ())
    proof = prove(
        his, Ported(load(tmp_path / "port.py").Model, ()), named(his.make("float64")), [parse_input("x=4")], stop=True
    )
    assert proof.first.kind == "arrays"
    assert "unused.weight has the shape [3, 2], your unused/W [2, 2]" in proof.first.note


def test_a_constant_of_the_constructor_must_be_the_ports_own(tmp_path):
    his, port = "return F.tanh(h) + self.state[0]", "return torch.tanh(h) + self.state[0]"
    assert proved(tmp_path, his, port).proved
    (tmp_path / "port.py").write_text(
        PORT.replace("torch.zeros(2)", "torch.ones(2)").replace("return torch.tanh(h)", port)
    )
    model = Original(load(tmp_path / "his.py").Model, ())
    proof = prove(
        model, Ported(load(tmp_path / "port.py").Model, ()), named(model.make("float64")), [parse_input("x=4")]
    )
    assert proof.first.note == "the port: its state begins with other numbers than yours"


def test_random_parameters_with_which_a_model_fails_are_said(tmp_path):
    proof = proved(tmp_path, "assert not self.l1.b.array.any(); return F.tanh(h)")
    assert proof.proved
    assert any(
        "random parameters in training, with which your model fails: AssertionError" in t for t in proof.unexercised
    )
