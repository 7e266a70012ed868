"""``python -m ganspec.impl_chainer.compat script.py args`` is ``python script.py args``, with Chainer mended."""

import json
from importlib.util import find_spec

import pytest

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
    ours = python("-m", "ganspec.impl_chainer.compat", script, "a", "--b", "-m")
    assert json.loads(ours.stdout) == json.loads(plain.stdout), ours.stderr
    assert json.loads(ours.stdout)["argv"] == [str(script), "a", "--b", "-m"]
    assert json.loads(ours.stdout)["path"] == str(tmp_path)


def test_relative_script_keeps_its_name(python, tmp_path):
    (tmp_path / "look.py").write_text(LOOK)
    plain = python("look.py", cwd=tmp_path)
    ours = python("-m", "ganspec.impl_chainer.compat", "look.py", cwd=tmp_path)
    assert json.loads(ours.stdout) == json.loads(plain.stdout), ours.stderr


@pytest.mark.parametrize(("code", "status"), [("3", 3), ("None", 0), ("'why'", 1), ("True", 1)])
def test_exit_status_is_the_script_s(code, status, python, tmp_path):
    script = tmp_path / "leave.py"
    script.write_text(f"import sys\nsys.exit({code})\n")
    done = python("-m", "ganspec.impl_chainer.compat", script)
    assert done.returncode == status
    assert done.stderr == ("why\n" if code == "'why'" else "")


def test_traceback_passes_through(python, tmp_path):
    script = tmp_path / "fail.py"
    script.write_text("def f():\n    raise ValueError('here')\n\n\nf()\n")
    done = python("-m", "ganspec.impl_chainer.compat", script)
    assert done.returncode == 1
    assert f'File "{script}", line 5, in <module>\n    f()\n' in done.stderr
    assert done.stderr.endswith("ValueError: here\n")


def test_missing_script_and_missing_arguments_say_the_usage(python):
    for arguments in ([], ["--wrong"], ["nowhere.py"], ["-m"]):
        done = python("-m", "ganspec.impl_chainer.compat", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith(
            "usage: python -m ganspec.impl_chainer.compat [options] (script.py | -m module) [args ...]\n"
        )
    assert python("-m", "ganspec.impl_chainer.compat", "nowhere.py").stderr.endswith("no such file: nowhere.py\n")


def test_module_runs_too(python, tmp_path):
    (tmp_path / "look.py").write_text(LOOK)
    done = python("-m", "ganspec.impl_chainer.compat", "-m", "look", "a", cwd=tmp_path)
    seen = json.loads(done.stdout)
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
    done = python("-m", "ganspec.impl_chainer.compat", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log = json.loads((tmp_path / "result" / "log").read_text())
    assert [entry["epoch"] for entry in log] == list(range(1, 21))
    assert log[-1]["main/accuracy"] == 1.0
    assert (tmp_path / "result" / "snapshot_iter_40").exists()
