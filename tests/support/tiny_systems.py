"""Systems of tiny networks, written into a folder, and what a backend computes of them: for tests by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec import load_system
from ganspec.spec.system import System
from ganspec.spec.training.state import TrainingState, initial_state
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.states import shaken_state

SEED = 3
NORMAL = 'weight = "normal(0, 1)", bias = "normal(0, 1)"'
GENERATOR = (
    f'z = [2] | {{ kind = "linear", name = "l", units = 4, {NORMAL} }}, {{ kind = "reshape", shape = [1, 2, 2] }}'
)
ADAM = 'kind = "adam"\nlearning_rate = 0.01\nbeta1 = 0.5\nbeta2 = 0.9\nepsilon = 1e-8\nepsilon_place = "corrected"'


def critic(outputs: int = 1, last: str = "", inputs: str = "x = [1, 2, 2]", code: str = "") -> str:
    """Returns: an architecture with one hidden layer of tanh, whose gradients are short to write by hand."""
    read = f'{{ kind = "flatten", name = "pixels", from = "x" }}, {code}'
    layers = f'{{ kind = "linear", name = "l1", units = 3, {NORMAL} }}, {{ kind = "tanh" }}'
    return f'{inputs} | {read} {layers}, {{ kind = "linear", name = "l2", units = {outputs}, {NORMAL} }} {last}'


def write_system(
    folder: Path,
    loss: str,
    networks: Mapping[str, str],
    *,
    steps: str | None = None,
    schedule: str | None = None,
    redraw: str = "iteration",
    draws: str = 'z = { sample = "normal(0, 1)", shape = "G.z" }',
    optimizers: str = ADAM,
    shape: tuple[int, int, int] = (1, 2, 2),
    labels: int = 0,
    batch: int = 3,
    extra: str = "",
) -> System:
    """Write a system and load it.

    Args:
        folder: where the files are written.
        loss: TOML of the key `loss`: "wgan_gp", or { use = "began", lambda_k = 20 }.
        networks: text by role, "INPUTS | LAYERS" or "INPUTS | LAYERS | REST OF THE FILE".
        steps: TOML of the steps of the system's own schedule; None for one step that updates all networks.
        schedule: TOML of the key `schedule`; None for the system's own schedule.
        redraw: lifetime of data and noise in the system's own schedule.
        draws, optimizers: TOML of these tables.
        shape, labels, batch: shape of an image, number of labels, number of images per batch.
        extra: TOML of further tables.

    Returns: the system.
    """
    for role, text in networks.items():
        inputs, layers, *rest = (part.strip() for part in text.split("|"))
        (folder / f"{role}.toml").write_text(
            f'title = "{role}"\nsource = "none"\n[inputs]\n{inputs}\n[network]\nlayers = [ {layers} ]\n{"".join(rest)}\n'
        )
    trained = [role for role, text in networks.items() if "weight" in text]
    steps = steps or f"[[steps]]\nupdate = {trained}"
    (folder / "schedule.toml").write_text(
        f'title = "own"\nsource = "none"\n[redraw]\ndata = "{redraw}"\nnoise = "{redraw}"\n{steps}\n'
    )
    loss = loss if loss.startswith("{") else f'"{loss}"'
    roles = "\n".join(f'{role} = "{role}.toml"' for role in networks)
    (folder / "system.toml").write_text(
        f'title = "tiny"\nsource = "none"\nloss = {loss}\nschedule = {schedule or chr(34) + "schedule.toml" + chr(34)}\n'
        f"[networks]\n{roles}\n[draws]\n{draws}\n[optimizers]\n{optimizers}\n"
        f'[data]\nshape = {list(shape)}\nrange = [-1, 1]\nfit = "exact"\nlabels = {labels}\n'
        f"[run]\nbatch = {batch}\nepochs = 1\nsamples_every = 1\ncheckpoint_every = 1\ngrid = [1, 1]\nmoving_average = 1\n"
        f"{extra}\n"
    )
    return load_system(str(folder / "system.toml"))


@dataclass(frozen=True)
class Computed:
    """What a backend computed in the first repeat of the first step: NumPy arrays, parameters by "D/l1/W"."""

    parameters: dict[str, np.ndarray]
    drawn: dict[str, np.ndarray]
    losses: dict[str, float]
    gradients: dict[str, np.ndarray]
    reports: dict[str, float]
    state: TrainingState  # from which the step started


def compute(backend: str, system: System, **states: float) -> Computed:
    """Run the first step from parameters off their initial values, and from given carried numbers such as k = 0.4.

    Carried numbers that the system does not have are left out.
    """
    state = shaken_state(initial_state(system, SEED), SEED)
    for name in states.keys() & system.loss.carried.keys():
        state.arrays[f"carried/{name}"] = np.array(states[name])
    trainer = backends.make_trainer(backend, system, SEED, state, dtype="float64")
    to_numpy = backends.load(backend).to_numpy
    result = trainer.compute(0, 0, random_feed(system, SEED))
    plan = result.plan
    return Computed(
        state.of("parameters"),
        drawn_values(backend, result),
        {name: float(to_numpy(result.values[i])) for name, i in plan.losses.items()},
        {f"{name}/{path}": to_numpy(g) for name, own in result.gradients.items() for path, g in own.items()},
        {name: float(to_numpy(result.values[i])) for name, i in plan.reports.items()},
        state,
    )


def drawn_values(backend: str, result: Any) -> dict[str, np.ndarray]:
    """Returns: the draws of a step's result, by symbol."""
    to_numpy = backends.load(backend).to_numpy
    pairs = zip(result.plan.nodes, result.values, strict=True)
    return {node.value: to_numpy(value) for node, value in pairs if node.op == "draw"}


def move_along(trainer: Any, gradient: float) -> None:
    """Move every network that the first step updates along a gradient that is the same number everywhere."""
    result = trainer.compute(0, 0, random_feed(trainer.system, 0))
    array = trainer.context.array
    gradients = {
        network: {path: array(np.full(tuple(g.shape), gradient)) for path, g in own.items()}
        for network, own in result.gradients.items()
    }
    trainer.update(replace(result, gradients=gradients))
