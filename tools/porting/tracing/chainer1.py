"""What calls meant in Chainer 1, where mode and volatility were arguments: `F.dropout(h, train=train)`, `self.bn(h, test=test)`.

Arguments that said initial values (`wscale`, `bias`) or how to compute (`use_cudnn`) are left out: a port carries the values.

Source: the upgrade guide of Chainer's documentation, "Chainer v2".
"""

from __future__ import annotations

import inspect
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer

OLD = ("test", "train", "volatile", "wscale", "bias", "use_cudnn", "deterministic")
_CHAINERS = ("chainer.functions", "chainer.links", "chainer.variable", "chainer._")


def call(function: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call a function; where it is Chainer's own, `test`, `train` and `volatile` take effect as they did in Chainer 1."""
    if not _of_chainer(function):
        return function(*arguments, **keywords)
    with (
        chainer.using_config("train", mode(keywords)),
        chainer.using_config("enable_backprop", not _volatile(keywords)),
    ):
        return function(*arguments, **{k: v for k, v in keywords.items() if k not in OLD or _takes(function, k)})


def _takes(function: Any, name: str) -> bool:
    """Returns: whether a function still has an argument of this name: `bias` of some, which is no initial value there."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def mode(keywords: dict[str, Any]) -> bool:
    """Returns: whether a call with these keywords is made in training mode."""
    if "train" in keywords:
        return bool(keywords["train"])
    return not keywords["test"] if "test" in keywords else bool(chainer.config.train)


def _volatile(keywords: dict[str, Any]) -> bool:
    return str(keywords.get("volatile", "auto")).lower() in ("on", "true") or not chainer.config.enable_backprop


def _of_chainer(function: Any) -> bool:
    owner = type(function) if isinstance(function, chainer.Link) else function
    if owner is chainer.Variable:
        return True
    return str(getattr(owner, "__module__", "")).startswith(_CHAINERS)
