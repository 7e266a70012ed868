"""The pytest plugin: its fixture, sections and properties; it is cheap and leaves other people's tests alone."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

PLUGIN = "ganspec.tools.conformance.plugin"
TESTS = Path(__file__).resolve().parent.parent
# Where ganspec is installed with its entry point, pytest loads the plugin by itself.
LOADED = [] if any(e.value == PLUGIN for e in entry_points(group="pytest11")) else ["-p", PLUGIN]
TEST_FILE = """
import pytest
from ganspec import conformance
from support.conformance.gan_torch import Critic, Generator, WganGp

HOW = dict(reduced=True, iterations=1, settings=["schedule.critic_steps=1", "run.batch=3"])

def networks(slope):
    step = WganGp(Generator(5, 8, 36), Critic(36, 7, slope), 5)
    step.critic_steps = 1
    return step, dict(G=step.generator, D=step.critic, **HOW)

def test_right(ganspec_check):
    step, how = networks(0.3)
    assert ganspec_check("wgan_gp_mlp_mnist", step, **how).agrees

def test_wrong(ganspec_check):
    step, how = networks(0.2)
    ganspec_check("wgan_gp_mlp_mnist", step, **how)

def test_wrong_without_the_fixture():
    step, how = networks(0.2)
    report = conformance.check("wgan_gp_mlp_mnist", step, **how)
    assert report.agrees, report

def test_cannot_be_compared(ganspec_check):
    step, how = networks(0.3)
    ganspec_check("wgan_gp_mlp_mnst", step, **how)
"""


def pytest_run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rN", *LOADED, *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    if find_spec("torch") is None:
        pytest.skip("needs torch")
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "test_theirs.py").write_text(TEST_FILE)
    # Warnings are errors: the fixture has none, not even in the family of junit files for which pytest's own fixture warns.
    done = pytest_run(folder, "-W", "error", "--junitxml=found.xml", "-o", "junit_family=xunit2")
    cases = {case.get("name"): case for case in ET.parse(folder / "found.xml").iter("testcase")}
    return done.stdout, cases


def test_right_code_passes_and_wrong_code_fails(ran):
    text, cases = ran
    assert "3 failed, 1 passed" in text, text
    assert cases["test_right"].find("failure") is None


def test_report_is_a_section_with_or_without_the_fixture(ran):
    text, _ = ran
    assert text.count("- ganspec: wgan_gp_mlp_mnist -") == 2
    assert text.count("layer %2 D(%1): leaky_relu_1\n") == 2
    assert "wgan_gp_mlp_mnist: the code differs from the system, first at iteration 0, step 0, repeat 0" in text
    assert (
        "<wgan_gp_mlp_mnist: your code differs first at iteration 0, step 0, repeat 0: layer %2 D(%1): leaky_relu_1"
        in text
    )


def test_code_that_cannot_be_compared_fails_with_one_message_and_no_traceback(ran):
    _, cases = ran
    message = cases["test_cannot_be_compared"].find("failure").text
    assert "did you mean 'wgan_gp_mlp_mnist'?" in message
    assert "Traceback" not in message
    assert "plugin.py" not in message


def test_junit_properties_say_what_was_found(ran):
    _, cases = ran
    found = {name: {p.get("name"): p.get("value") for p in case.iter("property")} for name, case in cases.items()}
    assert found["test_right"]["ganspec.agrees"] == "True"
    assert int(found["test_right"]["ganspec.compared"]) > 100
    wrong = found["test_wrong"]
    assert wrong["ganspec.agrees"] == "False"
    assert wrong["ganspec.first"] == "iteration 0, step 0, repeat 0: %2 D(%1): leaky_relu_1"
    assert wrong["ganspec.source"].startswith("architectures/mlp_discriminator.toml:")


def test_plugin_loads_nothing_heavy_and_other_tests_run_as_ever(tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_other():\n    heavy = {'torch', 'chainer', 'numpy', 'ganspec.spec', 'ganspec.conformance'}\n"
        f"    assert '{PLUGIN}' in sys.modules\n    assert not heavy & set(sys.modules)\n"
    )
    done = pytest_run(tmp_path, "-q")
    assert "1 passed" in done.stdout, done.stdout + done.stderr
