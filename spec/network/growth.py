"""Keys of a growing network that none of its stages uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ganspec.spec.text.errors import Problems
from ganspec.spec.text.tables import Table


@dataclass
class UnusedKeys:
    """Collects the keys of a network that no stage uses, over all of its stages.

    Args:
        layers: number of layers that were read, absent ones included; this bounds the time.
    """

    layers: int = 0
    _unused: dict[str, dict[str, str]] = field(default_factory=dict)  # for each file: key path and reason

    def note_use(self, table: Table, settings: Table, used: set[tuple[str, str]], unread: Iterable[str]) -> None:
        """Keep those unused keys of a file that this stage does not use, either.

        Args:
            table: file, whose scope knows the numbers that were used.
            settings: table of the file's settings.
            used: pairs of a kind of layer and a key that were taken from the settings.
            unread: names of layers that are absent, or that nothing reads.
        """
        scope = table.scope
        unused = {f"constants.{key}": "nothing uses this number" for key in scope.names if key not in scope.used}
        for kind, shared in settings.data.items():
            for key in shared if isinstance(shared, dict) else ():
                if (kind, key) not in used:
                    unused[f"settings.{kind}.{key}"] = f"no {kind} layer takes this key from here"
        unused |= {f"network.layers ({name})": "no stage of growth has this layer and reads it" for name in unread}
        before = self._unused.get(table.file, unused)
        self._unused[table.file] = {key: reason for key, reason in unused.items() if key in before}

    def close(self, problems: Problems) -> None:
        """Note every key that no stage used."""
        for file, unused in self._unused.items():
            for key, reason in unused.items():
                problems.add(file, key, reason, "use it or delete it")
