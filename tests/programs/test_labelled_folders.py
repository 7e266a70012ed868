"""Training a conditional system on folders of pictures, one folder for each class."""

import json

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.record import RunError, read_record, write_record
from ganspec.tools.run.reading import load_for
from ganspec.tools.run.rehearsal import data_lines
from support.programs import SMALL_CGAN, here

SETTINGS = [*SMALL_CGAN, "--set", "constants.labels=3", "--set", "run.grid=[3, 2]"]


@pytest.fixture
def flowers(tmp_path):
    """A folder of three classes with four pictures 9x8 each."""
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    for name in ("tulip", "rose", "daisy"):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 256, (9, 8), np.uint8)
            image.fromarray(pixels).save(tmp_path / "flowers" / name / f"{number}.png")
    return tmp_path / "flowers"


@pytest.mark.usefixtures("no_pictures")
def test_folders_are_classes_of_a_conditional_system_and_their_names_are_kept(backend, flowers, tmp_path):
    out = tmp_path / "run"
    asked = ["cgan_mnist", *SETTINGS, "--backend", backend, "--data", flowers, "--set", "data.crop=centre"]
    assert here("train", *asked, "--out", out, "--iterations", 2, "--set", "data.flip=true") == 0
    record = json.loads((out / "run.json").read_text())
    assert record["classes"] == ["daisy", "rose", "tulip"]
    assert "12 pictures, 3 classes by folder" in record["data_source"]
    assert record["resolved"]["data"]["crop"] == "centre"
    assert record["resolved"]["data"]["flip"] is True
    assert here("train", "--resume", out, "--iterations", 3) == 0


def test_another_number_of_folders_is_refused_before_a_folder_is_made(flowers, tmp_path, capsys):
    pytest.importorskip("torch")
    out = tmp_path / "run"
    assert here("train", "cgan_mlp_mnist", "--data", flowers, "--set", "data.fit=resize", "--out", out) == 2
    error = capsys.readouterr().err
    assert "has 3 folders ('daisy', 'rose', 'tulip'), each of which is a class" in error
    assert "--set constants.labels=3" in error
    assert not out.exists()


def test_a_dry_run_says_the_classes_and_how_many_images_each_has(flowers):
    system = load_system("cgan_mnist", ["constants.labels=3", "data.shape=[1, 8, 8]", "data.fit=resize"], reduced=True)
    lines = data_lines(load_for(system, flowers), system)
    assert "classes: 0 daisy, 1 rose, 2 tulip" in lines
    assert "labels: 3 different, from 0 to 2, 4 images each; the first image has 0" in lines


@pytest.mark.parametrize("classes", ["rose", [], [1, 2], ["rose"] * 30_001, ["rose\0"], None])
def test_classes_of_a_stranger_s_run_are_checked(classes, tmp_path):
    options = {"backend": "torch", "device": "cpu", "dtype": "float32", "draws": "host", "seed": 0}
    record = {"system": "cgan_mnist", "settings": [], "data": "", **options}
    write_record(tmp_path, record | {"classes": ["rose"]})
    assert read_record(tmp_path)["classes"] == ["rose"]
    write_record(tmp_path, record | {"classes": classes})
    with pytest.raises(
        RunError, match=r"run\.json: classes: expected a list of 1 to 30,000 texts, the names of the classes"
    ):
        read_record(tmp_path)
