"""What a run was made with: versions, the processor, the commit. It is recorded for readers; resuming does not depend on it."""

from __future__ import annotations

import importlib
import platform
import re
from pathlib import Path
from typing import Any

import ganspec
from ganspec.spec.training.record import read_regular_file
from ganspec.tools.backends import NAMES, versions

_MAX_BYTES = 10_000_000  # of a file of git's or of /proc/cpuinfo
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def environment(backend: str) -> dict[str, Any]:
    """Describe what a run of a backend is made with; the backend's framework is imported.

    Args:
        backend: name of the backend.

    Returns: versions of ganspec, Python, NumPy, the framework (or the package that brings the backend) and CUDA (None
        without it), names of operating system and processor, and the commit if the package lies in a git checkout, else None.
    """
    return {
        "ganspec": ganspec.__version__,
        "commit": commit(Path(ganspec.__file__).resolve().parent),
        "python": platform.python_version(),
        "numpy": str(importlib.import_module("numpy").__version__),
        **versions(backend),
        "cuda": _cuda(backend),
        "system": platform.platform(terse=True),
        "cpu": processor(),
    }


def processor() -> str:
    """Returns: the processor's name, as good as the system knows it."""
    try:
        text = read_regular_file(Path("/proc/cpuinfo"), _MAX_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def commit(folder: Path) -> str | None:
    """Read which commit is checked out; git itself is not run.

    Args:
        folder: root of a checkout, or any folder.

    Returns: the commit in hexadecimal; None where the folder is no checkout or has no commit yet.
    """
    try:
        git = folder / ".git"
        if git.is_file():  # of a worktree or submodule: "gitdir: PATH"
            git = folder / _text(git).removeprefix("gitdir:").strip()
        head = _text(git / "HEAD")
        if not head.startswith("ref:"):
            return _commit(head)
        name = head.removeprefix("ref:").strip()
        if not name.startswith("refs/") or ".." in name:
            return None
        shared = git / _text(git / "commondir") if (git / "commondir").is_file() else git
        for place in (git, shared):
            if (place / name).is_file():
                return _commit(_text(place / name))
        packed = _text(shared / "packed-refs").splitlines()
        return next((_commit(line.split()[0]) for line in packed if line.endswith(f" {name}")), None)
    except (OSError, ValueError):
        return None


def _text(path: Path) -> str:
    return read_regular_file(path, _MAX_BYTES).decode("utf-8").strip()


def _commit(text: str) -> str | None:
    return text if _COMMIT.fullmatch(text) else None


def _cuda(backend: str) -> str | None:
    """Returns: the version of CUDA that the framework uses; None where it uses none."""
    if backend not in NAMES:
        return None
    if backend == "torch":
        return importlib.import_module("torch").version.cuda
    try:
        number = importlib.import_module("cupy").cuda.runtime.runtimeGetVersion()  # 13010 is 13.1
    except Exception:  # not installed, or installed without its libraries: CuPy raises all sorts
        return None
    return f"{number // 1000}.{number % 1000 // 10}"
