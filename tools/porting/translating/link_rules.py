"""How those of Chainer's links are constructed that PyTorch has as layers."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer.links as L

from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.templates import call, constant, filled

Rule = Callable[[Arguments, list[Any]], ast.expr]


def said(a: Arguments, name: str) -> ast.expr | None:
    """Returns: a size; None where his code leaves it to the first input, in one of the links at least."""
    return None if a.value(name) is None or any(t is None for t in a.seen(name).things) else a[name]


def sized(a: Arguments, first: str, second: str) -> tuple[ast.expr | None, ast.expr]:
    """Returns: sizes of input and output, where Chainer takes one number as the output's; None where the input's is not said."""
    if a.value(second) is None:
        return None, a[first]
    return said(a, first), a[second]


def inputs_of(links: list[Any], size: Callable[[Any], int | None]) -> ast.expr | None:
    """Returns: the size of the input as it came out, where that was always the same."""
    sizes = {size(link) for link in links}
    return constant(sizes.pop()) if len(sizes) == 1 and None not in sizes else None


def bias_of(a: Arguments, keywords: dict[str, ast.expr]) -> None:
    if a.given("nobias"):
        known = a.value("nobias")
        keywords["bias"] = (
            constant(not known)
            if isinstance(known, bool) and isinstance(a.nodes["nobias"], ast.Constant)
            else ast.UnaryOp(ast.Not(), a["nobias"])
        )


def shape_of(name: str, axis: int) -> Callable[[Any], int | None]:
    def size(link: Any) -> int | None:
        array = functools.reduce(getattr, name.split("."), link).array
        return None if array is None else array.shape[axis]

    return size


def linear(a: Arguments, links: list[Any]) -> ast.expr:
    given, out = sized(a, "in_size", "out_size")
    given = given or inputs_of(links, shape_of("W", 1))
    keywords: dict[str, ast.expr] = {}
    bias_of(a, keywords)
    ndims = ndims_of(a, links)
    if given is None:
        if not ndims <= {2}:
            raise Unfit("its sizes differ between instances, and it flattens its input", "give its input size")
        return call("nn.LazyLinear", out, **keywords)
    return call("nn.Linear" if ndims <= {2} else "_FlatLinear", given, out, **keywords)


def ndims_of(a: Arguments, links: list[Any]) -> set[int]:
    return set().union(*(a.writer.writer.trace.ndims.get(id(link), set()) for link in links)) if links else set()


def convolution(transposed: bool, dimensions: int | None = None) -> Rule:
    def rule(a: Arguments, links: list[Any]) -> ast.expr:
        n = dimensions or a.value("ndim")
        if n not in (1, 2, 3):
            raise Unfit("a convolution over other than 1 to 3 axes has no counterpart in torch")
        a_in, a_out, a_ksize = "in_channels", "out_channels", "ksize"
        if a.value(a_ksize) is None:
            given, out, ksize = None, a[a_in], a[a_out]
        else:
            given, out, ksize = said(a, a_in), a[a_out], a[a_ksize]
        groups = a.value("groups") if "groups" in a.signature.parameters or "groups" in a.nodes else 1
        if given is None:
            axis, factor = (0, 1) if transposed else (1, groups if isinstance(groups, int) else 1)
            sizes = {None if (s := shape_of("W", axis)(link)) is None else s * factor for link in links}
            given = constant(sizes.pop()) if len(sizes) == 1 and None not in sizes else None
        keywords: dict[str, ast.expr] = {}
        for theirs, ours in (("stride", "stride"), ("padding", "pad"), ("dilation", "dilate"), ("groups", "groups")):
            if (ours in a.nodes) and a.given(ours):
                keywords[theirs] = a[ours]
        if a.given("cover_all") if "cover_all" in a.signature.parameters else False:
            raise Unfit("cover_all=True of a convolution has no counterpart in torch")
        bias_of(a, keywords)
        name = f"Conv{'Transpose' if transposed else ''}{n}d"
        if transposed and (
            ("outsize" in a.nodes and a.given("outsize"))
            or any(link.outsize not in (None, (None,) * n) for link in links)
        ):
            a.writer.writer.use("_SizedDeconvolution")
            return call("_SizedDeconvolution", required(given), out, ksize, a["outsize"], **keywords)
        return (
            call(f"nn.Lazy{name}", out, ksize, **keywords)
            if given is None
            else call(f"nn.{name}", given, out, ksize, **keywords)
        )

    return rule


def required(size: ast.expr | None) -> ast.expr:
    if size is None:
        raise Unfit("its input size differs between instances", "give its input size")
    return size


def dilated(a: Arguments, links: list[Any]) -> ast.expr:
    return convolution(False, 2)(a, links)


def embedding(a: Arguments, links: list[Any]) -> ast.expr:
    if a.given("ignore_label"):
        a.writer.writer.use("_EmbedID")
        return call("_EmbedID", a["in_size"], a["out_size"], a["ignore_label"])
    return call("nn.Embedding", a["in_size"], a["out_size"])


def batch_norm_class(links: list[Any], writer: Any) -> str:
    ndims = set().union(*(writer.trace.ndims.get(id(link), set()) for link in links)) if links else set()
    if not ndims:
        return "_BatchNorm"
    found = {
        {2: "nn.BatchNorm1d", 3: "nn.BatchNorm1d", 4: "nn.BatchNorm2d", 5: "nn.BatchNorm3d"}.get(n, "") for n in ndims
    }
    return found.pop() if len(found) == 1 else "_BatchNorm"


def batch_norm(a: Arguments, links: list[Any]) -> ast.expr:
    if a.given("axis"):
        axes = {link.axis for link in links}
        if axes - {(0,), (0, 2), (0, 2, 3), (0, 2, 3, 4)}:
            raise Unfit(
                "batch normalization over chosen axes has no counterpart in torch", "transpose the array around it"
            )
    size = (
        a["size"]
        if a.value("size") is not None
        else inputs_of(links, lambda link: None if link.avg_mean is None else link.avg_mean.shape[0])
    )
    if isinstance(a.value("size"), tuple):
        sizes = a.value("size")
        if len(sizes) != 1:
            raise Unfit("batch normalization of several axes together has no counterpart in torch")
        size = constant(sizes[0])
    name = batch_norm_class(links, a.writer.writer)
    decay = a.value("decay")
    keywords = {
        "eps": a["eps"],
        "momentum": constant(round(1 - decay, 12))
        if isinstance(decay, int | float)
        else filled("1 - decay", decay=a["decay"]),
    }
    gammas, betas = (
        {link.gamma is not None if hasattr(link, "gamma") else False for link in links},
        {getattr(link, "beta", None) is not None for link in links},
    )
    if gammas == {True} and betas == {True}:
        pass
    elif gammas == {False} and betas == {False}:
        keywords["affine"] = constant(False)
    else:
        a.writer.writer.use("_part_affine")
        gamma = a["use_gamma"] if a.given("use_gamma") or len(gammas) > 1 else constant(True)
        beta = a["use_beta"] if a.given("use_beta") or len(betas) > 1 else constant(True)
        return call("_part_affine", call(name, required(size), **keywords), gamma, beta)
    if name == "_BatchNorm":
        a.writer.writer.use("_BatchNorm")
    return call(name, required(size), **keywords)


def layer_norm(a: Arguments, links: list[Any]) -> ast.expr:
    size = a["size"] if a.value("size") is not None else inputs_of(links, shape_of("gamma", 0))
    return call("nn.LayerNorm", required(size), eps=a["eps"])


def group_norm(a: Arguments, links: list[Any]) -> ast.expr:
    size = a["size"] if a.value("size") is not None else inputs_of(links, shape_of("gamma", 0))
    return call("nn.GroupNorm", a["groups"], required(size), eps=a["eps"])


def written(name: str, *parameters: str) -> Rule:
    """The rule of a link that `written` has as a class with these parameters."""

    def rule(a: Arguments, links: list[Any]) -> ast.expr:
        a.writer.writer.use(name)
        return call(name, *(a[p] for p in parameters))

    return rule


def as_module(writer: Any, node: ast.expr, made: ast.expr) -> ast.expr:
    """Returns: a layer of a Sequential, which may be a function."""
    inner = node.value if isinstance(node, ast.Starred) else node
    if writer.seen(inner).is_all("link"):
        return made
    if isinstance(node, ast.Starred):
        return ast.Starred(
            filled("[layer if isinstance(layer, nn.Module) else _Apply(layer) for layer in layers]", layers=made.value),
            ast.Load(),
        )  # type: ignore[attr-defined]
    writer.writer.use("_Apply")
    return call("_Apply", made)


def as_tuple(a: Arguments, shape: ast.expr) -> ast.expr:
    """Returns: a shape as a tuple."""
    return shape if a.seen("shape").is_all("tuple") else ast.Tuple([shape], ast.Load())


LAYERS: dict[type, Rule] = {
    L.Linear: linear, L.Convolution2D: convolution(False, 2), L.Deconvolution2D: convolution(True, 2),
    L.ConvolutionND: convolution(False),
    L.DeconvolutionND: convolution(True), L.Convolution1D: convolution(False, 1), L.Convolution3D: convolution(False, 3),
    L.Deconvolution1D: convolution(True, 1), L.Deconvolution3D: convolution(True, 3), L.DilatedConvolution2D: dilated,
    L.EmbedID: embedding,
    L.BatchNormalization: batch_norm, L.LayerNormalization: layer_norm, L.GroupNormalization: group_norm,
    L.PReLU: written("_PReLU", "shape"),
}  # fmt: skip
