"""Makes unmodified ``chainer==7.8.1`` run on a current Python, NumPy and CuPy.

    import ganspec.impl_chainer.compat
    import chainer

or, for a program that does not import it, ``python -m ganspec.impl_chainer.compat script.py args``. Importing
this package applies the mends to Chainer, and to nothing else in the process. It imports the standard
library only; where Chainer is absent it does nothing. The mends stand in the ``fixes_*`` modules;
docs/chainer.md says what was run with them.

Source: measured by running Chainer's own test suite on an old and on a current stack.
"""

from ganspec.impl_chainer.compat import (  # noqa: F401
    fixes_chainer,
    fixes_cupy,
    fixes_double_backprop,
    fixes_libraries,
    fixes_numpy,
    fixes_python,
)
from ganspec.impl_chainer.compat.hook import apply
from ganspec.impl_chainer.compat.mend import TABLE

__all__ = ["TABLE", "apply"]

apply()
