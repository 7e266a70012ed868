"""A failure on a drawn system shows the whole system, and a command that shows the same failure without hypothesis."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ganspec.spec import load_system
from ganspec.spec.description import describe
from ganspec.tools.agreement.mutants.computing import replace_layer
from ganspec.tools.errors import AGREED, DISAGREED
from support.drawn import write_variant
from support.programs import here

ROOT = Path(__file__).resolve().parent.parent
# A plugin of pytest: Chainer's tanh becomes another function.
BREAKS_TANH = """
import ganspec.impl_chainer.layers as layers
right = layers.LAYERS["tanh"]
layers.LAYERS["tanh"] = lambda layer, x, *rest: right(layer, [x[0] * 1.001], *rest)
"""
TEST = "tests/test_layers.py::test_backends_agree_on_a_critic_with[planes]"


@pytest.mark.usefixtures("both_backends")
def test_a_failure_shows_the_system_and_a_command_that_repeats_it(tmp_path, patch):
    (tmp_path / "breaks_tanh.py").write_text(BREAKS_TANH)
    options = [
        "-q",
        "-p",
        "breaks_tanh",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-o",
        "addopts=--import-mode=importlib",
    ]
    failed = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--basetemp", str(tmp_path / "base"), TEST],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert failed.returncode == 1, failed.stdout + failed.stderr
    (command,) = {line.removeprefix("E").strip() for line in failed.stdout.splitlines() if "ganspec crosscheck" in line}
    program, *arguments = command.split()
    shown = re.sub(r"^E? *", "", failed.stdout, flags=re.MULTILINE)
    kept = Path(arguments[1])
    assert program == "ganspec"
    assert kept.name == "system.toml"
    try:
        for path in kept.parent.iterdir():
            assert re.sub(r"^ *", "", path.read_text(), flags=re.MULTILINE) in shown
        shutil.rmtree(tmp_path / "base")  # as pytest itself does with the folders of earlier runs
        assert here(*arguments) == AGREED, "in this process nothing is broken"
        replace_layer("tanh", lambda right, layer, x, *rest: right(layer, [x[0] * 1.001], *rest))(patch, "chainer")
        assert here(*arguments) == DISAGREED
    finally:
        shutil.rmtree(kept.parent)


def test_a_variant_that_is_written_is_the_one_that_settings_make(tmp_path):
    chosen = {"loss.gamma": 0.25, "data.shape": [1, 16, 16], "optimizers.D.epsilon_place": "corrected", "run.batch": 3}
    chosen |= {f"networks.{name}.size": 16 for name in "GD"}
    file = write_variant(tmp_path, "began_mnist", chosen)
    assert tomllib.loads(file.read_text())["loss"] == {"gamma": 0.25}
    settings = [f"{key}={value}" for key, value in chosen.items()]
    assert describe(load_system(str(file))) == describe(load_system("began_mnist", settings))
