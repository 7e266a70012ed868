"""Cases of one function of formulas: what it gives, and the gradients, as for a layer (see `layers`)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganspec.spec.plan.graph import CLASSIFICATIONS, ELEMENTWISE, REDUCTIONS, Axes, Graph, Node
from ganspec.spec.reference import functions as reference
from ganspec.spec.reference.jets import jet
from ganspec.tools import backends
from ganspec.tools.vectors.autodiff import total, variable
from ganspec.tools.vectors.case import Arrays, Case, Witness, case_table, drawn
from ganspec.tools.vectors.layers import differentiated, jet_of, slopes_of

KIND = "function"
BATCH = 3
OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "^"}
FUNCTIONS = (*ELEMENTWISE, *REDUCTIONS, *CLASSIFICATIONS, "norm", "clip", *OPERATORS)
SOURCE = "ganspec: the operations of formulas in docs/language.md and spec/plan/graph.py"


def cases() -> list[Case]:
    """Returns: the cases of `cases/functions.toml`."""
    return [_case(entry) for entry in case_table("functions")]


def _case(entry: dict[str, Any]) -> Case:
    function, case = entry["id"].partition("/")[0], f"{KIND}/{entry['id']}"
    given: Arrays = {}
    for number, shape in enumerate(entry["inputs"]):
        given[f"inputs/{number}"] = drawn(case, f"inputs/{number}", (BATCH, *shape))
    points = entry.get("points", [])
    given["inputs/0"].ravel()[: len(points)] = points
    if function in ("sqrt", "log"):
        given["inputs/0"] = np.abs(given["inputs/0"])
    if entry.get("labels"):
        given["inputs/1"] = np.arange(BATCH, dtype=np.int64) % entry["inputs"][0][0]
    numbers = [float(number) for number in entry.get("numbers", [])]
    arguments = ["a", "b"][: len(given)] + [f"{number:g}" for number in numbers]
    infix = f" {OPERATORS.get(function)} ".join(arguments)
    formula = infix if function in OPERATORS else f"{function}({', '.join(arguments)})"
    shape = tuple(BATCH if size == "N" else int(size) for size in _node(function, numbers, given).shape or ())
    given["weights"] = drawn(case, "weights", shape)
    facts = {"function": function, "formula": formula, "numbers": numbers, "shape": list(shape)}
    fixed = frozenset(["inputs/0"] * ("points" in entry))
    return Case(case, f"{formula}, where a and b are the inputs 0 and 1", SOURCE, facts, given, fixed)


def _inputs(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in given.items() if name.startswith("inputs/")}


def _node(function: str, numbers: list[float], given: Mapping[str, np.ndarray]) -> Node:
    """Returns: the operation that a function is in a plan."""
    graph = Graph()
    inputs = []
    for name, array in _inputs(given).items():
        axes: Axes = ("N", *array.shape[1:])
        inputs.append(graph.add("draw", (), axes, "float" if array.dtype.kind == "f" else "label", value=name))
    a, *rest = [*inputs, *map(graph.constant, numbers)]
    if function in ELEMENTWISE:
        made = graph.elementwise(function, a)
    elif function in REDUCTIONS:
        made = graph.reduce(function, a)
    elif function in CLASSIFICATIONS:
        made = graph.classify(function, a, rest[0])
    elif function == "norm":
        made = graph.norm(a, rest[0] if rest else None)
    elif function == "clip":
        made = graph.clip(a, rest[0], rest[1])
    elif function == "power":
        made = graph.power(a, rest[0])
    else:
        made = graph.arithmetic(OPERATORS[function], a, rest[0])
    return graph.nodes[made]


def compute(backend: str, case: Case, given: Mapping[str, np.ndarray]) -> Arrays:
    """Returns: what a backend computes, by name."""
    house = backends.load(backend)
    operations = importlib.import_module(f"{house.__name__}.operations")
    context = house.ArrayContext("cpu", "float64")
    inputs = {name: variable(backend, array) for name, array in _inputs(given).items()}
    node = _node(case.facts["function"], case.facts["numbers"], given)
    output = operations.evaluate(node, list(inputs.values()), True)
    of = {name: array for name, array in inputs.items() if given[name].dtype.kind == "f"}
    s = total(backend, output * context.array(given["weights"]))
    return {"output": house.to_numpy(output)} | differentiated(backend, s, of, {})


def refer(case: Case, expected: Mapping[str, np.ndarray]) -> Witness:
    """Ask the reference. Returns: as `layers.refer` does."""
    given, function = case.given, case.facts["function"]
    directions = {name: drawn(case.id, f"along/{name}", a.shape) for name, a in given.items()}
    inputs = [jet_of(a, expected.get(f"gradients/{n}"), directions[n]) for n, a in _inputs(given).items()]
    if function == "power":
        output = inputs[0].power(case.facts["numbers"][0])
    elif function in OPERATORS:
        output = reference.arithmetic(OPERATORS[function], *inputs)
    else:
        # A label that a formula writes as a number is that of every sample.
        numbers = [np.full(BATCH, n) if function in CLASSIFICATIONS else np.array(n) for n in case.facts["numbers"]]
        output = reference.call(function, *inputs, *map(jet, numbers))
    return Witness({"output": output.f[0]}, slopes_of(output, given["weights"], expected, directions))
