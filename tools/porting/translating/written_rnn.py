"""Chainer's recurrent links. This module imports torch alone: its classes are copied into ported files. Names of children and
layouts of parameters are Chainer's; what a link keeps between calls is no parameter, and `reset_state` forgets it."""

import torch
from torch import nn

from ganspec.tools.porting.translating.written_functions import _lstm, _zoneout
from ganspec.tools.porting.translating.written_rnn_functions import (
    _tree_lstm,
)


class _StatelessLSTM(nn.Module):
    """One step: new cell and output from those before, which may be None."""

    def __init__(self, in_size, out_size):
        super().__init__()
        self.state_size = out_size
        self.upward = nn.Linear(in_size, 4 * out_size)
        self.lateral = nn.Linear(out_size, 4 * out_size, bias=False)

    def forward(self, c, h, x):
        gates = self.upward(torch.flatten(x, 1))
        gates = gates if h is None else gates + self.lateral(h)
        return _lstm(gates.new_zeros(len(x), self.state_size) if c is None else c, gates)


class _LSTM(nn.Module):
    """An LSTM that keeps its cell c and output h; a smaller batch takes the first of them."""

    def __init__(self, in_size, out_size):
        super().__init__()
        self.state_size = out_size
        self.upward = nn.Linear(in_size, 4 * out_size)
        self.lateral = nn.Linear(out_size, 4 * out_size, bias=False)
        self.reset_state()

    def reset_state(self):
        self.c = self.h = None

    def set_state(self, c, h):
        self.c, self.h = c, h

    def forward(self, x):
        gates = self.upward(torch.flatten(x, 1))
        gates = gates if self.h is None else gates + self.lateral(self.h[: len(x)])
        self.c, y = _lstm(gates.new_zeros(len(x), self.state_size) if self.c is None else self.c, gates)
        self.h = y if self.h is None or len(self.h) == len(x) else torch.cat((y, self.h[len(x) :]))
        return y


class _StatefulPeepholeLSTM(nn.Module):
    """An LSTM whose gates see the cell."""

    def __init__(self, in_size, out_size):
        super().__init__()
        self.state_size = out_size
        self.upward = nn.Linear(in_size, 4 * out_size)
        self.lateral = nn.Linear(out_size, 4 * out_size, bias=False)
        self.peep_i = nn.Linear(out_size, out_size, bias=False)
        self.peep_f = nn.Linear(out_size, out_size, bias=False)
        self.peep_o = nn.Linear(out_size, out_size, bias=False)
        self.reset_state()

    def reset_state(self):
        self.c = self.h = None

    def forward(self, x):
        gates = self.upward(torch.flatten(x, 1))
        gates = gates if self.h is None else gates + self.lateral(self.h)
        c = gates.new_zeros(len(x), self.state_size) if self.c is None else self.c
        a, i, f, o = torch.unbind(gates.reshape(len(x), -1, 4), dim=2)
        self.c = torch.tanh(a) * torch.sigmoid(i + self.peep_i(c)) + torch.sigmoid(f + self.peep_f(c)) * c
        self.h = torch.sigmoid(o + self.peep_o(self.c)) * torch.tanh(self.c)
        return self.h


class _StatefulZoneoutLSTM(nn.Module):
    """An LSTM of which some cells and outputs stay as they were, at random."""

    def __init__(self, in_size, out_size, c_ratio=0.5, h_ratio=0.5):
        super().__init__()
        self.state_size, self.c_ratio, self.h_ratio = out_size, c_ratio, h_ratio
        self.upward = nn.Linear(in_size, 4 * out_size)
        self.lateral = nn.Linear(out_size, 4 * out_size, bias=False)
        self.reset_state()

    def reset_state(self):
        self.c = self.h = None

    def set_state(self, c, h):
        self.c, self.h = c, h

    def forward(self, x):
        gates = self.upward(torch.flatten(x, 1))
        gates = gates if self.h is None else gates + self.lateral(self.h)
        h = gates.new_zeros(len(x), self.state_size) if self.h is None else self.h
        c = gates.new_zeros(len(x), self.state_size) if self.c is None else self.c
        a, i, f, o = torch.unbind(gates.reshape(len(x), -1, 4), dim=2)
        new = torch.tanh(a) * torch.sigmoid(i) + torch.sigmoid(f) * c
        self.c = _zoneout(c, new, self.c_ratio, self.training)
        self.h = _zoneout(h, torch.sigmoid(o) * torch.tanh(new), self.h_ratio, self.training)
        return self.h


class _StatelessGRU(nn.Module):
    """One step: the new state from the one before."""

    def __init__(self, in_size, out_size):
        super().__init__()
        for name in ("r", "z"):
            self.add_module(f"W_{name}", nn.Linear(in_size, out_size))
            self.add_module(f"U_{name}", nn.Linear(out_size, out_size))
        self.W, self.U = nn.Linear(in_size, out_size), nn.Linear(out_size, out_size)

    def forward(self, h, x):
        x = torch.flatten(x, 1)
        r, z = torch.sigmoid(self.W_r(x) + self.U_r(h)), torch.sigmoid(self.W_z(x) + self.U_z(h))
        return z * torch.tanh(self.W(x) + self.U(r * h)) + (1 - z) * h


class _StatefulGRU(_StatelessGRU):
    """A GRU that keeps its state h; the first step has no terms of h at all, not even their biases."""

    def __init__(self, in_size, out_size):
        super().__init__(in_size, out_size)
        self.reset_state()

    def reset_state(self):
        self.h = None

    def set_state(self, h):
        self.h = h

    def forward(self, x):
        if self.h is None:
            x = torch.flatten(x, 1)
            self.h = torch.sigmoid(self.W_z(x)) * torch.tanh(self.W(x))
        else:
            self.h = super().forward(self.h, x)
        return self.h


class _StatelessMGU(nn.Module):
    """One step of a unit with one gate."""

    def __init__(self, in_size, out_size):
        super().__init__()
        self.state_size = out_size
        self.W_f, self.W_h = nn.Linear(in_size + out_size, out_size), nn.Linear(in_size + out_size, out_size)

    def forward(self, h, x):
        f = torch.sigmoid(self.W_f(torch.cat((h, x), dim=1)))
        return f * torch.tanh(self.W_h(torch.cat((f * h, x), dim=1))) + (1 - f) * h


class _StatefulMGU(_StatelessMGU):
    """A unit with one gate that keeps its state h."""

    def __init__(self, in_size, out_size):
        super().__init__(in_size, out_size)
        self.reset_state()

    def reset_state(self):
        self.h = None

    def set_state(self, h):
        self.h = h

    def forward(self, x):
        before = x.new_zeros(len(x), self.state_size) if self.h is None else self.h
        self.h = super().forward(before, x)
        return self.h


class _ChildSumTreeLSTM(nn.Module):
    """A node of a tree: cells and outputs of any number of children, None for one that is absent, then x, which may be None."""

    def __init__(self, in_size, out_size):
        super().__init__()
        self.in_size, self.state_size = in_size, out_size
        self.W_x = nn.Linear(in_size, 4 * out_size)
        self.W_h_aio = nn.Linear(out_size, 3 * out_size, bias=False)
        self.W_h_f = nn.Linear(out_size, out_size, bias=False)

    def forward(self, *inputs):
        count, like = len(inputs) // 2, next(v for v in inputs if v is not None)
        zero = like.new_zeros(len(like), self.state_size)
        cs, hs = ([zero if v is None else v for v in vs] for vs in (inputs[:count], inputs[count:-1]))
        x = like.new_zeros(len(like), self.in_size) if inputs[-1] is None else inputs[-1]
        aio, f = torch.tensor_split(self.W_x(x), [3 * self.state_size], dim=1)
        aio = aio + self.W_h_aio(sum(hs)) if hs else aio
        return _tree_lstm(*cs, torch.cat((aio, *(f + self.W_h_f(h) for h in hs)), dim=1))


class _NaryTreeLSTM(nn.Module):
    """A node of a tree with n_ary children: their cells, their outputs, then x; each may be None."""

    def __init__(self, in_size, out_size, n_ary=2):
        super().__init__()
        self.in_size, self.state_size, self.n_ary = in_size, out_size, n_ary
        self.W_x = nn.Linear(in_size, (3 + n_ary) * out_size)
        for i in range(1, n_ary + 1):
            self.add_module(f"W_h{i}", nn.Linear(out_size, (3 + n_ary) * out_size, bias=False))

    def forward(self, *inputs):
        like = next(v for v in inputs if v is not None)
        zero = like.new_zeros(len(like), self.state_size)
        cs = [zero if c is None else c for c in inputs[: self.n_ary]]
        gates = self.W_x(like.new_zeros(len(like), self.in_size) if inputs[-1] is None else inputs[-1])
        for i, h in enumerate(inputs[self.n_ary : -1], 1):
            gates = gates if h is None else gates + getattr(self, f"W_h{i}")(h)
        return _tree_lstm(*cs, gates)
