"""What `ganspec bench` measures, and how it says so. No time is asserted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ganspec.spec import load_system
from ganspec.tools.__main__ import main as ganspec
from ganspec.tools.baselines import MODULES
from ganspec.tools.benchmarks import (
    memory,
    rates,
    roofline,
    sides,
    timing,
)
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.benchmarks.timing import Effort
from ganspec.tools.errors import AGREED

SMALL = Request("wgan_gp_mlp_mnist", "torch", reduced=True, threads=1)


def test_measure_times_both_sides_in_every_round(backend):
    found = timing.measure(replace(SMALL, backend=backend, threads=0), Effort(rounds=2, iterations=1))
    assert len(found.ours) == len(found.theirs) == 2
    assert min(*found.ours, *found.theirs) > 0
    assert (found.iterations, found.batch) == (1, 6)
    assert {"cpu", "processors", "threads", "numpy", backend} <= set(found.machine)


@pytest.mark.usefixtures("both_backends", "here")
def test_time_ends_the_rounds_but_two_are_done(monkeypatch):
    monkeypatch.setattr(timing, "ROUND_SECONDS", 1e-9)
    found = timing.measure(SMALL, Effort(rounds=50, seconds=1e-9), alone=True)
    assert (len(found.ours), found.theirs, found.iterations) == (timing.LEAST_ROUNDS, (), 1)


def test_peak_of_a_process_is_what_it_held_not_what_it_holds():
    before = memory.peak_resident()
    block = bytearray(64_000_000)
    block[::4096] = b"x" * len(block[::4096])
    del block
    assert memory.peak_resident() >= max(before, 64_000_000)


@pytest.mark.usefixtures("both_backends", "here")
def test_every_side_has_a_peak_of_memory():
    found = memory.peaks(replace(SMALL, backend="chainer"))
    assert set(found) == {"loaded", "ours", "theirs"}
    assert min(found.values()) > 1_000_000


def test_random_images_have_labels_where_a_system_reads_them():
    found = sides.dataset_for(load_system("ac_wgan_gp_cifar10", reduced=True))
    assert found.labels is not None
    assert len(found.labels) == len(found.images)
    assert sides.dataset_for(load_system("dcgan_cifar10", reduced=True)).labels is None


def test_one_system_of_each_family_is_measured_without_names():
    chosen = sides.one_of_each_family()
    assert len({MODULES[name] for name in chosen}) == len(chosen)
    assert {"wgan_gp_mlp_mnist", "began_mnist"} < set(chosen) < set(MODULES)
    assert all(load_system(name).data.embedded for name in chosen)


@pytest.mark.usefixtures("both_backends", "here")
def test_roofline_counts_what_ran_and_puts_it_over_the_time(capsys, tmp_path):
    file, words = tmp_path / "r.json", ["--reduced", "--rounds", "1", "--iterations", "1", "--backend", "chainer"]
    assert ganspec(["bench", "wgan_gp_mlp_mnist", "--roofline", *words, "--json", str(file)]) == AGREED
    (found,) = json.loads(file.read_text("utf-8"))["rooflines"]
    assert found["steps"] == [5, 1]
    products = roofline.products_of(SMALL.load(), {(0, 0, 0, 0, 0, 1): 1.0})
    assert found["operations_per_iteration"] == sum(times * p.operations for p, times in products)
    assert found["share"] == pytest.approx(
        found["operations_per_iteration"] / found["large_rate"] / found["seconds"][0]
    )
    assert found["own_share"] == pytest.approx(found["own_seconds"] / found["seconds"][0])
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split() == [
        "network",
        "layer",
        "forward",
        "to",
        "inputs",
        "to",
        "weights",
        "second",
        "order",
        "MFLOP",
        "of",
        "all",
    ]
    assert [roofline.unit_of(each)[0] for each in (4e9, 1e8, 99e6, 9e4)] == ["GFLOP", "GFLOP", "MFLOP", "kFLOP"]
    assert [row.split()[:2] for row in rows[1:3]] == [["G", "l1"], ["G", "l2"]]


def test_products_that_are_too_large_to_time_are_cut():
    most = rates._MAX_NUMBERS
    m, k, n = (rates._shortened(*sizes) for sizes in ((10**7, 576, 64), (576, 10**7, 64), (64, 10**7, 576)))
    assert m * k <= most
    assert (k, n) == (576, 64)
