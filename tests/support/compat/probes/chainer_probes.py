"""Probes for ``fixes_chainer``."""

import numpy as np

from .register import probe


@probe("deconvolution_2d-weight-only")
def _():
    from chainer import functions as F
    from chainer import links as L

    layer = L.Deconvolution2D(3, 2, 4, 2, 1)
    layer.cleargrads()
    F.sum(layer(np.ones((1, 3, 2, 2), "f"))).backward()
    assert layer.W.grad.shape == (3, 2, 4, 4)


@probe("hdf5-exc_info", needs="h5py")
def _():
    import contextlib
    import io
    import os
    import sys
    import tempfile
    from unittest import mock

    import chainer

    said = io.StringIO()
    path = os.path.join(tempfile.mkdtemp(), "a.h5")
    with mock.patch.object(sys, "stderr", said), contextlib.suppress(TypeError):
        chainer.serializers.save_hdf5(path, {"log": np.array(None, dtype=object)})
        raise AssertionError("saved")
