# ruff: noqa: UP008, UP031
"""Chainer 1: links are given to the constructor, and the mode is an argument."""

import chainer
import chainer.functions as F
import chainer.links as L


class Old(chainer.Chain):
    def __init__(self, n):
        super(Old, self).__init__(
            l1=L.Linear(n, 6),
            bn1=L.BatchNormalization(6),
            l2=L.Linear(6, 2),
        )
        self.add_link("l3", L.Linear(2, 2))

    def __call__(self, x, test=False):
        h = F.dropout(F.relu(self.bn1(self.l1(x), test=test)), ratio=0.25, train=not test)
        return self["l3"](F.tanh(self.l2(h)))


class Listed(chainer.Chain):
    """Links with numbers in their names, found by name."""

    def __init__(self, depth=3):
        super(Listed, self).__init__()
        for i in range(depth):
            self.add_link("l%d" % i, L.Linear(4, 4))
        self.depth = depth

    def __call__(self, x, train=True):
        for i in range(self.depth):
            x = F.dropout(F.relu(self["l%d" % i](x)), train=train)
        return x
