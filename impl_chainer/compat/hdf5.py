"""Reading an HDF5 dataset as h5py 2 gave it: text as text. Source: h5py 3.0, what's new."""

import h5py
import numpy


def read(dataset):
    """Return the dataset as an array; variable-length UTF-8 becomes ``str``, which h5py 3 leaves as bytes."""
    text = h5py.check_string_dtype(dataset.dtype)
    if text is not None and text.length is None and text.encoding == "utf-8":
        return numpy.asarray(dataset.asstr()[()])
    return numpy.asarray(dataset)
