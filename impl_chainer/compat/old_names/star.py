"""What ``from numpy import *`` brought with NumPy 1.23, as far as a current NumPy can give it."""

import numpy

from ganspec.impl_chainer.compat.old_names import table
from ganspec.impl_chainer.compat.old_names.values import old_name

__all__ = sorted((set(numpy.__all__) - table.SHADOWING) | table.STARRED)  # noqa: PLE0605 (a list of text it is)

globals().update({name: old_name(numpy, name) for name in __all__})
