"""Systems that hypothesis draws: written as files, and shown with a command where a test of them fails."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hypothesis import note

_kept: dict[str, Path] = {}  # by the text of the files: hypothesis runs a failing example more than once


def write_variant(folder: Path, like: str, chosen: Mapping[str, object]) -> Path:
    """Write a system that is like a packaged one but for some keys.

    Args:
        folder: where the file is written.
        like: name of the packaged system.
        chosen: values by key, such as {"loss.gamma": 0.5}.

    Returns: the file.
    """
    lines = [f"{key} = {json.dumps(value)}" for key, value in chosen.items()]
    file = folder / "system.toml"
    file.write_text("\n".join([f'title = "drawn"\nsource = "none"\nlike = "{like}"', *lines]) + "\n")
    return file


@contextmanager
def reproducible(file: Path, *, seed: int, iterations: int) -> Iterator[None]:
    """Show the system where the test fails inside: each of its files, and a command that compares the backends on it again.

    The files are copied to a folder of their own, which stays.

    Args:
        file: the system; all TOML files beside it belong to it.
        seed: seed of the comparison.
        iterations: number of iterations that are compared.
    """
    try:
        yield
    except Exception:
        files = sorted(file.parent.glob("*.toml"))
        text = "\n".join(f"# {path.name}\n{path.read_text()}" for path in files)
        if text not in _kept:
            _kept[text] = Path(tempfile.mkdtemp(prefix="ganspec-drawn-"))
            for path in files:
                shutil.copy(path, _kept[text])
        command = f"ganspec crosscheck {_kept[text] / file.name} --full --seed {seed} --iterations {iterations}"
        note(f"the system:\n{text}\nto compare the backends on it again:\n{command}")
        raise
