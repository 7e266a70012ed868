"""What has names of its own in his expressions: lambdas, comprehensions, and the parameters of functions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions


class Scopes:
    """The part of `Expressions` that translates what binds names."""

    def _lambda(self: Expressions, node: ast.Lambda) -> ast.expr:
        inner = self.inside(node.args)
        return ast.Lambda(inner.arguments(node.args), inner._if_ran(node.body))

    def inside(self: Expressions, parameters: ast.arguments, own: str = "") -> Expressions:
        """Returns: the translation of a function inside this one."""
        named = {
            a.arg
            for a in [
                *parameters.posonlyargs,
                *parameters.args,
                *parameters.kwonlyargs,
                parameters.vararg,
                parameters.kwarg,
            ]
            if a
        }
        inner = type(self)(self.writer, self.source, self.namespace, self.local | named, own or self.own)
        inner.tensors, inner.moded = list(self.tensors), self.moded
        return inner

    def arguments(self: Expressions, parameters: ast.arguments) -> ast.arguments:
        """Translate the parameters of a function: their defaults, and no annotations."""

        def plain(parameter: ast.arg | None) -> ast.arg | None:
            return ast.arg(self.renamed(parameter.arg)) if parameter else None

        return ast.arguments(
            posonlyargs=[plain(a) for a in parameters.posonlyargs], args=[plain(a) for a in parameters.args],
            vararg=plain(parameters.vararg),
            kwonlyargs=[plain(a) for a in parameters.kwonlyargs],
            kw_defaults=[d and self.expr(d) for d in parameters.kw_defaults],
            kwarg=plain(parameters.kwarg), defaults=[self.expr(d) for d in parameters.defaults],
        )  # fmt: skip

    def _comprehension(self: Expressions, node: Any) -> ast.expr:
        inner = type(self)(self.writer, self.source, self.namespace, set(self.local), self.own)
        inner.tensors, inner.moded = self.tensors, self.moded
        for generator in node.generators:
            inner.local |= {n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
        new = type(node)(
            **{
                f: inner._if_ran(v) if isinstance(v, ast.expr) else [inner._generic(g) for g in v]
                for f, v in ast.iter_fields(node)
            }
        )
        return new

    _listcomp = _setcomp = _dictcomp = _generatorexp = _comprehension
