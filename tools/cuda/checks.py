"""Checks of a backend on a device: each gives rows of what was compared, and says of each row whether it is as it must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ganspec.spec.system import System, load_system
from ganspec.spec.training.state import TrainingState
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed

SEED = 3
Row = dict[str, Any]  # a row of a table; its "ok" says whether it is as it must be
# One system for each family: a penalty with dropout, a carried number, labels, spectral norm with batch norm, growth, clipping.
SYSTEMS = (
    "wgan_gp_mlp_mnist", "began_mnist", "acgan_mnist", "sndcgan_cifar10", "progressive_cifar10", "wgan_cifar10",
    "cramer_cifar10", "ac_wgan_gp_cifar10", "dcgan_cifar10", "cgan_mnist",
)  # fmt: skip
_SETTINGS = {"progressive_cifar10": ["growth.images=48", "growth.start={ stage = 1 }"]}  # eight iterations of one stage
EXACT = 1e-5  # largest error of a product of float32 numbers, as a part of the result's norm: TensorFloat-32 makes 2e-4 of it
_INNER = 512  # numbers that each number of a product sums


def rounding(backend: str, device: str) -> list[Row]:
    """Compare products and convolutions in float32 with float64, while the process asks for TensorFloat-32."""
    house = backends.load(backend)
    _ask_for_tf32(backend)
    rows = []
    for precision in ("full", "tf32"):
        if precision == "tf32" and device == "cpu":
            continue
        context = house.ArrayContext(device, "float32", precision)
        for name, compute, wanted in _products(backend):
            with context.exactly():
                found = house.to_numpy(compute(*(context.array(a) for a in wanted[1:])))
            error = float(np.linalg.norm(found - wanted[0]) / np.linalg.norm(wanted[0]))
            rows.append({
                "precision": precision, "operation": name, "error": error, "ok": precision != "full" or error < EXACT,
            })  # fmt: skip
    return rows


def draws(backend: str, device: str, names: Sequence[str] = SYSTEMS) -> list[Row]:
    """Compare runs whose numbers are drawn on the host and on the device: they must have the same bits."""
    return [
        _compared(
            _trained(backend, device, system, 2, draws="host"), _trained(backend, device, system, 2, draws="device")
        )
        | {"system": system.name}
        for system in map(_system, names)
    ]


def capture(backend: str, device: str, names: Sequence[str] = SYSTEMS) -> list[Row]:
    """Compare runs of captured iterations with runs of eager ones: they must have the same bits."""
    rows = []
    for system in map(_system, names):
        for source in ("host", "device"):
            trainer = _trained(backend, device, system, 8, draws=source)
            eager = _trained(
                backend, device, system, 8, draws=source, **({} if device == "cpu" else {"cuda": ["eager"]})
            )
            rows.append({"system": system.name, "draws": source, **_compared(trainer, eager)})
            rows[-1]["eager because"] = trainer.eager_reason
            # Where the host must read a number, that is no failure; where a device refuses a graph, it is.
            rows[-1]["ok"] &= "the capture failed" not in trainer.eager_reason
    return rows


def resumed(backend: str, device: str, names: Sequence[str] = SYSTEMS) -> list[Row]:
    """Compare a run with one that was broken off in the middle and resumed: they must have the same bits."""
    rows = []
    for system in map(_system, names):
        whole, first = _trained(backend, device, system, 8), _trained(backend, device, system, 5)
        second = _trained(backend, device, system, 3, first.state(), place=5)
        rows.append({"system": system.name, **_compared(whole, second)})
    return rows


CHECKS: dict[str, Callable[..., list[Row]]] = {
    "rounding": rounding,
    "draws": draws,
    "capture": capture,
    "resumed": resumed,
}


def _system(name: str) -> System:
    return load_system(name, _SETTINGS.get(name, ()), reduced=True)


def _trained(
    backend: str,
    device: str,
    system: System,
    iterations: int,
    state: TrainingState | None = None,
    place: int = 0,
    **options: Any,
) -> Any:
    """Returns: a trainer after some iterations; `place` is the number of those whose batches a run before it drew."""
    trainer = backends.make_trainer(backend, system, SEED, state, device=device, **options)
    # Batches are drawn alike, however often an iteration asks: the number of the iteration decides.
    for number in range(place, place + iterations):
        trainer.iterate(random_feed(system, SEED + number))
    return trainer


def _compared(a: Any, b: Any) -> Row:
    """Returns: whether the states of two trainers have the same bits, and how far apart they are."""
    one, other = a.state().arrays, b.state().arrays
    different = [name for name in one if one[name].tobytes() != other[name].tobytes()]
    far = [float(np.linalg.norm(one[name] - other[name]) / max(np.linalg.norm(one[name]), 1e-30)) for name in different]
    finite = all(np.isfinite(array).all() for array in one.values())
    return {
        "same bits": not different,
        "different": ", ".join(different[:3]) + ("..." if len(different) > 3 else ""),
        "largest difference": max(far, default=0.0),
        "ok": finite and not different,
    }


def _ask_for_tf32(backend: str) -> None:
    """Let this process, which is one check's alone, ask for what ganspec must not take over."""
    if backend == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


def _products(backend: str) -> list[tuple[str, Callable[..., Any], tuple[np.ndarray, ...]]]:
    """Returns: operations: a name, a function of the backend's arrays, the right result in float64 and the arguments."""
    generator = np.random.default_rng(SEED)
    a, b = (generator.standard_normal((_INNER, _INNER)).astype(np.float32) for _ in range(2))
    x = generator.standard_normal((2, _INNER // 4, 16, 16)).astype(np.float32)
    w = generator.standard_normal((8, _INNER // 4, 2, 2)).astype(np.float32)
    wide = x.astype(np.float64)
    parts = (np.einsum("nchw,oc->nohw", wide[:, :, i : 15 + i, j : 15 + j], w[:, :, i, j].astype(np.float64))
             for i in (0, 1) for j in (0, 1))  # fmt: skip
    convolved = sum(parts, np.zeros((2, 8, 15, 15)))
    if backend == "torch":
        import torch

        product, convolution = torch.matmul, torch.nn.functional.conv2d
    else:
        import chainer.functions as F

        product, convolution = F.matmul, F.convolution_2d
    return [
        ("product", product, (a.astype(np.float64) @ b.astype(np.float64), a, b)),
        ("convolution", convolution, (convolved, x, w)),
    ]
