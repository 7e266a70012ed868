"""Draws whole systems: networks, a loss, a schedule, draws, optimisers, averages, growth; each is valid."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from ganspec.spec import SpecError, load_system
from ganspec.tools.fuzzing.formulas import Formulas, tidy
from ganspec.tools.fuzzing.networks import Draw, Label, Network, Shape, network
from ganspec.tools.fuzzing.writing import MAIN, Drawn, toml

LIFETIMES = ("iteration", "step", "repeat")
RATES = (1e-2, 1e-3, 0.3, 0, 1e-9)
BETAS = (0.5, 0.9, 0, 0.999)
# A much smaller one makes a whole step of a gradient that is nothing but rounding; then nothing can be compared.
EPSILONS = (1e-8, 1e-3, 1)
RATE_SCHEDULES = (  # which change something within three iterations
    {"kind": "linear", "over": 2, "to": 0},
    {"kind": "cosine", "after": 1, "over": 3, "to": 0.1, "warmup": {"iterations": 2, "from": 0.5}},
    {"kind": "step", "factor": 0.5, "every": 1},
    {"kind": "step", "factor": 0.1, "at": [1, 2], "warmup": {"iterations": 3, "from": 0}},
    {"kind": "constant", "warmup": {"iterations": 2, "from": 0}},
)
RANGES = ([-1, 1], [0, 1], [0, 255], [-0.5, 3])
DEPTH = 4  # of formulas


@st.composite
def systems(draw: Draw) -> Drawn:
    """Returns: a strategy of valid systems; a few draws that have no meaning are thrown away."""
    files, optional = _files(draw)
    drawn = _valid(files, optional, draw(st.integers(0, 2**32)), draw(st.sampled_from((1, 2, 1, 3))))
    assume(drawn is not None)
    assert drawn is not None
    return drawn


def _valid(files: dict[str, dict[str, Any]], optional: list[str], seed: int, iterations: int) -> Drawn | None:
    """Returns: the system, if it has a meaning: with all optional keys of its steps, or else without them."""
    for left_out in ([], [key for key in optional if key == "reuse"], optional):
        steps = [{k: v for k, v in step.items() if k not in left_out} for step in files["schedule.toml"]["steps"]]
        changed = {**files, "schedule.toml": {**files["schedule.toml"], "steps": steps}}
        drawn = Drawn({name: toml(data) for name, data in changed.items()}, seed, iterations)
        if not problems(drawn):
            return drawn
    return None


def problems(drawn: Drawn) -> str:
    """Returns: what is wrong with a system; empty where nothing is."""
    with tempfile.TemporaryDirectory(prefix="ganspec-fuzz-") as folder:
        try:
            load_system(str(drawn.write(Path(folder))))
        except SpecError as error:
            return str(error)
    return ""


def _files(draw: Draw) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Returns: the data of each file, and those keys of the steps that may have no meaning in this system."""
    batch, labels = draw(st.sampled_from((2, 3, 4, 1))), draw(st.sampled_from((0, 0, 2, 3)))
    image: Shape = (draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    growing = draw(st.integers(0, 4)) == 4
    networks = _networks(draw, image, labels, growing=growing, batched=batch > 1)
    shared = draw(st.integers(0, 3)) == 3
    formulas = Formulas(draw, networks, image, labels, shared=shared)
    losses = {name: tidy(_loss(formulas, name, networks)) for name in networks}
    steps, optional = _steps(draw, list(networks), shared)
    reports = _reports(formulas, list(networks), steps)
    formulas.recalled = list(reports)
    for carried in (own := dict(formulas.table("carried"))):
        own[carried] |= {"next": _bounded(formulas, carried), "with": draw(st.sampled_from(list(networks)))}
    # A carried number that is first mentioned by another's formula needs one, too.
    for carried in formulas.table("carried").keys() - own.keys():
        own[carried] = {
            **formulas.table("carried")[carried],
            "next": f"0.5 * {carried} + 0.1",
            "with": next(iter(networks)),
        }
    _gates(draw, steps, optional, reports)
    own_draws = {}
    if formulas.latent:
        own_draws["z"] = {"sample": draw(st.sampled_from(("normal(0, 1)", "uniform(-1, 1)"))), "shape": "G.z"}
    if "c" in formulas.table("draws"):
        own_draws["c"] = formulas.table("draws").pop("c") | {"shape": _labelled(networks)}
    tables = ("constants", "draws", "define")
    loss = {"title": "a loss", "source": "drawn", **{t: formulas.table(t) for t in tables if formulas.table(t)}}
    loss |= {"losses": losses, **({"carried": own} if own else {}), **({"report": reports} if reports else {})}
    redraw = {kind: "iteration" if shared else draw(st.sampled_from(LIFETIMES)) for kind in ("data", "noise")}
    files: dict[str, dict[str, Any]] = {
        "loss.toml": loss,
        "schedule.toml": {"title": "a schedule", "source": "drawn", "redraw": redraw, "steps": steps},
        **{f"{name}.toml": dict(each.data) for name, each in networks.items()},
        **{name: dict(block) for each in networks.values() for name, block in each.blocks.items()},
        MAIN: _system(draw, networks, own_draws, image, formulas.labelled, batch, growing),
    }
    return files, optional


def _networks(draw: Draw, image: Shape, labels: int, *, growing: bool, batched: bool) -> dict[str, Network]:
    code = {"y": Label(labels)} if labels and draw(st.booleans()) else {}
    rest = {"growing": growing, "batched": batched}
    found = {"G": network(draw, "G", {"z": (draw(st.integers(1, 3)),), **code}, image, heads=False, **rest)}
    wide = (labels,) if labels else (draw(st.integers(1, 3)),)
    judged: dict[str, Shape | Label] = {"x": image, **code} if draw(st.booleans()) else {"x": image}
    if draw(st.integers(0, 3)) < 3 or labels:
        found["D"] = network(draw, "D", judged, draw(st.sampled_from(((1,), wide, ()))), heads=True, **rest)
    if draw(st.integers(0, 3)) == 3:
        taken = draw(st.sampled_from([image, *(s for n in found.values() for s in n.outputs.values())]))
        found["E"] = network(draw, "E", {"v": taken}, draw(st.sampled_from((wide, image))), heads=True, **rest)
    return found


def _loss(formulas: Formulas, name: str, networks: Mapping[str, Network]) -> str:
    """Returns: a loss that depends on the network which it trains, alone or through another."""
    output = formulas.one(list(networks[name].outputs))
    own, shape = formulas.evaluate(name, output, 1, {}), networks[name].outputs[output]
    through = [
        (n, o)
        for n, each in networks.items()
        for o in each.outputs
        if n != name and shape in each.inputs.values() and not (formulas.shared and n == "G")
    ]
    if through and formulas.draw(st.integers(0, 3)) < 3:
        judge, output = formulas.one(through)
        first = next(iter(networks[judge].inputs.values()))
        own = formulas.evaluate(judge, output, 0, {}, first=own) if first == shape else own
    anchor = formulas.one(("mean(A)", "mean(A ^ 2)", "mean(softplus(A))", "-mean(A)", "sum(A)", "mean(norm(A))"))
    fakes = f" + mean({formulas.fakes()})" if formulas.shared else ""
    return f"{anchor.replace('A', own)} + {formulas.scalar(DEPTH)}{fakes}"


def _bounded(formulas: Formulas, name: str) -> str:
    """Returns: the next value of a carried number, most often one that stays in bounds."""
    text = f"({name} + {formulas.one(('0.1', '1', '-3'))} * ({formulas.scalar(2)}))"
    return tidy(formulas.one((f"clip({text}, 0, 1)", f"tanh({text})", text)))


def _steps(draw: Draw, names: list[str], shared: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """Returns: steps that update every network, and those of their keys that may not fit the formulas."""
    steps: list[dict[str, Any]] = []
    left = list(names)
    while left or (len(steps) < 4 and draw(st.integers(0, 3)) == 3):
        update = (
            draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)) if not left else [left.pop()]
        )
        if left and draw(st.booleans()):
            update.append(left.pop())
        step: dict[str, Any] = {"update": sorted(update)}
        if (repeat := draw(st.sampled_from((1, 1, 1, 2)))) > 1:
            step["repeat"] = repeat
        if draw(st.integers(0, 5)) == 5 and not (shared and not steps):
            step["repeat_override"] = {
                "repeat": draw(st.integers(0, 2)), "first": draw(st.integers(0, 2)), "every": draw(st.integers(1, 3)),
            }  # fmt: skip
        others = [n for n in names if n not in update]
        if others and draw(st.integers(0, 4)) == 4:
            step["inference"] = [draw(st.sampled_from(others))]
        if shared and steps and not any("G" in other["update"] for other in steps) and "inference" not in step:
            step["reuse"] = ["G"]
            if "G" in update:  # its own evaluation can be reused once
                step.pop("repeat", None), step.pop("repeat_override", None)
        steps.append(step)
    return steps, ["reuse", "inference"]


def _reports(formulas: Formulas, names: list[str], steps: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns: reports; each can read those before it that the same step, or an earlier one, has computed."""
    reports: dict[str, dict[str, Any]] = {}
    firsts = {n: next(i for i, step in enumerate(steps) if n in step["update"]) for n in names}
    for number in range(formulas.draw(st.integers(0, 2))):
        network = formulas.draw(st.sampled_from(names))
        formulas.recalled = [r for r, other in reports.items() if firsts[other["with"]] <= firsts[network]]
        reports[f"r{number}"] = {"value": tidy(formulas.scalar(3)), "with": network}
    return reports


def _gates(draw: Draw, steps: list[dict[str, Any]], optional: list[str], reports: Mapping[str, Any]) -> None:
    """Let some steps end early, as soon as a number that they record is past a value."""
    for step in steps:
        if "reuse" not in step and draw(st.integers(0, 4)) == 4:
            recorded = [f"loss_{n}" for n in step["update"]]
            recorded += [name for name, report in reports.items() if report["with"] in step["update"]]
            step["repeat"] = 2
            step["until"] = {"report": draw(st.sampled_from(recorded)), draw(st.sampled_from(("below", "above"))): 0.5}


def _labelled(networks: Mapping[str, Network]) -> str:
    """Returns: an input that takes labels, as the shape of a draw."""
    places = [f"{n}.{i}" for n, each in networks.items() for i, s in each.inputs.items() if isinstance(s, Label)]
    return places[0] if places else "nowhere"


def _system(
    draw: Draw,
    networks: Mapping[str, Network],
    draws: Mapping[str, Any],
    image: Shape,
    labelled: int,
    batch: int,
    growing: bool,
) -> dict[str, Any]:
    optimizers: dict[str, Any] = _optimizer(draw)
    for name in list(networks)[1:]:  # the first has what is shared, which must be used
        if draw(st.integers(0, 3)) == 3:
            optimizers[name] = _optimizer(draw)
    data: dict[str, Any] = {"shape": list(image), "range": draw(st.sampled_from(RANGES)), "fit": "exact"}
    if labelled:
        data["labels"] = labelled
    run = {
        "batch": batch,
        "iterations": 10,
        "samples_every": 10,
        "checkpoint_every": 10,
        "grid": [1, 1],
        "moving_average": 1,
    }
    system: dict[str, Any] = {
        "title": "a drawn system", "source": "drawn", "loss": "loss.toml", "schedule": "schedule.toml",
        "networks": {name: f"{name}.toml" for name in networks}, "draws": draws, "optimizers": optimizers,
        "data": data, "run": run,
    }  # fmt: skip
    averages = {name: draw(st.sampled_from((0.5, 0.999, 0))) for name in networks if draw(st.integers(0, 4)) == 4}
    if averages:
        system["averages"] = averages
    if growing:  # with these numbers a run of three iterations is in both stages, in the middle of a fade
        system["growth"] = {"stages": 2, "images": draw(st.sampled_from((2 * batch, 5, 3 * batch)))}
        if draw(st.booleans()):
            system["growth"]["start"] = {"stage": 1, "fade": 0.25}
    return system


def _optimizer(draw: Draw) -> dict[str, Any]:
    rate, epsilon = draw(st.sampled_from(RATES)), draw(st.sampled_from(EPSILONS))
    if draw(st.integers(0, 2)) < 2:
        place = draw(st.sampled_from(("corrected", "uncorrected")))
        rule = {"kind": "adam", "beta1": draw(st.sampled_from(BETAS)), "beta2": draw(st.sampled_from(BETAS))}
    else:
        place = draw(st.sampled_from(("outside", "inside")))
        rule = {"kind": "rmsprop", "decay": draw(st.sampled_from(BETAS)), "start": draw(st.sampled_from((0, 1)))}
    rule |= {"learning_rate": rate, "epsilon": epsilon, "epsilon_place": place}
    if draw(st.integers(0, 4)) == 4:
        rule["clip"] = {"bound": draw(st.sampled_from((0.1, 1, 0))), "when": draw(st.sampled_from(("after", "before")))}
    if draw(st.integers(0, 4)) == 4:
        rule["learning_rate_schedule"] = draw(st.sampled_from(RATE_SCHEDULES))
    return rule
