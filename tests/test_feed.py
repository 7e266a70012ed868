"""Which images a batch shows: the order of an epoch, its end, and where a resumed run goes on."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.tools.data import Dataset
from ganspec.tools.errors import UserError
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


# What seed 5 makes of 8 images in batches of 3, written down once: whoever changes it makes every recorded run another one. An
# epoch of "drop" ends after two batches and leaves two images out, in each epoch others; one of "wrap" ends within the third.
ORDERS = {
    ("drop", "shuffled"): [[1, 3, 0], [5, 2, 6], [5, 2, 0], [4, 1, 7], [4, 6, 1], [7, 5, 3]],
    ("wrap", "shuffled"): [[1, 3, 0], [5, 2, 6], [4, 7, 5], [2, 0, 4], [1, 7, 6], [3, 4, 6]],
    ("drop", "in_order"): [[0, 1, 2], [3, 4, 5], [5, 2, 0], [4, 1, 7], [4, 6, 1], [7, 5, 3]],
    ("wrap", "in_order"): [[0, 1, 2], [3, 4, 5], [6, 7, 5], [2, 0, 4], [1, 7, 6], [3, 4, 6]],
}


@pytest.mark.parametrize(("leftover", "first_pass"), ORDERS)
def test_orders_are_those_of_every_run_before(leftover, first_pass):
    given_out = feed(8, 3, seed=5, leftover=leftover, first_pass=first_pass)
    expected = ORDERS[leftover, first_pass]
    assert [numbers(given_out()) for _ in expected] == expected
    whole = ORDERS[leftover, "shuffled"]
    count = 2 if leftover == "drop" else 3  # batches that the first epoch has a part in
    assert whole[count:] == expected[count:], "only the first epoch can be in order"


@pytest.mark.parametrize(("leftover", "expected"), [("drop", [6, 2, 0]), ("wrap", [2, 5, 6])])
def test_the_2002nd_batch_is_that_of_every_run_before(leftover, expected):
    keys = {"seed": 5, "leftover": leftover, "first_pass": "shuffled"}
    whole, resumed = feed(8, 3, **keys), feed(8, 3, 2001, **keys)
    for _ in range(2001):
        whole()
    assert numbers(whole()) == numbers(resumed()) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5), (0.0, 255.0), (2.0, 3.0)])
def test_black_and_white_become_the_ends_of_the_range_and_all_between_lies_on_a_line(low, high, dtype):
    system = replace(SYSTEM, run=replace(SYSTEM.run, batch=4), data=replace(SYSTEM.data, range=(low, high)))
    pixels = np.array([[0, 255], [51, 204], [1, 254], [102, 153]], np.uint8).reshape(4, 1, 1, 2)
    expected = np.array([[0, 5], [1, 4], [1 / 51, 254 / 51], [2, 3]]) / 5 * (high - low) + low
    labels = np.array([3, 1, 2, 0])
    for images in (pixels, (pixels / 255).astype(np.float32)):
        copy = images.copy()
        batch = Feed(system, Dataset(images, labels, "pixels", ""), 0, dtype)()
        assert batch["x"].dtype == np.dtype(dtype)
        assert batch["x"].shape == (4, 1, 1, 2)
        assert batch["y"].dtype.kind == "i"
        places = [labels.tolist().index(label) for label in batch["y"]]
        single = "float32" in (dtype, images.dtype)
        np.testing.assert_allclose(
            batch["x"][:, 0, 0], expected[places], rtol=0, atol=(high - low) * (2e-7 if single else 1e-15)
        )
        batch["x"][...] = 7.0  # what is done with a batch does not reach the data
        assert np.array_equal(images, copy)


def test_pixels_of_a_batch_are_those_of_the_image_in_place_colour_and_row():
    system = replace(SYSTEM, run=replace(SYSTEM.run, batch=2), data=replace(SYSTEM.data, range=(0.0, 255.0)))
    images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    batch = Feed(system, Dataset(images, np.array([0, 1]), "pixels", ""), 0, "float64")()
    np.testing.assert_allclose(batch["x"], images[batch["y"]], rtol=1e-14)


def test_a_system_without_labels_gets_none_and_one_with_labels_needs_the_right_ones():
    plain = load_system("gan_mlp_mnist", ["run.batch=2"], reduced=True)
    images = np.zeros((4, 1, 6, 6), np.uint8)
    assert set(Feed(plain, Dataset(images, np.arange(4), "numbers", ""), 0, "float32")()) == {"x"}
    system = replace(SYSTEM, run=replace(SYSTEM.run, batch=2))
    assert set(Feed(system, Dataset(images, np.array([0, 9, 1, 2]), "numbers", ""), 0, "float32")()) == {"x", "y"}
    for labels, message in (
        (None, "numbers: has no labels, and this system is conditional; give data with labels"),
        (np.array([0, 10, 1, 2]), "numbers: has labels from 0 to 10, expected 0 to 9"),
        (np.array([-1, 9, 1, 2]), "numbers: has labels from -1 to 9, expected 0 to 9"),
    ):
        with pytest.raises(UserError) as error:
            Feed(system, Dataset(images, labels, "numbers", ""), 0, "float32")
        assert str(error.value) == message


def test_a_batch_of_all_images_is_given_and_a_larger_one_refused():
    assert sorted(numbers(feed(4, 4, leftover="drop", first_pass="shuffled")())) == [0, 1, 2, 3]
    with pytest.raises(UserError) as error:
        feed(3, 4, leftover="drop", first_pass="shuffled")
    assert str(error.value) == "numbers: 3 images are fewer than one batch of 4; give more, or --set run.batch=3"


def flipped(seed=0, batch=4, batches=0, count=12, **keys):
    """Returns: a feed of images 1x2 whose left pixel is their number and whose right one is 255 where nothing is mirrored."""
    system = replace(
        SYSTEM,
        run=replace(SYSTEM.run, batch=batch),
        data=replace(SYSTEM.data, range=(0.0, 255.0), **{"flip": True, "first_pass": "shuffled", **keys}),
    )
    images = np.full((count, 1, 1, 2), 255, np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    return Feed(system, Dataset(images, np.arange(count) % 10, "numbers", ""), seed, "float64", batches)


def mirrored(batch):
    rows = np.rint(batch["x"][:, 0, 0]).astype(int)
    assert np.array_equal(rows.max(axis=1), np.full(len(rows), 255)), "a mirrored image has the same pixels"
    assert np.array_equal(rows.min(axis=1) % 10, batch["y"]), "and the same label"
    return (rows[:, 0] == 255).tolist(), rows.min(axis=1).tolist()


@given(seed=st.integers(0, 99), batches=st.integers(0, 20))
def test_mirroring_goes_on_from_any_place_and_changes_no_order(seed, batches):
    whole, plain = flipped(seed), flipped(seed, flip=False)
    shown = [mirrored(whole()) for _ in range(batches + 3)]
    assert [order for _, order in shown] == [mirrored(plain())[1] for _ in range(batches + 3)]
    resumed = flipped(seed, batches=batches)
    assert [mirrored(resumed()) for _ in range(3)] == shown[batches:]
    assert np.array_equal(resumed.images[:, 0, 0, 1], np.full(12, 255)), "the data stay as they are"


def test_each_image_is_mirrored_half_of_the_time_and_never_without_flip():
    given_out, plain = flipped(seed=3, batch=12), flipped(seed=3, batch=12, flip=False)
    counts = np.zeros(12)
    for _ in range(400):
        decided, order = mirrored(given_out())
        counts[order] += decided
        assert not any(mirrored(plain())[0])
    # 400 fair coins: five standard deviations are 50, and 4800 of them 173.
    assert np.abs(counts - 200).max() < 50
    assert abs(counts.sum() - 2400) < 173


def test_which_images_are_mirrored_is_that_of_every_run_before():
    given_out = flipped(seed=5, batch=8)
    assert ["".join("-M"[there] for there in mirrored(given_out())[0]) for _ in range(4)] == FLIPS


# Written down once, as ORDERS was.
FLIPS = ["--M--MMM", "MMM-M-M-", "---M-MM-", "MMM-M-M-"]
