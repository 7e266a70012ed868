"""The ported file: which of his definitions it needs, in which order, and its text."""

from __future__ import annotations

import ast
import inspect
import itertools
import os
import sys
import types
from dataclasses import dataclass
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split

from ganspec.tools.porting.errors import Refusal
from ganspec.tools.porting.given_arguments import ROOTS
from ganspec.tools.porting.loading import Original
from ganspec.tools.porting.tracing.compiling import Source
from ganspec.tools.porting.translating import functions, written
from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.comments import Comments
from ganspec.tools.porting.translating.definitions import Definitions
from ganspec.tools.porting.translating.expressions import RESERVED, Expressions
from ganspec.tools.porting.translating.ported_file import PortedFile, file_name
from ganspec.tools.porting.translating.templates import constant

STANDARD = ("math", "functools", "itertools", "collections", "copy", "numbers", "operator", "warnings", "typing")


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
        self.comments, self.definitions = Comments(), Definitions(self)

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
            made, moded = self.definitions.of_module(self.sources[value.__module__], name, value)
            self._definitions[key] = made
            if moded:
                self._moded.add(key)
        return ast.Name(self.name(key), ast.Load())

    def name(self, key: tuple[str, str]) -> str:
        """Returns: the name in the ported file of what a module of his defines; its own, where no other has that."""
        if key not in self._names:
            taken = {*self._names.values(), *written.NAMES, *RESERVED}
            numbered = (f"{key[1]}{n or ''}" for n in itertools.chain([0], itertools.count(2)))
            self._names[key] = next(name for name in numbered if name not in taken)
        return self._names[key]

    def reads_mode(self, value: Any) -> bool:
        """Returns: whether a function of his, outside of classes, reads the mode: it is an argument in the ported file."""
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

    def written(self) -> Written:
        """Write the file."""
        original = self.original
        source = self.sources[original.module.__name__]
        top = Expressions(
            self, source, {**{r: sys.modules[m] for r, m in ROOTS.items()}, **vars(original.module)}, set()
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
        text = PortedFile(original.name, os.path.basename(original.path), self.comments).text(
            imports=self._imports,
            helpers=written.text(self._used),
            wrappers=list(self._wrappers.values()),
            definitions=[(self.place(self.sources[key[0]], made), made) for key, made in definitions],
            building=building,
        )
        return Written(
            text,
            file_name(original.name.rpartition(".")[2]),
            original.name,
            tuple(sorted(self._refusals.values())),
            tuple(sorted(self._skipped, key=lambda s: (s.file, s.first))),
        )


def _is_plain(value: Any) -> bool:
    return type(value) in (bool, int, float, str, type(None)) or (
        isinstance(value, tuple) and all(map(_is_plain, value))
    )
