"""Chainer's hooks of optimisers in PyTorch; each changes the gradients of a list of parameters in place, as Chainer 7.8.1 does.

The file imports torch alone. A parameter that a model holds under two names stands twice in the list, and is changed twice.
GradientNoise is not here: its noise comes from a generator that cannot be continued.
"""

import math

import torch


class WeightDecay:
    """g = g + rate p."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, parameters):
        for p in parameters:
            p.grad += self.rate * p


class Lasso:
    """g = g + rate sign(p)."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, parameters):
        for p in parameters:
            p.grad += self.rate * p.sign()


class GradientClipping:
    """g = g min(1, threshold / norm), with the norm of all gradients together.

    torch.nn.utils.clip_grad_norm_ divides by norm + 1e-6.
    """

    def __init__(self, threshold):
        self.threshold = threshold

    def __call__(self, parameters):
        squares = sum(torch.dot(p.grad.flatten(), p.grad.flatten()) for p in parameters)
        norm = math.sqrt(squares)
        if norm == 0 or self.threshold / norm >= 1:  # not so where the norm is NaN: then every gradient becomes NaN
            return
        for p in parameters:
            p.grad *= self.threshold / norm


class GradientHardClipping:
    """g = min(max(g, lower_bound), upper_bound), element by element."""

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def __call__(self, parameters):
        for p in parameters:
            p.grad.clamp_(self.lower_bound, self.upper_bound)


class GradientLARS:
    """g = rate (g + weight_decay p) with rate = |p| / (eps + |g| + weight_decay |p|) where |p| > threshold, otherwise 1."""

    def __init__(self, threshold, weight_decay, eps):
        self.threshold = threshold
        self.weight_decay = weight_decay
        self.eps = eps

    def __call__(self, parameters):
        for p in parameters:
            p_norm, g_norm = p.norm(), p.grad.norm()
            rate = 1.0
            if p_norm > self.threshold:
                rate = p_norm / (self.eps + g_norm + self.weight_decay * p_norm)
            p.grad += self.weight_decay * p
            p.grad *= rate
