"""A generator of forty convolutions, in blocks with a short cut: large enough to measure how long a port takes."""

import chainer
import chainer.functions as F
import chainer.links as L


class UpBlock(chainer.Chain):
    """Two convolutions beside one of 1 by 1, on an image that may be made larger."""

    def __init__(self, in_channels, out_channels, up=False):
        super().__init__()
        self.up = up
        with self.init_scope():
            self.bn0 = L.BatchNormalization(in_channels)
            self.c0 = L.Convolution2D(in_channels, out_channels, 3, pad=1)
            self.bn1 = L.BatchNormalization(out_channels)
            self.c1 = L.Convolution2D(out_channels, out_channels, 3, pad=1)
            self.short = L.Convolution2D(in_channels, out_channels, 1)

    def larger(self, x):
        return F.unpooling_2d(x, 2, 2, 0, cover_all=False) if self.up else x

    def __call__(self, x):
        h = self.c0(self.larger(F.relu(self.bn0(x))))
        h = self.c1(F.relu(self.bn1(h)))
        return h + self.short(self.larger(x))


class Generator(chainer.Chain):
    """Thirteen blocks: three make the image twice as large."""

    def __init__(self, n_hidden=64, ch=32, n_blocks=13):
        super().__init__()
        self.ch = ch
        with self.init_scope():
            self.l0 = L.Linear(n_hidden, 16 * ch)
            self.blocks = chainer.ChainList(*[UpBlock(ch, ch, up=i % 5 == 0) for i in range(n_blocks)])
            self.bn = L.BatchNormalization(ch)
            self.out = L.Convolution2D(ch, 3, 3, pad=1)

    def __call__(self, z):
        h = F.reshape(self.l0(z), (-1, self.ch, 4, 4))
        for block in self.blocks:
            h = block(h)
        return F.tanh(self.out(F.relu(self.bn(h))))
