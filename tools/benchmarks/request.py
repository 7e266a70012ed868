"""What is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ganspec.spec import System, load_system


@dataclass(frozen=True)
class Request:
    """A system to train, and how.

    Args:
        system: name of a packaged system, or path of a TOML file.
        backend: "torch" or "chainer".
        device: "cpu", "cuda" or "cuda:N".
        draws: where ours takes random numbers from, "host" or "device"; a plain loop takes those of its framework.
        settings: changes of the system's keys, "KEY=VALUE" each.
        reduced: whether the system has its small sizes.
        threads: number of threads; 0 for the libraries' choice.
        sharing: whether what several formulas, repeats or steps need is computed once.
    """

    system: str
    backend: str
    device: str = "cpu"
    draws: str = "host"
    settings: tuple[str, ...] = ()
    reduced: bool = False
    threads: int = 0
    sharing: bool = True

    def load(self) -> System:
        """Returns: the system. Raises: SpecError: it or a setting is wrong."""
        system = load_system(self.system, self.settings, reduced=self.reduced)
        return system if self.sharing else system.without_sharing()

    def trainer_options(self) -> dict[str, Any]:
        """Returns: the keyword arguments of a trainer."""
        return {"device": self.device, "draws": self.draws}
