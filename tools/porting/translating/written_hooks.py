"""Chainer's link hooks that change a weight before each call. This module imports torch alone: its classes are copied into ported
files."""

import torch
import torch.nn.functional as F
from torch import nn


class _WeightHook:
    """Gives a layer another weight for the time of each call; the layer's own weight is what is trained.

    `normalise` gives the weight from the layer's own.
    """

    def add(self, layer):
        """Have the layer's calls go through this. Returns: the layer."""
        self.name = "weight" if hasattr(layer, "weight") else "W"
        layer.register_forward_pre_hook(self.before)
        layer.register_forward_hook(self.after, always_call=True)
        return layer

    def before(self, layer, inputs):
        self.own = layer._parameters.pop(self.name)
        setattr(layer, self.name, self.normalise(layer, self.own))

    def after(self, layer, inputs, output):
        delattr(layer, self.name)
        layer.register_parameter(self.name, self.own)


class _SpectralNormalization(_WeightHook):
    """The weight over its largest singular value, by power iteration from W_u, which moves in training."""

    def __init__(self, n_power_iteration=1, eps=1e-6, use_gamma=False, factor=None):
        self.n_power_iteration, self.eps, self.use_gamma, self.factor = n_power_iteration, eps, use_gamma, factor

    def add(self, layer):
        super().add(layer)
        weight = getattr(layer, self.name)
        self.axis = 1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) or hasattr(layer, "outsize") else 0
        layer.register_buffer("W_u", torch.randn(weight.shape[self.axis]))
        if self.use_gamma:
            layer.gamma = nn.Parameter(torch.linalg.matrix_norm(self.matrix(weight.detach()), 2))
        return layer

    def matrix(self, weight):
        """The weight as a matrix, outputs first."""
        return torch.movedim(weight, self.axis, 0).flatten(1)

    def normalise(self, layer, weight):
        matrix, u = self.matrix(weight), layer.W_u
        with torch.no_grad():
            for _ in range(self.n_power_iteration):
                v = torch.matmul(u, matrix)
                v = v / (torch.linalg.vector_norm(v) + self.eps)
                u = torch.matmul(matrix, v)
                u = u / (torch.linalg.vector_norm(u) + self.eps)
        sigma = torch.matmul(torch.matmul(u, matrix), v)
        sigma = sigma if self.factor is None else sigma / self.factor
        weight = layer.gamma * weight / sigma if self.use_gamma else weight / sigma
        if layer.training:
            layer.W_u = u
        return weight


class _WeightStandardization(_WeightHook):
    """The weights of each output with mean 0 and variance 1."""

    def __init__(self, eps=1e-5):
        self.eps = eps

    def normalise(self, layer, weight):
        return F.layer_norm(weight, weight.shape[1:], eps=self.eps)
