"""The script that ``python -m ganspec.impl_chainer.compat`` runs, in the process itself and in its children.

A child process that is not forked runs the main script again, before anything else, and finds it through
``__main__.__spec__``. Were that None, as for any script, the child would run the file by itself, without
the mends. So the spec names this module, which the child runs under the name ``__mp_main__``: its package
applies the mends, and then it runs the script in its own place. Which script that is stands in the
environment, the one thing that every child has before it has anything else. In such a child ``sys.argv[0]``
is the script's full path.
"""

import importlib.machinery
import importlib.util
import io
import os
import sys

VARIABLE = "GANSPEC_COMPAT_SCRIPT"


def spec_of(path):
    """Return the spec of ``__main__``: this module's name, the script's origin."""
    return importlib.util.spec_from_file_location("ganspec.impl_chainer.compat.script", path)


def execute(path, namespace):
    """Run the file at ``path`` in ``namespace``, which then names it as ``__file__``, in full as Python does."""
    path = os.path.abspath(path)
    with io.open_code(path) as file:
        source = file.read()
    namespace.update(
        __file__=path,
        __cached__=None,
        __package__=None,
        __doc__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", path),
    )
    exec(compile(source, path, "exec", dont_inherit=True), namespace)


if __name__ == "__mp_main__":
    # runpy has put this file's name in argv[0], for as long as the main module runs.
    sys.argv[0] = os.environ[VARIABLE]
    execute(sys.argv[0], globals())
