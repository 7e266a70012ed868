"""--old-names gives the names that NumPy removed to the user's own modules, and to no others."""

import ast
import os

import numpy
import pytest

from ganspec.impl_chainer.compat import old_names
from ganspec.impl_chainer.compat.old_names import table
from ganspec.impl_chainer.compat.old_names.values import old_name
from ganspec.impl_chainer.compat.versions import at_least

needs_numpy_2 = pytest.mark.skipif(not at_least("numpy", 2)(), reason="NumPy 1 has these names")
RUN = ("-m", "ganspec.impl_chainer.compat")

# What each expression was with NumPy 1.23.5, where `np` is NumPy and `a` is arange(6.0).reshape(2, 3).
VALUES = {
    "np.float": float,
    "np.int": int,
    "np.bool": bool,
    "np.object": object,
    "np.str": str,
    "np.complex": complex,
    "np.long": int,
    "np.unicode": str,
    "np.zeros(2, np.int).dtype.kind": "i",
    "np.zeros(2, np.bool).dtype.kind": "b",
    "np.zeros(2, dtype=np.object).dtype.kind": "O",
    "isinstance(True, np.bool)": True,
    "np.float_ is np.float64": True,
    "np.unicode_ is np.str_": True,
    "np.string_ is np.bytes_": True,
    "np.bool8 is np.bool_": True,
    "np.Inf == np.inf == np.PINF == -np.NINF == np.infty == np.Infinity": True,
    "np.NaN != np.NaN and np.NAN != np.NAN": True,
    "np.product(a + 1), np.product(a, axis=0).tolist()": (720.0, [0.0, 4.0, 10.0]),
    "np.cumproduct([1, 2, 3]).tolist()": [1, 2, 6],
    "bool(np.alltrue(a)), bool(np.sometrue(a))": (False, True),
    "np.sometrue(a, 0).tolist()": [True, True, True],
    "np.in1d(a, [1, 4]).tolist()": [False, True, False, False, True, False],
    "np.in1d([1, 2], [2], invert=True).tolist()": [True, False],
    "np.row_stack([[1], [2]]).tolist()": [[1], [2]],
    "float(np.trapz([1, 2, 3], dx=2))": 8.0,
    "np.asscalar(np.array([3]))": 3,
    "type(np.asscalar(np.ones((1, 1))))": float,
    "np.asfarray([1, 2]).dtype.name, np.asfarray([1], 'f').dtype.name": ("float64", "float32"),
    "np.asfarray([1], 'i').dtype.name": "float64",
    "np.msort([[2, 1], [1, 3]]).tolist()": [[1, 1], [2, 3]],
    "np.rank(a), np.alen(a), np.alen(3)": (2, 2, 1),
    "np.round_(a / 4, 1).tolist()": [[0.0, 0.2, 0.5], [0.8, 1.0, 1.2]],
    "np.mat([[1]]).shape": (1, 1),
    "np.cast['float32'](a).dtype.name, np.cast[np.int32]([1.7]).tolist()": ("float32", [1]),
    "np.float32 in np.sctypes['float']": True,
    "issubclass(np.VisibleDeprecationWarning, Warning), issubclass(np.AxisError, ValueError)": (True, True),
    "np.ones(2, 'i1').tostring()": b"\x01\x01",
    "np.float32(0).tostring()": b"\0\0\0\0",
    "float(a.ptp()), a.ptp(axis=0).tolist(), a.ptp(1, keepdims=True).shape": (5.0, [3.0, 3.0, 3.0], (2, 1)),
    "np.ones(1, '<i2').newbyteorder().tolist()": [256],
    "[b.itemset(*place) for b in [a] for place in [(0, 9), (4, 8), (0, 1, 7), ((1, 2), 6)]] and a.tolist()": [
        [9.0, 7.0, 2.0],
        [3.0, 8.0, 6.0],
    ],
    "[b.itemset(5) for b in [np.zeros(())]]": [None],
}


@pytest.mark.parametrize("expression", VALUES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_old_name_is_what_it_was(expression):
    names = {"np": numpy, "a": numpy.arange(6.0).reshape(2, 3)}
    exec(old_names.compiled(f"value = {expression}".encode(), "file.py"), names)
    assert names["value"] == VALUES[expression]
    assert type(names["value"]) is type(VALUES[expression])


@pytest.mark.parametrize("name", sorted(table.NAMES - table.METHODS))
@pytest.mark.filterwarnings("error")
def test_every_name_of_the_table_is_there_without_a_warning(name):
    assert old_name(numpy, name) is not None


def test_every_method_of_the_table_is_there():
    for name in table.METHODS:
        assert callable(old_name(numpy.ones(2), name))


def run(source):
    names = {}
    exec(old_names.compiled(source.encode(), "file.py"), names)
    return names


def test_every_form_of_import_and_mention_has_the_names():
    names = run(
        "'''text'''\nfrom __future__ import annotations\nimport numpy\nimport numpy as np\nimport numpy.random\n"
        "from numpy import float as F, zeros, int\n"
        "if True:\n    from numpy import product\n"
        "class A:\n    kind: np.float = np.float\n    from numpy import object\n"
        "def f(xp, kind=np.int):\n    from numpy import bool\n    return kind, bool, xp.float, numpy.random.RandomState\n"
        "text = f'{np.float.__name__}'\n"
    )
    assert names["__doc__"] == "text"
    assert (names["F"], names["int"], names["A"].kind, names["A"].object) == (float, int, float, object)
    assert names["f"](numpy) == (int, bool, float, numpy.random.RandomState)
    assert names["product"]([2, 3]) == 6
    assert names["zeros"] is numpy.zeros
    assert names["text"] == "float"


def test_star_brings_what_it_brought_and_hides_nothing_of_python_s():
    names = run(
        "from math import *\nfrom numpy import *\nvalue = max(1, 2), round(2.5), abs(-1), Inf, pow(2, 2), bool\n"
    )
    assert names["value"] == (2, 2, 1, float("inf"), 4.0, bool)
    assert type(names["value"][0]) is int
    assert names["product"]([2, 3]) == 6
    assert names["zeros"] is numpy.zeros


def test_numpy_itself_is_what_the_user_holds():
    # Chainer's own idiom, `xp is numpy`, must stay true.
    names = run("import numpy as np\nkind = np.float\nxp = np\nsame = xp is np\n")
    assert names["np"] is numpy
    assert names["same"]


def test_same_names_of_other_objects_are_their_own():
    source = (
        "class T:\n    int = 3\n    def float(self):\n        return 'mine'\n    def __getattr__(self, name):\n"
        "        return name\nt = T()\nvalue = t.int, t.float(), t.product\nt.bool = 1\nt.bool += 1\ndel t.bool\n"
    )
    assert run(source)["value"] == (3, "mine", "product")
    with pytest.raises(AttributeError, match="module 'math' has no attribute 'product'"):
        run("import math\nmath.product\n")


def test_patterns_are_left_alone():
    names = run("import numpy as np\nmatch 1.0:\n    case float():\n        value = np.float\n")
    assert names["value"] is float
    tree = "import numpy as np\nmatch 1:\n    case np.Inf if np.Inf:\n        pass\n"
    compile(ast.parse(tree), "file.py", "exec")
    old_names.compiled(tree.encode(), "file.py")


def test_line_numbers_stay():
    source = "'''text'''\n\nimport numpy as np\n\n\ndef f():\n    return (np.float,\n            1 / 0)\n"
    with pytest.raises(ZeroDivisionError) as error:
        run(source)["f"]()
    assert error.traceback[-1].lineno + 1 == 8


@needs_numpy_2
def test_own_modules_have_the_names_and_others_do_not(python, tmp_path):
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    installed = folder / "env" / "site-packages"
    for path in (folder / "package", installed, elsewhere):
        path.mkdir(parents=True)
    use = "import numpy as np\n\n\ndef kind():\n    return np.float\n"
    for path in (folder / "package" / "own.py", installed / "installed.py", elsewhere / "foreign.py"):
        path.write_text(use)
    (folder / "package" / "__init__.py").write_text("")
    (folder / "train.py").write_text(
        f"import sys\nsys.path += [{str(installed)!r}, {str(elsewhere)!r}]\n"
        "import numpy as np\nfrom package import own\nimport installed, foreign\n"
        "print(np.float, own.kind())\n"
        "for other in (installed, foreign):\n    try:\n        other.kind()\n    except AttributeError:\n        print('none')\n"
        "print('float' in dir(np), 'float' in vars(np))\n"
    )
    done = python(*RUN, "--old-names", folder / "train.py")
    assert done.stdout.splitlines() == [
        "<class 'float'> <class 'float'>",
        "none",
        "none",
        "False False",
    ], done.stderr
    assert not list(folder.rglob("own.*.pyc")), "the bytecode cache is of the source as it stands"
    done = python(
        *RUN, f"--old-names={elsewhere}", folder / "train.py"
    )  # here it has no old names: a cache may be written
    assert f"and {folder / 'package' / 'own.py'} is not one of them" in " ".join(done.stderr.split())
    module = python(*RUN, "--old-names", "-m", "train", cwd=folder)
    assert module.stdout.startswith("<class 'float'> <class 'float'>\nnone\n"), module.stderr


@needs_numpy_2
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_child_processes_have_the_names(method, python, tmp_path):
    (tmp_path / "own.py").write_text("import numpy as np\n\n\ndef kind(_):\n    return np.float\n")
    (tmp_path / "train.py").write_text(
        "import multiprocessing, sys\nimport numpy as np\nfrom own import kind\n\n\ndef here(_):\n    return np.int\n\n\n"
        f"if __name__ == '__main__':\n    with multiprocessing.get_context({method!r}).Pool(1) as pool:\n"
        "        print(pool.map(kind, [0]), pool.map(here, [0]))\n"
    )
    for program in (["train.py"], ["-m", "train"]):
        done = python(*RUN, "--old-names", *program, cwd=tmp_path)
        assert done.stdout == "[<class 'float'>] [<class 'int'>]\n", done.stderr


def test_option_is_not_inherited_by_another_program(python, tmp_path):
    (tmp_path / "look.py").write_text("import os\nprint([name for name in os.environ if 'OLD_NAMES' in name])\n")
    assert python(*RUN, tmp_path / "look.py", GANSPEC_COMPAT_OLD_NAMES=os.sep).stdout == "[]\n"


@needs_numpy_2
def test_a_program_with_old_names_trains_with_chainer(python, tmp_path):
    """The finder of the old names and that of the mends stand side by side, and neither asks the other without end."""
    (tmp_path / "model.py").write_text(
        "import chainer, numpy as np\n\n\nclass Model(chainer.Chain):\n    def __init__(self):\n        super().__init__()\n"
        "        with self.init_scope():\n            self.l = chainer.links.Linear(3, 2, initialW=np.float(2))\n"
        "    def forward(self, x):\n        return self.l(x)\n"
    )
    (tmp_path / "train.py").write_text(
        "import numpy as np\nimport chainer\nfrom chainer import iterators\nfrom model import Model\n\n"
        "data = [(np.ones(3, 'f'), np.int(i % 2)) for i in range(4)]\n"
        "batch = chainer.dataset.concat_examples(iterators.SerialIterator(data, 4).next())\n"
        "model = chainer.links.Classifier(Model())\nmodel(*batch).backward()\nprint(np.product([2, 3]))\n"
    )
    for command in (["train.py"], ["-m", "train"]):
        done = python(*RUN, "--old-names", *command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "6\n"
