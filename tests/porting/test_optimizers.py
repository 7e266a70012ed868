"""Every optimiser of Chainer goes on in PyTorch: from a carried state, its next updates are Chainer's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganspec.tools.porting.carrying import optimizer_dict
from ganspec.tools.porting.names import arrays_of
from ganspec.tools.porting.optimizers_states import STATE_NAMES, read_optimizer
from ganspec.tools.porting.optimizers_written import (
    HOOKS,
    OPTIMIZERS,
    Written,
    parse_hook,
    parse_optimizer,
)
from ganspec.tools.porting.snapshot_files import open_snapshot
from support.carried_optimizers import Trained, carried_to_torch
from support.old_models import chainer_modules, make_net, npz_of, same_bits, step

pytestmark = pytest.mark.usefixtures("both_backends")


BEFORE, AFTER = 3, 100  # updates in Chainer before the snapshot, and updates that are compared


# Ranges in which hyper-parameters are drawn; switches are drawn as well.
RANGES = {
    **dict.fromkeys(("alpha", "lr", "final_lr", "gamma"), (1e-4, 0.1)),
    **dict.fromkeys(("beta1", "beta2", "beta", "momentum", "rho"), (0.0, 0.999)),
    **dict.fromkeys(("weight_decay_rate", "rate", "weight_decay"), (0.0, 0.1)),
    "eps": (1e-10, 1e-2),
    "eta": (0.1, 1.0),
    "threshold": (0.01, 10.0),
    "lower_bound": (-1.0, -0.01),
    "upper_bound": (0.01, 1.0),
}


def drawn(name: str, arguments: dict) -> st.SearchStrategy[Written]:
    """Returns: an optimiser or a hook with hyper-parameters at random."""
    ranges = RANGES | ({"alpha": (0.0, 0.999)} if name.startswith("RMSprop") else {})
    values = {
        key: st.booleans() if isinstance(default, bool) else st.floats(*ranges[key])
        for key, default in arguments.items()
    }
    return st.fixed_dictionaries(values).map(lambda found: Written(name, found, ()))


HOOK = st.one_of(*(drawn(name, arguments) for name, arguments in HOOKS.items()))


def differences(
    path: Path, optimizer: Written, hooks: list[Written], dtype: str = "float64", updates: int = AFTER
) -> float:
    """Returns: how far parameters and moments are apart at most, by their norm, over the updates after a snapshot."""
    import torch

    trained = Trained(optimizer, hooks, dtype)
    for _ in range(BEFORE):
        trained.update(trained.gradients())
    if optimizer.name == "MSVAG":  # what Chainer does when it resumes
        for p in trained.link.params():
            p.update_rule.beta_power = optimizer.values["beta"]
    parameters, made = carried_to_torch(path, trained, optimizer, hooks)
    apart = 0.0
    for _ in range(updates):
        gradients = trained.gradients()
        trained.update(gradients)
        for name, p in parameters.items():
            p.grad = torch.tensor(gradients[name])
        made.step()
        for name, p in trained.link.namedparams():
            theirs = {"": p.array, **(p.update_rule.state or {})}
            state = made.state[parameters[name[1:]]]
            ours = {"": parameters[name[1:]].detach()} | {key: state[key] for key in theirs if key}
            assert state["t"] == p.update_rule.t
            for key, array in theirs.items():
                error = np.linalg.norm(ours[key].numpy().astype("f8") - array)
                apart = max(apart, error / max(np.linalg.norm(array), 1e-30)) if error else apart
                assert not np.isnan(error)
    return apart


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_next_100_updates_are_chainers(name, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("states") / "state.npz"

    @settings(max_examples=5)
    @given(drawn(name, OPTIMIZERS[name]))
    def check(optimizer) -> None:
        assert differences(path, optimizer, []) < 1e-12

    check()


def test_hooks_change_gradients_as_chainers_do(tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("states") / "state.npz"

    @settings(max_examples=20)
    @given(st.lists(HOOK, max_size=3))
    def check(hooks) -> None:
        assert differences(path, parse_optimizer("MomentumSGD(0.01, 0.9)"), hooks, updates=20) < 1e-12

    check()


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_changes_gradients_as_chainers_does(hook, tmp_path) -> None:
    values = {"threshold": 0.5, "rate": 0.1, "lower_bound": -0.3, "upper_bound": 0.4, "weight_decay": 0.1, "eps": 1e-9}
    hooks = [Written(hook, {key: values[key] for key in HOOKS[hook]}, ())]
    sgd = parse_optimizer("SGD(0.01)")
    assert differences(tmp_path / "state.npz", sgd, hooks, updates=20) < 1e-13

    plain, hooked = (Trained(sgd, each) for each in ([], hooks))
    for trained in (plain, hooked):
        trained.update(trained.gradients())
    assert not np.allclose(plain.link.matrix.array, hooked.link.matrix.array), "the hook did nothing in this test"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_within_its_rounding(name, tmp_path) -> None:
    optimizer = parse_optimizer(name)
    apart = differences(tmp_path / "state.npz", optimizer, [parse_hook("WeightDecay(1e-3)")], "float32")
    assert apart <= AFTER * np.finfo(np.float32).eps


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_goes_to_torch_and_back_bit_for_bit(name, tmp_path) -> None:
    import torch

    optimizer = parse_optimizer(name)
    trained = Trained(optimizer, [], "float32")
    for _ in range(BEFORE):
        trained.update(trained.gradients())
    trained.optimizer.epoch = 7
    _, made = carried_to_torch(tmp_path / "state.npz", trained, optimizer, [])
    state = read_optimizer(open_snapshot(tmp_path / "state.npz"), arrays_of(trained.link))
    expected = optimizer_dict(arrays_of(trained.link), state)
    assert state.names() == STATE_NAMES[name]
    assert name in state.classes()
    assert same_bits({key: value.numpy() for key, value in made.carried().items()}, expected)
    assert made.carried()["epoch"] == 7

    # PyTorch's own way of saving loses nothing, either.
    torch.save(made.state_dict(), tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    _, other = carried_to_torch(tmp_path / "state.npz", Trained(optimizer, [], "float32"), optimizer, [])
    other.load_state_dict(saved)
    assert same_bits({key: value.numpy() for key, value in other.carried().items()}, expected)


def test_a_parameter_without_a_gradient_is_updated_with_zeros(tmp_path) -> None:
    optimizer = parse_optimizer("Adam(0.01)")
    trained = Trained(optimizer, [])
    trained.update(trained.gradients())
    parameters, made = carried_to_torch(tmp_path / "state.npz", trained, optimizer, [])
    trained.link.cleargrads()
    trained.optimizer.update()
    for p in parameters.values():
        p.grad = None
    made.step()
    moved = parameters["matrix"].detach().numpy()
    np.testing.assert_allclose(moved, trained.link.matrix.array, rtol=1e-14)
    assert made.state[parameters["matrix"]]["t"] == 2


def test_a_parameter_that_requires_no_gradient_is_left_alone() -> None:
    import torch

    from ganspec.tools.porting.optimizers import MomentumSGD

    p = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    q = torch.nn.Parameter(torch.ones(2))
    optimizer = MomentumSGD([("p", p), ("q", q)], lr=0.1, momentum=0.9)
    q.grad = torch.ones(2)
    optimizer.step()
    assert torch.equal(p, torch.ones(2))
    assert not torch.equal(q, torch.ones(2))
    assert "p/v" not in optimizer.carried()


def test_a_link_used_twice_is_updated_twice() -> None:
    import torch

    from ganspec.tools.porting.optimizers import Adam
    from ganspec.tools.porting.optimizers_hooks import GradientClipping, WeightDecay

    chainer = chainer_modules()
    layer = chainer.links.Linear(3, 2)
    chain = chainer.Chain(a=layer, b=layer)
    module = torch.nn.Module()
    module.a = module.b = torch.nn.Linear(3, 2)
    module.a.weight.data, module.a.bias.data = torch.tensor(layer.W.array), torch.tensor(layer.b.array)
    theirs = chainer.optimizers.Adam(0.1).setup(chain)
    theirs.add_hook(chainer.optimizer_hooks.WeightDecay(0.1))
    theirs.add_hook(chainer.optimizer_hooks.GradientClipping(0.5))
    values = {("lr" if key == "alpha" else key): value for key, value in parse_optimizer("Adam(0.1)").values.items()}
    hooks = [WeightDecay(0.1), GradientClipping(0.5)]
    ours = Adam(module.named_parameters(remove_duplicate=False), hooks=hooks, **values)
    for seed in range(3):
        gradient = np.random.default_rng(seed).standard_normal((2, 3)).astype("f")
        layer.cleargrads()
        layer.W.grad, module.a.weight.grad, module.a.bias.grad = gradient, torch.tensor(gradient), None
        theirs.update()
        ours.step()
    np.testing.assert_allclose(module.a.weight.detach().numpy(), layer.W.array, rtol=1e-5)
    assert ours.state[module.a.weight]["t"] == layer.W.update_rule.t == 6
    assert {"a.weight/m", "b.weight/m"} <= ours.carried().keys()


def test_a_schedule_of_torch_moves_alpha_and_the_bounds_follow(tmp_path) -> None:
    import torch

    optimizer = parse_optimizer("AdaBound(alpha=0.01, gamma=0.05)")
    trained = Trained(optimizer, [])
    parameters, made = carried_to_torch(tmp_path / "state.npz", trained, optimizer, [])
    schedule = torch.optim.lr_scheduler.ExponentialLR(made, 0.7)
    for _ in range(10):
        gradients = trained.gradients()
        trained.update(gradients)
        trained.optimizer.alpha *= 0.7
        for name, p in parameters.items():
            p.grad = torch.tensor(gradients[name])
        made.step()
        schedule.step()
    np.testing.assert_allclose(parameters["row"].detach().numpy(), trained.link.row.array, rtol=1e-12)


def test_training_goes_on_in_chainer_after_torch(tmp_path) -> None:
    """100 updates in Chainer are 40 there, 30 in PyTorch, and 30 in Chainer again."""
    import torch

    from ganspec.tools.porting.carrying import carry, read_numbers
    from ganspec.tools.porting.carrying_back import carry_back

    optimizer = parse_optimizer("AMSGrad(0.02)")
    whole, parted = Trained(optimizer, []), Trained(optimizer, [])
    every = [whole.gradients() for _ in range(100)]
    for gradients in every:
        whole.update(gradients)
    for gradients in every[:40]:
        parted.update(gradients)
    parameters, made = carried_to_torch(tmp_path / "optimizer.npz", parted, optimizer, [])
    (tmp_path / "port").mkdir()
    (tmp_path / "model.npz").write_bytes(npz_of(parted.link))
    carry(tmp_path / "port", read_numbers(parted.link))
    for gradients in every[40:70]:
        for name, p in parameters.items():
            p.grad = torch.tensor(gradients[name])
        made.step()
    names = tmp_path / "port" / "names.json"
    torch.save({name: p.detach() for name, p in parameters.items()}, tmp_path / "weights.pt")
    torch.save(made.carried(), tmp_path / "optimizer.pt")
    carry_back(tmp_path / "weights.pt", tmp_path / "model.npz", tmp_path / "new.npz", names=names)
    like, out = tmp_path / "optimizer.npz", tmp_path / "new_optimizer.npz"
    carry_back(None, like, out, optimizer=tmp_path / "optimizer.pt", names=names)
    resumed = Trained(optimizer, [])
    from chainer.serializers import load_npz

    load_npz(str(tmp_path / "new.npz"), resumed.link)
    load_npz(str(out), resumed.optimizer)
    assert resumed.optimizer.t == 70
    for gradients in every[70:]:
        resumed.update(gradients)
    for (_, p), (_, q) in zip(whole.link.namedparams(), resumed.link.namedparams(), strict=True):
        np.testing.assert_allclose(q.array, p.array, rtol=1e-12)


def test_an_optimizer_refuses_the_state_of_another_model() -> None:
    import torch

    from ganspec.tools.porting.optimizers import MomentumSGD

    def made(name, size):
        return MomentumSGD([(name, torch.nn.Parameter(torch.ones(size)))], lr=0.1, momentum=0.9)

    first = made("p", 2)
    first.step()
    with pytest.raises(ValueError, match="p/t is of another model or optimiser: this one has no such array"):
        made("q", 2).carry(first.carried())
    with pytest.raises(ValueError, match=r"p/v is missing or has another shape; expected \(3,\)"):
        made("p", 3).carry(first.carried())
    with pytest.raises(ValueError, match="epoch is missing: these arrays are of another model or optimiser"):
        made("p", 2).carry({})
    with pytest.raises(TypeError, match="MomentumSGD: the hyperparameter momentum is missing; there are no defaults"):
        MomentumSGD([("p", torch.nn.Parameter(torch.ones(2)))], lr=0.1)
    with pytest.raises(
        TypeError, match=r"p is of torch\.float16; expected float32 or float64: convert the model first"
    ):
        MomentumSGD([("p", torch.nn.Parameter(torch.ones(2).half()))], lr=0.1, momentum=0.9)


def test_a_trained_net_keeps_its_optimizer(tmp_path) -> None:
    chainer = chainer_modules()
    net = make_net()
    optimizer = chainer.optimizers.RMSprop(0.01).setup(net)
    for seed in range(3):
        step(net, optimizer, seed)
    (tmp_path / "optimizer.npz").write_bytes(npz_of(optimizer))
    state = read_optimizer(open_snapshot(tmp_path / "optimizer.npz"), arrays_of(net))
    assert (state.t, state.counts["l0/W"], state.classes()) == (3, 3, ["RMSprop"])
    np.testing.assert_array_equal(
        state.moments["tail/1/W"]["ms"], dict(net.namedparams())["/tail/1/W"].update_rule.state["ms"]
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_that_was_never_used_begins_as_chainers_does(name, tmp_path) -> None:
    """Also where gradients are exactly 0, for which MSVAG divides 0 by 0."""
    import torch

    optimizer = parse_optimizer(name)
    trained = Trained(optimizer, [])
    parameters, made = carried_to_torch(tmp_path / "state.npz", trained, optimizer, [])
    for _ in range(5):
        gradients = trained.gradients()
        gradients["row"][:9] = 0
        with np.errstate(invalid="ignore"):
            trained.update(gradients)
        for key, p in parameters.items():
            p.grad = torch.tensor(gradients[key])
        made.step()
    for key, p in parameters.items():
        np.testing.assert_allclose(p.detach().numpy(), getattr(trained.link, key).array, rtol=1e-13)
