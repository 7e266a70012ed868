"""Chainer's distributions give what those of torch.distributions give; and what draws, draws the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

from ganspec.tools.porting.inputs import parse_input
from ganspec.tools.porting.job import Job
from ganspec.tools.porting.job import port as port_whole
from support.ported_cases import Case, Ported, default_float64, port

HEAD = "from chainer import distributions as D\n"
TEXTS = """
d = D.Normal(x, positive); y = [d.log_prob(y), d.prob(w), d.entropy, d.mean, d.variance, d.stddev, d.loc, d.scale, d.log_scale]
d = D.Normal(loc=x, log_scale=y); y = [d.log_prob(w), d.entropy, d.scale]
d = D.Independent(D.Normal(x, positive)); y = [d.log_prob(y), d.entropy, d.distribution.loc]
d = D.Independent(D.Normal(three, log_scale=other), 1); y = d.log_prob(three * 2)
d = D.Bernoulli(logit=x); y = [d.log_prob((w.array > 0).astype("f")), d.p, d.mean * 1]
d = D.Bernoulli(p=probabilities); y = [d.log_prob((w.array > 0).astype("f")), d.variance]
d = D.Categorical(logit=x); y = [d.log_prob(label), d.entropy]
d = D.Categorical(probabilities / F.sum(probabilities, axis=1, keepdims=True)); y = d.log_prob(label)
d = D.Uniform(low=x, high=x + positive); y = [d.log_prob(x + positive * 0.5), d.mean]
d = D.Laplace(x, positive); y = [d.log_prob(y), d.mean, d.entropy]
d = D.Exponential(positive); y = d.log_prob(probabilities)
d = D.Gumbel(x, positive); y = d.log_prob(w)
d = D.LogNormal(x, positive); y = d.log_prob(probabilities)
y = chainer.kl_divergence(D.Normal(x, positive), D.Normal(y, log_scale=w))
y = chainer.kl_divergence(D.Bernoulli(logit=x), D.Bernoulli(logit=y))
y = chainer.kl_divergence(D.Independent(D.Normal(x, positive)), D.Independent(D.Normal(y, log_scale=w)))
"""
CASES = [Case(line.replace("; ", "\n")) for line in TEXTS.strip().splitlines()]
DRAWING = """
import numpy as np
import chainer
import chainer.functions as F
import chainer.links as L
from chainer import distributions as D


class Drawing(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.rnn = L.NStepLSTM(2, 4, 3, 0.5)

    def forward(self, x):
        n, y = len(x), []
        y.append(F.dropout(x * 2, 0.3))
        y.append(F.gaussian(x, x * 0.5))
        y.append(F.gumbel_softmax(x, tau=0.5))
        y.append(F.zoneout(x, x * 2, ratio=0.4))
        y.append(D.Normal(x, F.exp(x)).sample())
        y.append(D.Normal(x, log_scale=x).sample(2))
        y.append(D.Independent(D.Uniform(low=x, high=x + 1)).sample_n(3))
        y.append(x + np.random.normal(0, 2, x.shape).astype("f"))
        y.append(x + np.random.normal(size=x.shape).astype("f"))
        y.append(x + np.random.randn(*x.shape).astype("f") + np.random.rand(n, 4).astype("f"))
        y.append(x + np.random.uniform(-1, 2, (n, 4)).astype("f"))
        y.append(x + np.random.randint(0, 5, size=(n, 4)) + np.random.randint(3, size=4))
        y.append(x + np.random.gumbel(size=(n, 4)).astype("f") + np.random.exponential(2.0, size=(n, 4)).astype("f"))
        y.append(x * np.random.binomial(1, 0.3, size=(n, 4)).astype("f"))
        y.append(x[np.random.permutation(n)])
        y.append(x + np.random.choice(4, size=(n, 1)))
        y.append(self.rnn(None, None, [x, x * 2])[0])
        return y
"""


@pytest.fixture(scope="module")
def ported(tmp_path_factory: pytest.TempPathFactory) -> Ported:
    return port(CASES, tmp_path_factory.mktemp("distributions"), HEAD)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[line[:50] for line in TEXTS.strip().splitlines()])
def test_distribution_agrees_with_chainers(ported: Ported, number: int) -> None:
    with default_float64():
        ported.compare(number)


@pytest.mark.parametrize("recurrent", [False, True])
def test_port_draws_the_same_numbers(tmp_path: Path, recurrent: bool) -> None:
    lines = [line for line in DRAWING.splitlines() if "y.append" not in line or ("rnn" in line) == recurrent]
    (tmp_path / "drawing.py").write_text("\n".join(lines), encoding="utf-8")
    done = port_whole(Job(f"{tmp_path / 'drawing.py'}:Drawing", (parse_input("x=4"),)), tmp_path / "out")
    assert not done.report.refused
    assert done.report.proof is not None
    assert done.report.proof.proved, done.report.proof.first
