"""NumPy outside the graph: power iteration, noise, state in plain attributes, types that are written out."""

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np


class Spectral(L.Linear):
    """A linear layer with a spectral norm, whose vector is kept in a plain attribute."""

    def __init__(self, in_size, out_size):
        super().__init__(in_size, out_size)
        self.u = np.random.normal(size=(1, out_size)).astype("f")

    def __call__(self, x):
        W = self.W.data
        v = self.u.dot(W)
        v = v / np.sqrt((v * v).sum() + 1e-12)
        u = v.dot(W.T)
        u = u / np.sqrt((u * u).sum() + 1e-12)
        if chainer.config.train:
            self.u = u
        sigma = F.sum(F.matmul(F.matmul(chainer.Variable(u), self.W), chainer.Variable(v.T)))
        return F.linear(x, self.W / F.broadcast_to(sigma, self.W.shape), self.b)


class Critic(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = Spectral(4, 6)
            self.l2 = Spectral(6, 1)

    def __call__(self, x):
        return self.l2(F.leaky_relu(self.l1(x)))


def add_noise(h, sigma=0.2):
    xp = chainer.backend.get_array_module(h.array)
    if chainer.config.train:
        return h + sigma * xp.random.randn(*h.shape).astype(h.dtype)
    return h


class Noisy(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(4, 5)
            self.l2 = L.Linear(5, 2)

    def __call__(self, x):
        return self.l2(add_noise(F.tanh(self.l1(add_noise(x)))))


class Sampled(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.mean = L.Linear(4, 2)
            self.ln_var = L.Linear(4, 2)
            self.out = L.Linear(2, 4)

    def __call__(self, x):
        return F.sigmoid(self.out(F.gaussian(self.mean(x), self.ln_var(x))))


class Counting(chainer.Chain):
    """What a call leaves behind: a running mean and a count."""

    def __init__(self):
        super().__init__()
        self.mean = np.zeros(3, "f")
        self.calls = 0
        with self.init_scope():
            self.l = L.Linear(4, 3)

    def __call__(self, x):
        h = self.l(x)
        if chainer.config.train:
            self.mean = 0.9 * self.mean + 0.1 * h.array.mean(axis=0)
            self.calls += 1
        return h - self.mean


class Cast(chainer.Chain):
    """Float32 is written out, so that a float64 run would break if it meant float32."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l = L.Linear(4, 3)

    def __call__(self, x):
        mask = (x.array > 0).astype("f")
        positions = np.arange(4).astype(np.float32) / 4
        return self.l(x * mask + positions), self.l(F.cast(x, "float32"))
