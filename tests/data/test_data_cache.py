"""A cache of decoded images: the same data set as in memory, whole or not there, and made again when its source changes."""

import contextlib
import fcntl
import json
import os
import pickle
import resource
import shutil
import threading
import tomllib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.tools import data
from ganspec.tools.data import bounds, cache, cache_check, decoders, pictures
from ganspec.tools.run.feed import Feed

GOLDEN = tomllib.loads((Path(__file__).parent / "messages_cache.toml").read_text())
WANTED = {"shape": (1, 5, 7), "fit": "exact"}


@pytest.fixture
def kept(tmp_path):
    """Returns: a cache in which everything is kept."""
    return data.Cache(tmp_path / "cache", always=True)


@pytest.fixture
def source(write, some, tmp_path):
    """Returns: a folder of three pictures in two folders."""
    return write.tree(tmp_path / "given", write.pictures_of(some))


def entries(of):
    """Returns: the names of the finished entries; whatever else is there must be a lock."""
    names = sorted(path.name for path in of.folder.iterdir()) if of.folder.exists() else []
    assert all("." not in name or name.endswith(".lock") for name in names), names
    return [name for name in names if "." not in name]


@contextlib.contextmanager
def nothing_decoded(monkeypatch):
    """Refuse to decode anything inside the block."""
    with monkeypatch.context() as patch:
        patch.setattr(data, "_read", lambda *_: pytest.fail("the entry was not used"))
        yield


def same(one, other):
    assert (one.source, one.fingerprint, one.classes) == (other.source, other.fingerprint, other.classes)
    np.testing.assert_array_equal(one.images, other.images)
    assert one.images.dtype == other.images.dtype
    assert (one.labels is None) == (other.labels is None)
    if one.labels is not None:
        np.testing.assert_array_equal(one.labels, other.labels)
    return True


@pytest.mark.parametrize("kind", ["idx", "idx.gz", "tar", "tar.gz", "zip", "npy", "npz", "folder"])
@pytest.mark.parametrize(
    "wanted", [WANTED, {"shape": (3, 6, 9), "fit": "pad"}, {"shape": (1, 3, 3), "fit": "resize", "crop": "centre"}]
)
def test_a_cache_holds_the_data_set_that_memory_would(kind, wanted, some, source, kept, write, tmp_path, monkeypatch):
    path = source
    if kind != "folder":
        path = tmp_path / "set"
        path.write_bytes(write.kinds[kind](some))
    memory = data.load(path, **wanted)
    made = data.load(path, **wanted, cache=kept)
    with nothing_decoded(monkeypatch):
        mapped = data.load(path, **wanted, cache=kept)
    assert same(memory, made)
    assert same(memory, mapped)
    assert not mapped.images.flags.writeable
    assert mapped.images.base is not None
    (name,) = entries(kept)
    np.testing.assert_array_equal(np.load(kept.folder / name / "images.npy", allow_pickle=False), memory.images)


def test_labels_classes_and_what_is_left_out_are_kept(write, some, kept, tmp_path, monkeypatch):
    grey, colour = np.repeat(some[0], 3, axis=0), np.concatenate([some[0], some[1], some[2]])
    files = {
        f"{name}/{number}.png": write.picture(image)
        for name in "ab"
        for number, image in enumerate([grey, colour, colour])
    }
    path = tmp_path / "set"
    path.write_bytes(write.tar(dict(reversed(files.items()))))
    wanted = {"shape": (3, 5, 7), "fit": "exact", "skip_grey": True, "labels": 2}
    memory = data.load(path, **wanted)
    assert memory.labels.tolist() == [0, 0, 1, 1]
    assert same(memory, data.load(path, **wanted, cache=kept))
    with nothing_decoded(monkeypatch):
        assert same(memory, data.load(path, **wanted, cache=kept))


@pytest.mark.parametrize("layout", ["nhw", "nchw", "nhwc", "fortran"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_an_array_beyond_the_bound_of_memory_is_fitted_into_the_cache(
    layout, dtype, kept, write, tmp_path, monkeypatch
):
    images = np.random.default_rng(0).integers(0, 256, (150, 3, 5, 7)).astype(dtype)
    images = images / 255 if dtype != "uint8" else images
    channels = 1 if layout == "nhw" else 3
    array = {
        "nhw": images[:, 0],
        "nchw": images,
        "nhwc": images.transpose(0, 2, 3, 1),
        "fortran": np.asfortranarray(images),
    }
    path = tmp_path / "set.npy"
    path.write_bytes(write.npy(array[layout]))
    wanted = {"shape": (channels, 6, 7), "fit": "pad"}
    memory = data.load(path, **wanted)
    monkeypatch.setattr(bounds, "CACHE_ABOVE_BYTES", 1000)
    monkeypatch.setattr(bounds, "MAX_DATASET_BYTES", array[layout].nbytes - 1)
    with pytest.raises(data.DataError, match="MAX_DATASET_BYTES"):
        data.load(path, **wanted)
    sometimes = data.Cache(kept.folder)
    assert same(memory, data.load(path, **wanted, cache=sometimes))
    assert len(entries(sometimes)) == 1


def test_only_what_is_larger_than_the_bound_is_kept_unless_asked(source, kept, monkeypatch):
    sometimes = data.Cache(kept.folder)
    data.load(source, **WANTED, cache=sometimes)
    assert not kept.folder.exists()
    monkeypatch.setattr(bounds, "CACHE_ABOVE_BYTES", 104)  # three images have 105 bytes
    data.load(source, **WANTED, cache=sometimes)
    assert len(entries(kept)) == 1
    monkeypatch.setattr(bounds, "CACHE_ABOVE_BYTES", 105)
    with nothing_decoded(monkeypatch):
        data.load(source, **WANTED, cache=sometimes)  # what is there is used


def test_the_cache_is_bounded_too(source, kept, monkeypatch):
    monkeypatch.setattr(bounds, "MAX_CACHED_BYTES", 104)
    with pytest.raises(data.DataError, match="MAX_CACHED_BYTES"):
        data.load(source, **WANTED, cache=kept)
    assert entries(kept) == []


@pytest.mark.parametrize("change", ["content", "time", "more", "other file"])
def test_an_entry_of_a_source_that_changed_is_replaced(change, source, kept, write, some):
    before = data.load(source, **WANTED, cache=kept)
    picture = next(source.rglob("*.png"))
    if change == "content":
        picture.write_bytes(write.picture(255 - some[0]))
    elif change == "time":
        os.utime(picture, ns=(1, 1))
    else:
        (source / ("z.png" if change == "more" else "notes.txt")).write_bytes(write.picture(some[0]))
    after = data.load(source, **WANTED, cache=kept)
    assert same(after, data.load(source, **WANTED))
    assert len(entries(kept)) == 1
    assert (before.fingerprint == after.fingerprint) == (change in ("time", "other file"))
    assert len(before.images) == 3, "who has mapped the old one keeps it"
    assert before.images.sum() == some.sum()


@pytest.mark.parametrize("other", [{"fit": "pad"}, {"crop": "centre"}, {"shape": (3, 5, 7)}, {"labels": 2}])
def test_each_request_has_an_entry_of_its_own(other, write, some, kept, tmp_path):
    path = write.tree(tmp_path / "given", {f"{name}/1.png": write.picture(some[0]) for name in "ab"})
    wanted = {"shape": (1, 5, 7), "fit": "resize"}
    data.load(path, **wanted, cache=kept)
    data.load(path, **{**wanted, **other}, cache=kept)
    assert len(entries(kept)) == 2


def rewritten(folder, **changes):
    path = folder / "entry.json"
    kept = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(kept | {"digest": cache_check.digest_of(kept)}))


DAMAGES = {
    "cut short": lambda f: os.truncate(f / "images.npy", 200),
    "grown": lambda f: os.truncate(f / "images.npy", 2**40),
    "written to": lambda f: (f / "images.npy").write_bytes((f / "images.npy").read_bytes()[:-1] + b"\7"),
    "a pipe": lambda f: ((f / "images.npy").unlink(), os.mkfifo(f / "images.npy")),
    "gone": lambda f: (f / "images.npy").unlink(),
    "labels gone": lambda f: (f / "labels.npy").unlink(),
    "no json": lambda f: (f / "entry.json").write_bytes(b"{"),
    "deep json": lambda f: (f / "entry.json").write_bytes(b"[" * 100_000),
    "a list": lambda f: (f / "entry.json").write_bytes(b"[]"),
    "another format": lambda f: rewritten(f, format="ganspec cache 0"),
    "too many": lambda f: rewritten(f, count=10**15),
    "of objects": lambda f: rewritten(f, dtype="object"),
    "a count of text": lambda f: rewritten(f, count="3"),
    "classes of numbers": lambda f: rewritten(f, classes=[1, 2]),
    "fewer classes than asked for": lambda f: rewritten(f, classes=["a"]),
    "a label without a class": lambda f: (f / "labels.npy").write_bytes(
        (f / "labels.npy").read_bytes()[:-8] + (2).to_bytes(8, "little")
    ),
    "no fingerprint": lambda f: rewritten(f, fingerprint=None),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_entry_that_is_not_sound_is_made_again(damage, write, some, kept, tmp_path):
    path = write.tree(tmp_path / "given", {f"{name}/1.png": write.picture(some[0]) for name in "ab"})
    memory = data.load(path, **WANTED, labels=2)
    data.load(path, **WANTED, labels=2, cache=kept)
    (name,) = entries(kept)
    DAMAGES[damage](kept.folder / name)
    assert same(memory, data.load(path, **WANTED, labels=2, cache=kept))
    assert entries(kept) == [name]
    assert same(memory, data.load(path, **WANTED, labels=2, cache=kept))


@pytest.mark.parametrize("where", ["while decoding", "while publishing"])
def test_an_interruption_leaves_nothing_behind(where, source, kept, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "while decoding":
            patch.setattr(pictures, "fit_all", interrupt)
        else:
            patch.setattr(cache.json, "dump", interrupt)
        with pytest.raises(KeyboardInterrupt):
            data.load(source, **WANTED, cache=kept)
    assert entries(kept) == []
    assert same(data.load(source, **WANTED), data.load(source, **WANTED, cache=kept))


def test_what_a_killed_process_left_is_deleted_by_the_next_one(source, kept):
    data.load(source, **WANTED, cache=kept)
    (name,) = entries(kept)
    partial = kept.folder / f"{name}.99999999.partial"
    os.rename(kept.folder / name, partial)
    data.load(source, **WANTED, cache=kept)
    assert entries(kept) == [name]
    assert not partial.exists()


def told(path, kept, **more):
    with pytest.raises(data.DataError) as caught:
        data.load(path, **WANTED, **more, cache=kept)
    return str(caught.value).replace(str(kept.folder), "CACHE").replace(str(path), "PATH")


def test_a_disk_that_is_too_small_is_told_beforehand(source, kept, monkeypatch):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 1, 1_234_567))
    assert told(source, kept) == GOLDEN["small disk"].strip()
    assert entries(kept) == []


@pytest.mark.parametrize("kind", ["folder", "npy"])
def test_a_write_that_fails_is_told_and_leaves_nothing_behind(kind, source, kept, write, tmp_path):
    path = source
    if kind == "npy":
        path = tmp_path / "set.npy"
        path.write_bytes(write.npy(np.zeros((900, 5, 7), np.uint8)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # as on a full disk, with another reason
    try:
        message = told(path, kept)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert message == GOLDEN["write fails"].strip()
    assert entries(kept) == []


def test_a_folder_that_cannot_be_made_is_told(source, kept):
    kept.folder.write_bytes(b"a file")
    assert told(source, kept) == GOLDEN["no folder"].strip()


def test_a_source_that_changes_meanwhile_is_told(source, kept, monkeypatch):
    fit_all = pictures.fit_all

    def slowly(*what):
        yield from fit_all(*what)
        os.utime(next(source.rglob("*.png")), ns=(1, 1))

    monkeypatch.setattr(pictures, "fit_all", slowly)
    assert told(source, kept) == GOLDEN["source changes"].strip()
    assert entries(kept) == []


def test_of_two_processes_one_waits_and_uses_what_the_other_makes(source, kept, monkeypatch):
    memory, said = data.load(source, **WANTED, cache=kept), []
    (name,) = entries(kept)
    whole, aside = kept.folder / name, kept.folder.parent / "aside"
    os.rename(whole, aside)
    held = open(kept.folder / f"{name}.lock", "rb")  # noqa: SIM115 (a lock, closed below)
    fcntl.flock(held, fcntl.LOCK_EX)

    def other_process_ends(_seconds):
        os.rename(aside, whole)
        held.close()

    monkeypatch.setattr(cache.time, "sleep", other_process_ends)
    monkeypatch.setattr(pictures, "fit_all", lambda *_: pytest.fail("decoded twice"))
    found = data.load(source, **WANTED, cache=data.Cache(kept.folder, always=True, say=said.append))
    assert same(memory, found)
    assert said == [f"cache: another process decodes the same data into {kept.folder}; waiting for it"]


def test_many_threads_at_once_make_one_entry(source, kept):
    found = []
    threads = [threading.Thread(target=lambda: found.append(data.load(source, **WANTED, cache=kept))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(entries(kept)) == 1


def test_what_will_be_done_is_said_before_and_a_look_writes_nothing(write, some, kept, tmp_path):
    path = write.tree(tmp_path / "given", {f"{name}/1.png": write.picture(some[0]) for name in "ab"})
    look = data.Cache(kept.folder, always=True, look_only=True)
    with pytest.raises(data.NotCached) as caught:
        data.load(path, **WANTED, labels=2, jobs=2, cache=look)
    assert str(caught.value).replace(str(kept.folder), "CACHE") == GOLDEN["look"].strip()
    assert not kept.folder.exists()
    outline, memory = caught.value.outline, data.load(path, **WANTED, labels=2)
    assert (outline.source, outline.classes, outline.fingerprint) == (memory.source, memory.classes, "")
    np.testing.assert_array_equal(outline.images, memory.images)  # both pictures are the same
    np.testing.assert_array_equal(outline.labels, memory.labels)
    said = []
    data.load(path, **WANTED, labels=2, cache=data.Cache(kept.folder, always=True, say=said.append))
    assert [text.replace(str(kept.folder), "CACHE") for text in said] == [GOLDEN["estimate"].strip()]
    assert same(data.load(path, **WANTED, labels=2, cache=look), memory)


def in_processes(monkeypatch):
    """Send chunks of pictures through pickles, as processes do, in this process."""

    def spread(function, asked, jobs):
        assert jobs == 2
        yield from (pickle.loads(pickle.dumps(function(pickle.loads(pickle.dumps(one))))) for one in asked)

    monkeypatch.setattr(decoders, "spread", spread)
    monkeypatch.setattr(decoders, "ALONE_SECONDS", 0)
    monkeypatch.setattr(decoders, "WORTH_SECONDS", 0)


@pytest.mark.parametrize("kind", ["folder", "tar.gz", "zip"])
@pytest.mark.parametrize("bad", [False, True])
def test_several_processes_find_what_one_finds(kind, bad, write, some, tmp_path, monkeypatch):
    files = {f"{i:03}.png": write.picture(some[i % 3] + np.uint8(i)) for i in range(150)}
    if bad:
        files |= {"100.png": b"", "003.png": b"text", "080.png": write.picture(some[0][:, :4]), "149.png": b"\xff"}
    path = write.tree(tmp_path / "given", files) if kind == "folder" else tmp_path / "given"
    if kind != "folder":
        path.write_bytes(write.zip(files) if kind == "zip" else write.gz(write.tar(files)))

    def found(jobs):
        try:
            return data.load(path, **WANTED, jobs=jobs).fingerprint
        except data.DataError as error:
            return str(error)

    alone = found(1)
    in_processes(monkeypatch)
    assert found(2) == alone
    assert ("4 of 150 pictures cannot be used" in alone) == bad


@pytest.mark.slow  # starting processes takes seconds
def test_true_processes_find_what_one_finds(write, some, tmp_path, monkeypatch):
    path = write.tree(tmp_path / "given", {f"{i:03}.png": write.picture(some[i % 3] + np.uint8(i)) for i in range(150)})
    monkeypatch.setattr(decoders, "ALONE_SECONDS", 0)
    monkeypatch.setattr(decoders, "WORTH_SECONDS", 0)
    assert data.load(path, **WANTED, jobs=2).fingerprint == data.load(path, **WANTED).fingerprint


def test_batches_of_a_mapped_data_set_take_no_more_memory_than_their_images(kept, tmp_path):
    system = load_system("gan_mlp_mnist", ["run.batch=8"], reduced=True)
    images = np.random.default_rng(0).integers(0, 256, (2000, 3, 64, 64), np.uint8)
    np.save(tmp_path / "set.npy", images)
    wanted = {"shape": (3, 64, 64), "fit": "exact"}
    data.load(tmp_path / "set.npy", **wanted, cache=kept)
    plain = Feed(system, data.load(tmp_path / "set.npy", **wanted), 0, "float32")
    tracemalloc.start()
    feed = Feed(system, data.load(tmp_path / "set.npy", **wanted, cache=kept), 0, "float32")
    batches = [feed()["x"] for _ in range(3)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert images.nbytes > 24e6
    assert peak < 12e6  # ten megabytes are for entry.json, however large it may be
    for batch in batches:
        np.testing.assert_array_equal(batch, plain()["x"])


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's account of what is resident")
def test_what_batches_have_read_does_not_stay_in_memory(kept, tmp_path):
    system = load_system("gan_mlp_mnist", ["run.batch=8"], reduced=True)
    images = np.random.default_rng(0).integers(0, 256, (400, 3, 64, 64), np.uint8)
    np.save(tmp_path / "set.npy", images)
    found = data.load(tmp_path / "set.npy", shape=(3, 64, 64), fit="exact", cache=kept)
    feed = Feed(system, found, 0, "float32")
    assert found.images.sum() == images.sum()
    assert resident(kept.folder) > images.nbytes // 2
    first = feed()["x"]
    assert resident(kept.folder) == 0
    assert np.array_equal(
        first, Feed(system, data.load(tmp_path / "set.npy", shape=(3, 64, 64), fit="exact"), 0, "float32")()["x"]
    )


def resident(folder):
    """Returns: how many bytes of mapped files of a folder are in this process's memory."""
    total, counts = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            counts = str(folder) in line
        elif counts and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total
