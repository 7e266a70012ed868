"""How those of Chainer's links are constructed that PyTorch has no layer for: classes of `written_*` stand for them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer.links as L
from chainer import link_hooks

from ganspec.tools.porting.translating import functions
from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.link_rules import Rule, bias_of, inputs_of, required, shape_of, sized
from ganspec.tools.porting.translating.templates import call, constant


def _given(a: Arguments, name: str, links: list[Any], parameter: str, axis: int) -> ast.expr:
    """Returns: an input size; as it came out, where None was given."""
    if a.value(name) is not None:
        return a[name]
    a[name]
    return required(inputs_of(links, shape_of(parameter, axis)))


def composed(name: str, *parameters: str, size: tuple[str, str, int] | None = None, bias: bool = False) -> Rule:
    """The rule of a class of `written_*`.

    Args:
        name: name of the class there.
        parameters: names of Chainer's parameters, in the order in which the class takes them; those that are given come by
            position up to the first that is left out, then by name.
        size: the parameter of an input size that may be None; and by which parameter of the link, and which of its axes,
        it is known.
        bias: whether `nobias` becomes `bias`.
    """

    def rule(a: Arguments, links: list[Any]) -> ast.expr:
        positional: list[ast.expr] = []
        keywords: dict[str, ast.expr] = {}
        for parameter in parameters:
            if size is not None and parameter == size[0]:
                value = _given(a, parameter, links, *size[1:])
            elif a.given(parameter) or parameter in a.nodes or a.default(parameter) is a.signature.empty:
                value = a[parameter]
            else:
                continue
            named = {"pad": "padding"}.get(parameter, parameter)
            if keywords or parameters.index(parameter) > len(positional):
                keywords[named] = value
            else:
                positional.append(value)
        if bias:
            bias_of(a, keywords)
        return call(name, *positional, **keywords)

    return rule


def _lstm(name: str) -> Rule:
    def rule(a: Arguments, links: list[Any]) -> ast.expr:
        given, out = sized(a, "in_size", "out_size")
        return call(name, required(given or inputs_of(links, shape_of("upward.W", 1))), out)

    return rule


def _swish(a: Arguments, links: list[Any]) -> ast.expr:
    if a.value("beta_shape") is not None:
        return call("_Swish", a["beta_shape"])
    shapes = {link.beta.shape for link in links if link.beta.array is not None}
    if len(shapes) != 1:
        raise Unfit("the shape of beta differs between instances", "give its shape")
    return call("_Swish", constant(shapes.pop()))


def _maxout(a: Arguments, links: list[Any]) -> ast.expr:
    keywords = {"bias": constant(False)} if a.value("initial_bias") is None else {}
    return call("_Maxout", _given(a, "in_size", links, "linear.W", 1), a["out_size"], a["pool_size"], **keywords)


def _mlp_convolution(a: Arguments, links: list[Any]) -> ast.expr:
    given, out, ksize = a["in_channels"], a["out_channels"], a["ksize"]
    if a.value("ksize") is None:
        given, out, ksize = constant(None), given, out
    if isinstance(given, ast.Constant) and given.value is None:
        given = required(inputs_of(links, lambda link: shape_of("W", 1)(link[0])))
    keywords = {
        n: a[o] for n, o in (("stride", "stride"), ("padding", "pad"), ("activation", "activation")) if a.given(o)
    }
    return call("_MLPConvolution2D", given, out, ksize, **keywords)


def _classifier(a: Arguments, links: list[Any]) -> ast.expr:
    def function(name: str) -> ast.expr:
        return a[name] if name in a.nodes else functions.value(a.writer, a.default(name), a.node)

    further = {"label_key": a["label_key"]} if a.given("label_key") else {}
    return call("_Classifier", a["predictor"], function("lossfun"), function("accfun"), **further)


def _parameter(a: Arguments, links: list[Any]) -> ast.expr:
    return call("_ParameterLink", a["array"])


def spectral(a: Arguments) -> ast.expr:
    """Translate SpectralNormalization(...)."""
    if a.value("weight_name") != "W":
        raise Unfit("spectral normalization of another array than W is not ported", "write it out in the class")
    given = {n: a[n] for n in ("n_power_iteration", "eps", "use_gamma", "factor") if a.given(n)}
    return call("_SpectralNormalization", **given)


def standardized(a: Arguments) -> ast.expr:
    """Translate WeightStandardization(...)."""
    if a.value("weight_name") != "W":
        raise Unfit("weight standardization of another array than W is not ported", "write it out in the class")
    return call("_WeightStandardization", **({"eps": a["eps"]} if a.given("eps") else {}))


_IN = ("in_size", "W.W", 1)
_STEPS = ("n_layers", "in_size", "out_size", "dropout")
COMPOSED: dict[type, Rule] = {
    L.Bias: composed("_Bias", "axis", "shape"), L.Scale: composed("_Scale", "axis", "W_shape", "bias_term", "bias_shape"),
    L.Swish: _swish, L.Maxout: _maxout,
    L.Highway: composed("_Highway", "in_out_size", "activate", bias=True),
    L.Bilinear: composed("_BilinearLink", "left_size", "right_size", "out_size", bias=True),
    L.DepthwiseConvolution2D: composed("_DepthwiseConvolution2D", "in_channels", "channel_multiplier", "ksize", "stride", "pad",
    size=("in_channels", "W", 1), bias=True),
    L.LocalConvolution2D: composed("_LocalConvolution2D", "in_channels", "out_channels", "in_size", "ksize", "stride", bias=True),
    L.MLPConvolution2D: _mlp_convolution, L.Classifier: _classifier, L.Parameter: _parameter,
    L.Inception: composed("_Inception", "in_channels", "out1", "proj3", "out3", "proj5", "out5", "proj_pool",
    size=("in_channels", "conv1.W", 1)),
    L.InceptionBN: composed("_InceptionBN", "in_channels", "out1", "proj3", "out3", "proj33", "out33", "pooltype", "proj_pool",
    "stride", size=("in_channels", "proj3.W", 1)),
    L.LSTM: _lstm("_LSTM"), L.StatelessLSTM: _lstm("_StatelessLSTM"),
    L.StatefulPeepholeLSTM: composed("_StatefulPeepholeLSTM", "in_size", "out_size", size=("in_size", "upward.W", 1)),
    L.StatefulZoneoutLSTM: composed("_StatefulZoneoutLSTM", "in_size", "out_size", "c_ratio", "h_ratio",
    size=("in_size", "upward.W", 1)),
    L.StatelessGRU: composed("_StatelessGRU", "in_size", "out_size", size=_IN),
    L.StatefulGRU: composed("_StatefulGRU", "in_size", "out_size", size=_IN),
    L.GRU: composed("_StatefulGRU", "in_size", "out_size", size=_IN),
    L.StatelessMGU: composed("_StatelessMGU", "n_inputs", "n_units"),
    L.StatefulMGU: composed("_StatefulMGU", "in_size", "out_size"),
    L.ChildSumTreeLSTM: composed("_ChildSumTreeLSTM", "in_size", "out_size"),
    L.NaryTreeLSTM: composed("_NaryTreeLSTM", "in_size", "out_size", "n_ary"),
    **{cls: composed(f"_{cls.__name__}", *_STEPS) for cls in (L.NStepLSTM, L.NStepBiLSTM, L.NStepGRU, L.NStepBiGRU,
    L.NStepRNNTanh, L.NStepBiRNNTanh, L.NStepRNNReLU, L.NStepBiRNNReLU)},
}  # fmt: skip
HOOKS: dict[type, Callable[[Arguments], ast.expr]] = {
    link_hooks.SpectralNormalization: spectral, link_hooks.WeightStandardization: standardized,
}  # fmt: skip
