"""Runs Python in a process of its own, because what is tested is how a process imports Chainer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def python():
    """A function that runs ``python *arguments`` from the project's root, with at most so many seconds."""

    def run(*arguments, cwd=ROOT, timeout=60, **environment):
        variables = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1", **environment}
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env=variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def passes(python):
    """A function that runs a piece of code and fails with its traceback if it raises."""

    def run(code, *options, **environment):
        done = python(*options, "-c", code, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
