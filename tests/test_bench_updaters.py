"""The script that times the updaters of Chainer-GAN-lib: docs/bench_updaters.py."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from ganspec.tools.errors import UserError

SCRIPT = Path(__file__).parents[1] / "docs" / "bench_updaters.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that looks like a copy of the library; its modules are forgotten afterwards."""
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "net.py").write_text("class DCGANGenerator:\n    pass\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "common":
            del sys.modules[name]


def test_an_unknown_algorithm_is_named_with_those_that_there_are(script, folder):
    with pytest.raises(UserError, match=r"no algorithm 'wgan': expected .*dcgan.*did you mean 'wgan_gp'\?"):
        script["main"]([str(folder), "wgan"])


def test_a_folder_of_something_else_is_said_to_be_so(script, tmp_path):
    with pytest.raises(UserError, match=r"no Chainer-GAN-lib, which has common/net\.py"):
        script["main"]([str(tmp_path), "dcgan"])


def test_an_updater_that_fails_is_named_with_its_reason_and_the_rest_goes_on(script, folder, capsys):
    pytest.importorskip("ganspec.impl_chainer.compat")
    written = folder / "times.json"
    with pytest.raises(UserError, match="nothing was measured"):
        script["main"]([str(folder), "dcgan", "dfm", "--batch", "2", "--json", str(written)])
    out = capsys.readouterr().out
    assert "dcgan: the updater does not run here: AttributeError: module 'common.net' has no attribute" in out
    assert "dfm: the updater does not run here: ModuleNotFoundError: No module named 'dfm'" in out
    assert json.loads(written.read_text()) == []


def test_an_updater_that_is_written_for_cupy_alone_says_so(script):
    with pytest.raises(UserError, match=r"has no attribute 'get'; it calls \.get\(\), which CuPy's arrays have"):
        script["explained"]("began", lambda: script["np"].zeros(2).get())


def test_its_algorithms_are_our_systems_with_as_many_steps_of_the_discriminator(script):
    for name, (*_, arguments) in script["ALGORITHMS"].items():
        system = script["prepared"](name, 2)
        steps = sum(step.repeat for step in system.schedule.steps if "D" in step.update)
        assert (system.run.batch, arguments.get("n_dis", 1)) == (2, steps), name
