"""Pictures as bytes: grids of images, animations, plots. Pure functions; nothing here draws latents, trains or writes files."""

from __future__ import annotations

import importlib.util


def missing_packages() -> list[str]:
    """Returns: the packages of the extra `pictures` that are not installed."""
    packages = {"Pillow": "PIL", "matplotlib": "matplotlib"}
    return [package for package, module in packages.items() if not importlib.util.find_spec(module)]
