"""Probes for ``fixes_cupy``: each kernel compiles, which CuPy's code generation and NVRTC say without a device."""

import sys

from ganspec.impl_chainer.compat import TABLE

from .. import nvrtc
from ..kernels import kernels_of
from ..upstream import upstream
from .register import probe


def _compiles(module):
    without = sys.modules["ganspec.impl_chainer.compat.hook"].FINDER.without
    mends = [mend for mend in TABLE.mends if mend.module == module and mend.name not in without]
    kernels, _ = kernels_of(module, upstream(module), mends)
    sources, failed = nvrtc.failures(kernels)
    assert sources
    assert not failed, failed


@probe("parallel_updater-half", needs="cupy")
def _():
    _compiles("chainer.training.updaters.multiprocess_parallel_updater")


@probe("chainermn_memory-half", needs="cupy")
def _():
    _compiles("chainermn.communicators._memory_utility")


@probe("roi_average_align_2d-half", needs="cupy")
def _():
    _compiles("chainer.functions.pooling.roi_average_align_2d")


@probe("roi_max_align_2d-half", needs="cupy")
def _():
    _compiles("chainer.functions.pooling.roi_max_align_2d")


@probe("hierarchical_softmax-half", needs="cupy")
def _():
    _compiles("chainer.links.loss.hierarchical_softmax")


@probe("negative_sampling-half", needs="cupy")
def _():
    _compiles("chainer.functions.loss.negative_sampling")
