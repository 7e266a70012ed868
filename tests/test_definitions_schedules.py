"""Every packaged schedule: who moves when, on which batch and which noise, how often."""

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.text.files import names
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.streams import Position
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support import formulas
from support.loss_systems import LOSSES
from support.tiny_systems import ADAM, drawn_values, write_system


def run(backend, system, iterations=1):
    """Returns: for each repeat of each step: who moved, which batch (counted as fed), which noise, and the result."""
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    draw, fed, noises, found = random_feed(system, 0), [], [], []

    def feed():
        batch = draw()
        fed.append(batch["x"].tobytes())
        return batch

    for _ in range(iterations):
        for step, repeat in trainer.repeats():
            before = trainer.state()
            result = trainer.compute(step, repeat, feed)
            drawn = drawn_values(backend, result)
            trainer.update(result)
            after = trainer.state()
            moved = [n for n in system.networks if changed(before, after, n)]
            batch = fed.index(drawn["x"].tobytes()) if "x" in drawn else None
            noise = None
            if "z" in drawn:
                if drawn["z"].tobytes() not in noises:
                    noises.append(drawn["z"].tobytes())
                noise = noises.index(drawn["z"].tobytes())
            found.append(("".join(sorted(moved)), batch, noise, before, drawn, result))
        trainer.iteration += 1
    return found, len(fed)


def changed(before, after, network):
    pairs = zip(before.of(f"parameters/{network}").values(), after.of(f"parameters/{network}").values(), strict=True)
    return any(not np.array_equal(a, b) for a, b in pairs)


# Who moves, on which batch and noise, over two iterations.
ORDERS = {
    "alternating": ("wgan", "", [("D", 0, 0), ("G", None, 1), ("D", 1, 2), ("G", None, 3)]),
    # The generator step takes the images that the discriminator step made: it draws nothing.
    "same_noise": ("two_class", "", [("D", 0, 0), ("G", None, None), ("D", 1, 1), ("G", None, None)]),
    "simultaneous": ("non_saturating", "", [("DG", 0, 0), ("DG", 1, 1)]),
    "critic_repeats": (
        "wgan_gp", ", critic_steps = 3",
        [("D", 0, 0), ("D", 0, 1), ("D", 0, 2), ("G", None, 3), ("D", 1, 4), ("D", 1, 5), ("D", 1, 6), ("G", None, 7)],
    ),
    "simultaneous_then_critic": (
        "wgan_gp", ", critic_steps = 3",
        [("DG", 0, 0), ("D", 1, 1), ("D", 2, 2), ("DG", 3, 3), ("D", 4, 4), ("D", 5, 5)],
    ),
    "generator_then_discriminator": (
        "non_saturating", ", discriminator_steps = 2",
        [("G", None, 0), ("D", 0, 1), ("D", 1, 2), ("G", None, 3), ("D", 2, 4), ("D", 3, 5)],
    ),
    "discriminator_then_generator": ("began", "", [("D", 0, 0), ("G", None, 1), ("D", 1, 2), ("G", None, 3)]),
    "classifier_generator_critic": (
        "ac_wgan_gp", "",
        # The critic draws no noise: it reads the fakes that the generator's step computed.
        [("C", 0, None), ("G", None, 0), ("D", 0, None), ("C", 1, None), ("G", None, 1), ("D", 1, None)],
    ),
    "simultaneous_with_denoiser": ("denoising_feature_matching", "", [("DGR", 0, 0), ("DGR", 1, 1)]),
    "critic_warmup": (
        "wgan", ", critic_steps = 1, warmup_critic_steps = 2, warmup = 1",
        [("D", 0, 0), ("D", 1, 1), ("G", None, 2), ("D", 2, 3), ("G", None, 4)],
    ),
    # Gates that are reached at once: one step each.
    "gated": (
        "cgan_probabilities", ", good_enough = 1000, too_good = -1000",
        [("D", 0, 0), ("G", 1, 1), ("D", 2, 2), ("G", 3, 3)],
    ),
}  # fmt: skip


def system_of(tmp_path, schedule, loss, numbers="", optimizers=ADAM):
    _, networks, options = LOSSES[loss]
    use = f'{{ use = "{schedule}"{numbers} }}'
    return write_system(tmp_path, loss, networks, schedule=use, batch=5, optimizers=optimizers, **options)


def test_every_packaged_schedule_is_tried():
    assert sorted(ORDERS) == sorted(names("schedules"))


@pytest.mark.parametrize("name", ORDERS)
def test_who_moves_on_which_batch_and_noise(name, backend, tmp_path):
    loss, numbers, expected = ORDERS[name]
    found, fed = run(backend, system_of(tmp_path, name, loss, numbers), iterations=2)
    assert [entry[:3] for entry in found] == expected
    assert fed == 1 + max(batch for _, batch, _ in expected if batch is not None)  # no batch is drawn and thrown away


def test_the_keras_began_predicts_fakes_for_its_discriminator_in_inference():
    plan = load_system("began_faces64", reduced=True).plan
    modes = [[(n.value, n.training) for n in step.nodes if n.op == "network"] for step in plan.steps]
    assert ("G", False) in modes[0]
    assert all(training for mode in modes for name, training in mode if name == "D")
    assert ("G", True) in modes[1]


def test_critics_of_the_wgan_paper_are_trained_100_times_for_25_iterations_and_in_every_500th():
    step = load_system("wgan_cifar10").schedule.steps[0]
    many = [i for i in range(1600) if step.repeats(i) == 100]
    assert many == [*range(25), 500, 1000, 1500]
    assert {step.repeats(i) for i in range(1600)} == {5, 100}


# By the systems' own numbers: how often each network moves in an iteration, and how many batches that takes.
COUNTS = {
    "gan_mlp_mnist": ({"D": 1, "G": 1}, 1),
    "wgan_gp_mlp_mnist": ({"D": 5, "G": 1}, 1),
    "cwgan_gp_mlp_mnist": ({"D": 5, "G": 1}, 1),
    "began_faces64": ({"D": 1, "G": 1}, 1),
    "ac_wgan_gp_cifar10": ({"C": 1, "G": 1, "D": 1}, 1),
    "dcgan_cifar10": ({"D": 1, "G": 1}, 1),
    "sndcgan_cifar10": ({"D": 1, "G": 1}, 1),
    "wgan_gp_cifar10": ({"D": 5, "G": 1}, 5),
    "dragan_cifar10": ({"D": 2, "G": 1}, 2),
    "cramer_cifar10": ({"D": 5, "G": 1}, 5),
    "began_cifar10": ({"D": 1, "G": 1}, 1),
    "dfm_cifar10": ({"D": 1, "G": 1, "R": 1}, 1),
    "minibatch_cifar10": ({"D": 1, "G": 1}, 1),
    "progressive_cifar10": ({"D": 1, "G": 1}, 1),
    "wgan_cifar10": ({"D": 7, "G": 1}, 7),
}


@pytest.mark.parametrize("name", COUNTS)
def test_the_systems_numbers_of_steps_and_batches(name, backend):
    system = load_system(name, reduced=True)
    updates, batches = COUNTS[name]
    trainer, draw, fed = backends.make_trainer(backend, system, 0, dtype="float64"), random_feed(system, 0), []
    trainer.iterate(lambda: fed.append(1) or draw())
    assert trainer.state().updates == updates
    assert len(fed) == batches


@pytest.mark.parametrize(("network", "key", "sign"), [("D", "good_enough", -1), ("G", "too_good", 1)])
def test_a_gate_ends_the_steps_by_the_loss_from_before_the_update(network, key, sign, backend, tmp_path):
    never = {"good_enough": -1000, "too_good": 1000}

    def steps(**gates):
        numbers = "".join(f", {k} = {v!r}" for k, v in (never | gates).items())
        rate = ADAM.replace("learning_rate = 0.01", "learning_rate = 0.2")
        found, _ = run(backend, system_of(tmp_path, "gated", "cgan_probabilities", numbers, rate))
        to_numpy = backends.load(backend).to_numpy
        return [float(to_numpy(m.values[m.plan.reports["L_D"]])) for moved, *_, m in found if moved == network]

    losses = steps()
    assert len(losses) == 5  # the gate stays closed: the most there are
    # The first loss that goes beyond all before it, and a gate between it and them.
    beyond = next(i for i in range(1, 5) if all(sign * losses[i] > sign * x for x in losses[:i]))
    limit = (losses[beyond] + sign * max(sign * x for x in losses[:beyond])) / 2
    assert len(steps(**{key: limit})) == beyond + 1
    assert len(steps(**{key: losses[0] - sign * 1e-9})) == 1  # a step is made before the first loss is known


def test_the_critic_of_the_classifiers_schedule_sees_fakes_from_before_the_generator_moved(backend, tmp_path):
    rate = ADAM.replace("learning_rate = 0.01", "learning_rate = 0.5")
    found, _ = run(backend, system_of(tmp_path, "classifier_generator_critic", "ac_wgan_gp", "", rate))
    (*_, drawn_2, _), (*_, before_3, drawn_3, result) = found[1], found[2]
    before_2 = found[1][3]
    drawn = {**drawn_2, **drawn_3}
    loss = float(backends.load(backend).to_numpy(result.values[result.plan.losses["D"]]))
    now = before_3.of("parameters")
    then = {**now, **{f"G/{path}": a for path, a in before_2.of("parameters/G").items()}}
    assert loss == pytest.approx(formulas.ac_wgan_gp(then, then, drawn)["D"], rel=1e-12)
    assert abs(loss - formulas.ac_wgan_gp(now, now, drawn)["D"]) > 0.01


def test_same_noise_evaluates_the_generator_once_for_both_updates(backend):
    """The source: G's running statistics move once in each iteration, and its gradient is that of the evaluation D saw."""
    system = load_system("gan_mlp_mnist", reduced=True)
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    feed, to_numpy, seen = random_feed(system, 0), backends.load(backend).to_numpy, []
    before = trainer.state()
    trainer.iterate(feed, seen.append, keep_layers=True)
    after = trainer.state()
    # What the first layers give, by their own parameters: a linear layer and a leaky ReLU, then the batch norm's input.
    z = StreamDraws(system, 0).symbol("z", system.symbols["z"], Position(), system.run.batch)
    own = before.of("parameters/G")
    h = z @ own["l1/W"].T + own["l1/b"]
    h = np.where(h > 0, h, 0.3 * h)
    assert after.arrays["statistics/G/bn1/mean"] == pytest.approx(0.1 * h.mean(axis=0), rel=1e-12)
    evaluated = [node.value for result in seen for node in result.plan.nodes if node.op == "network"]
    assert evaluated.count("G") == 1
    gradients = seen[1].gradients["G"]
    assert any(abs(to_numpy(gradient)).max() > 0 for gradient in gradients.values())
