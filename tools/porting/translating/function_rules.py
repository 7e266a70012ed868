"""Rules for those of Chainer's functions whose translation depends on their arguments."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from ganspec.tools.porting.translating.arguments import UNKNOWN, Arguments, Unfit
from ganspec.tools.porting.translating.templates import call

Rule = str | Callable[[Arguments], "str | ast.expr"]


def over_axes(a: Arguments, over_all: str, along: str) -> str:
    """Choose between a reduction over all axes and one along some."""
    axis = a.value("axis")
    if axis is None:
        if a.given("keepdims") or over_all == "":
            return along.replace("axis", "tuple(range(x.ndim))")
        return over_all
    return along


def reduced(name: str) -> Rule:
    def rule(a: Arguments) -> str:
        keep = ", keepdim=keepdims" if a.given("keepdims") else ""
        return over_axes(a, f"torch.{name}(x)", f"torch.{name}(x, dim=axis{keep})")

    return rule


def of_one_axis(name: str) -> Rule:
    return lambda a: f"torch.{name}(x)" if a.value("axis") is None else f"torch.{name}(x, dim=axis)"


def dropout(a: Arguments) -> ast.expr:
    if a.given("mask") or a.given("return_mask"):
        raise Unfit("a mask that is given or returned has no counterpart in torch", "multiply by the mask")
    a.put("mode_", a.writer.mode(a.node))
    return a.fill("F.dropout(x, ratio, mode_)")


def max_pooled(axes: int | None = None) -> Rule:
    def rule(a: Arguments) -> str:
        dimensions = axes or spatial_axes(a)
        if a.given("return_indices"):
            raise Unfit(
                "the indices of a max pooling have no counterpart", "use return_indices of torch in the ported file"
            )
        ksize, stride, pad, cover_all = (a.value(n) for n in ("ksize", "stride", "pad", "cover_all"))
        arguments = "x, ksize" if stride is None else "x, ksize, stride"
        if a.given("pad"):
            arguments += ", pad" if stride is not None else ", padding=pad"
        if cover_all is False:
            return f"F.max_pool{dimensions}d({arguments})"
        stride = ksize if stride is None else stride
        whole = all(isinstance(v, int) for v in (ksize, stride, pad))
        if (
            cover_all is True and whole and pad + stride <= ksize
        ):  # then every window begins inside, and ceil_mode is the same
            return f"F.max_pool{dimensions}d({arguments}, ceil_mode=True)"
        return "_max_pooling(x, ksize, stride, pad, cover_all)"

    return rule


def average_pooled(axes: int | None = None) -> Rule:
    def rule(a: Arguments) -> str:
        dimensions = axes or spatial_axes(a)
        if "pad_value" in a.signature.parameters and a.given("pad_value"):
            return "_average_pooling_inside(x, ksize, stride, pad)"
        stride = "" if a.value("stride") is None else ", stride"
        pad = (", pad" if stride else ", padding=pad") if a.given("pad") else ""
        return f"F.avg_pool{dimensions}d(x, ksize{stride}{pad})"

    return rule


def convolved(axes: int | None = None) -> Rule:
    def rule(a: Arguments) -> str:
        dimensions = axes or spatial_axes(a)
        if a.given("cover_all"):
            raise Unfit("cover_all=True of a convolution has no counterpart in torch")
        further = "".join(
            f", {theirs}={ours}" for theirs, ours in (("dilation", "dilate"), ("groups", "groups")) if a.given(ours)
        )
        return f"F.conv{dimensions}d(x, W, b, stride, pad{further})"

    return rule


def deconvolved(axes: int | None = None) -> Rule:
    def rule(a: Arguments) -> str:
        dimensions = axes or spatial_axes(a)
        further = "".join(
            f", {theirs}={ours}" for theirs, ours in (("groups", "groups"), ("dilation", "dilate")) if a.given(ours)
        )
        if a.given("outsize"):
            return f"_deconvolution(x, W, b, stride, pad, outsize{further.replace('dilation', 'dilate')})"
        return f"F.conv_transpose{dimensions}d(x, W, b, stride, pad{further})"

    return rule


def linear(a: Arguments) -> str:
    if a.given("n_batch_axes"):
        known = a.value("n_batch_axes")
        flat = isinstance(known, int) and a.seen("x").ndims == {known + 1}
        return "F.linear(x, W, b)" if flat else "F.linear(torch.flatten(x, n_batch_axes), W, b)"
    return "F.linear(x, W, b)" if a.seen("x").ndims == {2} else "F.linear(torch.flatten(x, 1), W, b)"


def transposed(a: Arguments) -> str:
    return "torch.permute(x, tuple(reversed(range(x.ndim))))" if a.value("axes") is None else "torch.permute(x, axes)"


def mean(a: Arguments) -> Any:
    return "_average(x, axis, weights, keepdims)" if a.given("weights") else reduced("mean")(a)  # type: ignore[operator]


def cast(a: Arguments) -> str:
    return "x" if a.seen("x").dtypes <= set("efd") and str(a.value("typ")) in _FLOATS else "x.to(_dtype(typ))"


_NUMPYS = [f"<class 'numpy.{name}'>" for name in ("float16", "float32", "float64")]
_FLOATS = ("e", "f", "d", "float16", "float32", "float64", *_NUMPYS)


def matrix_product(a: Arguments) -> str:
    left = (
        ("a.mT" if a.value("transa") is True else "a")
        if a.value("transa") is not UNKNOWN
        else "(a.mT if transa else a)"
    )
    right = (
        ("b.mT" if a.value("transb") is True else "b")
        if a.value("transb") is not UNKNOWN
        else "(b.mT if transb else b)"
    )
    return f"torch.matmul({left}, {right})"


def resized(a: Arguments) -> str:
    if a.value("mode") == "nearest":
        raise Unfit(
            "resize_images with mode='nearest' rounds otherwise than torch does",
            "use unpooling_2d, or F.interpolate in the ported file",
        )
    return "F.interpolate(x, size=tuple(output_shape), mode='bilinear', align_corners=align_corners)"


def softplus(a: Arguments) -> str:
    return "-F.logsigmoid(-x)" if a.value("beta") in (1, 1.0) else "_softplus(x, beta)"


def split(a: Arguments) -> str:
    if a.value("force_tuple") is False:
        raise Unfit("force_tuple=False may give one array instead of several", "leave force_tuple out")
    return "torch.tensor_split(x, indices_or_sections, dim=axis)"


def padded(a: Arguments) -> str:
    if a.value("mode") != "constant":
        return "_pad(x, pad_width, mode)"
    value = next((n for n in ("constant_values", "constant_value") if n in a.nodes), None)
    if value and not isinstance(a.value(value), int | float):
        raise Unfit(
            "padding by different numbers at different sides has no counterpart", "pad one side after the other"
        )
    return f"_pad(x, pad_width, mode, {value})" if value else "_pad(x, pad_width, mode)"


def squeezed(a: Arguments) -> str:
    return "torch.squeeze(x)" if a.value("axis") is None else "torch.squeeze(x, dim=axis)"


def gaussian(a: Arguments) -> str:
    if a.given("return_eps"):
        raise Unfit("gaussian with return_eps=True has no counterpart", "draw eps in the ported file")
    return (
        "mean + torch.exp(0.5 * ln_var) * torch.randn_like(mean)"
        if not a.given("eps")
        else "mean + torch.exp(0.5 * ln_var) * eps"
    )


def normalised(a: Arguments) -> str:
    require_channels(a)
    return "_batch_normalization(x, gamma, beta, eps, running_mean, running_var, decay)"


def fixed_normalised(a: Arguments) -> str:
    require_channels(a)
    if (a.seen("mean").kinds | a.seen("var").kinds) & {"variable", "parameter"}:
        return "_fixed_batch_normalization(x, gamma, beta, mean, var, eps)"
    return "F.batch_norm(x, mean, var, gamma, beta, False, 0.0, eps)"


def require_channels(a: Arguments) -> None:
    """Refuse a batch normalization over other axes than all but the second."""
    axis, ndims = a.value("axis"), a.seen("x").ndims
    if axis is not None and {axis} != {(0, *range(2, n)) for n in ndims}:
        raise Unfit("batch normalization over chosen axes has no counterpart in torch", "transpose the array around it")


def pyramid(a: Arguments) -> str:
    if a.value("pooling") not in ("max", None):
        raise Unfit("this pooling of a pyramid is not known", "say pooling='max'")
    return "_spatial_pyramid_pooling_2d(x, pyramid_height)"


def unpooled(a: Arguments) -> str:
    k, s, pad, outsize, cover = (a.value(n) for n in ("ksize", "stride", "pad", "outsize", "cover_all"))
    whole = (
        isinstance(k, int)
        and s in (None, k)
        and pad == 0
        and outsize is None
        and cover is False
        and a.seen("x").ndims == {4}
    )
    return (
        "F.interpolate(x, scale_factor=ksize, mode='nearest')"
        if whole
        else "_unpooling(x, ksize, stride, pad, outsize, cover_all)"
    )


def spatial_axes(a: Arguments) -> int:
    """Returns: over how many axes a convolution or a pooling goes."""
    ndims = a.seen("x").ndims
    if len(ndims) != 1 or not ndims <= {3, 4, 5}:
        raise Unfit(
            "over how many axes this goes differs, or is none of 1, 2 and 3", "use the function for so many axes"
        )
    return ndims.copy().pop() - 2


def zoned_out(a: Arguments) -> ast.expr:
    a.put("mode_", a.writer.mode(a.node))
    return a.fill("_zoneout(h, x, ratio, mode_)")


def n_step(step: str, cells: bool, directions: int) -> Rule:
    def rule(a: Arguments) -> ast.expr:
        chosen = step
        if not step:
            if a.value("activation") not in ("tanh", "relu"):
                raise Unfit("which activation this has is not known", "say 'tanh' or 'relu'")
            chosen = f"_{a.value('activation')}_step"
        a.put("mode_", a.writer.mode(a.node))
        further = ", 2" if directions == 2 else ""
        return a.fill(
            f"_n_step({chosen}, n_layers, dropout_ratio, hx, {'cx' if cells else 'None'}, ws, bs, xs, mode_{further})"
        )

    return rule


def forgotten(a: Arguments) -> ast.expr:
    """F.forget(f, *xs) is f(*xs), computed again for the gradient."""
    given = a["xs"]
    return ast.Call(a["func"], given.elts if isinstance(given, ast.Tuple) else [ast.Starred(given, ast.Load())], [])


def added(a: Arguments) -> ast.expr:
    terms = a["xs"]
    if not isinstance(terms, ast.Tuple) or not terms.elts or any(isinstance(t, ast.Starred) for t in terms.elts):
        return call("sum", terms.elts[0].value if isinstance(terms, ast.Tuple) else terms)  # type: ignore[attr-defined]
    made = terms.elts[0]
    for term in terms.elts[1:]:
        made = ast.BinOp(made, ast.Add(), term)
    return made


def crossed_entropy(a: Arguments) -> str:
    if a.seen("t").dtypes & set("efd"):
        raise Unfit("softmax_cross_entropy with probabilities for labels is not ported", "write it with F.log_softmax")
    return "_softmax_cross_entropy(x, t, normalize, class_weight, ignore_label, reduce)"


def extreme(name: str) -> Rule:
    """The largest or the smallest of an array, of which nothing is differentiated."""
    return lambda a: over_axes(a, f"torch.{name}(x)", f"torch.{name}(x, dim=axis, keepdim=keepdims)")


def larger_or_smaller(name: str, other: str) -> Rule:
    """torch.maximum takes tensors alone."""

    def rule(a: Arguments) -> str:
        for one, tensor in (("x1", "x2"), ("x2", "x1")):
            if a.seen(one).kinds and a.seen(one).kinds <= {"number", "scalar"}:
                return f"torch.clamp({tensor}, {other}={one})"
        return f"_{name}(x1, x2)"

    return rule
