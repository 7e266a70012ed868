"""The methods of Chainer's links in PyTorch."""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer

from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.link_composed import HOOKS
from ganspec.tools.porting.translating.link_rules import as_module, as_tuple
from ganspec.tools.porting.translating.numpy_tables import signature
from ganspec.tools.porting.translating.templates import call, constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions


def method(writer: Expressions, node: ast.Call) -> ast.expr:
    """Translate a method of a link: those of Chainer's own that have a counterpart, and his own."""
    assert isinstance(node.func, ast.Attribute)
    things = writer.seen(node.func.value).things
    name = node.func.attr
    if name in ("__getattribute__", "__getattr__"):  # torch's modules keep layers elsewhere
        return call("getattr", writer.expr(node.func.value), writer.expr(node.args[0]))
    if not any(_is_chainers_method(type(t), name) for t in things):
        if name == "__call__":
            return ast.Call(
                writer.expr(node.func.value),
                [writer.expr(a) for a in node.args],
                [writer._generic(k) for k in node.keywords],
            )
        return writer.plain_call(node)
    owner = writer.expr(node.func.value)
    if name in ("__call__", "forward"):
        return ast.Call(owner, [writer.expr(a) for a in node.args], [writer._generic(k) for k in node.keywords])
    if name == "add_link" and len(node.args) == 1 and isinstance(node.args[0], ast.Starred):
        return ast.Call(ast.Attribute(owner, "add_module", ast.Load()), [writer.expr(node.args[0])], [])
    if name in _KEPT:
        return ast.Call(
            ast.Attribute(owner, name, ast.Load()),
            [writer.expr(a) for a in node.args],
            [writer._generic(k) for k in node.keywords],
        )
    if name == "add_hook":
        return _hooked(writer, node, owner)
    if name == "children":
        if all(isinstance(t, chainer.Chain) for t in things):  # Chainer goes through them in the order of their names
            return filled("[child for _, child in sorted(own.named_children())]", own=owner)
        return filled("own.children()", own=owner)
    if name in ("copy", "repeat"):
        return _copied(writer, node, owner, name)
    if name == "append" and all(isinstance(t, chainer.Sequential) for t in things):
        layer = writer.expr(node.args[0])
        return filled("own.append(layer)", own=owner, layer=as_module(writer, node.args[0], layer))
    if name == "__setattr__":
        return call("setattr", owner, *(writer.expr(a) for a in node.args))
    if name not in METHODS:
        raise Unfit(f"the method .{name}() of a link has no counterpart in a model", "move it out of the model's code")
    parameters, text = METHODS[name]
    a = writer.bind(node, signature(parameters))
    a.put("own", owner)
    if name == "add_link" and all(isinstance(t, chainer.ChainList) for t in things):
        a.put("link", a["name"])
        return a.fill("own.append(link)")
    if name in ("add_param", "add_persistent"):
        return _registered(writer, a, name)
    return a.fill(text)


METHODS = {
    "add_link": ("name, link=None", "own.add_module(name, link)"), "params": ("include_uninit=True", "own.parameters()"),
    "cleargrads": ("", "own.zero_grad()"), "zerograds": ("", "own.zero_grad()"), "extend": ("links", "own.extend(links)"),
    "to_cpu": ("", "own.cpu()"), "append": ("link", "own.append(link)"),
    "add_param": ("name, shape=None, dtype=None, initializer=None", ""), "add_persistent": ("name, value", ""),
    "register_persistent": ("name", ""),
    "disable_update": ("", "own.requires_grad_(False)"), "enable_update": ("", "own.requires_grad_(True)"),
    "register_buffer": ("name, value", ""),
}  # fmt: skip


def _registered(writer: Expressions, a: Arguments, name: str) -> ast.expr:
    if name == "add_persistent":
        value = a.seen("value")
        if value.is_all("array"):
            return a.fill("own.register_buffer(name, value)")
        return a.fill("own.register_buffer(name, torch.tensor(value))")
    shape = a["shape"]
    if a.given("initializer") and isinstance(a.value("initializer"), int | float):
        return call(
            "setattr",
            a["own"],
            a["name"],
            filled(
                "nn.Parameter(torch.full(shape, value))",
                shape=as_tuple(a, shape),
                value=constant(float(a.value("initializer"))),
            ),
        )
    return call("setattr", a["own"], a["name"], filled("nn.Parameter(torch.zeros(shape))", shape=shape))


def _is_chainers_method(cls: type, name: str) -> bool:
    for base in cls.__mro__:
        if name in vars(base):
            return base.__module__.startswith("chainer.")
    return False


# Methods that keep their name and arguments.
_KEPT = ("reset_state", "set_state", "insert", "extend")


def _hooked(writer: Expressions, node: ast.Call, owner: ast.expr) -> ast.expr:
    """link.add_hook(SpectralNormalization())"""
    hook = node.args[0] if node.args else node.keywords[0].value
    kinds = {type(t) for t in writer.seen(hook).things}
    if len(kinds) != 1 or not kinds <= HOOKS.keys():
        raise Unfit("this link hook has no counterpart in torch", "write what it does in the class")
    return filled("hook.add(own)", hook=writer.expr(hook), own=owner)


def _copied(writer: Expressions, node: ast.Call, owner: ast.expr, name: str) -> ast.expr:
    """link.copy("copy"), link.repeat(3): copies; what initial values each has in Chainer is carried."""
    a = writer.bind(node, signature("n_repeat, mode='init'" if name == "repeat" else "mode='share'"))
    if a.value("mode") not in ("init", "copy"):
        raise Unfit(
            "copies that share their arrays have no counterpart in torch", "use the same link twice, or mode='copy'"
        )
    writer.writer.module(copy, writer.source, node)
    a.put("own", owner)
    if name == "copy":
        return a.fill("copy.deepcopy(own)")
    return a.fill("nn.Sequential(*(copy.deepcopy(own) for _ in range(n_repeat)))")


def settles_initial_values(writer: Expressions, node: ast.For) -> bool:
    """Returns: whether a loop in a constructor changes nothing but the numbers of a link's parameters, which are carried."""
    walked = node.iter
    if (
        not writer.writer.in_constructor
        or not isinstance(walked, ast.Call)
        or not isinstance(walked.func, ast.Attribute)
    ):
        return False
    if walked.func.attr not in ("params", "namedparams") or not writer.seen(walked.func.value).is_all("link"):
        return False
    bound = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(inner.ctx, ast.Store):
            root: ast.expr = inner
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if not isinstance(root, ast.Name) or root.id not in bound:
                return False
        if isinstance(inner, ast.Return | ast.Delete | ast.Raise):
            return False
    return True
