"""Chainer's functions in PyTorch: a template for each, in which the names of its parameters stand for the arguments.

A name that begins with an underscore is a function of `written`, whose source is put into the ported file. What depends on an
argument's value is a function here. Every entry is compared with Chainer's own function in tests/porting/test_functions.py.
"""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions

from ganspec.tools.porting.translating import function_rules as rules
from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.function_rules import Rule
from ganspec.tools.porting.translating.other_functions import OTHERS, signature_of

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions


FUNCTIONS: dict[str, Rule] = {
    # activations
    "relu": "F.relu(x)", "leaky_relu": "F.leaky_relu(x, slope)", "elu": "F.elu(x, alpha)", "tanh": "torch.tanh(x)",
    "sigmoid": "torch.sigmoid(x)", "softplus": rules.softplus, "softmax": "torch.softmax(x, dim=axis)",
    "log_softmax": "torch.log_softmax(x, dim=axis)", "hard_sigmoid": "F.hardtanh(0.2 * x + 0.5, 0.0, 1.0)",
    "clipped_relu": "F.hardtanh(x, 0.0, z)", "relu6": "F.relu6(x)",
    "crelu": "torch.cat((F.relu(x), F.relu(-x)), dim=axis)",
    "selu": "_selu(x, alpha, scale)", "swish": "x * torch.sigmoid(beta * x)", "maxout": "_maxout(x, pool_size, axis)",
    "prelu": "torch.where(x > 0, x, _along(W, x, 1) * x)", "lstm": "_lstm(c_prev, x)",
    # arrays
    "concat": "torch.cat(xs, dim=axis)", "stack": "torch.stack(xs, dim=axis)", "reshape": "torch.reshape(x, shape)",
    "expand_dims": "torch.unsqueeze(x, axis)", "squeeze": rules.squeezed, "transpose": rules.transposed,
    "swapaxes": "torch.swapaxes(x, axis1, axis2)",
    "moveaxis": "torch.movedim(x, source, destination)", "rollaxis": "_rollaxis(x, axis, start)",
    "broadcast_to": "torch.broadcast_to(x, shape)",
    "broadcast": "torch.broadcast_tensors(*args)", "tile": "_tile(x, reps)", "repeat": "_repeat(x, repeats, axis)",
    "pad": rules.padded,
    "get_item": "x[slices]", "split_axis": rules.split, "separate": "torch.unbind(x, dim=axis)", "flatten": "torch.flatten(x)",
    "flip": "torch.flip(x, (axis,))", "fliplr": "torch.fliplr(a)", "flipud": "torch.flipud(a)",
    "where": "torch.where(condition.bool(), x, y)",
    "vstack": "torch.vstack(xs)", "hstack": "torch.hstack(xs)", "dstack": "torch.dstack(xs)", "cast": rules.cast,
    "depth2space": "_depth2space(X, r)", "space2depth": "_space2depth(X, r)", "select_item": "_select_item(x, t)",
    "permutate": "_permutate(x, indices, axis, inv)", "resize_images": rules.resized,
    "diagonal": "torch.diagonal(x, offset, axis1, axis2)",
    "scatter_add": "_scatter_add(a, slices, b)", "pad_sequence": "_pad_sequence(xs, length, padding)", "copy": "x",
    "identity": "inputs",
    "im2col": "_im2col(x, ksize, stride, pad, cover_all, dilate)",
    # connections
    "linear": rules.linear, "convolution_1d": rules.convolved(1), "convolution_2d": rules.convolved(2),
    "convolution_3d": rules.convolved(3),
    "deconvolution_1d": rules.deconvolved(1), "deconvolution_2d": rules.deconvolved(2), "deconvolution_3d": rules.deconvolved(3),
    "dilated_convolution_2d": "F.conv2d(x, W, b, stride, pad, dilate)",
    "depthwise_convolution_2d": "_depthwise_convolution_2d(x, W, b, stride, pad)",
    "embed_id": "_embed_id(x, W, ignore_label)", "bilinear": "_bilinear(e1, e2, W, V1, V2, b)",
    "convolution_nd": rules.convolved(), "deconvolution_nd": rules.deconvolved(),
    "local_convolution_2d": "_local_convolution_2d(x, W, b, stride)",
    # recurrent
    "n_step_lstm": rules.n_step("_lstm_step", True, 1), "n_step_bilstm": rules.n_step("_lstm_step", True, 2),
    "n_step_gru": rules.n_step("_gru_step", False, 1),
    "n_step_bigru": rules.n_step("_gru_step", False, 2), "n_step_rnn": rules.n_step("", False, 1),
    "n_step_birnn": rules.n_step("", False, 2),
    "tree_lstm": "_tree_lstm(*inputs)", "slstm": "_slstm(c_prev1, c_prev2, x1, x2)",
    # losses
    "squared_difference": "torch.square(x1 - x2)", "binary_accuracy": "_binary_accuracy(y, t, -1)",
    "cross_covariance": "_cross_covariance(y, z, reduce)", "decov": "_decov(h, reduce)",
    "mean_squared_error": "F.mse_loss(x0, x1)", "mean_absolute_error": "F.l1_loss(x0, x1)",
    "squared_error": "torch.square(x0 - x1)",
    "absolute_error": "torch.abs(x0 - x1)", "softmax_cross_entropy": rules.crossed_entropy,
    "sigmoid_cross_entropy": "_sigmoid_cross_entropy(x, t, normalize, reduce)", "bernoulli_nll": "_bernoulli_nll(x, y, reduce)",
    "gaussian_kl_divergence": "_gaussian_kl_divergence(mean, ln_var, reduce)",
    "gaussian_nll": "_gaussian_nll(x, mean, ln_var, reduce)",
    "hinge": "_hinge(x, t, norm, reduce)", "huber_loss": "_huber_loss(x, t, delta, reduce)",
    "contrastive": "_contrastive(x0, x1, y, margin, reduce)",
    "triplet": "_triplet(anchor, positive, negative, margin, reduce)", "accuracy": "_accuracy(y, t, ignore_label)",
    # mathematics
    "sum": rules.reduced("sum"), "mean": rules.mean, "average": rules.mean,
    "max": "_largest(x, axis, keepdims)", "min": "-_largest(-x, axis, keepdims)",
    "argmax": rules.of_one_axis("argmax"), "argmin": rules.of_one_axis("argmin"),
    "prod": "_prod(x, axis, keepdims)", "cumsum": "_cumsum(x, axis)", "cumprod": "_cumprod(x, axis)",
    "logsumexp": lambda a: rules.over_axes(a, "", "torch.logsumexp(x, dim=axis)"),
    "exp": "torch.exp(x)", "log": "torch.log(x)", "sqrt": "torch.sqrt(x)", "rsqrt": "torch.rsqrt(x)",
    "absolute": "torch.abs(self)",
    "square": "torch.square(x)", "sin": "torch.sin(x)", "cos": "torch.cos(x)", "tan": "torch.tan(x)", "arcsin": "torch.asin(x)",
    "arccos": "torch.acos(x)", "arctan": "torch.atan(x)", "arctan2": "torch.atan2(x1, x2)", "sinh": "torch.sinh(x)",
    "cosh": "torch.cosh(x)",
    "log1p": "torch.log1p(x)", "expm1": "torch.expm1(x)", "log2": "torch.log2(x)", "log10": "torch.log10(x)",
    "floor": "torch.floor(x)",
    "ceil": "torch.ceil(x)", "sign": "torch.sign(x)", "fix": "torch.trunc(x)", "fmod": "torch.fmod(x, divisor)",
    "erf": "torch.erf(x)",
    "maximum": rules.larger_or_smaller("maximum", "min"), "minimum": rules.larger_or_smaller("minimum", "max"),
    "clip": "torch.clamp(x, x_min, x_max)", "matmul": rules.matrix_product,
    "batch_matmul": "_batch_matmul(a, b, transa, transb)", "tensordot": "torch.tensordot(a, b, dims=axes)",
    "einsum": "torch.einsum(*operands)", "inv": "torch.linalg.inv(a)",
    "batch_inv": "torch.linalg.inv(a)", "det": "torch.linalg.det(a)", "batch_det": "torch.linalg.det(a)",
    "cholesky": "torch.linalg.cholesky(a)",
    "batch_l2_norm_squared": "torch.sum(torch.square(torch.flatten(x, 1)), dim=1)", "linear_interpolate": "p * x + (1 - p) * y",
    "bias": "x + _along(y, x, axis)", "scale": "x * _along(y, x, axis)",
    "add": rules.added, "arctanh": "torch.atanh(x)", "erfc": "torch.erfc(x)", "erfcinv": "torch.special.erfinv(1 - x)",
    "erfcx": "torch.special.erfcx(x)", "erfinv": "torch.erfinv(x)",
    "lgamma": "torch.lgamma(x)", "digamma": "torch.digamma(x)", "ndtr": "torch.special.ndtr(x)",
    "log_ndtr": "torch.special.log_ndtr(x)",
    "ndtri": "torch.special.ndtri(x)", "forget": rules.forgotten, "sum_to": "_sum_to(x, shape)",
    "transpose_sequence": "_transpose_sequence(xs)",
    "spatial_transformer_grid": "_spatial_transformer_grid(theta, output_shape)",
    "spatial_transformer_sampler": "_spatial_transformer_sampler(x, grid)",
    # noise, normalisation, pooling
    "dropout": rules.dropout, "gaussian": rules.gaussian, "batch_normalization": rules.normalised,
    "fixed_batch_normalization": rules.fixed_normalised, "layer_normalization": "F.layer_norm(x, x.shape[1:], gamma, beta, eps)",
    "group_normalization": "F.group_norm(x, groups, gamma, beta, eps)",
    "local_response_normalization": "_local_response_normalization(x, n, k, alpha, beta)",
    "normalize": "_normalize(x, eps, axis)", "max_pooling_1d": rules.max_pooled(1), "max_pooling_2d": rules.max_pooled(2),
    "max_pooling_3d": rules.max_pooled(3),
    "average_pooling_1d": rules.average_pooled(1), "average_pooling_2d": rules.average_pooled(2),
    "average_pooling_3d": rules.average_pooled(3),
    "max_pooling_nd": rules.max_pooled(), "average_pooling_nd": rules.average_pooled(), "unpooling_1d": rules.unpooled,
    "unpooling_3d": rules.unpooled,
    "unpooling_nd": rules.unpooled, "zoneout": rules.zoned_out, "gumbel_softmax": "_gumbel_softmax(log_pi, tau, axis)",
    "unpooling_2d": rules.unpooled, "spatial_pyramid_pooling_2d": rules.pyramid,
}  # fmt: skip
# Arguments that do not change what a function gives.
HARMLESS = frozenset(
    {
        "dst",
        "enable_double_backprop",
        "cache_score",
        "use_cudnn",
        "copy",
        "order",
        "keepgraph_on_report",
        "initialV",
        "mode_",
    }
)
REMEDIES = {
    **dict.fromkeys(("roi_pooling_2d", "roi_max_pooling_2d", "roi_average_pooling_2d", "roi_max_align_2d",
    "roi_average_align_2d"), "torchvision.ops has roi_pool and roi_align: port the parts before and after it"),
    **dict.fromkeys(("crf1d", "argmax_crf1d"), "port the model without its last layer"),
    "connectionist_temporal_classification": "torch.nn.functional.ctc_loss, outside of the model",
    **dict.fromkeys(("negative_sampling", "black_out"), "it is of the training: port the model without it"),
    "upsampling_2d": "use unpooling_2d, or torch.nn.functional.max_unpool2d in the ported file",
    "sparse_matmul": "multiply dense matrices", "rrelu": "use leaky_relu",
    "simplified_dropconnect": "multiply the weights by a mask",
    **dict.fromkeys(("batch_renormalization", "fixed_batch_renormalization", "decorrelated_batch_normalization"),
    "use batch_normalization"),
}  # fmt: skip
_WHOLE = {v: k for k, v in vars(chainer.functions).items() if callable(v) and not k.startswith("_")}


def is_chainers(value: Any) -> bool:
    """Returns: whether a value is a function of Chainer's."""
    return (
        callable(value)
        and not isinstance(value, type | chainer.Link)
        and str(getattr(value, "__module__", "")).partition(".")[0] == "chainer"
    )


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
    if rule is None and (other := OTHERS.get(function)) is not None:
        return fill(writer.bind(node, signature_of(function), function), other)
    if rule is None:
        raise _unknown(function, name)
    a = writer.bind(node, _signature(function, name), function)
    return fill(a, rule)


def value(writer: Expressions, function: Any, node: ast.expr) -> ast.expr:
    """Translate one of Chainer's functions that is a value: given as an argument, or kept in a list.

    Raises:
        Unfit: it has no counterpart.
    """
    name = name_of(function)
    rule = FUNCTIONS.get(name)
    if rule is None:
        raise _unknown(function, name)
    signature = _signature(function, name)
    needed = [p for p in signature.parameters.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if isinstance(rule, str) and len(needed) == len(signature.parameters):
        tree = ast.parse(rule, mode="eval").body
        if (
            isinstance(tree, ast.Call)
            and [getattr(a, "id", "") for a in tree.args] == [p.name for p in needed]
            and not tree.keywords
        ):
            writer.writer.use_in(tree.func)
            return tree.func
    return writer.writer.wrapper(name, signature, rule, writer)


def wrapped(writer: Expressions, signature: inspect.Signature, rule: Rule) -> ast.expr:
    """Returns: the body of a function with the signature of one of Chainer's: what a rule makes of its parameters."""
    parameters = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    node = ast.Call(
        ast.Name("f", ast.Load()), [ast.Name(p.name, ast.Load()) for p in parameters if p.default is p.empty], []
    )
    a = Arguments(writer, node, signature)
    for p in parameters:
        a.put(p.name, ast.Name(p.name, ast.Load()))
    return fill(a, rule)


def _unknown(function: Any, name: str) -> Unfit:
    called = name or getattr(function, "__name__", "?")
    where = "chainer.functions" if name else getattr(function, "__module__", "")
    return Unfit(f"{where}.{called} is not among the functions that can be ported", REMEDIES.get(called, ""))


def fill(a: Arguments, rule: Rule) -> ast.expr:
    """Translate by a rule.

    Raises:
        Unfit: an argument is given of which the rule knows nothing.
    """
    made = rule if isinstance(rule, str) else rule(a)
    filled = a.fill(made) if isinstance(made, str) else made
    if unread := a.unread(HARMLESS):
        raise Unfit(f"its argument {unread[0]!r} has no counterpart", "leave it out")
    a.writer.writer.use_in(filled)
    return filled


def _signature(function: Any, name: str) -> inspect.Signature:
    if name == "absolute":
        return inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)])
    signature = inspect.signature(function)
    if name in _UNUSED:  # **kwargs that carry keywords of older versions
        return inspect.Signature(
            [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD] + _UNUSED[name]
        )
    return signature


def _keyword(name: str, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)


_UNUSED: dict[str, list[inspect.Parameter]] = {
    "dropout": [_keyword("mask", None), _keyword("return_mask", False)],
    "gaussian": [_keyword("eps", None), _keyword("return_eps", False)],
    "convolution_2d": [_keyword("dilate", 1), _keyword("groups", 1)],
    "deconvolution_2d": [_keyword("dilate", 1), _keyword("groups", 1)],
    "batch_normalization": [_keyword(n, d) for n,
    d in (("eps", 2e-5), ("running_mean", None), ("running_var", None), ("decay", 0.9), ("axis", None))],
}  # fmt: skip
__all__ = ["FUNCTIONS", "Rule", "is_chainers", "name_of", "translate", "value", "wrapped"]
