"""Mistakes of Chainer code are named where they are, and its networks are matched in the order in which they were built."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from ganspec import conformance

if find_spec("chainer") is None:
    pytest.skip("needs chainer", allow_module_level=True)

from support.conformance import gan_chainer

chainer, F, L = gan_chainer.chainer, gan_chainer.F, gan_chainer.L
SETTINGS = ["optimizers.epsilon=1e-30", "run.batch=3"]


def report_on(G=gan_chainer.Generator, D=gan_chainer.Critic, step=gan_chainer.WganGp):
    generator, critic = G(5, 8, 36), D(36, 7)
    made = step(generator, critic, 5)
    return conformance.check(
        "wgan_gp_mlp_mnist", made, settings=SETTINGS, reduced=True, iterations=1, suggest=False, G=generator, D=critic
    )


class NormsApart(chainer.Chain):
    """The generator with its batch norms made after its other layers, and with names that sort before theirs."""

    def __init__(self, latent, width, pixels):
        super().__init__()
        with self.init_scope():
            self.fc1, self.fc2 = L.Linear(latent, width), L.Linear(width, width)
            self.fc3, self.fc4 = L.Linear(width, width), L.Linear(width, pixels)
            self.b1, self.b2, self.b3 = (L.BatchNormalization(width, eps=1e-5) for _ in range(3))

    def forward(self, z):
        h = z
        for layer, norm in ((self.fc1, self.b1), (self.fc2, self.b2), (self.fc3, self.b3)):
            h = norm(F.leaky_relu(layer(h), 0.3))
        return F.tanh(self.fc4(h))


class InInference(gan_chainer.Generator):
    def forward(self, z):
        with chainer.using_config("train", False):
            return super().forward(z)


class Sigmoid(gan_chainer.Critic):
    def forward(self, x):
        return F.sigmoid(super().forward(x))


class Cut(gan_chainer.Critic):
    """A gradient of twice its size goes through its second layer."""

    def forward(self, x):
        h = F.dropout(F.leaky_relu(self.fc1(x), self.slope), 0.5)
        h = F.leaky_relu(self.fc2(h), self.slope)
        h = F.dropout(h if isinstance(x, chainer.Variable) else chainer.Variable(h.array), 0.5)
        h = F.dropout(F.leaky_relu(self.fc3(h), self.slope), 0.5)
        return self.fc4(h)


class NoDoubleBackprop(gan_chainer.WganGp):
    def __call__(self, x):
        original = chainer.grad
        chainer.grad = lambda outputs, inputs, enable_double_backprop: original(outputs, inputs)
        try:
            return super().__call__(x)
        finally:
            chainer.grad = original


def test_batch_norms_that_were_made_last_are_matched():
    report = report_on(NormsApart)
    assert report.agrees, report


def test_gradients_by_layer_are_compared():
    report = report_on()
    assert report.agrees, report
    assert {row.kind: row.compared for row in report.comparison.rows}["layer gradient"] > 100


@pytest.mark.parametrize(
    ("wrong", "place", "cause"),
    [
        ({"G": InInference}, "layer %1 G(%0): bn1", "batch norm is in inference mode"),
        ({"D": Sigmoid}, "layer %2 D(%1): l4", "sigmoid is applied to what the linear layer gives"),
        ({"D": Cut}, "gradient of loss_D by %5 D(%4): leaky_relu_2", "no gradient arrives"),
        ({"step": NoDoubleBackprop}, "gradient of loss_D by D/l4/W", "enable_double_backprop=True"),
    ],
    ids=["inference", "sigmoid", "cut", "no double backprop"],
)
def test_mistake_is_named_with_its_cause(wrong, place, cause):
    report = report_on(**wrong)
    text = str(report)
    assert place in text.split("\n")[2], text
    assert cause in report.comparison.first.guess, text
