"""One part of what `tools/gpu` does, in a process of its own: python -m ganspec.tools.cuda.part NAME BACKEND DEVICE FILE

What was found so far is written to the file after each row, so that it is there, too, if the part is stopped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.cuda import timing
from ganspec.tools.cuda.checks import CHECKS

DEVICE, SPEED = "device", "speed"


def main(arguments: Sequence[str]) -> int:
    """Returns: 0 where all is as it must be, 1 where it is not."""
    name, backend, device, path = arguments
    rows: list[dict[str, Any]] = []
    if name == DEVICE:
        rows = [facts()]
    elif name == SPEED:
        for system in timing.SYSTEMS:
            for row in timing.timed(backend, device, system):
                rows.append(row)
                _write(Path(path), timing.with_ratios(rows))
        rows = timing.with_ratios(rows)
    else:
        rows = CHECKS[name](backend, device)
    _write(Path(path), rows)
    return 0 if all(row["ok"] for row in rows) else 1


def facts() -> dict[str, Any]:
    """Returns: what frameworks there are, and what devices each finds."""
    found: dict[str, Any] = {"ok": True, "devices": 0}
    if find_spec("torch"):
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        found |= {"torch": torch.__version__, "CUDA of torch": torch.version.cuda, "devices": count}
        if count:
            free, size = torch.cuda.mem_get_info()
            found |= {"device": torch.cuda.get_device_name(), "memory": size, "free memory": free}
            found["capability"] = ".".join(map(str, torch.cuda.get_device_capability()))
            found["cuDNN"] = torch.backends.cudnn.version()
    if find_spec("cupy"):
        try:
            import cupy

            count = cupy.cuda.runtime.getDeviceCount()
            found |= {"cupy": cupy.__version__, "devices": max(found["devices"], count)}
        except Exception as error:  # CuPy without its CUDA libraries, or without a driver
            found["cupy"] = f"{type(error).__name__}: {error}"[:300]
    return found


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    write_atomically(path, json.dumps(rows).encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
