"""How an error that ends the user's program is shown: from the first line of that program on, with a hint where there is one.

The program's exceptions are Python's to print, through ``sys.excepthook``, which may be the program's own. Only the
frames that lead into the program are taken off, and a paragraph follows where the stack is the likely cause.
"""

import os
import re
import subprocess
import sys
import textwrap

from ganspec.impl_chainer.compat import program
from ganspec.impl_chainer.compat.versions import at_least, release

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LEADING = ("runpy", "importlib", "importlib.util", "importlib._bootstrap", "importlib._bootstrap_external")

MISSING = """Chainer is not installed in this Python, {python}. To install it:

    {python} -m pip install 'setuptools<81' wheel
    {python} -m pip install --no-build-isolation chainer==7.8.1

If that fails, as it may with Python 3.14 or newer, build the wheel with an older Python: docs/chainer.md says how."""

PROMOTION = """A float64 array came where float32 was expected. Since NumPy 2.0 a NumPy scalar decides the type of a result as
an array does (NEP 50): with x of float32, np.float64(0.5) * x is float64, where NumPy 1 made it float32. Such scalars come
from np.sqrt(2), np.mean(a), np.random.uniform() or an element of a float64 array. To mend it, look for the
line where one of them meets the array, and make it a Python number, as in float(np.sqrt(2)) * x, or cast the result, with
.astype(np.float32). The other way leaves the program as it is: NumPy 1, with which these mends work, too (Python 3.12 or
older): pip install 'numpy<2'"""

OLD_NAME = """{name!r} is a name of older NumPy; here is NumPy {version}. The program's own modules get such names with: python -m
ganspec.impl_chainer.compat --old-names. The other way is an older NumPy, with which these mends work, too: pip install
'numpy<2' (Python 3.12 or older), or 'numpy<1.24' (Python 3.11 or older) for np.float, np.int, np.bool, np.object and np.str."""

OUTSIDE = """{name!r} is a name of older NumPy, and {file} is not among the modules that get such names; they are those in
{folder}. To choose another folder: --old-names=FOLDER. For installed packages the other way is an older NumPy, with which
these mends work, too: pip install 'numpy<2', or 'numpy<1.24' for np.float, np.int, np.bool, np.object and np.str."""

INDIRECT = """{name!r} is a name of older NumPy that --old-names cannot give here, because the module's source does not
mention it as an attribute or an import: it comes from getattr, exec or eval. Change it there."""

CHILDREN = """Python processes that a program starts with subprocess import Chainer without the mends. They get them with: python
-m ganspec.impl_chainer.compat --children"""

_OLD_NAME = re.compile(
    r"module '(?:numpy|cupy)' has no attribute '(\w+)'"
    r"|`np\.(\w+)` was removed"
    r"|cannot import name '(\w+)' from '(?:numpy|cupy)'"
    r"|`(\w+)` was removed from the ndarray class"
    r"|'numpy\.\w+' object has no attribute '(\w+)'"
)


def without_traceback(error):
    """Return the message that says it all about an error, in place of a traceback; None for most errors."""
    if isinstance(error, ModuleNotFoundError) and error.name in ("chainer", "chainermn", "onnx_chainer"):
        return MISSING.format(python=sys.executable)
    return None


def begin_in_the_program():
    """Have the exception that now leaves the program shown without the frames above it, and with its hint after it."""
    before = sys.excepthook

    def show(kind, error, trace):
        sys.excepthook = before
        trace = _from_the_program_on(trace)
        before(kind, error.with_traceback(trace), trace)
        if text := hint(error):
            print("\n" + textwrap.fill(f"hint: {text}", 100, break_on_hyphens=False), file=sys.stderr)

    sys.excepthook = show


def _from_the_program_on(trace):
    while trace is not None and _leads_to_the_program(trace.tb_frame):
        trace = trace.tb_next
    return trace


def _leads_to_the_program(frame):
    return frame.f_code.co_filename.startswith(_HERE) or frame.f_globals.get("__name__") in _LEADING


def hint(error):
    """Return what the stack has to do with an error, and what helps; None where nothing is known.

    Args:
        error: exception that left the program.
    """
    kind = type(error)
    if (kind.__module__, kind.__name__) == ("chainer.utils.type_check", "InvalidType"):
        text = str(error)
        mixed = "dtype" in text and "float64" in text and ("float32" in text or "float16" in text)
        return PROMOTION if mixed and at_least("numpy", 2)() else None
    if isinstance(error, AttributeError | ImportError) and (found := _OLD_NAME.search(str(error))):
        return _old_name_hint(next(filter(None, found.groups())), error)
    if isinstance(error, subprocess.CalledProcessError) and "startup" not in os.environ.get("PYTHONPATH", ""):
        first = error.cmd if isinstance(error.cmd, str) else os.fspath(next(iter(error.cmd), ""))
        return CHILDREN if first.startswith(sys.executable) else None
    return None


def _old_name_hint(name, error):
    from ganspec.impl_chainer.compat import old_names

    if not old_names.knows(name):
        return None
    if program.OLD_NAMES not in os.environ:
        return OLD_NAME.format(name=name, version=".".join(map(str, release("numpy") or ("unknown",))))
    file = _file_of(error.__traceback__)
    if file.startswith("<") or old_names.in_folder(file, os.environ[program.OLD_NAMES]):
        return INDIRECT.format(name=name)
    return OUTSIDE.format(name=name, file=file, folder=os.environ[program.OLD_NAMES])


def _file_of(trace):
    """Return the file of the innermost frame that is not of the array library or of this package."""
    file = "<unknown>"
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_globals.get("__name__", "").partition(".")[0] not in ("numpy", "cupy", "ganspec"):
            file = frame.f_code.co_filename
        trace = trace.tb_next
    return file
