# ruff: noqa: E501 (a case is one line)
"""Each of Chainer's links gives what its translation gives: values, and gradients of inputs and parameters, twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

from ganspec.tools.porting.translating.link_composed import HOOKS
from ganspec.tools.porting.translating.links import LINKS
from support.ported_cases import Case, Ported, default_float64, port

HEAD = """
from chainer.link_hooks import SpectralNormalization, WeightStandardization
from chainer.initializers import HeNormal

class Block(chainer.Chain):
    def __init__(self, n):
        super().__init__()
        with self.init_scope():
            self.b = L.Linear(4, n)
            self.a = L.Linear(4, n)

    def forward(self, x):
        return F.tanh(self.a(x)) + self.b(x)

INITIAL = {"initialW": HeNormal()}

def call(link, x, *further):
    return link(x, *further)
"""
# What the constructor makes; what is done with it. `_`: Chainer has no second derivative.
LINES = """
L.Linear(4, 5) | self.l(x)
L.Linear(5) | self.l(x)
L.Linear(None, 5, nobias=True) | self.l(x)
L.Linear(None, 5) | self.l(image)
L.Linear(in_size=4, out_size=3, initialW=HeNormal()) | self.l(x) + self.l.b
L.Linear(4, 5) | self.l(three, n_batch_axes=2)
L.Linear(4, 5) | F.matmul(x, self.l.W, transb=True)
L.Convolution2D(4, 6, 3) | self.l(image)
L.Convolution2D(None, 6, 3, stride=2, pad=1, nobias=True) | self.l(image)
L.Convolution2D(6, 3) | self.l(image)
L.Convolution2D(4, 6, ksize=(3, 2), stride=(2, 1), pad=(1, 0), dilate=2, groups=2) | self.l(image)
L.Convolution1D(4, 6, 3, pad=1) | self.l(line)
L.Convolution3D(4, 6, 2) | self.l(volume)
L.ConvolutionND(2, 4, 6, 3, stride=2) | self.l(image)
L.ConvolutionND(1, None, 6, 3) | self.l(line)
L.Deconvolution1D(4, 6, 3, 2) | self.l(line)
L.Deconvolution2D(4, 6, 4, stride=2, pad=1) | self.l(image)
L.Deconvolution2D(None, 6, 4, 2, 1, nobias=True) | self.l(image)
L.Deconvolution2D(4, 6, 4, stride=2, pad=1, outsize=(15, 16)) | self.l(image)
L.Deconvolution2D(4, 6, 3, groups=2, dilate=2) | self.l(image)
L.Linear(5, **INITIAL) | self.l(x)
L.Convolution2D(None, 6, 3, 2, **INITIAL) | self.l(image)
L.Deconvolution2D(4, 6, 3, **INITIAL) | self.l(image)
L.Linear(4, 5, **dict(nobias=True)) | self.l(x)
L.Deconvolution3D(4, 3, 2, stride=2) | self.l(volume)
L.DeconvolutionND(2, 4, 6, 3, 2) | self.l(image)
L.DilatedConvolution2D(4, 6, 3, pad=2, dilate=2) | self.l(image)
L.DepthwiseConvolution2D(4, 2, 3, pad=1) | self.l(image)
L.DepthwiseConvolution2D(None, 3, (3, 2), stride=2, nobias=True) | self.l(image)
L.EmbedID(4, 5) | self.l(label)
L.EmbedID(4, 5, ignore_label=-1) | self.l(ignored)
L.EmbedID(4, 5) | F.matmul(x, self.l.W)
L.BatchNormalization(4) | self.l(x)
L.BatchNormalization(4, decay=0.5, eps=1e-3) | self.l(image)
L.BatchNormalization(axis=(0, 2)) | self.l(line)
L.BatchNormalization(4, use_gamma=False) | self.l(volume)
L.BatchNormalization(4, use_beta=False) | self.l(image)
L.BatchNormalization(4, use_gamma=False, use_beta=False) | self.l(image)
L.BatchNormalization(size=4, axis=(0, 2, 3)) | self.l(image)
L.BatchNormalization(4) | self.l(image) + self.l(image)
L.LayerNormalization(4) | self.l(x)
L.LayerNormalization(eps=1e-3) | self.l(x)
L.GroupNormalization(2, 4) | self.l(image)
L.GroupNormalization(2, eps=1e-3) | self.l(image)
_L.PReLU() | self.l(x)
_L.PReLU((4,)) | self.l(image)
_L.PReLU(shape=(4, 7, 8)) | self.l(image)
L.Swish((4,)) | self.l(image)
L.Swish(None) | self.l(x)
L.Bias(shape=(4,)) | self.l(image)
L.Bias(axis=0, shape=(3,)) | self.l(x)
L.Bias(1) | self.l(image, channels)
L.Scale(W_shape=(4,)) | self.l(image)
L.Scale(axis=1, W_shape=(4,), bias_term=True) | self.l(image)
L.Scale(1, bias_term=True, bias_shape=(4,)) | self.l(image, channels)
L.Maxout(4, 3, 2) | self.l(x)
L.Maxout(None, 3, 2, initial_bias=None) | self.l(x)
L.Highway(4) | self.l(x)
L.Highway(4, nobias=True, activate=F.tanh) | self.l(x)
L.MLPConvolution2D(4, (3, 5), 3, pad=1) | self.l(image)
L.MLPConvolution2D(None, (3, 5, 2), 3, 2, activation=F.tanh) | self.l(image)
L.Inception(4, 2, 3, 2, 2, 3, 2) | self.l(image)
L.Inception(None, 2, 3, 2, 2, 3, 2) | self.l(image)
L.InceptionBN(4, 2, 3, 2, 2, 3, 'avg', 2) | self.l(image)
L.InceptionBN(None, 0, 3, 2, 2, 3, 'max', stride=2) | self.l(image)
L.LocalConvolution2D(4, 3, (7, 8), 3) | self.l(image)
L.Parameter(np.ones((3, 4), 'f')) | x * self.l()
L.LSTM(4, 3) | [self.l.reset_state(), self.l(x), self.l(y), self.l(w[:2]), self.l.h, self.l.c][1:]
L.LSTM(3) | [self.l.reset_state(), self.l(x), self.l(y)][1:]
L.LSTM(None, 3) | [self.l.set_state(cell8 * 1, cell8 * 2), self.l(x)][1]
L.StatelessLSTM(4, 3) | self.l(cell8, cell8 * 2, x) + self.l(None, None, x)
L.StatefulPeepholeLSTM(4, 3) | [self.l.reset_state(), self.l(x), self.l(y)][1:]
L.StatefulZoneoutLSTM(4, 3, c_ratio=0.0, h_ratio=0.0) | [self.l.reset_state(), self.l(x), self.l(y)][1:]
L.StatelessGRU(4, 3) | self.l(cell8, x)
L.StatefulGRU(4, 3) | [self.l.reset_state(), self.l(x), self.l(y)][1:]
L.GRU(None, 3) | [self.l.reset_state(), self.l(x), self.l(y), self.l.h * 1][1:]
L.StatelessMGU(4, 3) | self.l(cell8, x)
_L.StatefulMGU(4, 3) | [self.l.reset_state(), self.l(x), self.l(y)][1:]
L.ChildSumTreeLSTM(4, 3) | self.l(cell8, cell8 + 1, cell8 * 2, cell8 * 3, x) + self.l(x)
L.NaryTreeLSTM(4, 3) | self.l(cell8, cell8 + 1, cell8 * 2, None, x)
L.NaryTreeLSTM(4, 3, n_ary=1) | self.l(cell8, cell8 + 1, None)
L.NStepLSTM(2, 4, 3, 0.0) | self.l(None, None, [x[:2], y])
L.NStepLSTM(1, 4, 3, 0.0) | self.l(cell8[None, :2], cell8[None, 1:], [x, y[:2]])
L.NStepBiLSTM(2, 4, 3, 0.0) | self.l(None, None, [w[:1], x, y[:2]])
L.NStepGRU(2, 4, 3, 0.0) | self.l(None, [x[:2], y])
L.NStepBiGRU(1, 4, 3, 0.5) | self.l(None, [x[:2], y])
L.NStepRNNTanh(1, 4, 3, 0.5) | self.l(None, [x[:2], y])
L.NStepBiRNNTanh(2, 4, 3, 0.0) | self.l(None, [x[:2], y])
L.NStepRNNReLU(2, 4, 3, 0.0) | self.l(None, [x[:2], y])
L.NStepBiRNNReLU(1, 4, 3, 0.5) | self.l(None, [x[:2], y])
L.Classifier(L.Linear(4, 4)) | self.l(x, label)
L.Classifier(L.Linear(4, 4), lossfun=F.mean_squared_error, accfun=F.mean_absolute_error) | [self.l(x, y), self.l.y, self.l.accuracy]
chainer.Parameter(0.5, (4,)) | x * self.l
chainer.Parameter(HeNormal(), (3, 4)) | x * self.l
chainer.Sequential(L.Linear(4, 3), F.relu, L.Linear(3, 2)) | self.l(x)
chainer.Sequential(L.Linear(4, 4), F.tanh).repeat(3) | self.l(x)
L.Linear(4, 4).repeat(2) | self.l(x)
L.Linear(4, 4).copy('init') | self.l(x)
chainer.ChainList(L.Linear(4, 3), L.Linear(4, 3)) | sum([l(x) for l in self.l])
chainer.ChainList(*[L.Linear(4, 4) for _ in range(3)]) | self.l[2](self.l[0](x)) + sum([l(y) for l in self.l.children()])
Block(3) | [l(x) for l in self.l.children()]
Block(2) | call(self.l, x) + sum([F.sum(p) for p in self.l.params()])
L.Linear(4, 5).add_hook(SpectralNormalization()) | self.l(x)
L.Linear(None, 5).add_hook(SpectralNormalization(n_power_iteration=2, eps=1e-3)) | self.l(x) + self.l(y)
L.Convolution2D(4, 6, 3).add_hook(SpectralNormalization(factor=2.0)) | self.l(image)
L.Convolution2D(4, 6, 3).add_hook(SpectralNormalization(use_gamma=True)) | self.l(image)
L.Deconvolution2D(4, 6, 3).add_hook(SpectralNormalization()) | self.l(image)
L.Convolution2D(4, 6, 3).add_hook(WeightStandardization()) | self.l(image)
"""
# What Chainer has in float32 alone.
SINGLE = """
L.Bilinear(4, 2, 3) | self.l(x, cell)
L.Bilinear(4, 2, 3, nobias=True) | self.l(x, cell)
"""
# Setups of more than one line.
SETUPS = [
    Case("self.l(x)", "chainer.Sequential()", setup="self.l.append(L.Linear(4, 3))\nself.l.append(F.tanh)"),
    Case(
        "self.l[1](self.l[0](x))", "chainer.ChainList()", setup="for n in (3, 2):\n    self.l.append(L.Linear(None, n))"
    ),
    Case("self.l.outsize = (15, 16)\ny = self.l(image)", "L.Deconvolution2D(4, 6, 4, stride=2, pad=1)"),
    Case("y = self.l(x) + self.l.__getattribute__('a')(x)", "Block(3)"),
    Case("self.l(x)", "L.Linear(4, 3)", setup="for p in self.l.params():\n    p.array[...] = 0.5"),
]


def _cases(text: str) -> Iterator[Case]:
    for line in text.strip().splitlines():
        made, used = line.removeprefix("_").split(" | ")
        yield Case(used, made, second=not line.startswith("_"), single=text is SINGLE)


CASES = [*SETUPS, *_cases(LINES)]
SINGLES = list(_cases(SINGLE))


@pytest.fixture(scope="module")
def ported(tmp_path_factory: pytest.TempPathFactory) -> Ported:
    return port(CASES, tmp_path_factory.mktemp("links"), HEAD)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{c.made} {c.text}" for c in CASES])
def test_link_agrees_with_chainers(ported: Ported, number: int) -> None:
    with default_float64():
        ported.compare(number, 1e-13, 1e-11 if "N(" in CASES[number].made or "Norm" in CASES[number].made else 1e-12)


def test_links_of_float32_agree(tmp_path: Path) -> None:
    ported = port(SINGLES, tmp_path)
    for number in range(len(SINGLES)):
        ported.compare(number)


def test_every_link_is_compared() -> None:
    named = set(re.findall(r"(?:L\.|\.add_hook\()(\w+)", LINES + SINGLE))
    assert sorted({c.__name__ for c in (*LINKS, *HOOKS)} - named) == []
