"""An optimiser as the user writes it, such as `Adam(alpha=2e-4, beta1=0.5)`, and the PyTorch source of its continuation.

A snapshot of Chainer holds no hyper-parameter, so the user gives them, in Chainer's own notation. The text is parsed, never
evaluated. What is left out has the default of Chainer 7.8.1, and is said to have it.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganspec.spec.text.errors import printable
from ganspec.tools.porting.carry_errors import CarryError, listed, meant

MAX_TEXT = 1_000  # characters of an optimiser or a hook

_ADAM = {"alpha": 0.001, "beta1": 0.9, "beta2": 0.999}
_MOMENTUM = {"lr": 0.01, "momentum": 0.9}
_BOUND = _ADAM | {"final_lr": 0.1, "gamma": 0.001, "eps": 1e-08, "eta": 1.0}
_SWITCHES = {"amsgrad": False, "adabound": False}

# The arguments of each class of Chainer 7.8.1 in their order, with its defaults; None where it has none.
OPTIMIZERS: dict[str, dict[str, float | bool | None]] = {
    "AdaBound": {**_BOUND},
    "AdaDelta": {"rho": 0.95, "eps": 1e-06},
    "AdaGrad": {"lr": 0.001, "eps": 1e-08},
    "Adam": {**_ADAM, "eps": 1e-08, "eta": 1.0, "weight_decay_rate": 0, **_SWITCHES, "final_lr": 0.1, "gamma": 0.001},
    "AdamW": {**_ADAM, "eps": 1e-08, "eta": 1.0, "weight_decay_rate": 0},
    "AMSBound": {**_BOUND},
    "AMSGrad": {**_ADAM, "eps": 1e-08, "eta": 1.0},
    "CorrectedMomentumSGD": {**_MOMENTUM},
    "MSVAG": {"lr": 0.1, "beta": 0.9, "eta": 1.0, "weight_decay_rate": 0},
    "MomentumSGD": {**_MOMENTUM},
    "NesterovAG": {**_MOMENTUM},
    "RMSprop": {"lr": 0.01, "alpha": 0.99, "eps": 1e-08, "eps_inside_sqrt": False},
    "RMSpropGraves": {"lr": 0.0001, "alpha": 0.95, "momentum": 0.9, "eps": 0.0001},
    "SGD": {"lr": 0.01},
    "SMORMS3": {"lr": 0.001, "eps": 1e-16},
}
HOOKS: dict[str, dict[str, float | bool | None]] = {
    "GradientClipping": {"threshold": None},
    "GradientHardClipping": {"lower_bound": None, "upper_bound": None},
    "GradientLARS": {"threshold": 0.01, "weight_decay": 0.0, "eps": 1e-09},
    "Lasso": {"rate": None},
    "WeightDecay": {"rate": None},
}

# What Chainer's special cases of Adam set, beyond Adam's defaults.
_OF_ADAM: dict[str, dict[str, bool]] = {
    "Adam": {},
    "AdamW": {},
    "AMSGrad": {"amsgrad": True},
    "AdaBound": {"adabound": True},
    "AMSBound": {"amsgrad": True, "adabound": True},
}


@dataclass(frozen=True)
class Written:
    """An optimiser or a hook as its user wrote it.

    Args:
        name: the class of Chainer.
        values: all arguments by name.
        assumed: the arguments that the user left out, which have Chainer's defaults.
    """

    name: str
    values: Mapping[str, float | bool]
    assumed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.values.items())})"


def parse_optimizer(text: str, option: str = "--optimizer") -> Written:
    """Read an optimiser.

    Args:
        text: a call such as "Adam(alpha=2e-4)" or "chainer.optimizers.Adam(2e-4, 0.5)".
        option: where the text was given, for messages.

    Raises:
        CarryError: it is no call with numbers, or of no optimiser of Chainer 7.8.1, or an argument is unknown.
    """
    return _parse(text, option, OPTIMIZERS, "optimiser of Chainer 7.8.1")


def parse_hook(text: str, option: str = "--hook") -> Written:
    """Read a hook of an optimiser, as `parse_optimizer` does."""
    return _parse(text, option, HOOKS, "hook that can be carried")


def _parse(text: str, option: str, classes: Mapping[str, Mapping[str, float | bool | None]], kind: str) -> Written:
    example = "write it as Chainer does, such as Adam(alpha=2e-4, beta1=0.5), with numbers alone"
    try:
        call = ast.parse(text.strip(), mode="eval").body if len(text) <= MAX_TEXT else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = None
    shown = printable(repr(text[:80]))
    match call:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            pass
        case ast.Name(id=name) | ast.Attribute(attr=name):
            call = ast.Call(call, [], [])
        case _:
            raise CarryError(f"{shown} is no call", option, example)
    if classes is HOOKS and name == "GradientNoise":
        raise CarryError(
            "GradientNoise cannot be continued: its noise comes from NumPy's global generator, which is in no snapshot",
            option,
            "leave it out, and add noise of your own to the gradients",
        )
    if name not in classes:
        raise CarryError(
            f"{printable(name)} is no {kind}{meant(name, classes)}",
            option,
            f"expected one of {', '.join(sorted(classes))}",
        )
    arguments = classes[name]
    if len(call.args) > len(arguments):
        raise CarryError(f"{name} has {len(call.args)} arguments", option, f"expected {', '.join(arguments)}")
    given = list(zip(arguments, call.args, strict=False)) + [(k.arg or "**", k.value) for k in call.keywords]
    values: dict[str, float | bool] = {}
    for key, node in given:
        if key not in arguments:
            problem = f"{name} has no argument {printable(key)}{meant(key, arguments)}"
            raise CarryError(problem, option, f"expected {', '.join(arguments)}")
        if key in values:
            raise CarryError(f"{name} is given {key} twice", option, "give it once")
        values[key] = _number(node, f"{key} of {name}", option, isinstance(arguments[key], bool))
    if missing := [key for key, default in arguments.items() if default is None and key not in values]:
        raise CarryError(
            f"{name} lacks {listed(missing)}, which has no default", option, f"write {name}({missing[0]}=...)"
        )
    assumed = tuple(key for key in arguments if key not in values)
    defaults = {key: default for key, default in arguments.items() if default is not None}
    return Written(name, {key: values.get(key, defaults.get(key, 0)) for key in arguments}, assumed)


def _number(node: ast.expr, what: str, option: str, switch: bool) -> float | bool:
    """Returns: the number, or the switch, that a piece of text says."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        value = None
    if switch and type(value) is bool:
        return value
    if not switch and type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value):
        return value
    shown = printable(ast.unparse(node)[:80])
    raise CarryError(
        f"{what} is {shown}", option, f"expected {'True or False' if switch else 'a finite number, written out'}"
    )


def torch_arguments(optimizer: Written) -> tuple[str, dict[str, float | bool]]:
    """Returns: the class in `optimizers.py` that continues an optimiser, and all of its arguments by name."""
    if optimizer.name not in _OF_ADAM:
        return optimizer.name, dict(optimizer.values)
    values = OPTIMIZERS["Adam"] | _OF_ADAM[optimizer.name] | dict(optimizer.values)
    return "Adam", {{"alpha": "lr"}.get(key, key): value for key, value in values.items() if value is not None}


def optimizer_source(optimizer: Written, hooks: Sequence[Written] = ()) -> str:
    """Write the module that continues an optimiser: the classes that it needs, and `make_optimizer(model)`.

    Args:
        optimizer: the optimiser.
        hooks: its hooks, in the order in which they were added.

    Returns: Python source that imports torch alone.
    """
    name, values = torch_arguments(optimizer)
    here = Path(__file__)
    own = here.with_name("optimizers.py").read_text("utf-8")
    classes = _classes(own, [name]) + _classes(
        here.with_name("optimizers_hooks.py").read_text("utf-8"), [hook.name for hook in hooks]
    )
    body = "\n\n\n".join(classes)
    imports = "import math\n\nimport torch" if "math." in body else "import torch"
    lines = ["model.named_parameters(remove_duplicate=False),"]
    for key, value in values.items():
        chainers = "alpha" if (name, key) == ("Adam", "lr") else key
        remark = "" if key == chainers else "  # alpha"
        remark = "  # not given: the default of Chainer 7.8.1" if chainers in optimizer.assumed else remark
        lines.append(f"{key}={value!r},{remark}")
    if hooks:
        lines.append(f"hooks=[{', '.join(map(str, hooks))}],")
    made = "".join(f"        {line}\n" for line in lines)
    same = "".join(f"    # {line}\n" for line in torchs_own(optimizer))
    return (
        f'"""The optimiser of the snapshot, {optimizer.name}: its next updates are those of Chainer 7.8.1.\n\n'
        "    optimizer = make_optimizer(model)\n"
        '    optimizer.carry(torch.load("optimizer.pt", weights_only=True))\n"""\n\n'
        f"{imports}\n\n\n{body}\n\n\ndef make_optimizer(model):\n"
        f'    """Make the optimiser of a ported model; its state is empty until `carry`."""\n{same}'
        f"    return {name}(\n{made}    )\n"
    )


def torchs_own(optimizer: Written) -> list[str]:
    """Returns: lines that name the class of torch.optim that computes the same; none where there is none."""
    v = optimizer.values
    calls = {
        "SGD": (lambda: f"SGD(model.parameters(), lr={v['lr']!r})", ""),
        "CorrectedMomentumSGD": (
            lambda: f"SGD(model.parameters(), lr={v['lr']!r}, momentum={v['momentum']!r})",
            "momentum_buffer = -v",
        ),
        "MomentumSGD": (
            lambda: f"SGD(model.parameters(), lr={v['lr']!r}, momentum={v['momentum']!r})",
            "momentum_buffer = -v / lr, as long as lr does not change",
        ),
        "AdaGrad": (lambda: f"Adagrad(model.parameters(), lr={v['lr']!r}, eps={v['eps']!r})", "sum = h, step = t"),
        "AdaDelta": (
            lambda: f"Adadelta(model.parameters(), lr=1.0, rho={v['rho']!r}, eps={v['eps']!r})",
            "square_avg = msg, acc_delta = msdx, step = t",
        ),
        "RMSprop": (
            lambda: f"RMSprop(model.parameters(), lr={v['lr']!r}, alpha={v['alpha']!r}, eps={v['eps']!r})",
            "square_avg = ms, step = t",
        ),
    }
    if optimizer.name not in calls or v.get("eps_inside_sqrt"):
        return []
    call, state = calls[optimizer.name]
    return [
        f"torch.optim.{call()}",
        "computes the same where every parameter has a gradient in each update" + (";" if state else "."),
        *([f"its state: {state}."] if state else []),
    ]


def _classes(source: str, names: Sequence[str]) -> list[str]:
    """Returns: the text of the classes of a module that are named, and of those that they derive from, in its order."""
    tree = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    wanted = set(names)
    for name in reversed(tree):  # a class stands below those that it derives from
        if name in wanted:
            wanted |= {base.id for base in tree[name].bases if isinstance(base, ast.Name)}
    return [ast.get_source_segment(source, node) or "" for name, node in tree.items() if name in wanted]
