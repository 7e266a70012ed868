"""Gradients that are differentiated again are PyTorch's own, to any order; and nothing goes back through the forward pass."""

from __future__ import annotations

import types

import pytest

torch = pytest.importorskip("torch")
from ganspec.impl_torch import double_backward, layers  # noqa: E402

GEOMETRIES = [((1, 1), (1, 1), (1, 1), 1), ((2, 1), (0, 2), (1, 2), 1), ((2, 2), (1, 1), (1, 1), 2)]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolution_has_gradients_of_every_order(geometry):
    stride, padding, dilation, groups = geometry
    draws = torch.Generator().manual_seed(0)
    sizes = [(2, 4, 7, 8), (6, 4 // groups, 3, 2), (6,)]
    x, w, b = (torch.randn(s, dtype=torch.float64, generator=draws).requires_grad_() for s in sizes)

    def plain(x, w, b):
        return torch.nn.functional.conv2d(x, w, b, stride, padding, dilation, groups)

    found = []
    for convolve in (lambda x, w, b: double_backward.convolve(x, w, b, geometry), plain):
        y = convolve(x, w, b)
        (first,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad((first * first).sum(), x, create_graph=True)
        found.append([y, first, *torch.autograd.grad((y + 1).exp().sum() + (second * second).sum(), (w, b))])
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


@pytest.mark.parametrize("act", [lambda x: double_backward.leaky_relu(x, 0.2), double_backward.relu])
def test_second_gradient_reaches_no_input(act):
    x = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    g = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (first,) = torch.autograd.grad(act(x), x, g, create_graph=True)
    slope = act(torch.tensor(-1.0)).item() * -1
    torch.testing.assert_close(first, torch.tensor([slope, 2 * slope, 3.0]))
    to_g, to_x = torch.autograd.grad(first.sum(), (g, x), allow_unused=True)
    torch.testing.assert_close(to_g, torch.tensor([slope, slope, 1.0]))
    assert to_x is None


def test_gradient_of_images_is_computed_only_where_it_leads_to_what_is_wanted():
    from torch.utils.flop_counter import FlopCounterMode

    x, v, w = (torch.ones(s, requires_grad=True) for s in [(2, 3, 8, 8), (3, 3, 3, 3), (5, 3, 3, 3)])
    geometry = ((1, 1), (1, 1), (1, 1), 1)
    frozen = w.detach()
    h = double_backward.convolve(torch.nn.functional.avg_pool2d(x, 2), v, None, geometry)
    losses = {"trained": double_backward.convolve(h, w, None, geometry).sum()}
    losses["frozen"] = double_backward.convolve(h, frozen, None, geometry).sum()
    inner, outer = (2 * 2 * 16 * 27 * channels for channels in (3, 5))

    def operations(loss, *wanted):
        with FlopCounterMode(display=False) as counter:
            torch.autograd.grad(losses[loss], wanted, retain_graph=True)
        return counter.get_total_flops()

    assert operations("trained", w) == outer
    assert operations("trained", w, v) == 2 * outer + inner
    assert operations("trained", x) == outer + inner
    assert operations("frozen", v) == outer + inner
    assert operations("frozen", v, x) == outer + 2 * inner


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_spectral_norm_has_gradients_of_every_order(order, monkeypatch):
    settings = {"spectral_norm": {"iterations": 2, "epsilon": 1e-12, "advance": "always"}, "gain": 1.5}
    draws = torch.Generator().manual_seed(0)
    w = torch.randn(5, 3, 2, 2, dtype=torch.float64, generator=draws).contiguous(memory_format=order).requires_grad_()
    u = torch.randn(5, dtype=torch.float64, generator=draws)
    found = []
    for divide in (layers._Quotient.apply, torch.div):
        monkeypatch.setattr(layers, "_Quotient", types.SimpleNamespace(apply=divide))
        layer, mode = types.SimpleNamespace(settings=settings), types.SimpleNamespace(training=True)
        y = layers.weight(layer, {"W": w}, {"u": u.clone()}, mode)
        (first,) = torch.autograd.grad((y**3).sum(), w, create_graph=True)
        found.append([y, first, *torch.autograd.grad((first * first).sum(), w)])
    assert torch.equal(found[0][0], found[1][0])
    for ours, theirs in zip(*found, strict=True):
        assert ours.stride() == w.stride()
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)
