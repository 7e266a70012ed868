"""Which draw each repeat of each step sees: noise, batches and dropout masks, by name and position, for as long as they live."""

import numpy as np
import pytest

from ganspec.spec import reference
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools import backends
from support.tiny_systems import GENERATOR, critic, drawn_values, write_system

SEED, BATCH, RATE = 11, 3, 0.25
DROPOUT = f'{{ kind = "dropout", name = "drop", rate = {RATE} }},'
LOSS = """
title = "both steps read images, and evaluate D three times"
source = "none"
[draws]
c = { sample = "uniform(0, 4)", shape = "G.y" }
[losses]
D = "mean(D(G(z, c))) - mean(D(x)) + mean(D(G(z, c)) * D(-x))"
G = "mean(D(x)) - mean(D(G(z, c))) + mean(D(-x)) ^ 2"
"""
STEPS = '[[steps]]\nupdate = ["D"]\nrepeat = 2\n[[steps]]\nupdate = ["G"]\nrepeat = 2'
PLACES = [(iteration, step, repeat) for iteration in range(3) for step in range(2) for repeat in range(2)]
# For each of these places: where its noise is addressed, and the number of its batch.
LIVES = {
    "iteration": ([(i, 0, 0) for i, _, _ in PLACES], [0] * 4 + [1] * 4 + [2] * 4),
    "step": ([(i, s, 0) for i, s, _ in PLACES], [n // 2 for n in range(12)]),
    "repeat": (PLACES, list(range(12))),
}
# Evaluations of D are numbered as the formulas meet them, from the left.
OCCURRENCES = {0: ["G(z)", "x", "-x"], 1: ["x", "G(z)", "-x"]}


def dropping_system(folder, redraw):
    """Returns: a system whose G and D both have a dropout layer, on an image, and on a code of the label and the latent."""
    (folder / "loss.toml").write_text(LOSS)
    code = '{ kind = "embedding", name = "e", from = "y", units = 2, weight = "normal(0, 1)" },'
    code += f'{{ kind = "concat", name = "code", from = ["z", "e"] }}, {DROPOUT}'
    generator = GENERATOR.replace("z = [2] |", f"z = [2]\ny = {{ labels = 4 }} | {code}")
    return write_system(
        folder,
        "loss.toml",
        {"G": generator, "D": critic(code=DROPOUT)},
        steps=STEPS,
        redraw=redraw,
        batch=BATCH,
    )


def numbered_feed(used):
    """Returns: a feed whose images of batch n, counted from 0, all hold n + 1; `used` lists the batches that were asked for."""

    def feed():
        used.append(len(used))
        return {"x": np.full((BATCH, 1, 2, 2), float(len(used))), "y": np.zeros(BATCH, np.int64)}

    return feed


def expected_mask(network, place, occurrence, shape):
    return Streams(SEED).mask(RATE, f"mask/{network}/drop", Position(*place, occurrence), shape)


@pytest.mark.parametrize("redraw", LIVES)
def test_each_repeat_sees_its_own_draws(redraw, backend, tmp_path):
    system = dropping_system(tmp_path, redraw)
    trainer = backends.make_trainer(backend, system, SEED, dtype="float64")
    to_numpy, used = backends.load(backend).to_numpy, []
    feed, (noise, batches) = numbered_feed(used), LIVES[redraw]
    seen = []
    for _ in range(3):
        trainer.iterate(feed, lambda result: seen.append((trainer.iteration, result)), keep_layers=True)
    assert [(iteration, result.step, result.repeat) for iteration, result in seen] == PLACES
    assert used == sorted(set(batches)), "no batch is drawn that nothing reads"
    for (iteration, result), place, address, batch in zip(seen, PLACES, noise, batches, strict=True):
        drawn = drawn_values(backend, result)
        position = Position(*address)
        assert np.array_equal(drawn["z"], Streams(SEED).normal("z", position, (BATCH, 2)))
        labels = np.floor(4 * Streams(SEED).uniform("c", position, (BATCH,)))
        assert np.array_equal(drawn["c"], labels)
        assert (drawn["x"] == batch + 1).all()
        found = {}
        for node, layers in result.layers.items():
            name, occurrence = result.plan.nodes[node].value, result.plan.occurrences[node]
            before = to_numpy(layers["code" if name == "G" else "pixels"])
            mask = expected_mask(name, place, occurrence, before.shape) / (1 - RATE)
            np.testing.assert_allclose(
                to_numpy(layers["drop"]), before * mask, rtol=1e-14, err_msg=f"{name} {occurrence}"
            )
            if name == "D":
                found[occurrence] = (
                    "x" if (before == batch + 1).all() else "-x" if (before == -batch - 1).all() else "G(z)"
                )
        assert [found[occurrence] for occurrence in sorted(found)] == OCCURRENCES[result.step]
        assert sum(result.plan.nodes[node].value == "G" for node in result.layers) == 1
        assert iteration == place[0]


@pytest.mark.parametrize("redraw", LIVES)
def test_a_draw_has_the_address_of_the_beginning_of_its_life_whoever_reads_it_first(redraw, backend, tmp_path):
    system = dropping_system(tmp_path, redraw)
    for place, address in zip(PLACES[:4], LIVES[redraw][0], strict=False):
        trainer = backends.make_trainer(backend, system, SEED, dtype="float64")
        drawn = drawn_values(backend, trainer.compute(*place[1:], numbered_feed([])))
        assert np.array_equal(drawn["z"], Streams(SEED).normal("z", Position(*address), (BATCH, 2)))


class Recorder:
    """A source of draws that notes what it is asked for."""

    def __init__(self, source):
        self.source, self.asked = source, []

    def symbol(self, name, symbol, at, batch):
        self.asked.append((name, at))
        return self.source.symbol(name, symbol, at, batch)

    def mask(self, network, layer, at, shape):
        self.asked.append((f"mask of {network}", at))
        return self.source.mask(network, layer, at, shape)


@pytest.mark.parametrize("redraw", LIVES)
@pytest.mark.parametrize("witness", ["torch", "chainer", "reference"])
def test_each_address_is_asked_for_in_its_turn(witness, redraw, tmp_path):
    system = dropping_system(tmp_path, redraw)
    recorder, used = Recorder(StreamDraws(system, SEED)), []
    feed = numbered_feed(used)
    if witness == "reference":
        trainer = reference.Trainer(system, SEED, draws=recorder)
        still = {n: {p: np.zeros(a.shape) for p, a in trainer.state().of(f"parameters/{n}").items()} for n in "DG"}
        for _ in range(3):
            for step, repeat in trainer.repeats():
                trainer.update(trainer.compute(step, repeat, feed), still)
            trainer.end_iteration()
    else:
        trainer = backends.make_trainer(witness, system, SEED, dtype="float64", draws=recorder)
        for _ in range(3):
            trainer.iterate(feed)
    noise, batches = LIVES[redraw]
    expected = {(name, Position(*address)) for name in "zc" for address in noise}
    for place in PLACES:
        expected |= {("mask of D", Position(*place, occurrence)) for occurrence in range(3)}
        expected.add(("mask of G", Position(*place, 0)))
    assert set(recorder.asked) == expected
    assert used == sorted(set(batches))
    if witness != "reference":  # which evaluates a network as often as it differentiates it
        assert len(recorder.asked) == len(expected), "each once"


def test_masks_and_symbols_of_the_streams_are_those_of_every_run_before(tmp_path):
    """Written down once, from `Streams`, whose own numbers are pinned in tests/spec/test_spec_streams.py."""
    system = dropping_system(tmp_path, "repeat")
    source, at = StreamDraws(system, 7), Position(5, 1, 2, 3)
    (layer,) = (layer for layer in system.networks["D"].layers if layer.name == "drop")
    assert np.array_equal(source.mask("D", layer, at, (4, 5)), Streams(7).mask(RATE, "mask/D/drop", at, (4, 5)))
    for name, values in (
        ("z", Streams(7).normal("z", at, (6, 2))),
        ("c", np.floor(4 * Streams(7).uniform("c", at, (6,)))),
    ):
        found = source.symbol(name, system.symbols[name], at, 6)
        assert np.array_equal(found, values)
        assert found.dtype.kind == {"z": "f", "c": "i"}[name]
