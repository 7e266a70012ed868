"""What can be ported, by name."""

from __future__ import annotations

from ganspec.tools.porting.translating.distributions import KINDS
from ganspec.tools.porting.translating.functions import FUNCTIONS
from ganspec.tools.porting.translating.link_composed import HOOKS
from ganspec.tools.porting.translating.links import LINKS
from ganspec.tools.porting.translating.numpy_tables import CREATING, DRAWS, METHODS, NUMPY


def supported() -> dict[str, tuple[str, ...]]:
    """Returns: the names that can be ported, sorted, by where they stand in Chainer or NumPy."""
    return {
        "chainer.functions": tuple(sorted(FUNCTIONS)),
        "chainer.links": tuple(sorted(cls.__name__ for cls in LINKS)),
        "chainer.link_hooks": tuple(sorted(cls.__name__ for cls in HOOKS)),
        "chainer.distributions": tuple(sorted(cls.__name__ for cls in KINDS)),
        "numpy": tuple(sorted({*NUMPY, *CREATING})),
        "numpy.random": tuple(sorted(DRAWS)),
        "methods of arrays": tuple(sorted(METHODS)),
    }
