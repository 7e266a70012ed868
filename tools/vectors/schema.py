"""JSON against a schema: the few words of JSON Schema that `schema.json` uses, so that nothing more need be installed.

type, const, enum, pattern, minimum, properties, required, additionalProperties, items, prefixItems, minItems, maxItems, $ref
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ganspec.spec.text.errors import printable

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
WORDS = {
    "type", "const", "enum", "pattern", "minimum", "properties", "required", "additionalProperties", "items", "prefixItems",
    "minItems", "maxItems", "$ref", "description", "title", "$schema", "$defs",
}  # fmt: skip
_MOST_SHOWN = 60


def problems_of(value: Any, schema: Mapping[str, Any], name: str) -> Iterator[str]:
    """Compare a value with a definition of a schema.

    Args:
        value: what was read from JSON.
        schema: the whole schema.
        name: name of the definition, below "$defs".

    Yields: a line for each place that is not as the schema says: path, what was found and what was expected.
    """
    yield from _problems(value, schema["$defs"][name], schema, "")


def _problems(value: Any, part: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if "$ref" in part:
        yield from _problems(value, schema["$defs"][part["$ref"].removeprefix("#/$defs/")], schema, path)
        return
    where, shown = path or "the top", printable(repr(value)[:_MOST_SHOWN])
    types = part.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_is(value, each) for each in types):
        yield f"{where}: found {shown}, expected {' or '.join(types)}"
        return
    if "const" in part and value != part["const"]:
        yield f"{where}: found {shown}, expected {part['const']!r}"
    if "enum" in part and value not in part["enum"]:
        yield f"{where}: found {shown}, expected one of {', '.join(map(str, part['enum']))}"
    if "pattern" in part and isinstance(value, str) and not re.search(part["pattern"], value):
        yield f"{where}: found {shown}, expected text like {part['pattern']}"
    if "minimum" in part and _is(value, "number") and not value >= part["minimum"]:
        yield f"{where}: found {shown}, expected at least {part['minimum']}"
    if isinstance(value, dict):
        yield from _object_problems(value, part, schema, path)
    if isinstance(value, list):
        yield from _list_problems(value, part, schema, path)


def _object_problems(
    value: Mapping[str, Any], part: Mapping[str, Any], schema: Mapping[str, Any], path: str
) -> Iterator[str]:
    own = part.get("properties", {})
    for name in part.get("required", []):
        if name not in value:
            yield f"{path or 'the top'}: the key '{name}' is missing"
    for name, inner in value.items():
        place = f"{path}.{printable(name)}" if path else printable(name)
        rest = part.get("additionalProperties", True)
        if name in own:
            yield from _problems(inner, own[name], schema, place)
        elif rest is False:
            yield f"{place}: unknown key, expected one of {', '.join(own)}"
        elif isinstance(rest, dict):
            yield from _problems(inner, rest, schema, place)


def _list_problems(value: list[Any], part: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if not part.get("minItems", 0) <= len(value) <= part.get("maxItems", len(value)):
        least, most = part.get("minItems", 0), part.get("maxItems", "any number")
        yield f"{path or 'the top'}: has {len(value)} elements, expected {least} to {most}"
        return
    first = part.get("prefixItems", [])
    for number, inner in enumerate(value):
        rule = first[number] if number < len(first) else part.get("items")
        if rule is not None:
            yield from _problems(inner, rule, schema, f"{path}[{number}]")


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (not isinstance(value, bool) or kind == "boolean")
