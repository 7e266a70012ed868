"""Scalars as NumPy 1 promoted them, for the few places in Chainer whose results depend on it.

Imports NumPy; the mended modules import this one when they run, never before. Source: NEP 50.
"""

import numpy

_PYTHON = (bool, int, float)


def _scalar(value):
    return isinstance(value, (*_PYTHON, numpy.generic)) or (isinstance(value, numpy.ndarray) and value.ndim == 0)


def _strong(value):
    # Python's numbers counted as int64 and float64 among scalars; 0-d arrays counted as scalars.
    return numpy.asarray(value)[()]


def summands(weight, value):
    """Return what ``Summary.add`` adds: ``(weight * value, weight * value**2, weight)``.

    CPU scalars are promoted as among themselves in NumPy 1: a Python number is an int64 or a float64, so
    that float32 values are summed in float64. Arrays, and arrays of other libraries, are left alone.
    """
    # By exact type: numpy.float64 is a subclass of float.
    python = type(weight) in _PYTHON and type(value) in _PYTHON
    if python or not (_scalar(weight) and _scalar(value)):
        return weight * value, weight * value * value, weight
    n = weight if type(weight) in _PYTHON else _strong(weight) + numpy.int64(0)
    weight, value = _strong(weight), _strong(value)
    zero = numpy.float64(0)
    return zero + weight * value, zero + weight * value * value, n


def set_weakly(hyperparameter, name, value):
    """Set an attribute; a NumPy float becomes Python's, which does not promote the arrays it meets."""
    if isinstance(value, numpy.floating) and not isinstance(value, numpy.longdouble):
        value = float(value)
    object.__setattr__(hyperparameter, name, value)
