"""The proof agrees with ports that are right, and catches each port with one bug."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

from ganspec.tools.porting.allowance import BOUNDS
from ganspec.tools.porting.inputs import parse_input
from ganspec.tools.porting.proof import Proof, prove
from support.porting import EVERY, both, named

# Of each pair: one bug a line, as text of the port and what stands there instead, and the kind of the first difference.
BUGS = {
    "generator": {
        "eps": ("eps=1e-3", "eps=1e-5", "output"),
        "default eps": ("eps=2e-5", "eps=1e-5", "output"),
        "slope": ("self.bn0(self.l0(z)), 0.2", "self.bn0(self.l0(z)), 0.01", "output"),
        "momentum": ("momentum=0.2", "momentum=0.1", "statistic"),
        "rate of dropout": ("0.3, self.training", "0.5, self.training", "draws"),
        "mask without scale": (
            "F.dropout(F.leaky_relu(self.bn0(self.l0(z)), 0.2), 0.3, self.training)",
            "F.leaky_relu(self.bn0(self.l0(z)), 0.2) * (torch.bernoulli(z.new_full((len(z), 64), 0.7)) if self.training else 1)",
            "output",
        ),
        "mode of dropout": ("0.3, self.training", "0.3, not self.training", "draws"),
        "no dropout": ("0.3, self.training", "0.3, False", "draws"),
        "padding": ("3, 1, 1, bias=False", "3, 1, 0, bias=False", "output"),
    },
    "spectral": {
        "gradient through the iteration": ("self.weight.detach()", "self.weight", "parameter gradient"),
        "no gradient through sigma": ("self.weight / sigma", "self.weight / sigma.detach()", "parameter gradient"),
        "u in training only": ("normalised(v @ W.T)", "normalised(v @ W.T) if self.training else self.u", "output"),
        "other distribution": ("torch.randn(1, W.shape[0]", "torch.rand(1, W.shape[0]", "draws"),
        "other shape": ("torch.randn(1, W.shape[0], dtype=W.dtype)", "torch.randn(W.shape[0], 1, dtype=W.dtype).T", "draws"),
    },
    "vae": {
        "softplus": ("torch.logaddexp(x, torch.zeros_like(x))", "nn.functional.softplus(x, threshold=1)", "output"),
        "missing detach": ("softplus(mu).detach()", "softplus(mu)", "parameter gradient"),
        "variance": ("randn_like(mu) * torch.exp(ln_var / 2)", "randn_like(mu) * torch.exp(ln_var)", "output"),
        "scale": ("Normal(mu, torch.exp(ln_var / 2))", "Normal(mu, torch.exp(ln_var))", "output"),
        "drawn twice": ("z = mu +", "torch.randn_like(mu)\n        z = mu +", "draws"),
        "another key": ('"penalty":', '"loss":', "output"),
    },
    "blocks": {
        "cover_all": ("ceil_mode=True", "ceil_mode=False", "output"),
        "wrong block": ("enumerate(self)", "enumerate([self[0], self[1], self[1]])", "output"),
        "mean for sum": ("x.sum((1, 2, 3))", "x.mean((1, 2, 3))", "output"),
        "one output fewer": ("return x, features", "return x, features[:2]", "output"),
    },
    "conditional": {
        "trained gain": ("affine=False", "affine=True", "arrays"),
        "gain": ("(1 + gamma)", "gamma", "output"),
        "batch statistics in inference": ("affine=False", "affine=False, track_running_stats=False", "arrays"),
    },
    "attention": {
        "axis of softmax": ("f.transpose(1, 2) @ g, 2)", "f.transpose(1, 2) @ g, 1)", "parameter gradient"),
        "transposed weights": ("weights.transpose(1, 2))", "weights)", "parameter gradient"),
        "gain left out": ("* y", "* y.detach()", "second order"),
        "frozen batch": ("n, _, height", "n, _, height = 3, *x.shape[1:3]; width = x.shape[3]; _ ", "run"),
    },
    "old": {
        "mode": ("self.bn1.train(not test)", "self.bn1.train(False)", "output"),
        "noise": ("0.2 * torch.randn_like", "0.1 * torch.randn_like", "output"),
        "noise in inference": ("if not test", "if True", "draws"),
    },
    "lstm": {
        "order of gates": ("a, i, f, o = ", "i, a, f, o = ", "output"),
        "state is not kept": ("self.c, self.h = c, torch", "self.c, self.h = None, torch", "state"),
        "state without history": ("c = c + self.c *", "c = c + self.c.detach() *", "parameter gradient"),
    },
}  # fmt: skip


def proved(name: str, bug: tuple[str, str] | None = None, **options: object) -> Proof:
    pair = EVERY[name]
    his, port = both(pair, [bug] if bug else [])
    link = his.make("float64")
    return prove(his, port, named(link), [parse_input(text) for text in pair.inputs], **options)


@pytest.mark.parametrize("name", EVERY)
def test_right_port_is_proved(name):
    proof = proved(name)
    assert proof.proved, proof.first
    kinds = {row.kind for row in proof.rows}
    assert {"output", "parameter gradient", "input gradient"} <= kinds <= set(BOUNDS)
    for mode in (True, False):
        cases = {row.case for row in proof.rows if row.case.training == mode}
        assert {case.dtype for case in cases} == {"float64", "float32"}
        assert {case.parameters for case in cases} == {"given", "random"}
        assert {3, 4} <= {case.batch for case in cases}
        assert {case.call for case in cases} == {1, 2}
    for row in proof.rows:
        if row.case.dtype == "float64" and "rounding" not in row.note:
            assert row.relative <= 1e-11


@pytest.mark.parametrize(("name", "bug"), [(name, bug) for name, bugs in BUGS.items() for bug in bugs])
def test_one_bug_is_caught(name, bug):
    old, new, kind = BUGS[name][bug]
    inference = "inference" in bug or "only" in bug
    proof = proved(name, (old, new), stop=True, modes=("training", "inference") if inference else ("training",))
    assert not proof.proved
    wrong = [row for row in proof.rows if not row.agrees]
    assert kind in {row.kind for row in wrong}, wrong
