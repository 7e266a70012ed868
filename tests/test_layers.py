"""Every kind of layer in both backends: values, gradients, and gradients of gradients; and as modules and chains."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.layers import KINDS
from ganspec.tools import backends
from support import tiny_systems
from support.agreement import assert_witnesses_agree
from support.drawn import reproducible
from support.layer_systems import CODES, ELSEWHERE, MIDDLES, write_conditional_system, write_system
from support.tiny_systems import GENERATOR, NORMAL


def test_every_kind_of_layer_is_tried():
    assert {kind.partition(",")[0] for kind in MIDDLES} | ELSEWHERE == set(KINDS)
    assert {*CODES, "fade"} == ELSEWHERE


def test_every_kind_of_layer_is_in_this_backend(backend):
    layers = importlib.import_module(f"{backends.load(backend).__name__}.layers").LAYERS
    assert set(layers) == set(KINDS)


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("kind", MIDDLES)
def test_backends_agree_on_a_critic_with(kind, tmp_path_factory):
    # Layers with sizes or numbers of their own are tried with more of them.
    drawn = any(word in MIDDLES[kind] for word in ("KERNEL", "STRIDE", "SLOPE", "SPECTRAL"))

    @settings(max_examples=3 if drawn else 2, phases=(Phase.explicit, Phase.reuse, Phase.generate))
    @given(data=st.data())
    def agree(data):
        sizes = {
            "channels": data.draw(st.integers(1, 3)),
            "size": data.draw(st.integers(3, 6)),
            "batch": data.draw(st.integers(3, 5)),
            "kernel": data.draw(st.integers(1, 4)),
            "stride": data.draw(st.integers(1, 3)),
            "slope": data.draw(st.floats(0.05, 0.95)),
            "advance": data.draw(st.sampled_from(["always", "training"])),
        }
        file = write_system(tmp_path_factory.mktemp("layers"), kind, **sizes)
        seed = data.draw(st.integers(0, 10**6))
        with reproducible(Path(file), seed=seed, iterations=1):
            assert_witnesses_agree(load_system(file), seed=seed, iterations=1)

    agree()


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("code", CODES)
def test_backends_agree_on_a_conditional_system_with(code, tmp_path):
    system = write_conditional_system(tmp_path, code)
    assert_witnesses_agree(system, iterations=3)


@pytest.mark.usefixtures("both_backends")
def test_backends_agree_on_a_critic_that_grows_while_its_new_layer_fades_in(tmp_path):
    body = '{ kind = "tanh", name = "t" }, { kind = "fade", from = ["x", "t"], stages = [0, 0] }, { kind = "flatten" }'
    networks = {
        "G": GENERATOR,
        "D": f'x = [1, 2, 2] | {body}, {{ kind = "linear", name = "l", units = 1, {NORMAL}, stages = [0, 0] }}, '
        f'{{ kind = "linear", name = "m", from = "flatten_1", units = 1, {NORMAL}, stages = [1] }}',
    }
    grows = "[growth]\nstages = 2\nimages = 12"
    system = tiny_systems.write_system(tmp_path, "wgan_gp", networks, batch=4, extra=grows)
    assert [system.at(i) for i in range(4)] == [
        (0, 0.0),
        (0, pytest.approx(1 / 3)),
        (0, pytest.approx(2 / 3)),
        (1, 0.0),
    ]
    assert_witnesses_agree(system, iterations=5)


def _modules(name, network, dtype="float64"):
    from ganspec import impl_chainer, impl_torch

    return (impl_torch.Network.from_system(name, network, seed=3, dtype=dtype),
            impl_chainer.Network.from_system(name, network, seed=3, dtype=dtype))  # fmt: skip


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("training", [False, True])
def test_a_module_and_a_chain_of_one_spec_compute_the_same(training):
    module, chain = _modules("wgan_gp_mlp_mnist", "G")
    import chainer
    import torch

    z = np.random.default_rng(0).standard_normal((5, 100))
    module.train(training)
    with chainer.using_config("train", training):
        theirs = chain(z).array
    ours = module(torch.tensor(z)).detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)
    # In training both moved their running statistics, and to the same values.
    np.testing.assert_allclose(module.state_dict()["bn1.mean"].numpy(), chain["bn1"].mean, rtol=0, atol=1e-15)
    assert bool((module.state_dict()["bn1.mean"] != 0).any()) == training


@pytest.mark.usefixtures("both_backends")
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


@pytest.mark.usefixtures("both_backends")
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
