"""Convolutions, poolings and normalizations of Chainer's that PyTorch has otherwise, or not at all. This module imports torch
alone: its functions are copied into ported files."""

import math

import torch
import torch.nn.functional as F

from ganspec.tools.porting.translating.written_functions import _pair


def _im2col(x, ksize, stride, pad, cover_all, dilate):
    """The patches of images, in channels: (n, c * kh * kw, oh, ow)."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = _pair(ksize), _pair(stride), _pair(pad), _pair(dilate)
    x = F.pad(x, (pw, pw + (sw - 1 if cover_all else 0), ph, ph + (sh - 1 if cover_all else 0)))
    oh, ow = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1, (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    return F.unfold(x, (kh, kw), dilation=(dh, dw), stride=(sh, sw)).reshape(x.shape[0], -1, oh, ow)


def _max_pooling(x, ksize, stride, pad, cover_all):
    """The largest number of each window; with cover_all every pixel lies in one, beyond the edge if need be."""
    count = x.ndim - 2
    ksize, pad = _pair(ksize, count), _pair(pad, count)
    stride = ksize if stride is None else _pair(stride, count)
    sides = [
        n for s, p in zip(reversed(stride), reversed(pad), strict=True) for n in (p, p + (s - 1 if cover_all else 0))
    ]
    x = F.pad(x, sides, value=-math.inf)
    return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[count - 1](x, ksize, stride)


def _unpooling(x, ksize, stride, pad, outsize, cover_all):
    """Each pixel fills its window; windows that overlap are summed."""
    count = x.ndim - 2
    k, p = _pair(ksize, count), _pair(pad, count)
    s = k if stride is None else _pair(stride, count)
    sizes = x.shape[2:]
    if outsize is None:
        less = [n - 1 if cover_all else 0 for n in s]
        outsize = [b * (n - 1) + a - d - 2 * c for n, a, b, c, d in zip(sizes, k, s, p, less, strict=True)]
    for axis, (n, a, b, c, out) in enumerate(zip(sizes, k, s, p, _pair(outsize, count), strict=True), 2):
        place = b * torch.arange(n, device=x.device)[:, None] + torch.arange(a, device=x.device)
        lines = torch.repeat_interleave(torch.movedim(x, axis, 0), a, dim=0)
        whole = lines.new_zeros(max(b * (n - 1) + a, c + out), *lines.shape[1:]).index_add(0, place.flatten(), lines)
        x = torch.movedim(whole[c : c + out], 0, axis)
    return x


def _deconvolution(x, W, b, stride, pad, outsize, groups=1, dilate=1):
    """A transposed convolution whose output has the size that is asked for."""
    count = x.ndim - 2
    stride, pad, dilate = _pair(stride, count), _pair(pad, count), _pair(dilate, count)
    least = [
        (n - 1) * s - 2 * p + d * (k - 1) + 1
        for n, s, p, d, k in zip(x.shape[2:], stride, pad, dilate, W.shape[2:], strict=True)
    ]
    further = (
        [0] * count if outsize is None else [o - size for o, size in zip(_pair(outsize, count), least, strict=True)]
    )
    if all(0 <= f < max(s, d) for f, s, d in zip(further, stride, dilate, strict=True)):
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[count - 1]
        return function(x, W, b, stride, pad, further, groups, dilate)
    raise ValueError(f"the output size {outsize} does not fit the input {tuple(x.shape)}")


def _depthwise_convolution_2d(x, W, b, stride, pad):
    """Each channel is convolved by itself; W is (multiplier, channels, kh, kw)."""
    multiplier, channels, kh, kw = W.shape
    weight = W.transpose(0, 1).reshape(channels * multiplier, 1, kh, kw)
    return F.conv2d(x, weight, b, stride, pad, groups=channels)


def _embed_id(x, W, ignore_label):
    """The rows of W; rows of zeros for the label that is ignored."""
    if ignore_label is None:
        return F.embedding(x.long(), W)
    kept = x != ignore_label
    return F.embedding(torch.where(kept, x, torch.zeros_like(x)).long(), W) * kept[..., None].to(W.dtype)


def _bilinear(e1, e2, W, V1, V2, b):
    """Sum over j, k of e1_j e2_k W_jkl, and linear terms."""
    e1, e2 = e1.flatten(1), e2.flatten(1)
    y = torch.einsum("ij,ik,jkl->il", e1, e2, W)
    return y if V1 is None else y + torch.matmul(e1, V1) + torch.matmul(e2, V2) + b


def _local_response_normalization(x, n, k, alpha, beta):
    """x / (k + alpha sum of x^2 over n neighbouring channels)^beta; torch's own divides alpha by n."""
    half = n // 2
    squares = F.pad(torch.square(x), [0, 0] * (x.ndim - 2) + [half, half])
    total = sum(squares[:, i : i + x.shape[1]] for i in range(2 * half + 1))
    return x * (k + alpha * total) ** -beta


def _normalize(x, eps, axis):
    """x / (|x| + eps); torch's own takes the larger of both."""
    return x / (torch.linalg.vector_norm(x, dim=axis, keepdim=True) + eps)


def _batch_normalization(x, gamma, beta, eps, running_mean, running_var, decay):
    """Normalise by the batch, and move the running statistics, if there are any."""
    return F.batch_norm(x, running_mean, running_var, gamma, beta, True, 1.0 - decay, eps)


def _fixed_batch_normalization(x, gamma, beta, mean, var, eps):
    """Normalise by statistics that are differentiated, too."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var, gamma, beta = (v.reshape(shape) for v in (mean, var, gamma, beta))
    return gamma * (x - mean) / torch.sqrt(var + eps) + beta


def _in_mode(layer, training, x):
    """Call a batch normalization in a given mode, whatever its own is."""
    before = layer.training
    layer.training = training
    try:
        return layer(x)
    finally:
        layer.training = before


def _spatial_pyramid_pooling_2d(x, pyramid_height):
    """Max pooling over 1 x 1, 2 x 2, 4 x 4, ... windows, side by side."""
    n, _, h, w = x.shape
    levels = []
    for level in range(pyramid_height):
        count = 2**level
        kh, kw = math.ceil(h / count), math.ceil(w / count)
        ph, pw = (kh * count - h) // 2, (kw * count - w) // 2
        levels.append(_max_pooling(x, (kh, kw), None, (ph, pw), True).reshape(n, -1, 1, 1))
    return torch.cat(levels, dim=1)


def _average_pooling_inside(x, ksize, stride, pad):
    """The mean of each window over the pixels that it really has, as pad_value=None wants it."""
    function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.ndim - 3]
    return function(x, ksize, stride, pad, count_include_pad=False)


def _local_convolution_2d(x, W, b, stride):
    """A convolution whose weights differ from place to place; W is (out, oh, ow, in, kh, kw)."""
    _, height, width, channels, kh, kw = W.shape
    patches = F.unfold(x, (kh, kw), stride=_pair(stride)).reshape(len(x), channels, kh, kw, -1)
    rows = (x.shape[2] - kh) // _pair(stride)[0] + 1
    patches = patches.reshape(len(x), channels, kh, kw, rows, -1)[..., :height, :width]
    y = torch.einsum("ncklhw,ohwckl->nohw", patches, W)
    return y if b is None else y + b
