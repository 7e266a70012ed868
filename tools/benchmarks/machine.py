"""What something was measured on."""

from __future__ import annotations

import importlib
import os
from typing import Any

from ganspec.spec.training.options import device_number
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.run.environment import environment

# Where these are equal, times of two measurements may be compared with each other.
SAME = ("cpu", "processors", "device", "threads", "python", "numpy")


def machine(request: Request) -> dict[str, Any]:
    """Describe the machine; the backend's framework is imported. It does not name the host.

    Returns: what `environment` says (versions, commit, operating system, processor), and "processors", those that this process
        may use; "threads", those that the backend's library multiplies matrices with (`threads_of`); "device", "cpu" or the
        GPU's name.
    """
    found = environment(request.backend)
    return found | {
        "processors": processors(),
        "threads": threads_of(request.backend),
        "device": device_name(request.backend, request.device),
    }


def processors() -> int:
    """Returns: the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of(backend: str) -> int:
    """Count the threads of products of matrices on the CPU.

    Args:
        backend: "torch", which says it itself; else NumPy's library is meant. OpenBLAS reads its own variable, then OpenMP's,
            when it is loaded, and takes no more threads than there are processors.

    Returns: the number.
    """
    if backend == "torch":
        return int(importlib.import_module("torch").get_num_threads())
    given = (os.environ.get(name, "") for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
    asked = next((int(text) for text in given if text.isdecimal() and int(text)), 0)
    return min(asked or processors(), processors())


def device_name(backend: str, device: str) -> str:
    """Returns: "cpu", or the name of the GPU."""
    if device == "cpu":
        return device
    if backend == "torch":
        return str(importlib.import_module("torch").cuda.get_device_name(device))
    number = device_number(device) or 0
    return importlib.import_module("cupy").cuda.runtime.getDeviceProperties(number)["name"].decode()


def same_machine(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Returns: whether two descriptions are of one machine, used in one way, with the same libraries."""
    frameworks = [name for name in ("torch", "chainer") if name in a or name in b]
    return all(a.get(key) == b.get(key) for key in (*SAME, *frameworks))


def one_line(found: dict[str, Any]) -> str:
    """Returns: the description as a sentence's part: "Intel ... , 2 processors, 2 threads, torch 2.11"."""
    threads = found["threads"]
    versions = [f"{name} {found[name]}" for name in ("torch", "chainer", "numpy") if name in found]
    device = [] if found["device"] == "cpu" else [str(found["device"])]
    return ", ".join(
        [
            *device,
            found["cpu"],
            f"{found['processors']} processors",
            f"{threads} thread{'s' * (threads != 1)}",
            *versions,
        ]
    )
