"""How his classes call the constructors that they derive from: `super().__init__(...)` and `Chain.__init__(self, ...)`."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer

from ganspec.tools.porting.translating import links
from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.templates import filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.statements import Statements


class Constructors:
    """The part of `Statements` that translates calls of constructors."""

    def _initialisation(self: Statements, node: ast.Call) -> list[ast.stmt] | None:
        """Translate `super().__init__(...)` and `Chain.__init__(self, ...)`; None for anything else."""
        func = node.func
        if not isinstance(func, ast.Attribute) or func.attr != "__init__" or self.owner is None:
            return None
        of_super = isinstance(func.value, ast.Call) and getattr(func.value.func, "id", "") == "super"
        things = self.within.seen(func).things
        functions = {getattr(t, "__func__", t) for t in things}
        if len(functions) > 1:
            raise Unfit("which class's constructor this calls differs", "construct one class at a time")
        function = functions.pop() if functions else None
        module, cls = str(getattr(function, "__module__", "")), _class_of(function)
        arguments = node.args if of_super else node.args[1:]
        own = self.within.own
        if cls is None or not module.startswith("chainer."):
            if cls is object or module in ("", "builtins"):
                return [ast.Expr(filled("super().__init__()"))]
            made = [self.within.expr(a) for a in arguments], [self.within._generic(k) for k in node.keywords]
            return [ast.Expr(ast.Call(filled("super().__init__"), *made))]
        node = ast.copy_location(ast.Call(func, arguments, node.keywords), node)
        if cls in (chainer.Link, chainer.Chain):
            base = next((b for b in self.owner.__mro__ if b in links.LINKS), None)
            if base is None:
                return self._with_links(node, own)
        if cls is chainer.ChainList or cls is chainer.Sequential:
            made_list = links._listed(self.within, node, cls)
            assert isinstance(made_list, ast.Call)
            return [ast.Expr(ast.Call(filled("super().__init__"), made_list.args, []))]
        instances = [t for t in self.writer.instances if isinstance(t, self.owner)]
        return [ast.Expr(links.superclass(self.within, node, cls, instances))]

    def _with_links(self: Statements, node: ast.Call, own: str) -> list[ast.stmt]:
        """super().__init__(l1=L.Linear(...)) names the links as keywords."""
        made: list[ast.stmt] = [ast.Expr(filled("super().__init__()"))]
        for keyword in node.keywords:
            value = self.within.expr(keyword.value)
            if self.within.seen(keyword.value).is_all("tuple", "number"):  # Link.__init__(W=shape) makes a parameter
                shape = value if self.within.seen(keyword.value).is_all("tuple") else ast.Tuple([value], ast.Load())
                value = filled("nn.Parameter(torch.zeros(shape))", shape=shape)
            if keyword.arg is None:
                loop = ast.parse(f"for name, link in __links__.items():\n    {own}.add_module(name, link)").body[0]
                assert isinstance(loop, ast.For)
                loop.iter = filled("links.items()", links=value)
                made.append(loop)
            else:
                made.append(
                    ast.Assign([ast.Attribute(ast.Name(own, ast.Load()), keyword.arg, ast.Store())], value, lineno=0)
                )
        return made


def _class_of(function: Any) -> type | None:
    """Returns: the class of Chainer's whose constructor a function is."""
    name = str(getattr(function, "__qualname__", "")).rpartition(".")[0]
    module = sys.modules.get(str(getattr(function, "__module__", "")))
    found = getattr(module, name, None) if module and name else None
    return found if isinstance(found, type) else None
