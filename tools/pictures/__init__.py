"""Pictures as bytes: grids of images, animations, plots. These are pure functions that write no files, but for those of `saving`.

images       images as pixels, many images as one grid, a grid as a PNG file
animation    pictures, one after the other, as a GIF file
plots        the columns of a log as a PNG file
saving       files and folders, never over others
"""

from __future__ import annotations

import importlib.util


def missing_packages() -> list[str]:
    """Returns: the packages of the extra `pictures` that are not installed."""
    packages = {"Pillow": "PIL", "matplotlib": "matplotlib"}
    return [package for package, module in packages.items() if not importlib.util.find_spec(module)]
