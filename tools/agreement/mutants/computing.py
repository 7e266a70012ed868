"""Wrong operations, layers and draws: makers of breakers, and what they put in place of what is right.

A breaker takes a `Patch` and the name of a backend, and changes that backend's code until the patch is undone.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ganspec.spec.training.streams import Streams
from ganspec.tools.agreement.mutants.patches import Patch, patched

Breaker = Callable[[Patch, str], None]
Wrong = Callable[..., Any]


def module(backend: str, name: str) -> ModuleType:
    """Returns: a module of a backend."""
    return importlib.import_module(f"ganspec.impl_{backend}.{name}")


def framework(a: Any) -> Any:
    """Returns: the functions of the framework whose array this is."""
    return importlib.import_module("torch" if hasattr(a, "detach") else "chainer.functions")


def memory(statistic: Any) -> Any:
    """Returns: the array behind a running statistic, without PyTorch's watch over in-place changes."""
    return statistic.array if hasattr(statistic, "array") else statistic.data


def replace_operation(op: str, wrong: Wrong) -> Breaker:
    """Give a formula's operation another meaning: `wrong(right, node, operands, create_graph)`."""

    def breaker(patch: Patch, backend: str) -> None:
        evaluation = module(backend, "evaluation")
        right = evaluation.evaluate_operation

        def evaluate(node: Any, a: list[Any], create_graph: bool) -> Any:
            if node.op != op:
                return right(node, a, create_graph)
            patch.reach()
            return wrong(right, node, a, create_graph)

        patch.setattr(evaluation, "evaluate_operation", evaluate)

    return breaker


def replace_layer(kind: str, wrong: Wrong) -> Breaker:
    """Give a kind of layer another meaning: `wrong(right, layer, inputs, parameters, statistics, mode)`."""

    def breaker(patch: Patch, backend: str) -> None:
        layers = module(backend, "layers").LAYERS
        right = layers[kind]

        def evaluate(layer: Any, *rest: Any) -> Any:
            patch.reach()
            return wrong(right, layer, *rest)

        patch.setitem(layers, kind, evaluate)

    return breaker


def set_layer(kind: str, **settings: Any) -> Breaker:
    """Evaluate a kind of layer as if its settings were others."""

    def wrong(right: Wrong, layer: Any, *rest: Any) -> Any:
        return right(dataclasses.replace(layer, settings={**layer.settings, **settings}), *rest)

    return replace_layer(kind, wrong)


def another_kind(kind: str, instead: str) -> Breaker:
    """Evaluate a kind of layer as another kind."""

    def breaker(patch: Patch, backend: str) -> None:
        right = module(backend, "layers").LAYERS[instead]
        replace_layer(kind, lambda _, layer, *rest: right(layer, *rest))(patch, backend)

    return breaker


# Operations.


def square_sum(a: Any, axis: int) -> Any:
    """Returns: the root of the sum of squares along an axis, whose gradient at 0 is NaN."""
    squares = (a * a).sum(axis) if hasattr(a, "detach") else framework(a).sum(a * a, axis)
    return squares**0.5


def wrong_norm(shape_of_norm: Callable[[Any], Any]) -> Breaker:
    """Give the norm of each sample another meaning, a function of the batch."""
    return replace_operation("norm", lambda right, node, a, create_graph: shape_of_norm(a[0]))


def one_norm_for_the_batch(a: Any) -> Any:
    return square_sum(a.reshape(1, -1), 1)


def norm_over_rows(a: Any) -> Any:
    return square_sum(square_sum(a, 1), 1)[:, 0] if a.ndim == 4 else square_sum(a, 1)


def sum_for_mean(right: Wrong, node: Any, a: list[Any], create_graph: bool) -> Any:
    return a[0].sum() if hasattr(a[0], "detach") else framework(a[0]).sum(a[0])


def no_graph(right: Wrong, node: Any, a: list[Any], create_graph: bool) -> Any:
    return right(node, a, False)


def softmax_first(right: Wrong, node: Any, a: list[Any], create_graph: bool) -> Any:
    softmax = a[0].softmax(dim=1) if hasattr(a[0], "detach") else framework(a[0]).softmax(a[0], axis=1)
    return right(node, [softmax, *a[1:]], create_graph)


# Layers.


def biased_variance(right: Wrong, layer: Any, x: Any, parameters: Any, statistics: Any, mode: Any) -> Any:
    """Running variance from the biased batch variance."""
    n = x[0].shape[0]
    raw = memory(statistics["variance"])
    before = raw * 1.0
    result = right(layer, x, parameters, statistics, mode)
    if mode.training:
        momentum = layer.settings["momentum"]
        moved = (raw - (1 - momentum) * before) * ((n - 1) / n)
        raw[...] = (1 - momentum) * before + moved
    return result


def forgotten_statistics(right: Wrong, layer: Any, x: Any, parameters: Any, statistics: Any, mode: Any) -> Any:
    """The running mean of an evaluation is thrown away."""
    raw = memory(statistics["mean"])
    before = raw * 1.0
    result = right(layer, x, parameters, statistics, mode)
    raw[...] = before
    return result


def flipped_mode(right: Wrong, layer: Any, x: Any, parameters: Any, statistics: Any, mode: Any) -> Any:
    return right(layer, x, parameters, statistics, dataclasses.replace(mode, training=not mode.training))


def unscaled_dropout(right: Wrong, layer: Any, x: Any, parameters: Any, statistics: Any, mode: Any) -> Any:
    return right(layer, x, parameters, statistics, mode) * (1.0 - layer.settings["rate"])


def symmetric_padding(right: Wrong, layer: Any, *rest: Any) -> Any:
    sides = layer.settings["padding"]
    if len(set(sides)) == 1:
        return right(layer, *rest)
    return right(dataclasses.replace(layer, settings={**layer.settings, "padding": (max(sides),) * 4}), *rest)


def unbiased_deviation(right: Wrong, layer: Any, x: Any, *rest: Any) -> Any:
    n = x[0].shape[0]
    spread = right(layer, [x[0] * (n / (n - 1)) ** 0.5], *rest)[:, -1:]
    if hasattr(x[0], "detach"):
        return framework(x[0]).cat([x[0], spread], dim=1)
    return framework(x[0]).concat([x[0], spread], axis=1)


def with_itself(right: Wrong, *rest: Any) -> Any:
    return right(*rest) + 1.0


def reversed_fade(right: Wrong, layer: Any, x: Any, parameters: Any, statistics: Any, mode: Any) -> Any:
    return right(layer, x, parameters, statistics, dataclasses.replace(mode, fade=mode.fade[::-1]))


def shared_embedding(patch: Patch, backend: str) -> None:
    """All embeddings have the weights of the first that is evaluated."""
    first: list[Any] = []

    def wrong(right: Wrong, layer: Any, x: Any, parameters: Any, *rest: Any) -> Any:
        first.append(parameters)
        return right(layer, x, first[0], *rest)

    replace_layer("embedding", wrong)(patch, backend)


def cover_all(patch: Patch, backend: str) -> None:
    """Max pooling with windows that do not fit whole: Chainer's default, PyTorch's ceil_mode."""
    layers = module(backend, "layers")

    def torch_pool(right: Wrong, layer: Any, x: Any, *rest: Any) -> Any:
        return layers.F.max_pool2d(x[0], layer.settings["kernel"], layer.settings["stride"], ceil_mode=True)

    def chainer_pool(right: Wrong, layer: Any, x: Any, *rest: Any) -> Any:
        return layers.F.max_pooling_2d(x[0], layer.settings["kernel"], layer.settings["stride"], cover_all=True)

    replace_layer("max_pool", torch_pool if backend == "torch" else chainer_pool)(patch, backend)


def spectral_vector(moves: int) -> Breaker:
    """Move the vector of spectral norm `moves` times in each evaluation, where once is right."""

    def breaker(patch: Patch, backend: str) -> None:
        layers = module(backend, "layers")
        right = layers.largest_singular_value

        def wrong(w: Any, kept: Any, settings: Any, mode: Any) -> Any:
            patch.reach()
            before = memory(kept) * 1.0
            result = right(w, kept, settings, mode)
            if moves == 0:
                memory(kept)[...] = before
            for _ in range(moves - 1):
                right(w, kept, settings, mode)
            return result

        patch.setattr(layers, "largest_singular_value", wrong)

    return breaker


# Draws and initial values.


def replace_draw(name: str, wrong: Wrong) -> Breaker:
    """Draw a symbol otherwise: `wrong(right, streams, distribution, stream, position, shape)`."""
    return _while_computing("compute", lambda stream: stream == name, wrong)


def replace_initial(ending: str, wrong: Wrong) -> Breaker:
    """Draw initial values otherwise whose stream's name has this ending, such as "/u"."""
    return _while_computing("__init__", lambda stream: stream.startswith("initial/") and stream.endswith(ending), wrong)


def _while_computing(method: str, is_meant: Callable[[str], bool], wrong: Wrong) -> Breaker:
    """Draw otherwise while one method of a backend's trainer runs: the streams belong to all witnesses."""

    def breaker(patch: Patch, backend: str) -> None:
        trainer, right = module(backend, "trainer").Trainer, Streams.sample
        inner = getattr(trainer, method)

        def sample(
            self: Streams, distribution: Any, stream: str, position: Any, shape: Any, rows: slice | None = None
        ) -> Any:
            if not is_meant(stream) or rows is not None:  # a part of a batch is drawn by one of several processes
                return right(self, distribution, stream, position, shape, rows)
            patch.reach()
            return wrong(right, self, distribution, stream, position, shape)

        def during(self: Any, *arguments: Any, **options: Any) -> Any:
            with patched() as inside:
                inside.setattr(Streams, "sample", sample)
                return inner(self, *arguments, **options)

        patch.setattr(trainer, method, during)

    return breaker
