"""What all processes of a run must have been started with alike, and how they differ where they were not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import ganspec
from ganspec.spec.description import describe
from ganspec.spec.system import System
from ganspec.spec.text.errors import printable
from ganspec.spec.training.state import TrainingState
from ganspec.tools.data import Dataset
from ganspec.tools.run.progress import End

_MOST_LINES = 10  # of differences in a message
_MOST_RANKS = 8  # that a line names
_MOST_SHOWN = 200  # characters of a value in a line
_ABSENT = "nothing"


def settled(system: System, options: Mapping[str, Any], end: End) -> dict[str, Any]:
    """Returns: what is known before the data are read, by name: the version, the options, how long to train, the system."""
    length = {"--iterations": end.iteration, "--epochs": end.epoch}
    return {
        "ganspec": ganspec.__version__,
        **{f"--{key}": value for key, value in options.items()},
        **{key: value for key, value in length.items() if math.isfinite(value)},
        "system": {**describe(system), "run": asdict(system.run)},
    }


def found(data: Dataset, state: TrainingState | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns: what is known once they are read, by name; and texts that say which data they are."""
    facts = {"data": data.fingerprint, "iteration to go on from": state.iteration if state else 0}
    return facts, {"data": f"SHA-256 {data.fingerprint[:12]}... of {data.source}"}


def differing(facts: Sequence[Mapping[str, Sequence[Any]]]) -> str:
    """Say how processes differ.

    Args:
        facts: for each process what it was started with: by name a digest, and a value or the text to show.

    Returns: a message, with a line for each difference that says which process has what.
    """
    names = list(dict.fromkeys(name for each in facts for name in each))
    lines: list[str] = []
    for name in names:
        pairs = [each.get(name, (None, _ABSENT)) for each in facts]
        if len({digest for digest, _ in pairs}) > 1:
            lines += _lines(name, [value for _, value in pairs])
    rest = len(lines) - _MOST_LINES
    lines = [f"    {line}" for line in lines[:_MOST_LINES]] + [f"    ... and {rest} more"] * (rest > 0)
    return "\n".join(
        [
            "the processes of a run must be started with the same options, system and data, and these differ:",
            *lines,
            "start them all with the same command, on copies of the same files",
        ]
    )


def _lines(name: str, values: Sequence[Any]) -> Iterator[str]:
    """Yields: a line for each place in the values of all processes where they differ."""
    tables = [dict(_leaves(value, name)) for value in values]
    for path in dict.fromkeys(path for table in tables for path in table):
        texts = [_text(table.get(path, _ABSENT)) for table in tables]
        ranks: dict[str, list[str]] = {}
        for rank, text in enumerate(texts):
            ranks.setdefault(text, []).append(str(rank))
        if len(ranks) > 1:
            each = "; ".join(f"{_short(text)} in {_processes(r)}" for text, r in ranks.items())
            yield printable(f"{path}: {each}")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    else:
        yield path, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _processes(ranks: list[str]) -> str:
    if len(ranks) == 1:
        return f"process {ranks[0]}"
    if len(ranks) > _MOST_RANKS:
        return f"{len(ranks)} processes, such as {ranks[0]}"
    return f"processes {', '.join(ranks[:-1])} and {ranks[-1]}"
