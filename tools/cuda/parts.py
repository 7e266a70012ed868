"""What `tools/gpu` runs: the parts, what each needs, and how long it may take."""

from __future__ import annotations

import sys
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

from ganspec.tools.cuda.part import DEVICE, SPEED
from ganspec.tools.cuda.running import Part

_WHAT = {
    "rounding": "float32 is exact to rounding, though the process asks for TF32",
    "draws": "numbers drawn on the device have the bits of the host's",
    "capture": "captured iterations have the bits of eager ones",
    "resumed": "a resumed run has the bits of an unbroken one",
}
# Seconds; four such parts run at a time, and with the timings after them all fit into ten minutes.
_LIMITS = {"rounding": 60.0, "draws": 100.0, "capture": 120.0, "resumed": 100.0}
# Enough for every family of formula, layer, schedule and optimiser, and little enough for minutes.
CROSSCHECKED = (
    "wgan_gp_mlp_mnist", "began_mnist", "acgan_mnist", "sndcgan_cifar10", "progressive_cifar10", "wgan_cifar10", "dragan_cifar10",
)  # fmt: skip
UPDATERS = (
    "wgan_gp",
    "dcgan",
    "sndcgan",
    "began",
)  # a gradient penalty, none, spectral norm, and the one that only CuPy runs
UPDATERS_PART = "updaters"
_NEEDS = {"torch": ("torch",), "chainer": ("chainer", "cupy")}
_NAMES = {"torch": "PyTorch", "chainer": "Chainer", "cupy": "CuPy", "pytest": "pytest", "hypothesis": "hypothesis"}
_WORKERS = ("-n", "4") if find_spec("xdist") else ()
_HINT = "give the folder that it was unpacked into with --site DIR; docs/cuda.md says how it gets there"


def device_part() -> Part:
    """Returns: the part that says what device there is."""
    return _own(DEVICE, "", "the device, and the versions of what computes on it", 60.0)


def parts(device: str, tests: bool, updaters: Path | None = None) -> list[Part]:
    """Returns: all other parts.

    Args:
        device: "cuda" or "cuda:N".
        tests: whether the repository's tests are there, which an installed package has not.
        updaters: folder of Chainer-GAN-lib, if its updaters are to be timed beside ours.
    """
    found = []
    for backend, needs in _NEEDS.items():
        found += [
            _own(f"{name}-{backend}", backend, what, _LIMITS[name], needs, device) for name, what in _WHAT.items()
        ]
    both = ("torch", "chainer", "cupy")
    for dtype in ("float64", "float32"):
        command = ("-m", "ganspec.tools", "crosscheck", *CROSSCHECKED, "--device", device, "--dtype", dtype)
        options = ("--iterations", "4", "--jobs", "4", "--json", "{result}")
        what = f"both backends and the reference agree in {dtype}"
        found.append(
            Part(f"crosscheck-{dtype}", what, (sys.executable, *command, *options), 120.0, missing=_missing(both))
        )
    if tests:
        for name, needs, words in (
            ("tests", ("pytest", "hypothesis"), ("-m", "gpu and not slow", "tests", "--ignore=tests/test_cuda.py")),
            ("compat", ("pytest", "hypothesis", "chainer", "cupy"), ("tests/compat/test_cupy.py",)),
        ):
            what = {
                "tests": "the tests that are marked gpu",
                "compat": "compat's mends of kernels compile and compute",
            }[name]
            command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_WORKERS, *words)
            found.append(Part(name, what, command, 150.0, missing=_missing(needs), nothing_to_do=(5,)))
    for backend, needs in _NEEDS.items():
        what = f"{_NAMES[backend]}: captured against eager iterations, choices, and the plain loop"
        found.append(_own(f"{SPEED}-{backend}", backend, what, 110.0, needs, device, alone=True))
    if updaters is not None:
        present = [name for name in _NEEDS if name == "chainer" or find_spec(name)]
        options = (
            "--device",
            device,
            "--backend",
            *present,
            "--warm-up",
            "6",
            "--iterations",
            "5",
            "--json",
            "{result}",
        )
        command = (sys.executable, "docs/bench_updaters.py", str(updaters.resolve()), *UPDATERS, *options)
        what = "ours against the unmodified updaters of Chainer-GAN-lib; theirs/chainer is to be 1.5 or more"
        found.append(Part(UPDATERS_PART, what, command, 120.0, True, _missing(_NEEDS["chainer"])))
    return found


def _own(
    name: str,
    backend: str,
    what: str,
    limit: float,
    needs: Collection[str] = (),
    device: str = "cuda",
    *,
    alone: bool = False,
) -> Part:
    check = name.removesuffix(f"-{backend}") if backend else name
    command = (sys.executable, "-m", "ganspec.tools.cuda.part", check, backend, device, "{result}")
    return Part(name, what, command, limit, alone, _missing(needs))


def _missing(needs: Collection[str]) -> str:
    absent = [_NAMES[name] for name in needs if find_spec(name) is None]
    if not absent:
        return ""
    return f"{' and '.join(absent)} {'are' if len(absent) > 1 else 'is'} not installed here: {_HINT}"
