"""NumPy's functions, and attributes, items and methods of arrays and variables, give what their translations give."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

from ganspec.tools.porting.translating.numpy_tables import ATTRIBUTES, CREATING, METHODS, NUMPY
from support.ported_cases import Case, Ported, default_float64, port

# Of arrays.
NUMPYS = """
np.sqrt(positive) + np.exp(x) + np.log(positive) + np.sin(x) * np.cos(x) - np.tan(inside) * np.tanh(x)
np.floor(x) + np.ceil(y) + np.log2(positive) + np.log10(positive) + np.log1p(positive) * np.expm1(x)
np.sinh(x) * np.cosh(y) + np.absolute(x) + np.sign(y) * np.square(x) + np.abs(y)
[np.isnan(x), np.isfinite(y), np.isinf(x), np.round(x * 3), np.trunc(y * 3), np.reciprocal(positive), np.negative(x)]
[np.maximum(x, y), np.minimum(x, y), np.maximum(x, 0.1), np.minimum(0.2, x), np.maximum(0, np.minimum(x, 1))]
[np.clip(x, -0.5, 0.5), np.clip(x, 0, None)]
[np.where(x > 0, x, y), np.where(chosen, x, 0), np.where(x > y, 1.0, 0.0), np.where(binary, x, y)]
np.where(x > 0)
[np.power(positive, 2), np.power(positive, x), np.add(x, y), np.subtract(x, y), np.multiply(x, y), np.divide(x, positive)]
[np.floor_divide(x * 5, positive), np.remainder(x, positive), np.fmod(x, positive), np.arctan2(x, y), np.copysign(x, y)]
[np.arcsin(inside), np.arccos(inside), np.arctan(x), np.exp2(x)]
[np.dot(x, flat4), np.dot(row, channels), np.dot(three, flat4), np.dot(x, 2.0), np.dot(x, row), np.matmul(three, flat4)]
[np.outer(row, column), np.inner(x, y)]
[np.tensordot(x, y), np.tensordot(three, other, axes=([1, 2], [1, 2])), np.tensordot(three, flat4, 1)]
[np.einsum("ij,kj->ik", x, y)]
[np.transpose(x), np.transpose(three, (2, 0, 1)), np.reshape(x, (2, -1)), np.reshape(x, -1), np.ravel(x)]
[np.swapaxes(three, 0, 1), np.rollaxis(three, 2), np.moveaxis(three, 0, -1)]
[np.concatenate((x, y)), np.concatenate([x, y], axis=1), np.stack([x, y], axis=1), np.vstack([x, row])]
[np.hstack([x, y]), np.dstack([x, y])]
[np.expand_dims(x, 0), np.expand_dims(x, axis=-1), np.squeeze(x[:, :1]), np.squeeze(x[None], axis=0)]
[np.broadcast_to(row, (2, 4)), np.broadcast_to(x[:, None], (3, 2, 4)), np.atleast_1d(x)]
[np.tile(x, 2), np.tile(row, (2, 1)), np.repeat(x, 2), np.repeat(x, 3, axis=1), np.flip(x, 1), np.fliplr(x)]
[np.flipud(x), np.roll(x, 1), np.roll(x, -1, axis=1)]
[np.sum(x), np.sum(three, axis=(0, 2)), np.sum(x, 1, keepdims=True), np.mean(x), np.mean(three, axis=0), np.prod(x)]
[np.prod(three, axis=(0, 1)), np.prod(x, axis=1)]
[np.max(x), np.max(three, axis=(0, 1)), np.amax(x, 1), np.min(x, axis=0, keepdims=True), np.amin(x), np.argmax(x)]
[np.argmax(x, axis=1), np.argmin(three, -1)]
[np.var(x), np.var(three, axis=(0, 1)), np.std(x, axis=0, keepdims=True), np.std(x, ddof=1), np.all(chosen)]
[np.any(x > 1, axis=1), np.all(chosen, axis=0)]
[np.cumsum(x), np.cumsum(x, axis=1), np.cumprod(x, 0), np.diff(x), np.diff(x, axis=0), np.argsort(x)]
[np.argsort(x, axis=0), np.sort(x), np.sort(three, axis=1), np.take(x, places, axis=1)]
[np.linalg.inv(flat4), np.linalg.det(square), np.linalg.norm(x), np.linalg.norm(x, axis=1)]
[np.linalg.norm(three, axis=(1, 2), keepdims=True), np.linalg.solve(flat4, x.T), np.linalg.cholesky(square)]
[np.abs(np.linalg.qr(flat4)[1]), np.linalg.svd(flat4)[1], np.linalg.svd(x, full_matrices=False)[1]]
[np.copy(x), np.ascontiguousarray(x.T), np.zeros_like(x), np.ones_like(x), np.full_like(x, 2), np.empty_like(x) * 0]
[np.zeros_like(x, dtype=np.int32), np.ones_like(label, dtype=np.float32), x + np.finfo(np.float32).eps * 0]
[np.logical_and(chosen, x > 0), np.logical_not(chosen), np.logical_or(chosen, x > 0), np.logical_xor(chosen, x > 0)]
[np.equal(label, 1), np.not_equal(x, y), np.greater(x, y), np.greater_equal(x, 0), np.less(x, y), np.less_equal(label, 1)]
[np.tril(flat4), np.triu(flat4, 1), np.diag(flat4), np.diag(row, -1), np.trace(flat4), np.nan_to_num(x), np.argwhere(x > 0)]
[np.pad(x, 1, mode="constant"), np.pad(x, ((0, 0), (1, 2)), "edge"), np.pad(x, ((1, 1), (2, 2)), mode="reflect")]
[np.pad(x, [(0, 1), (0, 0)], "constant", constant_values=3)]
[np.split(x, 2, axis=1), np.split(x, [1], 0), np.meshgrid(row, column), np.meshgrid(row, column, indexing="ij")]
[np.broadcast_arrays(x, row)]
x + float(np.array_equal(x, y)) + np.ndim(x) + np.shape(x)[0] + (1 if np.isscalar(2.0) else 0)
[np.zeros((2, 3)), np.ones(3, dtype=np.float32), np.empty((2, 2), dtype="f") * 0, np.full(2, 0.5)] + [x]
[np.full((2,), 0.5), np.full((2, 2), 1, dtype=np.int32), np.eye(3), np.identity(2), np.linspace(0, 1, 5)] + [x]
[np.linspace(-1, 1, num=3)] + [x]
[np.arange(4), np.arange(1, 7, 2), np.arange(3, dtype=np.float32), np.arange(len(x)), np.array([1.0, 2.0])] + [x]
[np.array([1, 2], dtype="i"), np.asarray([[1, 2]], dtype=np.float32), np.array(x), np.asarray(x)] + [x]
[np.array([x, y])] + [x]
[np.zeros(x.shape, dtype=x.dtype), np.zeros((len(x), 2), "f"), np.float32(2) * x]
[x * np.sqrt(2) + np.log(3.0) * np.prod((2, 3)) + np.max([1, 2]) + np.cumsum([1, 2])[1]]
x * np.pi
"""
# Of arrays, by attributes, items and methods.
ARRAYS_ = """
[x.shape[0] * x, x.ndim * x, x.size * y, x.T, three.T]
[x.reshape(2, 6), x.reshape((2, -1)), x.reshape(-1), x.transpose(), x.transpose(1, 0), three.transpose((2, 0, 1))]
[x.ravel(), x.flatten(), x.swapaxes(0, 1), three.squeeze()]
[x.sum(), x.sum(axis=1), x.sum(0, keepdims=True), x.mean(), three.mean(axis=(1, 2)), x.max(), x.max(axis=1), x.min(0)]
[x.argmax(), x.argmax(axis=1), x.argmin(1), x.prod(), x.prod(axis=0), x.cumsum(), x.cumsum(axis=1), x.cumprod(1)]
[x.var(), x.var(axis=0), x.std(axis=(0, 1), keepdims=True), x.argsort(), x.argsort(axis=0), x.diagonal(), flat4.trace()]
[x.take(places, axis=1)]
[x.dot(flat4), x.copy(), x.clip(-1, 0.5), x.repeat(2), x.repeat(2, axis=0), x.round(), chosen.all(), (x > 0).any()]
[(x > 1).any(axis=1), chosen.all(axis=0)]
[x.astype("f"), x.astype(np.int32), label.astype(np.float32), label.astype("i"), (x > 0).astype("f")]
[(x > 0).astype(x.dtype), x.astype(np.float64)]
[x[0], x[:, 1], x[..., 0], x[::2], x[:, ::-1], x[::-1, ::-1], x[:, None], x[np.newaxis], x[places[:2]], x[[0, 2]]]
[x[label > 0], x[0, 1:3], x[-1, -2:], x[:, [1, 0]]]
[x % 2, x // positive, -x, x ** 2, 2 ** x, abs(x), x > y, (x > 0) & (y > 0), ~chosen, x @ flat4, label + 1, label * 2]
[label // 2, label % 2, 1 - chosen.astype("i")]
[x.item() if x.size == 1 else x, float(x[0, 0]) * y, int(label[0]) * y, len(x) * y, len(x.tolist()) * y, sum([x, y])]
[max(1, 2) * x]
[chainer.dataset.concat_examples([row, column], padding=-1), chainer.dataset.concat_examples([x, y])]
y = x.copy(); y[0] = 0; y[:, 1] = row[:3]; y[label > 0] += 1; y[1, 2] *= 3
y = x.copy(); y.fill(2.0); y = y + x
y = np.zeros((3, 4), dtype="f"); y[np.arange(3), label] = 1
"""
# Of variables, with gradients.
VARIABLES = """
x * len(x) + x.shape[1] + x.ndim + x.size
x.T
three.T
[x.reshape(2, 6), x.reshape((2, -1)), x.transpose(), x.transpose(1, 0), three.transpose((2, 0, 1)), three.transpose(0, 2, 1)]
[x[0] * 2, x[:, 1], x[..., 0], x[::2], x[:, None], x[:, ::-1], x[::-1], x[places[:2]], x[[0, 0, 2]], x[1:, :2]]
[x + y, x - y, x * y, x / positive, -x, x ** 2, positive ** x, 2 ** x, abs(x), 1 - x, 1 / positive, x @ flat4, x + row]
[column.reshape(3, 1) * x]
[x.array * y, x.data.sum() * y, y * x.array.max(axis=1, keepdims=True), x.array.argmax(axis=1)]
x * chainer.Variable(np.ones((3, 4), dtype="f")) + chainer.as_variable(y.array)
x.__getitem__((slice(None), 1))
[v for v in x]
y = x * 1; y.unchain(); y = y + w
y = x * (x.device is not None) + (0 if x.requires_grad else 1) + (y if x.grad is None else 0)
y = 0; h = x; h += y; y = h * 2
"""


def _lines(text: str) -> list[str]:
    return [line.replace("; ", "\n") for line in text.strip().splitlines()]


CASES = [Case(line, plain=True) for line in _lines(NUMPYS) + _lines(ARRAYS_)] + [
    Case(line) for line in _lines(VARIABLES)
]


@pytest.fixture(scope="module")
def ported(tmp_path_factory: pytest.TempPathFactory) -> Ported:
    return port(CASES, tmp_path_factory.mktemp("arrays"))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[c.text[:60] for c in CASES])
def test_translation_agrees_with_numpy_and_chainer(ported: Ported, number: int) -> None:
    with default_float64():
        ported.compare(number)


def test_every_function_is_compared() -> None:
    named = set(re.findall(r"np\.((?:linalg\.)?\w+)", NUMPYS + ARRAYS_))
    assert sorted(set(NUMPY) - named - {"random.seed"}) == []
    assert sorted(set(CREATING) - named) == []


def test_every_method_and_attribute_is_compared() -> None:
    named = set(re.findall(r"\.(\w+)", ARRAYS_ + VARIABLES))
    assert sorted((METHODS.keys() | ATTRIBUTES.keys()) - named) == []
