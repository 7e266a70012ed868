"""Short functions that an exported file for PyTorch has where a layer needs one: source, by name.

`spec.layers` has the equations.
"""

from __future__ import annotations

FUNCTIONS = {
    "standardised": '''def standardised(x, groups, epsilon):
    """Mean 0 and variance 1 over each of some equal groups of channels of each sample."""
    h = x.reshape(x.shape[0], groups, -1)
    h = h - h.mean(dim=2, keepdim=True)
    return (h / torch.sqrt((h * h).mean(dim=2, keepdim=True) + epsilon)).reshape(x.shape)''',
    "pixel_norm": '''def pixel_norm(x, epsilon):
    """Each pixel, divided by the root of its channels' mean square."""
    return x / torch.sqrt((x * x).mean(dim=1, keepdim=True) + epsilon)''',
    "normalize": '''def normalize(x, epsilon):
    """Each pixel, divided by the Euclidean norm of its channels, plus epsilon."""
    return x / (torch.sqrt((x * x).sum(dim=1, keepdim=True)) + epsilon)''',
    "local_response_norm": '''def local_response_norm(x, n, k, alpha, beta):
    """Each number, divided by a power of the squares of the n channels around it; PyTorch's own divides alpha by n."""
    square, none = x * x, torch.zeros_like(x[:, :1]).repeat_interleave(n // 2, dim=1)
    padded = torch.cat([none, square, none], dim=1)
    near = sum(padded[:, i : i + x.shape[1]] for i in range(n))
    return x * (near * alpha + k) ** -beta''',
    "minibatch_std": '''def minibatch_std(x, epsilon):
    """x, and one more channel that holds the mean deviation over the batch."""
    centred = x - x.mean(dim=0, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=0) + epsilon).mean()
    return torch.cat([x, spread.expand(x.shape[0], 1, *x.shape[2:])], dim=1)''',
    "minibatch_discrimination": '''def minibatch_discrimination(x, kernels, dimensions):
    """How close each sample is to the others of its batch."""
    m = x.reshape(-1, kernels, dimensions)
    distance = torch.abs(m[:, None] - m[None]).sum(dim=3)
    return torch.exp(-distance).sum(dim=1) - 1.0''',
}
