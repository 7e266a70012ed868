"""The functions, tables and methods that NumPy has removed and that have no other name there, written once more.

Each function's first argument is the module whose function it is, NumPy or CuPy; each method's is the array.
Source: the documentation of NumPy 1.23.
"""

import functools


def alen(xp, a):
    """The length of an array's first axis; 1 for a number."""
    return len(xp.array(a, ndmin=1))


def asfarray(xp, a, dtype=None):
    """The array, of float64 unless another type of floating-point or complex numbers is given."""
    dtype = xp.dtype(xp.float64 if dtype is None else dtype)
    return xp.asarray(a, dtype=dtype if dtype.kind in "fc" else xp.float64)


def asscalar(xp, a):
    """The one element of an array, as a Python number."""
    return a.item()


def in1d(xp, ar1, ar2, *arguments, **options):
    """For each element of ``ar1``, made flat, whether it is in ``ar2``."""
    return xp.isin(xp.ravel(xp.asarray(ar1)), ar2, *arguments, **options)


def msort(xp, a):
    """A copy of the array, sorted along its first axis."""
    return xp.sort(a, axis=0)


def rank(xp, a):
    """The number of dimensions."""
    return xp.ndim(a)


class Cast:
    """``np.cast``: ``np.cast[dtype](a)`` is the array in that type."""

    def __init__(self, xp):
        self.xp = xp

    def __getitem__(self, dtype):
        return lambda a: self.xp.asarray(a).astype(dtype)


def sctypes(xp):
    """The scalar types by kind."""
    return {
        "int": [xp.int8, xp.int16, xp.int32, xp.int64],
        "uint": [xp.uint8, xp.uint16, xp.uint32, xp.uint64],
        "float": [xp.float16, xp.float32, xp.float64, *_if_there(xp, "longdouble")],
        "complex": [xp.complex64, xp.complex128, *_if_there(xp, "clongdouble")],
        "others": [bool, object, bytes, str, *_if_there(xp, "void")],
    }


def _if_there(xp, name):
    return [getattr(xp, name)] if hasattr(xp, name) else []


def itemset(array, *place_and_value):
    """Set one element: ``a.itemset(value)``, ``a.itemset(index, value)``, ``a.itemset(i, j, value)``."""
    *place, value = place_and_value
    if not place:
        array[(0,) * array.ndim] = value
    elif len(place) == 1 and not isinstance(place[0], tuple):
        array.flat[place[0]] = value
    else:
        array[place[0] if len(place) == 1 else tuple(place)] = value


def newbyteorder(array, order="S"):
    """The same memory, read in another order of bytes."""
    return array.view(array.dtype.newbyteorder(order))


def ptp(array, axis=None, out=None, keepdims=False):
    """The range of values, largest minus smallest, along an axis."""
    largest = array.max(axis=axis, keepdims=keepdims)
    difference = largest - array.min(axis=axis, keepdims=keepdims)
    if out is None:
        return difference
    out[...] = difference
    return out


def tostring(array, order="C"):
    """The bytes of the array."""
    return array.tobytes(order)


def of_module(xp, name):
    """Return the function or table ``name`` of NumPy or CuPy."""
    if name == "cast":
        return Cast(xp)
    if name == "sctypes":
        return sctypes(xp)
    return functools.partial(globals()[name], xp)
