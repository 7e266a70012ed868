"""What a run says while it trains: telling numbers, images a second, memory, how long it will take, real images."""

import math
import mmap
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from ganspec.spec import load_system, system_names
from ganspec.spec.text.arithmetic import evaluate
from ganspec.spec.text.formula import Binary, Call, Name, Negative, Number, render
from ganspec.tools.data import Dataset
from ganspec.tools.run import album, memory
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.forecast import Forecast, duration
from ganspec.tools.run.memory import gpu_memory, resident_memory
from ganspec.tools.run.real import real_images
from ganspec.tools.run.telling import Telling
from support.programs import SMALL, SMALL_BEGAN, SMALL_CGAN, here


@pytest.fixture(autouse=True)
def without_plots(monkeypatch):
    """Leave out the plots of the log, which take most of the time."""
    monkeypatch.setattr(album, "missing_packages", lambda: ["matplotlib"])


BEGAN = load_system("began_mnist", reduced=True)
PACKAGED = [name for name in system_names() if "/" not in name]


@pytest.mark.parametrize("name", PACKAGED)
def test_every_telling_number_is_computed_from_what_is_recorded(name):
    system = load_system(name, reduced=True)
    telling, columns = Telling(system), system.plan.columns()
    assert telling.formulas
    found = telling.values(dict.fromkeys(columns, 0.5))
    assert found.keys() == telling.formulas.keys()
    assert telling.values({}) == {}, "nothing is recorded yet"


def with_atoms(tree, values):
    """Returns: a formula whose calls and definitions are replaced by given numbers, by what they are written as."""
    match tree:
        case Call() | Name() if render(tree) in values:
            return Number(values[render(tree)])
        case Negative(inner):
            return Negative(with_atoms(inner, values))
        case Binary(operator, left, right):
            return Binary(operator, with_atoms(left, values), with_atoms(right, values))
    return tree


@pytest.mark.parametrize(
    ("name", "real", "fake", "drift"),
    [
        ("wgan_cifar10", "mean(D(x))", "mean(D(G(z)))", ""),
        ("ac_wgan_gp_cifar10", "mean(D(x))", "mean(D(G(z, y)))", ""),
        ("progressive_cifar10", "mean(D(S(x)))", "mean(D(G(z)))", "mean(D(S(x)) ^ 2)"),
    ],
)
def test_the_distance_is_what_the_critic_gives_real_images_less_what_it_gives_fakes(name, real, fake, drift):
    loss = load_system(name, reduced=True).loss
    atoms = {real: 3.25, fake: -1.5, "penalty": 0.375} | ({drift: 20.0} if drift else {})
    recorded = {"loss_D": evaluate(with_atoms(loss.losses["D"].tree, atoms), loss.constants), "gradient_penalty": 0.375}
    (found,) = Telling(load_system(name, reduced=True)).values(recorded).values()
    pulled = loss.constants["drift_weight"] * 20.0 if drift else 0.0
    assert found == pytest.approx(3.25 + 1.5 - pulled, rel=1e-12)


def test_a_loss_that_says_nothing_tells_its_carried_numbers_and_losses():
    assert list(Telling(load_system("dcgan_cifar10", reduced=True)).formulas) == ["loss_D", "loss_G"]
    assert list(Telling(load_system("began_mnist", reduced=True)).formulas) == ["k", "M"]


@how(max_examples=30)
@given(
    st.sampled_from([2.0**power for power in range(-6, 7)]),
    st.integers(2, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 9),
)
def test_a_forecast_is_said_once_and_leaves_out_the_iteration_that_warms_up(seconds, count, start, warm):
    forecast = Forecast(BEGAN, "iterations", start, start + count, 1)
    now, said = float(warm), []
    for done in range(start + 1, start + 800):
        said += [line] if (line := forecast.after(done, now)) else []
        now += seconds
    # The first one only starts the clock.
    after = max(2, math.ceil(5 / seconds))
    (line,), more = said, "more " if start else ""
    expected = (
        f"about {duration(count * seconds)}: {count:,} {more}iterations at {seconds:.3g} s, measured over {after}"
    )
    assert line == expected


@pytest.mark.parametrize(
    ("name", "settings", "each", "doubt"),
    [
        ("began_mnist", [], 1, ""),
        ("wgan_cifar10", [], None, "; iterations differ in length, so this is rough"),
        (
            "progressive_cifar10",
            ["growth.images=80"],
            1,
            r"; the networks grow until iteration \d+, and larger ones take longer",
        ),
    ],
)
def test_a_forecast_says_why_it_may_be_far_off(name, settings, each, doubt):
    forecast = Forecast(load_system(name, settings, reduced=True), "iterations", 0, 1000, each)
    assert [forecast.after(done, 4.0 * done) for done in (1, 2)] == [None, None]
    assert re.fullmatch(f"about 1 h 6 min: 1,000 iterations at 4 s, measured over 2{doubt}", forecast.after(3, 12.0))


@pytest.mark.parametrize(
    ("system", "small", "data", "numbers"),
    [
        ("began_mnist", SMALL_BEGAN, "digits", "k 0"),
        ("wgan_gp_mlp_mnist", SMALL, "images", "distance "),
        ("cgan_mnist", SMALL_CGAN, "digits", "loss_D "),
    ],
)
def test_the_bar_ends_with_numbers_images_and_memory(system, small, data, numbers, request, tmp_path, capsys):
    pytest.importorskip("torch")
    path = request.getfixturevalue(data)
    assert here("train", system, *small, "--data", path, "--out", tmp_path / "run", "--iterations", 3) == 0
    last = capsys.readouterr().err.rpartition("3/3")[2]
    assert numbers in last
    assert re.search(r"[\d,]+ images/s, [\d,]+ MiB\]", last)


def test_memory_is_what_the_process_holds_and_that_of_a_gpu_only_on_one():
    before = resident_memory()
    kept = np.frombuffer(mmap.mmap(-1, 40 * 2**20), np.uint8)  # not of what the process has already
    kept[:] = 1
    assert before + 30 * 2**20 < resident_memory() < before + 400 * 2**20
    assert kept[-1] == 1
    assert gpu_memory({"backend": "torch", "device": "cpu"}) is None
    assert gpu_memory({"backend": "somebody's", "device": "cuda:1"}) is None


def feed(system, images, labels):
    return Feed(system, Dataset(images, labels, "test", "test"), 3, "float32")


def test_real_images_stand_in_the_rows_of_their_label_and_depend_on_the_seed_alone():
    settings = ["run.batch=2", "run.grid=[12, 2]", "data.shape=[1, 4, 4]", "networks.G.bottom=1", "networks.D.bottom=1"]
    system = load_system("cgan_mnist", settings, reduced=True)
    labels = np.array([*range(10), *range(9), 0, 0, 1, 1])  # of label 9 there is one image
    images = np.arange(23, dtype=np.uint8)[:, None, None, None].repeat(4, 2).repeat(4, 3)  # each says its number
    found = real_images(feed(system, images, labels), 12, 2, 10)
    assert found.shape == (24, 4, 4, 1)
    shown = found[:, 0, 0, 0].tolist()
    for place, number in enumerate(shown):
        label = place // 2 % 10
        assert (number == 128) == (place == 19), "of the two places for label 9 one stays grey"
        assert number == 128 or labels[number] == label
    assert len(set(shown)) == 24, "no image twice"
    assert np.array_equal(found, real_images(feed(system, images, labels), 12, 2, 10))
    as_floats = real_images(feed(system, (images / 255).astype(np.float32), labels), 12, 2, 10)
    assert np.array_equal(found, as_floats)


def test_real_images_are_drawn_once_and_a_run_without_them_gets_them_when_it_goes_on(request):
    for package in ("torch", "PIL"):
        pytest.importorskip(package)
    run = request.getfixturevalue("run")
    picture = run / "real.png"
    first = picture.read_bytes()
    assert here("train", "--resume", run, "--iterations", 9) == 0
    assert picture.read_bytes() == first
    picture.unlink()
    assert here("train", "--resume", run, "--iterations", 10) == 0
    assert picture.read_bytes() == first


def test_freed_memory_is_kept_for_the_next_arrays(monkeypatch):
    for name in memory._SET_OUTSIDE:
        monkeypatch.delenv(name, raising=False)
    if not memory.keep_freed_memory():
        pytest.skip("needs the GNU C library")
    resource = pytest.importorskip("resource")

    def faults(times):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(times):
            np.ones(2**20)  # 8 MiB: 2,048 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults(1)
    assert faults(20) < 2_048
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not memory.keep_freed_memory()
