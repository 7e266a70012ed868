"""The files of golden vectors: JSON for people and programs, safetensors for numbers. See docs/vectors.md.

Writing is atomic for each file, and the index, which has the digest of each, comes last. Reading is suspicious: sizes are
bounded, names stay inside the folder, and nothing is executed.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

import ganspec.spec
from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.record import read_regular_file
from ganspec.tools.errors import UserError, cannot_write
from ganspec.tools.vectors.case import FOLD, FORMAT, Case, Expected, folded_size
from ganspec.tools.vectors.descriptions import descriptions, digest
from ganspec.tools.vectors.making import Vector
from ganspec.tools.vectors.schema import problems_of

PACKAGED = Path(ganspec.spec.__file__).resolve().parent / "vectors"
INDEX, SCHEMA, DESCRIPTIONS = "index.json", "schema.json", "descriptions.json"
COLUMNS = ["name", "shape", "norm", "within"]
MAX_BYTES = 5_000_000  # of all files together
MAX_CASES = 10_000
WIDTH = 128  # of a line of JSON
_NAME = re.compile(r"(systems/)?[A-Za-z0-9_-]{1,100}\.(json|safetensors)")


def write_vectors(folder: Path, vectors: Sequence[Vector]) -> list[Path]:
    """Write all files of golden vectors, and remove those that an earlier writing left and that are no longer needed.

    Args:
        folder: folder to write into; it is made if need be.
        vectors: all vectors.

    Returns: the files.

    Raises:
        UserError: a file cannot be written, or together they would be larger than `MAX_BYTES`.
    """
    contents = contents_of(vectors)
    size = sum(map(len, contents.values()))
    if size > MAX_BYTES:
        raise UserError(f"the vectors would have {size:,} bytes, at most {MAX_BYTES:,} are allowed; make cases smaller")
    old = set(_listed(folder)) - set(contents)
    path = folder
    try:
        (folder / "systems").mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():  # the index is the last
            path = folder / name
            write_atomically(path, content)
        for name in old:
            path = folder / name
            path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error, option="--write DIR") from None
    return [folder / name for name in contents]


def contents_of(vectors: Sequence[Vector]) -> dict[str, bytes]:
    """Returns: the content of each file by name, the index last."""
    groups: dict[str, list[Vector]] = {}
    for vector in vectors:
        groups.setdefault(file_of(vector.case), []).append(vector)
    contents: dict[str, bytes] = {}
    for name, group in sorted(groups.items()):
        contents[f"{name}.json"] = _json(
            {"format": FORMAT, "columns": COLUMNS, "fold": FOLD, "cases": [as_json(vector) for vector in group]}
        )
        contents[f"{name}.safetensors"] = save(tensors(group))
    contents[DESCRIPTIONS] = _json({"format": FORMAT, **descriptions()})
    contents[SCHEMA] = (Path(__file__).with_name(SCHEMA)).read_bytes()
    index = {
        "format": FORMAT,
        "made_with": _versions(),
        "data": digest(),
        "cases": {f"{name}.json": [vector.case.id for vector in group] for name, group in sorted(groups.items())},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    return contents | {INDEX: _json(index)}


def file_of(case: Case) -> str:
    """Returns: the file in which a case stands, without its ending."""
    if case.kind != "system":
        return {"loss": "losses"}.get(case.kind, f"{case.kind}s")
    return f"systems/{case.id.removeprefix('system/').partition('@')[0].replace('/', '--')}"


def tensors(group: Sequence[Vector]) -> dict[str, np.ndarray]:
    """Returns: the arrays of a file: each given one as "ID:NAME", the expected ones of a case in one vector, "ID:expected"."""
    found = {}
    for vector in group:
        case = vector.case
        found |= {f"{case.id}:{name}": _smallest(array) for name, array in case.given.items()}
        found[f"{case.id}:expected"] = np.concatenate([e.values.ravel() for e in vector.expected.values()])
    return dict(sorted(found.items()))


def _smallest(array: np.ndarray) -> np.ndarray:
    """Returns: the same numbers as float32 where it holds them exactly; masks and labels as they are."""
    if array.dtype.kind != "f":
        return np.asarray(array, order="C")
    with np.errstate(over="ignore"):
        small = array.astype(np.float32)
    return np.asarray(small if np.array_equal(small.astype(np.float64), array) else array, order="C")


def as_json(vector: Vector) -> dict[str, Any]:
    """Returns: a vector without its numbers, as its file has it."""
    case = vector.case
    rows = [
        [name, list(e.shape), float(f"{np.linalg.norm(e.values.ravel()):.5g}"), e.within]
        for name, e in vector.expected.items()
    ]
    given = {name: list(array.shape) for name, array in case.given.items()}
    head = {"id": case.id, "title": case.title, "source": case.source}
    return {**head, **case.facts, "given": given, "expected": rows}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("ganspec", "numpy", "torch", "chainer"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _json(value: Any) -> bytes:
    return (_pretty(value, "") + "\n").encode()


def _pretty(value: Any, indent: str) -> str:
    """Returns: JSON in which whatever fits into a line stands in one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + len(indent) <= WIDTH or not isinstance(value, (dict, list)):
        return line
    inner = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {_pretty(each, inner)}" for key, each in value.items()]
    else:
        parts = [_pretty(each, inner) for each in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closing}"


def read_vectors(folder: Path) -> list[Vector]:
    """Read golden vectors.

    Args:
        folder: folder that `write_vectors` wrote.

    Returns: the vectors; arrays are float64, masks booleans, labels int64.

    Raises:
        UserError: a file is missing, damaged or not of this format; the message names it.
    """
    schema, index = read_json(folder, SCHEMA), read_json(folder, INDEX)
    _check(folder / INDEX, index, schema, "index")
    found: list[Vector] = []
    for name, wanted in index["files"].items():
        if not _NAME.fullmatch(name):
            raise UserError(f"{folder / INDEX}: files: {printable(name)} is not the name of a file of vectors")
        if hashlib.sha256(_read(folder, name)).hexdigest() != wanted:
            raise _damaged(folder / name, "its digest is not the one in the index")
    for name in index["cases"]:
        found += read_cases(folder, name, schema)
    ids = [vector.case.id for vector in found]
    if sorted(ids) != sorted(each for ids in index["cases"].values() for each in ids) or len(set(ids)) < len(ids):
        raise _damaged(folder / INDEX, "its ids are not those of the cases")
    return found


def read_cases(folder: Path, name: str, schema: Mapping[str, Any]) -> list[Vector]:
    """Returns: the vectors of one file. Raises: UserError: as `read_vectors` does."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{folder / INDEX}: cases: {printable(name)} is not the name of a file of vectors")
    content = read_json(folder, name)
    _check(folder / name, content, schema, "cases")
    arrays_file = f"{name.removesuffix('.json')}.safetensors"
    try:
        arrays = load(_read(folder, arrays_file))
    except (SafetensorError, ValueError, KeyError) as error:
        raise _damaged(folder / arrays_file, str(error)) from None
    found = []
    for case in content["cases"]:
        try:
            found.append(_vector(case, arrays))
        except (KeyError, ValueError) as error:
            raise _damaged(folder / name, f"{printable(case['id'])}: {error}") from None
    if arrays:
        raise _damaged(folder / arrays_file, f"nothing mentions its array {printable(next(iter(arrays)))}")
    return found


def _vector(case: dict[str, Any], arrays: dict[str, np.ndarray]) -> Vector:
    """Returns: a vector of a case's JSON; its arrays are taken out of `arrays`."""
    facts = {key: value for key, value in case.items() if key not in ("id", "title", "source", "given", "expected")}
    given = {}
    for name, shape in case["given"].items():
        array = arrays.pop(f"{case['id']}:{name}")
        if list(array.shape) != shape:
            raise ValueError(f"{name} has the shape {list(array.shape)}, not {shape}")
        given[name] = array.astype(np.float64) if array.dtype.kind == "f" else array
    values, start, expected = arrays.pop(f"{case['id']}:expected"), 0, {}
    for name, shape, _, within in case["expected"]:
        count = folded_size(shape)
        kept, start = values[start : start + count], start + count
        expected[name] = Expected(tuple(shape), kept.reshape(shape) if count == math.prod(shape) else kept, within)
    if start != len(values):
        raise ValueError(f"{len(values)} expected numbers are kept, its rows name {start}")
    return Vector(Case(case["id"], case["title"], case["source"], facts, given), expected)


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Returns: the content of a JSON file. Raises: UserError: it cannot be read, or is no JSON object."""
    try:
        found = json.loads(_read(folder, name))
    except (ValueError, RecursionError) as error:
        raise _damaged(folder / name, str(error)) from None
    if not isinstance(found, dict):
        raise _damaged(folder / name, "it is no JSON object")
    return found


def _read(folder: Path, name: str) -> bytes:
    try:
        return read_regular_file(folder / name, MAX_BYTES)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        message = f"{printable(str(folder / name))}: cannot be read: {why}"
        raise UserError(f"{message}; is this a folder that 'ganspec vectors --write' wrote?") from None


def _check(path: Path, content: Mapping[str, Any], schema: Mapping[str, Any], name: str) -> None:
    for problem in problems_of(content, schema, name):
        raise _damaged(path, problem)


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"{printable(str(path))}: is damaged or of another version: {why}; write it again: {renewing(path)}"
    )


def renewing(path: Path) -> str:
    """Returns: the command that writes the folder of a file again."""
    folder = path.parent.parent if path.parent.name == "systems" else path.parent
    return f"ganspec vectors --write {printable(str(folder))}"


def _listed(folder: Path) -> list[str]:
    """Returns: the names in an index that is there, as far as they are names of files of vectors."""
    try:
        files = json.loads(read_regular_file(folder / INDEX, MAX_BYTES))["files"]
        return [name for name in files if _NAME.fullmatch(name)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
