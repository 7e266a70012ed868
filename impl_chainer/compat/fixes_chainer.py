"""Mends for bugs of Chainer 7.8.1 itself, which appear on any stack."""

from ganspec.impl_chainer.compat.mend import always, declare

declare(
    "deconvolution_2d-weight-only",
    "chainer.functions.connection.deconvolution_2d",
    ("self._set_cover_all(x, W)", "self._set_cover_all(x.shape, W.shape)"),
    broken_by="Chainer 7.8.1 (issue #8624)",
    why="Backward fails when x needs no gradient, as in a generator's first layer on raw z.",
    needed=always,
)

declare(
    "concat_examples-ndarray",
    "chainer.dataset.convert",
    ("if not batch:", "if len(batch) == 0:", 2),
    broken_by="Chainer 7.8.1",
    why="A batch that is one array has no truth value; earlier versions looked at its length.",
    needed=always,
)

declare(
    "hdf5-exc_info",
    "chainer.serializers.hdf5",
    ("sys.exec_info()", "sys.exc_info()"),
    broken_by="Chainer 7.8.1",
    why="What HDF5 cannot hold, such as a LogReport, is reported as an AttributeError of sys instead of what it is.",
    needed=always,
)
