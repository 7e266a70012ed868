"""Whether an entry of a cache is what was put there.

It is read with suspicion. It counts only if entry.json answers the request, and its arrays have exactly the sizes stated there.
The fingerprint of images and labels is computed anew whenever an entry is opened, as it is for data in memory, and entry.json
carries a digest of itself. So whatever was damaged or edited before an entry is opened is found; what happens to it while a run
trains from it is found when it is opened next.

That is no signature: who may write into the folder can put other data there, but only under the fingerprint that those have.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.text.errors import printable
from ganspec.spec.training.record import read_regular_file
from ganspec.tools.data import bounds
from ganspec.tools.data.array_files import content, mapped
from ganspec.tools.data.cache_request import format_bytes
from ganspec.tools.data.detect import open_file
from ganspec.tools.data.errors import DataError
from ganspec.tools.data.fingerprint import fingerprint
from ganspec.tools.data.fitting import FittedImages

FORMAT = "ganspec cache 1"
_MAX_ENTRY_BYTES = 10_000_000  # of entry.json: names of classes take the most, 4 MB
_TELL_AFTER = 2.0  # seconds of checking an entry before it is said how long that will take


def checked(
    folder: Path, request: dict[str, Any], identify: Callable[[], str], say: Callable[[str], None]
) -> tuple[FittedImages, str] | None:
    """Map the arrays of an entry.

    Args:
        folder: folder of the entry.
        request: what it must have been made for.
        identify: function that describes the source as it is now.
        say: function that is told of damage, and of a check that takes long.

    Returns: the images, mapped into memory, what belongs to them, and their fingerprint; None if the entry does not hold.
    """
    try:
        kept = json.loads(read_regular_file(folder / "entry.json", _MAX_ENTRY_BYTES))
        if isinstance(kept, dict) and (kept.get("request") != request or kept.get("identity") != identify()):
            return None  # of a source that has changed
        found = _mapped(folder, kept, request, say)
    except (OSError, DataError, ValueError, RecursionError):  # not there, not to be read, or not JSON
        found = None
    if found is None:
        say(f"cache: {printable(str(folder))} is damaged, or was changed by hand; it is not used")
    return found


def digest_of(kept: dict[str, Any]) -> str:
    """Returns: a digest in hexadecimal of all that entry.json holds, apart from that digest itself."""
    rest = {key: value for key, value in kept.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _mapped(
    folder: Path, kept: Any, request: dict[str, Any], say: Callable[[str], None]
) -> tuple[FittedImages, str] | None:
    if not _is_sound(kept, request["labels"]):
        return None
    labels, count = None, kept["count"]
    classes = None if kept["classes"] is None else tuple(kept["classes"])
    if kept["labelled"]:
        with open_file(folder / "labels.npy") as file:
            labels = mapped(file, (count,), np.dtype(np.int64))
        if labels is None:
            return None
        labels = np.array(labels)
        if labels.min() < 0 or (classes is not None and labels.max() >= len(classes)):
            return None
    with open_file(folder / "images.npy") as file:
        images = mapped(file, (count, *request["shape"]), np.dtype(kept["dtype"]))
        if images is None:
            return None
        values = _telling(content(file), images.nbytes, folder, say)
        if fingerprint(images, labels, values) != kept["fingerprint"]:
            return None
    return FittedImages(images, labels, printable(kept["described"]), classes), kept["fingerprint"]


def _is_sound(kept: Any, labels: int) -> bool:
    """Returns: whether what a file says of an entry has the form that it must have, where so many classes are wanted."""
    if not isinstance(kept, dict) or kept.get("format") != FORMAT or kept.get("digest") != digest_of(kept):
        return False
    classes, count = kept.get("classes"), kept.get("count")
    return (
        type(count) is int
        and 0 < count <= bounds.MAX_IMAGES
        and kept.get("dtype") in ("uint8", "float32")
        and type(kept.get("labelled")) is bool
        and all(isinstance(kept.get(key), str) for key in ("described", "fingerprint", "identity"))
        and re.fullmatch("[0-9a-f]{64}", kept["fingerprint"]) is not None
        and (classes is None or (isinstance(classes, list) and len(classes) == labels))
        and all(isinstance(name, str) for name in classes or ())
    )


def _telling(blocks: Iterable[bytes], size: int, folder: Path, say: Callable[[str], None]) -> Iterator[bytes]:
    """Pass on the blocks of so many bytes; if that takes long, say once how long."""
    start, done, told = time.monotonic(), 0, False
    for block in blocks:
        yield block
        done += len(block)
        seconds = time.monotonic() - start
        if not told and seconds > _TELL_AFTER:
            told = True
            left = seconds / done * (size - done)
            about = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
            where = printable(str(folder.parent))
            say(f"cache: checking {format_bytes(size)} of decoded images in {where}; about {about} more")
