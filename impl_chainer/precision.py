"""How CuPy and Chainer round on CUDA: full precision unless another was asked for.

CuPy multiplies float32 matrices in TensorFloat-32 where the variable CUPY_TF32 says so, and cuDNN, which CuPy had up to version
13, rounds the inputs of convolutions to it where a GPU can. So both are said, while ganspec computes, and put back after it.

Lower precision is outside of the claim that backends compute the same; comparisons never take it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import chainer

from ganspec.spec.training.in_force import InForce

_WITH_TF32 = 80  # compute capability of the first GPUs that have it, times 10


_IN_FORCE = InForce()  # CuPy's setting is the process's, Chainer's are the thread's


class Math:
    """While it is in force, CUDA's libraries compute as is said here; products of matrices in every thread of the process.

    Threads that say the same of these are in force together; one that says otherwise waits until they left (`InForce`).

    Args:
        tf32: whether products of matrices of float32 numbers round these to TensorFloat-32; cuDNN's convolutions, too.
        tune: whether cuDNN measures which of its algorithms is the fastest, and may take one that adds in a random order.
    """

    def __init__(self, *, tf32: bool, tune: bool) -> None:
        self._tf32, self._tune = tf32, tune
        self._inside = ExitStack()

    def __enter__(self) -> None:
        capability = int(chainer.backends.cuda.cupy.cuda.Device().compute_capability)
        # cuDNN offers Chainer no other way to keep it from rounding.
        cudnn = "auto" if self._tf32 or capability < _WITH_TF32 else "never"
        settings = {"use_cudnn": cudnn, "cudnn_deterministic": not self._tune, "autotune": self._tune}
        self._inside.enter_context(_IN_FORCE.inside(f"Math(tf32={self._tf32})", self._products))
        for name, value in settings.items():
            self._inside.enter_context(chainer.using_config(name, value))

    def __exit__(self, *_: Any) -> None:
        self._inside.close()

    @contextlib.contextmanager
    def _products(self) -> Iterator[None]:
        core = chainer.backends.cuda.cupy._core._routines_linalg
        before = core.get_compute_type("f")
        core.set_compute_type("f", core.COMPUTE_TYPE_TF32 if self._tf32 else core.COMPUTE_TYPE_DEFAULT)
        try:
            yield
        finally:
            core.set_compute_type("f", before)
