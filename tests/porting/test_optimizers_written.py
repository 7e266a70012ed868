"""An optimiser as the user writes it, and the PyTorch source of its continuation."""

from __future__ import annotations

import ast
import inspect

import pytest

from ganspec.tools.porting.carry_errors import CarryError
from ganspec.tools.porting.optimizers_states import STATE_NAMES
from ganspec.tools.porting.optimizers_written import (
    HOOKS,
    OPTIMIZERS,
    optimizer_source,
    parse_hook,
    parse_optimizer,
    torch_arguments,
    torchs_own,
)
from support.carried_optimizers import Trained, carried_to_torch
from support.old_models import chainer_modules

pytestmark = pytest.mark.usefixtures("both_backends")


BEFORE, AFTER = 3, 100  # updates in Chainer before the snapshot, and updates that are compared


def test_the_arguments_and_defaults_are_chainers() -> None:
    chainer = chainer_modules()
    for module, table in ((chainer.optimizers, OPTIMIZERS), (chainer.optimizer_hooks, HOOKS)):
        for name, arguments in table.items():
            signature = inspect.signature(getattr(module, name).__init__).parameters
            theirs = {key: p.default for key, p in signature.items() if key != "self"}
            theirs = {key: None if default is inspect.Parameter.empty else default for key, default in theirs.items()}
            assert list(theirs.items()) == list(arguments.items()), name


def test_every_optimizer_and_hook_of_chainer_is_known() -> None:
    chainer = chainer_modules()
    method = chainer.optimizer.GradientMethod
    there = {
        name for name, value in vars(chainer.optimizers).items() if inspect.isclass(value) and issubclass(value, method)
    }
    assert there == set(OPTIMIZERS) == set(STATE_NAMES)
    hooks = {name for name, value in vars(chainer.optimizer_hooks).items() if inspect.isclass(value)}
    assert hooks == {*HOOKS, "GradientNoise"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_written_source_imports_torch_alone_and_has_what_it_needs_alone(name) -> None:
    optimizer, hooks = parse_optimizer(name), [parse_hook("WeightDecay(1e-4)")]
    tree = ast.parse(optimizer_source(optimizer, hooks))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= {"math", "torch"}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert classes[0] == "ChainerOptimizer"
    assert classes[-1] == "WeightDecay"
    assert torch_arguments(optimizer)[0] in classes
    assert len(classes) <= 4
    assert max(map(len, optimizer_source(optimizer, hooks).splitlines())) <= 130


# torch.optim's own class where it computes the same, and the names of its moments.
OWN = {
    "SGD": {},
    "CorrectedMomentumSGD": {"momentum_buffer": lambda s, lr: -s["v"]},
    "MomentumSGD": {"momentum_buffer": lambda s, lr: -s["v"] / lr},
    "AdaGrad": {"sum": lambda s, lr: s["h"], "step": lambda s, lr: s["t"]},
    "AdaDelta": {
        "square_avg": lambda s, lr: s["msg"],
        "acc_delta": lambda s, lr: s["msdx"],
        "step": lambda s, lr: s["t"],
    },
    "RMSprop": {"square_avg": lambda s, lr: s["ms"], "step": lambda s, lr: s["t"]},
}


@pytest.mark.parametrize("name", OWN)
def test_torchs_own_optimizer_is_suggested_where_it_computes_the_same(name, tmp_path) -> None:
    import torch

    optimizer = parse_optimizer(name)
    trained = Trained(optimizer, [])
    for _ in range(BEFORE):
        trained.update(trained.gradients())
    parameters, made = carried_to_torch(tmp_path / "state.npz", trained, optimizer, [])
    model = torch.nn.ParameterDict({key: p.detach().clone() for key, p in parameters.items()})
    suggested, *said = torchs_own(optimizer)
    own = eval(suggested, {"torch": torch, "model": model})
    assert all(moment in said[-1] for moment in OWN[name])
    lr = optimizer.values.get("lr")
    for key, p in parameters.items():
        moments = {moment: torch.as_tensor(of(made.state[p], lr)) for moment, of in OWN[name].items()}
        own.state[model[key]] = {m: v.float() if m == "step" else v.clone() for m, v in moments.items()}
    for _ in range(AFTER):
        gradients = trained.gradients()
        for key, p in parameters.items():
            p.grad, model[key].grad = torch.tensor(gradients[key]), torch.tensor(gradients[key])
        made.step()
        own.step()
    for key, p in parameters.items():
        assert torch.linalg.norm(p - model[key]) <= 1e-12 * torch.linalg.norm(p)


def test_no_class_of_torch_is_suggested_where_it_differs() -> None:
    assert {name for name in OPTIMIZERS if torchs_own(parse_optimizer(name))} == set(OWN)
    assert torchs_own(parse_optimizer("RMSprop(eps_inside_sqrt=True)")) == []


WRONG = {
    "Adam(": "'Adam(' is no call; write it as Chainer does, such as Adam(alpha=2e-4, beta1=0.5), with numbers alone",
    "adam(1)": "adam is no optimiser of Chainer 7.8.1 (did you mean Adam?); expected one of AMSBound, AMSGrad, AdaBound, "
    "AdaDelta, AdaGrad, Adam, AdamW, CorrectedMomentumSGD, MSVAG, MomentumSGD, NesterovAG, RMSprop, RMSpropGraves, SGD, SMORMS3",
    "Adam(alpa=1)": "Adam has no argument alpa (did you mean alpha?); expected alpha, beta1, beta2, eps, eta, weight_decay_rate, "
    "amsgrad, adabound, final_lr, gamma",
    "Adam(1, alpha=2)": "Adam is given alpha twice; give it once",
    "Adam(alpha=f())": "alpha of Adam is f(); expected a finite number, written out",
    "Adam(alpha=1e999)": "alpha of Adam is 1e309; expected a finite number, written out",
    "Adam(amsgrad=1)": "amsgrad of Adam is 1; expected True or False",
    "Adam(*[1])": "alpha of Adam is *[1]; expected a finite number, written out",
    "Adam(**{'alpha': 1})": "Adam has no argument **; expected alpha, beta1, beta2, eps, eta, weight_decay_rate, "
    "amsgrad, adabound, final_lr, gamma",
    "SGD(1, 2)": "SGD has 2 arguments; expected lr",
    "f(x)(y)": "'f(x)(y)' is no call; write it as Chainer does, such as Adam(alpha=2e-4, beta1=0.5), with numbers alone",
    "": "'' is no call; write it as Chainer does, such as Adam(alpha=2e-4, beta1=0.5), with numbers alone",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_optimizer_says_what_was_expected(text) -> None:
    with pytest.raises(CarryError) as raised:
        parse_optimizer(text)
    assert str(raised.value) == f"--optimizer: {WRONG[text]}"


def test_a_wrong_hook_says_what_was_expected() -> None:
    with pytest.raises(
        CarryError, match=r"--hook: WeightDecay lacks rate, which has no default; write WeightDecay\(rate=...\)"
    ):
        parse_hook("WeightDecay()")
    for text in ("GradientNoise(0.1)", "chainer.optimizer_hooks.GradientNoise(0.1)"):
        with pytest.raises(
            CarryError, match="GradientNoise cannot be continued: its noise comes from NumPy's global generator"
        ):
            parse_hook(text)


def test_an_optimizer_is_read_in_chainers_notation() -> None:
    written = parse_optimizer("chainer.optimizers.Adam(2e-4, beta1=.5)")
    assert (written.values["alpha"], written.values["beta1"], written.values["beta2"]) == (2e-4, 0.5, 0.999)
    assert "beta2" in written.assumed
    assert "alpha" not in written.assumed
    assert str(parse_hook("GradientHardClipping(-1, 1)")) == "GradientHardClipping(lower_bound=-1, upper_bound=1)"
