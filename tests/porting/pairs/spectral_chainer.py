"""A critic with spectral norm by hand: u is a plain attribute, drawn at the first call, which every call moves."""

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np


def normalised(v):
    return v / (np.sqrt((v * v).sum()) + 1e-12)


class SNLinear(L.Linear):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.u = None

    def __call__(self, x):
        W = self.W.array
        if self.u is None:
            self.u = np.random.normal(size=(1, W.shape[0])).astype(W.dtype)
        v = normalised(np.dot(self.u, W))
        self.u = normalised(np.dot(v, W.T))
        sigma = F.sum(F.linear(chainer.Variable(self.u), F.transpose(self.W)) * v)
        return F.linear(x, self.W / F.broadcast_to(sigma.reshape(1, 1), self.W.shape), self.b)


class Critic(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.c0 = L.Convolution2D(3, 4, 3, 2, 1)
            self.l1 = SNLinear(4, 5)
            self.l2 = SNLinear(5, 1)

    def __call__(self, x):
        h = F.elu(self.c0(x))
        h = F.average(h, axis=(2, 3))
        return self.l2(F.relu(self.l1(h)))
