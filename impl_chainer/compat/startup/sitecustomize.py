"""Has Chainer mended in a Python process that ``python -m ganspec.impl_chainer.compat --children`` has started.

Python imports a module of this name when it starts. This one waits for the first import of Chainer, and only then
imports the mends. It costs nothing where Chainer is not imported, and does nothing where ganspec is not installed. The
``sitecustomize`` that it stands before is run, too, and this folder is taken off ``sys.path`` again.
"""

import os
import sys


def _other_paths():
    here = os.path.realpath(os.path.dirname(os.path.abspath(__file__)))
    return [path for path in sys.path if os.path.realpath(path) != here]


class _Waiting:
    """A finder that imports the mends when Chainer is first looked for, and hands over to the finder of the mends."""

    def find_spec(self, name, path=None, target=None):
        """Find nothing, until the name is that of one of Chainer's packages."""
        if name not in ("chainer", "chainermn", "onnx_chainer"):
            return None
        try:
            from ganspec.impl_chainer.compat.hook import FINDER
        except ImportError:
            return None
        sys.meta_path.remove(self)
        return FINDER.find_spec(name, path, target)


def _run_the_next():
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


# Other versions of Python may inherit the environment, too.
if sys.version_info >= (3, 11):  # noqa: UP036
    sys.path[:] = _other_paths()
    sys.meta_path.insert(0, _Waiting())
    _run_the_next()
