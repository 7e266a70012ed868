"""Convolutions as products of matrices are PyTorch's own, with gradients of any order, and are used where they are faster."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402

from ganspec.impl_torch import patches  # noqa: E402
from ganspec.spec import load_system  # noqa: E402
from ganspec.tools import backends  # noqa: E402
from ganspec.tools.agreement import random_feed  # noqa: E402

# Kernel, stride, padding and image: unlike pairs; patches that overlap; pixels that no patch has, inside and at the end.
GEOMETRIES = [
    ((4, 3), (2, 1), (1, 1), (9, 8)),
    ((3, 3), (1, 1), (1, 1), (4, 4)),
    ((5, 5), (2, 2), (2, 0), (8, 8)),
    ((2, 2), (3, 3), (0, 1), (9, 9)),
]


def gradients(convolve, arrays):
    """Returns: the images, their gradients, and the gradients of these."""
    y = convolve(*arrays)
    first = torch.autograd.grad((y**3).sum(), arrays, create_graph=True)
    return [y, *first, *torch.autograd.grad(sum((a * a).sum() for a in first), arrays)]


@pytest.mark.parametrize(("kernel", "stride", "padding", "image"), GEOMETRIES)
@pytest.mark.parametrize("transposed", [False, True])
def test_images_and_gradients_are_those_of_pytorch(transposed, kernel, stride, padding, image):
    draws = torch.Generator().manual_seed(0)
    sizes = [(2, 3, *image), (3, 5, *kernel) if transposed else (5, 3, *kernel), (5,)]
    arrays = [torch.randn(size, dtype=torch.float64, generator=draws).requires_grad_() for size in sizes]
    theirs = gradients(lambda *a: (F.conv_transpose2d if transposed else F.conv2d)(*a, stride, padding), arrays)

    def convolve(x, w, b):
        if transposed:
            return patches.convolve_transposed(x, w, b, tuple(theirs[0].shape[2:]), stride, padding)
        return patches.convolve(x, w, b, stride, padding)

    for ours, other in zip(gradients(convolve, arrays), theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-12, atol=1e-12 * other.abs().max().item())


def test_there_may_be_no_images():
    x, w = torch.ones(0, 3, 4, 4), torch.ones(5, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert patches.convolve(x, w, None, (2, 2), (1, 1)).shape == (0, 5, 2, 2)
    x, w = torch.ones(0, 5, 2, 2), torch.ones(5, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert patches.convolve_transposed(x, w, None, (4, 4), (2, 2), (1, 1)).shape == (0, 3, 4, 4)


def test_gradient_of_kernels_lies_as_they_do():
    w = torch.ones(5, 3, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(patches.convolve(torch.ones(1, 3, 8, 8), w, None, (2, 2), (1, 1)).sum(), w)
    assert gradient.stride() == w.stride()


def test_products_pay_while_patches_are_no_more_than_kernels(monkeypatch):
    monkeypatch.setattr(patches, "WORTH", 108)
    kernels = torch.ones(6, 2, 3, 3)
    lying = kernels.contiguous(memory_format=torch.channels_last)
    assert [patches.pay(lying, rows) for rows in (6, 7)] == [True, False]
    assert not patches.pay(kernels, 6)
    assert not patches.pay(lying[:, :1], 6), "of small kernels nothing is gained"


def test_a_system_trains_the_same_with_them_and_without(monkeypatch):
    monkeypatch.setattr(patches, "WORTH", 1)
    system = load_system("wgan_gp_cifar10", ["run.batch=2"], reduced=True)
    states = []
    for pay in (patches.pay, lambda w, rows: False):
        used = []
        monkeypatch.setattr(patches, "pay", lambda w, rows, pay=pay, used=used: used.append(pay(w, rows)) or used[-1])
        trainer, feed = backends.make_trainer("torch", system, 0, dtype="float64"), random_feed(system, 0)
        trainer.iterate(feed)
        states.append(trainer.state().arrays)
        assert any(used) == (len(states) == 1)
    for name, array in states[0].items():
        torch.testing.assert_close(torch.tensor(array), torch.tensor(states[1][name]), rtol=1e-6, atol=1e-9)
