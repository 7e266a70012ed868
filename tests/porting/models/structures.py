"""How a model is put together: chains in chains, lists, Sequential, a link used twice, what goes in and comes out."""

import chainer
import chainer.functions as F
import chainer.links as L
from chainer.distributions import Normal


class Block(chainer.Chain):
    def __init__(self, n):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(n, n)
            self.l2 = L.Linear(n, n)

    def __call__(self, x):
        return x + self.l2(F.relu(self.l1(x)))


class Nested(chainer.Chain):
    def __init__(self, n=4):
        super().__init__()
        with self.init_scope():
            self.first = Block(n)
            self.second = Block(n)
            self.out = L.Linear(n, 2)

    def __call__(self, x):
        return self.out(self.second(self.first(x)))


class Blocks(chainer.ChainList):
    """A chain list that a loop walks."""

    def __init__(self, n=4, depth=3):
        super().__init__()
        for _ in range(depth):
            self.add_link(Block(n))

    def __call__(self, x):
        features = []
        for block in self:
            x = F.tanh(block(x))
            features.append(x)
        return features


class InOrder(chainer.Chain):
    def __init__(self, n=4):
        super().__init__()
        with self.init_scope():
            self.layers = chainer.Sequential(L.Linear(n, 5), F.relu, L.Linear(5, 3))

    def __call__(self, x):
        return self.layers(x)


class Twice(chainer.Chain):
    """One link, used twice: its gradient is a sum."""

    def __init__(self, n=4):
        super().__init__()
        with self.init_scope():
            self.shared = L.Linear(n, n)

    def __call__(self, x):
        return self.shared(F.tanh(self.shared(x)))


class Pair(chainer.Chain):
    def __init__(self, n=4):
        super().__init__()
        with self.init_scope():
            self.l = L.Linear(n, 2 * n)

    def __call__(self, x):
        a, b = F.split_axis(self.l(x), 2, axis=1)
        return F.sigmoid(a), b


class Named(Pair):
    def __call__(self, x):
        h = self.l(x)
        return {"logits": h, "probabilities": F.softmax(h), "loss": F.sum(h * h)}


class Encoder(chainer.Chain):
    """It returns a distribution."""

    def __init__(self, n=4, n_latent=2):
        super().__init__()
        with self.init_scope():
            self.mu = L.Linear(n, n_latent)
            self.ln_sigma = L.Linear(n, n_latent)

    def forward(self, x):
        return Normal(loc=self.mu(x), log_scale=self.ln_sigma(x))


class Several(chainer.Chain):
    """It takes a list."""

    def __init__(self, n=4):
        super().__init__()
        with self.init_scope():
            self.l = L.Linear(n, n)

    def __call__(self, xs):
        return [self.l(x) for x in xs]


class Labelled(chainer.Chain):
    """It takes whole numbers beside pictures."""

    def __init__(self, n_classes=5):
        super().__init__()
        with self.init_scope():
            self.c = L.Convolution2D(2, 3, 3, pad=1)
            self.embed = L.EmbedID(n_classes, 3)

    def __call__(self, x, y):
        h = F.sum(F.relu(self.c(x)), axis=(2, 3))
        return F.sum(self.embed(y) * h, axis=1, keepdims=True)


class Keyed(Several):
    """It takes a dictionary."""

    def __call__(self, d):
        return self.l(d["left"]) - F.tanh(self.l(d["right"]))
