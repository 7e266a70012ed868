"""His expressions, rewritten to PyTorch."""

from __future__ import annotations

import ast
import builtins
import inspect
import types
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.tools.porting.tracing.compiling import GONE, MODES, Source
from ganspec.tools.porting.tracing.record import TENSORS, Seen
from ganspec.tools.porting.translating import arrays, distributions, functions, links
from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.templates import call, constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.writer import Writer

RESERVED = ("torch", "nn", "F", "math")  # names that the ported file uses itself
_NEVER = Seen()


class Expressions:
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

    def was_tensor(self, node: ast.AST) -> bool:
        """Returns: whether an expression was always a variable, a parameter or an array."""
        return self.seen(node).is_all(*TENSORS)

    def static(self, node: ast.expr) -> tuple[bool, Any]:
        """Returns: whether an expression is a name of the module's, or an attribute of one, that is known without a run; and what it is."""
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

    def _lambda(self, node: ast.Lambda) -> ast.expr:
        inner = self.inside(node.args)
        return ast.Lambda(inner.arguments(node.args), inner._if_ran(node.body))

    def inside(self, parameters: ast.arguments, own: str = "") -> Expressions:
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
        inner = Expressions(self.writer, self.source, self.namespace, self.local | named, own or self.own)
        inner.tensors, inner.moded = list(self.tensors), self.moded
        return inner

    def arguments(self, parameters: ast.arguments) -> ast.arguments:
        """Translate the parameters of a function: their defaults, and no annotations."""

        def plain(parameter: ast.arg | None) -> ast.arg | None:
            return ast.arg(self.renamed(parameter.arg)) if parameter else None

        return ast.arguments(
            posonlyargs=[plain(a) for a in parameters.posonlyargs], args=[plain(a) for a in parameters.args], vararg=plain(parameters.vararg),
            kwonlyargs=[plain(a) for a in parameters.kwonlyargs], kw_defaults=[d and self.expr(d) for d in parameters.kw_defaults],
            kwarg=plain(parameters.kwarg), defaults=[self.expr(d) for d in parameters.defaults],
        )  # fmt: skip

    def _comprehension(self, node: Any) -> ast.expr:
        inner = Expressions(self.writer, self.source, self.namespace, set(self.local), self.own)
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

    def _binop(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, ast.Mod) and self.seen(node.left).kinds & TENSORS:
            return call("torch.remainder", self.expr(node.left), self.expr(node.right))
        return self._generic(node)

    def _joinedstr(self, node: ast.JoinedStr) -> ast.expr:
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if names <= self.local and not any(isinstance(n, ast.Call) for n in ast.walk(node)):
            return node
        return self.refuse(node, "an f-string that computes", "compute the value before")

    # Calls.

    def _call(self, node: ast.Call) -> ast.expr:
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

    def _target(self, callee: Seen) -> Any:
        """Returns: what a callee that is read from a variable always was, if it is a class or a function of a library."""
        things = {id(getattr(t, "__func__", t)): t for t in callee.things}
        if len(things) != 1 or not callee.kinds <= {"function", "class", "object"}:
            return None
        thing = next(iter(things.values()))
        if arrays.is_numpys(thing) or thing in (chainer.cuda.get_array_module,):
            return thing
        return thing if isinstance(thing, type) and thing.__module__.startswith("chainer.") else None

    def _known_call(self, node: ast.Call, target: Any) -> ast.expr | None:
        """Translate the call of something that is known; None where it is translated as any other call."""
        if found := arrays.call_of(self, node, target):
            return found
        if isinstance(target, type) and target.__module__.startswith("chainer."):
            return links.construct(self, node, target)
        if functions.is_chainers(target):
            return functions.translate(self, node, target)
        return None

    def plain_call(self, node: ast.Call) -> ast.expr:
        """Translate a call whose function and arguments keep their form."""
        for keyword in node.keywords:
            if keyword.arg in MODES and keyword.arg == "volatile":
                raise Unfit("volatile= has no counterpart here", "leave it out: torch.no_grad() does it for the caller")
        made = ast.Call(self.expr(node.func), *links.with_sizes(self, node))
        if self.writer.reads_mode(self.static(node.func)[1]):
            made.keywords.append(ast.keyword("training", self.training(node)))
        return made

    def bind(self, node: ast.Call, signature: inspect.Signature, called: Any = None) -> Arguments:
        """Returns: the arguments of a call, those that Chainer 1 had left out."""
        kept = [k for k in node.keywords if k.arg not in MODES + GONE or k.arg in signature.parameters]
        a = Arguments(self, ast.Call(node.func, node.args, kept), signature, called)
        a.node = node
        return a

    def mode(self, node: ast.Call) -> ast.expr:
        """Returns: the expression of training mode for a call, which Chainer 1's keywords may give."""
        for keyword in node.keywords:
            if keyword.arg == "train":
                return self.expr(keyword.value)
            if keyword.arg == "test":
                return ast.UnaryOp(ast.Not(), self.expr(keyword.value))
        return self.training(node)
