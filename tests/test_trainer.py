"""Facts of training that formulas do not show: how long draws live, that looking changes nothing, odd but legal formulas."""

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.tools import backends
from ganspec.tools.agreement import WITNESSES, random_feed
from support.agreement import assert_witnesses_agree
from support.tiny_systems import GENERATOR, critic, drawn_values, write_system

OCCASIONAL = """[[steps]]
update = ["D"]
repeat = 0
repeat_override = { repeat = 1, first = 1, every = 4 }
[[steps]]
update = ["D", "G"]"""
SPECTRAL = 'spectral_norm = { iterations = 1, epsilon = 1e-12, advance = "always" }'


def run(backend, system, iterations, look=False):
    """Returns: the last recorded numbers."""
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    feed, to_numpy = random_feed(system, 0), backends.load(backend).to_numpy
    for _ in range(iterations):
        recorded = trainer.iterate(feed)
        if look:
            trainer.generate(np.ones((5, 2)))
    return {name: float(to_numpy(value)) for name, value in recorded.items()}


def test_a_draw_lives_no_longer_than_its_iteration_where_the_first_step_is_left_out(backend, tmp_path):
    system = write_system(tmp_path, "wgan", {"G": GENERATOR, "D": critic()}, steps=OCCASIONAL)
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    feed, seen = random_feed(system, 0), []
    for _ in range(6):
        for step, repeat in trainer.repeats():
            result = trainer.compute(step, repeat, feed)
            values = drawn_values(backend, result)
        seen.append((values["x"].tobytes(), values["z"].tobytes()))
        trainer.iteration += 1
    assert len({x for x, _ in seen}) == len({z for _, z in seen}) == 6


def test_looking_at_a_generator_with_spectral_norm_changes_nothing(backend, tmp_path):
    generator = GENERATOR.replace("units = 4,", f"units = 4, {SPECTRAL},")
    system = write_system(tmp_path, "wgan", {"G": generator, "D": critic()})
    assert run(backend, system, 3, look=True) == run(backend, system, 3)


def test_looking_twice_shows_the_same(backend, tmp_path):
    generator = GENERATOR.replace("units = 4,", f"units = 4, {SPECTRAL},")
    system = write_system(tmp_path, "wgan", {"G": generator, "D": critic()}, extra="[averages]\nG = 0.9")
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    trainer.iterate(random_feed(system, 0))
    z = np.random.default_rng(0).standard_normal((4, 2))
    np.testing.assert_array_equal(trainer.generate(z), trainer.generate(z))


def test_a_module_of_a_growing_system_is_that_of_its_iteration(backend, tmp_path):
    name = "progressive_cifar10"
    small = ["networks.G.latent=4", "networks.G.ch=4", "networks.D.ch=4", "growth.images=48"]
    (tmp_path / "small.toml").write_text(
        'title = "small"\nsource = "none"\nlike = "progressive_cifar10"\nnetworks.G.latent = 4\nnetworks.G.ch = 4\n'
        "networks.D.ch = 4\ngrowth.images = 48\n"
    )
    system = load_system(name, small)
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    trainer.iteration = 5  # a third of the way through the first fade
    state = trainer.state()
    z = np.random.default_rng(0).standard_normal((3, 4))
    shown = trainer.generate(z)
    assert shown.shape == (3, 3, 8, 8)
    house = backends.load(backend)
    module = house.Network.from_system(str(tmp_path / "small.toml"), "G", dtype="float64", iteration=state.iteration)
    module.load_training_state(state, "G")
    given = house.ArrayContext("cpu", "float64").array(z) if backend == "torch" else z
    np.testing.assert_allclose(house.to_numpy(module(given)), shown, rtol=0, atol=1e-14)


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize(
    ("loss", "witnesses"),
    [
        ("mean(norm(grad(relu(D(x) - 100) ^ 1, x))) + mean(D(G(z)))", WITNESSES),
        ("mean(norm(grad(D(2 * x), x))) + mean(norm(grad(D(2 * x), 2 * x))) + mean(D(G(z)))", WITNESSES),
        ("mean(norm(grad(D(2 * G(z)), 2 * G(z)))) + clip(2, 0, 1) * mean(D(x)) + detach(2)", WITNESSES),
        # The reference takes no gradient of a gradient.
        ("mean(norm(grad(sum(grad(D(x), x) ^ 2), x))) + mean(D(G(z)))", WITNESSES[:2]),
    ],
)
def test_witnesses_agree_on_odd_but_legal_formulas(loss, witnesses, tmp_path):
    (tmp_path / "loss.toml").write_text(
        f'title = "odd"\nsource = "none"\n[losses]\nD = "{loss}"\nG = "-mean(D(G(z)))"\n[carried.k]\nstart = 0\n'
        'next = "1"\nwith = "D"\n[report]\nhalf = { value = "0.5 + 0 * k", with = "D" }\n'
        'number = { value = "0.5", with = "D" }\nslope = { value = "mean(norm(grad(D(2 * G(z)), 2 * G(z))))", with = "G" }\n'
    )
    system = write_system(tmp_path, "loss.toml", {"G": GENERATOR, "D": critic()})
    assert_witnesses_agree(system, seed=1, witnesses=witnesses)
