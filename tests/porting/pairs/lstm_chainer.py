"""An LSTM cell by hand, whose state is in plain attributes."""

import chainer
import chainer.functions as F
import chainer.links as L


class Cell(chainer.Chain):
    def __init__(self, n_in, n_units):
        super().__init__()
        self.h = self.c = None
        with self.init_scope():
            self.upward = L.Linear(n_in, 4 * n_units)
            self.lateral = L.Linear(n_units, 4 * n_units, nobias=True)

    def forward(self, x):
        gates = self.upward(x)
        if self.h is not None:
            gates += self.lateral(self.h)
        a, i, f, o = F.split_axis(gates, 4, axis=1)
        c = F.tanh(a) * F.sigmoid(i)
        if self.c is not None:
            c += self.c * F.sigmoid(f)
        self.c, self.h = c, F.sigmoid(o) * F.tanh(c)
        return self.h
