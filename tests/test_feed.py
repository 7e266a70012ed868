"""Which images a batch shows: the order of an epoch, its end, and where a resumed run goes on."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.tools.data import Dataset
from ganspec.tools.run.feed import Feed

SYSTEM = load_system("cgan_mnist", reduced=True)


def feed(count, batch, batches=0, seed=0, **keys):
    """Returns: a feed of so many images, each of which is its own number, labels likewise (modulo 10)."""
    system = replace(SYSTEM, run=replace(SYSTEM.run, batch=batch), data=replace(SYSTEM.data, range=(0.0, 1.0), **keys))
    images = (np.arange(count, dtype=np.float64) / 1000).reshape(-1, 1, 1, 1)
    return Feed(system, Dataset(images, np.arange(count) % 10, "numbers", ""), seed, "float64", batches)


def numbers(batch):
    found = np.rint(batch["x"].ravel() * 1000).astype(int)
    assert np.array_equal(batch["y"], found % 10), "each image keeps its own label"
    return found.tolist()


COUNTS = st.integers(1, 9).flatmap(lambda batch: st.tuples(st.just(batch), st.integers(batch, 30)))


@given(sizes=COUNTS, seed=st.integers(0, 99))
def test_dropping_shows_each_image_at_most_once_an_epoch(sizes, seed):
    batch, count = sizes
    given_out = feed(count, batch, seed=seed, leftover="drop", first_pass="shuffled")
    for epoch in range(3):
        shown = []
        for _ in range(count // batch):
            assert given_out.epoch == epoch
            shown += numbers(given_out())
        assert len(set(shown)) == len(shown) == count // batch * batch
    assert given_out.epoch == 3


@given(sizes=COUNTS, seed=st.integers(0, 99))
def test_wrapping_shows_every_image_once_an_epoch_and_no_batch_is_short(sizes, seed):
    batch, count = sizes
    given_out = feed(count, batch, seed=seed, leftover="wrap", first_pass="shuffled")
    shown = []
    for number in range(3 * count):  # of whole epochs: batch * count * 3 images
        assert given_out.epoch == number * batch // count
        found = numbers(given_out())
        assert len(found) == batch
        shown += found
    for epoch in range(3 * batch):
        assert sorted(shown[epoch * count : (epoch + 1) * count]) == list(range(count))


@pytest.mark.parametrize("leftover", ["drop", "wrap"])
@given(sizes=COUNTS, seed=st.integers(0, 99), batches=st.integers(0, 40))
def test_a_feed_goes_on_from_any_place(leftover, sizes, seed, batches):
    batch, count = sizes
    keys = {"seed": seed, "leftover": leftover, "first_pass": "shuffled"}
    whole = feed(count, batch, **keys)
    for _ in range(batches):
        whole()
    resumed = feed(count, batch, batches, **keys)
    assert [numbers(whole()) for _ in range(9)] == [numbers(resumed()) for _ in range(9)]


@pytest.mark.parametrize("leftover", ["drop", "wrap"])
@given(sizes=COUNTS, epochs=st.integers(0, 7))
def test_the_batches_until_an_epoch_are_the_fewest(leftover, sizes, epochs):
    batch, count = sizes
    given_out = feed(count, batch, leftover=leftover, first_pass="shuffled")
    needed = 0
    while given_out.epoch < epochs:
        given_out()
        needed += 1
    assert feed(count, batch, leftover=leftover, first_pass="shuffled").batches_until(epochs) == needed


def test_epochs_and_seeds_have_orders_of_their_own():
    first, other = (feed(20, 20, seed=seed, leftover="drop", first_pass="shuffled") for seed in (0, 1))
    orders = [numbers(f()) for f in (first, first, other)]
    assert len({tuple(order) for order in orders}) == 3
    assert list(range(20)) not in orders


def test_a_first_pass_in_order_is_followed_by_shuffled_ones():
    given_out = feed(20, 10, leftover="drop", first_pass="in_order")
    assert [numbers(given_out()), numbers(given_out())] == [list(range(10)), list(range(10, 20))]
    assert numbers(given_out()) + numbers(given_out()) != list(range(20))


@pytest.mark.parametrize(
    ("name", "leftover"),
    [("dcgan_cifar10", "wrap"), ("wgan_gp_cifar10", "wrap"), ("began_faces64", "drop"), ("cgan_mnist", "drop")],
)
def test_a_system_ends_its_epochs_as_its_source(name, leftover):
    # Chainer-GAN-lib reads with SerialIterator, which wraps; keras_BEGAN and the CGAN take whole batches only.
    assert load_system(name).data.leftover == leftover


def test_the_cgan_s_first_pass_is_not_shuffled():
    assert load_system("cgan_mnist").data.first_pass == "in_order"
