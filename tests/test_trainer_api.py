"""The trainer as API: states are checked, draws can be given, results stay, inner values are seen; the same in both backends."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ganspec.spec import SpecError, load_system
from ganspec.spec.training.batches import BatchError
from ganspec.spec.training.draws import DrawError, RecordedDraws, StreamDraws
from ganspec.spec.training.runs import RunError
from ganspec.spec.training.state import StateError, initial_state
from ganspec.spec.training.streams import Position
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.programs import SMALL, here

NAME = "gan_mlp_mnist"


def trainer_of(backend, name=NAME, **options):
    return backends.make_trainer(backend, load_system(name, reduced=True), 0, dtype="float64", **options)


def altered(change):
    """Returns: the initial state after a change of its arrays, updates or rates."""
    state = initial_state(load_system(NAME, reduced=True), 0)
    change(state)
    return state


def put(name, values):
    return lambda state: state.arrays.__setitem__(name, values)


WRONG_STATES = {
    "a scalar for a weight": (
        put("parameters/D/l1/W", np.array(1.0)),
        "parameters/D/l1/W has the shape [], gan_mlp_mnist needs [7, 36]",
    ),
    "a misspelt name": (
        lambda state: state.arrays.__setitem__("parameters/D/l1/WW", state.arrays["parameters/D/l1/W"]),
        "gan_mlp_mnist has no array parameters/D/l1/WW; did you mean 'parameters/D/l1/W'?",
    ),
    "a missing array": (
        lambda state: state.arrays.pop("moments/G/v/l3/b"), "the state has no array moments/G/v/l3/b, which gan_mlp_mnist needs",
    ),
    "whole numbers": (
        put("parameters/D/l4/b", np.zeros(2, np.int64)), "parameters/D/l4/b has the dtype int64, expected float32 or float64",
    ),
    "a list": (put("parameters/D/l4/b", [0.0, 0.0]), "parameters/D/l4/b has the dtype object, expected float32 or float64"),
    "NaN": (put("parameters/D/l4/b", np.array([0.0, np.nan])), "parameters/D/l4/b has a value that is not finite"),
    "a network without a learning rate": (
        lambda state: state.learning_rates.pop("G"), "learning_rates are of ['D'], gan_mlp_mnist trains ['D', 'G']",
    ),
    "a negative count": (
        lambda state: state.updates.__setitem__("G", -1), "updates of G is -1, expected a whole number of at least 0",
    ),
    "a rate as text": (
        lambda state: state.learning_rates.__setitem__("G", "fast"),
        "learning_rates of G is 'fast', expected a number from 0 to 1e+15",
    ),
    "a rate beyond bounds": (
        lambda state: state.learning_rates.__setitem__("G", 1e300),
        "learning_rates of G is 1e+300, expected a number from 0 to 1e+15",
    ),
    "half an iteration": (
        lambda state: setattr(state, "iteration", 2.5), "the iteration is 2.5, expected a whole number of at least 0",
    ),
    "a negative square": (
        put("moments/D/v/l4/b", np.array([1.0, -1.0])), "moments/D/v/l4/b is an average of squares, and has a negative value",
    ),
    "a negative iteration": (
        lambda state: setattr(state, "iteration", -3), "the iteration is -3, expected a whole number of at least 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_STATES)
def test_a_wrong_state_is_refused_by_name_and_changes_nothing(case, backend):
    change, message = WRONG_STATES[case]
    trainer = trainer_of(backend)
    before = trainer.state()
    with pytest.raises(StateError, match=f"^{re.escape(message)}$"):
        trainer.load(altered(change))
    after = trainer.state()
    assert after.iteration == before.iteration
    assert all(np.array_equal(after.arrays[name], before.arrays[name]) for name in before.arrays)


def batch_of(**changes):
    rng = np.random.default_rng(0)
    batch = {"x": rng.random((4, 1, 6, 6)), "y": np.arange(4)} | changes
    return {name: values for name, values in batch.items() if values is not None}


WRONG_BATCHES = {
    "one image too few": (
        {"x": np.zeros((3, 1, 6, 6))},
        "'x' of the batch has the shape [3, 1, 6, 6], SYSTEM takes [4, 1, 6, 6]",
    ),
    "flat images": ({"x": np.zeros((4, 36))}, "'x' of the batch has the shape [4, 36], SYSTEM takes [4, 1, 6, 6]"),
    "bytes": ({"x": np.zeros((4, 1, 6, 6), np.uint8)}, "'x' of the batch has the dtype uint8, expected floating-point numbers"),
    "a list": ({"x": [[0.0]]}, "'x' of the batch is a list, expected a NumPy array"),
    "no labels": ({"y": None}, "the batch has no 'y', an array of shape [4]"),
    "one-hot labels": ({"y": np.eye(4)}, "'y' of the batch has the shape [4, 4], SYSTEM takes [4]"),
    "labels from 1": ({"y": np.full(4, 10)}, "'y' of the batch holds other values than labels, whole numbers below 10"),
    "labels as fractions": ({"y": np.zeros(4)}, "'y' of the batch holds other values than labels, whole numbers below 10"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_BATCHES)
def test_a_wrong_batch_is_refused(case, backend):
    changes, message = WRONG_BATCHES[case]
    settings = ["run.batch=4", "data.shape=[1, 6, 6]"]
    system = load_system("cwgan_gp_mlp_mnist", settings, reduced=True)
    trainer = backends.make_trainer(backend, system, 0)
    with pytest.raises(BatchError, match=f"^{re.escape(message.replace('SYSTEM', system.name))}$"):
        trainer.iterate(lambda: batch_of(**changes))
    trainer.iterate(batch_of)  # the right one is taken


def other_dtype(array):
    """Returns: an array of either backend in float32."""
    return array.float() if hasattr(array, "float") else type(array)(array.array.astype(np.float32))


@pytest.mark.parametrize("name", ["wgan_gp_mlp_mnist", "wgan_gp_cifar10"])
def test_an_update_moves_along_the_gradients_that_it_is_given(name, backend):
    """Adam's first step has the size of the learning rate for any gradient but 0."""
    trainer = trainer_of(backend, name)
    result = trainer.compute(0, 0, random_feed(trainer.system, 0))
    before = trainer.state().arrays
    path, right = next(iter(result.gradients["D"].items()))
    gradients = {n: {p: g * (n == "D" and p == path) for p, g in own.items()} for n, own in result.gradients.items()}
    without = {p: g for p, g in gradients["D"].items() if p != path}
    for wrong, said in (
        (gradients | {"D": without}, "there is none"),
        (gradients | {"D": gradients["D"] | {path: right[:1]}}, "found a "),
        (gradients | {"D": gradients["D"] | {path: np.zeros(right.shape)}}, "found a ndarray"),
        (gradients | {"D": gradients["D"] | {path: other_dtype(right)}}, "and dtype .*float64, found a .*float32"),
        (gradients | {"D": gradients["D"] | {"l9/W": right}}, "'l9/W' in 'D': there is no such parameter"),
        (gradients | {"E": gradients["D"]}, "which this step updates, found 'D'.*'E'"),
        ({}, "found none"),
    ):
        with pytest.raises(ValueError, match=said):
            trainer.update(replace(result, gradients=wrong))
    after = trainer.state().arrays
    assert all(np.array_equal(before[name], after[name]) for name in before)
    trainer.update(replace(result, gradients=gradients))
    after = trainer.state().arrays
    moved = {
        name for name in before if name.startswith("parameters/") and not np.array_equal(before[name], after[name])
    }
    assert moved == {f"parameters/D/{path}"}


@pytest.mark.parametrize("name", ["wgan_gp_mlp_mnist", "gan_mlp_mnist", "wgan_cifar10"])
def test_an_update_leaves_the_gradients_that_a_caller_holds(name, backend):
    trainer = trainer_of(backend, name)
    to_numpy = backends.load(backend).to_numpy
    held = []
    feed = random_feed(trainer.system, 0)
    for step, repeat in trainer.repeats():
        result = trainer.compute(step, repeat, feed)
        held += [(g, to_numpy(g).copy()) for gradient in result.gradients.values() for g in gradient.values()]
        trainer.update(result)
    assert sum(np.abs(copy).max() > 0 for _, copy in held) > len(held) / 2
    for gradient, copy in held:
        assert np.array_equal(to_numpy(gradient), copy)


def test_an_open_gate_survives_a_load(backend):
    trainer = trainer_of(backend, "cgan_mnist")  # both steps repeat until a report passes a value
    feed, places = random_feed(trainer.system, 0), []
    for place in trainer.repeats():
        trainer.update(trainer.compute(*place, feed))
        trainer.load(trainer.state())
        places.append(place)
    assert {step for step, _ in places} == {0, 1}


def test_iterate_shows_every_repeat_before_its_parameters_move(backend):
    trainer, other = trainer_of(backend, "wgan_gp_mlp_mnist"), trainer_of(backend, "wgan_gp_mlp_mnist")
    to_numpy, seen, weights = backends.load(backend).to_numpy, [], []

    def observe(result):
        seen.append(result)
        weights.append(trainer.state().arrays["parameters/D/l1/W"])

    recorded = trainer.iterate(random_feed(trainer.system, 0), observe)
    plain = other.iterate(random_feed(other.system, 0))
    repeats = trainer.system.schedule.steps[0].repeat
    assert [(r.step, r.repeat) for r in seen] == [*((0, i) for i in range(repeats)), (1, 0)]
    assert all(not np.array_equal(a, b) for a, b in pairwise(weights))
    assert {n: float(to_numpy(v)) for n, v in recorded.items()} == {n: float(to_numpy(v)) for n, v in plain.items()}
    last = seen[repeats - 1]
    assert float(to_numpy(last.values[last.plan.reports["loss_D"]])) == float(to_numpy(recorded["loss_D"]))


def test_defined_names_are_found_among_the_values(backend):
    trainer = trainer_of(backend, "wgan_gp_mlp_mnist")
    to_numpy, seen = backends.load(backend).to_numpy, []
    trainer.iterate(random_feed(trainer.system, 0), seen.append)
    result = seen[0]
    names = result.plan.named
    assert {"x_hat", "penalty"} <= set(names)
    draws = {n.value: to_numpy(v) for n, v in zip(result.plan.nodes, result.values, strict=True) if n.op == "draw"}
    fake = next(i for i, n in enumerate(result.plan.nodes) if n.op == "network" and n.value == "G")
    eps = draws["eps"].reshape(-1, 1, 1, 1)
    expected = eps * draws["x"] + (1 - eps) * to_numpy(result.values[fake])
    np.testing.assert_allclose(to_numpy(result.values[names["x_hat"]]), expected, rtol=1e-14, atol=1e-15)
    began = trainer_of(backend, "began_mnist").system.plan
    assert {"L(x)", "L(G(z))"} <= set(began.steps[0].named)


def test_what_every_layer_gave_can_be_had_and_is_the_same_in_both_backends():
    found = {}
    for backend in ("torch", "chainer"):
        trainer = trainer_of(backend, "cwgan_gp_mlp_mnist")
        to_numpy, seen = backends.load(backend).to_numpy, []
        trainer.iterate(random_feed(trainer.system, 0), seen.append, keep_layers=True)
        result = seen[0]
        for i, layers in result.layers.items():
            node = result.plan.nodes[i]
            architecture = trainer.system.networks[node.value]
            assert list(layers) == [layer.name for layer in architecture.layers]
            last = layers[next(iter(architecture.outputs.values()))]
            assert np.array_equal(to_numpy(last), to_numpy(result.values[i]))
        found[backend] = {(i, n): to_numpy(a) for i, layers in result.layers.items() for n, a in layers.items()}
        trainer.iterate(random_feed(trainer.system, 0), seen.append)
        assert not seen[-1].layers, "nobody asked"
    assert found["torch"].keys() == found["chainer"].keys()
    for key, values in found["torch"].items():
        np.testing.assert_allclose(found["chainer"][key], values, rtol=1e-12, atol=1e-13, err_msg=str(key))


class Recorder:
    """A source of draws that writes down what it gives."""

    def __init__(self, source):
        self.source, self.symbols, self.masks = source, {}, {}

    def symbol(self, name, symbol, at, batch):
        self.symbols[name, at] = self.source.symbol(name, symbol, at, batch)
        return self.symbols[name, at]

    def mask(self, network, layer, at, shape):
        self.masks[network, layer.name, at] = self.source.mask(network, layer, at, shape)
        return self.masks[network, layer.name, at]


def test_recorded_draws_are_replayed_in_either_backend():
    system = load_system("cwgan_gp_mlp_mnist", reduced=True)
    recorder = Recorder(StreamDraws(system, 7))
    ends = []
    for backend, draws in (("torch", recorder), ("torch", None), ("chainer", None)):
        source = draws or RecordedDraws(recorder.symbols, recorder.masks)
        trainer = backends.make_trainer(backend, system, 0, dtype="float64", draws=source)  # seed 0: parameters alone
        feed = random_feed(system, 0)
        for _ in range(2):
            trainer.iterate(feed)
        ends.append(trainer.state().arrays)
    assert {name for name, _ in recorder.symbols} == {"z", "eps", "c"} & set(system.draws) | {"z", "eps"}
    assert {network for network, _, _ in recorder.masks} == {"D"}
    for name, values in ends[0].items():
        assert np.array_equal(ends[1][name], values), name
        np.testing.assert_allclose(ends[2][name], values, rtol=1e-9, atol=1e-11, err_msg=name)


def test_draws_that_are_missing_or_do_not_fit_are_named(backend):
    system = load_system("wgan_gp_mlp_mnist", reduced=True)
    recorder = Recorder(StreamDraws(system, 7))
    backends.make_trainer(backend, system, 0, draws=recorder).iterate(random_feed(system, 0))
    second, third = Position(0, 0, 1), Position(0, 0, 2)

    def message(symbols, masks):
        trainer = backends.make_trainer(backend, system, 0, draws=RecordedDraws(symbols, masks))
        with pytest.raises(DrawError) as error:
            trainer.iterate(random_feed(system, 0))
        return str(error.value)

    without = {key: values for key, values in recorder.symbols.items() if key != ("z", second)}
    assert message(without, recorder.masks) == "no draw of z is recorded at Position(iteration=0, step=0, repeat=1)"
    short = recorder.symbols | {("eps", third): recorder.symbols["eps", third][:-1]}
    batch = system.run.batch
    expected = (
        f"the draw of eps at Position(iteration=0, step=0, repeat=2) has the shape [{batch - 1}], expected [{batch}]"
    )
    assert message(short, recorder.masks) == expected
    (network, layer, at), values = next(iter(recorder.masks.items()))
    unmasked = {key: values for key, values in recorder.masks.items() if key != (network, layer, at)}
    assert message(recorder.symbols, unmasked).startswith(
        f"no mask of {network}'s layer {layer} is recorded at Position("
    )
    turned = recorder.masks | {(network, layer, at): values.T}
    assert f"has the shape [{values.shape[1]}, {values.shape[0]}], expected" in message(recorder.symbols, turned)
    otherwise = RecordedDraws(without, {}, otherwise=StreamDraws(system, 7))
    backends.make_trainer(backend, system, 0, draws=otherwise).iterate(random_feed(system, 0))


def test_a_module_or_chain_is_made_with_settings(backend):
    house = backends.load(backend)
    network = house.Network.from_system("wgan_gp_mlp_mnist", "D", settings=["networks.D.width=5"])
    assert network.architecture.constants["width"] == 5
    with pytest.raises(SpecError, match=r"has no network 'H': expected one of D, G"):
        house.Network.from_system("wgan_gp_mlp_mnist", "H")


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("trained_by", ["torch", "chainer"])
def test_a_module_or_chain_is_made_from_a_run_of_either_backend(trained_by, backend, images, tmp_path):
    out = tmp_path / "run"
    averaged = ["--set", "averages.G=0.5", "--set", "run.checkpoint_every=2"]
    command = ["train", "wgan_gp_mlp_mnist", *SMALL, *averaged, "--data", images, "--out", out, "--iterations", 5]
    assert here(*command, "--backend", trained_by) == 0
    house = backends.load(backend)
    from ganspec.spec.training.runs import read_run

    newest, earlier = read_run(out), read_run(out, 4)
    assert (newest.state.iteration, earlier.state.iteration) == (5, 4)
    z = np.random.default_rng(0).uniform(-1, 1, (3, 3)).astype(np.float32)
    trainer = backends.make_trainer(backend, newest.system, 0, newest.state)
    context = house.ArrayContext("cpu", "float32")

    def output(network):
        if backend == "torch":
            return house.to_numpy(network.eval()(context.array(z)))
        import chainer

        with chainer.using_config("train", False):
            return house.to_numpy(network(z))

    average = output(house.Network.from_run(out, "G"))
    np.testing.assert_allclose(average, trainer.generate(z), rtol=1e-6, atol=1e-7)
    plain = output(house.Network.from_run(str(out), "G", averaged=False))
    assert np.abs(plain - average).max() > 1e-6
    assert np.abs(output(house.Network.from_run(out, "G", 4)) - average).max() > 1e-6
    with pytest.raises(RunError, match=r"has no checkpoint of iteration 3, only of "):
        house.Network.from_run(out, "G", 3)
    with pytest.raises(RunError, match=r"is not the folder of a run"):
        house.Network.from_run(tmp_path, "G")


def test_a_state_of_one_dtype_is_taken_by_a_trainer_of_another(backend):
    system = load_system(NAME, reduced=True)
    state = initial_state(system, 3)
    single = replace(state, arrays={name: a.astype(np.float32) for name, a in state.arrays.items()})
    for dtype in ("float32", "float64"):
        trainer = backends.make_trainer(backend, system, 0, single, dtype=dtype)
        assert {a.dtype for a in trainer.state().arrays.values()} == {np.dtype(dtype)}


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (24, 6, 6), dtype=np.uint8))
    return path


WRONG_OPTIONS = {
    "dtype": ("float16", "dtype is 'float16', expected one of 'float32', 'float64'"),
    "device": ("tpu", "device is 'tpu', expected one of 'cpu', 'cuda', 'cuda:N', where N counts from 0"),
    "draws": ("gpu", "draws is 'gpu', expected one of 'host', 'device'"),
    "seed": (-1, "seed is -1, expected a whole number from 0 to 2^63 - 1"),
}


@pytest.mark.parametrize("option", WRONG_OPTIONS)
def test_a_wrong_option_is_refused_alike_in_both_backends(option, backend):
    value, message = WRONG_OPTIONS[option]
    options = {"seed": 0} | {option: value}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        backends.load(backend).Trainer(load_system(NAME, reduced=True), **options)


def test_a_value_that_a_dtype_cannot_hold_is_refused(backend):
    state = altered(put("parameters/D/l4/b", np.array([0.0, 1e200])))
    system = load_system(NAME, reduced=True)
    backends.make_trainer(backend, system, 0, state, dtype="float64")
    with pytest.raises(StateError, match=r"^parameters/D/l4/b has a value that is too large for float32$"):
        backends.make_trainer(backend, system, 0, state, dtype="float32")


def test_views_and_foreign_byte_orders_are_values_like_others(backend):
    system = load_system("cwgan_gp_mlp_mnist", reduced=True)
    plain, odd = (backends.make_trainer(backend, system, 0, dtype="float64") for _ in range(2))
    feed, again = random_feed(system, 0), random_feed(system, 0)

    def other_feed():
        batch = again()
        x = batch["x"].astype(">f8")[..., ::-1]
        return {"x": x[..., ::-1], "y": batch["y"][::-1][::-1].astype(">i8")}

    plain.iterate(feed)
    odd.iterate(other_feed)
    state = odd.state()
    for name, array in state.arrays.items():
        assert np.array_equal(plain.state().arrays[name], array)
        state.arrays[name] = array.astype(">f8")[::-1][::-1] if array.ndim else array
        state.arrays[name].flags.writeable = False
    plain.load(state)
    z, y = np.zeros((3, *system.symbols["z"].shape)), np.arange(3)
    assert np.array_equal(plain.generate(z[::-1], y[::-1].astype(">i4")), odd.generate(z, y[::-1].copy()))


WRONG_INPUTS = {
    "none": ([], "the network takes 2 inputs (z, y), found 0"),
    "another shape": ([np.zeros((2, 3)), np.arange(2)], "the input z has the shape [2, 3], expected [N, 5]"),
    "a label beyond": ([np.zeros((1, 5)), np.array([10])], "the input y holds other values than labels, whole numbers below 10"),
    "a negative label": (
        [np.zeros((1, 5)), np.array([-1])], "the input y holds other values than labels, whole numbers below 10",
    ),
    "unequal counts": ([np.zeros((2, 5)), np.arange(3)], "the inputs have different counts of samples: 2, 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_INPUTS)
def test_wrong_inputs_of_the_generator_are_refused(case, backend):
    inputs, message = WRONG_INPUTS[case]
    trainer = trainer_of(backend, "cwgan_gp_mlp_mnist")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        trainer.generate(*inputs)


@pytest.mark.parametrize(("step", "repeat"), [(-1, 0), (2, 0), (0, 5), (0, -1), (1, 1)])
def test_a_step_or_repeat_that_is_not_there_is_refused(step, repeat, backend):
    trainer = backends.make_trainer(
        backend, load_system("wgan_gp_mlp_mnist", ["schedule.critic_steps=5"], reduced=True), 0
    )
    with pytest.raises(ValueError, match=r"step is|repeat is"):
        trainer.compute(step, repeat, random_feed(trainer.system, 0))
