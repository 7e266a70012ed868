"""The ported file: which of his definitions it needs, in which order, and its text."""

from __future__ import annotations

import ast
import inspect
import io
import itertools
import os
import re
import sys
import textwrap
import tokenize
import types
from dataclasses import dataclass
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer

from ganspec.tools.porting.errors import Refusal
from ganspec.tools.porting.loading import _ROOTS, Original
from ganspec.tools.porting.tracing.compiling import Source
from ganspec.tools.porting.tracing.record import TENSORS
from ganspec.tools.porting.translating import functions, links, written
from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.expressions import RESERVED, Expressions
from ganspec.tools.porting.translating.formatting import WIDTH, formatted
from ganspec.tools.porting.translating.statements import Statements
from ganspec.tools.porting.translating.templates import constant

STANDARD = ("math", "functools", "itertools", "collections", "copy", "numbers", "operator", "warnings", "typing")
_COMMENT = re.compile(r"^(\s*)__comment_(\d+)__$", re.MULTILINE)


@dataclass(frozen=True)
class Skipped:
    """Lines of his that never ran, and so are not in the ported file.

    Args:
        file: name of his file.
        first: the first line.
        last: the last one.
    """

    file: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.file}:{self.first}" + (f"-{self.last}" if self.last > self.first else "")


@dataclass(frozen=True)
class Written:
    """A ported file.

    Args:
        source: its text.
        name: name of the module, without ".py".
        cls: name of the class.
        refusals: what cannot be ported.
        skipped: what never ran.
    """

    source: str
    name: str
    cls: str
    refusals: tuple[Refusal, ...]
    skipped: tuple[Skipped, ...]


def translate(original: Original) -> Written:
    """Write the PyTorch source of a class that has been run.

    Args:
        original: the class; what it did when it was called is in its trace.
    """
    return Writer(original).written()


class Writer:
    """The translation of all that a class needs of his modules."""

    def __init__(self, original: Original) -> None:
        self.original, self.trace = original, original.trace
        self.sources = original.importer.sources
        self.instances = list(self.trace.links)
        self.in_constructor = False
        self._refusals: dict[tuple[str, int, str], Refusal] = {}
        self._skipped: set[Skipped] = set()
        self._moded: set[tuple[str, str]] = set()  # functions that take the mode as a further argument
        self._definitions: dict[tuple[str, str], ast.stmt | None] = {}  # by module and name
        self._names: dict[tuple[str, str], str] = {}  # names in the ported file, by module and name
        self._wrappers: dict[str, ast.stmt] = {}
        self._used: set[str] = set()
        self._imports: set[str] = set()
        self._comments: list[str] = []
        self._his_comments: dict[str, dict[int, str]] = {}

    # What the translation of expressions asks for.

    def refuse(self, source: Source, node: ast.AST, why: str, remedy: str) -> None:
        """Note that something cannot be ported."""
        line = getattr(node, "lineno", 0)
        what = ast.unparse(node).splitlines()[0] if isinstance(node, ast.expr | ast.stmt) else ""
        what = what if len(what) <= 100 else what[:97] + "..."
        refusal = Refusal(os.path.basename(source.path), line, what, why, remedy)
        self._refusals.setdefault((source.path, line, why), refusal)

    def skip(self, source: Source, first: ast.AST, last: ast.AST | None = None) -> None:
        """Note lines that never ran."""
        end = (last or first).end_lineno  # type: ignore[attr-defined]
        self._skipped.add(Skipped(os.path.basename(source.path), first.lineno, end))  # type: ignore[attr-defined]

    @staticmethod
    def place(source: Source, node: ast.AST) -> str:
        """Returns: file and line of something of his."""
        return f"{os.path.basename(source.path)}:{getattr(node, 'lineno', 0)}"

    def use(self, name: str) -> None:
        """Put a function or class of `written` into the ported file."""
        if name not in self._used:
            self._used.add(name)
            for other in written.needs(name):
                self.use(other)

    def use_in(self, made: ast.AST) -> None:
        """Put all functions of `written` that an expression names into the ported file."""
        for node in ast.walk(made):
            if isinstance(node, ast.Name) and node.id.startswith("_") and node.id in written.NAMES:
                self.use(node.id)

    def is_his(self, value: Any) -> bool:
        """Returns: whether a function or class is defined in one of his modules."""
        return isinstance(value, type | types.FunctionType) and value.__module__ in self.sources

    def definition(self, value: Any, source: Source, node: ast.expr) -> ast.expr:
        """Have a function or class of his in the ported file. Returns: its name there."""
        name = value.__qualname__
        if "." in name:
            if "<lambda>" in name or "<locals>" in name:
                raise Unfit(
                    f"{name} is defined inside of a function and used outside", "move it to the outermost level"
                )
            outer = name.partition(".")[0]
            self.definition(getattr(sys.modules[value.__module__], outer), source, node)
            own = self.name((value.__module__, outer))
            return ast.parse(f"{own}.{name.partition('.')[2]}", mode="eval").body
        key = (value.__module__, name)
        if key not in self._definitions:
            self._definitions[key] = None  # so that a class may name itself
            self._define(self.sources[value.__module__], name, value)
        return ast.Name(self.name(key), ast.Load())

    def name(self, key: tuple[str, str]) -> str:
        """Returns: the name in the ported file of what a module of his defines; its own, where no other has that."""
        if key not in self._names:
            taken = {*self._names.values(), *written.NAMES, *RESERVED}
            numbered = (f"{key[1]}{n or ''}" for n in itertools.chain([0], itertools.count(2)))
            self._names[key] = next(name for name in numbered if name not in taken)
        return self._names[key]

    def reads_mode(self, value: Any) -> bool:
        """Returns: whether a function of his, outside of classes, reads the mode, and so takes it as an argument in the ported file."""
        return isinstance(value, types.FunctionType) and (value.__module__, value.__qualname__) in self._moded

    def constant(self, value: Any, node: ast.expr, within: Expressions) -> ast.expr:
        """Translate a module's own value: by its definition there, or written out where it is plain."""
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        for source in self.sources.values():
            for statement in source.tree.body:
                targets = statement.targets if isinstance(statement, ast.Assign) else []
                if (
                    any(isinstance(t, ast.Name) and t.id == name for t in targets)
                    and vars(sys.modules[source.name]).get(name) is value
                ):
                    key = (source.name, name)
                    if key not in self._definitions:
                        inner = Expressions(self, source, vars(sys.modules[source.name]), set())
                        self._definitions[key] = ast.copy_location(
                            ast.Assign([ast.Name(self.name(key), ast.Store())], inner.expr(statement.value), lineno=0),
                            statement,
                        )  # type: ignore[attr-defined]
                    return ast.Name(self.name(key), ast.Load())
        if _is_plain(value):
            return constant(value)
        raise Unfit(f"{ast.unparse(node)} is of the type {type(value).__name__}, which has no counterpart")

    def module(self, module: types.ModuleType, source: Source, node: ast.expr) -> ast.expr:
        """Import a module of Python's own into the ported file. Returns: its name there."""
        if module.__name__.partition(".")[0] not in STANDARD:
            raise Unfit(f"the module {module.__name__} is not one that the ported file may import")
        self._imports.add(module.__name__)
        return ast.parse(module.__name__, mode="eval").body

    def imported(self, value: Any, source: Source, node: ast.expr) -> ast.expr:
        """Translate a function or class of Python's own library."""
        module = sys.modules.get(str(getattr(value, "__module__", "")).lstrip("_"))
        name = getattr(value, "__name__", "")
        if (
            module is None
            or module.__name__.partition(".")[0] not in STANDARD
            or getattr(module, name, None) is not value
        ):
            owner = getattr(value, "__module__", None) or type(value).__module__
            own = owner.partition(".")[0] not in sys.stdlib_module_names
            remedy = "name its folder with --source, if it is yours" if own else "move it out of the model's code"
            remedy = "draw with numpy.random, or give the numbers as an input" if owner == "random" else remedy
            raise Unfit(f"{name or ast.unparse(node)} of {owner} cannot be ported", remedy)
        return ast.Attribute(self.module(module, source, node), name, ast.Load())

    def wrapper(self, name: str, signature: inspect.Signature, rule: functions.Rule, within: Expressions) -> ast.expr:
        """Write a function with the parameters of one of Chainer's, for where the function itself is a value."""
        own = f"_{name}" if f"_{name}" not in written.NAMES else f"_{name}_"
        if own not in self._wrappers:
            outside = Expressions(self, within.source, within.namespace, set(signature.parameters))
            body = functions.wrapped(outside, signature, rule)
            parameters = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
            text = ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters)
            made = ast.parse(f"def {own}({text}):\n    return 0").body[0]
            assert isinstance(made, ast.FunctionDef)
            made.body = [ast.Return(body)]
            self._wrappers[own] = made
        return ast.Name(own, ast.Load())

    def comment(self, text: str) -> ast.stmt:
        """Returns: a statement that stands for a comment."""
        self._comments.append(text)
        return ast.Expr(ast.Name(f"__comment_{len(self._comments) - 1}__", ast.Load()))

    @staticmethod
    def is_comment(node: ast.stmt) -> bool:
        """Returns: whether a statement stands for a comment."""
        return (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Name) and node.value.id.startswith("__comment_")
        )

    def comments(self, source: Source, body: list[ast.stmt], position: int) -> list[ast.stmt]:
        """Returns: his comments before a statement, or at its end."""
        if source.path not in self._his_comments:
            self._his_comments[source.path] = _comments_of(source.text)
        found, node = self._his_comments[source.path], body[position]
        first = body[position - 1].end_lineno + 1 if position else node.lineno - _lines_above(found, node.lineno)  # type: ignore[operator]
        simple = not isinstance(
            node, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.FunctionDef | ast.ClassDef
        )
        last = node.end_lineno if simple else node.lineno
        return [self.comment(found[line]) for line in range(first, (last or 0) + 1) if line in found]

    # Definitions.

    def _define(self, source: Source, name: str, value: Any) -> None:
        node = next(
            (s for s in source.tree.body if isinstance(s, ast.ClassDef | ast.FunctionDef) and s.name == name), None
        )
        within = Expressions(self, source, vars(sys.modules[source.name]), set())
        if node is None:
            where = source.tree.body[0] if source.tree.body else source.tree
            self.refuse(source, where, f"{name} is not defined at the outermost level", "")
            return
        if isinstance(node, ast.ClassDef):
            made: ast.stmt = self.cls(node, within, value)
        else:
            within.moded = []
            made = self.function(node, within)
            if within.moded:
                self._moded.add((source.name, name))
                assert isinstance(made, ast.FunctionDef)
                made.args.kwonlyargs.append(ast.arg("training"))
                made.args.kw_defaults.append(None)
        made.name = self.name((source.name, name))  # type: ignore[attr-defined]
        self._definitions[source.name, name] = ast.copy_location(made, node)

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
                self.refuse(
                    around.source, decorator, "this decorator has no counterpart", "write the function without it"
                )
        name = self.method_name(owner, node.name) if owner is not None else node.name
        before, self.in_constructor = self.in_constructor, node.name == "__init__"
        body = Statements(within, owner).body(node.body)
        self.in_constructor = before
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
                seen = self.trace.seen.get(inner.site)  # type: ignore[attr-defined]
                if seen and not seen.kinds <= TENSORS:
                    return False
                if seen:
                    return True
        return False

    def method_name(self, cls: type, name: str) -> str:
        """Returns: the name of a method in the ported class: `__call__` is `forward` there."""
        if name == "__call__":
            return "forward"
        if name == "forward" and any("__call__" in vars(c) for c in cls.__mro__ if c.__module__ in self.sources):
            return "_forward"
        return f"{name}_" if links.taken(name) and not name.startswith("_") else name

    def cls(self, node: ast.ClassDef, around: Expressions, value: type) -> ast.ClassDef:
        """Translate a class."""
        bases = []
        for base, what in zip(node.bases, value.__bases__, strict=False):
            if what is object:
                continue
            if what.__module__.startswith("chainer."):
                instances = [t for t in self.instances if isinstance(t, value)]
                try:
                    bases.append(links.base(what, instances, self))
                except Unfit as error:
                    bases.append(around.refuse(base, str(error), error.remedy))
            else:
                bases.append(around.expr(base))
        body: list[ast.stmt] = []
        for position, statement in enumerate(node.body):
            if isinstance(statement, ast.FunctionDef):
                if not self._ran(statement):
                    self.skip(around.source, statement)
                    continue
                body += [
                    *self.comments(around.source, node.body, position),
                    self.comment(self.place(around.source, statement)),
                    self.function(statement, around, value),
                ]
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                body.append(statement)
            elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.Pass):
                body += Statements(around, value).block([statement])
            else:
                self.refuse(around.source, statement, "this in a class's body has no counterpart", "")
        return ast.ClassDef(node.name, bases, [], body or [ast.Pass()], [])

    def _ran(self, node: ast.FunctionDef) -> bool:
        return any(getattr(s, "site", 0) in self.trace.ran for s in node.body) or all(
            isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in node.body
        )

    # The text.

    def written(self) -> Written:
        """Write the file."""
        original = self.original
        source = self.sources[original.module.__name__]
        top = Expressions(
            self, source, {**{r: sys.modules[m] for r, m in _ROOTS.items()}, **vars(original.module)}, set()
        )
        cls = self.definition(original.cls, source, source.tree)  # type: ignore[arg-type]
        building = ast.Call(
            cls, [top.expr(a) for a in original.arguments.args], [top._generic(k) for k in original.arguments.keywords]
        )
        order = list(original.importer.loaded)
        definitions = sorted(
            ((key, made) for key, made in self._definitions.items() if made is not None),
            key=lambda item: (order.index(item[0][0]) if item[0][0] in order else len(order), item[1].lineno),
        )
        file = os.path.basename(original.path)
        parts = [
            f'"""{original.name} of {file} in PyTorch.\n\n'
            "Written by `ganspec port`; report.json beside it says what was compared, and how well\n"
            "it agreed. The initial values of a new instance are PyTorch's own: load the weights to\n"
            'have those of the original.\n"""'
        ]
        body = [self._text(made, self.sources[key[0]]) for key, made in definitions]
        build = ast.parse("def build():\n    return 0").body[0]
        assert isinstance(build, ast.FunctionDef)
        build.body = [
            ast.Expr(ast.Constant("Returns: the model as it was ported, with new initial values.")),
            ast.Return(building),
        ]
        code = [written.text(self._used), *(self._text(w) for w in self._wrappers.values()), *body, self._text(build)]
        whole = "\n\n\n".join(c for c in code if c)
        imports = [
            f"import {name}"
            for name in sorted(self._imports | {n for n in ("math", "itertools") if re.search(rf"\b{n}\.", whole)})
        ]
        torch_imports = (
            (["import torch"] if re.search(r"\btorch\.", whole) else [])
            + (["from torch import nn"] if re.search(r"\bnn\.", whole) else [])
            + (["import torch.nn.functional as F"] if re.search(r"\bF\.", whole) else [])
        )
        torch_imports.sort(key=lambda line: (line.startswith("from"), line))
        text = (
            "\n\n".join(
                [
                    *parts,
                    *(["\n".join(imports)] if imports else []),
                    *(["\n".join(torch_imports)] if torch_imports else []),
                ]
            )
            + "\n\n\n"
            + whole
            + "\n"
        )
        name = _file_name(original.name.rpartition(".")[2])
        return Written(
            formatted(text),
            name,
            original.name,
            tuple(sorted(self._refusals.values())),
            tuple(sorted(self._skipped, key=lambda s: (s.file, s.first))),
        )

    def _text(self, made: ast.stmt, source: Source | None = None) -> str:
        text = ast.unparse(ast.fix_missing_locations(made))
        text = _COMMENT.sub(lambda m: _wrapped(self._comments[int(m[2])], m[1]), text)
        text = re.sub(r"(?m)^(\s*# .*)\n\n+(?=\s*(?:def|class|@))", r"\1\n", text)
        return (
            f"# {self.place(source, made)}\n{text}"
            if source is not None and isinstance(made, ast.ClassDef | ast.FunctionDef)
            else text
        )


def _wrapped(comment: str, indent: str) -> str:
    """Returns: a comment as lines that are not too long."""
    lines = textwrap.wrap(comment, WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"{indent}# {line}" for line in lines)


def _file_name(cls: str) -> str:
    """Returns: the name of a class as that of a module: sn_convolution2d of SNConvolution2D."""
    lower = re.sub(r"([0-9])D(?![a-z])", r"\1d", cls)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", lower).lower()


def _is_plain(value: Any) -> bool:
    return type(value) in (bool, int, float, str, type(None)) or (
        isinstance(value, tuple) and all(map(_is_plain, value))
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


def _comments_of(text: str) -> dict[int, str]:
    """Returns: the comments of a source text by their lines."""
    found = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
                found[token.start[0]] = token.string.lstrip("#").strip()
    except (tokenize.TokenError, SyntaxError):
        pass
    return {
        line: comment
        for line, comment in found.items()
        if comment and not comment.startswith(("-*-", "type:", "noqa", "pylint"))
    }


def _lines_above(comments: dict[int, str], line: int) -> int:
    """Returns: how many lines right above a line are comments."""
    count = 0
    while line - count - 1 in comments:
        count += 1
    return count


__all__ = ["Skipped", "Writer", "Written", "chainer", "translate"]
