"""Spectral norm: a weight divided by its largest singular value; on the CPU with a gradient of two passes over the weight."""

from __future__ import annotations

import math
from typing import Any

import chainer.functions as F
import numpy as np
from chainer import FunctionNode, config

from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.threads import THREADS, in_pieces

PIECE = 1 << 15  # numbers


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
        made = np.empty_like(inputs[0])
        _in_pieces(made, lambda rows: np.divide(inputs[0][rows], self.s, out=made[rows]))
        return (made,)

    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array]) -> tuple[Array]:
        (W,), (g,) = self.get_retained_inputs(), gradients
        if config.enable_backprop:  # it is differentiated again: W in s counts
            return (_gradient(W, g, self.u, self.v),)
        W, g, out = W.array, g.array, np.empty_like(W.array)

        def product(rows: slice) -> Any:
            out[rows] = g[rows]  # in the order of W
            return np.vdot(out[rows], W[rows])

        c = np.sum(_in_pieces(W, product), dtype=W.dtype) / self.s
        flat = out.reshape(len(out), -1)

        def subtract(rows: slice) -> None:
            flat[rows] -= np.multiply.outer(self.u[rows] * c, self.v)
            flat[rows] /= self.s

        _in_pieces(W, subtract)
        return (Array(out, requires_grad=False),)


def divided(W: Array, u: Any, v: Any) -> Array:
    """Returns: W / s, from operations of Chainer."""
    s = F.sum(u * F.matmul(F.reshape(W, (len(W), -1)), Array(v, requires_grad=False)))
    return W / F.broadcast_to(s, W.shape)


def _gradient(W: Array, g: Array, u: Any, v: Any) -> Array:
    """Returns: the gradient of `SpectralNorm`, from operations that can be differentiated."""
    matrix = F.reshape(W, (len(W), -1))
    s = F.sum(u * F.matmul(matrix, Array(v, requires_grad=False)))
    c = F.broadcast_to(F.sum(g * W) / s, matrix.shape)
    rest = F.reshape(g, matrix.shape) - c * np.multiply.outer(u, v)
    return F.reshape(rest / F.broadcast_to(s, matrix.shape), W.shape)


def times(matrix: Any, vector: Any) -> Any:
    """Returns: the product of a matrix and a vector; of NumPy's threads share the rows."""
    if not isinstance(matrix, np.ndarray):
        return matrix @ vector
    product = np.empty(len(matrix), matrix.dtype)
    THREADS.over(len(matrix), lambda rows: np.matmul(matrix[rows], vector, out=product[rows]), -(-PIECE // len(vector)))
    return product


def _in_pieces(W: Any, work: Any) -> list[Any]:
    return in_pieces(len(W), max(1, PIECE // math.prod(W.shape[1:])), work)
