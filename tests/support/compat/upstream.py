"""Upstream's source as it lies on the disk, found without importing anything."""

import re
from importlib.machinery import PathFinder
from pathlib import Path


def upstream(module):
    """Return the source of a module."""
    path = None
    for end in [match.start() for match in re.finditer(r"\.", module)] + [len(module)]:
        spec = PathFinder.find_spec(module[:end], path)
        path = spec.submodule_search_locations
    return Path(spec.origin).read_text(encoding="utf-8")


def upstream_modules(package):
    """Yield ``(name, source)`` for every module of a package."""
    root = Path(PathFinder.find_spec(package).origin).parent
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path.read_text(encoding="utf-8")
