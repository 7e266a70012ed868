"""Probes for ``fixes_chainer``."""

import numpy as np
import pytest

from .register import probe


@probe("deconvolution_2d-weight-only")
def _():
    from chainer import functions as F
    from chainer import links as L

    layer = L.Deconvolution2D(3, 2, 4, 2, 1)
    layer.cleargrads()
    F.sum(layer(np.ones((1, 3, 2, 2), "f"))).backward()
    assert layer.W.grad.shape == (3, 2, 4, 4)


@probe("concat_examples-ndarray")
def _():
    from chainer.dataset import concat_examples

    batch = np.arange(6, dtype="f").reshape(2, 3)
    assert (concat_examples(batch) == batch).all()
    assert concat_examples(batch).dtype == np.float32
    assert concat_examples(np.zeros((1, 1))).tolist() == [[0]]
    pairs = np.empty(2, dtype=object)
    pairs[:] = [(batch[0], 0), (batch[1], 1)]
    x, t = concat_examples(pairs)
    assert (x == batch).all()
    assert t.tolist() == [0, 1]
    for empty in (np.zeros((0, 3)), []):
        with pytest.raises(ValueError, match="batch is empty"):
            concat_examples(empty)


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
