"""Chainer's recurrent links over whole sequences. This module imports torch alone: its classes are copied into ported files."""

import torch
from torch import nn

from ganspec.tools.porting.translating.written_functions import _transpose_sequence
from ganspec.tools.porting.translating.written_rnn_functions import (
    _gru_step,
    _lstm_step,
    _n_step,
    _relu_step,
    _tanh_step,
)


class _NStep(nn.ModuleList):
    """Recurrent layers over sequences of different lengths; each layer and direction has weights w0, ... and biases b0, ..."""

    n_weights, directions, step, cells = 2, 1, staticmethod(_tanh_step), False

    def __init__(self, n_layers, in_size, out_size, dropout):
        super().__init__()
        self.n_layers, self.out_size, self.dropout = n_layers, out_size, dropout
        for layer in range(n_layers):
            for _ in range(self.directions):
                weights = nn.Module()
                for j in range(self.n_weights):
                    below = out_size if j >= self.n_weights // 2 else out_size * self.directions if layer else in_size
                    setattr(weights, f"w{j}", nn.Parameter(torch.randn(out_size, below) / below**0.5))
                    setattr(weights, f"b{j}", nn.Parameter(torch.zeros(out_size)))
                self.append(weights)

    def forward(self, *inputs):
        """The first states, which may be None, then a list of sequences. Returns: the last states, and a list of outputs."""
        xs = inputs[-1]
        order = sorted(range(len(xs)), key=lambda i: -len(xs[i]))
        back = [order.index(i) for i in range(len(xs))]
        zero = xs[0].new_zeros(self.n_layers * self.directions, len(xs), self.out_size)
        states = [zero if s is None else s[:, order] for s in inputs[:-1]]
        weights = [[getattr(layer, f"w{j}") for j in range(self.n_weights)] for layer in self]
        biases = [[getattr(layer, f"b{j}") for j in range(self.n_weights)] for layer in self]
        steps = _transpose_sequence([xs[i] for i in order])
        cells = states[1] if self.cells else None
        *last, ys = _n_step(
            self.step,
            self.n_layers,
            self.dropout,
            states[0],
            cells,
            weights,
            biases,
            steps,
            self.training,
            self.directions,
        )
        ys = _transpose_sequence(ys)
        return *(s[:, back] for s in last), [ys[i] for i in back]


class _NStepRNNTanh(_NStep):
    """Chainer's NStepRNNTanh."""


class _NStepBiRNNTanh(_NStep):
    """Chainer's NStepBiRNNTanh."""

    directions = 2


class _NStepRNNReLU(_NStep):
    """Chainer's NStepRNNReLU."""

    step = staticmethod(_relu_step)


class _NStepBiRNNReLU(_NStepRNNReLU):
    """Chainer's NStepBiRNNReLU."""

    directions = 2


class _NStepGRU(_NStep):
    """Chainer's NStepGRU."""

    n_weights, step = 6, staticmethod(_gru_step)


class _NStepBiGRU(_NStepGRU):
    """Chainer's NStepBiGRU."""

    directions = 2


class _NStepLSTM(_NStep):
    """Chainer's NStepLSTM."""

    n_weights, step, cells = 8, staticmethod(_lstm_step), True


class _NStepBiLSTM(_NStepLSTM):
    """Chainer's NStepBiLSTM."""

    directions = 2
