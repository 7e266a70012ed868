"""Models that cannot be ported: each is refused, with its line."""

import random

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np


class Plain(chainer.Chain):
    def __init__(self, n=4):
        super().__init__()
        with self.init_scope():
            self.l = L.Linear(n, n)

    def __call__(self, x):
        return self.l(x)


class Dice(Plain):
    """Each call takes another branch."""

    def __call__(self, x):
        if random.random() < 0.5:
            return F.relu(self.l(x))
        return F.tanh(self.l(x))


class Changing(Plain):
    calls = 0

    def __call__(self, x):
        Changing.calls += 1
        return self.l(x) * Changing.calls


class Gamma(Plain):
    def __call__(self, x):
        return self.l(x) * np.random.gamma(2.0)


class Transformed(Plain):
    """NumPy's Fourier transform has a counterpart in PyTorch that the port does not know."""

    def __call__(self, x):
        return self.l(x) + np.fft.fft(x.array).real.astype("f")


class Double(chainer.Function):
    def forward(self, inputs):
        return (2 * inputs[0],)

    def backward(self, inputs, gradients):
        return (2 * gradients[0],)


class OwnFunction(Plain):
    def __call__(self, x):
        return Double()(self.l(x))


class Trains(Plain):
    """A part of the training step stands in the model."""

    def __call__(self, x):
        loss = F.sum(self.l(x))
        loss.backward()
        return loss
