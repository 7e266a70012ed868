"""The text of a ported file: what it says of itself, its imports, its definitions."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence

from ganspec.tools.porting.translating.comments import Comments
from ganspec.tools.porting.translating.formatting import formatted

_HEAD = '''"""{name} of {file} in PyTorch.

Written by `ganspec port`; report.json beside it says what was compared, and how well
it agreed. The initial values of a new instance are PyTorch's own: load the weights to
have those of the original.
"""'''
_BUILD = '''def build():
    """Returns: the model as it was ported, with new initial values."""
    return {building}'''
_TORCH = {"torch": "import torch", "F": "import torch.nn.functional as F", "nn": "from torch import nn"}


class PortedFile:
    """A ported file.

    Args:
        name: name of his class.
        file: name of his file.
        comments: the comments in what was translated.
    """

    def __init__(self, name: str, file: str, comments: Comments) -> None:
        self.name, self.file, self.comments = name, file, comments

    def text(
        self,
        *,
        imports: Collection[str],
        helpers: str,
        wrappers: Sequence[ast.stmt],
        definitions: Sequence[tuple[str, ast.stmt]],
        building: ast.expr,
    ) -> str:
        """Returns: the whole text.

        Args:
            imports: names of Python's own modules.
            helpers: source of what the port needs beside PyTorch's own.
            wrappers: definitions of functions that stand for Chainer's where they are values.
            definitions: each with its place in his files.
            building: the expression that constructs the model.
        """
        own = [self._with_place(place, made) for place, made in definitions]
        build = _BUILD.format(building=ast.unparse(building))
        whole = "\n\n\n".join(c for c in (helpers, *map(self._code, wrappers), *own, build) if c)
        standard = sorted({*imports, *(n for n in ("math", "itertools") if _named(n, whole))})
        torch = [line for name, line in _TORCH.items() if _named(name, whole)]
        head = [
            _HEAD.format(name=self.name, file=self.file),
            "\n".join(f"import {n}" for n in standard),
            "\n".join(torch),
        ]
        return formatted("\n\n".join(h for h in head if h) + f"\n\n\n{whole}\n")

    def _code(self, made: ast.stmt) -> str:
        return self.comments.restored(ast.unparse(ast.fix_missing_locations(made)))

    def _with_place(self, place: str, made: ast.stmt) -> str:
        text = self._code(made)
        return f"# {place}\n{text}" if isinstance(made, ast.ClassDef | ast.FunctionDef) else text


def _named(module: str, text: str) -> bool:
    return re.search(rf"(?<![\w.]){module}\.", text) is not None


def file_name(cls: str) -> str:
    """Returns: the name of a class as that of a module: sn_convolution2d of SNConvolution2D."""
    lower = re.sub(r"([0-9])D(?![a-z])", r"\1d", cls)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", lower).lower()
