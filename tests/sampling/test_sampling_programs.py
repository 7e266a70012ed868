"""`ganspec sample`, `interpolate` and `manifold` on runs of both backends: what they draw, what they leave, what they refuse."""

import errno
import os
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools import backends
from ganspec.tools.errors import UserError
from ganspec.tools.pictures.images import as_pixels, grid, to_bytes
from ganspec.tools.programs import sample
from ganspec.tools.sampling.generator import Generator, chosen_state, opened
from ganspec.tools.sampling.numbered import numbered_inputs
from ganspec.tools.sampling.walks import plane_inputs, quantile_inputs, walk_inputs
from support.programs import here
from support.runs import CONDITIONAL, GROWING, MLP, state_at, write_run

GOLDEN = tomllib.loads((Path(__file__).parent / "messages.toml").read_text())
Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Returns: the folder of a run with a moving average, trained by PyTorch; the current folder is an empty one."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", MLP, iterations=(3, 9))
    return tmp_path / "run"


@pytest.fixture
def conditional(tmp_path, monkeypatch):
    """Returns: the folder of a run with ten classes that have names."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", CONDITIONAL, classes=[f"digit {i}" for i in range(10)])
    return tmp_path / "run"


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def small(path, factor):
    """Returns: a picture of which every pixel was repeated, (height, width)."""
    with Image.open(path) as image:
        return np.asarray(image)[::factor, ::factor]


def test_both_backends_draw_the_same_images_of_runs_of_either(both_backends, tmp_path):
    for system in (MLP, CONDITIONAL, GROWING):
        found = []
        for trained, computes in zip(backends.NAMES, reversed(backends.NAMES), strict=True):
            run = tmp_path / f"{system[0]}-{trained}"
            write_run(run, system, backend=trained, dtype="float64")
            for options in ([], ["--backend", computes]) if system is MLP else ([],):
                out = tmp_path / f"{run.name}{len(options)}.npz"
                assert here("sample", run, "--n", 5, "--npz", out, *options) == 0
                found.append(arrays(out))
        for other in found[1:]:
            assert other["values"].dtype == np.float64
            np.testing.assert_allclose(other["values"], found[0]["values"], rtol=0, atol=1e-12)
            assert np.array_equal(other["latents_z"], found[0]["latents_z"])


def test_arrays_are_what_g_was_given_and_gave(conditional, tmp_path):
    assert here("sample", conditional, "--n", 12, "--seed", 4, "--truncation", 0.8, "--npz", "a.npz", "--batch", 5) == 0
    found, generator = arrays("a.npz"), Generator.from_run(conditional)
    z, y = numbered_inputs(generator.system, range(12), 4, truncation=0.8)
    assert np.array_equal(found["latents_z"], z)
    assert np.array_equal(found["labels"], y)
    np.testing.assert_allclose(found["values"], generator.images([z, y]), atol=1e-6)
    assert np.array_equal(found["images"], to_bytes(found["values"], (0.0, 1.0)))
    assert found["images"].shape == (12, 8, 8, 1)
    # They are data that a system can be trained on.
    from ganspec.tools import data

    assert data.load(tmp_path / "a.npz", shape=(1, 8, 8), fit="exact").labels.tolist() == y.tolist()


def test_labels_are_chosen_by_number_and_by_name(conditional):
    for label in ("3", "digit 3"):
        assert here("sample", conditional, "--n", 4, "--label", label, "--npz", "a.npz", "--overwrite") == 0
        assert arrays("a.npz")["labels"].tolist() == [3] * 4
    assert here("sample", conditional, "--n", 3, "--label", "digit 9", "--label", "0", "--npz", "b.npz") == 0
    assert arrays("b.npz")["labels"].tolist() == [9, 0, 9]


def test_a_grid_is_of_the_same_images_a_column_for_each_class(conditional):
    assert here("sample", conditional, "--n", 20) == 0
    assert here("sample", conditional, "--n", 20, "--npz", "a.npz") == 0
    whole = grid(arrays("a.npz")["images"], 10)[:, :, 0]
    assert np.array_equal(small("run-samples-001.png", round(512 / 98)), whole)
    assert here("sample", conditional, "--n", 20, "--label", 1, "--grid", "one.png", "--columns", 4) == 0
    assert small("one.png", round(512 / 48)).shape == (5 * 10 - 2, 4 * 10 - 2)


def test_a_picture_without_a_name_gets_the_next_number(run):
    for number in (1, 2):
        assert here("sample", run, "--n", 4) == 0
        assert small(f"run-samples-{number:03}.png", round(512 / 14)).shape == (14, 14)


def test_a_folder_has_a_file_for_each_image(conditional, tmp_path):
    (tmp_path / "empty").mkdir()
    for out in ("empty", "made/here"):
        assert here("sample", conditional, "--n", 12, "--images", out, "--batch", 5) == 0
        files = sorted(path.name for path in Path(out).iterdir())
        assert files == [f"{i:06}-label{i % 10}.png" for i in range(12)]
    assert here("sample", conditional, "--n", 12, "--npz", "a.npz", "--batch", 5) == 0
    for file, image in zip(files, arrays("a.npz")["images"], strict=True):
        assert np.array_equal(small(Path("empty", file), 1), image[:, :, 0])


def test_a_folder_gets_all_images_or_none(run, tmp_path, monkeypatch, capsys):
    written = []

    def full(image):
        if len(written) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(image)
        return b"png"

    monkeypatch.setattr(sample, "plain_png", full)
    assert here("sample", run, "--n", 12, "--images", "out") == 2
    assert "out: cannot be written: No space left on device; free some space there" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(("options", "iteration", "averaged"), [
    ([], 9, True), (["--checkpoint", 3], 3, True), (["--weights", "trained"], 9, False), (["--weights", "averaged"], 9, True),
])  # fmt: skip
def test_weights_are_of_the_checkpoint_and_kind_that_are_asked_for(options, iteration, averaged, run, backend):
    assert here("sample", run, "--n", 3, "--npz", "a.npz", "--backend", backend, *options) == 0
    generator = Generator.from_run(run, backend=backend)
    state = state_at(generator.system, iteration)
    if not averaged:
        own = {**state.of("parameters/G"), **state.of("statistics/G")}
        state.arrays.update({f"averages/G/{path}": array for path, array in own.items()})
    trainer = backends.make_trainer(backend, generator.system, 0, state)
    np.testing.assert_allclose(arrays("a.npz")["values"], trainer.generate(generator.inputs(range(3))[0]), atol=1e-6)


@pytest.mark.parametrize("system", [MLP, GROWING], ids=lambda system: system[0])
def test_the_network_of_a_run_gives_what_the_generator_of_the_run_gives(system, tmp_path, backend):
    write_run(tmp_path / "run", system, iterations=(2, 3), dtype="float64")  # of a growing one in the middle of a stage
    for averaged in (True, False):
        options = {"weights": "averaged" if averaged else "trained", "backend": backend}
        generator = Generator.from_run(tmp_path / "run", checkpoint=2, **options)
        network = backends.load(backend).Network.from_run(tmp_path / "run", "G", 2, averaged=averaged)
        (z,) = generator.inputs(range(4), seed=1)
        if backend == "torch":
            import torch

            found = network.eval()(torch.tensor(z)).detach().numpy()
        else:
            import chainer

            with chainer.using_config("train", False):
                found = network(z).array
        assert found.dtype == np.float64
        np.testing.assert_allclose(generator.images([z]), found, rtol=0, atol=1e-13)


def test_images_of_an_early_stage_of_growth_are_enlarged(tmp_path, backend, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", GROWING, iterations=(3,))
    assert here("sample", "run", "--n", 2, "--npz", "a.npz", "--backend", backend) == 0
    found = arrays("a.npz")
    assert found["values"].shape == (2, 3, 2, 2)
    assert found["images"].shape == (2, 8, 8, 3)
    assert np.array_equal(found["images"][:, ::4, ::4], to_bytes(found["values"], (-1.0, 1.0)))


def test_interpolation_draws_its_walks(conditional):
    assert here("interpolate", conditional, "--through", "3,4,5", "--through", "0,1,2", "--steps", 4, "--loop") == 0
    generator = Generator.from_run(conditional)
    inputs = walk_inputs(generator.system, [[3, 4, 5], [0, 1, 2]], 0, 4, loop=True)
    pixels = as_pixels(generator.system.data, generator.images(inputs))
    assert np.array_equal(small("run-interpolation-001.png", round(512 / 88)), grid(pixels, 9)[:, :, 0])


def test_an_animation_goes_there_and_back_or_round(conditional):
    for options, count in ((["--loop"], 2 * 4), ([], 5 + 3)):
        assert (
            here("interpolate", conditional, "--gif", "a.gif", "--rows", 3, "--steps", 5, "--overwrite", *options) == 0
        )
        with Image.open("a.gif") as gif:
            durations = []
            for number in range(gif.n_frames):  # equal frames have become one
                gif.seek(number)
                durations.append(gif.info["duration"])
        assert sum(durations) == 100 * count


@pytest.mark.parametrize("system", [MLP, CONDITIONAL], ids=["plane", "quantiles"])
def test_a_manifold_is_of_quantiles_of_two_numbers_or_a_plane_through_samples(system, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", system)
    generator = Generator.from_run("run")
    labels = ["--label", 7] if system is CONDITIONAL else []
    for number, (options, inputs) in enumerate((
        ([], quantile_inputs(generator.system, 3, 0.05, 0.95, 7) if labels else plane_inputs(generator.system, (0, 1, 2), 0, 3)),
        (["--through", "4,2,0"], plane_inputs(generator.system, (4, 2, 0), 0, 3, labels=[7] if labels else ())),
    )):  # fmt: skip
        assert here("manifold", "run", "--side", 3, *labels, *options) == 0
        pixels = as_pixels(generator.system.data, generator.images(inputs))
        found = small(f"run-manifold-{number + 1:03}.png", round(512 / (3 * pixels.shape[1])))
        assert np.array_equal(found, grid(pixels, 3, 0)[:, :, 0])


def test_a_state_keeps_what_is_not_chosen(run):
    read = opened(run)
    assert chosen_state(read, "G", None) is read.state
    other = chosen_state(read, "G", "trained")
    changed = {name for name, array in other.arrays.items() if not np.array_equal(array, read.state.arrays[name])}
    assert changed == {name for name in read.state.arrays if name.startswith("averages/G/")}
    with pytest.raises(ValueError, match="weights is 'best'"):
        chosen_state(read, "G", "best")


WRONG = {
    "no run": ["sample", "nothing"],
    "no checkpoint of it": ["sample", "run", "--checkpoint", "4"],
    "no label": ["sample", "run", "--label", "3"],
    "no average": ["sample", "labels", "--weights", "averaged"],
    "wrong label": ["sample", "labels", "--label", "10"],
    "no such class": ["sample", "labels", "--label", "dgo"],
    "too truncated": ["sample", "run", "--truncation", "0.001"],
    "not truncated": ["sample", "run", "--truncation", "1.5"],
    "file there": ["sample", "run", "--grid", "there.png"],
    "npz there": ["sample", "run", "--npz", "there.png"],
    "a folder": ["sample", "run", "--npz", "run"],
    "full folder": ["sample", "run", "--images", "run"],
    "folder is a file": ["sample", "run", "--images", "there.png"],
    "folder in a file": ["sample", "run", "--npz", "there.png/a.npz"],
    "too many for a picture": ["sample", "run", "--n", "10001"],
    "damaged": ["sample", "damaged"],
    "columns of arrays": ["sample", "run", "--npz", "a.npz", "--columns", "3"],
    "overwriting a folder": ["sample", "run", "--images", "run", "--overwrite"],
    "rows and walks": ["interpolate", "run", "--rows", "3", "--through", "1,2"],
    "walk of one": ["interpolate", "run", "--through", "3"],
    "walks of different length": ["interpolate", "run", "--through", "3,4", "--through", "1,2,3"],
    "one step": ["interpolate", "run", "--steps", "1"],
    "too many steps": ["interpolate", "run", "--steps", "100000"],
    "two corners": ["manifold", "run", "--through", "3,4"],
    "quantiles of many numbers": ["manifold", "run", "--low", "0.1"],
    "path of quantiles": ["manifold", "labels", "--path", "linear"],
    "quantiles the wrong way": ["manifold", "labels", "--low", "0.9", "--high", "0.1"],
    "side": ["manifold", "run", "--side", "101"],
    "two labels": ["manifold", "labels", "--label", "1", "--label", "2"],
    "network": ["export", "run", "--to", "safetensors", "--network", "F"],
    "export there": ["export", "run", "--to", "safetensors", "--out", "there.png"],
    "export folder there": ["export", "run", "--to", "torch", "--out", "run"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Returns: a folder with runs to be wrong about."""
    folder = tmp_path_factory.mktemp("place")
    write_run(folder / "run", MLP)
    write_run(folder / "labels", CONDITIONAL, classes=["cat", "dog", *"abcdefgh"])
    write_run(folder / "damaged", MLP, iterations=(3, 4))
    checkpoint = folder / "damaged" / "checkpoints" / "00000004.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-4])
    (folder / "there.png").write_bytes(b"mine")
    return folder


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_told_and_leaves_nothing(name, place, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    assert here(*WRONG[name]) == 2
    said = re.sub(r" \(Error while .*\)", " (...)", capsys.readouterr().err)  # differs between versions of safetensors
    assert said == GOLDEN[name]
    assert sorted(place.rglob("*")) == before
    assert (place / "there.png").read_bytes() == b"mine"


def test_every_golden_message_has_its_input():
    assert GOLDEN.keys() == WRONG.keys()


def test_without_pillow_arrays_are_drawn_and_pictures_refused(run, monkeypatch, capsys):
    monkeypatch.setattr("ganspec.tools.pictures.saving.missing_packages", lambda: ["Pillow"])
    assert here("sample", run) == 2
    assert (
        capsys.readouterr().err
        == "pictures need Pillow: pip install 'ganspec[pictures]'; --npz FILE needs nothing more\n"
    )
    assert here("sample", run, "--n", 2, "--npz", "a.npz") == 0


def test_where_the_runs_own_backend_is_absent_another_one_is_offered(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "run", MLP, backend="chainer")

    def load(name, **options):
        raise UserError(f"{name} is not installed")

    monkeypatch.setattr(backends, "load", load)
    assert here("sample", tmp_path / "run", "--npz", tmp_path / "a.npz") == 2
    assert (
        capsys.readouterr().err
        == "chainer is not installed\nchainer trained this run; --backend draws with another one\n"
    )
    assert here("sample", tmp_path / "run", "--npz", tmp_path / "a.npz", "--backend", "torch") == 2
    assert capsys.readouterr().err == "torch is not installed\n"
