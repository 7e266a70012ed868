"""Links of Chainer's that PyTorch has otherwise, or not at all. This module imports torch alone: its classes are copied into
ported files. All parameters have Chainer's layout."""

import torch
from torch import nn

from ganspec.tools.porting.translating.written_windows import _deconvolution, _embed_id


class _FlatLinear(nn.Linear):
    """A linear layer that takes any shape and flattens it, but for the first axes."""

    def forward(self, x, n_batch_axes=1):
        return super().forward(torch.flatten(x, n_batch_axes))


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """A batch normalization that takes any number of axes."""

    def _check_input_dim(self, x):
        pass


def _part_affine(layer, gamma, beta):
    """Take the factor or the addend away from a batch normalization."""
    if not gamma:  # not None: torch has no second derivative of a batch normalization with an addend alone
        ones = torch.ones_like(layer.running_mean)
        del layer.weight
        layer.register_buffer("weight", ones, persistent=False)
    if not beta:
        layer.register_parameter("bias", None)
    return layer


def _register_persistent(module, name):
    """Make an attribute a buffer, so that it is saved."""
    value = getattr(module, name)
    delattr(module, name)
    module.register_buffer(name, value if torch.is_tensor(value) else torch.tensor(value))


class _Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class _EmbedID(nn.Embedding):
    """An embedding that gives zeros for a label that is ignored."""

    def __init__(self, in_size, out_size, ignore_label):
        super().__init__(in_size, out_size)
        self.ignore_label = ignore_label

    def forward(self, x):
        return _embed_id(x, self.weight, self.ignore_label)


class _PReLU(nn.Module):
    """x where it is positive, weight times x elsewhere; the weight's axes are the first of a sample's."""

    def __init__(self, shape=()):
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, 0.25))

    def forward(self, x):
        weight = self.weight.reshape(self.weight.shape + (1,) * (x.ndim - 1 - self.weight.ndim))
        return torch.where(x >= 0, x, weight * x)


class _SizedDeconvolution(nn.Module):
    """A transposed convolution whose output has a given size."""

    def __init__(self, in_channels, out_channels, ksize, outsize, stride=1, padding=0, dilation=1, groups=1, bias=True):
        super().__init__()
        kernel = tuple(ksize) if isinstance(ksize, (tuple, list)) else (ksize, ksize)
        self.weight = nn.Parameter(torch.randn(in_channels, out_channels // groups, *kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.outsize, self.stride, self.padding, self.dilation, self.groups = outsize, stride, padding, dilation, groups

    def forward(self, x):
        return _deconvolution(
            x, self.weight, self.bias, self.stride, self.padding, self.outsize, self.groups, self.dilation
        )


def _linear_arguments(in_size, out_size=None, nobias=False, initialW=None, initial_bias=None):
    """Chainer's arguments of Linear as torch's."""
    return in_size, out_size, not nobias


def _convolution_arguments(
    in_channels,
    out_channels,
    ksize=None,
    stride=1,
    pad=0,
    nobias=False,
    initialW=None,
    initial_bias=None,
    dilate=1,
    groups=1,
):
    """Chainer's arguments of Convolution2D as torch's."""
    return in_channels, out_channels, ksize, stride, pad, dilate, groups, not nobias


def _deconvolution_arguments(
    in_channels,
    out_channels,
    ksize=None,
    stride=1,
    pad=0,
    nobias=False,
    outsize=None,
    initialW=None,
    initial_bias=None,
    dilate=1,
    groups=1,
):
    """Chainer's arguments of Deconvolution2D as torch's."""
    if outsize is not None:
        raise ValueError("outsize has no counterpart here")
    return in_channels, out_channels, ksize, stride, pad, 0, groups, not nobias, dilate


def _embedding_arguments(in_size, out_size, initialW=None, ignore_label=None):
    """Chainer's arguments of EmbedID as torch's."""
    if ignore_label is not None:
        raise ValueError("ignore_label has no counterpart here")
    return in_size, out_size


def _batch_norm_arguments(size, decay=0.9, eps=2e-5, dtype=None, use_gamma=True, use_beta=True, **initial):
    """Chainer's arguments of BatchNormalization as torch's."""
    if use_gamma != use_beta:
        raise ValueError("only one of gamma and beta has no counterpart here")
    return size, eps, 1 - decay, use_gamma


def _layer_norm_arguments(size, eps=1e-6, initial_gamma=None, initial_beta=None):
    """Chainer's arguments of LayerNormalization as torch's."""
    return size, eps
