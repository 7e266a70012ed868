"""His class and the ported file, as the proof takes them; and what they are called with beside the inputs."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganspec.tools.errors import UserError

MAX_TEXT = 10_000  # characters of --call-args
_OF_MODES = ("training", "inference")


class OriginalModel:
    """His class, as the proof takes it.

    Args:
        original: his class, `loading.Original`.
        method: method that is called; empty for the instance itself.
        keywords: further arguments of the call; see `parse_call_arguments`.
        crossed: whether arguments that say the mode say the other one.
    """

    def __init__(self, original: Any, method: str, keywords: Mapping[str, Any], crossed: bool = False) -> None:
        self.original, self.method, self.keywords, self.crossed = original, method, keywords, crossed

    def make(self, dtype: str) -> Any:
        return self.original.make(dtype)

    def call(self, instance: Any, inputs: Mapping[str, Any], training: bool, dtype: str) -> Any:
        further = in_mode(self.keywords, training != self.crossed)
        return self.original.call(
            instance, inputs, training=training, dtype=dtype, method=self.method, keywords=further
        )


class PortedModel:
    """The ported file, as the proof takes it; its function `build` makes an instance.

    Args:
        path: path of the file; it was written by us, from his source.
        method: method that is called; empty for the instance itself.
        keywords: further arguments of the call.
        crossed: whether arguments that say the mode say the other one.
    """

    def __init__(self, path: Path, method: str, keywords: Mapping[str, Any], crossed: bool = False) -> None:
        self.path, self.method, self.keywords, self.crossed = path, method, keywords, crossed
        spec = importlib.util.spec_from_file_location(f"ganspec_port_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise UserError(f"{path}: cannot be imported")
        self._module = importlib.util.module_from_spec(spec)
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            spec.loader.exec_module(self._module)
        finally:
            sys.dont_write_bytecode = before

    def make(self, dtype: str) -> Any:
        import torch

        return self._module.build().to(getattr(torch, dtype))

    def call(self, instance: Any, inputs: Mapping[str, Any], training: bool, dtype: str) -> Any:
        function = getattr(instance, self.method) if self.method else instance
        names = inspect.signature(getattr(type(instance), self.method or "forward")).parameters
        further = in_mode(self.keywords, training != self.crossed)
        if all(name in names for name in inputs):
            return function(**inputs, **further)
        return function(*inputs.values(), **further)


def parse_call_arguments(text: str) -> dict[str, Any]:
    """Read "test=inference, n=3".

    Returns: values by name: literals, or an `ast.Name` of `training` or `inference`, which stands for whether that is the mode.

    Raises:
        UserError: it is not written so.
    """
    wrong = UserError(
        f"--call-args {text[:200]!r}: expected NAME=VALUE with literals, such as 'n=3', or test=inference or train=training for "
        "an argument that says the mode"
    )
    try:
        call = ast.parse(f"f({text}\n)", mode="eval").body if len(text) <= MAX_TEXT else None
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise wrong from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise wrong
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        node = keyword.value
        if keyword.arg is None:
            raise wrong
        if isinstance(node, ast.Name) and node.id in _OF_MODES:
            found[keyword.arg] = node
            continue
        try:
            found[keyword.arg] = ast.literal_eval(node)
        except (ValueError, MemoryError, RecursionError):
            raise wrong from None
    return found


def says_mode(keywords: Mapping[str, Any]) -> bool:
    """Returns: whether an argument of a call says the mode."""
    return any(isinstance(value, ast.Name) for value in keywords.values())


def in_mode(keywords: Mapping[str, Any], training: bool) -> dict[str, Any]:
    """Returns: further arguments of a call in a mode."""
    return {
        name: (value.id == "training") == training if isinstance(value, ast.Name) else value
        for name, value in keywords.items()
    }
