"""The entry in ``sys.meta_path`` that has the modules of one folder compiled with the old names in them."""

import importlib.machinery
import os
import sys
import sysconfig

from ganspec.impl_chainer.compat.hook import found_behind
from ganspec.impl_chainer.compat.old_names.rewrite import compiled

# Found before the finder stands in sys.meta_path: sysconfig imports modules while it answers.
_OTHERS = tuple(
    os.path.realpath(folder)
    for folder in (
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    )
)
_INSTALLED = ("site-packages", "dist-packages")


class OldNamesLoader(importlib.machinery.SourceFileLoader):
    """Loads one module from its own file, with the old names in it. The bytecode cache is neither read nor written."""

    def get_code(self, fullname):
        """Compile the source with the old names in it."""
        path = self.get_filename(fullname)
        return compiled(self.get_data(path), path)


class OldNamesFinder:
    """Finds modules as the other finders do, and has those of the folder loaded with the old names in them."""

    def __init__(self, folder):
        self.folder = folder

    def find_spec(self, fullname, path=None, target=None):
        """Return the spec that the other finders give, with another loader for a module of the folder."""
        spec = found_behind(self, fullname, path, target)
        plain = spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader
        if plain and in_folder(spec.origin, self.folder):
            spec.loader = OldNamesLoader(spec.loader.name, spec.loader.path)
        return spec


def in_folder(path, folder):
    """Return whether a file is one of the user's own: in the folder, and not Python's, an installed package's or ours.

    Args:
        path: path of the file.
        folder: path of the folder, without symbolic links.
    """
    path = os.path.realpath(path)
    return (
        _inside(path, folder)
        and not any(_inside(path, other) for other in _OTHERS)
        and not any(part in _INSTALLED for part in path.split(os.sep))
    )


def _inside(path, folder):
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def install(folder):
    """Give the old names to the modules of a folder that are imported from now on. Repeating it is harmless."""
    for finder in sys.meta_path:
        if isinstance(finder, OldNamesFinder):
            finder.folder = folder
            return
    sys.meta_path.insert(0, OldNamesFinder(folder))
