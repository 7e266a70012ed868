"""Mends for what CuPy changed, and for the kernels of Chainer and ChainerMN that its headers broke.

cuDNN needs none: CuPy 14 has no ``cupy.cuda.cudnn``, Chainer catches that, warns once, and takes its own
kernels. Float32 and float64 need none either; float16 does, in the places below.
"""

from ganspec.impl_chainer.compat.mend import declare
from ganspec.impl_chainer.compat.versions import at_least

# CuPy's distributions are named after the CUDA they are for.
_cupy = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")


def cupy_14():
    """The condition: some distribution of CuPy is installed, and it is version 14 or later."""
    return any(at_least(name, 14)() for name in _cupy)


_INCLUDE = "#include <cupy/float16.cuh>"

declare(
    "parallel_updater-half",
    "chainer.training.updaters.multiprocess_parallel_updater",
    ("        '_memcpy_gather',\n", f"        '_memcpy_gather', preamble='{_INCLUDE}',\n"),
    ("        '_memcpy_scatter',\n", f"        '_memcpy_scatter', preamble='{_INCLUDE}',\n"),
    broken_by="CuPy 14",
    why="The type float16 is declared in a header of its own, which kernels without float16 arguments miss.",
    needed=cupy_14,
)

declare(
    "chainermn_memory-half",
    "chainermn.communicators._memory_utility",
    (
        "    return chainer.cuda.raw(r'''\n#include <cupy/carray.cuh>\n",
        f"    return chainer.cuda.raw(r'''{_INCLUDE}\n#include <cupy/carray.cuh>\n",
        2,
    ),
    broken_by="CuPy 14",
    why="The type half is declared in a header of its own.",
    needed=cupy_14,
)

declare(
    "chainermn_memory-copy",
    "chainermn.communicators._memory_utility",
    ("xp.array(v, copy=False, dtype=transfer_dtype)", "xp.asarray(v, dtype=transfer_dtype)"),
    broken_by="NumPy 2.0, CuPy 14",
    why="copy=False means never, and raises where the dtype differs, which is the case here.",
    needed=at_least("numpy", 2, 0),
)

for _module in ("roi_average_align_2d", "roi_max_align_2d"):
    declare(
        f"{_module}-half",
        f"chainer.functions.pooling.{_module}",
        (
            "T roi_width = max(roi_end_w - roi_start_w, (T)1.);",
            "T roi_width = roi_end_w - roi_start_w; if (roi_width < (T)1.) roi_width = (T)1.;",
            2,
        ),
        (
            "T roi_height = max(roi_end_h - roi_start_h, (T)1.);",
            "T roi_height = roi_end_h - roi_start_h; if (roi_height < (T)1.) roi_height = (T)1.;",
            2,
        ),
        broken_by="CuPy 14",
        why="In float16 the kernel does not compile: the difference is a float, and max has no float with float16.",
        needed=cupy_14,
    )

declare(
    "hierarchical_softmax-half",
    "chainer.links.loss.hierarchical_softmax",
    ("atomicAdd(&gx[x_ind], g * w[w_ind]);", "atomicAdd(&gx[x_ind], (T)(g * w[w_ind]));"),
    ("atomicAdd(&gw[w_ind], g * x[x_ind]);", "atomicAdd(&gw[w_ind], (T)(g * x[x_ind]));"),
    broken_by="CuPy 14",
    why="In float16 the kernel does not compile: the product is a float, and a float16 takes only its own kind.",
    needed=cupy_14,
)

declare(
    "negative_sampling-half",
    "chainer.functions.loss.negative_sampling",
    ("gi * x[(i / m) * c + j]);", "(T)(gi * x[(i / m) * c + j]));"),
    broken_by="CuPy 14",
    why="In float16 the kernel does not compile: the product is a float, and a float16 takes only its own kind.",
    needed=cupy_14,
)
