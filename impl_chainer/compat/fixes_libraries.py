"""Mends for what other libraries changed: protobuf, h5py, SciPy, Pillow."""

from ganspec.impl_chainer.compat.mend import declare
from ganspec.impl_chainer.compat.versions import at_least

_CAFFE_END = "\n)\n_sym_db.RegisterFileDescriptor(DESCRIPTOR)\n"
_CAFFE_START = "  serialized_pb=_b("


def _caffe_from_its_descriptor(source):
    """Return the module that current protoc would generate from the descriptor in this one."""
    _, start, rest = source.partition(_CAFFE_START)
    literal, end, _ = rest.partition(_CAFFE_END)
    if not start or not end:
        raise ImportError(
            "ganspec.impl_chainer.compat finds no serialized descriptor in chainer/links/caffe/protobuf3/caffe_pb2.py"
        )
    return (
        "from google.protobuf import descriptor_pool as _pool\n"
        "from google.protobuf.internal import builder as _builder\n"
        f"_b = lambda x: x.encode('latin1')\nDESCRIPTOR = _pool.Default().AddSerializedFile(_b({literal})\n"
        "_builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())\n"
        "_builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, __name__, globals())\n"
    )


declare(
    "caffe-protobuf",
    "chainer.links.caffe.protobuf3.caffe_pb2",
    broken_by="protobuf 4",
    why="Descriptors can no longer be created one by one in Python. The file holds the serialized whole, from "
    "which protobuf's own builder makes the same classes. Fails while chainer is imported.",
    needed=at_least("protobuf", 4),
    rewrite=_caffe_from_its_descriptor,
)

declare(
    "hdf5-string",
    "chainer.serializers.hdf5",
    (
        "            return numpy.asarray(dataset)\n",
        "            from ganspec.impl_chainer.compat import hdf5; return hdf5.read(dataset)\n",
    ),
    (
        "            value = type(value)(numpy.asarray(dataset))\n",
        "            from ganspec.impl_chainer.compat import hdf5; value = type(value)(hdf5.read(dataset))\n",
    ),
    broken_by="h5py 3",
    why="Text is returned as bytes, so that a string came back as \"b'...'\".",
    needed=at_least("h5py", 3),
)

declare(
    "sparse_matmul-half",
    "chainer.functions.math.sparse_matmul",
    (
        "    # A_data/row/col.shape: ((nb,) ldnz)\n    if not",
        "    A_data, B = (a.astype('f') if a.dtype == numpy.float16 else a for a in (A_data, B))\n    if not",
    ),
    broken_by="SciPy 1.15",
    why="Sparse matrices of float16 are rejected. Older SciPy made them float32, as this does; the result is "
    "cast back as it was.",
    needed=at_least("scipy", 1, 11),
)
