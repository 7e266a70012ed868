"""Start programs of the ganspec that is installed, each in a process of its own: python start_many.py < PROGRAMS

PROGRAMS is a list in JSON, of a list of arguments for each program. They run one after the other, in the folder where this was
started, as `python -m ganspec.tools ARGUMENTS` would, but that PyTorch is imported already: once for all, not once for each.
What is printed is a list in JSON: for each program its exit code, and what it wrote to standard error.
"""

import json
import os
import runpy
import sys
import tempfile
import traceback
from typing import IO

import torch  # noqa: F401


def start(arguments: list[str], error: IO[bytes]) -> int:
    """Returns: the exit code of a program, whose messages are in `error`."""
    if process := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    code = 1
    try:
        os.dup2(error.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv[1:] = arguments
        runpy.run_module("ganspec.tools", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
    except BaseException:  # as Python itself does
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()  # as `python -m` does
    found = []
    for arguments in json.load(sys.stdin):
        with tempfile.TemporaryFile() as error:
            code = start(arguments, error)
            error.seek(0)
            found.append((code, error.read().decode()))
    print(json.dumps(found))
