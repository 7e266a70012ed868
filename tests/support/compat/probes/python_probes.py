"""Probes for ``fixes_python``."""

import sys

from .register import probe


@probe("environment_check-pkg_resources")
def _():
    import chainer  # noqa: F401

    assert "pkg_resources" not in sys.modules


@probe("testing_helper-pkg_resources")
def _():
    from chainer import testing

    assert "pkg_resources" not in sys.modules
    test = testing.with_requires("numpy>=1.10")(lambda: None)
    assert not getattr(test, "__unittest_skip__", False)
    test = testing.with_requires("numpy<1.10")(lambda: None)
    assert test.__unittest_skip__


@probe("doctest_helper-pkg_resources")
def _():
    from chainer.testing import doctest_helper

    assert "pkg_resources" not in sys.modules
    assert doctest_helper.skipif_requires_satisfied("numpy>=1.10")
    assert not doctest_helper.skipif_requires_satisfied("numpy<1.10")


@probe("environment_check-distutils")
def _():
    from chainer import _environment_check

    assert "numpy.distutils" not in sys.modules
    _environment_check.check()


@probe("multiprocess_iterator-daemon")
def _():
    from chainer.iterators import multiprocess_iterator

    started = []

    class Thread:
        daemon = False

        def __init__(self, **options):
            pass

        def setDaemon(self, daemon):
            raise DeprecationWarning

        def start(self):
            started.append(self.daemon)

    multiprocess_iterator.multiprocessing = type("M", (), {"Pool": staticmethod(lambda **options: None)})
    multiprocess_iterator.threading = type("T", (), {"Thread": Thread})
    loop = multiprocess_iterator._PrefetchLoop([1], 1, False, 1, 1, 8, None, None, False, None)
    loop.launch_thread()
    assert started == [True]
