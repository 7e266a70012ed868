"""A generator: linear, batch norm, dropout, deconvolutions, leaky ReLU."""

import chainer
import chainer.functions as F
import chainer.links as L


class Generator(chainer.Chain):
    def __init__(self, n_hidden=6, ch=4):
        super().__init__()
        self.ch = ch
        with self.init_scope():
            self.l0 = L.Linear(n_hidden, 4 * 4 * ch)
            self.bn0 = L.BatchNormalization(4 * 4 * ch)
            self.dc1 = L.Deconvolution2D(ch, 3, 4, 2, 1)
            self.bn1 = L.BatchNormalization(3, eps=1e-3, decay=0.8, use_gamma=False)
            self.dc2 = L.Deconvolution2D(3, 2, 3, 1, 1, nobias=True)

    def __call__(self, z):
        h = F.dropout(F.leaky_relu(self.bn0(self.l0(z))), 0.3)
        h = h.reshape(len(z), self.ch, 4, 4)
        h = F.leaky_relu(self.bn1(self.dc1(h)), 0.1)
        return F.tanh(self.dc2(h))

    def never(self, z):
        if z is None:
            return 1
        return 2
