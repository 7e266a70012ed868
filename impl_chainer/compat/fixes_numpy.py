"""Mends for what NumPy removed or changed: names, promotion of scalars (NEP 50), strictness about arrays.

Results must be those of NumPy 1.23, on which Chainer's own test suite passes.
"""

import importlib

from ganspec.impl_chainer.compat.mend import declare
from ganspec.impl_chainer.compat.versions import at_least

numpy_1_25 = at_least("numpy", 1, 25)
numpy_2 = at_least("numpy", 2, 0)
numpy_2_5 = at_least("numpy", 2, 5)

declare(
    "as_strided-sctypes",
    "chainer.functions.array.as_strided",
    ("np.sctypes['int']", "(np.int8, np.int16, np.int32, np.int64)"),
    ("np.sctypes['float']", "(np.float16, np.float32, np.float64, np.longdouble)"),
    broken_by="NumPy 2.0",
    why="np.sctypes is gone; the types that it held are named instead. Fails while chainer is imported.",
    needed=numpy_2,
)

declare(
    "resize_images-float",
    "chainer.functions.array.resize_images",
    ("dtype=numpy.float)", "dtype=float)", 6),
    broken_by="NumPy 1.24 (deprecated in 1.20)",
    why="numpy.float was another name of Python's float.",
    needed=at_least("numpy", 1, 20),
)

declare(
    "categorical-meshgrid",
    "chainer.distributions.categorical",
    ("            indexing='ij')\n", "            indexing='ij'); mg = list(mg)\n"),
    broken_by="NumPy 2.0",
    why="numpy.meshgrid returns a tuple now, and log_prob adds a list to it.",
    needed=numpy_2,
)

declare(
    "summary-promotion",
    "chainer.reporter",
    (
        "            self._x += weight * value\n"
        "            self._x2 += weight * value * value\n"
        "            self._n += weight\n",
        "            from ganspec.impl_chainer.compat.promotion import summands\n"
        "            x, x2, n = summands(weight, value)\n"
        "            self._x += x; self._x2 += x2; self._n += n\n",
    ),
    broken_by="NumPy 2.0 (NEP 50)",
    why="A sum that starts as Python's 0.0 became float32 with the first float32 value: 20,000 values near 1 "
    "got a standard deviation of NaN. NumPy 1 summed scalars in float64.",
    needed=numpy_2,
)


def _set_weakly(optimizer):
    promotion = importlib.import_module("ganspec.impl_chainer.compat.promotion")
    optimizer.Hyperparameter.__setattr__ = promotion.set_weakly


declare(
    "hyperparameter-promotion",
    "chainer.optimizer",
    (
        "        self._parent = parent\n\n",
        "        self._parent = parent\n    from ganspec.impl_chainer.compat.promotion import set_weakly as __setattr__\n",
    ),
    broken_by="NumPy 2.0 (NEP 50)",
    why="A float64 scalar as learning rate or epsilon promotes float32 arrays: SMORMS3's state became float64 "
    "and the other rules compute their steps in float64. As Python's float it leaves arrays as they are.",
    needed=numpy_2,
    in_place=_set_weakly,
)

declare(
    "gradient_clipping-promotion",
    "chainer.optimizer_hooks.gradient_clipping",
    (
        "sq_sums.append(sum(dots))",
        "sq_sums.append(sum(dots, numpy.float64(0)) if device.xp is numpy else sum(dots))",
    ),
    ("                if rate >= 1:\n", "                if (rate := float(rate)) >= 1:\n"),
    broken_by="NumPy 2.0 (NEP 50)",
    why="The squared norms of the parameters were added up in float64, as scalars were, and the rate did not "
    "promote the float32 gradients that it scales.",
    needed=numpy_2,
)

declare(
    "division-promotion",
    "chainer.functions.math.basic_math",
    ("MulConstant(1. / rhs)", "MulConstant(1. / (float(rhs) if isinstance(rhs, numpy.floating) else rhs))"),
    broken_by="NumPy 2.0 (NEP 50)",
    why="The reciprocal of a float32 scalar is float32 now: a float64 variable divided by it lost half its digits.",
    needed=numpy_2,
)

declare(
    "softplus-promotion",
    "chainer.functions.activation.softplus",
    ("float(1.0 / beta)", "1.0 / float(beta)"),
    broken_by="NumPy 2.0 (NEP 50)",
    why="The reciprocal of a float32 beta is float32 now, of half the digits for float64 input.",
    needed=numpy_2,
)

for _module, _name in (
    ("chainer.training.extensions.log_report", "log_report-item"),
    ("chainer.training.extensions.plot_report", "plot_report-item"),
):
    declare(
        _name,
        _module,
        ("float(value)", "float(getattr(value, 'item', lambda: value)())"),
        broken_by="NumPy 2.4 (deprecated in 1.25)",
        why="float() of an array of one element and one dimension or more raises.",
        needed=numpy_1_25,
    )

declare(
    "minmax_trigger-item",
    "chainer.training.triggers.minmax_value_trigger",
    ("float(stats[key])", "float(getattr(stats[key], 'item', lambda: stats[key])())"),
    broken_by="NumPy 2.4 (deprecated in 1.25)",
    why="float() of an array of one element and one dimension or more raises.",
    needed=numpy_1_25,
)

declare(
    "multi_node_iterator-item",
    "chainermn.iterators.multi_node_iterator",
    ("int(_size)", "int(_size.item())"),
    broken_by="NumPy 2.4 (deprecated in 1.25)",
    why="int() of an array of one element and one dimension raises.",
    needed=numpy_1_25,
)

declare(
    "pad_sequence-wrap",
    "chainer.functions.array.pad_sequence",
    (
        "        y = xp.empty(shape, xs[0].dtype)\n",
        "        y = xp.empty(shape, xs[0].dtype); padding = numpy.asarray(self.padding).astype(y.dtype)[()]\n",
    ),
    ("y[i, l:] = self.padding", "y[i, l:] = padding"),
    ("lengths, self.padding, base", "lengths, padding, base"),
    broken_by="NumPy 2.0 (NEP 50)",
    why="A Python -1 no longer wraps when it is stored in an unsigned array.",
    needed=numpy_2,
)

declare(
    "concat_examples-padding",
    "chainer.dataset.convert",
    (
        "device.xp.full(shape, padding, dtype=arrays[0].dtype)",
        "device.xp.full(shape, numpy.asarray(padding).astype(arrays[0].dtype)[()], dtype=arrays[0].dtype)",
    ),
    broken_by="NumPy 2.0 (NEP 50)",
    why="A Python -1 no longer wraps when an unsigned array is filled with it.",
    needed=numpy_2,
)

declare(
    "concat_examples-maximum",
    "chainer.dataset.convert",
    ("numpy.maximum(shape, array.shape, shape)", "numpy.maximum(shape, array.shape, out=shape)"),
    broken_by="NumPy 2.4",
    why="The output of a ufunc given by position is deprecated for maximum.",
    needed=at_least("numpy", 2, 4),
)

declare(
    "variable-device",
    "chainer.variable",
    (
        "device = getattr(array, 'device', 'CPU')",
        "device = 'CPU' if type(array).__module__ == 'numpy' else getattr(array, 'device', 'CPU')",
    ),
    broken_by="NumPy 2.0",
    why="NumPy arrays have a device now, 'cpu'; debug_print says 'CPU'.",
    needed=numpy_2,
)

declare(
    "fix-trunc",
    "chainer.functions.math.fix",
    ("xp.fix(x)", "xp.trunc(x)"),
    broken_by="NumPy 2.5",
    why="numpy.fix is deprecated; trunc is the same function.",
    needed=numpy_2_5,
)

declare(
    "maxout-shape",
    "chainer.links.activation.maxout",
    (
        "                array.shape = (out_size, pool_size, in_size)\n",
        "                whole = array.reshape(out_size, pool_size, in_size)\n",
    ),
    (
        "                initialW_orig(array)\n                array.shape = (linear_out_size, in_size)\n",
        "                initialW_orig(whole)\n                array[...] = whole.reshape(linear_out_size, in_size)\n",
    ),
    (
        "                array.shape = (out_size, pool_size)\n",
        "                whole = array.reshape(out_size, pool_size)\n",
    ),
    (
        "                initial_bias_orig(array)\n                array.shape = linear_out_size,\n",
        "                initial_bias_orig(whole)\n                array[...] = whole.reshape(linear_out_size)\n",
    ),
    broken_by="NumPy 2.5",
    why="Setting the shape of an array is deprecated.",
    needed=numpy_2_5,
)
