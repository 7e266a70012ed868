"""Every module can be imported alone, and tests can run in any order."""

import ast
import functools
import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

import ganspec

HOUSE = Path(ganspec.__file__).resolve().parent
ROOMS = ("spec", "impl_torch", "impl_chainer", "tools")
# Imports each module in a process that imported nothing of ganspec before but the packages that it is in.
# A process is a fork of that of its package, in which its framework is loaded after the package, which must have mended Chainer.
PROGRAM = """
import importlib, os, sys, traceback
import argparse, contextlib, dataclasses, hashlib, json, subprocess, typing, urllib.request, numpy, safetensors.numpy, tqdm

with contextlib.suppress(ImportError):
    import torch  # which nothing has to mend

def visit(name):
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
            if name in ("ganspec.impl_torch", "ganspec.impl_chainer"):
                importlib.import_module(name.partition("_")[2])
            if name in ("ganspec.impl_torch", "ganspec.impl_chainer", "ganspec.tools"):
                import ganspec.spec.training.state  # for speed: it imports nothing above it, as test_arrows sees to
        except BaseException:
            traceback.print_exc(limit=-1)
            os._exit(1)
        for other in names:
            if other.rpartition(".")[0] == name:
                visit(other)
        os._exit(0)
    print("right" if os.waitpid(child, 0)[1] == 0 else "wrong", name, flush=True)

names = sys.argv[1:]
visit("ganspec")
"""


def modules():
    """Returns: the name of every module of the packages whose frameworks are installed."""
    names = ["ganspec"]
    for path in (path for room in ROOMS for path in sorted((HOUSE / room).rglob("*.py"))):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        names.append(".".join(("ganspec", *(parts[:-1] if parts[-1] == "__init__" else parts))))
    absent = [framework for framework in ("torch", "chainer") if find_spec(framework) is None]
    marks = [
        mark for a in absent for mark in (f".impl_{a}", f".{a}_", f"_{a}")
    ]  # as rooms, files and baselines are named
    lost = {name for name in names if any(mark in name for mark in marks) or any(a in imported(name) for a in absent)}
    while further := {name for name in names if name not in lost and imported(name) & lost}:
        lost |= further
    return [name for name in names if name not in lost]


def path_of(name):
    path = HOUSE.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def imports(name):
    """Returns: what a module imports at its outermost level, in order: each time a module, and a name in it or ""."""
    found = []
    for node in ast.parse(path_of(name).read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(str(node.module), alias.name) for alias in node.names]
    return found


def imported(name):
    """Returns: names of the modules that a module imports at its outermost level, and the packages of others that they are in."""
    found = {n for module, part in imports(name) for n in (module, f"{module}.{part}")}
    return found | {n.partition(".")[0] for n in found if not n.startswith("ganspec")}


def needed(name, among):
    """Returns: the modules among some that a module needs whole when it is imported."""
    found = {f"{module}.{part}" if f"{module}.{part}" in among else module for module, part in imports(name)}
    return found & among


def test_no_module_needs_itself_by_way_of_others():
    """So each can be imported first: only where two need each other it matters which is."""
    among = set(modules())
    assert len([*TopologicalSorter({name: needed(name, among) for name in among}).static_order()]) == len(among)
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


def test_whoever_imports_chainer_has_it_mended_before():
    found = 0
    for name in modules():
        parts = [f"{module}.{part}".removeprefix("ganspec.").split(".")[0] for module, part in imports(name)]
        if "chainer" in parts and not name.startswith("ganspec.impl_chainer"):  # whose package mends it
            found += 1
            assert "impl_chainer" in parts[: parts.index("chainer")], name
    assert found > 10 or find_spec("chainer") is None


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_every_module_can_be_imported_alone():
    command = [sys.executable, "-c", PROGRAM, *modules()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert sorted(done.stdout.splitlines()) == sorted(f"right {name}" for name in modules()), done.stderr


def test_shuffled_tests_are_the_same_tests_in_another_order_and_files_stay_together(request):
    hook = request.config.pluginmanager.get_plugin(
        str(Path(__file__).with_name("conftest.py"))
    ).pytest_collection_modifyitems
    plain = [SimpleNamespace(path=f"file {n // 10}", number=n) for n in range(50)]

    def order(seed):
        items = list(plain)
        hook(SimpleNamespace(getoption={"shuffle": seed}.get), items)
        return [item.number for item in items]

    one, two = order(1), order(2)
    assert order(None) == list(range(50))
    assert one == order(1) != two
    assert sorted(one) == list(range(50)) != one
    for found in (one, two):
        assert sum(a // 10 != b // 10 for a, b in pairwise(found)) == 4
        assert all(found[i : i + 10] != sorted(found[i : i + 10]) for i in range(0, 50, 10))
