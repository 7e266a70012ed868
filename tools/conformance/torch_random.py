"""PyTorch's random operators, answered with given numbers.

A dispatch mode sees every operator that a program runs, also inside compiled code, for it declares itself part of the
infrastructure: `torch.compile` stays in force. Each operator that PyTorch marks as drawing (`Tag.nondeterministic_seeded`) is
turned into a `Request`; one that is not known here is an error that names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ganspec.tools.conformance.draws import Request
from ganspec.tools.conformance.errors import ConformanceError, calling_line

Answer = Callable[[Request], np.ndarray]


class Replay(TorchDispatchMode):
    """Answers what is drawn while it is in force.

    Args:
        answer: function that gives the numbers of a request.
        device: device on which the networks are; draws on the CPU may be moved there later.
        fail: function that makes the error of a message.
    """

    def __init__(self, answer: Answer, device: torch.device, fail: Callable[[str], ConformanceError]) -> None:
        super().__init__()
        self.answer, self.device, self.fail = answer, device, fail
        self._draws: dict[Any, bool] = {}  # whether an operator draws; to ask it is slow

    @classmethod
    def is_infra_mode(cls) -> bool:
        return True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        draws = self._draws.get(func)
        if draws is None:
            draws = self._draws[func] = torch.Tag.nondeterministic_seeded in func.tags
        if not draws:
            return func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        if name in _UNLESS_DROPOUT and not _given(func, args, kwargs).get("dropout_p"):
            return func(*args, **kwargs)
        given = _given(func, args, kwargs)
        text, line = _call(name, given), calling_line()
        if name not in _OPERATORS:
            known = "rand, randn, randint, uniform_, normal_, bernoulli_, exponential_, random_ and dropout are"
            raise self.fail(f"{line}: torch's operator {func} draws numbers that cannot be replayed; {known}")
        template = _template(name, given)
        if template.device.type not in ("cpu", self.device.type):
            raise self.fail(
                f"{line}: {text} draws on the device {template.device}, but the networks are on {self.device}"
            )
        return _OPERATORS[name](self, given, template, Request("", tuple(template.shape), 0.0, 1.0, text, line))

    def numbers(self, request: Request, family: str, a: float, b: float, like: torch.Tensor) -> torch.Tensor:
        """Returns: the answer to a request of a distribution, as a tensor like another."""
        asked = Request(family, request.shape, float(a), float(b), request.text, request.line)
        return torch.from_numpy(np.ascontiguousarray(self.answer(asked))).to(like.device, like.dtype)


def _given(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """Returns: an operator's arguments by name, defaults among them."""
    given = {
        argument.name: argument.default_value for argument in func._schema.arguments if argument.has_default_value()
    }
    given |= dict(zip((a.name for a in func._schema.arguments), args, strict=False))
    return given | kwargs


def _template(name: str, given: dict[str, Any]) -> torch.Tensor:
    """Returns: a tensor of the shape, dtype and device that an operator gives; its values mean nothing."""
    if given.get("out") is not None:
        return given["out"]  # type: ignore[no-any-return]
    for key in ("self", "input", "mean", "std"):
        if isinstance(given.get(key), torch.Tensor):
            like = given[key]
            if name.endswith("_like"):
                return torch.empty_like(like, dtype=given.get("dtype"), device=given.get("device"))
            return like  # type: ignore[no-any-return]
    shape = [given["n"]] if "n" in given else given["size"]
    dtype = given.get("dtype")
    if not isinstance(dtype, torch.dtype):  # a schema writes its default as a number
        dtype = torch.int64 if name in ("randint", "randperm") else torch.get_default_dtype()
    return torch.empty(shape, dtype=dtype, device=given.get("device") or "cpu")


def _call(name: str, given: dict[str, Any]) -> str:
    """Returns: the call as people know it: "torch.rand([300, 100])"."""
    tensor = given.get("self", given.get("input"))
    shape = given.get("size", list(tensor.shape) if isinstance(tensor, torch.Tensor) else None)
    said = [str(list(shape))] if shape is not None else [str(given["n"])] if "n" in given else []
    for key in ("low", "from", "to", "high", "mean", "std", "p"):
        if isinstance(given.get(key), (int, float)):
            said.append(f"{key}={given[key]:g}")
    return f"torch.{name}({', '.join(said)})"


def _fill(given: dict[str, Any], template: torch.Tensor, values: torch.Tensor, *, in_place: bool) -> torch.Tensor:
    if in_place or given.get("out") is not None:
        return template.copy_(values)
    return values


def _uniform(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    return _fill(given, like, mode.numbers(request, "uniform", 0.0, 1.0, like), in_place=False)


def _uniform_(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    return _fill(given, like, mode.numbers(request, "uniform", given["from"], given["to"], like), in_place=True)


def _normal(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    return _fill(given, like, mode.numbers(request, "normal", 0.0, 1.0, like), in_place=False)


def _normal_of(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    mean, std = given.get("mean", 0.0), given.get("std", 1.0)
    if isinstance(mean, torch.Tensor) or isinstance(std, torch.Tensor):
        values = mode.numbers(request, "normal", 0.0, 1.0, like) * std + mean
    else:
        values = mode.numbers(request, "normal", mean, std, like)
    return _fill(given, like, values, in_place=False)


def _normal_(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    return _fill(given, like, mode.numbers(request, "normal", given["mean"], given["std"], like), in_place=True)


def _exponential_(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    return _fill(given, like, mode.numbers(request, "exponential", 1.0 / given["lambd"], 0.0, like), in_place=True)


def _bernoulli_(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    return _fill(
        given, like, mode.numbers(request, "bernoulli", _probability(given, request, mode), 0.0, like), in_place=True
    )


def _bernoulli(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    return _fill(
        given, like, mode.numbers(request, "bernoulli", _probability(given, request, mode), 0.0, like), in_place=False
    )


def _probability(given: dict[str, Any], request: Request, mode: Replay) -> float:
    p = given.get("p", given["self"])
    if not isinstance(p, torch.Tensor):
        return float(p)
    if p.numel() == 0 or bool((p != p.flatten()[0]).any()):
        raise mode.fail(f"{request}\n    draws with probabilities that differ; the spec's dropout has one rate")
    return float(p.flatten()[0])


def _randint(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    low, high = given.get("low", 0), given["high"]
    if low == _LEAST:  # the seeds from which PyTorch's own compiler lets kernels draw
        mend = (
            "set torch._inductor.config.fallback_random = True before the first call, or compile with backend='eager'"
        )
        raise mode.fail(f"compiled code draws random numbers inside of its kernels, where they cannot be given; {mend}")
    return _fill(given, like, mode.numbers(request, "label", low, high, like), in_place=False)


def _random_(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    low, high = given.get("from", 0), given.get("to")
    return _fill(
        given, like, mode.numbers(request, "label", low, math.inf if high is None else high, like), in_place=True
    )


def _native_dropout(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> Any:
    if given["train"] is False:
        return like.clone(), torch.ones_like(like, dtype=torch.bool)
    keep = 1.0 - given["p"]
    kept = mode.numbers(request, "bernoulli", keep, 0.0, like)
    return like * kept * (1.0 / keep if keep else 0.0), kept.bool()


def _randperm(mode: Replay, given: dict[str, Any], like: torch.Tensor, request: Request) -> torch.Tensor:
    return _fill(given, like, mode.numbers(request, "permutation", 0.0, given["n"], like), in_place=False)


_LEAST = -(2**63)  # the least int64
_OPERATORS: dict[str, Callable[..., Any]] = {
    "rand": _uniform,
    "rand_like": _uniform,
    "uniform": _uniform,
    "uniform_": _uniform_,
    "randn": _normal,
    "randn_like": _normal,
    "normal": _normal_of,
    "normal_functional": _normal_of,
    "normal_": _normal_,
    "exponential_": _exponential_,
    "bernoulli": _bernoulli,
    "bernoulli_": _bernoulli_,
    "randint": _randint,
    "randint_like": _randint,
    "random_": _random_,
    "native_dropout": _native_dropout,
    "randperm": _randperm,
}
# Attention carries the tag although it draws only where it has a dropout.
_UNLESS_DROPOUT = (
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention", "scaled_dot_product_attention",
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_cudnn_attention",
)  # fmt: skip
