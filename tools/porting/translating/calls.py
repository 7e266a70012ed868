"""Calls in his expressions: of what is known without a run, of links and their methods, of his own functions."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer

from ganspec.tools.porting.tracing.compiling import GONE, MODES
from ganspec.tools.porting.tracing.record import TENSORS, Seen
from ganspec.tools.porting.translating import arrays, distributions, functions, links
from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.templates import call, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions


class Calls:
    """The part of `Expressions` that translates calls."""

    def _call(self: Expressions, node: ast.Call) -> ast.expr:
        if (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Call)
            and getattr(node.func.value.func, "id", "") == "super"
        ):
            name = "forward" if node.func.attr == "__call__" else node.func.attr
            return ast.Call(
                filled(f"super().{name}"), [self.expr(a) for a in node.args], [self._generic(k) for k in node.keywords]
            )
        callee = self.seen(node.func)
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in ("__getattribute__", "__getattr__")
            and len(node.args) == 1
        ):
            return call("getattr", self.expr(node.func.value), self.expr(node.args[0]))
        if isinstance(node.func, ast.Attribute) and self.seen(node.func.value).kinds & TENSORS:
            return arrays.method(self, node)
        if isinstance(node.func, ast.Attribute) and self.seen(node.func.value).is_all("scalar"):
            return arrays.scalar_method(self, node)
        if isinstance(node.func, ast.Attribute) and distributions.are(self.seen(node.func.value).things):
            return distributions.method(self, node)
        known, target = self.static(node.func)
        if not known:
            target = self._target(callee)
        if not self.seen(node).count and not isinstance(target, type) and target is None:
            return self.not_run(node)
        if target is not None and (found := self._known_call(node, target)) is not None:
            return found
        if callee.is_all("link"):
            return links.called(self, node)
        if isinstance(node.func, ast.Attribute) and self.seen(node.func.value).is_all("link"):
            return links.method(self, node)
        return self.plain_call(node)

    def _target(self: Expressions, callee: Seen) -> Any:
        """Returns: what a callee that is read from a variable always was, if it is a class or a function of a library."""
        things = {id(getattr(t, "__func__", t)): t for t in callee.things}
        if len(things) != 1 or not callee.kinds <= {"function", "class", "object"}:
            return None
        thing = next(iter(things.values()))
        if arrays.is_numpys(thing) or thing in (chainer.cuda.get_array_module,):
            return thing
        return thing if isinstance(thing, type) and thing.__module__.startswith("chainer.") else None

    def _known_call(self: Expressions, node: ast.Call, target: Any) -> ast.expr | None:
        """Translate the call of something that is known; None where it is translated as any other call."""
        if found := arrays.call_of(self, node, target):
            return found
        if isinstance(target, type) and target.__module__.startswith("chainer."):
            return links.construct(self, node, target)
        if functions.is_chainers(target):
            return functions.translate(self, node, target)
        return None

    def plain_call(self: Expressions, node: ast.Call) -> ast.expr:
        """Translate a call whose function and arguments keep their form."""
        for keyword in node.keywords:
            if keyword.arg in MODES and keyword.arg == "volatile":
                raise Unfit("volatile= has no counterpart here", "leave it out: torch.no_grad() does it for the caller")
        made = ast.Call(self.expr(node.func), *links.with_sizes(self, node))
        if self.writer.reads_mode(self.static(node.func)[1]):
            made.keywords.append(ast.keyword("training", self.training(node)))
        return made

    def bind(self: Expressions, node: ast.Call, signature: inspect.Signature, called: Any = None) -> Arguments:
        """Returns: the arguments of a call, those that Chainer 1 had left out."""
        kept = [k for k in node.keywords if k.arg not in MODES + GONE or k.arg in signature.parameters]
        a = Arguments(self, ast.Call(node.func, node.args, kept), signature, called)
        a.node = node
        return a

    def mode(self: Expressions, node: ast.Call) -> ast.expr:
        """Returns: the expression of training mode for a call, which Chainer 1's keywords may give."""
        for keyword in node.keywords:
            if keyword.arg == "train":
                return self.expr(keyword.value)
            if keyword.arg == "test":
                return ast.UnaryOp(ast.Not(), self.expr(keyword.value))
        return self.training(node)
