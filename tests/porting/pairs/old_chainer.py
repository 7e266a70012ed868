"""As Chainer 1 wanted it: the mode is an argument; links are arguments of the constructor; noise is drawn in between."""

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np


class Old(chainer.Chain):
    def __init__(self, n):
        super().__init__(l1=L.Linear(n, 4), bn1=L.BatchNormalization(4), l2=L.Linear(4, n))

    def __call__(self, x, test=False):
        with chainer.using_config("train", not test):
            h = F.relu(self.bn1(self.l1(x)))
        if not test:
            h += np.random.normal(0, 0.2, h.shape).astype(h.dtype)
        return self.l2(h)
