"""What is read of a growing network, over all of its stages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ganspec.spec.text.errors import Problems
from ganspec.spec.text.tables import Table


@dataclass
class UnusedKeys:
    """What was read of a network and what came of it, over all of its stages: what is of use in none of them is noted.

    Args:
        layers: how many were read, those that are not there among them; this bounds the time.
    """

    layers: int = 0
    _useless: dict[str, dict[str, str]] = field(default_factory=dict)  # of each file: by key path, why

    def note_use(self, table: Table, settings: Table, used: set[tuple[str, str]], unread: Iterable[str]) -> None:
        """Keep of a file's useless keys those that are useless in this stage, too.

        Args:
            table: the file, whose scope knows the numbers that were used.
            settings: its settings.
            used: the kinds of layer and keys that were taken from there.
            unread: its layers that are not there, or that nothing reads.
        """
        scope = table.scope
        useless = {f"constants.{key}": "nothing uses this number" for key in scope.names if key not in scope.used}
        for kind, shared in settings.data.items():
            for key in shared if isinstance(shared, dict) else ():
                if (kind, key) not in used:
                    useless[f"settings.{kind}.{key}"] = f"no {kind} layer takes this key from here"
        useless |= {f"network.layers ({name})": "in no stage of growth is this layer there and read" for name in unread}
        before = self._useless.get(table.file, useless)
        self._useless[table.file] = {key: why for key, why in useless.items() if key in before}

    def close(self, problems: Problems) -> None:
        for file, useless in self._useless.items():
            for key, why in useless.items():
                problems.add(file, key, why, "use it or delete it")
