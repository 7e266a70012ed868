"""Chainer's recurrent functions. This module imports torch alone: its functions are copied into ported files."""

import torch
import torch.nn.functional as F


def _split_gates(x, count):
    """The gates, one after the other in channels."""
    return torch.tensor_split(x, count, dim=1)


def _tree_lstm(*inputs):
    """New cell and output from the cells of the children; the gates are a, i, o, and an f for each child."""
    cells, gates = inputs[:-1], _split_gates(inputs[-1], len(inputs) + 2)
    forgotten = sum(torch.sigmoid(f) * c for f, c in zip(gates[3:], cells, strict=True))
    c = torch.tanh(gates[0]) * torch.sigmoid(gates[1]) + forgotten
    return c, torch.sigmoid(gates[2]) * torch.tanh(c)


def _slstm(c1, c2, x1, x2):
    """New cell and output from two cells and two sets of gates that lie interleaved: a, i, f, o."""
    a1, i1, f1, o1 = torch.unbind(x1.reshape(len(x1), x1.shape[1] // 4, 4, *x1.shape[2:]), dim=2)
    a2, i2, f2, o2 = torch.unbind(x2.reshape(len(x2), x2.shape[1] // 4, 4, *x2.shape[2:]), dim=2)
    c = torch.tanh(a1) * torch.sigmoid(i1) + torch.tanh(a2) * torch.sigmoid(i2)
    c = c + torch.sigmoid(f1) * c1 + torch.sigmoid(f2) * c2
    return c, torch.sigmoid(o1 + o2) * torch.tanh(c)


def _lstm_step(x, h, c, w, b):
    """One step; weights for x: input, forget, cell, output, then those for h."""
    i, f, a, o = (F.linear(x, w[k], b[k]) + F.linear(h, w[k + 4], b[k + 4]) for k in range(4))
    c = torch.tanh(a) * torch.sigmoid(i) + torch.sigmoid(f) * c
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru_step(x, h, c, w, b):
    """One step; weights for x: reset, update, new, then those for h."""
    xs, hs = [F.linear(x, w[k], b[k]) for k in range(3)], [F.linear(h, w[k], b[k]) for k in range(3, 6)]
    r, z = torch.sigmoid(xs[0] + hs[0]), torch.sigmoid(xs[1] + hs[1])
    return (1 - z) * torch.tanh(xs[2] + r * hs[2]) + z * h, None


def _tanh_step(x, h, c, w, b):
    """One step of tanh(W x + U h)."""
    return torch.tanh(F.linear(x, w[0], b[0]) + F.linear(h, w[1], b[1])), None


def _relu_step(x, h, c, w, b):
    """One step of relu(W x + U h)."""
    return F.relu(F.linear(x, w[0], b[0]) + F.linear(h, w[1], b[1])), None


def _through_time(step, xs, h, c, w, b):
    """Go through a sequence of batches, of which later ones may be smaller. Returns: last states, and the output of each step."""
    outputs = []
    for x in xs:
        count = len(x)
        new, cell = step(x, h[:count], None if c is None else c[:count], w, b)
        outputs.append(new)
        h = torch.cat((new, h[count:]))
        c = None if c is None else torch.cat((cell, c[count:]))
    return h, c, outputs


def _n_step(step, n_layers, dropout_ratio, hx, cx, ws, bs, xs, training, directions=1):
    """Recurrent layers one upon the other, forwards or both ways; dropout between them."""
    hs, cs = [], []
    for layer in range(n_layers):
        found = []
        for direction in range(directions):
            index = directions * layer + direction
            given = [F.dropout(x, dropout_ratio, training) for x in xs] if layer else list(xs)
            given = given[::-1] if direction else given
            h, c, outputs = _through_time(
                step, given, hx[index], None if cx is None else cx[index], ws[index], bs[index]
            )
            hs.append(h)
            cs.append(c)
            found.append(outputs[::-1] if direction else outputs)
        xs = [torch.cat(both, dim=1) for both in zip(*found, strict=True)] if directions == 2 else found[0]
    ys = tuple(xs)
    return (torch.stack(hs), ys) if cx is None else (torch.stack(hs), torch.stack(cs), ys)
