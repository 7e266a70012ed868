"""Functions and classes that a ported file may need beside PyTorch's own; their source is put into it."""

from __future__ import annotations

import ast
import functools
from importlib import resources

_FILES = (
    "written_functions.py", "written_losses.py", "written_windows.py", "written_rnn_functions.py", "written_layers.py",
    "written_blocks.py", "written_rnn.py", "written_n_step.py", "written_hooks.py",
)  # fmt: skip


@functools.cache
def _definitions() -> dict[str, str]:
    """Returns: the source of each definition by its name, in the order of the files."""
    found = {}
    for file in _FILES:
        text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = ast.get_source_segment(text, node) or ""
    return found


NAMES = frozenset(_definitions())


def needs(name: str) -> set[str]:
    """Returns: the other definitions that one names."""
    tree = ast.parse(_definitions()[name])
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in NAMES and n.id != name}


def text(names: set[str]) -> str:
    """Returns: the source of some definitions, in their order."""
    return "\n\n\n".join(source for name, source in _definitions().items() if name in names)
