"""What a mend is: a few lines of one upstream module, replaced in memory while it is compiled.

The file on disk is never touched. A mend says which module it is for, what broke it and why, and gives
the old text with the new one, so that the table of mends reads as a diff against Chainer 7.8.1. An old
text that is absent is an error. New text has as many lines as the old one, so that line numbers in
tracebacks stay those of the upstream file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

WRITTEN_FOR = "7.8.1"


def always():
    """The condition of a mend that is needed on every stack, because Chainer 7.8.1 itself is wrong."""
    return True


@dataclass(frozen=True)
class Edit:
    """One replacement: every one of ``count`` occurrences of ``old`` becomes ``new``."""

    old: str
    new: str
    count: int = 1


@dataclass(frozen=True)
class Mend:
    """One fix of one upstream module.

    Args:
        name: name of the fix, in ``apply(without={name})`` and in messages.
        module: name of the upstream module, such as ``chainer.reporter``.
        broken_by: cause, with its version, such as ``NumPy 2.0``.
        why: reason, in a sentence or two.
        needed: condition: whether this process has the versions that need the mend; asked when the module loads.
        edits: replacements, applied in order.
        rewrite: function from source to source, for the one file that is replaced as a whole.
        in_place: function that makes the same change to a module that is loaded already, for a mend of a class body.
    """

    name: str
    module: str
    broken_by: str
    why: str
    needed: Callable[[], bool]
    edits: tuple = ()
    rewrite: Callable[[str], str] | None = None
    in_place: Callable[[ModuleType], None] | None = None

    def mend(self, source):
        """Return the source of the module with this fix in it.

        An edit whose new text is already there and whose old text is not was made upstream, and is left.

        Raises:
            ImportError: the source is not the one that this mend was written for.
        """
        for edit in self.edits:
            found = source.count(edit.old)
            if not found and edit.new in source:
                continue
            if found != edit.count:
                raise ImportError(
                    f"ganspec.impl_chainer.compat cannot apply its mend {self.name!r} to {self.module}: it expects "
                    f"{edit.old.strip()!r} {edit.count} time(s) in the source and finds it {found} time(s). "
                    f"The mends are written for chainer=={WRITTEN_FOR}; install that version.",
                    name=self.module,
                )
            source = source.replace(edit.old, edit.new)
        return self.rewrite(source) if self.rewrite else source


class Table:
    """The mends, by module and by name, in the order in which they were declared."""

    def __init__(self):
        self.mends = []

    def declare(self, name, module, *edits, broken_by, why, needed, rewrite=None, in_place=None):
        """Add a mend.

        Args:
            name, module, broken_by, why, needed, rewrite, in_place: parts of the ``Mend``.
            edits: replacements, each ``(old, new)`` or ``(old, new, count)``.

        Raises:
            ValueError: the name is taken, the mend does nothing, or an edit changes the number of lines.
        """
        edits = tuple(Edit(*edit) for edit in edits)
        if any(mend.name == name for mend in self.mends):
            raise ValueError(f"two mends are called {name!r}")
        if not edits and rewrite is None:
            raise ValueError(f"mend {name!r} changes nothing")
        for edit in edits:
            if edit.old.count("\n") != edit.new.count("\n"):
                raise ValueError(f"mend {name!r} changes the number of lines at {edit.old!r}")
        self.mends.append(Mend(name, module, broken_by, why, needed, edits, rewrite, in_place))

    @property
    def names(self):
        """The names of all mends."""
        return frozenset(mend.name for mend in self.mends)

    @property
    def modules(self):
        """The modules that have a mend."""
        return frozenset(mend.module for mend in self.mends)

    def wanted(self, module, without=frozenset()):
        """Return the mends that ``module`` needs in this process, except those named in ``without``."""
        return [m for m in self.mends if m.module == module and m.name not in without and m.needed()]


TABLE = Table()
declare = TABLE.declare
