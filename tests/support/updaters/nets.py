"""Networks of the small system, as somebody's net.py has them: own `__call__`, noise drawn by the generator, float32."""

# ruff: noqa: UP008 (as it was written for Python 2 and 3)

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np


class Generator(chainer.Chain):
    def __init__(self, n_hidden=3, ch=6):
        super(Generator, self).__init__()
        self.n_hidden = n_hidden
        with self.init_scope():
            self.l0 = L.Linear(n_hidden, ch)
            self.bn0 = L.BatchNormalization(ch)
            self.l1 = L.Linear(ch, 9)

    def make_hidden(self, batchsize):
        return np.random.uniform(-1, 1, (batchsize, self.n_hidden)).astype(np.float32)

    def __call__(self, z):
        h = F.relu(self.bn0(self.l0(z)))
        return F.reshape(F.tanh(self.l1(h)), (len(z), 1, 3, 3))


class Discriminator(chainer.Chain):
    def __init__(self, ch=7, slope=0.2):
        super(Discriminator, self).__init__()
        self.slope = slope
        with self.init_scope():
            self.l0 = L.Linear(9, ch)
            self.l1 = L.Linear(ch, 1)

    def __call__(self, x):
        return self.l1(F.leaky_relu(self.l0(x), self.slope))


class Autoencoder(chainer.Chain):
    def __init__(self, ch=4):
        super(Autoencoder, self).__init__()
        with self.init_scope():
            self.l0 = L.Linear(9, ch)
            self.l1 = L.Linear(ch, 9)

    def __call__(self, x):
        return F.reshape(self.l1(F.tanh(self.l0(x))), x.shape)


class Unfinished(chainer.Chain):
    def __init__(self, ch):
        super(Unfinished, self).__init__()
        with self.init_scope():
            self.l0 = L.Linear(9, ch)


class OldGenerator(Generator):
    """As for Chainer 1, which was told the mode of each evaluation."""

    def __call__(self, z, test=False):
        h = F.relu(self.bn0(self.l0(z), test=test))
        return F.reshape(F.tanh(self.l1(h)), (len(z.data), 1, 3, 3))


class Labelled(chainer.Chain):
    def __init__(self):
        super(Labelled, self).__init__()
        with self.init_scope():
            self.l0 = L.Linear(13, 7)
            self.l1 = L.Linear(7, 1)

    def __call__(self, x, y):
        label = np.eye(4, dtype=np.float32)[y]
        h = F.concat((F.reshape(x, (len(x), 9)), label), axis=1)
        return self.l1(F.leaky_relu(self.l0(h), 0.2))
