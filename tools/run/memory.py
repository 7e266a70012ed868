"""How much memory a process has now."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any


def resident_memory() -> int | None:
    """Returns: bytes of memory that this process holds now; the most that it ever held where the system says no more, or None."""
    try:
        with open("/proc/self/statm", "rb") as file:  # Linux: sizes in pages; the second is resident
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def gpu_memory(options: Mapping[str, Any]) -> int | None:
    """Read how much of a GPU's memory a backend holds for its arrays, free ones included. It does not wait for the GPU.

    Args:
        options: backend and device of a run.

    Returns: bytes; None on another device, and for backends of other packages.
    """
    device, found = str(options["device"]), None
    if not device.startswith("cuda"):
        return None
    # Both are loaded while their backend trains.
    if options["backend"] == "torch" and (torch := sys.modules.get("torch")):
        found = torch.cuda.memory_reserved(device)
    elif options["backend"] == "chainer" and (cupy := sys.modules.get("cupy")):
        with cupy.cuda.Device(int(device.partition(":")[2] or 0)):
            found = cupy.get_default_memory_pool().total_bytes()
    return found
