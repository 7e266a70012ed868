"""What Chainer uses of Python's standard library is there, in this version and, as far as names tell, in 3.14.

The names are found in the syntax tree, so that modules are seen that no test imports.
"""

import ast
import importlib
import sys
import types
import warnings
from importlib.util import find_spec

import pytest

from ganspec.impl_chainer.compat import TABLE
from ganspec.impl_chainer.compat.hook import mended
from support.compat.upstream import upstream_modules

pytestmark = pytest.mark.skipif(find_spec("chainer") is None, reason="needs chainer")

# Names that are not there, and why that does no harm.
ABSENT = {
    "time.clock": "where there is no perf_counter",
    "operator.__div__": "on Python 2",
    "ctypes.windll": "on Windows",
    "multiprocessing.pool.terminate": "a local variable of the same name as the module",
}
# Removed in 3.12 to 3.14: modules, then attributes, each under the name by which it would be used.
REMOVED_MODULES = frozenset(
    [
        "aifc",
        "asynchat",
        "asyncore",
        "audioop",
        "cgi",
        "cgitb",
        "chunk",
        "crypt",
        "distutils",
        "imghdr",
        "imp",
        "lib2to3",
        "mailcap",
        "msilib",
        "nis",
        "nntplib",
        "ossaudiodev",
        "pipes",
        "smtpd",
        "sndhdr",
        "spwd",
        "sunau",
        "telnetlib",
        "uu",
        "xdrlib",
    ]
)
REMOVED = frozenset(
    [
        "ByteString",
        "find_loader",
        "get_loader",
        "find_module",
        "load_module",
        "ImpImporter",
        "Num",
        "Str",
        "Bytes",
        "NameConstant",
        "AbstractChildWatcher",
        "get_child_watcher",
        "set_child_watcher",
        "ResourceReader",
        "Traversable",
        "TraversableResources",
        "Quoter",
        "master_open",
        "slave_open",
        "splitunc",
        "makeSuite",
        "findTestCases",
        "assertEquals",
        "assertRegexpMatches",
        "assertRaisesRegexp",
        "assertItemsEqual",
        "assertNotEquals",
        "failUnless",
        "__trunc__",
        "__annotations__",
        "get_event_loop",
    ]
)


def _modules():
    for package in ("chainer", "chainermn", "onnx_chainer", "chainerx"):
        for module, source in upstream_modules(package):
            mends = [mend for mend in TABLE.mends if mend.module == module and mend.needed()]
            yield module, mended(source, mends)


def _standard(tree):
    """Yield the dotted names of the standard library that a module imports or uses."""
    local = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                local[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
                local[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in local:
            yield f"{local[node.value.id]}.{node.attr}"


def _there(name):
    parts = name.split(".")
    value = importlib.import_module(parts[0])
    for end, part in enumerate(parts[1:], 2):
        if not isinstance(value, types.ModuleType):
            return True
        if not hasattr(value, part):
            try:
                importlib.import_module(".".join(parts[:end]))
            except ImportError:
                return False
        value = getattr(value, part)
    return True


def test_standard_library_has_what_chainer_uses():
    absent = set()
    for _, source in _modules():
        names = _standard(ast.parse(source))
        absent |= {n for n in names if n.partition(".")[0] in sys.stdlib_module_names and not _there(n)}
    assert {name for name in absent if name not in ABSENT} == set()


def test_nothing_is_used_that_python_3_14_has_removed():
    found = set()
    for module, source in _modules():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and node.attr in REMOVED:
                found.add((module, node.attr))
            if isinstance(node, ast.Import | ast.ImportFrom):
                roots = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                found |= {(module, root) for root in roots if root.partition(".")[0] in REMOVED_MODULES}
    assert found == set()


def test_every_module_compiles_without_a_warning():
    for module, source in _modules():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(source, module, "exec", dont_inherit=True)


def test_no_return_leaves_a_finally_clause():
    # A warning since 3.14.
    for module, source in _modules():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Try):
                leaving = [n for last in node.finalbody for n in ast.walk(last) if isinstance(n, ast.Return)]
                assert not leaving, module
