"""``python -m ganspec.impl_chainer.compat script.py args`` is ``python script.py args``, with Chainer mended."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

RUN = ("-m", "ganspec.impl_chainer.compat")
LOOK = """
import json, sys
print(json.dumps({
    "argv": sys.argv, "path": sys.path[0], "name": __name__, "file": __file__, "package": __package__,
    "main": sys.modules["__main__"].__dict__ is globals(), "doc": __doc__, "cached": globals().get("__cached__"),
}))
"""


def test_script_sees_what_python_shows_it(python, tmp_path):
    script = tmp_path / "look.py"
    script.write_text(LOOK)
    plain = python(script, "a", "--b", "-m")
    ours = python(*RUN, script, "a", "--b", "-m")
    assert json.loads(ours.stdout) == json.loads(plain.stdout), ours.stderr
    assert json.loads(ours.stdout)["argv"] == [str(script), "a", "--b", "-m"]
    assert json.loads(ours.stdout)["path"] == str(tmp_path)


def test_relative_script_keeps_its_name(python, tmp_path):
    (tmp_path / "look.py").write_text(LOOK)
    plain = python("look.py", cwd=tmp_path)
    ours = python(*RUN, "look.py", cwd=tmp_path)
    assert json.loads(ours.stdout) == json.loads(plain.stdout), ours.stderr


@pytest.mark.parametrize(("code", "status"), [("3", 3), ("None", 0), ("'why'", 1), ("True", 1)])
def test_exit_status_is_the_script_s(code, status, python, tmp_path):
    script = tmp_path / "leave.py"
    script.write_text(f"import sys\nsys.exit({code})\n")
    done = python(*RUN, script)
    assert done.returncode == status
    assert done.stderr == ("why\n" if code == "'why'" else "")


USAGE = "usage: python -m ganspec.impl_chainer.compat [options] (script.py | -m module) [args ...]\n"


def test_help_is_no_error(python):
    for option in ("--help", "-h"):
        done = python(*RUN, option)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(USAGE)
        assert "--old-names" in done.stdout


def test_help_after_the_script_is_the_script_s(python, tmp_path):
    (tmp_path / "look.py").write_text(LOOK)
    done = python(*RUN, tmp_path / "look.py", "--help", "--old-names", "-m")
    assert json.loads(done.stdout)["argv"][1:] == ["--help", "--old-names", "-m"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], ""),
        (["-m"], ""),
        (["--wrong"], "unknown option or value: --wrong"),
        (["--old-names=", "folder"], "unknown option or value: --old-names"),
        (["--children=yes", "folder"], "--children takes no value"),
        (["nowhere.py"], "no such file: nowhere.py"),
        (["folder"], "folder is a directory; name a script in it"),
        (["package"], "package is a directory; name a script in it, such as package/__main__.py"),
        (["-m", "nowhere"], "no module named nowhere in the working directory or among the installed packages"),
        (["-m", "package.no"], "no module named package.no in the working directory or among the installed packages"),
        (["-m", "folder"], "no module named folder.__main__ in the working directory or among the installed packages"),
        (
            ["-m", "package/__main__.py"],
            "no module named package/__main__.py in the working directory or among the installed packages",
        ),
        (["-m", ".package"], "no module named .package in the working directory or among the installed packages"),
        (["-m", "math"], "math cannot be run: it has no Python code"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(arguments, reason, python, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text("")
    done = python(*RUN, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"{USAGE}{reason}\n" if reason else USAGE)


def test_module_runs_too(python, tmp_path):
    (tmp_path / "look.py").write_text(LOOK)
    done = python(*RUN, "-m", "look", "a", cwd=tmp_path)
    plain = python("-m", "look", "a", cwd=tmp_path)
    seen, expected = json.loads(done.stdout), json.loads(plain.stdout)
    assert seen == expected
    assert (seen["name"], seen["argv"][1:], seen["main"]) == ("__main__", ["a"], True)


@pytest.mark.skipif(find_spec("chainer") is None, reason="needs chainer")
def test_old_chainer_script_runs_unchanged(python, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import numpy as np\nimport chainer\nimport chainer.functions as F\nimport chainer.links as L\n"
        "from chainer import training\nfrom chainer.training import extensions\n"
        "data = chainer.datasets.TupleDataset(np.eye(4, dtype='f'), np.arange(4, dtype='i'))\n"
        "model = L.Classifier(L.Linear(4, 4))\n"
        "optimizer = chainer.optimizers.Adam(0.1).setup(model)\n"
        "updater = training.StandardUpdater(chainer.iterators.SerialIterator(data, 2), optimizer)\n"
        "trainer = training.Trainer(updater, (20, 'epoch'), out='result')\n"
        "trainer.extend(extensions.LogReport())\n"
        "trainer.extend(extensions.PrintReport(['epoch', 'main/loss', 'main/accuracy']))\n"
        "trainer.extend(extensions.snapshot())\n"
        "trainer.run()\n"
    )
    done = python(*RUN, script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log = json.loads((tmp_path / "result" / "log").read_text())
    assert [entry["epoch"] for entry in log] == list(range(1, 21))
    assert log[-1]["main/accuracy"] == 1.0
    assert (tmp_path / "result" / "snapshot_iter_40").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_help_that_cannot_be_written_is_no_traceback():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "ganspec.impl_chainer.compat", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "the help cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
