"""How one system's keys come together: those of its base, its own, those of a variant, the reduced ones, and settings.

Each layer lies over the one below, table by table. What a layer replaces takes with it what only the replaced value needed:
another architecture has no use for the sizes of the one before, another kind of optimiser has other numbers, and a constant
that nothing mentions any longer is left out.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ganspec.spec.parts.learning_rates import CURVES
from ganspec.spec.parts.optimizers import SHARED
from ganspec.spec.text.errors import Problem, Problems, SpecError, did_you_mean, expected_one_of
from ganspec.spec.text.files import Library, SpecFile, find_system, read_toml, split_variant
from ganspec.spec.text.lines import KeyPath
from ganspec.spec.text.tables import Table, kind_of

MAX_BASES = 8  # in a chain of systems, each of which is like the next
_SIZES = ("networks", "constants", "data")  # tables of `[reduced]` that fit one shape of images
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NOT_SETTABLE = ("like", "variants", "reduced")
_EXAMPLE = "such as --set loss.penalty_weight=5"
_MOST_SHOWN = 80  # characters of a setting in a message


def whole_system(name: str, settings: Iterable[str], *, reduced: bool) -> tuple[SpecFile, str, Library]:
    """Read a system's file and settle its keys.

    Args:
        name: packaged system, or path of a TOML file, or either followed by "/VARIANT".
        settings: texts "KEY=VALUE".
        reduced: whether to apply the keys of `[reduced]`.

    Returns: the file with all keys of the system, the variant's name ("" for none), and the library for what they mention.

    Raises:
        SpecError: there is no such system or variant, or a file, or a setting, cannot be read.
    """
    file, variant, library = find_system(name)
    places: list[tuple[SpecFile, KeyPath]] = []
    data = with_base(copy.deepcopy(file.data), file.file, library, places=places)
    places += _places(file, variant)
    data = with_variant(data, variant, file.file, (file.file, "variants"))
    small = data.pop("reduced", {})
    Table(small, file.file, "reduced", problems := Problems())  # notes a value that is not a table
    problems.stop_if_any()
    if reduced:
        data = laid_over(data, small, f"{file.file}: reduced", revives=False)
    typed: dict[str, Any] = {}
    changed = data
    for setting in settings:
        change = parse_setting(setting)
        changed = merged(changed, change, f"--set {_short(setting)}")
        typed = merged(typed, change, "")
    return replace(file, data=_without_orphans(changed, data, typed), places=tuple(places)), variant, library


def with_base(
    data: dict[str, Any],
    file: str,
    library: Library,
    above: tuple[str, ...] = (),
    places: list[tuple[SpecFile, KeyPath]] | None = None,
) -> dict[str, Any]:
    """Lay a system's keys over those of the system that it is `like`, if there is one.

    Args:
        data: keys of the system.
        file: name of its file in messages.
        library: library that finds the base.
        above: names of the bases in the chain so far.
        places: list to which the tables are added in which the bases' keys are written, the lowest first.

    Returns: all keys, those of bases of the base among them.

    Raises:
        SpecError: there is no such base, or the chain is a circle.
    """
    if "like" not in data:
        return data
    like = data.pop("like")
    if not isinstance(like, str):
        raise SpecError([Problem(file, "like", f"expected the name of a system, found {kind_of(like)}")])
    name, variant = split_variant(like)
    if "/" in name or "\\" in name or name in (".", ".."):
        message = f"'{name}' is in another folder; a base of your own is in the folder of the system file"
        raise SpecError([Problem(file, "like", message, "move it there")])
    if like in above or len(above) >= MAX_BASES:
        circle = " is like ".join([*above, like])
        raise SpecError([Problem(file, "like", f"at most {MAX_BASES} bases, each once, are allowed: {circle}")])
    # The base has a base, a variant and reduced sizes of its own.
    found = library.find("systems", name, file, "like")
    base = with_base(copy.deepcopy(found.data), found.file, library, (*above, like), places)
    if places is not None:
        places += _places(found, variant)
    base = with_variant(base, variant, found.file, (file, "like"))
    _drop_strange_sizes(base, data, file, library)
    return laid_over(base, data, file)


def with_variant(data: dict[str, Any], variant: str, file: str, request: tuple[str, str]) -> dict[str, Any]:
    """Lay the keys of a variant over those of its system.

    Args:
        data: keys of the system.
        variant: name of the variant, "" for none.
        file: name of the system's file in messages.
        request: file and key that ask for the variant, for messages.

    Returns: all keys, without the table of variants.

    Raises:
        SpecError: there is no such variant, or the table of variants is wrong.
    """
    variants = data.pop("variants", {})
    problems = Problems()
    table = Table(variants, file, "variants", problems)
    for name in table.data:
        table.table(name)  # notes a value that is not a table
    problems.stop_if_any()
    if not variant:
        return data
    if variant not in variants:
        which = expected_one_of(variants) if variants else "it has no variants"
        message = f"there is no variant '{variant}' in {file}: {which}"
        raise SpecError([Problem(*request, message, did_you_mean(variant, variants))])
    return laid_over(data, variants[variant], f"{file}: variants.{variant}")


def _places(file: SpecFile, variant: str) -> list[tuple[SpecFile, KeyPath]]:
    own: list[tuple[SpecFile, KeyPath]] = [(file, ())]
    return [*own, (file, ("variants", variant))] if variant else own


def _drop_strange_sizes(base: dict[str, Any], data: dict[str, Any], file: str, library: Library) -> None:
    """Take from a base's `[reduced]` the sizes that do not fit a system which is like it."""
    reduced = base.get("reduced")
    if not isinstance(reduced, dict):
        return
    # Sizes for images of another shape.
    shapes = [keys.get("shape") if isinstance(keys, dict) else None for keys in (base.get("data"), data.get("data"))]
    if shapes[1] is not None and shapes[0] != shapes[1]:
        for table in _SIZES:
            reduced.pop(table, None)
    # Sizes that another architecture does not have.
    small, networks = reduced.get("networks"), data.get("networks")
    for role, own in networks.items() if isinstance(networks, dict) else ():
        use = own.get("use") if isinstance(own, dict) else own
        if isinstance(use, str) and use != "none" and isinstance(small, dict) and isinstance(small.get(role), dict):
            valid = library.find("architectures", use, file, f"networks.{role}").constant_names
            small[role] = {key: value for key, value in small[role].items() if key in valid}


def parse_setting(setting: str) -> dict[str, Any]:
    """Read a setting.

    Args:
        setting: text "KEY=VALUE": a dotted key of the system file, and a TOML value or a bare text.

    Returns: the tables that it stands for.

    Raises:
        SpecError: it is not such a text.
    """
    key, equals, value = setting.partition("=")
    key, value = key.strip(), value.strip()
    if equals and key and not value:
        hint = f"write one, such as --set {_short(key)}=5; an empty text is --set '{_short(key)}=\"\"'"
        raise SpecError([Problem(f"--set {_short(setting)}", "", "has no value", hint)])
    if not equals or not key:
        raise SpecError([Problem(f"--set {_short(setting)}", "", "expected KEY=VALUE", _EXAMPLE)])
    if (first := key.partition(".")[0]) in _NOT_SETTABLE:
        message = f"'{first}' cannot be set: it decides which keys there are"
        raise SpecError([Problem(f"--set {_short(setting)}", "", message, "write a system file of your own")])
    for text in (f"{key} = {value}", f"{key} = {_quoted(value)}"):
        try:
            return read_toml(text, f"--set {_short(setting)}")
        except SpecError as error:
            if not error.problems[0].message.startswith("is not TOML"):
                raise
    if not value.isprintable():
        raise SpecError([Problem(f"--set {_short(setting)}", "", "expected a printable value", "write plain text")])
    raise SpecError([Problem(f"--set {_short(setting)}", "", "the key is not a dotted name", _EXAMPLE)])


def blame_settings(problems: Iterable[Problem], file: str, settings: Iterable[str]) -> list[Problem]:
    """Name the setting that a problem comes from, in place of the file that the setting changes.

    Args:
        problems: problems of a system.
        file: name of the system's file in messages.
        settings: texts "KEY=VALUE"; the last one that holds a problem's key is named.

    Returns: the same problems.
    """
    keys = {setting.partition("=")[0].strip(): f"--set {_short(setting)}" for setting in settings}
    named = []
    for problem in problems:
        holders = [key for key in keys if problem.key == key or problem.key.startswith((f"{key}.", f"{key}["))]
        if problem.file == file and holders:
            rest = "" if problem.key == holders[-1] else problem.key
            named.append(replace(problem, file=keys[holders[-1]], key=rest))
        else:
            named.append(problem)
    return named


def _short(setting: str) -> str:
    return setting if len(setting) <= _MOST_SHOWN else f"{setting[:_MOST_SHOWN]}..."


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def laid_over(data: dict[str, Any], changes: dict[str, Any], where: str, *, revives: bool = True) -> dict[str, Any]:
    """Lay the keys of one layer over those below.

    Args:
        data: keys below.
        changes: keys of the layer.
        where: origin of the layer, for messages.
        revives: whether any keys of a table bring it back that is "none" below, see `merged`.

    Returns: all keys, without the constants of `data` that only a replaced value mentioned.

    Raises:
        SpecError: a key lies inside a value that is not a table.
    """
    return _without_orphans(merged(data, changes, where, revives=revives), data, changes)


def merged(data: Any, changes: Any, where: str, *, revives: bool = True) -> Any:
    """Lay keys over others, table by table.

    Keys of a table that is "none" below bring it back, with these keys alone. Where `revives` is false they are sizes of
    something that is no longer there, and only a whole table, with `use` or `sample`, brings it back.
    """
    if not isinstance(changes, dict):
        return changes
    # Bring both to tables.
    if data == "none":
        if not revives and not {"use", "sample"} & set(changes):
            return data  # left out, with all that is in it
        data = {}
    if isinstance(data, str):
        data = {"use": data}  # loss = "hinge" is short for loss = { use = "hinge" }
    if not isinstance(data, dict):
        raise SpecError([Problem(where, "", f"cannot set {', '.join(changes)} inside a value that is not a table")])
    # Leave out what the changes make meaningless.
    if isinstance(changes.get("use"), str) and changes["use"] != data.get("use"):
        data = {}  # another file has other numbers
    if isinstance(changes.get("kind"), str) and changes["kind"] != data.get("kind"):
        is_curve = data.get("kind") in CURVES  # of a learning rate; else it is an optimiser
        data = {key: data[key] for key in data if key == "warmup"} if is_curve else _keys_of_every_kind(data)
    rivals = {"epochs": "iterations", "iterations": "epochs"}  # the one takes the other's place
    laid = {key: value for key, value in data.items() if rivals.get(key) not in changes}
    # Lay each value over the one below.
    for key, value in changes.items():
        laid[key] = merged(laid[key], value, where, revives=revives) if key in laid else value
    return laid


def _keys_of_every_kind(data: dict[str, Any]) -> dict[str, Any]:
    """Returns: the keys of an optimiser that another kind has, too; likewise in the tables of networks."""
    networks = {n: v for n, v in data.items() if isinstance(v, dict) and n not in SHARED}
    kept = {n: v if "kind" in v else _keys_of_every_kind(v) for n, v in networks.items()}
    return {key: value for key, value in data.items() if key in SHARED} | kept


def _without_orphans(laid: dict[str, Any], before: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Returns: the keys without constants that were mentioned before, are no longer, and that the changes do not set."""
    gone = _mentioned(before) - _mentioned(laid)
    for outer, changed in ((laid, changes), (laid.get("reduced"), changes.get("reduced"))):
        constants = outer.get("constants") if isinstance(outer, dict) else None
        own = changed.get("constants") if isinstance(changed, dict) else None
        if isinstance(outer, dict) and isinstance(constants, dict):
            kept = own if isinstance(own, dict) else {}
            outer["constants"] = {k: v for k, v in constants.items() if k not in gone or k in kept}
    return laid


def _mentioned(data: Any) -> set[str]:
    """Returns: every word in the values of a system's keys that can be arithmetic."""
    if isinstance(data, str):
        return set(_WORD.findall(data))
    if isinstance(data, dict):
        inner = [value for key, value in data.items() if key not in ("title", "source", "reduced", "variants")]
    else:
        inner = data if isinstance(data, list) else []
    return {word for value in inner for word in _mentioned(value)}
