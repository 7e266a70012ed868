"""Chainer's convolutions on the CPU: their definition, the laws of their gradients, and the memory that they use again."""

import re
import threading

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("ganspec.impl_chainer", reason="needs Chainer", exc_type=ImportError)

import chainer
from chainer.utils.type_check import InvalidType

from ganspec.impl_chainer import convolution, memory, optimizers, windows
from ganspec.impl_chainer.activations import leaky_relu
from ganspec.impl_chainer.arrays import Array, ArrayContext
from ganspec.impl_chainer.convolution import Convolution, Kernels, TransposedConvolution, WeightGradient
from ganspec.impl_chainer.windows import Windows
from ganspec.spec import load_system
from ganspec.spec.network.architecture import Layer

EXACT = {"rtol": 1e-12, "atol": 1e-12}


@st.composite
def cases(draw, groups=(1, 2, 3)):
    """x, W, a gradient like y, windows with any padding on each side, and groups; some batches are empty."""
    small = st.integers(1, 3)
    stride, kernel, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    start, end = (draw(st.tuples(st.integers(0, 4), st.integers(0, 4))) for _ in range(2))
    room = [
        z + a + b - (k - 1) * d - 1 for z, a, b, k, d in zip(size, start, end, kernel, dilation, strict=True)
    ]  # from the first window to the last
    assume(min(room) >= 0)
    count = tuple(r // s + 1 for r, s in zip(room, stride, strict=True))
    group, n = draw(st.sampled_from(groups)), draw(st.integers(0, 3))
    inside, outside = draw(small), draw(small)
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    x = rng.normal(size=(n, group * inside, *size))
    W = rng.normal(size=(group * outside, inside, *kernel))
    g = rng.normal(size=(n, len(W), *count))
    return x, W, g, Windows(size, count, kernel, stride, start, dilation), group, end


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """Blocks of a few rows, so that batches, and images, are cut into several."""
    before = windows.BLOCK_BYTES, windows.BLOCK_ROWS
    windows.BLOCK_BYTES, windows.BLOCK_ROWS = 64, 7
    yield
    windows.BLOCK_BYTES, windows.BLOCK_ROWS = before


def defined(x, W, where, groups, end):
    """A convolution: y[n, o, i, j] = the sum over c, a and b of W[o, c, a, b] x[n, c, i sy + a dy, j sx + b dx]."""
    x = np.pad(x, ((0, 0), (0, 0), *zip(where.start, end, strict=True)))
    y = np.zeros((len(x), len(W), *where.count))
    own = len(W) // groups
    for (o, c, a, b), w in np.ndenumerate(W):
        for i, j in np.ndindex(*where.count):
            row, column = (
                p * s + q * d for p, s, q, d in zip((i, j), where.stride, (a, b), where.dilation, strict=True)
            )
            y[:, o, i, j] += w * x[:, o // own * W.shape[1] + c, row, column]
    return y


@given(cases())
def test_a_convolution_is_as_defined(case):
    x, W, _, where, groups, end = case
    b = np.arange(float(len(W)))
    sides = (where.start[0], end[0], where.start[1], end[1])
    y = convolution.convolution(Array(x), Array(W), Array(b), where.stride, sides, where.dilation, groups)
    np.testing.assert_allclose(y.array, defined(x, W, where, groups, end) + b[:, None, None], **EXACT)


ZEROS = {name: np.zeros(shape) for name, shape in {"x": (1, 3, 5, 5), "W": (4, 3, 3, 3), "b": (4,)}.items()}
WRONG = {
    "kernels larger than the images": {"x": np.zeros((1, 3, 2, 2))},
    "other channels": {"x": np.zeros((1, 2, 5, 5))},
    "kernels without width": {"W": np.zeros((4, 3, 3))},
    "mixed precision": {"W": np.zeros((4, 3, 3, 3), np.float32)},
    "whole numbers": {name: np.zeros(a.shape, int) for name, a in ZEROS.items()},
    "a bias for other channels": {"b": np.zeros(3)},
}
MESSAGES = {
    "kernels larger than the images": "kernels [3, 3] dilated by [1, 1] do not fit into padded images [2, 2]",
    "kernels without width": "images have the shape [1, 3, 5, 5] and kernels [4, 3, 3], expected four axes of each",
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_do_not_fit_are_refused(case):
    x, W, b = (Array(a) for a in (ZEROS | WRONG[case]).values())
    kind = ValueError if case in MESSAGES else InvalidType
    with pytest.raises(kind, match=re.escape(MESSAGES.get(case, "Invalid operation is performed in: Convolution"))):
        convolution.convolution(x, W, b, (1, 1), (0, 0, 0, 0))


def test_channels_that_a_transposed_convolution_does_not_take_are_refused():
    with pytest.raises(InvalidType, match="TransposedConvolution"):
        convolution.transposed_convolution(Array(ZEROS["x"]), Array(ZEROS["W"]), None, (1, 1), (0, 0), (7, 7))


@given(cases())
def test_each_map_and_its_gradients_are_adjoint_so_that_all_orders_are_right(case):
    x, W, g, where, groups, _ = case
    kernels = Kernels(W, groups)
    # <h, f(a, b)> is bilinear: its gradients with respect to a and b give it back.
    for kind, a, b, like in ((Convolution, x, W, g), (TransposedConvolution, g, W, x), (WeightGradient, x, g, W)):
        inputs = [Array(a), Array(b)]
        (made,) = kind(where, kernels).apply(inputs)
        assert made.shape == like.shape
        found = chainer.grad([made], inputs, grad_outputs=[Array(like)])
        products = [float((g.array * v.array).sum()) for g, v in zip(found, inputs, strict=True)]
        np.testing.assert_allclose(products, float((made.array * like).sum()), rtol=1e-12, atol=1e-11)


@given(cases(groups=(1,)))
def test_the_three_maps_are_one_trilinear_form(case):
    x, W, g, where, groups, end = case
    form = float((defined(x, W, where, groups, end) * g).sum())
    kernels = Kernels(W, groups)
    (back,) = TransposedConvolution(where, kernels).apply((Array(g), Array(W)))
    (weights,) = WeightGradient(where, kernels).apply((Array(x), Array(g)))
    np.testing.assert_allclose(
        [(back.array * x).sum(), (weights.array * W).sum()], [form, form], rtol=1e-12, atol=1e-11
    )


@given(cases(groups=(1,)))
def test_a_transposed_convolution_with_a_bias_adds_it_to_every_pixel(case):
    _, W, g, where, _, _ = case
    b, given = Array(np.arange(float(W.shape[1]))), (where.stride, where.start, where.size)
    plain, shifted = (convolution.transposed_convolution(Array(g), Array(W), bias, *given) for bias in (None, b))
    np.testing.assert_allclose(shifted.array, plain.array + b.array[:, None, None], **EXACT)
    weights = np.random.default_rng(0).normal(size=shifted.shape)
    (found,) = chainer.grad([shifted], [b], grad_outputs=[Array(weights)])
    np.testing.assert_allclose(found.array, weights.sum(axis=(0, 2, 3)), **EXACT)


@given(cases())
def test_the_order_in_memory_changes_no_number(case):
    x, W, g, where, groups, _ = case
    rows, columns = (np.copy(a, order=order) for a, order in ((x, "C"), (x, "F")))
    for kind, other in ((Convolution, W), (WeightGradient, g)):
        first, second = (kind(where, Kernels(W, groups)).apply((a, other))[0].array for a in (rows, columns))
        np.testing.assert_array_equal(first, second)


@given(cases(), st.integers(1, 400))
def test_blocks_hold_every_window_once_and_their_memory_is_bounded(case, most):
    x, _, _, where, _, _ = case
    before, windows.BLOCK_BYTES = windows.BLOCK_BYTES, most
    try:
        blocks = list(where.blocks(len(x), x.shape[1], x.itemsize))
    finally:
        windows.BLOCK_BYTES = before
    seen = np.zeros((len(x), *where.count), int)
    width = x.shape[1] * where.kernel[0] * where.kernel[1] * x.itemsize
    for block in blocks:
        seen[block] += 1
        rows = seen[block].size
        assert rows * width <= max(most, windows.BLOCK_ROWS * width)
    assert (seen == 1).all()


@given(cases())
def test_the_padded_images_of_a_block_are_bounded_too(case):
    x, _, _, where, _, _ = case
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    width = where.kernel[0] * where.kernel[1] * x[:1, :1, :1].nbytes
    one = width * where.dilation[0] * where.dilation[1]  # no less than one window spans
    for block in where.blocks(len(x), x.shape[3], x.itemsize):
        part = where._part(x[block[0]], *block[1:])
        assert np.shares_memory(part, x) or part.nbytes <= max(windows.BLOCK_BYTES, windows.BLOCK_ROWS * width, one)


def test_one_long_line_takes_no_more_memory_than_a_block(monkeypatch):
    monkeypatch.setattr(windows, "BLOCK_BYTES", 1 << 12)
    held = memory.Buffers()
    for module in (windows, convolution):
        monkeypatch.setattr(module, "BUFFERS", held)
    x, W = np.ones((1, 2, 4, 3000)), np.ones((3, 2, 3, 5))
    for where in (
        Windows((4, 3000), (4, 3000), (3, 5), (1, 1), (1, 2)),
        Windows((4, 3000), (2, 1500), (3, 5), (2, 2), (1, 2)),
    ):
        y = Convolution(where, Kernels(W, 1)).product(x, W)
        TransposedConvolution(where, Kernels(W, 1)).product(y, W)
        WeightGradient(where, Kernels(W, 1)).product(x, y)
    assert set(held._held) == {"patches", "padded"}
    assert max(buffer.size for buffer in held._held.values()) <= 1 << 12


def test_a_large_buffer_is_given_back(monkeypatch):
    monkeypatch.setattr(memory, "KEPT_BYTES", 64)
    held = memory.Buffers()
    small, large = held.array("small", (64,), np.uint8), held.array("large", (65,), np.uint8)
    held.give_back()
    assert np.shares_memory(held.array("small", (64,), np.uint8), small)
    assert not np.shares_memory(held.array("large", (65,), np.uint8), large)


def test_two_threads_at_once_do_not_share_a_buffer():
    rng = np.random.default_rng(0)
    where = Windows((6, 6), (6, 6), (3, 3), (1, 1), (1, 1))
    pairs = [(rng.normal(size=(2, 3, 6, 6)), rng.normal(size=(4, 3, 3, 3))) for _ in range(2)]
    alone = [Convolution(where, Kernels(W, 1)).product(x, W) for x, W in pairs]
    wrong = []

    def repeat(number):
        x, W = pairs[number]
        for _ in range(50):
            if (Convolution(where, Kernels(W, 1)).product(x, W) != alone[number]).any():
                wrong.append(number)

    threads = [threading.Thread(target=repeat, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert memory.BUFFERS.array("patches", (3,), np.float64).shape == (3,)


@given(arrays(np.float64, 6, elements=st.floats(-9, 9)), st.sampled_from([-0.5, 0.0, 0.2, 1.0, 1.5]))
def test_leaky_relu_and_its_gradient_are_as_defined(values, slope):
    x = Array(values)
    layer = Layer("l", "leaky_relu", ("x",), (6,), {"slope": slope}, (), ())
    y = leaky_relu(layer, [x], {}, {}, None)
    factors = np.where(values > 0, 1.0, slope)
    (g,) = chainer.grad([y], [x], grad_outputs=[Array(np.arange(6.0))])
    np.testing.assert_array_equal(y.array, values * factors)
    np.testing.assert_array_equal(g.array, np.arange(6.0) * factors)


@pytest.mark.parametrize("system", ["dcgan_cifar10", "wgan_cifar10"])
def test_an_update_in_pieces_is_the_update_at_once(system, monkeypatch):
    definition, rng = load_system(system, reduced=True).optimizers["D"], np.random.default_rng(0)
    context, start, gradient = ArrayContext("cpu", "float64"), rng.normal(size=23), rng.normal(size=23)
    found = []
    for piece in (4, 100):
        monkeypatch.setattr("ganspec.impl_chainer.threads.PIECE", piece)
        optimizer, moved = optimizers.KINDS[definition.kind](definition, 23, context), context.array(start)
        for _ in range(2):
            optimizer.update(moved, [(0, context.array(gradient[:9])), (11, context.array(gradient[11:]))])
        found.append(moved.array)
    np.testing.assert_array_equal(*found)
    assert ((found[0] == start) == [9 <= i < 11 for i in range(23)]).all()
