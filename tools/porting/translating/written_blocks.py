"""Chainer's links that consist of others. This module imports torch alone: its classes are copied into ported files. Names of
children and layouts of parameters are Chainer's."""

import torch
import torch.nn.functional as F
from torch import nn

from ganspec.tools.porting.translating.written_functions import _along, _maxout
from ganspec.tools.porting.translating.written_windows import (
    _bilinear,
    _depthwise_convolution_2d,
    _local_convolution_2d,
    _pair,
)


class _Bias(nn.Module):
    """x + b, the first axis of b against an axis of x; without b, it is the second input."""

    def __init__(self, axis=1, shape=None):
        super().__init__()
        self.axis = axis
        if shape is not None:
            self.b = nn.Parameter(torch.zeros(shape))

    def forward(self, x, y=None):
        return x + _along(self.b if y is None else y, x, self.axis)


class _Scale(nn.Module):
    """x * W, the first axis of W against an axis of x; without W, it is the second input."""

    def __init__(self, axis=1, W_shape=None, bias_term=False, bias_shape=None):
        super().__init__()
        self.axis = axis
        if W_shape is not None:
            self.W = nn.Parameter(torch.ones(W_shape))
        if bias_term:
            self.bias = _Bias(axis, bias_shape if W_shape is None else W_shape)

    def forward(self, x, y=None):
        z = x * _along(self.W if y is None else y, x, self.axis)
        return self.bias(z) if hasattr(self, "bias") else z


class _Swish(nn.Module):
    """x sigmoid(beta x)."""

    def __init__(self, beta_shape=()):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(beta_shape))

    def forward(self, x):
        return x * torch.sigmoid(_along(self.beta, x, 1) * x)


class _Maxout(nn.Module):
    """The largest of pool_size linear functions."""

    def __init__(self, in_size, out_size, pool_size, bias=True):
        super().__init__()
        self.linear = nn.Linear(in_size, out_size * pool_size, bias)
        self.pool_size = pool_size

    def forward(self, x):
        return _maxout(self.linear(torch.flatten(x, 1)), self.pool_size, 1)


class _Highway(nn.Module):
    """t activate(W x) + (1 - t) x, t = sigmoid(V x)."""

    def __init__(self, in_out_size, activate=F.relu, bias=True):
        super().__init__()
        self.activate = activate
        self.plain = nn.Linear(in_out_size, in_out_size, bias)
        self.transform = nn.Linear(in_out_size, in_out_size, bias)

    def forward(self, x):
        t = torch.sigmoid(self.transform(x))
        return self.activate(self.plain(x)) * t + x * (1 - t)


class _BilinearLink(nn.Module):
    """Sum over j, k of e1_j e2_k W_jkl, and linear terms."""

    def __init__(self, left_size, right_size, out_size, bias=True):
        super().__init__()
        self.W = nn.Parameter(torch.randn(left_size, right_size, out_size) / (left_size * right_size) ** 0.5)
        if bias:
            self.V1 = nn.Parameter(torch.randn(left_size, out_size) / left_size**0.5)
            self.V2 = nn.Parameter(torch.randn(right_size, out_size) / right_size**0.5)
            self.b = nn.Parameter(torch.zeros(out_size))

    def forward(self, e1, e2):
        if not hasattr(self, "b"):
            return _bilinear(e1, e2, self.W, None, None, None)
        return _bilinear(e1, e2, self.W, self.V1, self.V2, self.b)


class _DepthwiseConvolution2D(nn.Module):
    """Each channel is convolved by itself; the weight is (multiplier, channels, kh, kw)."""

    def __init__(self, in_channels, channel_multiplier, ksize, stride=1, padding=0, bias=True):
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.randn(channel_multiplier, in_channels, *_pair(ksize)) * 0.1)
        self.bias = nn.Parameter(torch.zeros(channel_multiplier * in_channels)) if bias else None

    def forward(self, x):
        return _depthwise_convolution_2d(x, self.weight, self.bias, self.stride, self.padding)


class _LocalConvolution2D(nn.Module):
    """A convolution whose weights differ from place to place."""

    def __init__(self, in_channels, out_channels, in_size, ksize, stride=1, bias=True):
        super().__init__()
        self.stride = stride
        size = [n - k + 1 for n, k in zip(_pair(in_size), _pair(ksize), strict=True)]
        self.W = nn.Parameter(torch.randn(out_channels, *size, in_channels, *_pair(ksize)) * 0.1)
        self.b = nn.Parameter(torch.zeros(out_channels, *size)) if bias else None

    def forward(self, x):
        return _local_convolution_2d(x, self.W, self.b, self.stride)


class _MLPConvolution2D(nn.ModuleList):
    """A convolution, then convolutions of one pixel, with an activation between them."""

    def __init__(self, in_channels, out_channels, ksize, stride=1, padding=0, activation=F.relu):
        first = nn.Conv2d(in_channels, out_channels[0], ksize, stride, padding)
        super().__init__(
            [first, *(nn.Conv2d(out_channels[i - 1], out_channels[i], 1) for i in range(1, len(out_channels)))]
        )
        self.activation = activation

    def forward(self, x):
        for layer in list(self)[:-1]:
            x = self.activation(layer(x))
        return self[-1](x)


class _Inception(nn.Module):
    """GoogLeNet's block: convolutions of 1, 3 and 5 pixels and a pooling, side by side."""

    def __init__(self, in_channels, out1, proj3, out3, proj5, out5, proj_pool):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out1, 1)
        self.proj3 = nn.Conv2d(in_channels, proj3, 1)
        self.conv3 = nn.Conv2d(proj3, out3, 3, padding=1)
        self.proj5 = nn.Conv2d(in_channels, proj5, 1)
        self.conv5 = nn.Conv2d(proj5, out5, 5, padding=2)
        self.projp = nn.Conv2d(in_channels, proj_pool, 1)

    def forward(self, x):
        out3 = self.conv3(F.relu(self.proj3(x)))
        out5 = self.conv5(F.relu(self.proj5(x)))
        pool = self.projp(F.max_pool2d(x, 3, 1, 1))
        return F.relu(torch.cat((self.conv1(x), out3, out5, pool), dim=1))


class _InceptionBN(nn.Module):
    """The block with batch normalization, where out1 may be 0 and the pooling without a projection."""

    def __init__(self, in_channels, out1, proj3, out3, proj33, out33, pooltype, proj_pool=None, stride=1):
        super().__init__()
        self.out1, self.proj_pool, self.stride, self.pooltype = out1, proj_pool, stride, pooltype
        self._normalised("proj3", in_channels, proj3, 1)
        self._normalised("conv3", proj3, out3, 3, stride)
        self._normalised("proj33", in_channels, proj33, 1)
        self._normalised("conv33a", proj33, out33, 3)
        self._normalised("conv33b", out33, out33, 3, stride)
        if out1 > 0:
            self._normalised("conv1", in_channels, out1, 1)
        if proj_pool is not None:
            self._normalised("poolp", in_channels, proj_pool, 1)

    def _normalised(self, name, n, m, ksize, stride=1):
        self.add_module(name, nn.Conv2d(n, m, ksize, stride, ksize // 2, bias=False))
        self.add_module(f"{name}n", nn.BatchNorm2d(m, eps=2e-5, momentum=0.1))

    def _through(self, x, *names):
        for name in names:
            x = F.relu(getattr(self, f"{name}n")(getattr(self, name)(x)))
        return x

    def forward(self, x):
        found = [self._through(x, "conv1")] if self.out1 > 0 else []
        found += [self._through(x, "proj3", "conv3"), self._through(x, "proj33", "conv33a", "conv33b")]
        pool = F.max_pool2d if self.pooltype == "max" else F.avg_pool2d
        pooled = pool(x, 3, self.stride, 1)
        found.append(pooled if self.proj_pool is None else self._through(pooled, "poolp"))
        return torch.cat(found, dim=1)


class _ParameterLink(nn.Module):
    """A parameter that is called."""

    def __init__(self, value):
        super().__init__()
        self.W = nn.Parameter(value)

    def forward(self):
        return self.W


class _Classifier(nn.Module):
    """The loss of a predictor's output against labels; y, loss and accuracy are kept."""

    def __init__(self, predictor, lossfun, accfun, label_key=-1):
        super().__init__()
        self.predictor, self.lossfun, self.accfun, self.label_key = predictor, lossfun, accfun, label_key
        self.compute_accuracy = True
        self.y = self.loss = self.accuracy = None

    def forward(self, *args, **kwargs):
        if isinstance(self.label_key, int):
            given = list(args)
            t = given.pop(self.label_key)
        else:
            given = args
            t = kwargs.pop(self.label_key)
        self.y = self.predictor(*given, **kwargs)
        self.loss = self.lossfun(self.y, t)
        if self.compute_accuracy:
            self.accuracy = self.accfun(self.y, t)
        return self.loss
