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

If that fails, as it may with Python 3.14 or newer: a wheel that an older Python has built installs in every newer one.
docs/chainer.md in the repository of ganspec has the recipe."""

PROMOTION = """A float64 array came where float32 was expected. Since NumPy 2.0 a NumPy scalar decides the type of a result as
an array does (NEP 50): with x of float32, np.float64(0.5) * x is float64, where NumPy 1 made it float32. Such scalars come
from np.sqrt(2), np.mean(a), np.random.uniform() or an element of a float64 array. To mend it, look for the line where one
of them meets the array, and make it a Python number, as in float(np.sqrt(2)) * x, or cast the result with
.astype(np.float32). The other way leaves the program as it is: NumPy 1 (Python 3.12 or older), with which these mends
work, too:

    pip install 'numpy<2'"""

OLDER_NUMPY = """an older NumPy, with which these mends work, too; the second line is for
np.float, np.int, np.bool, np.object, np.str and np.complex:

    pip install 'numpy<2'       # Python 3.12 or older
    pip install 'numpy<1.24'    # Python 3.11 or older"""

OLD_NAME = """{name!r} is a name of older NumPy, and this is NumPy {version}. The program's own modules get such names with:

    python -m ganspec.impl_chainer.compat --old-names {program} ...

The other way is """

OUTSIDE = """{name!r} is a name of older NumPy. The modules that get such names are those in {folder}, and {file} is not one of
them. To choose another folder:

    python -m ganspec.impl_chainer.compat --old-names=FOLDER {program} ...

For installed packages the other way is """

INDIRECT = """{name!r} is a name of older NumPy that --old-names cannot give here, because the module's source does not
mention it as an attribute or an import: it comes from getattr, exec or eval. Change it there."""

CHILDREN = """Python processes that a program starts with subprocess import Chainer without the mends. They get them with:

    python -m ganspec.impl_chainer.compat --children {program} ..."""

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
            print("\n" + _filled(f"hint: {text}"), file=sys.stderr)

    sys.excepthook = show


def _filled(text):
    """Break the lines of a text, and leave those that are indented, which are commands."""
    paragraphs = text.split("\n\n")
    whole = {"break_on_hyphens": False, "break_long_words": False}
    return "\n\n".join(p if p[0] == " " else textwrap.fill(p, 100, **whole) for p in paragraphs)


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
    if isinstance(error, subprocess.CalledProcessError) and os.path.join("compat", "startup") not in _python_path():
        first = error.cmd if isinstance(error.cmd, str) else os.fspath(next(iter(error.cmd), ""))
        return CHILDREN.format(program=_words()) if first.startswith(sys.executable) else None
    return None


def _python_path():
    return os.environ.get("PYTHONPATH", "")


def _words():
    """Return the program as it is named on the command line."""
    kind, _, name = os.environ[program.VARIABLE].partition(":")
    return f"-m {name}" if kind == "module" else name


def _old_name_hint(name, error):
    from ganspec.impl_chainer.compat import old_names

    if not old_names.knows(name):
        return None
    folder = os.environ.get(program.OLD_NAMES)
    if folder is None:
        version = ".".join(map(str, release("numpy") or ("unknown",)))
        return OLD_NAME.format(name=name, version=version, program=_words()) + OLDER_NUMPY
    file = _file_of(error.__traceback__)
    if file.startswith("<") or old_names.in_folder(file, folder):
        return INDIRECT.format(name=name)
    return OUTSIDE.format(name=name, file=file, folder=folder, program=_words()) + OLDER_NUMPY


def _file_of(trace):
    """Return the file of the innermost frame that is not of the array library or of this package."""
    file = "<unknown>"
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_globals.get("__name__", "").partition(".")[0] not in ("numpy", "cupy", "ganspec"):
            file = frame.f_code.co_filename
        trace = trace.tb_next
    return file
