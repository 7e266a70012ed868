"""Gradients that can be differentiated again, for functions of Chainer that cannot.

Each function here writes a function of Chainer once more, composed of functions that Chainer differentiates
any number of times. It is used only where gradients are computed with ``enable_double_backprop=True``,
where upstream stops with an error, or leaves the graph without one; the first gradient without that option,
and every forward pass, are upstream's own. Imported by the mended modules when they run, never before.
"""

import chainer
import numpy
from chainer import functions as F
from chainer.backend import get_array_module


def gradients(composed, inputs, grad_outputs, indexes):
    """Return the gradients of ``composed(*inputs)``, as variables, with respect to the inputs of these indexes.

    None where the result does not depend on the input.
    """
    double = chainer.config.enable_backprop
    # In the last of several passes Chainer keeps no graph, and here one is needed all the same.
    with chainer.force_backprop_mode():
        # Inputs may depend on one another; only the way through this function is wanted.
        inputs = [F.identity(x) if i in indexes else x for i, x in enumerate(inputs)]
        outputs = composed(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [(y, F.cast(gy, y.dtype)) for y, gy in zip(outputs, grad_outputs, strict=True) if gy is not None]
    wanted = [inputs[i] for i in indexes]
    return tuple(chainer.grad([y for y, _ in pairs], wanted, [gy for _, gy in pairs], enable_double_backprop=double))


def of_function(node, indexes, grad_outputs):
    """Return the gradients of an old-style function that is in ``COMPOSED``; None if it is not.

    Args:
        node: ``FunctionAdapter``, which retains all inputs.
        indexes: indexes of the inputs whose gradients are wanted.
        grad_outputs: variable or None for each output.
    """
    function = node.function
    composed = COMPOSED.get(f"{type(function).__module__}.{type(function).__qualname__}")
    if composed is None:
        return None
    return gradients(lambda *inputs: composed(function, *inputs), node.get_retained_inputs(), grad_outputs, indexes)


def hinge(function, x, t):
    """max(0, 1 - s x), squared for L2, with s = 1 in the column of the label and -1 elsewhere."""
    xp = get_array_module(x)
    sign = xp.where(xp.arange(x.shape[1]) == t.array[:, None], -1, 1).astype(x.dtype)
    loss = F.relu(1 + sign * x)
    loss = loss if function.norm == "L1" else loss * loss
    return loss if function.reduce == "no" else F.sum(loss) / len(x)


def batch_renormalization(function, x, gamma, beta):
    """gamma ((x - mean) / std r + d) + beta, where r and d are constants, as in the paper."""
    axis = (0, *range(gamma.ndim + 1, x.ndim))
    expander = (None, Ellipsis) + (None,) * (x.ndim - gamma.ndim - 1)
    r = function.r[expander]
    d = function.x_hat_renorm - function.x_hat * r
    wide = F.cast(x, gamma.dtype)
    centred = wide - F.broadcast_to(F.mean(wide, axis, keepdims=True), x.shape)
    std = F.sqrt(F.mean(centred * centred, axis, keepdims=True) + function.eps)
    renormalized = centred / F.broadcast_to(std, x.shape) * r + d
    gamma, beta = (F.broadcast_to(a[expander], x.shape) for a in (gamma, beta))
    return F.cast(gamma * renormalized + beta, x.dtype)


def decov(function, h):
    """The covariances off the diagonal, or half the sum of their squares."""
    centred = h - F.broadcast_to(F.mean(h, 0, keepdims=True), h.shape)
    off_diagonal = 1 - get_array_module(h).eye(h.shape[1], dtype=h.dtype)
    covariance = F.matmul(centred, centred, transa=True) * off_diagonal / len(h)
    return covariance if function.reduce == "no" else F.sum(covariance * covariance) / 2


def tree_lstm(_, *inputs):
    """c = tanh(a) sigmoid(i) + sum of sigmoid(f) c over the children, h = sigmoid(o) tanh(c)."""
    *cells, x = inputs
    a, i, o, *forget = F.split_axis(x, 3 + len(cells), 1)
    c = F.tanh(a) * F.sigmoid(i) + sum(F.sigmoid(f) * cell for f, cell in zip(forget, cells, strict=True))
    return c, F.sigmoid(o) * F.tanh(c)


def spatial_transformer_grid(function, theta):
    """theta times the coordinates (x, y, 1) of each pixel, x and y from -1 to 1."""
    height, width = function.output_shape
    xp = get_array_module(theta)
    y = xp.repeat(xp.linspace(-1, 1, height, dtype=theta.dtype), width)
    x = xp.tile(xp.linspace(-1, 1, width, dtype=theta.dtype), height)
    coordinates = xp.stack([x, y, xp.ones_like(x)])
    flat = F.matmul(F.reshape(theta, (-1, 3)), coordinates)
    return F.reshape(flat, (len(theta), 2, height, width))


def spatial_transformer_sampler(_, x, grid):
    """The bilinear mean of the four pixels around each point; outside of the image all is zero."""
    height, width = x.shape[2:]
    xp = get_array_module(x)
    # One pixel of padding, whose coordinates are 0 and the size plus 1; points beyond are moved to its edge.
    u = F.clip((grid[:, 0] + 1) * ((width - 1) / 2) + 1, 0.0, width + 1.0)
    v = F.clip((grid[:, 1] + 1) * ((height - 1) / 2) + 1, 0.0, height + 1.0)
    u0 = xp.floor(u.array).clip(0, width).astype(numpy.int32)
    v0 = xp.floor(v.array).clip(0, height).astype(numpy.int32)
    padded = F.transpose(F.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant"), (0, 2, 3, 1))
    sample = xp.arange(len(x))[:, None, None]
    y = 0
    for dv, dy in ((v0 + 1 - v, 0), (v - v0, 1)):
        for du, dx in ((u0 + 1 - u, 0), (u - u0, 1)):
            pixel = padded[sample, v0 + dy, u0 + dx]
            y += F.broadcast_to((dv * du)[..., None], pixel.shape) * pixel
    return F.transpose(y, (0, 3, 1, 2))


_FUNCTIONS = "chainer.functions."
COMPOSED = {
    _FUNCTIONS + "loss.hinge.Hinge": hinge,
    _FUNCTIONS + "loss.decov.DeCov": decov,
    _FUNCTIONS + "normalization.batch_renormalization.BatchRenormalizationFunction": batch_renormalization,
    _FUNCTIONS + "rnn.tree_lstm.TreeLSTM": tree_lstm,
    _FUNCTIONS + "array.spatial_transformer_grid.SpatialTransformerGrid": spatial_transformer_grid,
    _FUNCTIONS + "array.spatial_transformer_sampler.SpatialTransformerSampler": spatial_transformer_sampler,
}


def local_convolution_2d(node, indexes, grad_outputs):
    """The gradients of a convolution whose weights differ from place to place."""
    x, weight = node.get_retained_inputs()
    rows, columns = weight.shape[1:3]
    height, width = weight.shape[4:]

    def composed(x, weight):
        places = []
        for i in range(rows):
            for j in range(columns):
                top, left = i * node.sy, j * node.sx
                patch = F.reshape(x[:, :, top : top + height, left : left + width], (len(x), -1))
                places.append(F.matmul(patch, F.reshape(weight[:, i, j], (len(weight), -1)), transb=True))
        return F.reshape(F.stack(places, 2), (len(x), len(weight), rows, columns))

    found = iter(gradients(composed, (x, weight), grad_outputs, [i for i in indexes if i < 2]))
    return tuple(F.sum(grad_outputs[0], axis=0) if i == 2 else next(found) for i in indexes)


def local_response_normalization(node, grad_outputs):
    """The gradients of the gradient of x (k + alpha S)^-beta, S the sum of x^2 over neighbouring channels."""
    half = node.n // 2

    def composed(x):
        squares = F.pad(x * x, [(0, 0), (half, half)] + [(0, 0)] * (x.ndim - 2), "constant")
        window = sum(squares[:, i : i + x.shape[1]] for i in range(2 * half + 1))
        return x * (node.k + node.alpha * window) ** -node.beta

    def gradient(x, gy):
        return gradients(composed, (x,), (gy,), [0])

    gx, ggy = gradients(gradient, node.get_retained_inputs(), grad_outputs, [0, 1])
    return gx, None, ggy


def softmax_cross_entropy(node, grad_outputs):
    """The gradients of (softmax(x) - t) w gloss, 0 where the label is ignored."""
    t = node.get_retained_inputs()[1].array
    xp = get_array_module(t)

    def gradient(x, gloss):
        if node.soft_target:
            target, weight = t, xp.ones_like(t)
        else:
            classes = xp.arange(x.shape[1]).reshape((1, -1) + (1,) * (x.ndim - 2))
            target = (classes == xp.expand_dims(t, 1)).astype(x.dtype)
            weight = xp.expand_dims(t != node.ignore_label, 1).astype(x.dtype)
            if node.class_weight is not None:
                weights = xp.asarray(node.class_weight, dtype=x.dtype)
                weight = weight * xp.expand_dims(weights[xp.where(t == node.ignore_label, 0, t)], 1)
        gloss = F.cast(gloss, x.dtype)
        # The reduced loss has a coefficient; the other has one value for each sample and place.
        gloss = gloss * node.coeff if node.coeff is not None else F.expand_dims(gloss, 1)
        return (F.softmax(x) - target) * xp.broadcast_to(weight, x.shape) * F.broadcast_to(gloss, x.shape)

    x, _, gloss = node.get_retained_inputs()
    gx, ggloss = gradients(gradient, (x, gloss), grad_outputs, [0, 1])
    return gx, None, ggloss


def zeros_for_none(gradients_, arrays):
    """Return the gradients, zeros in place of each None; the arrays have their shapes."""
    return [chainer.as_variable(a.xp.zeros_like(a.array)) if g is None else g for g, a in zip(gradients_, arrays)]  # noqa: B905
