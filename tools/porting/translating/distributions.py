"""Chainer's distributions as those of torch.distributions. What Chainer differentiates through a sample, `rsample` does."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
from chainer import distributions as D

from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.numpy_tables import signature
from ganspec.tools.porting.translating.templates import constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions

# Parameters of each, and the call: the first whose arguments are all given.
KINDS: dict[type, tuple[str, tuple[tuple[tuple[str, ...], str], ...]]] = {
    D.Normal: ("loc, scale=None, log_scale=None",
    ((("loc", "scale"), "Normal(loc, scale)"), (("loc", "log_scale"), "Normal(loc, torch.exp(log_scale))"))),
    D.LogNormal: ("mu, sigma", ((("mu", "sigma"), "LogNormal(mu, sigma)"),)),
    D.Laplace: ("loc, scale", ((("loc", "scale"), "Laplace(loc, scale)"),)),
    D.Uniform: ("low=None, high=None, loc=None, scale=None",
    ((("low", "high"), "Uniform(low, high)"), (("loc", "scale"), "Uniform(loc, loc + scale)"))),
    D.Bernoulli: ("p=None, logit=None, binary_check=False",
    ((("p",), "Bernoulli(probs=p)"), (("logit",), "Bernoulli(logits=logit)"))),
    D.Categorical: ("p=None, logit=None", ((("p",), "Categorical(probs=p)"), (("logit",), "Categorical(logits=logit)"))),
    D.Exponential: ("lam", ((("lam",), "Exponential(lam)"),)),
    D.Gumbel: ("loc, scale", ((("loc", "scale"), "Gumbel(loc, scale)"),)),
    D.Independent: ("distribution, reinterpreted_batch_ndims=None",
    ((("distribution", "reinterpreted_batch_ndims"), "Independent(distribution, reinterpreted_batch_ndims)"),)),
}  # fmt: skip
_DISCRETE = (D.Bernoulli, D.Categorical)
_ATTRIBUTES = {
    "loc": "d.loc", "scale": "d.scale", "log_scale": "torch.log(d.scale)", "mean": "d.mean", "variance": "d.variance",
    "stddev": "d.stddev", "entropy": "d.entropy()",
    "p": "d.probs", "logit": "d.logits", "low": "d.low", "high": "d.high", "batch_shape": "d.batch_shape",
    "event_shape": "d.event_shape", "distribution": "d.base_dist",
}  # fmt: skip


def are(things: list[Any]) -> bool:
    """Returns: whether all of some things are distributions."""
    return bool(things) and all(isinstance(t, chainer.Distribution) for t in things)


def construct(writer: Expressions, node: ast.Call, cls: type) -> ast.expr:
    """Translate the construction of a distribution.

    Raises:
        Unfit: it has no counterpart.
    """
    if cls not in KINDS:
        raise Unfit(
            f"chainer.distributions.{cls.__name__} is not among those that can be ported", "write its density out"
        )
    parameters, forms = KINDS[cls]
    a = writer.bind(node, signature(parameters), cls)
    a.read.add("binary_check")
    if cls is D.Independent and a.value("reinterpreted_batch_ndims") is None:
        counts = {t.reinterpreted_batch_ndims for t in writer.seen(node).things}
        if len(counts) != 1:
            raise Unfit("over how many axes it is independent differs", "give reinterpreted_batch_ndims")
        a.put("reinterpreted_batch_ndims", constant(counts.pop()))
        a.nodes["reinterpreted_batch_ndims"] = ast.Constant(0)
    text = next((text for names, text in forms if all(n in a.nodes and a.value(n) is not None for n in names)), "")
    if not text:
        raise Unfit("which of its parameters are given is not known", "give the same ones each time")
    made = a.fill(f"torch.distributions.{text}")
    assert isinstance(made, ast.Call)
    made.keywords.append(ast.keyword("validate_args", constant(False)))
    return made


def attribute(writer: Expressions, node: ast.Attribute) -> ast.expr:
    """Translate an attribute of a distribution."""
    if node.attr not in _ATTRIBUTES:
        raise Unfit(f"the attribute .{node.attr} of a distribution has no counterpart")
    return filled(_ATTRIBUTES[node.attr], d=writer.expr(node.value))


def method(writer: Expressions, node: ast.Call) -> ast.expr:
    """Translate a method of a distribution."""
    assert isinstance(node.func, ast.Attribute)
    name = node.func.attr
    kinds = {_innermost(t) for t in writer.seen(node.func.value).things}
    if name in ("sample", "sample_n"):
        a = writer.bind(node, signature("sample_shape=()" if name == "sample" else "n"))
        discrete = {issubclass(k, _DISCRETE) for k in kinds}
        if len(discrete) != 1:
            raise Unfit("it draws from different kinds of distributions")
        how = "sample" if discrete.pop() else "rsample"
        a.put("d", writer.expr(node.func.value))
        if name == "sample_n":
            return a.fill(f"d.{how}((n,))")
        if not a.given("sample_shape"):
            return a.fill(f"d.{how}((1,))[0]")  # as Chainer draws it
        return a.fill(
            f"d.{how}((sample_shape,))" if a.seen("sample_shape").is_all("number") else f"d.{how}(sample_shape)"
        )
    a = writer.bind(node, signature("x"))
    a.put("d", writer.expr(node.func.value))
    if name not in ("log_prob", "prob", "cdf", "icdf"):
        raise Unfit(f"the method .{name}() of a distribution has no counterpart")
    return a.fill("torch.exp(d.log_prob(x))" if name == "prob" else f"d.{name}(x)")


def _innermost(thing: Any) -> type:
    while isinstance(thing, D.Independent):
        thing = thing.distribution
    return type(thing)
