"""Decoded images on the disk: for data sets that do not fit into memory, and for those that take long to decode.

    FOLDER/KEY/images.npy   the images as the system wants them, mapped into memory by those who train on them
    FOLDER/KEY/labels.npy   their labels, if they have any
    FOLDER/KEY/entry.json   what they were made from, and their fingerprint
    FOLDER/KEY.lock         held by the process that makes an entry; others wait for it
    FOLDER/KEY.PROCESS.partial   an entry that is being made; it gets its own name when it is whole

KEY is a digest of the request: the path of the source, shape, fit, crop and so on, and the version of the decoder. An entry holds
while `identity` finds the source as it was, and `cache_check` the entry; otherwise it is made again, and replaced. Whatever
happens (Ctrl-C, a full disk, a lost machine), an entry is whole or not there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ganspec.spec.text.errors import printable
from ganspec.tools.data import bounds
from ganspec.tools.data.array_files import ArrayFile, content
from ganspec.tools.data.cache_check import FORMAT, checked, digest_of
from ganspec.tools.data.cache_request import Cache, MadeMeanwhile, Preview, Undecoded, format_bytes
from ganspec.tools.data.detect import open_file
from ganspec.tools.data.errors import DataError
from ganspec.tools.data.fingerprint import fingerprint
from ganspec.tools.data.fitting import FittedImages, Wanted
from ganspec.tools.data.identity import identity
from ganspec.tools.errors import reason

_SPARE_BYTES = 64 * 2**20  # that stay free on the disk
_WAIT_SECONDS = 0.5  # between two looks at a lock
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_FILES = ("images.npy", "labels.npy", "entry.json")


class Entry:
    """The place of one data set in a cache; use it as a context manager.

    Args:
        cache: the cache.
        path: path of the source.
        inside: path in it, where it is an archive; None for all of it.
        beside: other files that belong to the source.
        wanted: shape and kind of the images.
    """

    def __init__(self, cache: Cache, path: Path, inside: str | None, beside: list[Path], wanted: Wanted) -> None:
        self._cache, self._source, self._beside, self._jobs = cache, path, beside, wanted.jobs
        self._request = {
            "path": os.path.realpath(path), "inside": inside, "shape": list(wanted.shape), "fit": wanted.fit,
            "crop": wanted.crop, "skip_grey": wanted.skip_grey, "labels": wanted.labels, "decoder": _decoder(),
        }  # fmt: skip
        key = hashlib.sha256(json.dumps([FORMAT, self._request], sort_keys=True).encode()).hexdigest()[:32]
        self.path = cache.folder / key
        self._partial = cache.folder / f"{key}.{os.getpid()}.partial"
        self._identity = ""
        self._lock: int | None = None
        self._file: ArrayFile | None = None
        self._begun = False
        self._refused: tuple[int, int] | None = None  # number and time of change of an entry.json that does not hold

    def __enter__(self) -> Entry:
        self._identify()  # before anything is read, so that whatever changes from now on is seen
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        if self._begun:
            _delete(self._partial)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def holds(self, nbytes: int) -> bool:
        """Returns: whether images of so many bytes are kept in the cache, and not in memory."""
        return self._cache.always or nbytes > bounds.CACHE_ABOVE_BYTES

    def read(self) -> tuple[FittedImages, str] | None:
        """Returns: the images of the entry, mapped into memory, and their fingerprint; None if there is none that holds."""
        try:
            status = os.lstat(self.path / "entry.json")
        except OSError:  # there is none
            return None
        seen = status.st_ino, status.st_ctime_ns
        if seen == self._refused:  # another look would find the same, and take as long
            return None
        found = checked(self.path, self._request, self._identify, self._cache.say)
        self._refused = seen if found is None else None
        return found

    def begin(self, outline: FittedImages, count: int, dtype: np.dtype, preview: Callable[[], Preview]) -> ArrayFile:
        """Begin to make the entry.

        Args:
            outline: labels, classes and description of the data set; its images count for nothing.
            count: number of images.
            dtype: type of their values.
            preview: function that decodes some of them.

        Returns: the file that the images are to be put into.

        Raises:
            DataError: there is not enough room, or it cannot be written.
            Undecoded: the cache is only looked at.
            MadeMeanwhile: another process has made it.
        """
        shape = tuple(self._request["shape"])
        bounds.refuse_oversized(count, shape, np.dtype(dtype).itemsize, cached=True)
        size = count * int(np.prod(shape)) * np.dtype(dtype).itemsize
        seen = preview()
        if self._cache.look_only:
            images = np.broadcast_to(seen.image.astype(dtype), (count, *shape))
            raise Undecoded(self._estimate(count, size, seen, "would be"), outline._replace(images=images))
        folder = self._cache.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._wait_for_lock()
            if (made := self.read()) is not None:
                raise MadeMeanwhile(*made)
            for left in folder.glob(f"{self.path.name}.*.partial") if self._lock is not None else ():
                _delete(left)  # by a process that was killed: it would hold the lock
            self._refuse_small_disk(size)
            self._cache.say(self._estimate(count, size, seen, "are"))
            self._partial.mkdir()
            self._begun = True
        except OSError as error:
            raise self._unwritable(error) from None
        self._file = ArrayFile(self._partial / "images.npy", count, shape, dtype, self._unwritable)
        return self._file

    def publish(self, found: FittedImages) -> str:
        """Give the entry its name, now that it is whole; nothing is written if none was begun.

        Args:
            found: the images, as the file gave them, and what belongs to them.

        Returns: the fingerprint of images and labels.

        Raises:
            DataError: the source has changed meanwhile, or the entry cannot be written.
        """
        if not self._begun:
            return fingerprint(found.images, found.labels)
        before, self._identity = self._identity, ""
        if self._identify() != before:
            raise DataError("changed while it was read", "data that does not change", "wait until nothing writes to it")
        try:
            with open_file(self._partial / "images.npy") as file:
                digest = fingerprint(found.images, found.labels, content(file))
            if found.labels is not None:
                where = self._partial / "labels.npy"
                labels = ArrayFile(where, len(found.labels), (), np.dtype(np.int64), self._unwritable)
                labels.put(0, found.labels)
                labels.finish()
            kept = {
                "format": FORMAT, "request": self._request, "identity": before, "count": len(found.images),
                "dtype": str(found.images.dtype), "labelled": found.labels is not None, "described": found.described,
                "classes": None if found.classes is None else list(found.classes), "fingerprint": digest,
            }  # fmt: skip
            kept["digest"] = digest_of(kept)
            with open(self._partial / "entry.json", "x", encoding="ascii") as file:
                json.dump(kept, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            old = self._partial.with_suffix(".old")
            if os.path.lexists(self.path):  # of a source that has changed since
                os.rename(self.path, old)
                os.rename(self._partial, self.path)
                _delete(old)
            else:
                os.rename(self._partial, self.path)
        except OSError as error:
            raise self._unwritable(error) from None
        return digest

    def _identify(self) -> str:
        if not self._identity:
            self._identity = identity([self._source, *self._beside])
        return self._identity

    def _wait_for_lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows: two processes make the entry at once, each in a folder of its own
            return
        path = self.path.with_suffix(".lock")
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        told = False
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if not told:
                    self._cache.say(
                        f"cache: another process decodes the same data into {self._cache.folder}; waiting for it"
                    )
                    told = True
                time.sleep(_WAIT_SECONDS)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                os.close(self._lock)
                self._lock = None
                return

    def _refuse_small_disk(self, size: int) -> None:
        free = shutil.disk_usage(self._cache.folder).free
        if free < size + _SPARE_BYTES:
            raise DataError(
                f"has {format_bytes(free)} free; the decoded images need {format_bytes(size)}, and "
                f"{format_bytes(_SPARE_BYTES)} stay free",
                "a disk with that much room",
                "free some space, or choose another place with --cache-to DIR",
                path=self._cache.folder,
            )

    def _estimate(self, count: int, size: int, seen: Preview, verb: str) -> str:
        images = f"{count:,} images {bounds.format_sizes(tuple(self._request['shape']))} {verb} decoded"
        into = f"into {printable(str(self._cache.folder))}, {format_bytes(size)}"
        return f"cache: {images} {into}; {seen.duration(count, self._jobs)}"

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(
            f"cannot be written ({reason(error)})",
            "a folder that you may write to, on a disk with room",
            "free some space there, or choose another place with --cache-to DIR; nothing is left behind",
            path=self._cache.folder,
        )


def _delete(folder: Path) -> None:
    """Delete an entry: the files that an entry has, and no others."""
    with contextlib.suppress(OSError):
        for name in _FILES:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder / name)
        os.rmdir(folder)


def _decoder() -> str:
    """Returns: the version of what decodes pictures; another one may give other pixels."""
    try:
        import PIL
    except ImportError:
        return ""
    return f"Pillow {PIL.__version__}"
