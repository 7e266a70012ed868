"""Runs an old Chainer program, unchanged: ``python -m ganspec.impl_chainer.compat script.py args``.

The script sees what ``python script.py args`` would show it: ``sys.argv``, ``sys.path[0]``, ``__file__``,
itself as ``__main__``. Its exit status and traceback are its own. ``-m package.module args`` runs a module.
"""

import os
import sys
import types

import ganspec
from ganspec.impl_chainer.compat import failure, program

USAGE = "usage: python -m ganspec.impl_chainer.compat [options] (script.py | -m module) [args ...]"
OPTIONS = ("--old-names", "--children")
HELP = f"""{USAGE}

Run an old Chainer program, unchanged. The installed chainer==7.8.1 is mended in memory for the Python, NumPy and
CuPy that are installed; no file changes.

options:
  -m module              run a module or package, as python -m does
  --old-names[=FOLDER]   give the names that NumPy has removed, such as np.float, np.int and np.product, to the
                         program's own modules: those in FOLDER (default: the script's folder; with -m, the
                         working directory)
  --children             mend Chainer also in the Python processes that the program starts with subprocess
  -h, --help             show this text

docs/chainer.md in the repository of ganspec says what is mended and what is not.
"""


def main(arguments):
    """Run the program that the arguments name.

    Args:
        arguments: list of the command line's words after the name of this package.

    Returns: the exit status: 0, or 2 after a message where the program cannot be started.

    Raises:
        BaseException: whatever the program raises; its traceback is shown without the frames of this package.
    """
    options, rest = _split(arguments)
    if {"-h", "--help"} & options.keys():
        try:
            print(HELP, end="", flush=True)
        except OSError as error:  # a full disk, or nobody reads
            sys.stdout = None  # Python would fail again when it closes it
            return _refuse(f"the help cannot be written: {error.strerror}")
        return 0
    as_module = rest[:1] == ["-m"]
    rest = rest[as_module:]
    if wrong := [name for name, value in options.items() if name not in OPTIONS or value == ""]:
        return _refuse(f"unknown option or value: {' '.join(wrong)}")
    if options.get("--children"):
        return _refuse("--children takes no value")
    if not rest or not rest[0]:
        return _refuse("")
    try:
        return run(rest, as_module, options)
    except program.ProgramError as error:
        return _refuse(str(error))
    except SystemExit:
        raise
    except BaseException as error:
        if (text := failure.without_traceback(error)) is not None:
            print(text, file=sys.stderr)
            return 2
        failure.begin_in_the_program()
        raise


def run(words, as_module, options):
    """Run ``words[0]`` as ``__main__``, with ``words`` as its ``sys.argv``. Returns 0.

    Args:
        words: the program, which is a path or a dotted name, and its arguments.
        as_module: whether the program is a module.
        options: values of the options given, by name.

    Raises:
        program.ProgramError: there is no such program.
        BaseException: whatever the program raises.
    """
    home = _home_found_in_the_working_directory()
    if as_module:
        folder = os.getcwd()
    else:
        folder = os.path.dirname(os.path.realpath(words[0]))
        if not sys.flags.safe_path:
            sys.path[0] = folder
    if home and home not in map(os.path.abspath, sys.path):
        sys.path.append(home)  # the script does not see the working directory; child processes need ganspec
    sys.argv = list(words)
    os.environ.pop(program.OLD_NAMES, None)
    if "--old-names" in options:
        from ganspec.impl_chainer.compat import old_names

        os.environ[program.OLD_NAMES] = os.path.realpath(options["--old-names"] or folder)
        old_names.install(os.environ[program.OLD_NAMES])
    if "--children" in options:
        _mend_children(home)
    spec = program.spec_of_module(words[0]) if as_module else program.spec_of_script(words[0])
    program.announce(spec)
    if as_module:
        sys.argv[0] = spec.origin
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    program.execute(spec, module.__dict__)
    return 0


def _split(arguments):
    """Return the options before the program, as a dictionary from name to value or None, and all that follows."""
    options = {}
    for position, word in enumerate(arguments):
        if not word.startswith("-") or word in ("-", "-m"):
            return options, arguments[position:]
        name, equals, value = word.partition("=")
        options[name] = value if equals else None
    return options, []


def _home_found_in_the_working_directory():
    """Return the folder that holds ganspec, if Python found it as ``sys.path[0]`` and not as an installed package."""
    home, name = os.path.split(os.path.dirname(os.path.abspath(ganspec.__file__)))
    return home if name == "ganspec" and home == os.path.abspath(sys.path[0]) else None


def _mend_children(home):
    """Have the processes that inherit this environment run ``startup/sitecustomize.py`` when they start."""
    startup = os.path.join(os.path.dirname(os.path.abspath(__file__)), "startup")
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [startup, *(path for path in before if path and path != startup), *([home] if home else [])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def _refuse(reason):
    print(USAGE if not reason else f"{USAGE}\n{reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
