"""Processes that were started differently are refused before anything is made, with what differs and where."""

import argparse
import contextlib
import math
import re
import threading

import numpy as np
import pytest

import ganspec
from ganspec.spec import load_system
from ganspec.tools.errors import UserError
from ganspec.tools.programs import train
from ganspec.tools.run.alike import settled
from ganspec.tools.run.launch import Launch
from ganspec.tools.run.progress import End
from ganspec.tools.run.ranks import Together
from support.programs import SMALL
from support.threads import in_threads

LENGTH = End(100, math.inf)
OPTIONS = {"backend": "torch", "device": "cpu", "dtype": "float32", "draws": "host", "seed": 0}


def started_with(system=("gan_mlp_mnist",), version=None, end=LENGTH, **options):
    facts = settled(load_system(*system, reduced=True), OPTIONS | options, end)
    return facts | ({"ganspec": version} if version else {})


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ({"seed": 1}, "--seed: 0 in processes 0 and 2; 1 in process 1"),
        ({"dtype": "float64"}, "--dtype: float32 in processes 0 and 2; float64 in process 1"),
        ({"device": "cuda"}, "--device: cpu in processes 0 and 2; cuda in process 1"),
        ({"draws": "device"}, "--draws: host in processes 0 and 2; device in process 1"),
        ({"precision": "bf16"}, "--precision: nothing in processes 0 and 2; bf16 in process 1"),
        ({"version": "0.0.1"}, f"ganspec: {ganspec.__version__} in processes 0 and 2; 0.0.1 in process 1"),
        ({"end": End(99, math.inf)}, "--iterations: 100 in processes 0 and 2; 99 in process 1"),
        ({"end": End(math.inf, 5)}, "--epochs: nothing in processes 0 and 2; 5 in process 1"),
        (
            {"system": ("gan_mlp_mnist", ["optimizers.G.learning_rate=0.5"])},
            "system.optimizers.G.learning_rate: 0.0001 in processes 0 and 2; 0.5 in process 1",
        ),
        (
            {"system": ("gan_mlp_mnist", ["run.checkpoint_every=9"])},
            "system.run.checkpoint_every: 500 in processes 0 and 2; 9 in process 1",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_processes_that_were_started_differently_are_refused_with_what_differs_where(other, line):
    def work(group):
        with pytest.raises(UserError) as caught:
            Together(group).check_alike(started_with(**(other if group.rank == 1 else {})))
        return str(caught.value)

    for text in in_threads(3, work):
        assert text.startswith("the processes of a run must be started with the same options, system and data")
        assert f"\n    {line}\n" in text


def test_processes_that_were_started_alike_go_on():
    in_threads(3, lambda group: Together(group).check_alike(started_with()))


def test_a_long_list_of_differences_is_cut():
    def work(group):
        with pytest.raises(UserError) as caught:
            Together(group).check_alike(started_with((("gan_mlp_mnist", "began_mnist")[group.rank],)))
        return str(caught.value).splitlines()

    for text in in_threads(2, work):
        assert len(text) == 13
        assert text[-2].startswith("    ... and ")


def started_here(words):
    """Returns: the code of `ganspec train WORDS`, with whatever processes `together` gives."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return train.run(parser.parse_args(words))


@pytest.mark.parametrize("differs", ["data", "seed", "resume"])
def test_processes_that_differ_make_no_folder_and_change_none(differs, images, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    other, earlier, own = tmp_path / "other.npz", tmp_path / "earlier", threading.local()
    np.savez(other, images=np.zeros((24, 6, 6), np.uint8))
    monkeypatch.setattr(train, "together", lambda launch, backend: contextlib.nullcontext(own.ranks))
    command = ["wgan_gp_mlp_mnist", *SMALL, "--iterations", "7", "--backend", "torch", "--data", str(images)]
    if differs == "resume":
        own.ranks = Together()
        assert started_here([*command, "--out", str(earlier)]) == 0
    record = (earlier / "run.json").read_bytes() if differs == "resume" else b""

    def work(group):
        group.first_here = group.rank == 0
        group.use = lambda device: ""
        own.ranks = Together(group, Launch("torchrun", group.rank, 2))
        words = ["--out", str(tmp_path / "run")]
        if group.rank:
            words += {"data": ["--data", str(other)], "seed": ["--seed", "1"], "resume": []}[differs]
        elif differs == "resume":
            words = ["--resume", str(earlier)]
        with pytest.raises(UserError) as caught:
            started_here([*command, *words])
        return str(caught.value)

    line = {
        "data": f"    data: SHA-256 [0-9a-f]{{12}}... of {images}: .* in process 0; SHA-256 .* of {other}: .* in process 1",
        "seed": "    --seed: 0 in process 0; 1 in process 1",
        "resume": "    iteration to go on from: 7 in process 0; 0 in process 1",
    }[differs]
    for text in in_threads(2, work):
        assert re.search(line, text)
    assert not (tmp_path / "run").exists()
    assert differs != "resume" or (earlier / "run.json").read_bytes() == record
