"""Mends for functions that Chainer 7.8.1 cannot differentiate twice, as a gradient penalty needs, on any stack."""

from ganspec.impl_chainer.compat.mend import always, declare

_BROKEN_BY = "Chainer 7.8.1"
_IMPORT = "from ganspec.impl_chainer.compat import double_backprop"

declare(
    "function-double_backprop",
    "chainer.function",
    (
        "            grad_out_data = backend.from_chx(grad_out_data)\n\n        # Call Function.backward\n",
        "            grad_out_data = backend.from_chx(grad_out_data)\n"
        f"        {_IMPORT}; ret = chainer.config.enable_backprop and "
        "double_backprop.of_function(self, target_input_indexes, grad_outputs)\n"
        "        if ret: return ret\n",
    ),
    broken_by=_BROKEN_BY,
    why="Functions of the old style have no second gradient. Those of hinge loss, batch renormalization, DeCov, "
    "tree LSTM and spatial transformers are composed of others when it is asked for.",
    needed=always,
)

declare(
    "local_convolution-double_backprop",
    "chainer.functions.connection.local_convolution_2d",
    (
        "        xvar, Wvar = self.get_retained_inputs()\n        x = xvar.data\n        W = Wvar.data\n",
        f"        {_IMPORT}; xvar, Wvar = self.get_retained_inputs(); x, W = xvar.data, Wvar.data\n"
        "        if chainer.config.enable_backprop:\n"
        "            return double_backprop.local_convolution_2d(self, indices, grad_outputs)\n",
    ),
    broken_by=_BROKEN_BY,
    why="The gradients of x and W are constants to any further differentiation, without an error: a gradient "
    "penalty does not train what lies below.",
    needed=always,
)

declare(
    "local_response_normalization-double_backprop",
    "chainer.functions.normalization.local_response_normalization",
    ("        x, y, gy = inputs\n", "        x, y, gy = inputs; self.retain_inputs((0, 2))\n", 3),
    (
        "        # No trivial way to implement double-backward for this function.\n        raise NotImplementedError\n",
        f"        {_IMPORT}\n        return double_backprop.local_response_normalization(self, grad_outputs)\n",
    ),
    broken_by=_BROKEN_BY,
    why="The second gradient is not implemented.",
    needed=always,
)

declare(
    "group_normalization-double_backprop",
    "chainer.functions.normalization.group_normalization",
    (
        "        ggx_hat, gggamma, ggbeta = grad_outputs\n",
        f"        {_IMPORT}; ggx_hat, gggamma, ggbeta = "
        "double_backprop.zeros_for_none(grad_outputs, (x_hat, gamma, gamma))\n",
    ),
    broken_by=_BROKEN_BY,
    why="The second gradient fails where gamma or beta needs none, as in the hook WeightStandardization.",
    needed=always,
)

declare(
    "softmax_cross_entropy-double_backprop",
    "chainer.functions.loss.softmax_cross_entropy",
    (
        "        x, t, gloss = inputs_and_grad_outputs\n",
        "        x, t, gloss = inputs_and_grad_outputs; self.retain_inputs((0, 1, 2))\n",
        2,
    ),
    (
        "        raise RuntimeError(\n            'F.softmax_cross_entropy was called with '\n",
        f"        {_IMPORT}; return double_backprop.softmax_cross_entropy(self, grad_outputs)\n"
        "        raise RuntimeError('F.softmax_cross_entropy was called with '\n",
    ),
    broken_by=_BROKEN_BY,
    why="The second gradient needs enable_double_backprop=True in the forward call, which L.Classifier, say, does "
    "not pass; here it is given without.",
    needed=always,
)

declare(
    "resize_images-float64",
    "chainer.functions.array.resize_images",
    (
        "            x_type.dtype == numpy.float32,\n",
        "            x_type.dtype.kind == 'f', x_type.dtype.itemsize >= 4,\n",
    ),
    (
        "            gy_type.dtype == numpy.float32,\n",
        "            gy_type.dtype.kind == 'f', gy_type.dtype.itemsize >= 4,\n",
    ),
    broken_by=_BROKEN_BY,
    why="Only float32 is accepted, so that no network that resizes can be checked in float64.",
    needed=always,
)
