"""Learning rates that decay, by hand: after which epochs, by how much, from when on, and through a resume at every point."""

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.parts.settings import Decay
from ganspec.spec.training.checkpoint import read_checkpoint
from ganspec.tools import backends, data
from ganspec.tools.run.feed import Feed
from support.programs import here

pytestmark = pytest.mark.usefixtures("no_pictures")

# k counts the iterations from 0, so that every report is known without training. G moves as the schedule says.
LOSS = """
title = "numbers that are known"
source = "a test"
[losses]
D = "mean(D(G(z))) - mean(D(x)) + 0.1 * mean(D(x) ^ 2)"
G = "-mean(D(G(z)))"
[carried.k]
start = 0
next = "k + 1"
with = "D"
[report]
rising = { value = "k", with = "D" }
falling = { value = "0 - k", with = "D" }
same = { value = "0.5 + 0 * k", with = "D" }
valley = { value = "abs(k - 4.5)", with = "D" }
zigzag = { value = "(k - 2) ^ 2 * (k - 7) ^ 2", with = "D" }
of_G = { value = "k", with = "G" }
falling_of_G = { value = "100 - k", with = "G" }
"""
SYSTEM = """
title = "a decay"
source = "a test"
like = "wgan_gp_mlp_mnist"
loss = "loss.toml"
schedule = "schedule.toml"
data.shape = [1, 6, 6]
data.leftover = "LEFTOVER"
networks.G = { latent = 3, width = 6, size = 6 }
networks.D = { width = 5, size = 6 }
run.batch = 4
run.checkpoint_every = 100
run.samples_every = 100
optimizers.learning_rate = 8e-3
optimizers.D.learning_rate = 2e-3
learning_rate_decay = { watch = "WATCH", factor = 0.5, minimum = 3e-3 }
"""
SCHEDULE = """
title = "G moves in iterations 0, 3, 6, 9"
source = "a test"
[redraw]
data = "repeat"
noise = "repeat"
[[steps]]
update = ["D"]
[[steps]]
update = ["G"]
REPEAT
"""
SELDOM = "repeat = 0\nrepeat_override = { repeat = 1, first = 0, every = 3 }"
END = 12
# Rates of G in iterations 1 to 12, in thousandths. Of 10 images in batches of 4, an epoch has two iterations where what is left
# over is dropped. Where it wraps, epochs end within iterations 3, 5, 8, 10: an iteration is of the epoch in which it began. The
# minimum is 3, and D's rate is below it from the start.
CASES = {
    # Means of k: 0.5, 2.5, 4.5, ... each epoch but the first is followed by a decay: 8, 4, then 3 instead of 2.
    ("rising", "drop", ""): [8, 8, 8, 8, 4, 4, 3, 3, 3, 3, 3, 3],
    ("falling", "drop", ""): [8] * 12,
    # Equal means did not fall.
    ("same", "drop", ""): [8, 8, 8, 8, 4, 4, 3, 3, 3, 3, 3, 3],
    # Means of |k - 4.5|: 4, 2, 0.5, 2, 4, 6.
    ("valley", "drop", ""): [8, 8, 8, 8, 8, 8, 8, 8, 4, 4, 3, 3],
    # (k - 2)^2 (k - 7)^2 for k = 0, 1, ...: 196, 36, 0, 16, 36, 36, 16, 0, 36, 196; means 116, 8, 36, 8, 116.
    ("zigzag", "drop", ""): [8, 8, 8, 8, 8, 8, 4, 4, 4, 4, 3, 3],
    # Iterations by epoch: 0 1 2 | 3 4 | 5 6 7 | 8 9 | 10 11; means of |k - 4.5|: 3.5, 1, 1.5, 4.
    ("valley", "wrap", ""): [8, 8, 8, 8, 8, 8, 8, 8, 4, 4, 3, 3],
    # Means 77 1/3, 26, 17 1/3, 116: the same epochs, weighed otherwise, would rise earlier.
    ("zigzag", "wrap", ""): [8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4, 4],
    # G moves in iterations 0, 3, 6 and 9: in epochs 0, 1, 3 and 4. Epoch 2 has no number, and changes nothing.
    ("of_G", "drop", SELDOM): [8, 8, 8, 8, 4, 4, 4, 4, 3, 3, 3, 3],
    # One number in epochs of three and of two iterations: the mean is of what there is, 100, 97, 94, 91.
    ("falling_of_G", "wrap", SELDOM): [8] * 12,
}  # fmt: skip


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (10, 6, 6), dtype=np.uint8))
    return path


@pytest.fixture
def write(tmp_path):
    """Returns: a function that writes a case's system and returns its path."""

    def written(watch, leftover, repeat):
        (tmp_path / "loss.toml").write_text(LOSS)
        (tmp_path / "schedule.toml").write_text(SCHEDULE.replace("REPEAT", repeat))
        (tmp_path / "system.toml").write_text(SYSTEM.replace("WATCH", watch).replace("LEFTOVER", leftover))
        return tmp_path / "system.toml"

    return written


def train(system, images, out, end, *more):
    assert here("train", system, "--data", images, "--out", out, "--iterations", end, *more) == 0


def logged(out):
    """Returns: the columns of a log by name."""
    rows = [row.split(",") for row in (out / "log.csv").read_text().splitlines()]
    return {name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])}


def final(out, iteration=END):
    return read_checkpoint(out / "checkpoints" / f"{iteration:08}.safetensors")


@pytest.mark.parametrize(("watch", "leftover", "repeat"), CASES, ids=str)
def test_rates_decay_after_the_epochs_whose_mean_did_not_fall(watch, leftover, repeat, write, images, tmp_path):
    train(write(watch, leftover, repeat), images, tmp_path / "run", END)
    columns = logged(tmp_path / "run")
    expected = CASES[watch, leftover, repeat]
    assert [float(rate) * 1000 for rate in columns["learning_rate_G"]] == pytest.approx(expected)
    assert {float(rate) for rate in columns["learning_rate_D"]} == {2e-3}, "a rate below the minimum is not raised"
    epochs = [i // 2 if leftover == "drop" else i * 4 // 10 for i in range(END)]
    assert [int(epoch) for epoch in columns["epoch"]] == epochs


def test_rates_are_in_force_from_the_next_iteration_on(backend, write, images, tmp_path):
    file = write("zigzag", "drop", "")
    train(file, images, tmp_path / "run", END, "--backend", backend, "--dtype", "float64")
    system = load_system(str(file))
    feed = Feed(system, data.load(images, shape=(1, 6, 6), fit="exact"), 0, "float64")
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    for rate in CASES["zigzag", "drop", ""]:
        trainer.networks["G"].optimizer.learning_rate = rate / 1000
        trainer.iterate(feed)
    state, expected = final(tmp_path / "run")[0], trainer.state()
    assert state.updates == expected.updates == {"D": END, "G": END}
    for name, array in expected.arrays.items():
        assert np.array_equal(state.arrays[name], array), name


RESUMED = {"torch": ("zigzag", "wrap", ""), "chainer": ("of_G", "drop", SELDOM)}


def test_a_run_that_is_resumed_after_every_iteration_decays_as_an_unbroken_one(backend, write, images, tmp_path):
    file, broken, unbroken = write(*RESUMED[backend]), tmp_path / "broken", tmp_path / "unbroken"
    train(file, images, unbroken, END, "--backend", backend)
    train(file, images, broken, 1, "--backend", backend)
    for end in range(2, END + 1):
        assert here("train", "--resume", broken, "--iterations", end) == 0
    assert (broken / "log.csv").read_bytes() == (unbroken / "log.csv").read_bytes()
    (a, ra), (b, rb) = final(broken), final(unbroken)
    assert ra == rb
    assert (a.learning_rates, a.updates) == (b.learning_rates, b.updates)
    assert all(a.arrays[name].tobytes() == b.arrays[name].tobytes() for name in b.arrays)


def test_what_a_checkpoint_keeps_of_an_epoch_is_its_sum_its_count_and_the_mean_before(write, images, tmp_path):
    train(write("rising", "wrap", ""), images, tmp_path / "run", 7)
    # Epochs end within iterations 2 and 4: means 1 and 3.5; of the third epoch k = 5 and 6.
    _, record = final(tmp_path / "run", 7)
    assert record.epoch == {"sum": 11.0, "count": 2, "last": 3.5}
    assert record.batches == 7, "a step that reads no image draws none"


@pytest.mark.parametrize(
    ("rate", "factor", "minimum", "expected"),
    [
        (8, 0.5, 3, 4),
        (4, 0.5, 3, 3),
        (3, 0.5, 3, 3),
        (2, 0.5, 3, 2),
        (8, 1, 3, 8),
        (8, 0, 3, 3),
        (8, 0.25, 0, 2),
        (8, 0, 0, 0),
    ],
)
def test_a_rate_shrinks_by_the_factor_to_no_less_than_the_minimum_and_never_grows(rate, factor, minimum, expected):
    assert Decay("loss_D", factor, minimum).shrunk(rate) == expected
