"""CIFAR-10 as published: every way of writing and packing it gives the same images and labels."""

from __future__ import annotations

import pickle
import pickletools
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from ganspec.tools import data
from ganspec.tools.data import detect
from support.data.cifar_files import WRITERS, by_python3, published, records, set_of

SIZE = 4  # images per batch


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(detect, "BATCH_IMAGES", SIZE)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(10).integers(0, 256, (6 * SIZE, 3, 32, 32), np.uint8)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.arange(6 * SIZE) * 7 % 10


def exactly(path):
    return data.load(path, shape=(3, 32, 32), fit="exact")


def agrees(found, images, labels) -> None:
    assert found.images.dtype == np.uint8
    assert found.labels.dtype == np.int64
    assert found.images.flags.c_contiguous
    assert found.images.flags.writeable
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, labels)


@pytest.mark.parametrize("kind", ["cPickle", "Python 3, protocol 2"])
def test_test_files_are_what_pickle_itself_reads(kind, images, labels):
    batch = pickle.loads(WRITERS[kind](images, labels), encoding="bytes")
    np.testing.assert_array_equal(batch[b"data"], images.reshape(-1, 3072))
    assert batch[b"labels"] == labels.tolist()
    assert len(batch[b"filenames"]) == len(images)


def test_cpickle_is_written_with_the_published_instructions():
    count = 2500  # more than two groups of a list, and more than 255 entries in the memo
    content = published(np.zeros((count, 3, 32, 32), np.uint8), np.zeros(count, int))
    assert content.startswith(
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05("
    )
    names = {code.name for code, _, _ in pickletools.genops(content)}
    assert names == {
        "PROTO", "EMPTY_DICT", "EMPTY_LIST", "MARK", "SETITEMS", "APPENDS", "STOP", "BINPUT", "LONG_BINPUT", "GLOBAL",
        "REDUCE", "BUILD", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWFALSE", "BININT", "BININT1", "BININT2",
        "SHORT_BINSTRING", "BINSTRING",
    }  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
def test_batch_round_trips(kind, images, labels, fresh):
    path = fresh()
    path.write_bytes(WRITERS[kind](images[:SIZE], labels[:SIZE]))
    found = exactly(path)
    agrees(found, images[:SIZE], labels[:SIZE])
    assert found.source == f"{path}: a batch of CIFAR-10; 4 images 3x32x32 uint8, fit exact"


PACKED = {
    "tar.gz": lambda w, files: w.gz(w.tar(files)),
    "tar": lambda w, files: w.tar(files),
    "zip": lambda w, files: w.zip(files),
    "flat tar.gz": lambda w, files: w.gz(w.tar({name.rpartition("/")[2]: data for name, data in files.items()})),
    "dotted tar": lambda w, files: w.tar({f"./{name}": data for name, data in files.items()}),
    "folder": lambda w, files: {name.rpartition("/")[2]: data for name, data in files.items()},
    "folder of the folder": lambda w, files: files,
}


def packed(kind, files, write, fresh):
    path, content = fresh(), PACKED[kind](write, files)
    if isinstance(content, dict):
        return write.tree(path, content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", ["py", "bin"])
@pytest.mark.parametrize("kind", PACKED)
def test_training_set_is_the_five_batches_in_order(kind, form, images, labels, write, fresh):
    found = exactly(packed(kind, set_of(images, labels, form), write, fresh))
    agrees(found, images[: 5 * SIZE], labels[: 5 * SIZE])
    assert ": the training set of CIFAR-10 from a " in found.source


def test_every_form_has_one_fingerprint(images, labels, write, fresh):
    paths = [packed(kind, set_of(images, labels, form), write, fresh) for kind in PACKED for form in ("py", "bin")]
    assert len({exactly(path).fingerprint for path in paths}) == 1


@pytest.mark.parametrize("form", ["py", "bin"])
@pytest.mark.parametrize("kind", PACKED)
def test_a_batch_is_chosen_by_its_path(kind, form, images, labels, write, fresh):
    path = packed(kind, set_of(images, labels, form), write, fresh)
    ending = ".bin" if form == "bin" else ""
    folder = f"cifar-10-batches-{form}/" if kind == "folder of the folder" else ""
    agrees(exactly(path / f"{folder}test_batch{ending}"), images[5 * SIZE :], labels[5 * SIZE :])
    agrees(exactly(path / f"{folder}data_batch_2{ending}"), images[SIZE : 2 * SIZE], labels[SIZE : 2 * SIZE])


def test_a_batch_in_an_archive_is_chosen_by_its_whole_path_too(images, labels, write, fresh):
    path = packed("tar.gz", set_of(images, labels), write, fresh)
    found = exactly(path / "cifar-10-batches-py" / "test_batch")
    agrees(found, images[5 * SIZE :], labels[5 * SIZE :])
    assert found.source.startswith(f"{path}: the test_batch of CIFAR-10 from a tar.gz archive; 4 images")


@pytest.mark.parametrize("kind", ["tar.gz", "folder"])
def test_test_batch_alone_is_read(kind, images, labels, write, fresh):
    files = {name: content for name, content in set_of(images, labels).items() if "data_batch" not in name}
    agrees(exactly(packed(kind, files, write, fresh)), images[5 * SIZE :], labels[5 * SIZE :])


def test_batches_come_before_pictures_and_after_idx(images, labels, some, write, fresh):
    folder = packed("folder", {**set_of(images, labels), "a.png": write.picture(some[0])}, write, fresh)
    agrees(exactly(folder), images[: 5 * SIZE], labels[: 5 * SIZE])
    (folder / "train-images-idx3-ubyte").write_bytes(write.idx(some[:, 0]))
    assert len(data.load(folder, shape=(1, 5, 7), fit="exact").images) == 3


def test_content_and_not_the_name_tells_a_batch(images, labels, some, write, fresh):
    path = fresh() / "test_batch"
    path.parent.mkdir()
    path.write_bytes(write.npy(images))
    np.testing.assert_array_equal(exactly(path).images, images)
    other = path.with_name("digits.npy")
    other.write_bytes(records(images[:SIZE], labels[:SIZE]))
    agrees(exactly(other), images[:SIZE], labels[:SIZE])


def test_batches_are_fitted_and_grey_ones_skipped(images, labels, fresh):
    images = images[:SIZE].copy()
    images[1] = images[1, 0]
    path = fresh()
    path.write_bytes(published(images, labels[:SIZE]))
    found = data.load(path, shape=(3, 36, 36), fit="pad", skip_grey=True)
    np.testing.assert_array_equal(found.images[:, :, 2:-2, 2:-2], images[[0, 2, 3]])
    assert found.labels.tolist() == labels[[0, 2, 3]].tolist()
    assert "1 grey one skipped" in found.source


def test_image_is_red_green_and_blue_by_rows(fresh):
    row = np.zeros((SIZE, 3073), np.uint8)
    row[0, 1 + 1024 + 32 * 5 + 7] = 9  # by the publisher's description: green, row 5, column 7
    path = fresh()
    path.write_bytes(row.tobytes())
    assert np.argwhere(exactly(path).images).tolist() == [[0, 1, 5, 7]]


def test_reading_looks_nothing_up_and_runs_nothing(images, labels, fresh):
    path = fresh()
    path.write_bytes(by_python3(2)(images[:SIZE], labels[:SIZE]))
    program = f"""
import sys
from ganspec.tools import data
from ganspec.tools.data import detect
detect.BATCH_IMAGES, seen = {SIZE}, []
watched = ("pickle.find_class", "exec", "compile", "import", "os.system", "subprocess.Popen")
sys.addaudithook(lambda event, details: seen.append(event) if event in watched else None)
data.load(sys.argv[1], shape=(3, 32, 32), fit="exact")
print(seen)
"""
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def numbered(count: int) -> tuple[np.ndarray, np.ndarray]:
    """So many images, each of which tells its number, and labels."""
    images = np.tile(np.arange(3072, dtype=np.uint8).reshape(1, 3, 32, 32), (count, 1, 1, 1))
    images[:, 0, 0, :4] = np.arange(count, dtype="<u4")[:, None].view(np.uint8)
    return images, np.arange(count) // 7 % 10


def test_archive_of_the_published_size_is_read_whole(write, fresh, monkeypatch):
    monkeypatch.undo()
    images, labels = numbered(60_000)
    files, path = set_of(images, labels), fresh()
    assert 31_000_000 < len(files["cifar-10-batches-py/data_batch_1"]) < 32_000_000  # published: 31,035,704
    path.write_bytes(write.tar(files))
    found = exactly(path)
    assert np.array_equal(found.images, images[:50_000])
    assert np.array_equal(found.labels, labels[:50_000])


def test_archive_is_read_one_batch_at_a_time(write, fresh, monkeypatch):
    monkeypatch.setattr(detect, "BATCH_IMAGES", 1000)
    path = fresh()
    path.write_bytes(write.tar(set_of(*numbered(6000))))
    tracemalloc.start()
    try:
        found = exactly(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The images, one batch of 3 MB three times while it is unpickled, and 1.5 MB for the 2,000 strings of its pickle.
    assert peak < found.images.nbytes + 3 * 3.2e6 + 1.5e6
