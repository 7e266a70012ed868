"""Self-attention over pixels, with a gain that starts at zero."""

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np


class Attention(chainer.Chain):
    def __init__(self, ch):
        super().__init__()
        with self.init_scope():
            self.f = L.Convolution2D(ch, 2, 1, nobias=True)
            self.g = L.Convolution2D(ch, 2, 1, nobias=True)
            self.h = L.Convolution2D(ch, ch, 1, nobias=True)
            self.gain = chainer.Parameter(np.zeros(1, np.float32))

    def __call__(self, x):
        n, _, height, width = x.shape
        f, g, h = (F.reshape(link(x), (n, -1, height * width)) for link in (self.f, self.g, self.h))
        weights = F.softmax(F.matmul(f, g, transa=True), axis=2)
        y = F.reshape(F.matmul(h, weights, transb=True), x.shape)
        return x + F.broadcast_to(F.reshape(self.gain, (1, 1, 1, 1)), y.shape) * y
