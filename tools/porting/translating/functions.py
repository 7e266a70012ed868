"""Chainer's functions in PyTorch: a template for each, in which the names of its parameters stand for the arguments.

A name that begins with an underscore is a function of `written`, whose source is put into the ported file. What depends on an
argument's value is a function here. Every entry is compared with Chainer's own function in tests/porting/test_functions.py.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions

from ganspec.tools.porting.translating.arguments import UNKNOWN, Arguments, Unfit
from ganspec.tools.porting.translating.templates import call, constant

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions

Rule = str | Callable[[Arguments], "str | ast.expr"]


def _axes(a: Arguments, over_all: str, along: str) -> str:
    """Choose between a reduction over all axes and one along some."""
    axis = a.value("axis")
    if axis is None:
        if a.given("keepdims") or over_all == "":
            return along.replace("axis", "tuple(range(x.ndim))")
        return over_all
    return along


def _reduced(name: str) -> Rule:
    def rule(a: Arguments) -> str:
        keep = ", keepdim=keepdims" if a.given("keepdims") else ""
        return _axes(a, f"torch.{name}(x)", f"torch.{name}(x, dim=axis{keep})")

    return rule


def _of_one_axis(name: str) -> Rule:
    return lambda a: f"torch.{name}(x)" if a.value("axis") is None else f"torch.{name}(x, dim=axis)"


def _dropout(a: Arguments) -> ast.expr:
    if a.given("mask") or a.given("return_mask"):
        raise Unfit("a mask that is given or returned has no counterpart in torch", "multiply by the mask")
    a.put("mode_", a.writer.mode(a.node))
    return a.fill("F.dropout(x, ratio, mode_)")


def _max_pool(dimensions: int) -> Rule:
    def rule(a: Arguments) -> str:
        if a.given("return_indices"):
            raise Unfit("the indices of a max pooling have no counterpart", "use torch's return_indices in the ported file")
        ksize, stride, pad, cover_all = (a.value(n) for n in ("ksize", "stride", "pad", "cover_all"))
        arguments = "x, ksize" if stride is None else "x, ksize, stride"
        if a.given("pad"):
            arguments += ", pad" if stride is not None else ", padding=pad"
        if cover_all is False:
            return f"F.max_pool{dimensions}d({arguments})"
        stride = ksize if stride is None else stride
        whole = all(isinstance(v, int) for v in (ksize, stride, pad))
        if cover_all is True and whole and pad + stride <= ksize:  # then every window begins inside, and ceil_mode is the same
            return f"F.max_pool{dimensions}d({arguments}, ceil_mode=True)"
        return "_max_pooling(x, ksize, stride, pad, cover_all)"

    return rule


def _average_pool(dimensions: int) -> Rule:
    def rule(a: Arguments) -> str:
        if "pad_value" in a.signature.parameters and a.given("pad_value"):
            raise Unfit("pad_value=None has no counterpart in torch")
        stride = "" if a.value("stride") is None else ", stride"
        pad = (", pad" if stride else ", padding=pad") if a.given("pad") else ""
        return f"F.avg_pool{dimensions}d(x, ksize{stride}{pad})"

    return rule


def _convolved(dimensions: int) -> Rule:
    def rule(a: Arguments) -> str:
        if a.given("cover_all"):
            raise Unfit("cover_all=True of a convolution has no counterpart in torch")
        further = "".join(f", {theirs}={ours}" for theirs, ours in (("dilation", "dilate"), ("groups", "groups")) if a.given(ours))
        return f"F.conv{dimensions}d(x, W, b, stride, pad{further})"

    return rule


def _deconvolved(dimensions: int) -> Rule:
    def rule(a: Arguments) -> str:
        further = "".join(f", {theirs}={ours}" for theirs, ours in (("groups", "groups"), ("dilation", "dilate")) if a.given(ours))
        if a.given("outsize"):
            return f"_deconvolution(x, W, b, stride, pad, outsize{further.replace('dilation', 'dilate')})"
        return f"F.conv_transpose{dimensions}d(x, W, b, stride, pad{further})"

    return rule


def _linear(a: Arguments) -> str:
    if a.given("n_batch_axes"):
        return "F.linear(x, W, b)"
    return "F.linear(x, W, b)" if a.seen("x").ndims == {2} else "F.linear(torch.flatten(x, 1), W, b)"


def _transposed(a: Arguments) -> str:
    return "torch.permute(x, tuple(reversed(range(x.ndim))))" if a.value("axes") is None else "torch.permute(x, axes)"


def _mean(a: Arguments) -> Any:
    return "_average(x, axis, weights, keepdims)" if a.given("weights") else _reduced("mean")(a)  # type: ignore[operator]


def _cast(a: Arguments) -> str:
    return "x" if a.seen("x").dtypes <= set("efd") and str(a.value("typ")) in _FLOATS else "x.to(_dtype(typ))"


_FLOATS = ("f", "float32", "<class 'numpy.float32'>", "d", "float64", "<class 'numpy.float64'>", "e", "float16", "<class 'numpy.float16'>")


def _matmul(a: Arguments) -> str:
    left = ("a.mT" if a.value("transa") is True else "a") if a.value("transa") is not UNKNOWN else "(a.mT if transa else a)"
    right = ("b.mT" if a.value("transb") is True else "b") if a.value("transb") is not UNKNOWN else "(b.mT if transb else b)"
    return f"torch.matmul({left}, {right})"


def _resized(a: Arguments) -> str:
    if a.value("mode") == "nearest":
        raise Unfit("resize_images with mode='nearest' rounds otherwise than torch does", "use unpooling_2d, or F.interpolate in the ported file")
    return "F.interpolate(x, size=tuple(output_shape), mode='bilinear', align_corners=align_corners)"


def _softplus(a: Arguments) -> str:
    return "-F.logsigmoid(-x)" if a.value("beta") in (1, 1.0) else "_softplus(x, beta)"


def _split(a: Arguments) -> str:
    if a.value("force_tuple") is False:
        raise Unfit("force_tuple=False may give one array instead of several", "leave force_tuple out")
    return "torch.tensor_split(x, indices_or_sections, dim=axis)"


def _padded(a: Arguments) -> str:
    if a.value("mode") != "constant":
        return "_pad(x, pad_width, mode)"
    value = next((n for n in ("constant_values", "constant_value") if n in a.nodes), None)
    return f"_pad(x, pad_width, mode, {value})" if value else "_pad(x, pad_width, mode)"


def _squeezed(a: Arguments) -> str:
    return "torch.squeeze(x)" if a.value("axis") is None else "torch.squeeze(x, dim=axis)"


def _normal(a: Arguments) -> str:
    if a.given("return_eps"):
        raise Unfit("gaussian with return_eps=True has no counterpart", "draw eps in the ported file")
    return "mean + torch.exp(0.5 * ln_var) * torch.randn_like(mean)" if not a.given("eps") else "mean + torch.exp(0.5 * ln_var) * eps"


def _normalised(a: Arguments) -> str:
    if a.value("axis") is not None:
        raise Unfit("batch normalization over chosen axes has no counterpart in torch", "transpose the array around it")
    return "_batch_normalization(x, gamma, beta, eps, running_mean, running_var, decay)"


def _unpooled(a: Arguments) -> str:
    k, s, pad, outsize, cover = (a.value(n) for n in ("ksize", "stride", "pad", "outsize", "cover_all"))
    whole = isinstance(k, int) and s in (None, k) and pad == 0 and outsize is None and cover is False
    return "F.interpolate(x, scale_factor=ksize, mode='nearest')" if whole else "_unpooling_2d(x, ksize, stride, pad, outsize, cover_all)"


FUNCTIONS: dict[str, Rule] = {
    # activations
    "relu": "F.relu(x)", "leaky_relu": "F.leaky_relu(x, slope)", "elu": "F.elu(x, alpha)", "tanh": "torch.tanh(x)",
    "sigmoid": "torch.sigmoid(x)", "softplus": _softplus, "softmax": "torch.softmax(x, dim=axis)",
    "log_softmax": "torch.log_softmax(x, dim=axis)", "hard_sigmoid": "torch.clamp(0.2 * x + 0.5, 0.0, 1.0)",
    "clipped_relu": "torch.clamp(x, 0.0, z)", "relu6": "torch.clamp(x, 0.0, 6.0)", "crelu": "torch.cat((F.relu(x), F.relu(-x)), dim=axis)",
    "selu": "_selu(x, alpha, scale)", "swish": "x * torch.sigmoid(beta * x)", "maxout": "_maxout(x, pool_size, axis)",
    "prelu": "torch.where(x > 0, x, _along(W, x, 1) * x)", "lstm": "_lstm(c_prev, x)",
    # arrays
    "concat": "torch.cat(xs, dim=axis)", "stack": "torch.stack(xs, dim=axis)", "reshape": "torch.reshape(x, shape)",
    "expand_dims": "torch.unsqueeze(x, axis)", "squeeze": _squeezed, "transpose": _transposed, "swapaxes": "torch.swapaxes(x, axis1, axis2)",
    "moveaxis": "torch.movedim(x, source, destination)", "rollaxis": "_rollaxis(x, axis, start)", "broadcast_to": "torch.broadcast_to(x, shape)",
    "broadcast": "torch.broadcast_tensors(*args)", "tile": "_tile(x, reps)", "repeat": "_repeat(x, repeats, axis)", "pad": _padded,
    "get_item": "x[slices]", "split_axis": _split, "separate": "torch.unbind(x, dim=axis)", "flatten": "torch.flatten(x)",
    "flip": "torch.flip(x, (axis,))", "fliplr": "torch.fliplr(x)", "flipud": "torch.flipud(x)", "where": "torch.where(condition.bool(), x, y)",
    "vstack": "torch.vstack(xs)", "hstack": "torch.hstack(xs)", "dstack": "torch.dstack(xs)", "cast": _cast,
    "depth2space": "_depth2space(X, r)", "space2depth": "_space2depth(X, r)", "select_item": "_select_item(x, t)",
    "permutate": "_permutate(x, indices, axis, inv)", "resize_images": _resized, "diagonal": "torch.diagonal(x, offset, axis1, axis2)",
    "scatter_add": "_scatter_add(a, slices, b)", "pad_sequence": "_pad_sequence(xs, length, padding)", "copy": "x", "identity": "inputs",
    "im2col": "_im2col(x, ksize, stride, pad, cover_all, dilate)",
    # connections
    "linear": _linear, "convolution_1d": _convolved(1), "convolution_2d": _convolved(2), "convolution_3d": _convolved(3),
    "deconvolution_1d": _deconvolved(1), "deconvolution_2d": _deconvolved(2), "deconvolution_3d": _deconvolved(3),
    "dilated_convolution_2d": "F.conv2d(x, W, b, stride, pad, dilate)", "depthwise_convolution_2d": "_depthwise_convolution_2d(x, W, b, stride, pad)",
    "embed_id": "_embed_id(x, W, ignore_label)", "bilinear": "_bilinear(e1, e2, W, V1, V2, b)",
    # losses
    "mean_squared_error": "F.mse_loss(x0, x1)", "mean_absolute_error": "F.l1_loss(x0, x1)", "squared_error": "torch.square(x0 - x1)",
    "absolute_error": "torch.abs(x0 - x1)", "softmax_cross_entropy": "_softmax_cross_entropy(x, t, normalize, class_weight, ignore_label, reduce)",
    "sigmoid_cross_entropy": "_sigmoid_cross_entropy(x, t, normalize, reduce)", "bernoulli_nll": "_bernoulli_nll(x, y, reduce)",
    "gaussian_kl_divergence": "_gaussian_kl_divergence(mean, ln_var, reduce)", "gaussian_nll": "_gaussian_nll(x, mean, ln_var, reduce)",
    "hinge": "_hinge(x, t, norm, reduce)", "huber_loss": "_huber_loss(x, t, delta, reduce)", "contrastive": "_contrastive(x0, x1, y, margin, reduce)",
    "triplet": "_triplet(anchor, positive, negative, margin, reduce)", "accuracy": "_accuracy(y, t, ignore_label)",
    # mathematics
    "sum": _reduced("sum"), "mean": _mean, "average": _mean, "max": lambda a: _axes(a, "torch.amax(x)", "torch.amax(x, dim=axis, keepdim=keepdims)"),
    "min": lambda a: _axes(a, "torch.amin(x)", "torch.amin(x, dim=axis, keepdim=keepdims)"), "argmax": _of_one_axis("argmax"), "argmin": _of_one_axis("argmin"),
    "prod": "_prod(x, axis, keepdims)", "cumsum": "_cumsum(x, axis)", "cumprod": "_cumprod(x, axis)", "logsumexp": lambda a: _axes(a, "", "torch.logsumexp(x, dim=axis)"),
    "exp": "torch.exp(x)", "log": "torch.log(x)", "sqrt": "torch.sqrt(x)", "rsqrt": "torch.rsqrt(x)", "absolute": "torch.abs(self)",
    "square": "torch.square(x)", "sin": "torch.sin(x)", "cos": "torch.cos(x)", "tan": "torch.tan(x)", "arcsin": "torch.asin(x)",
    "arccos": "torch.acos(x)", "arctan": "torch.atan(x)", "arctan2": "torch.atan2(x1, x2)", "sinh": "torch.sinh(x)", "cosh": "torch.cosh(x)",
    "log1p": "torch.log1p(x)", "expm1": "torch.expm1(x)", "log2": "torch.log2(x)", "log10": "torch.log10(x)", "floor": "torch.floor(x)",
    "ceil": "torch.ceil(x)", "sign": "torch.sign(x)", "fix": "torch.trunc(x)", "fmod": "torch.fmod(x, divisor)", "erf": "torch.erf(x)",
    "maximum": "torch.maximum(x1, x2)", "minimum": "torch.minimum(x1, x2)", "clip": "torch.clamp(x, x_min, x_max)", "matmul": _matmul,
    "batch_matmul": _matmul, "tensordot": "torch.tensordot(a, b, dims=axes)", "einsum": "torch.einsum(*operands)", "inv": "torch.linalg.inv(a)",
    "batch_inv": "torch.linalg.inv(a)", "det": "torch.linalg.det(a)", "batch_det": "torch.linalg.det(a)", "cholesky": "torch.linalg.cholesky(a)",
    "batch_l2_norm_squared": "torch.sum(torch.square(torch.flatten(x, 1)), dim=1)", "linear_interpolate": "p * x + (1 - p) * y",
    "bias": "x + _along(y, x, axis)", "scale": "x * _along(y, x, axis)",
    # noise, normalisation, pooling
    "dropout": _dropout, "gaussian": _normal, "batch_normalization": _normalised,
    "fixed_batch_normalization": "F.batch_norm(x, mean, var, gamma, beta, False, 0.0, eps)", "layer_normalization": "F.layer_norm(x, x.shape[1:], gamma, beta, eps)",
    "group_normalization": "F.group_norm(x, groups, gamma, beta, eps)", "local_response_normalization": "_local_response_normalization(x, n, k, alpha, beta)",
    "normalize": "_normalize(x, eps, axis)", "max_pooling_1d": _max_pool(1), "max_pooling_2d": _max_pool(2), "max_pooling_3d": _max_pool(3),
    "average_pooling_1d": _average_pool(1), "average_pooling_2d": _average_pool(2), "average_pooling_3d": _average_pool(3),
    "unpooling_2d": _unpooled, "spatial_pyramid_pooling_2d": "_spatial_pyramid_pooling_2d(x, pyramid_height)",
}  # fmt: skip
_WHOLE = {v: k for k, v in vars(chainer.functions).items() if callable(v) and not k.startswith("_")}


def is_chainers(value: Any) -> bool:
    """Returns: whether a value is a function of Chainer's."""
    return callable(value) and not isinstance(value, type | chainer.Link) and str(getattr(value, "__module__", "")).startswith("chainer.")


def name_of(function: Any) -> str:
    """Returns: the name under which `chainer.functions` has a function; empty where it has not."""
    try:
        return _WHOLE.get(function, "")
    except TypeError:
        return ""


def translate(writer: Expressions, node: ast.Call, function: Any) -> ast.expr:
    """Translate the call of one of Chainer's functions.

    Raises:
        Unfit: it has no counterpart.
    """
    name = name_of(function)
    rule = FUNCTIONS.get(name)
    if rule is None:
        raise Unfit(f"chainer.functions.{name or getattr(function, '__name__', '?')} is not among the functions that can be ported")
    a = writer.bind(node, _signature(function, name), function)
    return _fill(a, rule)


def value(writer: Expressions, function: Any, node: ast.expr) -> ast.expr:
    """Translate one of Chainer's functions that is a value: given as an argument, or kept in a list.

    Raises:
        Unfit: it has no counterpart.
    """
    name = name_of(function)
    rule = FUNCTIONS.get(name)
    if rule is None:
        raise Unfit(f"chainer.functions.{name or getattr(function, '__name__', '?')} is not among the functions that can be ported")
    signature = _signature(function, name)
    needed = [p for p in signature.parameters.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if isinstance(rule, str) and len(needed) == len(signature.parameters):
        tree = ast.parse(rule, mode="eval").body
        if isinstance(tree, ast.Call) and [getattr(a, "id", "") for a in tree.args] == [p.name for p in needed] and not tree.keywords:
            writer.writer.use_in(tree.func)
            return tree.func
    return writer.writer.wrapper(name, signature, rule, writer)


def wrapped(writer: Expressions, signature: inspect.Signature, rule: Rule) -> ast.expr:
    """Returns: the body of a function with the signature of one of Chainer's: what a rule makes of its parameters."""
    parameters = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    node = ast.Call(ast.Name("f", ast.Load()), [ast.Name(p.name, ast.Load()) for p in parameters if p.default is p.empty], [])
    a = Arguments(writer, node, signature)
    for p in parameters:
        a.put(p.name, ast.Name(p.name, ast.Load()))
    return _fill(a, rule)


def _fill(a: Arguments, rule: Rule) -> ast.expr:
    made = rule if isinstance(rule, str) else rule(a)
    filled = a.fill(made) if isinstance(made, str) else made
    a.writer.writer.use_in(filled)
    return filled


def _signature(function: Any, name: str) -> inspect.Signature:
    if name == "absolute":
        return inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)])
    signature = inspect.signature(function)
    if name in _UNUSED:  # **kwargs that carry keywords of older versions
        return inspect.Signature([p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD] + _UNUSED[name])
    return signature


def _keyword(name: str, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)


_UNUSED: dict[str, list[inspect.Parameter]] = {
    "dropout": [_keyword("mask", None), _keyword("return_mask", False)],
    "gaussian": [_keyword("eps", None), _keyword("return_eps", False)],
    "convolution_2d": [_keyword("dilate", 1), _keyword("groups", 1)],
    "deconvolution_2d": [_keyword("dilate", 1), _keyword("groups", 1)],
    "batch_normalization": [_keyword(n, d) for n, d in (("eps", 2e-5), ("running_mean", None), ("running_var", None), ("decay", 0.9), ("axis", None))],
}  # fmt: skip
__all__ = ["FUNCTIONS", "Rule", "call", "constant", "is_chainers", "name_of", "translate", "value", "wrapped"]
