"""Short functions that an exported file for Chainer has where a layer needs one: source, by name.

`spec.layers` has the equations.
"""

from __future__ import annotations

FUNCTIONS = {
    "one_hot": '''def one_hot(labels, count, on, off, dtype):
    """A vector for each label that is `on` at its place and `off` elsewhere."""
    xp = chainer.backend.get_array_module(labels)
    labels = labels.array if isinstance(labels, chainer.Variable) else labels
    codes = xp.full((len(labels), count), off, dtype=dtype)
    codes[xp.arange(len(labels)), labels] = on
    return chainer.Variable(codes)''',
    "standardised": '''def standardised(x, groups, epsilon):
    """Mean 0 and variance 1 over each of some equal groups of channels of each sample."""
    h = F.reshape(x, (len(x), groups, -1))
    h = h - F.broadcast_to(F.mean(h, axis=2, keepdims=True), h.shape)
    root = F.sqrt(F.mean(h * h, axis=2, keepdims=True) + epsilon)
    return F.reshape(h / F.broadcast_to(root, h.shape), x.shape)''',
    "prelu": '''def prelu(x, slope):
    """x where it is positive, and slope times x elsewhere."""
    x = chainer.as_variable(x)
    return F.where(x.array > 0, x, slope * x)''',
    "pixel_norm": '''def pixel_norm(x, epsilon):
    """Each pixel, divided by the root of its channels' mean square."""
    return x / F.broadcast_to(F.sqrt(F.mean(x * x, axis=1, keepdims=True) + epsilon), x.shape)''',
    "normalize": '''def normalize(x, epsilon):
    """Each pixel, divided by the Euclidean norm of its channels, plus epsilon."""
    return x / F.broadcast_to(F.sqrt(F.sum(x * x, axis=1, keepdims=True)) + epsilon, x.shape)''',
    "local_response_norm": '''def local_response_norm(x, n, k, alpha, beta):
    """Each number, divided by a power of the squares of the n channels around it."""
    around = ((0, 0), (n // 2, n // 2)) + ((0, 0),) * (x.ndim - 2)
    padded = F.pad(x * x, around, "constant", constant_values=0.0)
    near = sum(padded[:, i : i + x.shape[1]] for i in range(n))
    return x * (near * alpha + k) ** -beta''',
    "minibatch_std": '''def minibatch_std(x, epsilon):
    """x, and one more channel that holds the mean deviation over the batch."""
    centred = x - F.broadcast_to(F.mean(x, axis=0, keepdims=True), x.shape)
    spread = F.mean(F.sqrt(F.mean(centred * centred, axis=0) + epsilon))
    return F.concat([x, F.broadcast_to(spread, (len(x), 1) + x.shape[2:])], axis=1)''',
    "minibatch_discrimination": '''def minibatch_discrimination(x, kernels, dimensions):
    """How close each sample is to the others of its batch."""
    m, pairs = F.reshape(x, (len(x), 1, kernels, dimensions)), (len(x), len(x), kernels, dimensions)
    distance = F.absolute(F.broadcast_to(m, pairs) - F.broadcast_to(F.transpose(m, (1, 0, 2, 3)), pairs))
    return F.sum(F.exp(-F.sum(distance, axis=3)), axis=1) - 1.0''',
}
