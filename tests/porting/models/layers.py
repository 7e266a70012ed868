"""Layers that mean something else in PyTorch, or have other defaults there."""

import chainer
import chainer.functions as F
import chainer.links as L


class BiasBeforeNorm(chainer.Chain):
    """The bias has no effect on the output, so that its gradient is rounding."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.c = L.Convolution2D(2, 3, 3, pad=1)
            self.bn = L.BatchNormalization(3)

    def __call__(self, x):
        return F.relu(self.bn(self.c(x)))


class Normed(chainer.Chain):
    """Other numbers than the default ones, and rows without a channel's scale."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(4, 6)
            self.bn1 = L.BatchNormalization(6, decay=0.8, eps=1e-3)
            self.bn2 = L.BatchNormalization(6, use_gamma=False)
            self.l2 = L.Linear(6, 6)
            self.bn3 = L.BatchNormalization(6, use_beta=False)
            self.bn4 = L.BatchNormalization(6, use_gamma=False, use_beta=False)

    def __call__(self, x):
        h = self.l1(x)
        h = self.l2(F.leaky_relu(self.bn1(h), 0.3) + self.bn2(h))
        return self.bn3(h) * self.bn4(F.sigmoid(h))


class Kinks(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(4, 8)
            self.l2 = L.Linear(8, 8)
            self.l3 = L.Linear(8, 3)

    def __call__(self, x):
        h = F.leaky_relu(self.l1(x))
        h = F.clipped_relu(self.l2(h), 0.5) + F.maximum(h, 0.1 * h) + abs(h)
        return F.relu(self.l3(F.elu(h)))


class Smooth(chainer.Chain):
    """PyTorch's softplus is linear above a threshold; its hard sigmoid has another slope."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l = L.Linear(4, 5)

    def __call__(self, x):
        h = self.l(8 * x)
        return F.softplus(h), F.softplus(h, beta=2.0), F.hard_sigmoid(h), F.swish(h, self.l.b)


class Lengths(chainer.Chain):
    """Epsilon is added to a norm, and a window's sum is not divided by its size."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.c = L.Convolution2D(2, 6, 1)

    def __call__(self, x):
        h = self.c(x)
        return F.normalize(h, eps=1e-3, axis=1), F.local_response_normalization(h, n=3, k=1.0, alpha=0.1, beta=0.6)


class Windows(chainer.Chain):
    """The last window of cover_all may lie outside, where ceil_mode drops it."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.c = L.Convolution2D(1, 2, 1)

    def __call__(self, x):
        h = self.c(x)
        pooled = F.max_pooling_2d(h, 2, stride=3, pad=1)
        return (
            pooled,
            F.max_pooling_2d(h, 3, stride=2),
            F.max_pooling_2d(h, 2, cover_all=False),
            F.average_pooling_2d(h, 2),
        )


class Dropped(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(4, 8)
            self.l2 = L.Linear(8, 3)

    def __call__(self, x):
        return F.softmax(self.l2(F.dropout(F.relu(self.l1(x)), 0.4)), axis=1)


class Grown(chainer.Chain):
    """Sizes that are read from the input."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.c = L.Convolution2D(2, 4, 3, pad=1)
            self.dc = L.Deconvolution2D(4, 2, 4, stride=2, pad=1, nobias=True)

    def __call__(self, x):
        n, _, h, w = x.shape
        y = F.relu(self.c(x))
        y = F.reshape(F.transpose(F.reshape(y, (n, 2, 2, h, w)), (0, 2, 1, 3, 4)), (n, 4, h, w))
        y = F.unpooling_2d(F.average_pooling_2d(y, 2), 2, cover_all=False)
        return F.concat([self.dc(y), F.broadcast_to(F.mean(x), (n, 1, 2 * h, 2 * w))], axis=1)


class Scaled(chainer.Chain):
    """Values that are taken out of the graph, on purpose."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l = L.Linear(4, 3)

    def __call__(self, x):
        h = self.l(x)
        return h / (abs(h.array).max() + 1), h * F.sigmoid(h).array


class Everything(chainer.Chain):
    """One of each thing that a wrong port gets wrong."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.c = L.Convolution2D(2, 4, 3, pad=1)
            self.bn = L.BatchNormalization(4)
            self.l = L.Linear(4, 3)

    def __call__(self, x):
        h = F.leaky_relu(self.bn(self.c(x)), 0.3)
        h = F.max_pooling_2d(h, 3, stride=2)
        h = F.mean(h, axis=(2, 3)) + F.transpose(F.reshape(x[:, 0, :2, :2], (len(x), 2, 2)), (0, 2, 1)).array.reshape(
            len(x), 4
        )
        h = self.l(F.dropout(h, 0.4))
        return F.softmax(h, axis=1)
