"""The look-up that stands in the user's compiled modules where their source mentions an old name."""

import functools
import sys
import types

from ganspec.impl_chainer.compat.old_names import functions, table


def old_name(owner, name):
    """Return ``owner.name``, and for NumPy, CuPy and their arrays what it was with NumPy 1.23.

    What the owner still has comes from the owner, except for ``np.bool`` and ``np.long``: they were Python's ``bool`` and
    ``int`` until NumPy 1.24 removed them, and NumPy 2.0 gave the names to other types.

    Args:
        owner: value of the expression on the left of the dot.
        name: name on the right of the dot.

    Raises:
        AttributeError: the owner has no such attribute, and NumPy 1.23 had none.
    """
    if isinstance(owner, types.ModuleType) and owner.__name__ in ("numpy", "cupy"):
        if name in table.PYTHON_TYPES:
            return table.PYTHON_TYPES[name]
        # Asked for a removed name, NumPy's own __getattr__ would warn.
        if name not in vars(owner):
            return _of_module(owner, name)
    elif name in table.METHODS and _is_array(owner) and not hasattr(owner, name):
        return functools.partial(getattr(functions, name), owner)
    return getattr(owner, name)


def _of_module(module, name):
    if name in table.CONSTANTS:
        return table.CONSTANTS[name]
    if name in table.FUNCTIONS:
        return functions.of_module(module, name)
    if name not in table.RENAMED:
        return getattr(module, name)
    return functools.reduce(getattr, table.RENAMED[name].split("."), module)


def _is_array(value):
    numpy, cupy = sys.modules.get("numpy"), sys.modules.get("cupy")
    return (numpy and isinstance(value, numpy.ndarray | numpy.generic)) or (cupy and isinstance(value, cupy.ndarray))
