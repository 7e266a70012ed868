"""Functions of Chainer's that PyTorch has otherwise, or not at all. This module imports torch alone: its functions are copied
into ported files."""

import math

import torch
import torch.nn.functional as F


def _not_ported(place):
    """Stands for what was not run when the file was ported, or could not be ported."""
    raise NotImplementedError(f"{place} was not run when this was ported, or has no counterpart in PyTorch")


def _pair(value, count=2):
    """The value for each axis."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


def _axes(axis, x):
    """Axes as a tuple; None is all of them."""
    return tuple(range(x.ndim)) if axis is None else _pair(axis, 1)


def _along(value, x, axis):
    """The value in a shape that broadcasts against x, its first axis against that axis of x."""
    return value.reshape((1,) * axis + tuple(value.shape) + (1,) * (x.ndim - axis - value.ndim))


def _dtype(name):
    """torch's dtype by NumPy's name."""
    return {"i": torch.int32, "l": torch.int64, "b": torch.int8, "B": torch.uint8, "?": torch.bool}.get(name) or getattr(torch, name)


def _softplus(x, beta):
    """log(1 + exp(beta x)) / beta, without the threshold of torch's own."""
    return -F.logsigmoid(-beta * x) / beta


def _selu(x, alpha, scale):
    """scale times elu(x, alpha)."""
    return scale * F.elu(x, alpha)


def _maxout(x, pool_size, axis):
    """The largest of each pool_size consecutive channels."""
    shape = (*x.shape[:axis], x.shape[axis] // pool_size, pool_size, *x.shape[axis + 1 :])
    return torch.amax(x.reshape(shape), dim=axis + 1)


def _lstm(c, x):
    """New cell and output of gates that lie interleaved, as Chainer has them: input a, then i, f, o."""
    gates = x.reshape(x.shape[0], x.shape[1] // 4, 4, *x.shape[2:])
    a, i, f, o = torch.tanh(gates[:, :, 0]), torch.sigmoid(gates[:, :, 1]), torch.sigmoid(gates[:, :, 2]), torch.sigmoid(gates[:, :, 3])
    rest = c[len(x) :]
    c = a * i + f * c[: len(x)]
    return torch.cat((c, rest)), o * torch.tanh(c)


def _rollaxis(x, axis, start):
    """Move an axis in front of another, as numpy.rollaxis does."""
    axis, start = axis % x.ndim, start + x.ndim if start < 0 else start
    return torch.movedim(x, axis, start - 1 if axis < start else start)


def _tile(x, reps):
    """Repeat the whole array along each axis."""
    return torch.tile(x, _pair(reps, 1))


def _repeat(x, repeats, axis):
    """Repeat each element along an axis."""
    repeats = _pair(repeats, 1)
    if axis is None:
        x, axis = x.flatten(), 0
    counts = repeats[0] if len(repeats) == 1 else torch.tensor(repeats, device=x.device)
    return torch.repeat_interleave(x, counts, dim=axis)


def _pad(x, width, mode, value=0.0):
    """Pad each axis by (before, after), as numpy.pad does."""
    if isinstance(width, int):
        width = ((width, width),) * x.ndim
    elif isinstance(width[0], int):
        width = (tuple(width) if len(width) == 2 else (width[0], width[0]),) * x.ndim
    elif len(width) == 1:
        width = tuple(width) * x.ndim
    if mode == "constant":
        return F.pad(x, [n for sides in reversed(width) for n in sides], value=float(value))
    for axis, (before, after) in enumerate(width):
        size = x.shape[axis]
        index = torch.arange(-before, size + after, device=x.device)
        if mode == "edge":
            index = index.clamp(0, size - 1)
        elif mode == "wrap":
            index = index % size
        else:
            period = 2 * (size - 1) if mode == "reflect" else 2 * size
            index = index % max(period, 1)
            index = torch.where(index < size, index, period - index - (0 if mode == "reflect" else 1))
        x = torch.index_select(x, axis, index)
    return x


def _depth2space(x, r):
    """Turn channels into r x r times as many pixels; the channels of a pixel's place lie together."""
    n, c, h, w = x.shape
    x = x.reshape(n, r, r, c // r**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n, c // r**2, h * r, w * r)


def _space2depth(x, r):
    """The inverse of depth2space."""
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // r, r, w // r, r).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(n, r**2 * c, h // r, w // r)


def _select_item(x, t):
    """x[i, t[i]] for each i."""
    return x[torch.arange(len(t), device=x.device), t.long()]


def _permutate(x, indices, axis, inverse):
    """Reorder along an axis."""
    indices = indices.long()
    return torch.index_select(x, axis, torch.argsort(indices) if inverse else indices)


def _scatter_add(a, slices, b):
    """a with b added at the places of the index, repeated places as often as they occur."""
    index = slices if isinstance(slices, tuple) else (slices,)
    numbers = torch.arange(a.numel(), device=a.device).reshape(a.shape)[index]
    flat = a.reshape(-1).index_add(0, numbers.reshape(-1), torch.broadcast_to(b, numbers.shape).reshape(-1))
    return flat.reshape(a.shape)


def _pad_sequence(xs, length, padding):
    """Stack arrays of different lengths, filled up at the end."""
    longest = max(len(x) for x in xs) if length is None else length
    return torch.stack([F.pad(x, [0, 0] * (x.ndim - 1) + [0, longest - len(x)], value=padding) for x in xs])


def _dot(a, b):
    """numpy.dot: the sum over the last axis of a and the last but one of b."""
    if not torch.is_tensor(a) or not torch.is_tensor(b) or a.ndim == 0 or b.ndim == 0:
        return a * b
    return torch.matmul(a, b) if b.ndim <= 2 else torch.tensordot(a, b, dims=([a.ndim - 1], [b.ndim - 2]))


def _average(x, axis, weights, keepdims):
    """The weighted mean along axes."""
    axes = _axes(axis, x)
    if weights is None:
        return torch.mean(x, dim=axes, keepdim=keepdims)
    if weights.ndim != x.ndim:
        weights = _along(weights, x, axes[0])
    weights = torch.broadcast_to(weights, x.shape)
    return torch.sum(x * weights, dim=axes, keepdim=keepdims) / torch.sum(weights, dim=axes, keepdim=keepdims)


def _prod(x, axis, keepdims):
    """The product along axes."""
    for one in sorted((a % x.ndim for a in _axes(axis, x)), reverse=True):
        x = torch.prod(x, dim=one, keepdim=keepdims)
    return x


def _cumsum(x, axis):
    """Sums up to each element."""
    return torch.cumsum(x.flatten() if axis is None else x, dim=axis or 0)


def _cumprod(x, axis):
    """Products up to each element."""
    return torch.cumprod(x.flatten() if axis is None else x, dim=axis or 0)


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
    sides = [n for s, p in zip(reversed(stride), reversed(pad)) for n in (p, p + (s - 1 if cover_all else 0))]
    x = F.pad(x, sides, value=-math.inf)
    return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[count - 1](x, ksize, stride)


def _unpooling_2d(x, ksize, stride, pad, outsize, cover_all):
    """Each pixel fills its window; windows that overlap are summed."""
    (kh, kw), (ph, pw) = _pair(ksize), _pair(pad)
    sh, sw = (kh, kw) if stride is None else _pair(stride)
    n, c, h, w = x.shape
    if outsize is None:
        less = (sh - 1, sw - 1) if cover_all else (0, 0)
        outsize = (sh * (h - 1) + kh - less[0] - 2 * ph, sw * (w - 1) + kw - less[1] - 2 * pw)
    patches = x[:, :, None, None].expand(n, c, kh, kw, h, w).reshape(n, c * kh * kw, h * w)
    whole = ((h - 1) * sh + kh, (w - 1) * sw + kw)
    y = F.fold(patches, whole, (kh, kw), stride=(sh, sw))
    y = F.pad(y, (0, max(0, pw + outsize[1] - whole[1]), 0, max(0, ph + outsize[0] - whole[0])))
    return y[:, :, ph : ph + outsize[0], pw : pw + outsize[1]]


def _deconvolution(x, W, b, stride, pad, outsize, groups=1, dilate=1):
    """A transposed convolution whose output has the size that is asked for."""
    count = x.ndim - 2
    stride, pad, dilate = _pair(stride, count), _pair(pad, count), _pair(dilate, count)
    least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in zip(x.shape[2:], stride, pad, dilate, W.shape[2:])]
    further = [o - size for o, size in zip(_pair(outsize, count), least)]
    if all(0 <= f < max(s, d) for f, s, d in zip(further, stride, dilate)):
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
    norm = torch.sqrt(torch.sum(torch.square(x), dim=axis, keepdim=True))
    return x / (norm + eps)


def _batch_normalization(x, gamma, beta, eps, running_mean, running_var, decay):
    """Normalise by the batch, and move the running statistics, if there are any."""
    return F.batch_norm(x, running_mean, running_var, gamma, beta, True, 1.0 - decay, eps)


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
    n, c, h, w = x.shape
    levels = []
    for level in range(pyramid_height):
        count = 2**level
        kh, kw = math.ceil(h / count), math.ceil(w / count)
        ph, pw = (kh * count - h + 1) // 2, (kw * count - w + 1) // 2
        levels.append(_max_pooling(x, (kh, kw), None, (ph, pw), True).reshape(n, -1, 1, 1))
    return torch.cat(levels, dim=1)


def _reduced(loss, reduce):
    """The mean, the sum or each of the losses."""
    return loss.mean() if reduce == "mean" else loss.sum() if reduce == "sum" else loss


def _softmax_cross_entropy(x, t, normalize, class_weight, ignore_label, reduce):
    """-log softmax(x)[t]; its mean over the labels that are not ignored, or over the batch."""
    loss = F.cross_entropy(x, t.long(), weight=class_weight, ignore_index=ignore_label, reduction="none")
    if reduce == "no":
        return loss
    count = torch.sum(t != ignore_label).clamp(min=1) if normalize else max(len(x), 1)
    return loss.sum() / count


def _sigmoid_cross_entropy(x, t, normalize, reduce):
    """-(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), without labels of -1."""
    kept = (t != -1).to(x.dtype)
    loss = kept * (F.relu(x) - t.to(x.dtype) * x - F.logsigmoid(x.abs()))
    if reduce == "no":
        return loss
    count = kept.sum().clamp(min=1) if normalize else max(len(x), 1)
    return loss.sum() / count


def _bernoulli_nll(x, y, reduce):
    """softplus(y) - x y: y is the logit."""
    return _reduced(-F.logsigmoid(-y) - x * y, reduce)


def _gaussian_kl_divergence(mean, ln_var, reduce):
    """From N(mean, exp(ln_var)) to N(0, 1)."""
    return _reduced((mean * mean + torch.exp(ln_var) - ln_var - 1) * 0.5, reduce)


def _gaussian_nll(x, mean, ln_var, reduce):
    """Of x under N(mean, exp(ln_var))."""
    return _reduced((ln_var + math.log(2 * math.pi)) / 2 + torch.square(x - mean) * torch.exp(-ln_var) * 0.5, reduce)


def _hinge(x, t, norm, reduce):
    """max(0, 1 - x) for the label's class, max(0, 1 + x) for the others."""
    sign = torch.ones_like(x)
    sign[torch.arange(len(t), device=x.device), t.long()] = -1
    loss = F.relu(1 + sign * x)
    loss = torch.square(loss) if norm == "L2" else loss
    return loss.sum() / len(x) if reduce == "mean" else loss


def _huber_loss(x, t, delta, reduce):
    """Quadratic up to delta, linear beyond."""
    distance = (x - t).abs()
    loss = torch.where(distance < delta, 0.5 * torch.square(x - t), delta * (distance - 0.5 * delta))
    return loss if reduce == "no" else loss.sum(dim=1)


def _contrastive(x0, x1, y, margin, reduce):
    """Pulls pairs of label 1 together, and pushes others apart up to a margin."""
    squared = torch.sum(torch.square(x0 - x1), dim=1)
    far = torch.square(F.relu(margin - torch.sqrt(squared)))
    return _reduced((y * squared + (1 - y) * far) * 0.5, reduce)


def _triplet(anchor, positive, negative, margin, reduce):
    """max(0, |a - p|^2 - |a - n|^2 + margin)."""
    distance = torch.sum(torch.square(anchor - positive) - torch.square(anchor - negative), dim=1)
    return _reduced(F.relu(distance + margin), reduce)


def _accuracy(y, t, ignore_label):
    """The share of labels that are the largest of their row."""
    found = torch.argmax(y, dim=1).reshape(t.shape) == t
    kept = torch.ones_like(found) if ignore_label is None else t != ignore_label
    return (found & kept).sum().to(y.dtype) / kept.sum().clamp(min=1)
