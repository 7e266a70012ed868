"""What a user sees when his program fails under compat: his own traceback, and a hint where the stack is to blame."""

import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from ganspec.impl_chainer.compat.versions import at_least

ROOT = Path(__file__).resolve().parents[2]
RUN = ("-m", "ganspec.impl_chainer.compat")
needs_chainer = pytest.mark.skipif(find_spec("chainer") is None, reason="needs chainer")


@pytest.fixture
def failed(python, tmp_path):
    """A function that runs a script under compat and returns what it wrote to stderr; the script must fail."""

    def run(code, *options):
        (tmp_path / "script.py").write_text(code)
        done = python(*RUN, *options, tmp_path / "script.py")
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    return run


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    raise ValueError('here')\n\n\nf()\n",
        "import json\njson.loads('{')\n",
        "def f(:\n",
        "import nothing_of_this_name\n",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    [][0]\n",
    ],
    ids=["own", "library", "syntax", "import", "chained"],
)
def test_traceback_is_the_one_that_python_prints(code, failed, python, tmp_path):
    ours = failed(code)
    assert ours == python(tmp_path / "script.py").stderr
    assert "ganspec" not in ours
    assert "runpy" not in ours


def test_traceback_of_a_module_begins_in_the_module(python, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "train.py").write_text("1 / 0\n")
    done = python(*RUN, "-m", "package.train", cwd=tmp_path)
    first = f'Traceback (most recent call last):\n  File "{tmp_path / "package" / "train.py"}", line 1, in <module>\n'
    assert done.stderr.startswith(first)
    (tmp_path / "package" / "__init__.py").write_text("1 / 0\n")
    done = python(*RUN, "-m", "package.train", cwd=tmp_path)
    first = (
        f'Traceback (most recent call last):\n  File "{tmp_path / "package" / "__init__.py"}", line 1, in <module>\n'
    )
    assert done.stderr.startswith(first)
    assert done.returncode == 1


def test_script_s_own_excepthook_is_called_with_its_own_frames(failed):
    hook = "lambda kind, error, trace: print(kind.__name__, trace.tb_frame.f_code.co_filename, file=sys.stderr)"
    said = failed(f"import sys\nprint(sys.excepthook is sys.__excepthook__)\nsys.excepthook = {hook}\n1 / 0\n")
    assert said.split() == ["ZeroDivisionError", said.split()[1]]
    assert said.split()[1].endswith("script.py")


def test_interrupted_script_dies_of_the_interrupt(python, tmp_path):
    (tmp_path / "script.py").write_text("raise KeyboardInterrupt\n")
    done = python(*RUN, tmp_path / "script.py")
    assert done.returncode == python(tmp_path / "script.py").returncode == -signal.SIGINT
    assert "ganspec" not in done.stderr


@needs_chainer
@pytest.mark.skipif(not at_least("numpy", 2)(), reason="NumPy 1 promotes scalars weakly")
def test_promotion_by_a_scalar_is_explained(failed):
    start = "import numpy as np, chainer\nx = np.ones((2, 3), 'f')\nlayer = chainer.links.Linear(3, 2)\n"
    said = failed(start + "layer(np.sqrt(2) * x)\n")
    trace, hint = said.split("\nhint: ")
    assert "InvalidType" in trace
    hint = " ".join(hint.split())
    for part in ("NEP 50", "np.float64(0.5) * x is float64", "float(np.sqrt(2)) * x", "pip install 'numpy<2'"):
        assert part in hint
    assert "hint:" not in failed(start + "layer(np.ones((2, 4), 'f'))\n"), "a wrong shape has nothing to do with it"


@pytest.mark.skipif(not at_least("numpy", 2)(), reason="NumPy 1 has these names")
@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import numpy as np\nnp.float\n", "float"),
        ("import numpy\nnumpy.Inf\n", "Inf"),
        ("from numpy import product\n", "product"),
        ("import numpy as np\nnp.zeros(1).itemset(0, 1)\n", "itemset"),
    ],
)
def test_old_name_brings_the_option_and_the_other_way(code, name, failed):
    hint = " ".join(failed(code).split("\nhint: ")[1].split())
    assert hint.startswith(f"'{name}' is a name of older NumPy")
    assert "python -m ganspec.impl_chainer.compat --old-names" in hint
    assert "pip install 'numpy<2'" in hint


@pytest.mark.skipif(not at_least("numpy", 2)(), reason="NumPy 1 has these names")
def test_old_name_that_the_option_does_not_reach_is_explained(failed, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.py").write_text("import numpy as np\n\n\ndef f():\n    return np.float\n")
    said = failed("import other\nother.f()\n", f"--old-names={tmp_path / 'folder'}")
    assert f"and {tmp_path / 'other.py'} is not one of them" in " ".join(said.split("\nhint: ")[1].split())
    said = failed("import numpy as np\ngetattr(np, 'float')\n", "--old-names")
    assert "it comes from getattr, exec or eval" in " ".join(said.split("\nhint: ")[1].split())


def test_other_errors_bring_no_hint(failed):
    assert "hint:" not in failed("import numpy as np\nnp.nothing_of_this_name\n")
    assert "hint:" not in failed("import numpy as np\nnp.zeros(1).nothing_of_this_name\n")


def test_missing_chainer_brings_two_lines_to_install_it(python, tmp_path):
    # A Python that finds the project and the standard library, and no installed packages.
    (tmp_path / "script.py").write_text("import chainer\n")
    start = "import runpy, sys; sys.path.insert(0, {!r}); sys.argv[1:] = [{!r}]; runpy.run_module({!r}, run_name='__main__')"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ganspec").symlink_to(ROOT)
    code = start.format(str(tmp_path / "home"), str(tmp_path / "script.py"), RUN[1])
    done = python("-I", "-S", "-c", code)
    assert done.returncode == 2
    lines = [line.strip() for line in done.stderr.splitlines()]
    assert lines[0].startswith("Chainer is not installed in this Python")
    assert [line.partition(" -m ")[2] for line in lines if "pip install" in line] == [
        "pip install 'setuptools<81' wheel",
        "pip install --no-build-isolation chainer==7.8.1",
    ]
    assert "Traceback" not in done.stderr
