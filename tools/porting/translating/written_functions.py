"""Functions of Chainer's over arrays that PyTorch has otherwise, or not at all. This module imports torch alone: its functions
are copied into ported files, as are those of the other modules `written_*`."""

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


def _dtype(kind):
    """torch's dtype of one of NumPy's by its character or name."""
    kinds = {"i": torch.int32, "l": torch.int64, "q": torch.int64, "b": torch.int8, "B": torch.uint8, "?": torch.bool}
    if isinstance(kind, torch.dtype):
        return kind
    return (
        torch.get_default_dtype()
        if kind in ("f", "d", "e") or "float" in kind
        else kinds.get(kind) or getattr(torch, kind)
    )


def _softplus(x, beta):
    """log(1 + exp(beta x)) / beta, without the threshold of torch's own."""
    return -F.logsigmoid(-beta * x) / beta


def _selu(x, alpha, scale):
    """scale times elu(x, alpha)."""
    return scale * F.elu(x, alpha)


def _largest(x, axis, keepdims):
    """The largest along axes. Each of several equal ones has the slope 1, as in Chainer; torch's own share it."""
    axes = _axes(axis, x)
    y = torch.amax(x.detach(), dim=axes, keepdim=True)
    slopes = torch.where(x == y, x - x.detach(), torch.zeros_like(x))
    return torch.amax(x.detach(), dim=axes, keepdim=keepdims) + torch.sum(slopes, dim=axes, keepdim=keepdims)


def _maximum(a, b):
    """The larger. Of equal numbers the first has the slope 1, as in Chainer; torch's own share it."""
    return torch.where(a >= b, a, b)


def _minimum(a, b):
    """The smaller. Of equal numbers the first has the slope 1, as in Chainer; torch's own share it."""
    return torch.where(a <= b, a, b)


def _maxout(x, pool_size, axis):
    """The largest of each pool_size consecutive channels."""
    shape = (*x.shape[:axis], x.shape[axis] // pool_size, pool_size, *x.shape[axis + 1 :])
    return _largest(x.reshape(shape), axis + 1, False)


def _lstm(c, x):
    """New cell and output of gates that lie interleaved, as Chainer has them: input a, then i, f, o."""
    gates = x.reshape(x.shape[0], x.shape[1] // 4, 4, *x.shape[2:])
    a, i, f, o = (
        torch.tanh(gates[:, :, 0]),
        torch.sigmoid(gates[:, :, 1]),
        torch.sigmoid(gates[:, :, 2]),
        torch.sigmoid(gates[:, :, 3]),
    )
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
    """Pad each axis by (before, after), as numpy.pad does; only constants let Chainer's gradient through as it should be.

    Of the other modes Chainer's gradient leaves out what was added, and so does this.
    """
    if isinstance(width, int):
        width = ((width, width),) * x.ndim
    elif isinstance(width[0], int):
        width = (tuple(width) if len(width) == 2 else (width[0], width[0]),) * x.ndim
    elif len(width) == 1:
        width = tuple(width) * x.ndim
    sides = [n for pair in reversed(width) for n in pair]
    if mode == "constant":
        return F.pad(x, sides, value=float(value))
    inner, x = x, x.detach()
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
    return x + F.pad(inner - inner.detach(), sides)


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


def _batch_matmul(a, b, transa, transb):
    """The product of each pair of matrices; a vector for each is a column."""
    a, b = a[..., None] if a.ndim == 2 else a, b[..., None] if b.ndim == 2 else b
    return torch.matmul(a.mT if transa else a, b.mT if transb else b)


def _sum_to(x, shape):
    """Sum over the axes along which the shape was broadcast."""
    further = x.ndim - len(shape)
    x = torch.sum(x, dim=tuple(range(further))) if further else x
    axes = tuple(i for i, n in enumerate(shape) if n == 1)
    return torch.sum(x, dim=axes, keepdim=True) if axes else x


def _transpose_sequence(xs):
    """Of sequences in descending order of their lengths, what each step has; and the inverse."""
    return tuple(torch.stack([x[step] for x in xs if len(x) > step]) for step in range(len(xs[0]) if len(xs) else 0))


def _spatial_transformer_grid(theta, output_shape):
    """Where the pixels of the output lie in the input: theta (x, y, 1), coordinates from -1 to 1."""
    height, width = output_shape
    ys = torch.linspace(-1, 1, height, dtype=theta.dtype, device=theta.device)
    xs = torch.linspace(-1, 1, width, dtype=theta.dtype, device=theta.device)
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    places = torch.stack((x.flatten(), y.flatten(), torch.ones_like(x).flatten()))
    return torch.matmul(theta, places).reshape(len(theta), 2, height, width)


def _spatial_transformer_sampler(x, grid):
    """Bilinear samples at the places of the grid; outside there are zeros."""
    places = torch.movedim(grid, 1, 3)
    return F.grid_sample(x, places, mode="bilinear", padding_mode="zeros", align_corners=True)


def _gumbel_softmax(log_pi, tau, axis):
    """softmax((log_pi + g) / tau), g from Gumbel(0, 1)."""
    waiting = torch.empty_like(log_pi).exponential_()
    return torch.softmax((log_pi - torch.log(waiting)) / tau, dim=axis)


def _zoneout(h, x, ratio, training):
    """In training h where a uniform number is below the ratio, else x."""
    return torch.where(torch.rand_like(x) >= ratio, x, h) if training else x


def _concat_examples(xs, padding):
    """Stack arrays, filled up to the largest of them at the end of each axis."""
    sizes = [max(x.shape[axis] for x in xs) for axis in range(xs[0].ndim)]
    sides = [
        [n for size, own in zip(reversed(sizes), reversed(x.shape), strict=True) for n in (0, size - own)] for x in xs
    ]
    return torch.stack([F.pad(x, side, value=padding) for x, side in zip(xs, sides, strict=True)])


def _conv_outsize(size, k, s, p, cover_all=False, d=1):
    """The size of a convolution's or pooling's output along one axis."""
    extent = size + 2 * p - (k + (k - 1) * (d - 1))
    return (extent + s - 1) // s + 1 if cover_all else extent // s + 1


def _deconv_outsize(size, k, s, p, cover_all=False, d=1):
    """The size of a transposed convolution's output along one axis."""
    extent = k + (k - 1) * (d - 1)
    return s * (size - 1) + extent - (s - 1 if cover_all else 0) - 2 * p
