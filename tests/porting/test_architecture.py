"""An architecture that is lifted computes what his model computes, and ganspec trains it; what has no form is named."""

import pytest

pytest.importorskip("torch")

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from ganspec.spec import load_system
from ganspec.tools.agreement import crosscheck_system
from ganspec.tools.porting.architecture import CannotLift, lift


class Every(chainer.Chain):
    """A function of each kind that has a layer."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.c1 = L.Convolution2D(3, 6, 3, 1, 1, initialW=chainer.initializers.HeNormal())
            self.bn = L.BatchNormalization(6, eps=1e-3, decay=0.7)
            self.c2 = L.Convolution2D(6, 6, 3, 1, 2, dilate=2, groups=2, nobias=True)
            self.dc = L.Deconvolution2D(12, 4, 4, 2, 1, initialW=chainer.initializers.GlorotUniform())
            self.embed = L.EmbedID(5, 4)
            self.l1 = L.Linear(4, 7, initialW=chainer.initializers.Normal(0.3), initial_bias=0.25)
            self.ln = L.LayerNormalization(7)
            self.l2 = L.Linear(7, 2)

    def __call__(self, x, y):
        h = F.leaky_relu(self.bn(self.c1(x)), 0.1)
        h = h + F.tanh(self.c2(h))
        h = F.local_response_normalization(F.max_pooling_2d(h, 3, 2))
        h = F.concat((F.elu(h), F.sigmoid(-h)))
        h = F.unpooling_2d(F.average_pooling_2d(self.dc(h), 2), 2, cover_all=False)
        h = F.mean(F.softplus(h), axis=(2, 3)) * self.embed(y)
        h = self.ln(F.relu(self.l1(F.dropout(h, 0.3))) * 0.5)
        return F.softmax(self.l2(F.normalize(F.clipped_relu(h, 4.0))))


class Small(chainer.Chain):
    """A generator of 2 x 2 images."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(3, 8)
            self.bn = L.BatchNormalization(8)
            self.l2 = L.Linear(8, 4)

    def __call__(self, z):
        return F.reshape(F.tanh(self.l2(F.relu(self.bn(self.l1(z))))), (len(z), 1, 2, 2))


def made(cls):
    with chainer.using_config("dtype", np.dtype("float64")):
        return cls()


def call(link, inputs, training):
    with chainer.using_config("train", training):
        return link(**inputs)


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def test_every_kind_of_layer_is_lifted():
    inputs = {"x": numbers(3, 3, 9, 9), "y": np.array([0, 4, 2])}
    lifted = lift(made(Every), call, inputs, "every", "this test")
    assert lifted.error < 1e-13
    kinds = {line.split('"')[1] for line in lifted.text.splitlines() if line.startswith("  { kind")}
    wanted = "conv batch_norm leaky_relu tanh add max_pool local_response_norm elu scale sigmoid concat deconv avg_pool upsample"
    further = "softplus mean embedding multiply dropout linear relu layer_norm clip normalize softmax"
    assert kinds >= {*wanted.split(), *further.split()}
    assert "y = { labels = 5 }" in lifted.text
    assert 'weight = "normal(0, sqrt(2 / fan_in))"' in lifted.text  # He et al. 2015
    assert 'weight = "uniform(-sqrt(6 / (fan_out + fan_in)), sqrt(6 / (fan_out + fan_in)))"' in lifted.text
    assert 'weight = "normal(0, 0.3)", bias = 0.25' in lifted.text


def test_what_is_lifted_is_trained_by_ganspec(tmp_path):
    lifted = lift(made(Small), call, {"z": numbers(3, 3)}, "small", "this test")
    (tmp_path / "G.toml").write_text(lifted.text)
    (tmp_path / "D.toml").write_text(
        'title = "D"\nsource = "this test"\n[inputs]\nx = [1, 2, 2]\n'
        '[network]\nlayers = [ { kind = "flatten" },\n'
        '  { kind = "linear", name = "l", units = 2, weight = "normal(0, 1)", bias = 0 } ]\n'
    )
    (tmp_path / "system.toml").write_text(
        'like = "gan_mlp_mnist"\ntitle = "ported"\nsource = "this test"\n[networks]\nG = "G.toml"\nD = "D.toml"\n'
        "[data]\nshape = [1, 2, 2]\nrange = [-1, 1]\n"
    )
    found = crosscheck_system(load_system(str(tmp_path / "system.toml")), iterations=2)
    assert found.agrees, found.first


class Twice(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l = L.Linear(3, 3)

    def __call__(self, x):
        return self.l(self.l(x))


class Unknown(Twice):
    def __call__(self, x):
        return F.cumsum(self.l(x), axis=1)


class Outside(Twice):
    def __call__(self, x):
        return F.relu(chainer.Variable(self.l(x).array * 2))


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Twice, "l/W is used twice, and layers of an architecture share nothing"),
        (Unknown, "there is no kind of layer for Cumsum"),
        (Outside, "ReLU reads something that comes from no layer and no input"),
    ],
)
def test_what_has_no_form_is_named(cls, message):
    with pytest.raises(CannotLift) as caught:
        lift(made(cls), call, {"x": numbers(3, 3)}, "t", "this test")
    assert str(caught.value) == message
