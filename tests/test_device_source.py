"""The kernel of the device's draws, compiled for the processor: it gives the bits of the host; and what is done without it."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest

from ganspec.spec.training.array_streams import ArrayStreams
from ganspec.spec.training.device_source import DRAW, PARAMETERS, source
from ganspec.spec.training.streams import Position, Streams

# CUDA's own functions, as it documents them, for a compiler of the host.
CUDA = """
#include <cmath>
#include <cstring>
#define __device__
static unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
static double __dadd_rn(double a, double b) { return a + b; }
static double __dmul_rn(double a, double b) { return a * b; }
static double __ddiv_rn(double a, double b) { return a / b; }
static double __dsqrt_rn(double a) { return std::sqrt(a); }
static double __longlong_as_double(long long a) { double b; std::memcpy(&b, &a, 8); return b; }
static long long __double_as_longlong(double a) { long long b; std::memcpy(&b, &a, 8); return b; }
using std::fabs;
"""
LOOP = f"""
extern "C" void launch(
    const long long* number, long long count, long long iteration, const long long* rest, long long* drawn) {{
  for (long long i = 0; i < count; ++i)
    drawn[i] = {DRAW}<long long>(number[i], iteration, rest[0], rest[1], rest[2], rest[3], rest[4], rest[5]);
}}
"""
RATES = (0.5, 0.25, 0.3, 0.0, 0.999)


def counted(start, end):
    return np.arange(start, end, dtype=np.int64)


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """Returns: the kernel as a function of NumPy arrays."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("needs a compiler of C++")
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "draws.cpp").write_text(CUDA + source("__device__") + LOOP)
    made = [compiler, "-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-o", "draws.so", "draws.cpp"]
    subprocess.run(made, cwd=folder, check=True)
    function = ctypes.CDLL(str(folder / "draws.so")).launch
    whole = np.ctypeslib.ndpointer(np.int64, 1, flags="C")
    function.argtypes = [whole, ctypes.c_longlong, ctypes.c_longlong, whole, whole]

    def launched(number, iteration, rest):
        assert len(rest) == len(PARAMETERS)
        drawn = np.empty_like(number)
        function(number, len(number), iteration[0], np.array(rest, dtype=np.int64), drawn)
        return drawn

    return launched


def test_the_kernel_draws_the_numbers_of_the_host_bit_for_bit(launch):
    for seed, at in ((0, Position()), (2**63 - 1, Position(10**6, 3, 4, 5))):
        ours, right = ArrayStreams(seed, np, counted, np.sqrt, launch=launch), Streams(seed)
        assert np.array_equal(ours.words("w", at, 9, 3), right.words("w", at, 9, 3).view(np.int64))
        for shape, rows in (((1,), None), ((997, 33), None), ((6, 50), slice(2, 4)), ((7, 3), slice(0, 6))):
            assert np.array_equal(ours.uniform("u", at, shape, rows), right.uniform("u", at, shape, rows))
            assert np.array_equal(ours.normal("n", at, shape, rows), right.normal("n", at, shape, rows))
            for rate in RATES:
                found = ours.mask(rate, "m", at, shape, rows)
                assert found.dtype == bool
                assert np.array_equal(found, right.mask(rate, "m", at, shape, rows)), rate
    ours.iteration = np.array([4])
    assert np.array_equal(ours.normal("n", Position(0, 1), (9,)), right.normal("n", Position(4, 1), (9,)))


def test_a_kernel_is_used_where_it_gives_the_right_bits(launch):
    streams = ArrayStreams(3, np, counted, np.sqrt)
    streams.try_kernel(lambda: launch)
    assert streams.launch is launch


def _absent():
    raise RuntimeError("no NVRTC here")


@pytest.mark.parametrize(
    ("make", "text"), [(lambda: lambda number, *_: number, "it gives other numbers"), (_absent, "no NVRTC here")]
)
def test_a_kernel_that_is_wrong_or_absent_is_done_without(make, text):
    streams, at = ArrayStreams(3, np, counted, np.sqrt), Position(1)
    with pytest.warns(UserWarning, match=f"kernel cannot be used: {text}"):
        streams.try_kernel(make)
    assert np.array_equal(streams.normal("z", at, (9,)), Streams(3).normal("z", at, (9,)))


def test_pytorchs_jiterator_finds_the_entry_and_its_parameters():
    jiterator = pytest.importorskip("torch.cuda.jiterator")
    assert jiterator._create_jit_fn(source()).kernel_name == DRAW
    (parameters,) = re.findall(rf"{DRAW}\((.*?)\) {{", source(), re.DOTALL)
    assert [p.split()[1] for p in parameters.split(",")] == ["number", "iteration", *PARAMETERS]


def test_every_number_of_the_source_is_settled():
    assert not re.search(r"\b[A-Z][A-Z0-9_]+\b", source())
