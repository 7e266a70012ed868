"""His classes, methods and functions, rewritten to PyTorch."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any

from ganspec.tools.porting.tracing.compiling import Source
from ganspec.tools.porting.tracing.record import TENSORS
from ganspec.tools.porting.translating import links
from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.expressions import Expressions
from ganspec.tools.porting.translating.statements import Statements

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.writer import Writer


class Definitions:
    """Translates definitions.

    Args:
        writer: the translation of all his modules.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def of_module(self, source: Source, name: str, value: Any) -> tuple[ast.stmt | None, bool]:
        """Translate a class or function of a module's outermost level.

        Returns: the definition, None where there is none; and whether it is a function that takes the mode as a further argument.
        """
        node = next(
            (s for s in source.tree.body if isinstance(s, ast.ClassDef | ast.FunctionDef) and s.name == name), None
        )
        within = Expressions(self.writer, source, vars(sys.modules[source.name]), set())
        if node is None:
            where = source.tree.body[0] if source.tree.body else source.tree
            self.writer.refuse(source, where, f"{name} is not defined at the outermost level", "")
            return None, False
        made: ast.ClassDef | ast.FunctionDef
        if isinstance(node, ast.ClassDef):
            made = self.cls(node, within, value)
        else:
            within.moded = []
            made = self.function(node, within)
            if within.moded:
                made.args.kwonlyargs.append(ast.arg("training"))
                made.args.kw_defaults.append(None)
        made.name = self.writer.name((source.name, name))
        return ast.copy_location(made, node), bool(within.moded)

    def function(self, node: ast.FunctionDef, around: Expressions, owner: type | None = None) -> ast.FunctionDef:
        """Translate a function, or a method."""
        decorators = list(node.decorator_list)
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in decorators)
        positional = [*node.args.posonlyargs, *node.args.args]
        own = positional[0].arg if owner is not None and positional and not static else ""
        within = around.inside(node.args, own)
        within.local |= _stored(node)
        within.tensors = [a.arg for a in positional if a.arg != own and self._was_tensor(node, a.arg)]
        for decorator in decorators:
            if not (isinstance(decorator, ast.Name) and decorator.id in ("property", "staticmethod", "classmethod")):
                self.writer.refuse(
                    around.source, decorator, "this decorator has no counterpart", "write the function without it"
                )
        name = self.method_name(owner, node.name) if owner is not None else node.name
        before, self.writer.in_constructor = self.writer.in_constructor, node.name == "__init__"
        body = Statements(within, owner).body(node.body)
        self.writer.in_constructor = before
        made = ast.FunctionDef(
            name,
            around.arguments(node.args),
            _without_unused(body),
            [d for d in decorators if isinstance(d, ast.Name)],
            lineno=0,
        )
        return made

    def _was_tensor(self, node: ast.FunctionDef, name: str) -> bool:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and inner.id == name and isinstance(inner.ctx, ast.Load):
                seen = self.writer.trace.seen.get(inner.site)  # type: ignore[attr-defined]
                if seen and not seen.kinds <= TENSORS:
                    return False
                if seen:
                    return True
        return False

    def method_name(self, cls: type, name: str) -> str:
        """Returns: the name of a method in the ported class: `__call__` is `forward` there."""
        if name == "__call__":
            return "forward"
        if name == "forward" and any("__call__" in vars(c) for c in cls.__mro__ if c.__module__ in self.writer.sources):
            return "_forward"
        return f"{name}_" if links.taken(name) and not name.startswith("_") else name

    def cls(self, node: ast.ClassDef, around: Expressions, value: type) -> ast.ClassDef:
        """Translate a class."""
        bases = []
        for base, what in zip(node.bases, value.__bases__, strict=False):
            if what is object:
                continue
            if what.__module__.startswith("chainer."):
                instances = [t for t in self.writer.instances if isinstance(t, value)]
                try:
                    bases.append(links.base(what, instances, self.writer))
                except Unfit as error:
                    bases.append(around.refuse(base, str(error), error.remedy))
            else:
                bases.append(around.expr(base))
        body: list[ast.stmt] = []
        for position, statement in enumerate(node.body):
            if isinstance(statement, ast.FunctionDef):
                if not self._ran(statement):
                    self.writer.skip(around.source, statement)
                    continue
                body += [
                    *self.writer.comments.before(around.source, node.body, position),
                    self.writer.comments.made(self.writer.place(around.source, statement)),
                    self.function(statement, around, value),
                ]
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                body.append(statement)
            elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.Pass):
                body += Statements(around, value).block([statement])
            else:
                self.writer.refuse(around.source, statement, "this in a class's body has no counterpart", "")
        return ast.ClassDef(node.name, bases, [], body or [ast.Pass()], [])

    def _ran(self, node: ast.FunctionDef) -> bool:
        return any(getattr(s, "site", 0) in self.writer.trace.ran for s in node.body) or all(
            isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in node.body
        )


def _stored(node: ast.FunctionDef) -> set[str]:
    """Returns: the names that a function binds."""
    names: set[str] = set()
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, ast.FunctionDef | ast.ClassDef):
            names.add(inner.name)
            continue
        if isinstance(inner, ast.Lambda):
            continue
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        if isinstance(inner, ast.ExceptHandler) and inner.name:
            names.add(inner.name)
        if isinstance(inner, ast.Import | ast.ImportFrom):
            continue
        waiting += ast.iter_child_nodes(inner)
    return names


def _without_unused(body: list[ast.stmt]) -> list[ast.stmt]:
    """Returns: a function's body without assignments of None, torch or a number of sizes to names that nothing reads any more."""
    read = {n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}

    def unused(statement: ast.stmt) -> bool:
        if (
            not isinstance(statement, ast.Assign)
            or len(statement.targets) != 1
            or not isinstance(statement.targets[0], ast.Name)
        ):
            return False
        return statement.targets[0].id not in read and ast.unparse(statement.value) in ("None", "torch")

    kept = [s for s in body if not unused(s)]
    for statement in kept:
        for field in ("body", "orelse"):
            if isinstance(statement, ast.If | ast.For | ast.While | ast.With) and getattr(statement, field, None):
                setattr(
                    statement,
                    field,
                    [s for s in getattr(statement, field) if not unused(s)]
                    or ([ast.Pass()] if field == "body" else []),
                )
    return kept or [ast.Pass()]
