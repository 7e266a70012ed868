"""The gradient of a loss with respect to what a layer gave is how the loss moves when a number is added to the layer's output."""

import importlib
from collections import Counter

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.plan import passes
from ganspec.tools import backends
from ganspec.tools.agreement import crosscheck_system, random_feed
from support import tiny_systems
from support.layer_systems import MIDDLES, write_system
from support.tiny_systems import NORMAL

STEP = 1e-5  # of a finite difference in float64: its error is about STEP^2 and 1e-16 / STEP
NEAR = 1e-6  # relative


def last_result(backend, system, steps=1, *, keep_layers=True):
    """Returns: what the last of some repeats of the first iteration computed."""
    trainer, feed = backends.make_trainer(backend, system, 0, dtype="float64", device="cpu"), random_feed(system, 0)
    for count, (step, repeat) in enumerate(trainer.repeats(), 1):
        result = trainer.compute(step, repeat, feed, keep_layers=keep_layers)
        if count == steps:
            break
        trainer.update(result)
    return result


def moved_loss(patch, backend, system, directions, by):
    """Returns: the loss of D when outputs of its layers are moved along directions, given by layer and number of evaluation."""
    layers, calls = importlib.import_module(f"ganspec.impl_{backend}.layers").LAYERS, Counter()
    rights = dict(layers)

    def moved(layer, *rest):
        value, key = rights[layer.kind](layer, *rest), (layer.name, calls[id(layer)])
        calls[id(layer)] += 1
        if layer not in system.networks["D"].layers or key not in directions:
            return value
        shift = by * directions[key]
        return value + (value.new_tensor(shift) if backend == "torch" else shift)

    with patch.context() as patched:
        for kind in rights:
            patched.setitem(layers, kind, moved)
        result = last_result(backend, system, keep_layers=False)
    return float(backends.load(backend).to_numpy(result.values[result.plan.losses["D"]]))


@pytest.mark.parametrize("kind", MIDDLES)
def test_the_gradient_is_that_of_finite_differences_also_through_a_penalty(kind, backend, tmp_path, monkeypatch):
    to_numpy = backends.load(backend).to_numpy
    monkeypatch.setattr(passes, "pays", lambda network, batch: False)  # each evaluation calls its layers by itself
    system = load_system(write_system(tmp_path, kind, size=4))
    result, random = last_result(backend, system), np.random.default_rng(1)
    (gradients,) = result.layer_gradients.values()
    assert [result.plan.nodes[i].value for i in gradients] == ["D", "D", "D"]
    directions, slopes = {}, []
    for i, there in gradients.items():
        for layer in system.networks["D"].layers:
            # No gradient flows on from a layer before the first weights. A penalty does not move with what the last layer gives.
            if layer.name in there or layer.parameters:
                direction = random.standard_normal((system.run.batch, *layer.shape))
                directions[layer.name, result.plan.occurrences[i]] = direction
                slopes.append(to_numpy(there[layer.name]) * direction if layer.name in there else 0.0 * direction)
    ends = [moved_loss(monkeypatch, backend, system, directions, by) for by in (STEP, -STEP)]
    error = abs(sum(s.sum() for s in slopes) - (ends[0] - ends[1]) / (2 * STEP))
    assert error <= NEAR * min(abs(s).sum() for s in slopes if s.any())


@pytest.mark.parametrize(
    "name", ["wgan_gp_mlp_mnist", "dcgan_cifar10", "cramer_cifar10", "dfm_cifar10", "wgan_gp_cifar10/resnet"]
)
def test_they_change_no_other_number_and_are_equal_in_both_backends(both_backends, name):
    system = load_system(name, reduced=True)
    steps = 1 + system.schedule.steps[0].repeat if "wgan" not in name else 1
    found = {}
    for backend in ("torch", "chainer"):
        to_numpy = backends.load(backend).to_numpy
        plain, result = (last_result(backend, system, steps, keep_layers=keep) for keep in (False, True))
        assert plain.layer_gradients == {}
        assert result.gradients.keys() == plain.gradients.keys() == result.layer_gradients.keys()
        for network, gradient in result.gradients.items():
            assert gradient.keys() == plain.gradients[network].keys()
            for path, array in gradient.items():
                assert np.array_equal(to_numpy(array), to_numpy(plain.gradients[network][path]))
        for one, other in zip(result.values, plain.values, strict=True):
            if not isinstance(one, dict):
                assert np.array_equal(to_numpy(one), to_numpy(other))
        found[backend] = {
            (network, i, layer): to_numpy(gradient)
            for network, nodes in result.layer_gradients.items()
            for i, layers in nodes.items()
            for layer, gradient in layers.items()
        }
        for (_, i, layer), gradient in found[backend].items():
            assert gradient.shape == result.layers[i][layer].shape
    assert found["torch"].keys() == found["chainer"].keys()
    whole = max(np.linalg.norm(a) for a in found["torch"].values())
    for key, gradient in found["torch"].items():
        assert np.linalg.norm(gradient - found["chainer"][key]) <= 1e-11 * max(
            np.linalg.norm(gradient), 1e-3 * whole
        ), key


def test_a_generator_without_a_graph_has_none(backend):
    system = load_system("gan_mlp_mnist", reduced=True)
    result = last_result(backend, system)
    networks = {result.plan.nodes[i].value for nodes in result.layer_gradients.values() for i in nodes}
    assert networks == {"D"}
    assert set(result.layer_gradients) == {"D"}


def test_what_is_made_of_an_evaluation_that_a_later_step_trains_has_no_gradient_before_that(both_backends, tmp_path):
    """E's step keeps G(z) with its graph for G's step; to D's step, in between, G(z) is a constant."""
    (tmp_path / "loss.toml").write_text(
        'title = "kept"\nsource = "none"\n[losses]\nE = "mean(E(x)) + mean(G(z))"\nD = "mean(D(G(z)))"\nG = "mean(D(G(z)))"\n'
    )
    flat = f'x = [1, 2, 2] | {{ kind = "flatten" }}, {{ kind = "linear", name = "l", units = 1, {NORMAL} }}'
    image = (
        f'z = [2] | {{ kind = "linear", name = "l", units = 4, {NORMAL} }}, {{ kind = "reshape", shape = [1, 2, 2] }}'
    )
    reuse = '[[steps]]\nupdate = ["{}"]\nreuse = ["G"]\n'
    steps = '[[steps]]\nupdate = ["E"]\n' + reuse.format("D") + reuse.format("G")
    system = tiny_systems.write_system(tmp_path, "loss.toml", {"G": image, "D": flat, "E": flat}, steps=steps)
    found = crosscheck_system(system, iterations=2)
    assert found.agrees, found.first
    for backend in ("torch", "chainer"):
        (layers,) = last_result(backend, system, 2).layer_gradients["D"].values()
        assert list(layers) == ["l"]
