"""Mends for what Python and its packaging tools removed, and for child processes."""

import importlib

from ganspec.impl_chainer.compat.mend import declare
from ganspec.impl_chainer.compat.versions import absent, any_of, at_least, python_at_least

# Importing it warns since 67.3, to every user since 80.9, and fails since 82.
_no_pkg_resources = any_of(absent("setuptools"), at_least("setuptools", 67, 3))

for _module, _name in (
    ("chainer._environment_check", "environment_check-pkg_resources"),
    ("chainer.testing.helper", "testing_helper-pkg_resources"),
    ("chainer.testing.doctest_helper", "doctest_helper-pkg_resources"),
):
    declare(
        _name,
        _module,
        ("import pkg_resources\n", "from ganspec.impl_chainer.compat import requirements as pkg_resources\n"),
        broken_by="setuptools 82 (deprecated in 67.3)",
        why="pkg_resources is gone; its few functions that Chainer calls are given over importlib.metadata.",
        needed=_no_pkg_resources,
    )

declare(
    "environment_check-distutils",
    "chainer._environment_check",
    ("import numpy.distutils.system_info\n", "import numpy\n"),
    ("numpy.distutils.system_info.get_info('blas_opt')", "{}"),
    broken_by="Python 3.12, setuptools 60, NumPy 2.5",
    why="numpy.distutils is gone, or fails to import beside a current setuptools. It is asked on macOS only, "
    "whether NumPy uses an Accelerate that was wrong until macOS 13.3; NumPy 2 uses the mended one.",
    needed=any_of(python_at_least(3, 12), absent("setuptools"), at_least("setuptools", 60), at_least("numpy", 2, 0)),
)

declare(
    "multiprocess_iterator-daemon",
    "chainer.iterators.multiprocess_iterator",
    ("thread.setDaemon(True)", "thread.daemon = True"),
    broken_by="Python 3.10",
    why="Thread.setDaemon is deprecated.",
    needed=python_at_least(3, 10),
)

declare(
    "multiprocess_iterator-child",
    "chainer.iterators.multiprocess_iterator",
    (
        "        self._pool = multiprocessing.Pool(\n",
        "        from ganspec.impl_chainer.compat.child import fetch_setup; self._pool = multiprocessing.Pool(\n",
    ),
    ("initializer=_fetch_setup", "initializer=fetch_setup"),
    broken_by="every mend here, in a child that is not forked; Python 3.14 forks none by default",
    why="A spawned worker unpickles its initializer first, and by that imports chainer. This initializer is of "
    "ganspec.impl_chainer.compat, which is thus imported before the dataset and chainer are.",
    needed=python_at_least(3),
)


def _reduce_by_name(updater):
    child = importlib.import_module("ganspec.impl_chainer.compat.child")
    updater._Worker.__reduce__ = child.reduce_worker


declare(
    "parallel_updater-child",
    "chainer.training.updaters.multiprocess_parallel_updater",
    (
        "class _Worker(multiprocessing.Process):\n\n",
        "class _Worker(multiprocessing.Process):\n"
        "    from ganspec.impl_chainer.compat.child import reduce_worker as __reduce__\n",
    ),
    broken_by="every mend here, in a child that is not forked; Python 3.14 forks none by default",
    why="A spawned child unpickles the class of its process object first, and by that imports chainer. This "
    "process object begins with a function of ganspec.impl_chainer.compat instead.",
    needed=python_at_least(3),
    in_place=_reduce_by_name,
)
