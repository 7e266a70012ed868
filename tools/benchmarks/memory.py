"""The most memory that training holds, measured in a process that does nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path

from ganspec.spec.training.options import device_number
from ganspec.tools.backends import load
from ganspec.tools.benchmarks import sides
from ganspec.tools.benchmarks.fresh import in_fresh_process
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.run.memory import resident_memory

ITERATIONS = 2  # the second one computes while the first one's results are still there


def peaks(request: Request, *, alone: bool = False) -> dict[str, int]:
    """Measure each side in a fresh process.

    Returns: bytes: "loaded", of the process with its framework, before there is anything to train; "ours"; and "theirs", unless
        `alone`. On CUDA the bytes that the framework's allocator held on the device, "loaded" left out.

    Raises:
        UserError: a side cannot be made, or its process died.
    """
    found: dict[str, int] = {}
    for side in ("ours",) if alone else ("ours", "theirs"):
        what = f"{request.system}, {request.backend}"
        loaded, peak = in_fresh_process(_peak, request, side, threads=request.threads, what=what)
        found |= {side: peak} if request.device != "cpu" else {"loaded": loaded, side: peak}
    return found


def _peak(request: Request, side: str) -> tuple[int, int]:
    """Train two iterations in this process. Returns: bytes with the framework alone, and the most."""
    system = request.load()
    load(request.backend)
    sides.use_threads(request.backend, request.threads)
    loaded = peak_resident()
    iterate = getattr(sides, side)(request, system, sides.dataset_for(system))
    for _ in range(ITERATIONS):
        iterate()
    return loaded, peak_resident() if request.device == "cpu" else _peak_on_device(request)


def peak_resident() -> int:
    """Returns: the most bytes that this process ever held in memory, without those of the process that started it."""
    try:
        # Linux; `ru_maxrss` would begin with the size of the process from which this one was made.
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return resident_memory() or 0


def _peak_on_device(request: Request) -> int:
    if request.backend == "torch":
        return int(importlib.import_module("torch").cuda.max_memory_reserved(request.device))
    cupy = importlib.import_module("cupy")
    with cupy.cuda.Device(device_number(request.device) or 0):
        return int(cupy.get_default_memory_pool().total_bytes())  # a pool gives nothing back by itself
