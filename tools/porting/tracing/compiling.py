"""Compiles his modules with a recorder around every expression and before every statement.

    h = F.relu(self.l1(x))    becomes    passed(7); h = saw(8, saw(9, F.relu)(saw(10, saw(11, self.l1)(saw(12, x)))))

in effect: values, order and line numbers are what they were. Where his source says `test=`, `train=` or `volatile=`, as Chainer 1
wanted it, the call goes through `calls.call`, which gives it the meaning that it had there.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import Any

from ganspec.impl_chainer.compat.old_names.rewrite import with_old_names

SAW, PASSED, CALL, WIDEN = "__ganspec_saw__", "__ganspec_passed__", "__ganspec_call__", "__ganspec_widen__"
MODES = ("test", "train", "volatile")  # keywords of Chainer 1 that say the mode
GONE = ("wscale", "bias", "use_cudnn", "deterministic")  # and others, which say initial values and ways to compute
_UNTOUCHED = (ast.JoinedStr, ast.Constant, ast.Slice)


@dataclass(frozen=True)
class Source:
    """One of his modules.

    Args:
        name: the module's name.
        path: path of its file.
        text: its text.
        tree: its syntax tree; every expression and statement has the number `site`.
    """

    name: str
    path: str
    text: str
    tree: ast.Module


class Numbering:
    """Numbers of expressions and statements, over all modules of a port."""

    def __init__(self) -> None:
        self.last = 0

    def number(self, tree: ast.AST) -> None:
        """Give every expression and statement its number."""
        for node in ast.walk(tree):
            if isinstance(node, (ast.expr, ast.stmt)):
                self.last += 1
                node.site = self.last  # type: ignore[union-attr]


def compiled(source: Source, old_names: bool) -> Any:
    """Returns: the code of a module, with the recorders in it, and on demand the names that NumPy has removed."""
    tree = _Recorders().visit(copy.deepcopy(source.tree))
    if old_names:
        tree = with_old_names(tree)
    return compile(ast.fix_missing_locations(tree), source.path, "exec", dont_inherit=True)


def _passed(site: int) -> ast.stmt:
    return ast.Expr(ast.Call(ast.Name(PASSED, ast.Load()), [ast.Constant(site)], []))


class _Recorders(ast.NodeTransformer):
    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.stmt):
            return self._statement(node)
        if isinstance(node, ast.Slice):
            return self.generic_visit(node)
        if isinstance(node, ast.expr) and not isinstance(node, _UNTOUCHED):
            return self._expression(node)
        if isinstance(node, _UNTOUCHED):
            return node
        return super().visit(node)

    def _statement(self, node: ast.stmt) -> Any:
        site = node.site  # type: ignore[attr-defined]
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text or isinstance(node, (ast.ImportFrom, ast.Global, ast.Nonlocal)):
            return node  # a docstring and imports from __future__ come first
        if isinstance(node, ast.Match):
            node.subject = self.visit(node.subject)
            for case in node.cases:
                case.guard = case.guard and self.visit(case.guard)
                case.body = self._block(case.body)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.args.defaults = [self.visit(d) for d in node.args.defaults]
            node.args.kw_defaults = [d and self.visit(d) for d in node.args.kw_defaults]
            node.body = self._block(node.body)
        elif isinstance(node, ast.AnnAssign):
            node.value = node.value and self.visit(node.value)
        else:
            self.generic_visit(node)
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):  # what it was before
                target = ast.Name(node.target.id, ast.Load())
                saw = ast.Call(ast.Name(SAW, ast.Load()), [ast.Constant(node.target.site), target], [])  # type: ignore[attr-defined]
                return [ast.copy_location(s, node) for s in (_passed(site), ast.Expr(saw))] + [node]
        return [ast.copy_location(_passed(site), node), node]

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        visited = map(self.visit, body)
        return [each for v in visited for each in (v if isinstance(v, list) else [v])]

    def _expression(self, node: ast.expr) -> Any:
        site = getattr(node, "site", 0)
        if isinstance(node, ast.Starred) or not site:  # what has no number was put in here
            return self.generic_visit(node)
        if isinstance(node, ast.Lambda):
            node.args.defaults = [self.visit(d) for d in node.args.defaults]
            node.body = self.visit(node.body)
        else:
            sliced = isinstance(node, ast.Tuple) and any(isinstance(e, ast.Slice) for e in node.elts)
            if isinstance(node, ast.Call):
                self._widen(node)
            self.generic_visit(node)
            if sliced or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                return node
        if isinstance(node, ast.Name) and node.id in ("super", "__class__"):
            return node
        if isinstance(node, ast.Call) and any(k.arg in MODES + GONE for k in node.keywords):
            node = ast.copy_location(ast.Call(ast.Name(CALL, ast.Load()), [node.func, *node.args], node.keywords), node)
        return ast.copy_location(ast.Call(ast.Name(SAW, ast.Load()), [ast.Constant(site), node], []), node)

    def _widen(self, node: ast.Call) -> None:
        """Have a dtype that is said as text go through `widened_name`."""
        if isinstance(node.func, ast.Attribute) and node.func.attr == "astype" and node.args:
            node.args[0] = self._through(node.args[0])
        for keyword in node.keywords:
            if keyword.arg in ("dtype", "typ"):
                keyword.value = self._through(keyword.value)
        named = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if (
            named in ("array", "asarray", "zeros", "ones", "empty", "cast", "zeros_like", "ones_like")
            and len(node.args) > 1
        ):
            node.args[1] = self._through(node.args[1])
        elif named == "full" and len(node.args) > 2:
            node.args[2] = self._through(node.args[2])

    @staticmethod
    def _through(value: ast.expr) -> ast.expr:
        if isinstance(value, ast.Starred):
            return value
        return ast.copy_location(ast.Call(ast.Name(WIDEN, ast.Load()), [value], []), value)
