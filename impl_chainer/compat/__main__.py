"""Runs an old Chainer script, unchanged: ``python -m ganspec.impl_chainer.compat script.py args``.

The script sees what ``python script.py args`` would show it: ``sys.argv``, ``sys.path[0]``, ``__file__``,
itself as ``__main__``. Its exit status and traceback are its own. ``-m package.module args`` runs a module.
"""

import os
import runpy
import sys
import types

import ganspec
from ganspec.impl_chainer.compat import script

USAGE = "usage: python -m ganspec.impl_chainer.compat (script.py | -m module) [args ...]"


def main(arguments):
    """Run what the arguments name. Returns 2, after the usage, where they name nothing."""
    if arguments[:1] == ["-m"] and len(arguments) > 1:
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return 0
    if not arguments or arguments[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        return 2
    return run(arguments)


def run(arguments):
    """Run ``arguments[0]`` as ``__main__``. Returns 2, after a message, where there is no such file."""
    path = arguments[0]
    if not os.path.isfile(path):
        print(f"{USAGE}\nno such file: {path}", file=sys.stderr)
        return 2
    home, name = os.path.split(os.path.dirname(os.path.abspath(ganspec.__file__)))
    found_here = name == "ganspec" and home == os.path.abspath(sys.path[0])
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    if found_here and home not in map(os.path.abspath, sys.path):
        # It was found in the working directory, which the script would not see; child processes need it.
        sys.path.append(home)
    sys.argv = list(arguments)
    os.environ[script.VARIABLE] = os.path.abspath(path)
    module = types.ModuleType("__main__")
    module.__spec__ = script.spec_of(path)
    sys.modules["__main__"] = module
    script.execute(path, module.__dict__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
