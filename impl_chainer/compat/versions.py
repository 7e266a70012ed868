"""Which versions this process has, asked without importing anything.

Each function returns a condition, to be asked when the module in question loads: what is installed may
be unknown before, and most processes never load most modules.
"""

import functools
import re
import sys
from importlib import metadata, util


@functools.cache
def release(distribution):
    """Return the installed release of a distribution as a tuple, such as ``(2, 4, 6)``; None if absent."""
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
    digits = re.match(r"\d+(\.\d+)*", version or "")
    return tuple(int(part) for part in digits.group().split(".")) if digits else None


def at_least(distribution, *version):
    """Return a condition: the distribution is installed, in this version or a later one."""

    def condition():
        installed = release(distribution)
        return installed is not None and installed >= version

    return condition


def python_at_least(*version):
    """Return a condition: this is that version of Python or a later one."""
    return lambda: sys.version_info[: len(version)] >= version


def absent(distribution):
    """Return a condition: the distribution is not installed."""
    return lambda: release(distribution) is None


def importable(module):
    """Return a condition: a top-level module of this name can be found; it is not imported."""
    return lambda: module in sys.modules or util.find_spec(module) is not None


def any_of(*conditions):
    """Return a condition: at least one of these holds."""
    return lambda: any(condition() for condition in conditions)
