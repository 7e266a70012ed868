"""Chainer's distributions in PyTorch, as far as a model constructs and returns them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer.distributions as D

from ganspec.tools.porting.translating.arguments import Arguments, Unfit

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions


def _normal(a: Arguments) -> str:
    return f"torch.distributions.Normal(loc, {'torch.exp(log_scale)' if a.given('log_scale') else 'scale'})"


def _bernoulli(a: Arguments) -> str:
    if a.given("binary_check"):
        raise Unfit("Bernoulli with binary_check has no counterpart in torch", "leave binary_check out")
    return f"torch.distributions.Bernoulli({'logits=logit' if a.given('logit') else 'probs=p'})"


# Of each class its parameters in Chainer, and what it is.
DISTRIBUTIONS = {
    D.Normal: ("loc, scale=None, log_scale=None", _normal),
    D.Bernoulli: ("p=None, logit=None, binary_check=False", _bernoulli),
}


def construct(writer: Expressions, node: ast.Call, cls: type) -> ast.expr | None:
    """Translate the construction of a distribution. Returns: None where it is none that is known.

    Raises:
        Unfit: it has no counterpart with these arguments.
    """
    if cls not in DISTRIBUTIONS:
        return None
    from ganspec.tools.porting.translating.arrays import signature

    parameters, rule = DISTRIBUTIONS[cls]
    a = writer.bind(node, signature(parameters))
    return a.fill(rule(a))
