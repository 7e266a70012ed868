"""How a process was started: alone, or with others by torchrun or mpiexec, which say so by environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ganspec.tools.errors import UserError

# Who starts several processes of a backend, and by which variables it says rank and number.
STARTERS = {"torch": "torchrun", "chainer": "mpiexec"}
_VARIABLES = {
    "torchrun": [("RANK", "WORLD_SIZE")],
    "mpiexec": [
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        ("PMI_RANK", "PMI_SIZE"),
    ],  # Open MPI; MPICH and others
}
_NEEDED = {"torchrun": ("MASTER_ADDR", "MASTER_PORT"), "mpiexec": ()}
_MOST = 1_000_000  # processes


@dataclass(frozen=True)
class Launch:
    """How this process was started.

    Args:
        starter: "torchrun", "mpiexec", or "" for a process of its own.
        rank, size: number of this process, from 0, and number of all.
    """

    starter: str = ""
    rank: int = 0
    size: int = 1

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Launch:
        """Returns: what the environment variables say."""
        for starter, pairs in _VARIABLES.items():
            for names in pairs:
                numbers = [environ.get(name, "") for name in names]
                if all(n.isascii() and n.isdigit() and len(n) < 8 for n in numbers) and all(
                    name in environ for name in _NEEDED[starter]
                ):
                    rank, size = map(int, numbers)
                    if rank < size <= _MOST and size > 1:
                        return cls(starter, rank, size)
        return cls()

    def check_backend(self, backend: str) -> None:
        """Raises: UserError: the processes were not started by what starts those of this backend."""
        if not self.starter or STARTERS.get(backend) == self.starter:
            return
        if backend not in STARTERS:
            raise UserError(f"the backend '{backend}' trains in one process; leave out {self.starter}")
        commands = {
            "torchrun": f"torchrun --nproc-per-node {self.size} -m ganspec.tools train SYSTEM",
            "mpiexec": f"mpiexec -n {self.size} ganspec train SYSTEM --backend chainer",
        }
        raise UserError(
            f"{self.starter} does not start processes of the backend '{backend}'; type: {commands[STARTERS[backend]]}"
        )
