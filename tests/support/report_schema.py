"""The schema of the reports, and what does not fit it."""

import json
from pathlib import Path

from ganspec.tools import reporting

SCHEMA = json.loads(Path(reporting.__file__).with_name("schema.json").read_text("utf-8"))


def unknown_to_schema(value: object, schema: dict, path: str = "") -> list[str]:
    """Returns: the places of JSON data whose keys differ from those that the schema requires and allows."""
    if "$ref" in schema:
        return unknown_to_schema(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], path)
    if "anyOf" in schema:
        return [] if value is None else unknown_to_schema(value, schema["anyOf"][1], path)
    if isinstance(value, list):
        return [
            line for i, item in enumerate(value) for line in unknown_to_schema(item, schema["items"], f"{path}[{i}]")
        ]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    wrong = [
        f"{path}.{key}"
        for key in {*value} ^ {*schema["required"]}
        if key not in value or key not in schema["properties"]
    ]
    return wrong + [
        line for key in value if key in schema["properties"]
        for line in unknown_to_schema(value[key], schema["properties"][key], f"{path}.{key}")
    ]  # fmt: skip
