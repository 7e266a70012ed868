"""Functions of Chainer's outside of `chainer.functions`: sizes of convolutions, checks of arguments, configuration."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
from chainer.dataset import convert
from chainer.utils import argument, conv, conv_nd, type_check

from ganspec.tools.porting.tracing.record import TENSORS
from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.templates import call, constant, filled

Rule = str | Callable[[Arguments], "str | ast.expr"]


def _popped(a: Arguments) -> ast.expr:
    """parse_kwargs(kwargs, (name, default), ...) takes arguments out of a dictionary."""
    pairs = a.nodes.get("name_and_values", ())
    if any(not isinstance(p, ast.Tuple) or len(p.elts) != 2 for p in pairs):
        raise Unfit("its names and defaults are not written out", "write pairs of a name and a default")
    taken = [
        filled("kwargs.pop(name, default)", kwargs=a["kwargs"], name=p.elts[0], default=a.writer.expr(p.elts[1]))
        for p in pairs
    ]
    a.read.add("name_and_values")
    return ast.Tuple(taken, ast.Load())


def _examples(a: Arguments) -> str:
    if not a.seen("batch").elements <= TENSORS or a.given("to_device"):
        raise Unfit("concat_examples of other than arrays has no counterpart", "call it outside of the model")
    return "_concat_examples(batch, padding)" if a.given("padding") else "torch.stack(tuple(batch))"


def _nothing(a: Arguments) -> ast.expr:
    a.read |= a.nodes.keys()
    return constant(None)


def _generated(a: Arguments) -> ast.expr:
    """An array of initial values, which are carried."""
    a.read |= a.nodes.keys()
    return call("torch.zeros", a["shape"])


OTHERS: dict[Any, Rule] = {
    conv.get_conv_outsize: "_conv_outsize(size, k, s, p, cover_all, d)",
    conv.get_deconv_outsize: "_deconv_outsize(size, k, s, p, cover_all, d)",
    conv_nd.as_tuple: "_pair(x, n)", argument.parse_kwargs: _popped, argument.check_unexpected_kwargs: _nothing,
    argument.assert_kwargs_empty: _nothing,
    type_check.expect: _nothing, convert.concat_examples: _examples, chainer.is_debug: lambda _: constant(False),
    chainer.get_dtype: lambda _: call("torch.get_default_dtype"),
    chainer.kl_divergence: "torch.distributions.kl_divergence(dist1, dist2)", chainer.utils.force_array: "x",
    chainer.initializers.generate_array: _generated, chainer.initializers._get_initializer: _nothing,
}  # fmt: skip


def signature_of(function: Any) -> inspect.Signature:
    """Returns: the parameters of one of `OTHERS`."""
    if function is conv_nd.as_tuple:
        return inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("x", "n")])
    if function in (convert.concat_examples,):
        return inspect.signature(lambda batch, device=None, padding=None: None)
    return inspect.signature(function)
