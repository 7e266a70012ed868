"""Spectral norm: a weight divided by its largest singular value; on the CPU with a gradient of two passes over the weight."""

from __future__ import annotations

from typing import Any

import chainer.functions as F
import numpy as np
from chainer import FunctionNode, config

from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.threads import PIECE, THREADS, in_pieces

KERNELS = 4  # axes of the weights of a convolution


class SpectralNorm(FunctionNode):
    """W (out, ...) -> W / s with s = u^T W v, where W is the matrix (out, rest); u and v are constants.

    The gradient is (g - c u v^T) / s with c = sum(g W) / s.

    Source: Miyato, Kataoka, Koyama, Yoshida 2018, arXiv:1802.05957, equation 10.

    Args:
        u, v: the first singular vectors, or their estimates, (out,) and (rest,).
        s: u^T W v.
    """

    def __init__(self, u: Any, v: Any, s: Any) -> None:
        self.u, self.v, self.s = u, v, s

    def forward(self, inputs: tuple[Any]) -> tuple[Any]:
        self.retain_inputs((0,))
        W = matrix(inputs[0])
        made = np.empty_like(W)
        in_pieces(*W.shape, lambda rows: np.divide(W[rows], self.s, out=made[rows]))
        return (shaped(made, inputs[0].shape),)

    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array]) -> tuple[Array]:
        (W,), (g,) = self.get_retained_inputs(), gradients
        if config.enable_backprop:  # it is differentiated again: W in s counts
            return (self._gradient(W, g),)
        shape, W, g = W.shape, matrix(W.array), matrix(g.array)
        products = in_pieces(*W.shape, lambda rows: np.vdot(g[rows], W[rows]))
        c, made = np.sum(products, dtype=W.dtype) / self.s, np.empty_like(W)

        def differentiate(rows: slice) -> None:
            part = np.multiply.outer(self.u[rows] * c, self.v, out=made[rows])
            np.subtract(g[rows], part, out=part)
            part /= self.s

        in_pieces(*W.shape, differentiate)
        return (Array(shaped(made, shape), requires_grad=False),)

    def _gradient(self, W: Array, g: Array) -> Array:
        """Returns: the gradient, from operations that can be differentiated."""
        shape, W, g = W.shape, matrix(W), matrix(g)
        s = F.sum(self.u * F.matmul(W, Array(self.v, requires_grad=False)))
        c = F.broadcast_to(F.sum(g * W) / s, W.shape)
        return shaped((g - c * np.multiply.outer(self.u, self.v)) / F.broadcast_to(s, W.shape), shape)


def divided(W: Array, u: Any, v: Any) -> Array:
    """Returns: W / s, from operations of Chainer."""
    s = F.sum(u * F.matmul(matrix(W), Array(v, requires_grad=False)))
    return W / F.broadcast_to(s, W.shape)


def matrix(W: Any) -> Any:
    """Returns: W (out, ...) as a matrix (out, rest), where kernels (out, in, kh, kw) have the order kh, kw, in: they lie so."""
    return (W.transpose(0, 2, 3, 1) if W.ndim == KERNELS else W).reshape(len(W), -1)


def shaped(rows: Any, shape: tuple[int, ...]) -> Any:
    """Returns: the matrix of `matrix` as W."""
    if len(shape) != KERNELS:
        return rows.reshape(shape)
    first, second, height, width = shape
    return rows.reshape(first, height, width, second).transpose(0, 3, 1, 2)


def times(matrix: Any, vector: Any) -> Any:
    """Returns: the product of a matrix and a vector; of NumPy's threads share the rows."""
    if not isinstance(matrix, np.ndarray):
        return matrix @ vector
    product = np.empty(len(matrix), matrix.dtype)
    THREADS.over(len(matrix), lambda rows: np.matmul(matrix[rows], vector, out=product[rows]), -(-PIECE // len(vector)))
    return product
