"""Looking through golden vectors: is everything covered, and is it what the data files and the code of today give?"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec import system_names
from ganspec.spec.description import differences
from ganspec.spec.layers import KINDS as LAYER_KINDS
from ganspec.spec.parts import optimizers
from ganspec.spec.text.files import names
from ganspec.tools.vectors.case import Arrays, Case, folded
from ganspec.tools.vectors.descriptions import descriptions, digest
from ganspec.tools.vectors.files import DESCRIPTIONS, INDEX, MAX_BYTES, SCHEMA, read_json, renewing
from ganspec.tools.vectors.functions import FUNCTIONS
from ganspec.tools.vectors.making import Vector, all_cases, answers
from ganspec.tools.vectors.schema import problems_of

DRAWN_WITHIN = 1e-6  # of a given array's norm: a logarithm that rounds otherwise may move a number to the next float32


def findings(folder: Path, vectors: Sequence[Vector]) -> list[str]:
    """Look through a folder of vectors, without computing any.

    Args:
        folder: folder of the vectors.
        vectors: what `read_vectors` read there: whole files, by the schema, each case once.

    Returns: a line for each thing that is wrong; none where all is right.
    """
    index, kept = read_json(folder, INDEX), read_json(folder, DESCRIPTIONS)
    found = [f"{DESCRIPTIONS}: {problem}" for problem in problems_of(kept, read_json(folder, SCHEMA), "descriptions")]
    found += [f"there is no case of {what}" for what in missing(vectors)]
    found += [line for vector in vectors for line in _doubtful(vector)]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        found.append(f"the files have {size:,} bytes, at most {MAX_BYTES:,} are allowed")
    listed = {INDEX, *index["files"]}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    found += [f"{name}: the index does not list it" for name in sorted(there - listed)]
    found += edits(kept)
    if index["data"] != digest() and not found:
        found.append("the data files changed since the vectors were written, though no number of them")
    return found + [f"write them again with: {renewing(folder / INDEX)}"] * bool(found)


def missing(vectors: Iterable[Vector]) -> list[str]:
    """Returns: every system, loss, kind of layer, function, and kind and form of optimiser of which there is no case."""
    ids = {vector.case.id for vector in vectors}
    seen = {case.partition("@")[0] for case in ids} | {"/".join(case.split("/")[:2]) for case in ids}
    wanted = [f"system/{name}" for name in system_names()] + [f"loss/{name}" for name in names("losses")]
    wanted += [f"layer/{kind}" for kind in LAYER_KINDS] + [f"function/{name}" for name in FUNCTIONS]
    wanted += [f"optimizer/{kind}" for kind in optimizers.KINDS]
    gaps = [name for name in wanted if name not in seen]
    places = {"adam": optimizers.ADAM_PLACES, "rmsprop": optimizers.RMSPROP_PLACES}
    own = [vector.case.facts["optimizer"] for vector in vectors if vector.case.kind == "optimizer"]
    for kind, all_places in places.items():
        there = {each["epsilon_place"] for each in own if each["kind"] == kind}
        gaps += [f"optimizer/{kind} with epsilon {place}" for place in all_places if place not in there]
    clipped = {each["clip"]["when"] for each in own if "clip" in each}
    return gaps + [f"an optimizer that clips {when}" for when in optimizers.CLIP_TIMES if when not in clipped]


def _doubtful(vector: Vector) -> Iterator[str]:
    """Yields: a line for each array with which nothing can be compared, and for what a case does not say."""
    case = vector.case
    if not case.source or not case.title:
        yield f"{case.id}: has no title or source"
    for name, array in case.given.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            yield f"{case.id}: {name}: has a value that is not finite"
    for name, expected in vector.expected.items():
        if not np.isfinite(expected.values).all() or not 0 < expected.within < math.inf:
            yield f"{case.id}: {name}: nothing can be compared with it"


def edits(kept: Mapping[str, Any]) -> list[str]:
    """Returns: a line for each place where today's data files are not as the kept descriptions say."""
    now = descriptions()
    found = []
    for part in ("systems", "constants"):
        for name in dict.fromkeys([*kept[part], *now[part]]):
            lines = differences(kept[part].get(name, {}), now[part].get(name, {}))
            found += [f"{part.removesuffix('s')} {name}: {line}" for line in lines]
    return found


def changes(
    vectors: Sequence[Vector],
    backend: str,
    cases: Sequence[Case] | None = None,
    compute: Callable[[str, Case], Arrays] = answers,
) -> list[str]:
    """Compute vectors again, and compare them with the kept ones.

    Args:
        vectors: vectors as they were read.
        backend: backend that computes.
        cases: cases of today; None to make all there should be.
        compute: function of a backend's name and a case that gives the answers.

    Returns: a line for each case or array that has changed: id, name, how far, how far is allowed.
    """
    before = {vector.case.id: vector for vector in vectors}
    after = {case.id: case for case in (all_cases() if cases is None else cases)}
    found = [f"{case}: is new" for case in after if case not in before]
    found += [f"{case}: is no longer made" for case in before if case not in after]
    for name, vector in before.items():
        if name in after:
            # The kept arrays are given again: a logarithm that rounds otherwise on this machine is no change.
            old, new = vector.case, after[name]
            lines = list(_case_changes(old, new))
            same = not lines and all(np.array_equal(old.given[each], new.given[each]) for each in old.given)
            lines = lines or list(_answers_changed(vector, compute(backend, new if same else old)))
            found += [f"{name}: {line}" for line in lines]
    return found


def _case_changes(old: Case, new: Case) -> Iterator[str]:
    for key in ("title", "source"):
        if getattr(old, key) != getattr(new, key):
            yield f"{key} is now {getattr(new, key)!r}"
    yield from differences(dict(old.facts), json.loads(json.dumps(dict(new.facts))))
    for name in dict.fromkeys([*old.given, *new.given]):
        if name not in old.given or name not in new.given:
            yield f"given/{name} is {'new' if name in new.given else 'no longer given'}"
            continue
        before, now = old.given[name], new.given[name]
        if before.shape != now.shape or before.dtype != now.dtype:
            yield f"given/{name} has the shape {list(now.shape)}, not {list(before.shape)}"
        elif before.dtype.kind != "f":
            yield from [f"given/{name} differs"] * (not np.array_equal(before, now))
        elif not np.linalg.norm((before - now).ravel()) <= DRAWN_WITHIN * np.linalg.norm(before.ravel()):
            yield f"given/{name} differs by {np.linalg.norm((before - now).ravel()):.1e}"


def _answers_changed(vector: Vector, now: Arrays) -> Iterator[str]:
    for name in dict.fromkeys([*vector.expected, *now]):
        if name not in vector.expected or name not in now:
            yield f"{name} is {'new' if name in now else 'no longer computed'}"
            continue
        expected, found = vector.expected[name], now[name]
        if found.shape != expected.shape:
            yield f"{name} has the shape {list(found.shape)}, not {list(expected.shape)}"
        elif not expected.distance(found) <= expected.within:
            old, new = (float(np.linalg.norm(a.ravel())) for a in (expected.values, folded(found)))
            yield f"{name} moved by {expected.distance(found):.1e}, at most {expected.within:.0e}: {old:.6g} became {new:.6g}"
