"""How much memory a process has now, and that it keeps what it frees."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import Any

# Parameters of the GNU C library's mallopt (malloc.h), and the variables with which a user sets them from outside.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_SET_OUTSIDE = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
_KEPT = 2**30  # bytes: free memory at the end of the heap, and single arrays, up to this size stay with the process


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees, for its next arrays.

    An iteration makes and frees the same arrays again and again. By default the C library gives the memory of large ones back to
    the system, which then clears each page anew when it is used next: thousands of page faults in an iteration.
    docs/speed.md says what that costs. The process takes no more memory than at its peak, but holds that to its end.

    Returns: whether it does so now; only the GNU C library can, and what the user has set in the environment stands.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _SET_OUTSIDE):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _KEPT)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))


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
