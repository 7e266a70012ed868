"""Chainer's links in PyTorch: how they are constructed, called, and read."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.links as L

from ganspec.tools.porting.names import layer_name
from ganspec.tools.porting.tracing.compiling import MODES
from ganspec.tools.porting.translating import distributions
from ganspec.tools.porting.translating.arguments import UNKNOWN, Unfit
from ganspec.tools.porting.translating.link_arguments import arguments_of, ruled, without_initial
from ganspec.tools.porting.translating.link_composed import COMPOSED, HOOKS
from ganspec.tools.porting.translating.link_methods import method
from ganspec.tools.porting.translating.link_rules import (
    LAYERS,
    Rule,
    as_module,
    batch_norm_class,
)
from ganspec.tools.porting.translating.link_sizes import parameter, with_sizes
from ganspec.tools.porting.translating.templates import call, constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions

_ATTRIBUTES: dict[type, dict[str, str]] = {
    L.Convolution2D: {
        "stride": "stride",
        "pad": "padding",
        "ksize": "kernel_size",
        "out_channels": "out_channels",
        "groups": "groups",
        "dilate": "dilation",
    },
    L.Deconvolution2D: {"stride": "stride", "pad": "padding", "ksize": "kernel_size", "out_channels": "out_channels"},
    L.Linear: {"out_size": "out_features", "in_size": "in_features"},
    L.EmbedID: {"ignore_label": "padding_idx"},
    L.BatchNormalization: {"eps": "eps"},
}


def taken(name: str) -> bool:
    """Returns: whether torch.nn.Module has an attribute of this name, so that his own gets another."""
    return not name.startswith("__") and name not in ("forward", "children", "modules") and hasattr(_module(), name)


def _module() -> type:
    from torch import nn

    return nn.Module


def _is_chainers(cls: type, name: str) -> bool:
    """Returns: whether an attribute of a link is Chainer's own."""
    found = next((b for b in cls.__mro__ if name in vars(b)), None)
    return found is not None and found.__module__.startswith("chainer.")


def class_value(writer: Expressions, cls: type, node: ast.expr) -> ast.expr:
    """Translate a class of Chainer's that is a value."""
    if cls in BASES:
        return filled(BASES[cls])
    if (module := _MODULES.get(cls)) is not None:
        return filled(module)
    raise Unfit(f"the class {cls.__name__} is used as a value here", "construct it where it is used")


def attribute(writer: Expressions, node: ast.Attribute) -> ast.expr:
    """Translate an attribute of a link."""
    classes = [type(t) for t in writer.seen(node.value).things]
    if node.attr == "xp":
        return filled("torch")
    owner = writer.expr(node.value)
    if node.attr == "device":
        return filled("next(own.parameters()).device", own=owner)
    if node.attr == "forward" and classes:
        return ast.Attribute(owner, writer.writer.definitions.method_name(classes[0], "forward"), node.ctx)
    names = {layer_name(c, node.attr) for c in classes}
    if names == {node.attr}:
        names = {
            next((t[node.attr] for b, t in _ATTRIBUTES.items() if issubclass(c, b) and node.attr in t), node.attr)
            for c in classes
        }
    if names == {node.attr} and taken(node.attr) and classes and not all(_is_chainers(c, node.attr) for c in classes):
        return ast.Attribute(owner, f"{node.attr}_", node.ctx)
    if len(names) > 1:
        raise Unfit(f".{node.attr} has several names in torch, by the kind of layer")
    name = names.pop()
    if name == "_device_id" or name in ("within_init_scope", "update_enabled"):
        raise Unfit(f".{name} of a link has no counterpart")
    return ast.Attribute(owner, name, node.ctx)


def called(writer: Expressions, node: ast.Call) -> ast.expr:
    """Translate the call of a link."""
    things = writer.seen(node.func).things
    own = [t for t in things if type(t).__module__.startswith("chainer.") and type(t) not in BASES]
    keywords = {k.arg: k.value for k in node.keywords}
    if own and "finetune" in keywords:
        if (
            not (isinstance(keywords["finetune"], ast.Constant) and keywords["finetune"].value is False)
            and writer.seen(keywords["finetune"]).only is not False
        ):
            raise Unfit("finetune=True of a batch normalization has no counterpart in torch")
        node = ast.copy_location(
            ast.Call(node.func, node.args, [k for k in node.keywords if k.arg != "finetune"]), node
        )
    if own and any(k in MODES for k in keywords):
        mode = writer.mode(node)
        rest = ast.Call(
            writer.expr(node.func),
            [writer.expr(a) for a in node.args],
            [writer._generic(k) for k in node.keywords if k.arg not in MODES],
        )
        if not any(isinstance(t, L.BatchNormalization) for t in own):
            return rest
        writer.writer.use("_in_mode")
        return call("_in_mode", rest.func, mode, *rest.args)
    if own and "n_batch_axes" in keywords and all(writer.writer.trace.ndims.get(id(t)) == {2} for t in own):
        return ast.Call(writer.expr(node.func), [writer.expr(a) for a in node.args], [])
    if own and any(isinstance(t, L.EmbedID) for t in own) and keywords:
        raise Unfit("keywords in the call of an EmbedID")
    return writer.plain_call(node)


# Construction.


def construct(writer: Expressions, node: ast.Call, cls: type) -> ast.expr:
    """Translate the construction of one of Chainer's links, parameters or initialisers.

    Raises:
        Unfit: it has no counterpart.
    """
    if issubclass(cls, chainer.Initializer):
        return constant(None)
    if cls is chainer.Parameter:
        return parameter(writer, node)
    if cls in (chainer.ChainList, chainer.Sequential):
        return _listed(writer, node, cls)
    if not issubclass(cls, chainer.Link):
        return _other(writer, node, cls)
    rule = LINKS.get(cls)
    node = without_initial(writer, node, cls)
    if (
        cls in STARRED
        and cls in _MODULES
        and (any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords))
    ):
        writer.writer.use(STARRED[cls])
        name = (
            batch_norm_class(writer.seen(node).things, writer.writer) if cls is L.BatchNormalization else _MODULES[cls]
        )
        writer.writer.use_in(filled(name))
        given = ast.Call(filled(STARRED[cls]), *with_sizes(writer, node))
        return ast.Call(filled(name), [ast.Starred(given, ast.Load())], [])
    if rule is None:
        raise Unfit(f"the link chainer.links.{cls.__name__} is not among those that can be ported")
    made = ruled(rule, arguments_of(writer, node, cls), writer.seen(node).things)
    writer.writer.use_in(made)
    return made


def superclass(writer: Expressions, node: ast.Call, cls: type, links: list[Any]) -> ast.Call:
    """Translate `super().__init__(...)` in a class that derives from one of Chainer's links.

    Args:
        node: the call.
        cls: the class of Chainer's.
        links: the links that were constructed with it.
    """
    rule = LINKS.get(cls)
    if cls in STARRED and (
        any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)
    ):
        writer.writer.use(STARRED[cls])
        given = ast.Call(
            filled(STARRED[cls]), [writer.expr(a) for a in node.args], [writer._generic(k) for k in node.keywords]
        )
        return ast.Call(filled("super().__init__"), [ast.Starred(given, ast.Load())], [])
    if rule is None:
        raise Unfit(f"a class that derives from chainer.links.{cls.__name__} cannot be ported")
    made = ruled(rule, arguments_of(writer, node, cls), links)
    writer.writer.use_in(made)
    assert isinstance(made, ast.Call)
    if "Lazy" in ast.unparse(made.func):
        raise Unfit("the input's size is left open in a class that derives from a link of Chainer's", "give it")
    return ast.Call(filled("super().__init__"), made.args, made.keywords)


def _axes(links: list[Any]) -> set[int]:
    """Returns: over how many axes convolutions go."""
    return {len(link.W.shape) - 2 for link in links if link.W.array is not None}


def base(cls: type, links: list[Any], writer: Any) -> ast.expr:
    """Translate a base class that is Chainer's own."""
    if cls in BASES:
        return filled(BASES[cls])
    if cls in (L.BatchNormalization,):
        return filled(batch_norm_class(links, writer))
    if cls in (L.ConvolutionND, L.DeconvolutionND) and len(axes := _axes(links)) == 1:
        return filled(f"nn.Conv{'Transpose' if cls is L.DeconvolutionND else ''}{axes.pop()}d")
    if (name := _MODULES.get(cls)) is not None:
        made = filled(name)
        writer.use_in(made)
        return made
    raise Unfit(f"a class that derives from {cls.__module__}.{cls.__name__} cannot be ported")


BASES = {
    chainer.Link: "nn.Module",
    chainer.Chain: "nn.Module",
    chainer.ChainList: "nn.ModuleList",
    chainer.Sequential: "nn.Sequential",
}


LINKS: dict[type, Rule] = {**LAYERS, **COMPOSED}
# What turns arguments that are only known as *args and **kwargs into those of torch's class.
STARRED = {L.Linear: "_linear_arguments", L.Convolution2D: "_convolution_arguments",
L.Deconvolution2D: "_deconvolution_arguments",
           L.EmbedID: "_embedding_arguments", L.BatchNormalization: "_batch_norm_arguments",
           L.LayerNormalization: "_layer_norm_arguments"}  # fmt: skip
_MODULES = {
    L.Linear: "nn.Linear", L.Convolution2D: "nn.Conv2d", L.Deconvolution2D: "nn.ConvTranspose2d", L.EmbedID: "nn.Embedding",
    L.BatchNormalization: "nn.BatchNorm2d",
    L.LayerNormalization: "nn.LayerNorm", L.GroupNormalization: "nn.GroupNorm", L.DilatedConvolution2D: "nn.Conv2d",
    L.PReLU: "_PReLU",
}  # fmt: skip


def _listed(writer: Expressions, node: ast.Call, cls: type) -> ast.expr:
    arguments = [writer.expr(a) for a in node.args]
    if cls is chainer.ChainList:
        if len(arguments) == 1 and isinstance(arguments[0], ast.Starred):
            return call("nn.ModuleList", arguments[0].value)
        return call("nn.ModuleList", ast.List(arguments, ast.Load())) if arguments else call("nn.ModuleList")
    writer.writer.use("_Apply")
    return call("nn.Sequential", *(as_module(writer, n, a) for n, a in zip(node.args, arguments, strict=True)))


def _other(writer: Expressions, node: ast.Call, cls: type) -> ast.expr:
    if issubclass(cls, chainer.Distribution):
        return distributions.construct(writer, node, cls)
    if cls in HOOKS:
        made = HOOKS[cls](writer.bind(node, inspect.signature(cls), cls))
        writer.writer.use_in(made)
        return made
    raise Unfit(f"{cls.__module__}.{cls.__name__} has no counterpart in a model", "move it out of the model's code")


__all__ = [
    "LINKS",
    "UNKNOWN",
    "attribute",
    "base",
    "called",
    "class_value",
    "construct",
    "method",
    "superclass",
]
