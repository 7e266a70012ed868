"""The names that NumPy has removed, such as ``np.float`` and ``np.product``, for the user's own modules and no others.

The user's modules are those of one folder. They are compiled with every mention of such a name replaced by a look-up
that knows NumPy 1.23's names; NumPy itself stays as it is, so that other packages see no difference and
``xp is numpy`` stays true. What each form becomes:

    np.float, numpy.float, xp.float     the old name, where the value on the left is NumPy or CuPy
    from numpy import float             the old name
    from numpy import *                 also brings what it brought with NumPy 1.23
    a.tostring(), a.itemset(i, v)       the old method, where ``a`` is an array or a scalar of NumPy
    getattr(np, "float"), exec, eval    not replaced: the name stands in no source that is compiled here

Imports the standard library only; NumPy is imported when a user's module is run that mentions an old name.
"""

from ganspec.impl_chainer.compat.old_names.finder import in_folder, install
from ganspec.impl_chainer.compat.old_names.rewrite import compiled, knows

__all__ = ["compiled", "in_folder", "install", "knows"]
