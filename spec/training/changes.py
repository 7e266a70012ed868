"""What may change in the middle of a run: numbers of the optimisers, of the decay and of the moving averages.

A run is one run because its description stays the same (`spec.description`). These numbers steer training, and change neither
what is trained nor the shapes of what a checkpoint holds. So they may be changed when a run is resumed, and each change is kept
in the run's record. Everything else is fixed, such as networks, losses, schedules, draws, data and the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ganspec.spec.description import differences

# Keys of an optimiser that may change; its kind and its place of epsilon say which algorithm it is.
OF_OPTIMIZERS = ("learning_rate", "learning_rate_schedule", "beta1", "beta2", "decay", "epsilon", "clip")


def fixed_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Compare two descriptions of a run's system.

    Args:
        old: description in a checkpoint, which may be a stranger's.
        new: description of the system as it is now.

    Returns: a line for each place where they differ and must not.
    """
    return differences(_with_changes(old, new), new)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compare two descriptions of a run's system.

    Args:
        old, new: as for `fixed_differences`.

    Returns: each number that differs and may, as {"key": "optimizers.G.learning_rate", "from": 0.001, "to": 0.0001}; None stands
        for what is absent.
    """
    before, after = dict(_changeable(old, new)), dict(_changeable(new, old))
    keys = [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
    return [{"key": key, "from": before.get(key), "to": after.get(key)} for key in keys]


def _changeable(of: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields: key and value of what may change in a description, as far as another one has the same networks and kinds."""
    for network, optimizer in _table(of, "optimizers").items():
        if isinstance(optimizer, dict) and _kind(of, network) == _kind(other, network):
            yield from ((f"optimizers.{network}.{key}", optimizer[key]) for key in _keys(optimizer))
    yield "learning_rate_decay", of.get("learning_rate_decay")
    averages = _table(of, "averages")
    if averages.keys() == _table(other, "averages").keys():  # or there would be other arrays
        yield from ((f"averages.{network}", number) for network, number in averages.items())


def _with_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Returns: the old description with the new values of what may change."""
    made = dict(old)
    there = _table(new, "optimizers")
    made["optimizers"] = {
        network: {key: v for key, v in optimizer.items() if key not in OF_OPTIMIZERS}
        | {key: there[network][key] for key in _keys(there[network])}
        if isinstance(optimizer, dict) and network in there and _kind(old, network) == _kind(new, network)
        else optimizer
        for network, optimizer in _table(old, "optimizers").items()
    }
    made["learning_rate_decay"] = new.get("learning_rate_decay")
    if _table(old, "averages").keys() == _table(new, "averages").keys():
        made["averages"] = new.get("averages")
    return made


def _keys(optimizer: Mapping[str, Any]) -> list[str]:
    return [key for key in OF_OPTIMIZERS if key in optimizer]


def _kind(description: Mapping[str, Any], network: str) -> Any:
    optimizer = _table(description, "optimizers").get(network)
    return optimizer.get("kind") if isinstance(optimizer, dict) else None


def _table(description: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = description.get(key)
    return table if isinstance(table, dict) else {}
