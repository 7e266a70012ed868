"""Values as they are typed in a spec file, or behind --set."""

from __future__ import annotations

import json
from typing import Any


def as_typed(value: Any) -> str:
    """Write a value as TOML, such that it can be typed back as it stands.

    Args:
        value: text, number, flag, list or table, as in a description; None for what is absent.

    Returns: one line: "{ kind = 'cosine', over = 100, to = 0 }"; "none" for None, and without the keys of a table that are None.
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # A text in apostrophes needs no escapes, and stands inside of a shell's quotation marks.
        plain = "'" not in value and value.isprintable()
        return f"'{value}'" if plain else _quoted(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {as_typed(v)}" for key, v in value.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(as_typed, value))}]"
    return str(value)


def _key(name: Any) -> str:
    text = str(name)
    bare = text.isascii() and text.replace("_", "").replace("-", "").isalnum()
    return text if bare else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
