"""What cannot be compared says why: each wrong input beside its golden message (messages.toml)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ganspec import conformance

pytest.importorskip("torch")

import torch

from support.conformance.gan_torch import Critic, Generator, WganGp

MESSAGES = tomllib.loads((Path(__file__).parent / "messages.toml").read_text("utf-8"))
HOW = {"settings": ["schedule.critic_steps=1", "run.batch=3"], "reduced": True, "iterations": 1}


def step_with(method, function):
    """Returns: the right step with one method in another form."""
    made = type("Port", (WganGp,), {method: function})(Generator(5, 8, 36), Critic(36, 7), 5)
    made.critic_steps = 1
    return made


def right():
    return step_with("noise", WganGp.noise)


def swallowing(self, x, fake):
    try:
        eps = torch.rand(1)
    except Exception:
        eps = 0.5
    return eps * x + (1 - eps) * fake


def hidden_optimizer(self, x):
    return torch.optim.SGD(self.critic.parameters(), lr=0.1).step()


# For each case: options of the check, by name; `step` makes the step of a port, `port` another port.
CASES = {
    "no_such_system": {"system": "wgan_gp_mlp_mnst"},
    "network_missing": {"D": None},
    "network_too_many": {"E": torch.nn.Linear(2, 2)},
    "network_of_no_framework": {"D": 3},
    "networks_of_two_frameworks": {"D": {"W": np.zeros(3)}},
    "sizes_differ": {"D": Critic(36, 6)},
    "layers_missing": {"G": torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Linear(8, 36))},
    "dtype": {"dtype": "float16"},
    "iterations": {"iterations": 0},
    "iterations_as_text": {"iterations": "2"},
    "iterations_as_fraction": {"iterations": 1.5},
    "iterations_as_bool": {"iterations": True},
    "seed_negative": {"seed": -1},
    "seed_as_text": {"seed": "a"},
    "settings_as_text": {"settings": "run.batch=3"},
    "system_as_number": {"system": 5},
    "reports_as_number": {"reports": 5},
    "reports_as_text": {"reports": "loss_D"},
    "optimizers_as_list": {"optimizers": lambda port: [3, 4]},
    "optimizer_as_list": {"optimizers": lambda port: {"G": [port.opt_g]}},
    "x_shape_as_number": {"x_shape": 36},
    "x_shape_of_another_size": {"x_shape": [35]},
    "mapping_as_list": {"mapping": ["D"]},
    "mapping_of_text": {"mapping": {"D": "fc1"}},
    "conventions_as_list": {"conventions": ["eps"]},
    "step_is_no_function": {"step": lambda port: 3},
    "optimizer_of_another_network": {"optimizers": lambda port: {"G": port.opt_d}},
    "optimizer_of_no_kind": {"optimizers": lambda port: {"G": 3}},
    "optimizer_of_no_network": {"optimizers": lambda port: {"H": port.opt_d}},
    "optimizer_unknown": {"port": lambda: step_with("critic_step", hidden_optimizer)},
    "convention_of_no_symbol": {"conventions": {"epss": "complement"}},
    "convention_of_no_kind": {"conventions": {"eps": "negative"}},
    "mapping_to_nothing": {"mapping": {"D": {"l1": "fc9"}}},
    "mapping_of_nothing": {"mapping": {"D": {"l9": "fc1"}}},
    "mapping_of_no_network": {"mapping": {"E": {}}},
    "never_updates": {"step": lambda port: lambda x: None},
    "batch_changed": {"step": lambda port: lambda x: port(x.add_(0.1))},
    "report_of_another_name": {"step": lambda port: lambda x: {**port(x), "distence": 1.0}},
    "report_not_one_number": {"step": lambda port: lambda x: {**port(x), "loss_D": np.zeros(3)}},
    "reports_of_a_tuple": {"step": lambda port: lambda x: (port(x)["loss_D"], 1), "reports": ["loss_D"]},
    "step_raises": {"step": lambda port: lambda x: port(x)["nothing"]},
    "step_makes_float32": {"step": lambda port: lambda x: port(x.float())},
    "step_takes_nothing": {"step": lambda port: lambda: 0},
    "draw_on_another_device": {"port": lambda: step_with("noise", lambda s, x: torch.rand(3, 5, device="meta"))},
    "draw_that_is_not_replayed": {"port": lambda: step_with("noise", lambda s, x: torch.empty(3, 5).cauchy_())},
    "draw_of_numpy_that_is_not_replayed": {"port": lambda: step_with("noise", lambda s, x: np.random.gamma(1, 1, 3))},
    "draw_too_much": {"port": lambda: step_with("noise", lambda s, x: 2 * torch.rand(3, 5) - 1 + 0 * torch.rand(3, 5))},
    "draw_too_little": {"port": lambda: step_with("noise", lambda s, x: torch.zeros(3, 5))},
    "draw_of_another_shape_swallowed": {"port": lambda: step_with("mixed", swallowing)},
    "draw_of_a_permutation": {"port": lambda: step_with("noise", lambda s, x: torch.randperm(15).reshape(3, 5) / 15)},
}


def message_of(name):
    options = dict(CASES[name])
    port = options.pop("port", right)()
    system, make = options.pop("system", "wgan_gp_mlp_mnist"), options.pop("step", lambda port: port)
    made = options.pop("optimizers", lambda port: {"G": port.opt_g, "D": port.opt_d})(port)
    networks = {"G": port.generator, "D": port.critic, "optimizers": made if name != "optimizer_unknown" else None}
    given = {key: value for key, value in {**HOW, **networks, **options}.items() if value is not None}
    with pytest.raises(conformance.ConformanceError) as error:
        conformance.check(system, make(port), **given)
    return re.sub(r"\S*?(\w+\.py):\d+", r"\1:LINE", str(error.value))


@pytest.mark.parametrize("name", CASES)
def test_message_is_the_golden_one(name):
    text = message_of(name)
    wanted = MESSAGES[name]["message"]
    if name == "no_such_system":  # the list of systems grows
        text = re.sub(r"expected one of .*", "expected one of ...", text)
    assert text == wanted


def test_every_golden_message_has_its_case():
    assert set(MESSAGES) == set(CASES)


def test_value_that_is_not_finite_is_named():
    def spoilt(self, x, fake):
        loss, distance, penalty = WganGp.critic_loss(self, x, fake)
        return loss * float("nan"), distance, penalty

    port = step_with("critic_loss", spoilt)
    report = conformance.check("wgan_gp_mlp_mnist", port, G=port.generator, D=port.critic, suggest=False, **HOW)
    assert not report.agrees
    assert report.first.name == "report loss_D"
    assert report.first.reason == "not finite in yours"


def test_generators_and_networks_are_put_back_after_an_error():
    rng = np.random.default_rng(0)
    port = step_with("noise", lambda s, x: torch.from_numpy(rng.uniform(-1, 1, (len(x), 4))))
    before = {name: values.clone() for name, values in port.generator.state_dict().items()}
    rand, generate = np.random.rand, np.random.default_rng
    with pytest.raises(conformance.ConformanceError, match="no draw of the spec fits"):
        conformance.check("wgan_gp_mlp_mnist", port, G=port.generator, D=port.critic, **HOW)
    assert type(rng) is np.random.Generator
    assert (np.random.rand, np.random.default_rng) == (rand, generate)
    assert all(torch.equal(values, before[name]) for name, values in port.generator.state_dict().items())
    assert torch.get_default_dtype() == torch.float32
