"""A divergence as a folder that replays it: system, state, batches, draws, and what each witness gave.

bundle.json          which system, how it was run, where and in what the witnesses differ
state.safetensors    the state at the beginning of the iteration, a checkpoint
arrays.safetensors   batches, draws and masks of the iteration, and the divergent values
system/              the user's own files of the system; a packaged one is named only
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ganspec.spec.description import describe
from ganspec.spec.parts.schedule import DATA
from ganspec.spec.system import System, load_system
from ganspec.spec.text.errors import did_you_mean, expected_one_of, printable
from ganspec.spec.training.checkpoint import (
    CheckpointError,
    Record,
    read_checkpoint,
    write_atomically,
    write_checkpoint,
)
from ganspec.spec.training.draws import RecordedDraws
from ganspec.spec.training.options import DEVICES, DTYPES, MAX_SEED, is_device
from ganspec.spec.training.record import read_regular_file
from ganspec.spec.training.state import array_shapes
from ganspec.spec.training.streams import Position
from ganspec.tools import backends
from ganspec.tools.agreement.evidence import Evidence
from ganspec.tools.agreement.given import EXACT
from ganspec.tools.agreement.names import Names
from ganspec.tools.agreement.report import Divergence, Place
from ganspec.tools.errors import UserError

FORMAT = "ganspec bundle 1"
_RECORD, _STATE, _ARRAYS, _SYSTEM = "bundle.json", "state.safetensors", "arrays.safetensors", "system"
_MAX_BYTES = 1_000_000  # of bundle.json
_MAX_TEXT = 10_000
_MAX_LIST = 1_000


@dataclass(frozen=True)
class Asked:
    """How a comparison was asked for.

    Args:
        system: name of the system, or path of its file.
        settings: changes of its keys, "KEY=VALUE" each.
        reduced: whether it is run at its reduced sizes.
        seed, dtype, device, witnesses: as `crosscheck_system` takes them.
    """

    system: str
    settings: tuple[str, ...]
    reduced: bool
    seed: int
    dtype: str
    device: str
    witnesses: tuple[str, ...]


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds."""

    asked: Asked
    loaded: System
    evidence: Evidence
    name: str
    pair: tuple[str, str]


def write_bundle(folder: Path, asked: Asked, system: System, divergence: Divergence, evidence: Evidence) -> None:
    """Write a bundle.

    Args:
        folder: folder that is made; one of that name is replaced if it is a bundle.
        asked: how the comparison was asked for.
        system: the system as it was loaded.
        divergence, evidence: what was found.

    Raises:
        UserError: another folder or file of that name stands there.
        OSError, CheckpointError: it cannot be written.
    """
    if folder.exists() and not (folder / _RECORD).is_file():
        raise UserError(f"{folder}: is there already and is no bundle; choose another place")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    own = _own_files(asked.system)
    for path in own:
        (folder / _SYSTEM).mkdir(exist_ok=True)
        write_atomically(folder / _SYSTEM / path.name, path.read_bytes())
    name, slash, variant = asked.system.partition(".toml")
    content = {
        "format": FORMAT,
        "system": f"{_SYSTEM}/{Path(name).name}{slash}{variant}" if own else asked.system,
        "settings": list(asked.settings),
        "reduced": asked.reduced,
        "seed": asked.seed,
        "dtype": asked.dtype,
        "device": asked.device,
        "witnesses": list(asked.witnesses),
        "place": [evidence.place.iteration, evidence.place.step, evidence.place.repeat],
        "name": divergence.difference.name,
        "pair": list(divergence.difference.pair),
        "source": divergence.difference.source,
        "guess": divergence.guess,
    }
    record = Record(describe(system), asked.seed, "float64", "host", 0, "", {"sum": 0.0, "count": 0, "last": None})
    write_checkpoint(folder / _STATE, evidence.state, record)
    write_atomically(folder / _ARRAYS, save(dict(_named(evidence))))
    write_atomically(folder / _RECORD, (json.dumps(content, indent=1) + "\n").encode())


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle, checking every field.

    Args:
        folder: the bundle.

    Raises:
        UserError: it is no bundle, or damaged; the message says what is wrong.
        SpecError: its system is wrong.
    """
    path = folder / _RECORD
    try:
        content = json.loads(read_regular_file(path, _MAX_BYTES))
    except OSError as error:
        raise UserError(f"{folder}: is not a bundle: {_RECORD}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not what a bundle holds: {printable(str(error)[:80])}") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise UserError(f"{path}: has the format {printable(repr(found)[:80])}, expected {FORMAT!r}")
    for key, (check, expected) in _FIELDS.items():
        if not check(content.get(key)):
            shown = printable(repr(content.get(key))[:80])
            raise UserError(f"{path}: {key} is {shown}, expected {expected}; write the bundle anew")
    missing = [name for name in content["witnesses"] if name not in backends.names()]
    if missing:
        hint = expected_one_of(backends.names())
        raise UserError(
            f"{folder}: was written with the backend '{printable(missing[0])}', which is not installed; {hint}"
        )
    own = content["system"].startswith(f"{_SYSTEM}/")
    if ".." in Path(content["system"]).parts or (".toml" in content["system"] and not own):
        raise UserError(f"{path}: system is {printable(content['system'])}, expected a file in this bundle")
    name = str(folder / content["system"]) if own else content["system"]
    asked = Asked(
        name, tuple(content["settings"]), content["reduced"], content["seed"],
        content["dtype"], content["device"], tuple(content["witnesses"]),
    )  # fmt: skip
    system = load_system(name, asked.settings, reduced=asked.reduced)
    place = _checked_place(path, content, system)
    try:
        state, _ = read_checkpoint(folder / _STATE, array_shapes(system))
    except CheckpointError as error:
        raise UserError(str(error)) from None
    return Bundle(
        asked, system, _evidence(folder, place, state, system, asked), content["name"], tuple(content["pair"])
    )


def _checked_place(path: Path, content: Mapping[str, Any], system: System) -> Place:
    """Returns: the place of the divergence. Raises: UserError: the system computes no such quantity there, or nobody said it."""
    place = Place(*content["place"])
    stage = system.stages[system.at(place.iteration)[0]]
    try:
        stage.plan.check_place(*content["place"][1:], place.iteration)
    except ValueError as error:
        raise UserError(f"{path}: place: {error}; write the bundle anew") from None
    known = Names(system, place).known()
    if content["name"] not in known:
        hint = did_you_mean(content["name"], known)
        message = f"{path}: name is {_shown(content['name'])}, which {system.name} does not compute at {place}"
        raise UserError(message + (f"; {hint}" if hint else "") + "; write the bundle anew")
    said = _compared(content["witnesses"], content["dtype"])
    for name in content["pair"]:
        if name not in said:
            raise UserError(
                f"{path}: pair: {_shown(name)} is not compared: {expected_one_of(said)}; write the bundle anew"
            )
    return place


def _compared(witnesses: Sequence[str], dtype: str) -> tuple[str, ...]:
    """Returns: the names of those that are compared; in float32 one of float64 is the measure."""
    return (*witnesses, EXACT) if dtype == "float32" else tuple(witnesses)


def _shown(text: str) -> str:
    return f"'{printable(text[:80])}'"


def _own_files(system: str) -> list[Path]:
    """Returns: the TOML files of a user's own system; those of its folder, for any of them may be mentioned."""
    name, slash, _ = system.partition(".toml")
    path = Path(name + slash)
    return sorted(p for p in path.parent.glob("*.toml") if p.is_file()) if slash and path.is_file() else []


def _named(evidence: Evidence) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for number, batch in enumerate(evidence.batches):
        arrays |= {f"batch/{number}/{name}": a for name, a in batch.items()}
    for (name, at), a in evidence.draws.symbols.items():
        arrays[f"symbol/{name}/{_address(at)}"] = a
    for (network, layer, at), a in evidence.draws.masks.items():
        arrays[f"mask/{network}/{layer}/{_address(at)}"] = a
    arrays |= {f"found/{name}": a for name, a in evidence.found.items()}
    return {name: np.array(a, order="C") for name, a in arrays.items()}


def _address(at: Position) -> str:
    return f"{at.iteration}/{at.step}/{at.repeat}/{at.occurrence}"


def _evidence(folder: Path, place: Place, state: Any, system: System, asked: Asked) -> Evidence:
    path = folder / _ARRAYS
    batches: dict[int, dict[str, np.ndarray]] = {}
    symbols: dict[tuple[str, Position], np.ndarray] = {}
    masks: dict[tuple[str, str, Position], np.ndarray] = {}
    found: dict[str, np.ndarray] = {}
    try:
        if not path.is_file():  # opening a named pipe would wait without end
            raise UserError(f"{path}: is not there, or not a regular file; write the bundle anew")
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                array = file.get_tensor(name)
                kind, *rest = name.split("/")
                if kind == "batch" and len(rest) == 2 and rest[1] in DATA:
                    batches.setdefault(int(rest[0]), {})[rest[1]] = array
                elif kind == "found" and rest[0] in _compared(asked.witnesses, asked.dtype):
                    found[rest[0]] = array
                elif kind == "symbol" and "/".join(rest[:-4]) in system.draws:
                    symbols["/".join(rest[:-4]), Position(*map(int, rest[-4:]))] = array
                elif kind == "mask" and rest[0] in system.networks:
                    masks[rest[0], "/".join(rest[1:-4]), Position(*map(int, rest[-4:]))] = array
                else:
                    raise UserError(
                        f"{path}: holds {_shown(name)}, which no bundle of {system.name} holds; write it anew"
                    )
        if sorted(batches) != list(range(len(batches))):
            raise UserError(f"{path}: holds batches {sorted(batches)}, expected all from 0; write the bundle anew")
    except (OSError, SafetensorError, ValueError, TypeError, IndexError) as error:
        raise UserError(f"{path}: is damaged ({printable(str(error)[:80])}); write the bundle anew") from None
    return Evidence(place, state, [batches[i] for i in sorted(batches)], RecordedDraws(symbols, masks), found)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT and "\0" not in value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MAX_LIST and all(map(_is_text, value))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_SEED


# For each field its check, and what the message says was expected.
_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "system": (lambda v: _is_text(v) and bool(v), "the name of a system, or of a file in the bundle"),
    "settings": (_is_texts, "a list of texts such as 'run.batch=32'"),
    "reduced": (lambda v: isinstance(v, bool), "true or false"),
    "seed": (_is_count, "a whole number from 0 to 2^63 - 1"),
    "dtype": (lambda v: v in DTYPES, " or ".join(DTYPES)),
    "device": (is_device, " or ".join(DEVICES)),
    "witnesses": (
        lambda v: _is_texts(v) and len(set(v)) == len(v) > 1 and v[0] != "reference",
        "a list of at least two names of backends, the first of which trains",
    ),
    "place": (lambda v: isinstance(v, list) and len(v) == 3 and all(map(_is_count, v)), "iteration, step and repeat"),
    "name": (_is_text, "the name of a quantity"),
    "pair": (lambda v: _is_texts(v) and len(set(v)) == len(v) == 2, "the names of two witnesses"),
}
