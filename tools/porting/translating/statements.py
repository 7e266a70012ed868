"""His statements, rewritten to PyTorch."""

from __future__ import annotations

import ast
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer

from ganspec.tools.porting.tracing.record import TENSORS
from ganspec.tools.porting.translating import links
from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.constructors import Constructors
from ganspec.tools.porting.translating.contexts import Contexts
from ganspec.tools.porting.translating.expressions import Expressions
from ganspec.tools.porting.translating.link_methods import settles_initial_values
from ganspec.tools.porting.translating.templates import call, constant, filled

_LIBRARIES = ("chainer", "chainermn", "chainerx", "numpy", "cupy", "six", "__future__")
_HARMLESS = (ast.Pass, ast.Continue, ast.Break)


class Statements(Constructors, Contexts):
    """Translates the statements of one function or class of his.

    Args:
        within: the translation of its expressions.
        owner: the class of which a method is translated; None for a function.
    """

    def __init__(self, within: Expressions, owner: type | None = None) -> None:
        self.within, self.owner, self.writer = within, owner, within.writer

    def body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Translate a function's body; a text at its beginning is its docstring."""
        if body and _is_text(body[0]):
            return [body[0], *(self.block(body[1:]) if body[1:] else [])]
        return self.block(body)

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Translate a block. What did not run becomes one statement that raises."""
        made: list[ast.stmt] = []
        for position, statement in enumerate(body):
            if not self._ran(statement):
                if made and isinstance(made[-1], ast.Return | ast.Raise | ast.Continue | ast.Break):
                    break  # it is never reached
                if isinstance(statement, _HARMLESS) or _raises_plainly(statement) or _returns_plainly(statement):
                    made.append(statement)
                    continue
                self.writer.skip(self.within.source, statement, body[-1])
                made.append(_not_run(self.writer.place(self.within.source, statement)))
                break
            comments = self.writer.comments.before(self.within.source, body, position)
            new = self.statement(statement)
            made += [*comments, *new] if new else []
        code = [s for s in made if not isinstance(s, ast.Pass) and not self.writer.comments.is_comment(s)]
        return [s for s in made if not isinstance(s, ast.Pass)] if code else [*made, ast.Pass()]

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        """Translate a statement that ran; to none, where nothing is left of it."""
        special = getattr(self, f"_{type(node).__name__.lower()}", None)
        try:
            return special(node) if special else [self.within._generic(node)]
        except Unfit as error:
            return [ast.Expr(self.within.refuse(node, str(error), error.remedy))]

    def _ran(self, node: ast.stmt) -> bool:
        site = getattr(node, "site", 0)
        uncounted = isinstance(node, ast.ImportFrom | ast.Global | ast.Nonlocal)
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        return uncounted or is_text or site in self.writer.trace.ran

    def _expr(self, node: ast.Expr) -> list[ast.stmt]:
        value = node.value
        if isinstance(value, ast.Constant):
            return [self.writer.comments.made(line) for line in _lines(value.value)]  # a text that is no docstring
        if isinstance(value, ast.Call):
            if (found := self._initialisation(value)) is not None:
                return found
            known, target = self.within.static(value.func)
            target = target if known else self.within.seen(value.func).only
            if str(getattr(target, "__module__", "")).startswith("chainer.reporter"):
                return [self.writer.comments.made("reported here: " + ast.unparse(value))]
            if (
                isinstance(value.func, ast.Attribute)
                and value.func.attr == "register_persistent"
                and self.within.seen(value.func.value).is_all("link")
            ):
                owner, name = self.within.expr(value.func.value), self.within.expr(value.args[0])
                return (
                    [ast.Expr(call("_register_persistent", owner, name))]
                    if self.writer.use("_register_persistent") is None
                    else []
                )
        made = self.within.expr(value)
        if isinstance(value, ast.Call) and isinstance(made, ast.Constant):
            return []  # a call of which nothing is left
        if (
            isinstance(made, ast.Call)
            and ast.unparse(made.func) == "setattr"
            and isinstance(made.args[1], ast.Constant)
        ):
            return [ast.Assign([ast.Attribute(made.args[0], made.args[1].value, ast.Store())], made.args[2], lineno=0)]
        return [ast.Expr(made)]

    def _assign(self, node: ast.Assign) -> list[ast.stmt]:
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Attribute):
            changed = self.within.seen(node.targets[0].value)
            if changed.is_all("object") and all(isinstance(t, chainer.Initializer) for t in changed.things):
                return []  # initial values are carried
        if (
            len(node.targets) == 1
            and isinstance(node.targets[0], ast.Attribute)
            and node.targets[0].attr in ("train", "volatile")
            and self.within.seen(node.value).is_all("none")
        ):
            return []
        if all(isinstance(t, ast.Attribute) and self.within._is_initializer(t.value) for t in node.targets):
            return []  # initial values are carried
        targets = [self.within.expr(t) if not isinstance(t, ast.Attribute) else self._target(t) for t in node.targets]
        value = self.within.expr(node.value)
        if len(targets) == 1 and isinstance(targets[0], ast.Attribute) and self._unregistered(node):
            said = "not among the layers, as in Chainer: neither saved nor trained"
            place = filled("own.__dict__[name]", own=targets[0].value, name=constant(targets[0].attr))
            return [self.writer.comments.made(said), ast.Assign([place], value, lineno=0)]
        if (
            isinstance(value, ast.Attribute | ast.Name)
            and ast.unparse(value) == ast.unparse(targets[0])
            and len(targets) == 1
        ):
            return []  # what only moved between kinds of array
        return [ast.Assign(targets, value, lineno=0)]

    def _unregistered(self, node: ast.Assign) -> bool:
        """Returns: whether links or parameters are put into an attribute outside of `init_scope`."""
        target = node.targets[0]
        owners = self.within.seen(target.value) if isinstance(target, ast.Attribute) else None
        if owners is None or not owners.is_all("link") or not self.within.seen(node.value).is_all("link", "parameter"):
            return False
        assert isinstance(target, ast.Attribute)
        return not any(
            target.attr in owner._params or target.attr in getattr(owner, "_children", ()) for owner in owners.things
        )

    def _target(self, node: ast.Attribute) -> ast.expr:
        owner = self.within.seen(node.value)
        if owner.is_all("link"):
            return links.attribute(self.within, node)
        if owner.kinds & TENSORS:
            name = "data" if node.attr in ("data", "array") else node.attr
            return ast.Attribute(self.within.expr(node.value), name, ast.Store())
        return ast.Attribute(self.within.expr(node.value), node.attr, ast.Store())

    def _augassign(self, node: ast.AugAssign) -> list[ast.stmt]:
        seen = self.within.seen(node.target)
        target, value = self.within.expr(node.target), self.within.expr(node.value)
        if seen.kinds & {"variable", "parameter"} or (
            not seen.kinds and self.within.seen(node.value).kinds & {"variable"}
        ):
            loaded = ast.parse(ast.unparse(target), mode="eval").body
            return [ast.Assign([target], ast.BinOp(loaded, node.op, value), lineno=0)]
        return [ast.AugAssign(target, node.op, value)]

    def _annassign(self, node: ast.AnnAssign) -> list[ast.stmt]:
        return (
            self._assign(ast.copy_location(ast.Assign([node.target], node.value, lineno=0), node)) if node.value else []
        )

    def _return(self, node: ast.Return) -> list[ast.stmt]:
        return [ast.Return(node.value and self.within.expr(node.value))]

    def _if(self, node: ast.If) -> list[ast.stmt]:
        test = self.within.seen(node.test)
        operands = [
            node.test,
            *([node.test.left, *node.test.comparators] if isinstance(node.test, ast.Compare) else []),
        ]
        of_modules = any(self.within.seen(n).kinds & {"module"} for n in operands)
        made = None if of_modules else self.within.expr(node.test)
        decided = test.only if of_modules else (made.value if isinstance(made, ast.Constant) else None)
        if decided is not None:  # NumPy or CuPy: there is one kind of tensor
            body = node.body if decided else node.orelse
            return self.block(body) if body else []
        assert made is not None
        return [ast.If(made, self.block(node.body), self.block(node.orelse) if node.orelse else [])]

    def _for(self, node: ast.For) -> list[ast.stmt]:
        if settles_initial_values(self.within, node):
            return [self.writer.comments.made("initial values were set here: they are carried")]
        target, iterated = self.within.expr(node.target), self.within.expr(node.iter)
        return [
            ast.For(target, iterated, self.block(node.body), self.block(node.orelse) if node.orelse else [], lineno=0)
        ]

    def _while(self, node: ast.While) -> list[ast.stmt]:
        return [
            ast.While(
                self.within.expr(node.test), self.block(node.body), self.block(node.orelse) if node.orelse else []
            )
        ]

    def _try(self, node: ast.Try) -> list[ast.stmt]:
        handlers = []
        for handler in node.handlers:
            body = self.block(handler.body)
            handlers.append(ast.ExceptHandler(handler.type and self.within.expr(handler.type), handler.name, body))
        return [
            ast.Try(
                self.block(node.body),
                handlers,
                self.block(node.orelse) if node.orelse else [],
                self.block(node.finalbody) if node.finalbody else [],
            )
        ]

    def _import(self, node: ast.Import | ast.ImportFrom) -> list[ast.stmt]:
        return []  # what is used of it is imported by the ported file

    _importfrom = _import

    def _global(self, node: ast.Global) -> list[ast.stmt]:
        raise Unfit("a global variable that a model changes", "keep it in the instance")

    def _functiondef(self, node: ast.FunctionDef) -> list[ast.stmt]:
        """Translate a function inside a function."""
        return [self.writer.definitions.function(node, self.within)]

    def _classdef(self, node: ast.ClassDef) -> list[ast.stmt]:
        raise Unfit("a class inside a function", "move it to the outermost level of the module")

    def _assert(self, node: ast.Assert) -> list[ast.stmt]:
        return (
            [ast.Assert(self.within.expr(node.test), node.msg and self.within._if_ran(node.msg))]
            if node.msg is None or isinstance(node.msg, ast.Constant)
            else [ast.Assert(self.within.expr(node.test))]
        )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _lines(value: Any) -> list[str]:
    """Returns: the lines of a text that stands as a statement; none of another value."""
    return [line.strip() for line in value.strip().splitlines() if line.strip()] if isinstance(value, str) else []


def _not_run(place: str) -> ast.stmt:
    text = f"{place} was not run when this was ported"
    return ast.Raise(call("NotImplementedError", constant(text)), None)


def _raises_plainly(node: ast.stmt) -> bool:
    return isinstance(node, ast.Raise) and node.exc is not None and all(
        isinstance(n, ast.Raise | ast.Call | ast.Constant | ast.Name | ast.expr_context) for n in ast.walk(node)
    ) and not any(
        isinstance(n, ast.Name) and not n.id.endswith("Error") and n.id != "Exception" for n in ast.walk(node)
    )  # fmt: skip


def _returns_plainly(node: ast.stmt) -> bool:
    return isinstance(node, ast.Return) and (node.value is None or isinstance(node.value, ast.Constant))
