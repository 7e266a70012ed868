"""The arguments with which Chainer's links are constructed."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer.links as L

from ganspec.tools.porting.translating import functions
from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.link_rules import Rule

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions

# Arguments that settle initial values alone.
INITIAL = frozenset({
    "initialW", "initial_bias", "initialV", "initial_gamma", "initial_beta", "initial_avg_mean", "initial_avg_var", "initialU",
    "dtype", "use_gamma", "use_beta",
    "conv_init", "bias_init", "lateral_init", "upward_init", "forget_bias_init", "init", "inner_init", "init_Wh", "init_Wt",
    "init_bh", "init_bt", "beta_init",
})  # fmt: skip


def without_initial(writer: Expressions, node: ast.Call, cls: type) -> ast.Call:
    """Returns: L.Linear(n, m, **initial) without the dictionary, where the links show that it had initial values alone."""
    shown = _SHOWN.get(cls)
    plain = ast.copy_location(ast.Call(node.func, node.args, [k for k in node.keywords if k.arg is not None]), node)
    plain.site = getattr(node, "site", 0)  # type: ignore[attr-defined]
    if shown is None or len(plain.keywords) == len(node.keywords) or any(isinstance(a, ast.Starred) for a in node.args):
        return node
    a, links = arguments_of(writer, plain, cls), writer.seen(node).things
    given = {name: a.value(name) for name in shown if name in a.nodes or name in a.signature.parameters}

    def same(link: Any, name: str, value: Any) -> bool:
        if name == "nobias":
            return (link.b is None) == value
        kept = getattr(link, name)
        return bool(kept in (value, (value, value)))

    alike = all(same(link, name, value) for link in links for name, value in given.items())
    return plain if links and alike else node


_SHOWN = {
    L.Linear: ("nobias",),
    L.Convolution2D: ("nobias", "stride", "pad", "dilate", "groups"),
    L.Deconvolution2D: ("nobias", "stride", "pad", "dilate", "groups", "outsize"),
}


def ruled(rule: Rule, a: Arguments, links: list[Any]) -> ast.expr:
    """Returns: what a rule makes. Raises: Unfit: an argument is given of which it knows nothing."""
    made = rule(a, links)
    if unread := a.unread(INITIAL):
        raise Unfit(f"its argument {unread[0]!r} has no counterpart", "leave it out")
    return made


def arguments_of(writer: Expressions, node: ast.Call, cls: type) -> Arguments:
    """Returns: the arguments of the construction of a link."""
    signature = inspect.signature(cls)
    if cls in (L.Convolution2D, L.Deconvolution2D):
        parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        signature = inspect.Signature([*parameters, functions._keyword("dilate", 1), functions._keyword("groups", 1)])
    return writer.bind(node, signature, cls)
