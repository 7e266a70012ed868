"""Probes for ``fixes_libraries`` and, of ``fixes_cupy``, for what shows without CuPy."""

import os
import tempfile

import numpy as np

from .register import probe


@probe("caffe-protobuf")
def _():
    from chainer.links.caffe.protobuf3 import caffe_pb2

    net = caffe_pb2.NetParameter.FromString(caffe_pb2.NetParameter(name="n").SerializeToString())
    assert net.name == "n"
    assert caffe_pb2.TEST == 1
    assert caffe_pb2.V1LayerParameter.CONVOLUTION == 4
    assert caffe_pb2.NetParameter.__module__ == caffe_pb2.__name__


@probe("hdf5-string", needs="h5py")
def _():
    import h5py
    from chainer import serializers

    with h5py.File(os.path.join(tempfile.mkdtemp(), "a.h5"), "w") as file:
        file.create_dataset("text", data="abc")
        file.create_dataset("number", data=3)
        load = serializers.HDF5Deserializer(file)
        assert load("text", "") == "abc"
        assert str(load("text", None)) == "abc"
        assert load("number", 0) == 3


@probe("sparse_matmul-half", needs="scipy")
def _():
    import chainer.functions as F
    from chainer.utils import CooMatrix

    half = np.ones(2, np.float16)
    a = CooMatrix(half, np.array([0, 1], "i"), np.array([1, 0], "i"), (2, 2))
    y = F.sparse_matmul(a, np.array([[1, 2], [3, 4]], np.float16))
    assert y.dtype == np.float16
    assert y.array.tolist() == [[3, 4], [1, 2]]


@probe("chainermn_memory-copy", needs="mpi4py")
def _():
    from chainer import Parameter
    from chainermn.communicators import _memory_utility

    class Buffer:
        def to_device(self, array, size, offset, stream):
            array[...] = 2

    parameter = Parameter(np.ones(3, "f"))
    _memory_utility.unpack_params([parameter], "data", Buffer(), np.float64, False)
    assert parameter.array.tolist() == [2, 2, 2]
