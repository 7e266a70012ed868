"""A cache of decoded images is believed only where its source and its own files are what they were."""

import json
import os
import shutil
import time

import numpy as np
import pytest

from ganspec.tools import data
from ganspec.tools.data import array_files, cache_check

WANTED = {"shape": (1, 5, 7), "fit": "exact", "labels": 2}


@pytest.fixture
def told():
    """Returns: the lines that the cache has said."""
    return []


@pytest.fixture
def kept(tmp_path, told):
    """Returns: a cache in which everything is kept."""
    return data.Cache(tmp_path / "cache", always=True, say=told.append)


def pictures(write, images):
    """Returns: two classes of two pictures each, uncompressed, so that their sizes do not depend on the pixels."""
    bitmap = b"P5\n7 5\n255\n"
    return {
        f"{name}/{i}.pgm": bitmap + image[0].tobytes() for name, i, image in zip("aabb", "0101", images, strict=True)
    }


def stored(write, kind, path, images):
    """Write images as a folder, an archive or an array of the same name and size; return what to change of them."""
    if kind == "folder":
        return write.tree(path, pictures(write, images)) / "b" / "1.pgm"
    if kind == "npy":
        np.save(path.with_suffix(".npy"), images)
        os.replace(path.with_suffix(".npy"), path)
    else:
        path.write_bytes(getattr(write, kind)(pictures(write, images)))
    return path


@pytest.fixture
def two(some):
    """Returns: two sets of four images that differ in one value of the last one."""
    images = np.concatenate([some, some[:1] + 1])
    other = images.copy()
    other[3, 0, 2, 2] ^= 1
    return images, other


@pytest.mark.parametrize("kind", ["folder", "tar", "npy"])
@pytest.mark.parametrize("how", ["written over", "replaced"])
def test_a_source_with_other_pixels_and_its_old_size_and_time_is_read_again(kind, how, two, write, kept, tmp_path):
    path = tmp_path / "given"
    changed = stored(write, kind, path, two[0])
    wanted = WANTED | ({"labels": 0} if kind == "npy" else {})
    before = data.load(path, **wanted, cache=kept)
    status = changed.stat()
    new = stored(write, kind, tmp_path / "new", two[1])
    assert new.stat().st_size == status.st_size
    if how == "replaced":
        os.replace(new, changed)
    else:
        with open(changed, "r+b") as file:
            file.write(new.read_bytes())
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    while changed.stat().st_ctime_ns == status.st_ctime_ns:  # the clock has not ticked since it was written
        time.sleep(0.01)
        os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (changed.stat().st_mtime_ns, changed.stat().st_size) == (status.st_mtime_ns, status.st_size)
    after = data.load(path, **wanted, cache=kept)
    np.testing.assert_array_equal(before.images, two[0])
    np.testing.assert_array_equal(after.images, two[1])
    assert after.fingerprint == data.load(path, **wanted).fingerprint != before.fingerprint


def flip(path, place):
    """Change one bit of a file, and put its time of change back."""
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(place, os.SEEK_END if place < 0 else os.SEEK_SET)
        byte = file.read(1)[0] ^ 1
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def edit(path, change):
    """Replace a part of entry.json by `change(part)`, and leave all else as it is."""
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(change(kept)))


DAMAGES = {
    "first pixel": lambda f: flip(f / "images.npy", 128),
    "last pixel": lambda f: flip(f / "images.npy", -1),
    "label": lambda f: flip(f / "labels.npy", 128),
    "fingerprint": lambda f: edit(f / "entry.json", lambda kept: kept | {"fingerprint": "0" * 64}),
    "classes": lambda f: edit(f / "entry.json", lambda kept: kept | {"classes": kept["classes"][::-1]}),
    "described": lambda f: edit(f / "entry.json", lambda kept: kept | {"described": "a folder of 9 pictures"}),
    "digest gone": lambda f: edit(f / "entry.json", lambda kept: {k: v for k, v in kept.items() if k != "digest"}),
    "digest and fingerprint": lambda f: edit(
        f / "entry.json",
        lambda kept: (kept := kept | {"fingerprint": "0" * 64}) | {"digest": cache_check.digest_of(kept)},
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_told_and_made_again(damage, two, write, kept, told, tmp_path):
    path = write.tree(tmp_path / "given", pictures(write, two[0]))
    memory = data.load(path, **WANTED)
    data.load(path, **WANTED, cache=kept)
    (folder,) = (found for found in kept.folder.iterdir() if found.is_dir())
    shutil.copytree(folder, tmp_path / "whole")
    del told[:]
    DAMAGES[damage](folder)
    for _ in range(2):
        found = data.load(path, **WANTED, cache=kept)
        assert (found.source, found.classes, found.fingerprint) == (memory.source, memory.classes, memory.fingerprint)
        np.testing.assert_array_equal(found.images, memory.images)
        np.testing.assert_array_equal(found.labels, memory.labels)
    assert told[0] == f"cache: {folder} is damaged, or was changed by hand; it is not used"
    assert [line.split(" ")[1] for line in told[1:]] == ["4"], "it is made again, once"
    for name in ("images.npy", "labels.npy", "entry.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_entry_that_was_copied_back_is_believed(two, write, kept, told, tmp_path):
    path = write.tree(tmp_path / "given", pictures(write, two[0]))
    data.load(path, **WANTED, cache=kept)
    shutil.copytree(kept.folder, tmp_path / "aside", copy_function=shutil.copyfile)
    shutil.rmtree(kept.folder)
    shutil.copytree(tmp_path / "aside", kept.folder, copy_function=shutil.copyfile)
    del told[:]
    np.testing.assert_array_equal(data.load(path, **WANTED, cache=kept).images, two[0])
    assert told == []


def test_a_disk_that_cannot_be_read_is_damage_and_no_end(two, write, kept, told, tmp_path, monkeypatch):
    path = write.tree(tmp_path / "given", pictures(write, two[0]))
    data.load(path, **WANTED, cache=kept)

    def fails(handle):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(cache_check, "content", fails)
    np.testing.assert_array_equal(data.load(path, **WANTED, cache=kept).images, two[0])
    assert sum("is damaged" in line for line in told) == 1


def test_a_check_that_takes_long_says_how_long(two, write, kept, told, tmp_path, monkeypatch):
    path = write.tree(tmp_path / "given", pictures(write, two[0]))
    data.load(path, **WANTED, cache=kept)
    del told[:]
    times = iter([0.0, 1.0, 2.5, 5.0, 6.0, 7.0])
    monkeypatch.setattr(cache_check.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(array_files, "_READ_AHEAD", 28)  # 140 bytes in five blocks
    data.load(path, **WANTED, cache=kept)
    # Two blocks took 2.5 s, and three are left.
    assert told == [f"cache: checking 0.1 kB of decoded images in {kept.folder}; about 4 s more"]
