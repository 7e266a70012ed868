"""What Chainer needs of CuPy, checked without a device: that its names exist, that its kernels compile.

The list ``cupy_names.txt`` has the names of CuPy that Chainer uses and CuPy 14 has. Without CuPy the list is
compared with Chainer's source; with it, each name is looked up, and every kernel is compiled with NVRTC.
"""

import functools
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from ganspec.impl_chainer.compat import TABLE
from support.compat import nvrtc
from support.compat.cupy_names import names_in, resolved
from support.compat.kernels import kernels_of
from support.compat.upstream import upstream_modules

pytestmark = pytest.mark.skipif(find_spec("chainer") is None, reason="needs chainer")

NAMES = Path(__file__).with_name("cupy_names.txt").read_text(encoding="utf-8").split()
# What CuPy 14 lacks: the name or the beginning of several, and why Chainer does without.
GAPS = {
    "cupy.cuda.cudnn": "cuDNN left CuPy; Chainer catches the failed import, warns once, takes its own kernels",
    "cupy.cudnn": "cuDNN left CuPy; Chainer catches the failed import, warns once, takes its own kernels",
    "cupy.util.PerformanceWarning": "its place in old versions; Chainer looks in cupy._util first",
}
# Kernels that CuPy itself makes of Python functions, with cupy.fuse.
FUSED = {"chainer.functions.rnn.lstm": 1, "chainer.functions.rnn.slstm": 1}


def _modules():
    for package in ("chainer", "chainermn"):
        for module, source in upstream_modules(package):
            yield module, source, [mend for mend in TABLE.mends if mend.module == module]


@functools.cache
def _used():
    return frozenset().union(*(names_in(source, mends) for _, source, mends in _modules()))


@functools.cache
def _kernels():
    return [kernel for each in _modules() for kernel in kernels_of(*each)[0]]


def _gap(name):
    return next((gap for gap in GAPS if name == gap or name.startswith(gap + ".")), None)


def _cupy():
    """CuPy, or a skip: it is no dependency of the project's tests, being large and of use with CUDA only."""
    return pytest.importorskip("cupy", reason="needs CuPy, such as: pip install 'cupy-cuda12x[ctk]'")


def test_names_are_those_of_the_list():
    assert sorted(_used() - set(NAMES) - {name for name in _used() if _gap(name)}) == []
    assert sorted(set(NAMES) - _used()) == []
    assert sorted(NAMES) == NAMES
    assert {_gap(name) for name in _used()} - {None} == GAPS.keys()


def test_cupy_has_the_names_that_chainer_uses():
    _cupy()
    missing = {}
    for name in NAMES:
        try:
            resolved(name)
        except AttributeError as error:
            missing[name] = str(error)
    if find_spec("nvidia.nccl") is None:  # CuPy's module of this name needs the library
        missing = {name: part for name, part in missing.items() if not name.startswith("cupy.cuda.nccl")}
    assert missing == {}


def test_cupy_lacks_what_is_listed_as_missing():
    _cupy()
    for name in sorted(name for name in _used() if _gap(name)):
        with pytest.raises(AttributeError):
            resolved(name)


def test_every_kernel_is_found():
    calls, mentioned = 0, {}
    for module, source, mends in _modules():
        pattern = r"\b(?:cuda\.(?:elementwise|reduce|raw|fuse)|(?:Elementwise|Reduction|Raw)Kernel|RawModule)\("
        mentioned[module] = len(re.findall(pattern, source))
        if module != "chainer.backends.cuda":
            found = kernels_of(module, source, mends)[1]
            assert found + FUSED.get(module, 0) == mentioned[module], module
            calls += found
    assert calls == 145
    assert mentioned["chainer.backends.cuda"] == 3  # the emitters themselves
    assert len(_kernels()) == 176  # some calls emit one for each number of dimensions


def test_kernels_compile():
    _cupy()
    sources, failed = nvrtc.failures(_kernels())
    assert failed == []
    assert sources == 525


def test_a_wrong_kernel_does_not_compile():
    _cupy()
    (right,) = [kernel for kernel in _kernels() if kernel.name == "negative_sampling_calculate_gw"]
    wrong = right.__class__(
        right.module, right.line, "elementwise", ("T x", "T y", "y = no_such_thing(x)", "wrong"), ()
    )
    sources, failed = nvrtc.failures([right, wrong])
    assert sources == 6
    assert [(kernel.name, "no_such_thing" in errors) for kernel, _, errors in failed] == [("wrong", True)] * 3
