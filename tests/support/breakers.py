"""Wrong operations, layers and draws, put into a backend by the tests that must see them rejected.

A breaker is called with pytest's monkeypatch and the name of a backend, and changes code for the rest of the test. Others stand
in `breakers_training`.
"""

import dataclasses
import importlib

from ganspec.spec.training.streams import Streams


def module(backend, name):
    return importlib.import_module(f"ganspec.impl_{backend}.{name}")


def square_sum(a, axis):
    squares = (
        (a * a).sum(axis) if hasattr(a, "detach") else importlib.import_module("chainer.functions").sum(a * a, axis)
    )
    return squares**0.5


def replace_operation(op, wrong):
    """Returns: a breaker that gives a formula's operation another meaning."""

    def breaker(patch, backend):
        trainer = module(backend, "trainer")
        right = trainer.evaluate_operation

        def evaluate(node, a, create_graph):
            return wrong(right, node, a, create_graph) if node.op == op else right(node, a, create_graph)

        patch.setattr(trainer, "evaluate_operation", evaluate)

    return breaker


def replace_layer(kind, wrong):
    """Returns: a breaker that gives a kind of layer another meaning."""

    def breaker(patch, backend):
        layers = module(backend, "layers").LAYERS
        right = layers[kind]
        patch.setitem(layers, kind, lambda layer, *rest: wrong(right, layer, *rest))

    return breaker


def with_settings(right, layer, rest, **changed):
    return right(dataclasses.replace(layer, settings={**layer.settings, **changed}), *rest)


def replace_draw(name, wrong):
    def breaker(patch, backend):
        right = Streams.sample

        def sample(self, distribution, stream, position, shape):
            if stream == name:
                return wrong(self, distribution, stream, position, shape, right)
            return right(self, distribution, stream, position, shape)

        patch.setattr(Streams, "sample", sample)

    return breaker


def wrong_norm(shape_of_norm):
    return replace_operation("norm", lambda right, node, a, create_graph: shape_of_norm(a[0]))


def total(a):
    return a.sum() if hasattr(a, "detach") else importlib.import_module("chainer.functions").sum(a)


def memory(statistic):
    """Returns: the array behind a running statistic, without PyTorch's watch over in-place changes."""
    return statistic.array if hasattr(statistic, "array") else statistic.data


def one_norm_for_the_batch(a):
    flat = a.reshape(1, -1)
    return square_sum(flat, 1)


def norm_over_rows(a):
    return square_sum(square_sum(a, 1), 1)[:, 0] if a.ndim == 4 else square_sum(a, 1)


def no_graph(right, node, a, create_graph):
    return right(node, a, False)


def biased_variance(right, layer, x, parameters, statistics, mode):
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


def forgotten_statistics(right, layer, x, parameters, statistics, mode):
    """The statistics of an evaluation without a graph are thrown away."""
    raw = memory(statistics["mean"])
    before = raw * 1.0
    result = right(layer, x, parameters, statistics, mode)
    raw[...] = before
    return result


def flipped_mode(right, layer, x, parameters, statistics, mode):
    return right(layer, x, parameters, statistics, dataclasses.replace(mode, training=not mode.training))


def unscaled_dropout(right, layer, x, parameters, statistics, mode):
    return right(layer, x, parameters, statistics, mode) * (1.0 - layer.settings["rate"])


def softmax(a):
    if hasattr(a, "detach"):
        return a.softmax(dim=1)
    return importlib.import_module("chainer.functions").softmax(a, axis=1)


def join(a, b):
    """Concatenation along channels."""
    if hasattr(a, "detach"):
        return importlib.import_module("torch").cat([a, b], dim=1)
    return importlib.import_module("chainer.functions").concat([a, b], axis=1)


def set_layer(kind, **settings):
    """Returns: a breaker that evaluates a kind of layer as if its settings were others."""
    return replace_layer(kind, lambda right, layer, *rest: with_settings(right, layer, rest, **settings))


def another_kind(kind, instead):
    def breaker(patch, backend):
        layers = module(backend, "layers").LAYERS
        patch.setitem(layers, kind, layers[instead])

    return breaker


def cover_all(patch, backend):
    """Max pooling with windows that do not fit whole: Chainer's default, PyTorch's ceil_mode."""
    layers = module(backend, "layers")

    def torch_pool(layer, x, *rest):
        return layers.F.max_pool2d(x[0], layer.settings["kernel"], layer.settings["stride"], ceil_mode=True)

    def chainer_pool(layer, x, *rest):
        return layers.F.max_pooling_2d(x[0], layer.settings["kernel"], layer.settings["stride"], cover_all=True)

    patch.setitem(layers.LAYERS, "max_pool", torch_pool if backend == "torch" else chainer_pool)


def symmetric_padding(right, layer, *rest):
    sides = layer.settings["padding"]
    return with_settings(right, layer, rest, padding=(max(sides),) * 4) if len(set(sides)) > 1 else right(layer, *rest)


def unbiased_deviation(right, layer, x, *rest):
    n = x[0].shape[0]
    return join(x[0], right(layer, [x[0] * (n / (n - 1)) ** 0.5], *rest)[:, -1:])


def shared_embedding(patch, backend):
    first = []

    def wrong(right, layer, x, parameters, *rest):
        first.append(parameters)
        return right(layer, x, first[0], *rest)

    replace_layer("embedding", wrong)(patch, backend)


def reversed_fade(right, layer, x, parameters, statistics, mode):
    return right(layer, x, parameters, statistics, dataclasses.replace(mode, fade=1.0 - mode.fade))


def spectral_vector(moves):
    """Returns: a breaker that moves the vector of spectral norm `moves` times in each evaluation, where once is right."""

    def breaker(patch, backend):
        layers = module(backend, "layers")
        right = layers.largest_singular_value

        def wrong(w, kept, settings, mode):
            before = memory(kept) * 1.0
            result = right(w, kept, settings, mode)
            if moves == 0:
                memory(kept)[...] = before
            for _ in range(moves - 1):
                right(w, kept, settings, mode)
            return result

        patch.setattr(layers, "largest_singular_value", wrong)

    return breaker


def other_vector(patch, backend):
    """Spectral norm's first vector from a uniform distribution."""
    right = Streams.sample

    def sample(self, distribution, name, position, shape):
        return (
            self.uniform(name, position, shape)
            if name.endswith("/u")
            else right(self, distribution, name, position, shape)
        )

    patch.setattr(Streams, "sample", sample)
