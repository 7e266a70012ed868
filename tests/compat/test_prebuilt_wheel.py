"""The recipe of docs/chainer.md for a new Python: a wheel of Chainer that one Python has built runs in another."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEWEST = 20
TRY = """
import sys
sys.path.insert(0, {home!r})
import ganspec.impl_chainer.compat
import chainer, numpy as np
layer = chainer.links.Linear(2, 1)
layer.cleargrads()
chainer.functions.sum(layer(np.ones((3, 2), "f"))).backward()
print(sys.version_info[1], chainer.__version__, layer.W.grad.tolist())
"""


def version_of(python):
    """Return the version of an interpreter as ``(major, minor)``; None if it does not run."""
    code = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None


def other_python():
    """Return the newest Python that is not this version: on the PATH, or installed beside this one. None if none is."""
    there = [shutil.which(f"python3.{minor}") for minor in range(11, NEWEST)]
    there += map(str, Path(sys.base_prefix).parent.glob("*/bin/python3"))
    versions = {version_of(python): python for python in filter(None, there)}
    versions = {v: python for v, python in versions.items() if v and v >= (3, 11) and v != sys.version_info[:2]}
    return versions[max(versions)] if versions else None


def recipe():
    """Return the commands of the section on new Pythons, one list of words each."""
    text = (ROOT / "docs" / "chainer.md").read_text(encoding="utf-8")
    section = text.partition("### Python 3.14 and newer")[2].partition("\n## ")[0]
    return [line.replace("'", "").split() for line in section.splitlines() if line.startswith("    ")]


def test_recipe_builds_and_installs_one_wheel():
    commands = recipe()
    assert [words[0] for words in commands] == ["python3.11", *["builder/bin/python"] * 2, "python3.14"]
    assert commands[-1][-1] == "chainer-7.8.1-py3-none-any.whl"


@pytest.mark.slow
def test_wheel_of_one_python_runs_in_another(tmp_path):
    other = other_python()
    if other is None:
        pytest.skip("no other Python from 3.11 on is installed")
    subprocess.run([other, "-m", "venv", tmp_path / "new"], check=True, timeout=300)
    new = str(tmp_path / "new" / "bin" / "python")
    for words in recipe():
        command = [{"python3.11": sys.executable, "python3.14": new}.get(words[0], words[0]), *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ganspec").symlink_to(ROOT)
    code = TRY.format(home=str(tmp_path / "home"))
    done = subprocess.run([new, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{version_of(other)[1]} 7.8.1 [[3.0, 3.0]]\n"
