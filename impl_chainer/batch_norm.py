"""Batch norm in training on the CPU, in pieces that stay in the cache and that threads share.

Chainer's own goes through the whole batch about ten times forward and as often backward, each time through main memory. Here x is
read twice forward, for the statistics and for the result, and x and the gradient of y are read twice backward. The second
derivative is Chainer's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from chainer.functions.normalization.batch_normalization import BatchNormalization, GeneralBatchNormalizationImpl

from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.threads import in_pieces


def batch_norm(
    x: Array, gamma: Array, beta: Array, *, epsilon: float, mean: Any, variance: Any, momentum: float
) -> Array:
    """Normalise each channel by the batch, and move the running statistics.

        y = gamma (x - m) / sqrt(v + epsilon) + beta, with the mean m and the biased variance v of a channel's n numbers
        mean <- (1 - momentum) mean + momentum m,  variance <- (1 - momentum) variance + momentum v n / (n - 1)

    Args:
        x: (N, C, ...), arrays of NumPy, as all others.
        gamma, beta: (C,).
        epsilon: what is added to the variance.
        mean, variance: running statistics, (C,), which change.
        momentum: share that the batch has in them.

    Returns: an array like x.
    """
    pieces = _Pieces()  # Chainer asks for who computes, and keeps it for the gradient
    decay = 1.0 - momentum
    function = BatchNormalization(epsilon, mean, variance, decay, impl_selector=lambda function, inputs: pieces)
    return function.apply((x, gamma, beta))[0]


class _Pieces(GeneralBatchNormalizationImpl):
    def forward(
        self,
        axis: Any, gamma: Any, x: Any, x_layout: Any, xp: Any, expander: Any, beta: Any,
        eps: float, decay: float, running_mean: Any, running_var: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        rows = _pixels(x)
        mean, variance = _statistics(rows)
        inverse = np.reciprocal(np.sqrt(variance + eps, dtype=x.dtype))
        y, factor = np.empty_like(rows), gamma * inverse

        def normalise(piece: slice) -> None:
            made = np.subtract(rows[piece], mean, out=y[piece])
            made *= factor
            made += beta

        in_pieces(*rows.shape, normalise)
        unbiased = len(rows) / max(len(rows) - 1, 1)
        for running, new in ((running_mean, mean), (running_var, unbiased * variance)):
            running[...] = decay * running + (1.0 - decay) * new
        return _images(y, x), x_layout, running_mean, running_var, mean, variance, inverse, None

    def backward(
        self,
        axis: Any, gamma: Any, gy: Any, x: Any, x_layout: Any, xp: Any, expander: Any, mean: Any,
        inv_std: Any, eps: float, var: Any, forward_data: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        rows, g = _pixels(x), _pixels(gy)

        def sums(piece: slice) -> tuple[Any, Any]:
            products = rows[piece] - mean
            products *= g[piece]
            return _total(products), _total(g[piece])

        of_products, of_g = (np.sum(parts, axis=0) for parts in zip(*in_pieces(*rows.shape, sums), strict=True))
        # gx = gamma / s (g - mean(g) - (x - m) / s^2 mean(g (x - m)))
        factor = gamma * inv_std
        slope, shift = inv_std * inv_std * of_products / -len(rows), of_g / len(rows)
        gx = np.empty_like(rows)

        def differentiate(piece: slice) -> None:
            made = np.subtract(rows[piece], mean, out=gx[piece])
            made *= slope
            made += g[piece]
            made -= shift
            made *= factor

        in_pieces(*rows.shape, differentiate)
        return _images(gx, x), None, inv_std * of_products, of_g


def _pixels(x: Any) -> Any:
    """Returns: x (N, C, ...) as a matrix with one pixel in each row, (pixels, C)."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(-1, x.shape[1])


def _images(rows: Any, like: Any) -> Any:
    """Returns: the pixels of `_pixels` as images, (N, C, ...)."""
    return np.moveaxis(rows.reshape(len(like), *like.shape[2:], like.shape[1]), -1, 1)


def _total(rows: Any) -> Any:
    return np.ones(len(rows), rows.dtype) @ rows  # three times as quick as rows.sum(axis=0)


def _statistics(rows: Any) -> tuple[Any, Any]:
    """Compute the mean and the biased variance of each column from those of pieces.

    Source: Chan, Golub and LeVeque 1982, "Updating formulae and a pairwise algorithm for computing sample variances", section 2.
    """

    def of_piece(piece: slice) -> tuple[Any, Any, int]:
        own = rows[piece]
        total = _total(own)
        apart = own - total / len(own)
        apart *= apart
        return total, _total(apart), len(own)

    totals, squares, counts = zip(*in_pieces(*rows.shape, of_piece), strict=True)
    mean = np.sum(totals, axis=0) / len(rows)
    between = (
        sum((total / count - mean) ** 2 * count for total, count in zip(totals, counts, strict=True))
        if len(counts) > 1
        else 0.0
    )
    return mean, (np.sum(squares, axis=0) + between) / len(rows)
