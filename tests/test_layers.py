"""Every kind of layer in both backends: values, gradients, and gradients of gradients; and as modules and chains."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from spec import load_system
from spec.layers import KINDS
from tools.agreement import compare, trace

# One critic for each kind of layer, between what brings it an image and what makes one number a sample of it.
MIDDLES = {
    "linear": '{ kind = "flatten" }, { kind = "linear", name = "m", units = 3 }',
    "conv": '{ kind = "conv", name = "m", channels = 3, kernel = KERNEL, stride = STRIDE, padding = [2, 1, 0, 3] }',
    "deconv": '{ kind = "deconv", name = "m", channels = 2, kernel = 4, stride = 2, padding = 1 }',
    "batch_norm": '{ kind = "batch_norm", name = "m", epsilon = 1e-3, momentum = 0.2, gamma = "normal(1, 0.1)", '
    'beta = "normal(0, 1)" }',
    "leaky_relu": '{ kind = "leaky_relu", slope = SLOPE }',
    "relu": '{ kind = "relu" }',
    "elu": '{ kind = "elu", alpha = SLOPE }',
    "tanh": '{ kind = "tanh" }',
    "sigmoid": '{ kind = "sigmoid" }',
    "dropout": '{ kind = "dropout", rate = 0.3 }',
    "reshape": '{ kind = "reshape", shape = ["size", "size", "c"] }',
    "flatten": '{ kind = "flatten" }',
    "upsample": '{ kind = "upsample", factor = 2 }',
    "concat": '{ kind = "tanh", name = "t" }, { kind = "concat", from = ["x", "t"] }',
    "add": '{ kind = "tanh", name = "t" }, { kind = "add", from = ["x", "t"] }',
}
CRITIC = """
title = "a critic with one kind of layer"
source = "none"
[parameters]
c = 1
size = 1
[inputs]
x = ["c", "size", "size"]
[settings.conv]
weight = "normal(0, 0.3)"
bias = "normal(0, 0.3)"
[settings.deconv]
weight = "normal(0, 0.3)"
bias = "normal(0, 0.3)"
[settings.linear]
weight = "normal(0, 0.3)"
bias = "normal(0, 0.3)"
[network]
layers = [ MIDDLE,
  { kind = "tanh" }, { kind = "flatten" }, { kind = "linear", name = "out", units = 1 } ]
"""
SYSTEM = """
title = "WGAN-GP with a critic of one kind of layer"
source = "none"
loss = "wgan_gp"
schedule = { use = "critic_repeats", critic_steps = 1 }
[networks]
G = { use = "mlp_generator", latent = 3, width = 4, channels = CHANNELS, size = SIZE }
D = { use = "critic.toml", c = CHANNELS, size = SIZE }
[draws]
z = { sample = "normal(0, 1)", shape = "G.z" }
[optimizers]
kind = "adam"
learning_rate = 1e-3
beta1 = 0.5
beta2 = 0.9
# Large, so that Adam does not turn the rounding of a true gradient of 0 into a step: these tests are of layers.
epsilon = 1e-2
epsilon_place = "uncorrected"
[data]
shape = [CHANNELS, SIZE, SIZE]
range = [-1, 1]
fit = "exact"
[run]
batch = BATCH
epochs = 1
samples_every = 1
checkpoint_every = 1
grid = [1, 1]
"""


def write_system(folder, kind, channels=2, size=5, batch=4, kernel=3, stride=2, slope=0.3):
    middle = MIDDLES[kind].replace("KERNEL", str(kernel)).replace("STRIDE", str(stride)).replace("SLOPE", str(slope))
    critic = CRITIC.replace("MIDDLE", middle)
    for name in ("conv", "deconv"):
        if name != kind:
            critic = critic.replace(f'[settings.{name}]\nweight = "normal(0, 0.3)"\nbias = "normal(0, 0.3)"\n', "")
    (folder / "critic.toml").write_text(critic)
    text = SYSTEM.replace("CHANNELS", str(channels)).replace("SIZE", str(size)).replace("BATCH", str(batch))
    (folder / "system.toml").write_text(text)
    return str(folder / "system.toml")


def test_every_kind_of_layer_is_tried():
    assert {*MIDDLES, "embedding"} == set(KINDS)


@pytest.mark.parametrize("kind", MIDDLES)
@settings(max_examples=4, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(data=st.data())
def test_backends_agree_on_a_critic_with(kind, data, tmp_path_factory):
    sizes = {
        "channels": data.draw(st.integers(1, 3)),
        "size": data.draw(st.integers(3, 6)),
        "batch": data.draw(st.integers(3, 5)),
        "kernel": data.draw(st.integers(1, 4)),
        "stride": data.draw(st.integers(1, 3)),
        "slope": data.draw(st.floats(0.05, 0.95)),
    }
    system = load_system(write_system(tmp_path_factory.mktemp("layers"), kind, **sizes))
    options = {"seed": data.draw(st.integers(0, 10**6)), "dtype": "float64", "device": "cpu", "iterations": 2}
    torch = trace("torch", system, **options)
    findings = compare(torch, trace("chainer", system, **options, states=torch.states))
    assert [(f.kind, f.where, f.worst) for f in findings if not f.agrees] == []


def test_backends_agree_on_a_conditional_system(tmp_path):
    write_system(tmp_path, "tanh", channels=1, size=3)
    for name, inputs, first in (("generator", "z = [2]", "z"), ("critic", 'x = [1, "size", "size"]', "f")):
        flatten = '{ kind = "flatten", name = "f", from = "x" },' if name == "critic" else ""
        last = (
            '{ kind = "linear", name = "out", units = 1 }'
            if name == "critic"
            else '{ kind = "linear", name = "out", units = "size ^ 2" }, '
            '{ kind = "tanh" }, { kind = "reshape", shape = [1, "size", "size"] }'
        )
        (tmp_path / f"{name}.toml").write_text(
            f'title = "conditional"\nsource = "none"\n[parameters]\nsize = 3\n[inputs]\n{inputs}\ny = {{ labels = 4 }}\n'
            '[settings.linear]\nweight = "normal(0, 0.5)"\nbias = 0\n[settings.embedding]\nweight = "normal(0, 1)"\n'
            f'[network]\nlayers = [ {flatten} {{ kind = "embedding", name = "e", from = "y", units = 3 }}, '
            f'{{ kind = "concat", from = ["{first}", "e"] }}, {{ kind = "linear", name = "l", units = 5 }}, '
            f'{{ kind = "tanh" }}, {last} ]\n'
        )
    (tmp_path / "loss.toml").write_text(
        'title = "conditional WGAN"\nsource = "none"\n'
        '[draws]\nc = { sample = "uniform(0, 4)", shape = "G.y" }\neps = { sample = "uniform(0, 1)", shape = [] }\n'
        '[define]\nx_hat = "detach(eps * x + (1 - eps) * G(z, y))"\n[losses]\n'
        'D = "mean(D(G(z, y), y)) - mean(D(x, y)) + mean((norm(grad(D(x_hat, y), x_hat)) - 1) ^ 2)"\n'
        'G = "-mean(D(G(z, c), c))"\n'
    )
    text = (
        (tmp_path / "system.toml").read_text().replace('"wgan_gp"', '"loss.toml"').replace("[run]", "labels = 4\n[run]")
    )
    lines = [line for line in text.splitlines() if not line.startswith(("G =", "D ="))]
    text = "\n".join(lines).replace("[networks]", '[networks]\nG = "generator.toml"\nD = "critic.toml"')
    (tmp_path / "system.toml").write_text(text)
    system = load_system(str(tmp_path / "system.toml"))
    options = {"seed": 1, "dtype": "float64", "device": "cpu", "iterations": 3}
    torch = trace("torch", system, **options)
    findings = compare(torch, trace("chainer", system, **options, states=torch.states))
    assert [(f.kind, f.where, f.worst) for f in findings if not f.agrees] == []


def _modules(name, network, dtype="float64"):
    import impl_chainer
    import impl_torch

    return (impl_torch.Network.from_system(name, network, seed=3, dtype=dtype),
            impl_chainer.Network.from_system(name, network, seed=3, dtype=dtype))  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
def test_a_module_and_a_chain_of_one_spec_compute_the_same(training):
    import chainer
    import torch

    module, chain = _modules("wgan_gp_mlp_mnist", "G")
    z = np.random.default_rng(0).standard_normal((5, 100))
    module.train(training)
    with chainer.using_config("train", training):
        theirs = chain(z).array
    ours = module(torch.tensor(z)).detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)
    # In training both moved their running statistics, and to the same values.
    np.testing.assert_allclose(module.state_dict()["bn1.mean"].numpy(), chain["bn1"].mean, rtol=0, atol=1e-15)
    assert bool((module.state_dict()["bn1.mean"] != 0).any()) == training


def test_a_module_is_what_pytorch_users_know(tmp_path):
    import torch

    module, _ = _modules("began_mnist", "D", "float32")
    assert isinstance(module, torch.nn.Module)
    torch.save(module.state_dict(), tmp_path / "d.pt")
    other = type(module)(module.architecture, "D", seed=4)
    x = torch.rand(2, 1, 32, 32)
    assert not torch.equal(other(x), module(x))
    other.load_state_dict(torch.load(tmp_path / "d.pt", weights_only=True))
    assert torch.equal(other(x), module(x))
    loss = module.to(torch.float64)(x.double()).sum()
    loss.backward()
    assert all(p.grad is not None for p in module.parameters())


def test_a_chain_is_what_chainer_users_know(tmp_path):
    _, chain = _modules("began_mnist", "D", "float32")
    import chainer

    assert isinstance(chain, chainer.Chain)
    chainer.serializers.save_npz(tmp_path / "d.npz", chain)
    other = type(chain)(chain.architecture, "D", seed=4)
    x = np.random.default_rng(0).random((2, 1, 32, 32), dtype=np.float32)
    assert not np.array_equal(other(x).array, chain(x).array)
    chainer.serializers.load_npz(tmp_path / "d.npz", other)
    assert np.array_equal(other(x).array, chain(x).array)
    chain.cleargrads()
    chainer.functions.sum(chain(x)).backward()
    assert all(p.grad is not None for p in chain.params())
