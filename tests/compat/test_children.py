"""Child processes import Chainer mended, however they are started."""

from importlib.util import find_spec

import pytest

from ganspec.impl_chainer.compat.versions import at_least

pytestmark = pytest.mark.skipif(find_spec("chainer") is None, reason="needs chainer")

DATASET = """
import chainer

class Squares(chainer.dataset.DatasetMixin):
    def __len__(self):
        return 6

    def get_example(self, i):
        import multiprocessing, numpy
        return numpy.float32(i * i), numpy.full(1, multiprocessing.parent_process() is not None)
"""
MAIN = """
import multiprocessing, sys
import ganspec.impl_chainer.compat

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    ganspec.impl_chainer.compat.apply(without=set(sys.argv[2:]))
    from dataset import Squares
    import chainer
    iterator = chainer.iterators.MultiprocessIterator(Squares(), 3, repeat=False, shuffle=False, n_processes=1)
    batches = list(iterator)
    iterator.finalize()
    print([float(x) for batch in batches for x, _ in batch], [bool(c[0]) for batch in batches for _, c in batch])
"""
DONE = "[0.0, 1.0, 4.0, 9.0, 16.0, 25.0] [False, False, False, True, True, True]\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dataset.py").write_text(DATASET)
    return tmp_path


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_iterator_works_whose_main_module_imports_compat(method, folder, python):
    (folder / "main.py").write_text(MAIN)
    done = python(folder / "main.py", method, cwd=folder)
    assert done.stdout == DONE, done.stderr


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_iterator_works_whose_main_module_does_not(method, folder, python):
    # Standard input is no file that a child could run again, so the child has only what it unpickles.
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.argv[1:] = [{method!r}]\n{MAIN}"
    done = python("-c", program, cwd=folder)
    assert done.stdout == DONE, done.stderr


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_iterator_needs_its_mend_for_that(method, folder, python):
    if not at_least("numpy", 2)():
        pytest.skip("this stack imports chainer unmended")
    arguments = [method, "multiprocess_iterator-child"]
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.argv[1:] = {arguments!r}\n{MAIN}"
    # Without the mend the worker dies at its import of chainer, again and again; the parent would wait without end.
    program = program.replace(
        "    batches = list(iterator)\n",
        "    import threading; threading.Timer(3, os._exit, [7]).start()\n    batches = list(iterator)\n",
    )
    done = python("-c", "import os\n" + program, cwd=folder)
    assert done.returncode == 7, done.stdout
    assert "chainer" in done.stderr


def test_runner_s_children_run_the_script_mended(folder, python):
    script = (
        (DATASET + MAIN)
        .replace("import ganspec.impl_chainer.compat\n", "")
        .replace("    from dataset import Squares\n", "")
    )
    script = script.replace("    ganspec.impl_chainer.compat.apply(without=set(sys.argv[2:]))\n", "")
    (folder / "script.py").write_text(script)
    assert "impl_chainer" not in script
    done = python("-m", "ganspec.impl_chainer.compat", folder / "script.py", "spawn")
    assert done.stdout == DONE, done.stderr


@pytest.mark.parametrize("module", ["package.train", "package"])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_runner_s_children_run_the_module_mended(module, method, folder, python):
    package = folder / "package"
    package.mkdir()
    (package / "__init__.py").write_text("import chainer\n")
    (folder / "dataset.py").rename(package / "dataset.py")
    main = MAIN.replace("import ganspec.impl_chainer.compat\n", "from .dataset import Squares\n")
    main = main.replace("    from dataset import Squares\n", "")
    main = main.replace("    ganspec.impl_chainer.compat.apply(without=set(sys.argv[2:]))\n", "")
    assert "ganspec" not in main
    for name in ("train.py", "__main__.py"):
        (package / name).write_text(main)
    # A relative import that leaves the package in doubt is a warning.
    done = python("-W", "error::ImportWarning", "-m", "ganspec.impl_chainer.compat", "-m", module, method, cwd=folder)
    assert done.stdout == DONE, done.stderr


LAUNCH = """
import subprocess, sys
done = subprocess.run([sys.executable, *sys.argv[1:]], capture_output=True, text=True)
print(done.stdout, done.stderr)
done.check_returncode()
"""
CHILD = """
import sys
before = [m for m in sys.modules if m.startswith("ganspec")]
import chainer
print(before, "ganspec.impl_chainer.compat" in sys.modules, [p for p in sys.path if "startup" in p])
"""


@pytest.fixture
def launcher(tmp_path):
    (tmp_path / "launch.py").write_text(LAUNCH)
    (tmp_path / "child.py").write_text(CHILD)
    return tmp_path / "launch.py"


def test_children_of_subprocess_are_mended_when_asked_for(launcher, python):
    arguments = ["-m", "ganspec.impl_chainer.compat", "--children", launcher, launcher.with_name("child.py")]
    done = python(*arguments)
    assert done.stdout.startswith("[] True []\n"), done.stdout + done.stderr
    isolated = python(*arguments[:-1], "-c", "import sys; print([m for m in sys.modules if m.startswith('ganspec')])")
    assert isolated.stdout.startswith("[]\n"), "nothing is imported before chainer is"


def test_children_of_subprocess_keep_their_own_sitecustomize(launcher, python, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import builtins\nbuiltins.own = __file__\n")
    program = "import sitecustomize; print(own == sitecustomize.__file__); import chainer"
    arguments = ["-m", "ganspec.impl_chainer.compat", "--children", launcher, "-c", program]
    assert python(*arguments, PYTHONPATH=str(tmp_path / "own")).stdout.startswith("True\n")


def test_a_failed_child_of_subprocess_brings_the_hint(launcher, python):
    if not at_least("numpy", 2)():
        pytest.skip("this stack imports chainer unmended")
    done = python("-m", "ganspec.impl_chainer.compat", launcher, launcher.with_name("child.py"))
    assert done.returncode == 1
    _, hint = done.stderr.split("\nhint: ")
    assert hint.endswith(f"\n    python -m ganspec.impl_chainer.compat --children {launcher} ...\n")


def test_workers_and_updaters_pickles_begin_with_compat(passes):
    passes(
        """
import multiprocessing, pickletools
from multiprocessing.reduction import ForkingPickler
import ganspec.impl_chainer.compat
from chainer.training.updaters import multiprocess_parallel_updater as updater

worker = updater._Worker.__new__(updater._Worker)
multiprocessing.Process.__init__(worker, name="w")
worker.proc_id = 3
del worker._config["authkey"]
data = bytes(ForkingPickler.dumps(worker))
first = [a for op, a, _ in pickletools.genops(data) if op.name in ("SHORT_BINUNICODE", "GLOBAL")][0]
assert first.startswith("ganspec.impl_chainer.compat.child"), first
copy = multiprocessing.reduction.pickle.loads(data)
assert type(copy) is updater._Worker and copy.proc_id == 3 and copy.name == "w"

from chainer.iterators import multiprocess_iterator
seen = {}
multiprocess_iterator.multiprocessing = type("M", (), {"Pool": staticmethod(seen.update)})
loop = multiprocess_iterator._PrefetchLoop([1], 1, False, 1, 1, 8, None, None, False, None)
multiprocess_iterator.threading = type("T", (), {"Thread": multiprocess_iterator.threading.Event})
try:
    loop.launch_thread()
except TypeError:
    pass
assert seen["initializer"].__module__ == "ganspec.impl_chainer.compat.child", seen
"""
    )
