"""What an evaluation in a plan is of, as a formula: "D(G(z))"."""

from __future__ import annotations

from ganspec.spec.plan.plan import StepPlan

_OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


def expression(plan: StepPlan, node: int) -> str:
    """Returns: a node as a formula; what the loss file defines, below the node itself, by its name."""
    names = {i: name for name, i in plan.named.items() if "(" not in name}

    def written(i: int, top: bool = False) -> str:
        if i in names and not top:
            return names[i]
        each = plan.nodes[i]
        inputs = [written(j) for j in each.inputs]
        match each.op:
            case "draw" | "carried" | "recall":
                return str(each.value)
            case "constant":
                return f"{each.value:g}"
            case "kept":
                return f"{each.value.network} of step {each.value.step}"
            case "network":
                call = f"{each.value}({', '.join(inputs)})"
                return call if each.training else f"inference({call})"
            case "output":
                return f"{inputs[0]}.{each.value}"
            case "negative":
                return f"-{inputs[0]}"
            case "expand":
                return inputs[0]
            case "power":
                return f"{inputs[0]} ^ {each.value:g}"
        if each.op in _OPERATORS:
            return f"({inputs[0]} {_OPERATORS[each.op]} {inputs[1]})"
        return f"{each.op}({', '.join(inputs)})"

    return written(node, top=True)
