"""Folders as classes: as torchvision's ImageFolder reads them, in a folder, a tar and a zip; and what is refused."""

import tarfile
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.tools import data
from ganspec.tools.data import bounds
from ganspec.tools.data.labelled import classes_of

GOLDEN = tomllib.loads((Path(__file__).parent / "messages_labelled.toml").read_text())
WANTED = {"shape": (1, 5, 7), "fit": "exact"}
NAMES = ["rose/1.png", "Rose/2.png", "10/1.png", "9/deep/er/1.png", "9/0.png", "ünder/x.png"]


def pictures(write, names, some):
    """Returns: a picture for each name; the first pixel of each is its number."""
    files = {}
    for number, name in enumerate(names):
        image = some[0].copy()
        image[0, 0, 0] = number
        files[name] = write.picture(image)
    return files


@pytest.mark.parametrize("form", ["folder", "tar", "tar.gz", "zip", "wrapped folder", "wrapped tar"])
def test_sorted_folders_are_classes_in_every_form(form, write, some, fresh):
    names = [f"flowers/./{name}" if form == "wrapped tar" else name for name in NAMES]
    files = pictures(write, names, some) | {"rose/notes.txt": b"", "__MACOSX/rose/._1.png": b"", ".git/a.png": b""}
    path = fresh()
    if "folder" in form:
        write.tree(path, files)
    else:
        packed = write.zip(files) if form == "zip" else write.tar(files)
        path.write_bytes(write.gz(packed) if form == "tar.gz" else packed)
    if form == "wrapped folder":
        outer = fresh()
        outer.mkdir()
        path.rename(outer / "flowers")
        path = outer
    found = data.load(path, **WANTED, labels=5)
    assert found.classes == ("10", "9", "Rose", "rose", "ünder")
    expected = {0: "rose", 1: "Rose", 2: "10", 3: "9", 4: "9", 5: "ünder"}
    assert [found.classes[label] for label in found.labels] == [expected[n] for n in found.images[:, 0, 0, 0].tolist()]
    assert found.labels.dtype == np.int64
    assert "6 pictures" in found.source
    assert "5 classes by folder" in found.source


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_without_labels_folders_mean_nothing_and_the_data_set_is_the_one_it_was(form, write, some, fresh):
    path, flat = fresh(), fresh()
    files = pictures(write, ["a/1.png", "b/2.png", "3.png"], some)
    if form == "folder":
        write.tree(path, files)
    else:
        path.write_bytes(write.zip(files))
    found = data.load(path, **WANTED)
    assert found.labels is None
    assert found.classes is None
    flat.write_bytes(write.npy(found.images))
    assert found.fingerprint == data.load(flat, **WANTED).fingerprint


FOLDERS = st.lists(st.text("ab1 ", min_size=1, max_size=3).filter(lambda name: name.strip()), min_size=2, unique=True)


@given(tops=FOLDERS, inside=st.lists(st.sampled_from(["x.png", "y/x.png", "y/z/x.png"]), min_size=1, unique=True))
def test_labels_follow_the_sorted_names_whatever_lies_inside(tops, inside):
    names = sorted(f"{top}/{rest}" for top in tops for rest in inside)
    labels, classes = classes_of(names, set(tops), len(tops))
    assert classes == tuple(sorted(tops))
    assert [classes[label] for label in labels] == [name.split("/")[0] for name in names]


@pytest.mark.parametrize(
    ("name", "files", "folders"),
    [
        ("labels in no folders", ["1.png", "2.png"], []),
        ("labels with pictures outside", ["a/1.png", "b/1.png", "1.png", "2.png"], []),
        ("labels with an empty folder", ["a/1.png", "b/1.png"], ["c", "d/e"]),
        ("labels of another number", ["a/1.png", "b/1.png", "c/1.png"], []),
        ("labels of one folder", ["a/1.png", "a/2.png"], []),
    ],
)
@pytest.mark.parametrize("form", ["folder", "tar"])
def test_wrong_folders_are_told(name, files, folders, form, write, some, tmp_path):
    path = tmp_path / "given"
    content = pictures(write, files, some)
    write.tree(path, content)
    for folder in folders:
        (path / folder).mkdir(parents=True)
    if form == "tar":
        with tarfile.open(tmp_path / "tar", "w") as archive:
            archive.add(path, ".")
        path = tmp_path / "tar"
    with pytest.raises(data.DataError) as caught:
        data.load(path, **WANTED, labels=2)
    assert str(caught.value).replace(str(path), "PATH") == GOLDEN[name].strip()


@pytest.mark.parametrize(("bound", "value"), [("MAX_CLASSES", 1), ("MAX_CLASS_TEXT", 5)])
def test_the_number_of_classes_and_their_names_are_bounded(bound, value, monkeypatch):
    classes_of(["a/1.png", "b/1.png"], [], 2)
    monkeypatch.setattr(bounds, bound, value)
    with pytest.raises(data.DataError, match="has 2 folders, each of which is a class"):
        classes_of(["a/1.png", "b/1.png"], [], 2)
