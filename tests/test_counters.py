"""Random numbers that are computed on a device, in either backend: bit for bit those of the spec's streams."""

import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training import philox
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools import backends

# Random123 (Salmon et al. 2011), tests/kat_vectors, the lines of philox4x64 with 10 rounds: counter, key and words.
KNOWN = [
    ("0 0 0 0", "0 0", "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
    (" ".join(["ffffffffffffffff"] * 4), " ".join(["ffffffffffffffff"] * 2),
     "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0"),
    ("243f6a8885a308d3 13198a2e03707344 a4093822299f31d0 082efa98ec4e6c89", "452821e638d01377 be5466cf34e90c6c",
     "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6"),
]  # fmt: skip
SMALL, LARGE = st.integers(0, 3), st.integers(0, 2**31)
POSITIONS = st.one_of(st.builds(Position, SMALL, SMALL, SMALL, SMALL), st.builds(Position, LARGE, SMALL, LARGE, LARGE))
ADDRESSES = st.tuples(st.integers(0, 2**63 - 1), st.text(max_size=9), POSITIONS)
SHAPES = st.tuples(st.integers(1, 9), st.lists(st.integers(1, 40), max_size=2)).map(lambda s: (s[0], *s[1]))
RATES = st.one_of(st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.999]), st.floats(0, 0.999))


def numbers(word_texts):
    return [int(text, 16) for text in word_texts.split()]


def made(backend, device, seed):
    backends.load(backend)
    arrays, house = (importlib.import_module(f"ganspec.impl_{backend}.{name}") for name in ("arrays", "counters"))
    return house.Counters(seed, arrays.ArrayContext(device, "float32"))


def host(array):
    """Returns: an array of any of the libraries in NumPy."""
    return array.cpu().numpy() if hasattr(array, "cpu") else array.get() if hasattr(array, "get") else array


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_the_cipher_gives_the_words_that_its_authors_publish(counter, key, words, backend, device):
    lanes = made(backend, device, 0)
    low, high = numbers(key)
    given = tuple(lanes.counted(philox.signed(n), philox.signed(n) + 1) for n in numbers(counter))
    found = [int(host(word)[0]) % 2**64 for word in philox.block(low | high << 64, given)]
    assert found == numbers(words)


def same(found, right):
    found = host(found)
    assert found.dtype == right.dtype
    assert found.shape == right.shape
    assert np.array_equal(found, right)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(address=ADDRESSES, shape=SHAPES, rate=RATES, start=st.integers(0, 9))
def test_every_kind_of_number_is_that_of_the_host_bit_for_bit(backend, device, address, shape, rate, start):
    seed, *at = address
    ours, right = made(backend, device, seed), Streams(seed)
    same(ours.words(*at, shape[0], start), right.words(*at, shape[0], start).view(np.int64))
    for rows in (None, slice(shape[0] // 2, shape[0])):
        same(ours.mask(rate, *at, shape, rows), right.mask(rate, *at, shape, rows))
        for distribution in (Distribution("uniform", -3.0, 5.0), Distribution("normal", 2.0, 0.3)):
            same(ours.sample(distribution, *at, shape, rows), right.sample(distribution, *at, shape, rows))


@pytest.mark.parametrize("rate", [0, 1 - 2.0**-32, 1 - 2.0**-34, 1 - 2.0**-53])
def test_a_mask_of_the_lowest_or_of_a_highest_rate_is_that_of_the_host(backend, device, rate):
    at = ("m", Position(), (999,))
    right = Streams(0).mask(rate, *at)
    same(made(backend, device, 0).mask(rate, *at), right)
    assert right.all() if rate == 0 else not right.any()


@pytest.mark.parametrize(("shape", "rows"), [((0,), None), ((3, 0), None), ((0, 2), None), ((5, 3), slice(2, 2))])
def test_nothing_is_drawn_for_an_empty_array(backend, device, shape, rows):
    ours, right, at = made(backend, device, 0), Streams(0), ("z", Position(), shape, rows)
    same(ours.normal(*at), right.normal(*at))
    same(ours.uniform(*at), right.uniform(*at))
    same(ours.mask(0.3, *at), right.mask(0.3, *at))
