"""His expressions, rewritten to PyTorch."""

from __future__ import annotations

import ast
import builtins
import types
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.tools.porting.tracing.compiling import Source
from ganspec.tools.porting.tracing.record import TENSORS, Seen
from ganspec.tools.porting.translating import arrays, distributions, functions, links
from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.calls import Calls
from ganspec.tools.porting.translating.scopes import Scopes
from ganspec.tools.porting.translating.templates import call, constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.writer import Writer

RESERVED = ("torch", "nn", "F", "math")  # names that the ported file uses itself
_NEVER = Seen()


class Expressions(Calls, Scopes):
    """Translates the expressions of one function of his, or of a module's outermost level.

    Args:
        writer: the translation of all his modules.
        source: the module.
        namespace: the module's names.
        local: names that are local to the function, or to one around it.
        own: the name of the instance in a method, "self" mostly; empty elsewhere.
    """

    def __init__(
        self, writer: Writer, source: Source, namespace: dict[str, Any], local: set[str], own: str = ""
    ) -> None:
        self.writer, self.source, self.namespace, self.local, self.own = writer, source, namespace, local, own
        self.tensors: list[str] = []  # parameters of the function that were tensors
        self.moded: list[bool] | None = None  # in a function outside of classes: whether it reads the mode

    # What an expression was.

    def seen(self, node: ast.AST) -> Seen:
        """Returns: what an expression was when it ran."""
        return self.writer.trace.seen.get(getattr(node, "site", 0), _NEVER)

    def static(self, node: ast.expr) -> tuple[bool, Any]:
        """Returns: whether an expression is known without a run, as a name of the module's is; and what it is."""
        match node:
            case ast.Name(id=name) if name not in self.local:
                if name in self.namespace:
                    return True, self.namespace[name]
                return (True, getattr(builtins, name)) if hasattr(builtins, name) else (False, None)
            case ast.Attribute(value=value, attr=attr):
                known, owner = self.static(value)
                if known and isinstance(owner, types.ModuleType | type) and hasattr(owner, attr):
                    return True, getattr(owner, attr)
                if known and owner in (chainer.config, chainer.global_config):
                    return True, (owner, attr)
        return False, None

    # Refusals.

    def refuse(self, node: ast.AST, why: str, remedy: str = "") -> ast.expr:
        """Note that something cannot be ported. Returns: an expression that raises when it is reached."""
        self.writer.refuse(self.source, node, why, remedy)
        return self.not_ported(node)

    def not_ported(self, node: ast.AST) -> ast.expr:
        """Returns: an expression that raises when it is reached, because it was not run or cannot be ported."""
        self.writer.use("_not_ported")
        return call("_not_ported", constant(self.writer.place(self.source, node)))

    # Expressions.

    def expr(self, node: ast.expr) -> ast.expr:
        """Translate an expression."""
        if isinstance(node, ast.Call | ast.Attribute) and self._is_initializer(node):
            return constant(None)  # initial values are carried, not drawn
        special = getattr(self, f"_{type(node).__name__.lower()}", None)
        try:
            return special(node) if special else self._generic(node)
        except Unfit as error:
            return self.refuse(node, str(error), error.remedy)

    def _is_initializer(self, node: ast.expr) -> bool:
        things = self.seen(node).things
        return (
            bool(things)
            and self.seen(node).is_all("object")
            and all(isinstance(t, chainer.Initializer) for t in things)
        )

    def _generic(self, node: ast.AST) -> Any:
        """Translate the parts, and keep the form."""
        new = type(node)()
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                setattr(new, name, [self._part(v) for v in value])
            else:
                setattr(new, name, self._part(value))
        return ast.copy_location(new, node) if isinstance(node, ast.expr | ast.stmt) else new

    def _part(self, value: Any) -> Any:
        if isinstance(value, ast.expr):
            return self.expr(value)
        if isinstance(value, ast.AST) and not isinstance(
            value, ast.expr_context | ast.operator | ast.cmpop | ast.boolop | ast.unaryop
        ):
            return self._generic(value)
        return value

    def _name(self, node: ast.Name) -> ast.expr:
        if node.id in self.local or not isinstance(node.ctx, ast.Load):
            return ast.Name(self.renamed(node.id), node.ctx)
        known, value = self.static(node)
        return self.thing(value, node) if known else ast.Name(node.id, ast.Load())

    @staticmethod
    def renamed(name: str) -> str:
        """Returns: a local name of his, under another name where the ported file needs it."""
        return f"{name}_" if name in RESERVED else name

    def thing(self, value: Any, node: ast.expr) -> ast.expr:
        """Translate something that is known without a run: a function, a class, a number of the module's."""
        if isinstance(value, tuple) and len(value) == 2 and value[0] in (chainer.config, chainer.global_config):
            return self._config(value[1], node)
        if isinstance(value, chainer.Initializer):
            return constant(None)
        if (found := arrays.value(value)) is not None:
            return found
        if isinstance(value, types.ModuleType):
            if value.__name__ in ("numpy", "cupy"):
                return ast.Name("torch", ast.Load())
            return self.writer.module(value, self.source, node)
        if isinstance(value, type) and value.__module__.startswith("chainer."):
            return links.class_value(self, value, node)
        if functions.is_chainers(value):
            return functions.value(self, value, node)
        if self.writer.is_his(value):
            return self.writer.definition(value, self.source, node)
        if isinstance(value, types.FunctionType | types.BuiltinFunctionType | type | np.ufunc):
            if getattr(value, "__module__", "") == "builtins":
                return ast.Name(value.__name__, ast.Load())
            return self.writer.imported(value, self.source, node)
        return self.writer.constant(value, node, self)

    def _config(self, name: str, node: ast.expr) -> ast.expr:
        if name == "train":
            return self.training(node)
        if name == "enable_backprop":
            return call("torch.is_grad_enabled")
        if name == "dtype":
            return call("torch.get_default_dtype")
        return self.refuse(node, f"chainer.config.{name} has no counterpart")

    def training(self, node: ast.AST) -> ast.expr:
        """Returns: the expression of being in training mode."""
        if not self.own and self.moded is not None and "training" not in self.local:
            self.moded.append(True)
            return ast.Name("training", ast.Load())
        if not self.own:
            raise Unfit(
                "the mode is read outside of a class", "make it a method of the class, or give the mode as an argument"
            )
        return filled("own.training", own=ast.Name(self.own, ast.Load()))

    def device(self) -> ast.expr | None:
        """Returns: the expression of the device on which new tensors are made; None where nothing tells it."""
        if self.tensors:
            return filled("x.device", x=ast.Name(self.renamed(self.tensors[0]), ast.Load()))
        return (
            filled("next(own.parameters()).device", own=ast.Name(self.own, ast.Load()))
            if self.own and not self.writer.in_constructor
            else None
        )

    def _attribute(self, node: ast.Attribute) -> ast.expr:
        known, value = self.static(node)
        if known and isinstance(node.ctx, ast.Load):
            inside, holder = self.static(node.value)
            if inside and isinstance(holder, type) and holder.__module__ == "builtins":
                return ast.Attribute(ast.Name(holder.__name__, ast.Load()), node.attr, ast.Load())
            return self.thing(value, node)
        owner = self.seen(node.value)
        if owner.kinds & TENSORS:
            if not owner.kinds <= TENSORS | {"scalar"} and node.attr in arrays.ATTRIBUTES:
                return self.refuse(
                    node, f"this was a tensor sometimes, and otherwise {', '.join(sorted(owner.kinds - TENSORS))}"
                )
            return arrays.attribute(self, node)
        if owner.is_all("module"):
            if (only := self.seen(node).only) is not None or self.seen(node).is_all("none"):
                return self.thing(only, node)
            return self.refuse(node, "which function of NumPy this is is not known")
        if owner.is_all("scalar"):
            return arrays.attribute(self, node)
        if owner.is_all("link"):
            return links.attribute(self, node)
        if owner.is_all("object") and distributions.are(owner.things):
            return distributions.attribute(self, node)
        if (
            owner.kinds
            and "object" in owner.kinds
            and any(thing in (chainer.config, chainer.global_config) for thing in owner.things)
        ):
            return self._config(node.attr, node)
        return ast.Attribute(self.expr(node.value), node.attr, node.ctx)

    def _subscript(self, node: ast.Subscript) -> ast.expr:
        owner = self.seen(node.value)
        if (
            owner.is_all("link")
            and (self.seen(node.slice).is_all("text") or isinstance(getattr(node.slice, "value", None), str))
            and all(isinstance(t, chainer.Chain) for t in owner.things)
        ):
            return call("getattr", self.expr(node.value), self.expr(node.slice))
        if owner.kinds & TENSORS:
            return arrays.subscript(self, node)
        return self._generic(node)

    def _ifexp(self, node: ast.IfExp) -> ast.expr:
        return ast.IfExp(self.expr(node.test), self._if_ran(node.body), self._if_ran(node.orelse))

    def _boolop(self, node: ast.BoolOp) -> ast.expr:
        return ast.BoolOp(node.op, [self._if_ran(v) for v in node.values])

    def _if_ran(self, node: ast.expr) -> ast.expr:
        plain = all(
            isinstance(
                n, ast.Constant | ast.Name | ast.Tuple | ast.UnaryOp | ast.operator | ast.expr_context | ast.unaryop
            )
            for n in ast.walk(node)
        )
        return self.expr(node) if plain or self.seen(node).count else self.not_run(node)

    def not_run(self, node: ast.expr) -> ast.expr:
        """Note that an expression never ran. Returns: one that raises."""
        self.writer.skip(self.source, node)
        return self.not_ported(node)

    def _binop(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, ast.Mod) and self.seen(node.left).kinds & TENSORS:
            return call("torch.remainder", self.expr(node.left), self.expr(node.right))
        return self._generic(node)

    def _joinedstr(self, node: ast.JoinedStr) -> ast.expr:
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if names <= self.local and not any(isinstance(n, ast.Call) for n in ast.walk(node)):
            return node
        return self.refuse(node, "an f-string that computes", "compute the value before")
