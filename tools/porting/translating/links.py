"""Chainer's links in PyTorch: how they are constructed, called, and read."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.links as L

from ganspec.tools.porting.tracing.compiling import MODES
from ganspec.tools.porting.translating import distributions, functions
from ganspec.tools.porting.translating.arguments import UNKNOWN, Arguments, Unfit
from ganspec.tools.porting.translating.templates import call, constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions

Rule = Callable[[Arguments, list[Any]], ast.expr]
INITIAL = ("initialW", "initial_bias", "initialV", "initial_gamma", "initial_beta", "initial_avg_mean", "initial_avg_var", "initialU")
# Names of parameters and statistics that PyTorch's layers have otherwise, by Chainer's class.
RENAMED: dict[type, dict[str, str]] = {
    **dict.fromkeys((L.Linear, L.Convolution2D, L.ConvolutionND, L.Deconvolution2D, L.DeconvolutionND, L.DilatedConvolution2D, L.DepthwiseConvolution2D), {"W": "weight", "b": "bias"}),
    **dict.fromkeys((L.EmbedID, L.PReLU), {"W": "weight"}),
    **dict.fromkeys((L.BatchNormalization,), {"gamma": "weight", "beta": "bias", "avg_mean": "running_mean", "avg_var": "running_var", "N": "num_batches_tracked"}),
    **dict.fromkeys((L.LayerNormalization, L.GroupNormalization), {"gamma": "weight", "beta": "bias"}),
}  # fmt: skip
_ATTRIBUTES: dict[type, dict[str, str]] = {
    L.Convolution2D: {"stride": "stride", "pad": "padding", "ksize": "kernel_size", "out_channels": "out_channels", "groups": "groups", "dilate": "dilation"},
    L.Deconvolution2D: {"stride": "stride", "pad": "padding", "ksize": "kernel_size", "out_channels": "out_channels"},
    L.Linear: {"out_size": "out_features", "in_size": "in_features"},
    L.EmbedID: {"ignore_label": "padding_idx"},
    L.BatchNormalization: {"eps": "eps"},
}


def renamed(cls: type, name: str) -> str:
    """Returns: the name that an array of a link of a class has in the ported module."""
    for base in cls.__mro__:
        if base in RENAMED:
            return RENAMED[base].get(name, name)
    return name


def taken(name: str) -> bool:
    """Returns: whether torch.nn.Module has an attribute of this name, so that his own gets another."""
    return not name.startswith("__") and name not in ("forward", "children", "modules") and hasattr(_module(), name)


def _module() -> type:
    from torch import nn

    return nn.Module


def _is_chainers(cls: type, name: str) -> bool:
    """Returns: whether an attribute of a link is Chainer's own."""
    found = next((b for b in cls.__mro__ if name in vars(b)), None)
    return found is not None and found.__module__.startswith("chainer")


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
        return ast.Attribute(owner, writer.writer.method_name(classes[0], "forward"), node.ctx)
    names = {renamed(c, node.attr) for c in classes}
    if names == {node.attr}:
        names = {next((t[node.attr] for b, t in _ATTRIBUTES.items() if issubclass(c, b) and node.attr in t), node.attr) for c in classes}
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
        if not (isinstance(keywords["finetune"], ast.Constant) and keywords["finetune"].value is False) and writer.seen(keywords["finetune"]).only is not False:
            raise Unfit("finetune=True of a batch normalization has no counterpart in torch")
        node = ast.copy_location(ast.Call(node.func, node.args, [k for k in node.keywords if k.arg != "finetune"]), node)
    if own and any(k in MODES for k in keywords):
        mode = writer.mode(node)
        rest = ast.Call(writer.expr(node.func), [writer.expr(a) for a in node.args], [writer._generic(k) for k in node.keywords if k.arg not in MODES])
        if not any(isinstance(t, L.BatchNormalization) for t in own):
            return rest
        writer.writer.use("_in_mode")
        return call("_in_mode", rest.func, mode, *rest.args)
    if own and any(isinstance(t, L.EmbedID) for t in own) and keywords:
        raise Unfit("keywords in the call of an EmbedID")
    return writer.plain_call(node)


def method(writer: Expressions, node: ast.Call) -> ast.expr:
    """Translate a method of a link: those of Chainer's own that have a counterpart, and his own."""
    assert isinstance(node.func, ast.Attribute)
    things = writer.seen(node.func.value).things
    name = node.func.attr
    if not any(_is_chainers_method(type(t), name) for t in things):
        if name == "__call__":
            return ast.Call(writer.expr(node.func.value), [writer.expr(a) for a in node.args], [writer._generic(k) for k in node.keywords])
        return writer.plain_call(node)
    owner = writer.expr(node.func.value)
    if name in ("__call__", "forward"):
        return ast.Call(owner, [writer.expr(a) for a in node.args], [writer._generic(k) for k in node.keywords])
    if name == "add_link" and len(node.args) == 1 and isinstance(node.args[0], ast.Starred):
        return ast.Call(ast.Attribute(owner, "add_module", ast.Load()), [writer.expr(node.args[0])], [])
    if name == "__setattr__":
        return call("setattr", owner, *(writer.expr(a) for a in node.args))
    if name not in METHODS:
        raise Unfit(f"the method .{name}() of a link has no counterpart in a model", "move it out of the model's code")
    parameters, text = METHODS[name]
    from ganspec.tools.porting.translating.arrays import signature

    a = writer.bind(node, signature(parameters))
    a.put("own", owner)
    if name == "add_link" and all(isinstance(t, chainer.ChainList) for t in things):
        a.put("link", a["name"])
        return a.fill("own.append(link)")
    if name in ("add_param", "add_persistent"):
        return _registered(writer, a, name)
    return a.fill(text)


METHODS = {
    "add_link": ("name, link=None", "own.add_module(name, link)"), "children": ("", "own.children()"), "to_cpu": ("", "own.cpu()"), "append": ("link", "own.append(link)"),
    "add_param": ("name, shape=None, dtype=None, initializer=None", ""), "add_persistent": ("name, value", ""), "register_persistent": ("name", ""),
    "copy": ("mode='share'", "own"), "disable_update": ("", "own.requires_grad_(False)"), "enable_update": ("", "own.requires_grad_(True)"), "register_buffer": ("name, value", ""),
}  # fmt: skip


def _registered(writer: Expressions, a: Arguments, name: str) -> ast.expr:
    if name == "add_persistent":
        value = a.seen("value")
        if value.is_all("array"):
            return a.fill("own.register_buffer(name, value)")
        return a.fill("own.register_buffer(name, torch.tensor(value))")
    shape = a["shape"]
    if a.given("initializer") and isinstance(a.value("initializer"), int | float):
        return call("setattr", a["own"], a["name"], filled("nn.Parameter(torch.full(shape, value))", shape=_tuple(a, shape), value=constant(float(a.value("initializer")))))
    return call("setattr", a["own"], a["name"], filled("nn.Parameter(torch.zeros(shape))", shape=shape))


def _tuple(a: Arguments, shape: ast.expr) -> ast.expr:
    return shape if a.seen("shape").is_all("tuple") else ast.Tuple([shape], ast.Load())


def _is_chainers_method(cls: type, name: str) -> bool:
    for base in cls.__mro__:
        if name in vars(base):
            return base.__module__.startswith("chainer")
    return False


# Construction.


def construct(writer: Expressions, node: ast.Call, cls: type) -> ast.expr:
    """Translate the construction of one of Chainer's links, parameters or initialisers.

    Raises:
        Unfit: it has no counterpart.
    """
    if issubclass(cls, chainer.Initializer):
        return constant(None)
    if cls is chainer.Parameter:
        return _parameter(writer, node)
    if cls in (chainer.ChainList, chainer.Sequential):
        return _listed(writer, node, cls)
    if not issubclass(cls, chainer.Link):
        return _other(writer, node, cls)
    rule = LINKS.get(cls)
    if cls in STARRED and cls in _MODULES and (any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)):
        writer.writer.use(STARRED[cls])
        name = _batch_norm_class(writer.seen(node).things, writer.writer) if cls is L.BatchNormalization else _MODULES[cls]
        writer.writer.use_in(filled(name))
        given = ast.Call(filled(STARRED[cls]), [writer.expr(a) for a in node.args], [writer._generic(k) for k in node.keywords])
        return ast.Call(filled(name), [ast.Starred(given, ast.Load())], [])
    if rule is None:
        raise Unfit(f"the link chainer.links.{cls.__name__} is not among those that can be ported")
    made = rule(_arguments(writer, node, cls), writer.seen(node).things)
    writer.writer.use_in(made)
    return made


def _arguments(writer: Expressions, node: ast.Call, cls: type) -> Arguments:
    signature = inspect.signature(cls)
    if cls in (L.Convolution2D, L.Deconvolution2D):
        parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        signature = inspect.Signature([*parameters, functions._keyword("dilate", 1), functions._keyword("groups", 1)])
    return writer.bind(node, signature, cls)


def superclass(writer: Expressions, node: ast.Call, cls: type, links: list[Any]) -> ast.Call:
    """Translate `super().__init__(...)` in a class that derives from one of Chainer's links.

    Args:
        node: the call.
        cls: the class of Chainer's.
        links: the links that were constructed with it.
    """
    rule = LINKS.get(cls)
    if cls in STARRED and (any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)):
        writer.writer.use(STARRED[cls])
        given = ast.Call(filled(STARRED[cls]), [writer.expr(a) for a in node.args], [writer._generic(k) for k in node.keywords])
        return ast.Call(filled("super().__init__"), [ast.Starred(given, ast.Load())], [])
    if rule is None:
        raise Unfit(f"a class that derives from chainer.links.{cls.__name__} cannot be ported")
    made = rule(_arguments(writer, node, cls), links)
    writer.writer.use_in(made)
    assert isinstance(made, ast.Call)
    return ast.Call(filled("super().__init__"), made.args, made.keywords)


def base(cls: type, links: list[Any], writer: Any) -> ast.expr:
    """Translate a base class that is Chainer's own."""
    if cls in BASES:
        return filled(BASES[cls])
    if cls in (L.BatchNormalization,):
        return filled(_batch_norm_class(links, writer))
    if (name := _MODULES.get(cls)) is not None:
        made = filled(name)
        writer.use_in(made)
        return made
    raise Unfit(f"a class that derives from {cls.__module__}.{cls.__name__} cannot be ported")


BASES = {chainer.Link: "nn.Module", chainer.Chain: "nn.Module", chainer.ChainList: "nn.ModuleList", chainer.Sequential: "nn.Sequential"}


def _sized(a: Arguments, first: str, second: str) -> tuple[ast.expr | None, ast.expr]:
    """Returns: sizes of input and output, where Chainer takes one number as the output's; None where the input's is not said."""
    if a.value(second) is None:
        return None, a[first]
    return (None if a.value(first) is None else a[first]), a[second]


def _inputs(a: Arguments, links: list[Any], size: Callable[[Any], int | None]) -> ast.expr | None:
    """Returns: the size of the input as it came out, where that was always the same."""
    sizes = {size(link) for link in links}
    return constant(sizes.pop()) if len(sizes) == 1 and None not in sizes else None


def _bias(a: Arguments, keywords: dict[str, ast.expr]) -> None:
    if a.given("nobias"):
        known = a.value("nobias")
        keywords["bias"] = constant(not known) if isinstance(known, bool) and isinstance(a.nodes["nobias"], ast.Constant) else ast.UnaryOp(ast.Not(), a["nobias"])


def _shape_of(name: str, axis: int) -> Callable[[Any], int | None]:
    def size(link: Any) -> int | None:
        array = getattr(link, name).array
        return None if array is None else array.shape[axis]

    return size


def _linear(a: Arguments, links: list[Any]) -> ast.expr:
    given, out = _sized(a, "in_size", "out_size")
    given = given or _inputs(a, links, _shape_of("W", 1))
    keywords: dict[str, ast.expr] = {}
    _bias(a, keywords)
    ndims = _ndims(a, links)
    if given is None:
        if not ndims <= {2}:
            raise Unfit("its sizes differ between instances, and it flattens its input", "give its input size")
        return call("nn.LazyLinear", out, **keywords)
    return call("nn.Linear" if ndims <= {2} else "_FlatLinear", given, out, **keywords)


def _ndims(a: Arguments, links: list[Any]) -> set[int]:
    return set().union(*(a.writer.writer.trace.ndims.get(id(link), set()) for link in links)) if links else set()


def _convolution(transposed: bool, dimensions: int | None = None) -> Rule:
    def rule(a: Arguments, links: list[Any]) -> ast.expr:
        n = dimensions or a.value("ndim")
        if n not in (1, 2, 3):
            raise Unfit("a convolution over other than 1 to 3 axes has no counterpart in torch")
        a_in, a_out, a_ksize = "in_channels", "out_channels", "ksize"
        if a.value(a_ksize) is None:
            given, out, ksize = None, a[a_in], a[a_out]
        else:
            given, out, ksize = (None if a.value(a_in) is None else a[a_in]), a[a_out], a[a_ksize]
        groups = a.value("groups") if "groups" in a.signature.parameters or "groups" in a.nodes else 1
        if given is None:
            axis, factor = (0, 1) if transposed else (1, groups if isinstance(groups, int) else 1)
            sizes = {None if (s := _shape_of("W", axis)(link)) is None else s * factor for link in links}
            given = constant(sizes.pop()) if len(sizes) == 1 and None not in sizes else None
        keywords: dict[str, ast.expr] = {}
        for theirs, ours in (("stride", "stride"), ("padding", "pad"), ("dilation", "dilate"), ("groups", "groups")):
            if (ours in a.nodes) and a.given(ours):
                keywords[theirs] = a[ours]
        if a.given("cover_all") if "cover_all" in a.signature.parameters else False:
            raise Unfit("cover_all=True of a convolution has no counterpart in torch")
        _bias(a, keywords)
        name = f"Conv{'Transpose' if transposed else ''}{n}d"
        if "outsize" in a.nodes and a.given("outsize"):
            a.writer.writer.use("_SizedDeconvolution")
            return call("_SizedDeconvolution", _required(given), out, ksize, a["outsize"], **keywords)
        return call(f"nn.Lazy{name}", out, ksize, **keywords) if given is None else call(f"nn.{name}", given, out, ksize, **keywords)

    return rule


def _required(size: ast.expr | None) -> ast.expr:
    if size is None:
        raise Unfit("its input size differs between instances", "give its input size")
    return size


def _dilated(a: Arguments, links: list[Any]) -> ast.expr:
    return _convolution(False, 2)(a, links)


def _embedding(a: Arguments, links: list[Any]) -> ast.expr:
    if a.given("ignore_label"):
        a.writer.writer.use("_EmbedID")
        return call("_EmbedID", a["in_size"], a["out_size"], a["ignore_label"])
    return call("nn.Embedding", a["in_size"], a["out_size"])


def _batch_norm_class(links: list[Any], writer: Any) -> str:
    ndims = set().union(*(writer.trace.ndims.get(id(link), set()) for link in links)) if links else set()
    if not ndims:
        return "_BatchNorm"
    found = {{2: "nn.BatchNorm1d", 3: "nn.BatchNorm1d", 4: "nn.BatchNorm2d", 5: "nn.BatchNorm3d"}.get(n, "") for n in ndims}
    return found.pop() if len(found) == 1 else "_BatchNorm"


def _batch_norm(a: Arguments, links: list[Any]) -> ast.expr:
    if a.given("axis"):
        axes = {link.axis for link in links}
        if axes - {(0,), (0, 2), (0, 2, 3), (0, 2, 3, 4)}:
            raise Unfit("batch normalization over chosen axes has no counterpart in torch", "transpose the array around it")
    size = a["size"] if a.value("size") is not None else _inputs(a, links, lambda link: None if link.avg_mean is None else link.avg_mean.shape[0])
    if isinstance(a.value("size"), tuple):
        sizes = a.value("size")
        if len(sizes) != 1:
            raise Unfit("batch normalization of several axes together has no counterpart in torch")
        size = constant(sizes[0])
    name = _batch_norm_class(links, a.writer.writer)
    decay = a.value("decay")
    keywords = {"eps": a["eps"], "momentum": constant(round(1 - decay, 12)) if isinstance(decay, int | float) else filled("1 - decay", decay=a["decay"])}
    gammas, betas = {link.gamma is not None if hasattr(link, "gamma") else False for link in links}, {getattr(link, "beta", None) is not None for link in links}
    if gammas == {True} and betas == {True}:
        pass
    elif gammas == {False} and betas == {False}:
        keywords["affine"] = constant(False)
    else:
        a.writer.writer.use("_part_affine")
        gamma = a["use_gamma"] if a.given("use_gamma") or len(gammas) > 1 else constant(True)
        beta = a["use_beta"] if a.given("use_beta") or len(betas) > 1 else constant(True)
        return call("_part_affine", call(name, _required(size), **keywords), gamma, beta)
    if name == "_BatchNorm":
        a.writer.writer.use("_BatchNorm")
    return call(name, _required(size), **keywords)


def _layer_norm(a: Arguments, links: list[Any]) -> ast.expr:
    size = a["size"] if a.value("size") is not None else _inputs(a, links, _shape_of("gamma", 0))
    return call("nn.LayerNorm", _required(size), eps=a["eps"])


def _group_norm(a: Arguments, links: list[Any]) -> ast.expr:
    size = a["size"] if a.value("size") is not None else _inputs(a, links, _shape_of("gamma", 0))
    return call("nn.GroupNorm", a["groups"], _required(size), eps=a["eps"])


def _written(name: str, *parameters: str) -> Rule:
    """The rule of a link that `written` has as a class with these parameters."""

    def rule(a: Arguments, links: list[Any]) -> ast.expr:
        a.writer.writer.use(name)
        return call(name, *(a[p] for p in parameters))

    return rule


LINKS: dict[type, Rule] = {
    L.Linear: _linear, L.Convolution2D: _convolution(False, 2), L.Deconvolution2D: _convolution(True, 2), L.ConvolutionND: _convolution(False),
    L.DeconvolutionND: _convolution(True), L.Convolution1D: _convolution(False, 1), L.Convolution3D: _convolution(False, 3),
    L.Deconvolution1D: _convolution(True, 1), L.Deconvolution3D: _convolution(True, 3), L.DilatedConvolution2D: _dilated, L.EmbedID: _embedding,
    L.BatchNormalization: _batch_norm, L.LayerNormalization: _layer_norm, L.GroupNormalization: _group_norm, L.PReLU: _written("_PReLU", "shape"),
}  # fmt: skip
# What turns arguments that are only known as *args and **kwargs into those of torch's class.
STARRED = {L.Linear: "_linear_arguments", L.Convolution2D: "_convolution_arguments", L.Deconvolution2D: "_deconvolution_arguments",
           L.EmbedID: "_embedding_arguments", L.BatchNormalization: "_batch_norm_arguments", L.LayerNormalization: "_layer_norm_arguments"}  # fmt: skip
_MODULES = {
    L.Linear: "nn.Linear", L.Convolution2D: "nn.Conv2d", L.Deconvolution2D: "nn.ConvTranspose2d", L.EmbedID: "nn.Embedding", L.BatchNormalization: "nn.BatchNorm2d",
    L.LayerNormalization: "nn.LayerNorm", L.GroupNormalization: "nn.GroupNorm", L.DilatedConvolution2D: "nn.Conv2d", L.PReLU: "_PReLU",
}  # fmt: skip


def _parameter(writer: Expressions, node: ast.Call) -> ast.expr:
    a = writer.bind(node, inspect.signature(chainer.Parameter))
    arrays = [p for p in writer.seen(node).things if p.array is not None]
    if a.seen("initializer").is_all("array"):
        return filled("nn.Parameter(value)", value=a["initializer"])
    if a.value("shape") is None and a.seen("shape").is_all("none"):
        if isinstance(a.value("initializer"), int | float):
            return filled("nn.Parameter(torch.tensor(value))", value=constant(float(a.value("initializer"))))
        shapes = {p.shape for p in arrays}
        if len(shapes) != 1:
            raise Unfit("a parameter without a shape", "give its shape")
        shape: ast.expr = constant(shapes.pop())
    else:
        shape = _tuple(a, a["shape"])
    if isinstance(a.value("initializer"), int | float):
        return filled("nn.Parameter(torch.full(shape, value))", shape=shape, value=constant(float(a.value("initializer"))))
    return filled("nn.Parameter(torch.zeros(shape))", shape=shape)


def _listed(writer: Expressions, node: ast.Call, cls: type) -> ast.expr:
    arguments = [writer.expr(a) for a in node.args]
    if cls is chainer.ChainList:
        if len(arguments) == 1 and isinstance(arguments[0], ast.Starred):
            return call("nn.ModuleList", arguments[0].value)
        return call("nn.ModuleList", ast.List(arguments, ast.Load())) if arguments else call("nn.ModuleList")
    writer.writer.use("_Apply")
    return call("nn.Sequential", *(_as_module(writer, n, a) for n, a in zip(node.args, arguments, strict=True)))


def _as_module(writer: Expressions, node: ast.expr, made: ast.expr) -> ast.expr:
    inner = node.value if isinstance(node, ast.Starred) else node
    if writer.seen(inner).is_all("link"):
        return made
    if isinstance(node, ast.Starred):
        return ast.Starred(filled("[layer if isinstance(layer, nn.Module) else _Apply(layer) for layer in layers]", layers=made.value), ast.Load())  # type: ignore[attr-defined]
    return call("_Apply", made)


def _other(writer: Expressions, node: ast.Call, cls: type) -> ast.expr:
    if (made := distributions.construct(writer, node, cls)) is not None:
        return made
    raise Unfit(f"{cls.__module__}.{cls.__name__} has no counterpart in a model", "move it out of the model's code")


__all__ = ["LINKS", "UNKNOWN", "attribute", "base", "called", "class_value", "construct", "method", "renamed", "superclass"]
