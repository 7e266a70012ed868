"""Classification in formulas, and draws; what can be wrong in them."""

from __future__ import annotations

import numpy as np

from ganspec.tools.agreement.guesses.case import Candidates, Case, number
from ganspec.tools.agreement.guesses.formulas import operated


def classification(case: Case) -> Candidates:
    if case.node is None or case.node.op not in ("cross_entropy", "correct"):
        return
    x = np.asarray(case.inputs[0], np.float64)
    count = x.shape[1]
    drawn = case.node.value is None
    label = np.asarray(case.inputs[1] if drawn else np.full(len(x), case.node.value)).astype(int)

    def labelled(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return operated(case, value=None, inputs=(logits, labels))

    shifted = np.exp(x - x.max(1, keepdims=True))
    softmax = shifted / shifted.sum(1, keepdims=True)
    for by in (1, -1):
        yield f"the labels are counted from {by}, not from 0", labelled(x, (label + by) % count)
    yield "the labels have the samples in reverse order", labelled(x, label[::-1])
    if count == 2:
        yield "the two classes are exchanged: real for fake", labelled(x, 1 - label)
    if case.node.op == "correct":
        yield "the smallest logit counts, where the largest is meant", labelled(-x, label)
        return
    rows = np.arange(len(x))
    yield "a softmax before the cross-entropy, which takes logits", labelled(softmax, label)
    yield "a sigmoid before the cross-entropy, which takes logits", labelled(0.5 * (1 + np.tanh(0.5 * x)), label)
    yield "the probability, without its logarithm", softmax[rows, label]
    yield "the log of the probability, without its sign", np.log(softmax[rows, label])
    yield "the logit's own value, without a softmax", -x[rows, label]
    for smooth in (0.1, 0.2):
        spread = -np.log(softmax)
        yield f"labels smoothed by {number(smooth)}", (1 - smooth) * spread[rows, label] + smooth * spread.mean(1)


def draw(case: Case) -> Candidates:
    """A draw, or a batch of data."""
    if case.node is None or case.node.op != "draw":
        return
    right = case.right
    drawn = case.system.draws.get(case.node.value)
    yield "1 - v for v: the two that are mixed are exchanged", 1 - right
    yield "a number in [0, 1] where one in [-1, 1] is meant", (right + 1) / 2
    yield "a number in [-1, 1] where one in [0, 1] is meant", 2 * right - 1
    yield "images in [0, 255]", (right + 1) * 127.5
    if right.ndim > 1:
        first = right.reshape(len(right), -1)[:, 0].reshape(-1, *(1,) * (right.ndim - 1))
        yield "one number for all numbers of a sample", np.broadcast_to(first, right.shape)
    if right.ndim:
        yield "one number for the whole batch", np.broadcast_to(right.ravel()[0], right.shape)
    if drawn is not None and drawn.distribution.kind == "uniform":
        low, high = drawn.distribution.a, drawn.distribution.b
        unit = (right - low) / (high - low)
        yield f"a number in [0, 1], not in [{number(low)}, {number(high)}]", unit


RULES = (classification, draw)
