"""Names that frameworks own are known to the spec, which imports no framework."""

from __future__ import annotations

import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.network.reserved import OWNED, reason_to_refuse


def names_of(owner: str) -> set[str]:
    """Returns: the public attributes that an object has of its own."""
    if owner == "a torch.nn.Module":
        torch = pytest.importorskip("torch")
        return {name for name in dir(torch.nn.Module()) if not name.startswith("_")}
    pytest.importorskip("ganspec.impl_chainer.compat")
    import chainer

    return {name for name in dir(chainer.Chain()) if not name.startswith("_")}


@pytest.mark.parametrize("owner", ["a torch.nn.Module", "a chainer.Chain"])
def test_every_name_that_a_framework_owns_is_refused(owner: str) -> None:
    unknown = {name for name in names_of(owner) if not reason_to_refuse(name)}
    assert not unknown, f"add these names to spec/network/reserved.py: {sorted(unknown)}"


@pytest.mark.parametrize("backend", ["torch", "chainer"])
def test_every_name_of_our_own_networks_is_refused(backend: str) -> None:
    network = pytest.importorskip(f"ganspec.impl_{backend}").Network
    own = network(load_system("gan_mlp_mnist", reduced=True).networks["G"], "G")
    layers = {path.partition("/")[0] for path in own.architecture.parameter_paths()}
    unknown = {n for n in dir(own) if not n.startswith("_") and not reason_to_refuse(n)} - layers
    assert not unknown, f"add these names to spec/network/reserved.py: {sorted(unknown)}"


def test_names_are_listed_once_and_private_ones_are_refused_by_rule() -> None:
    for owned in OWNED.values():
        names = owned.split()
        assert len(names) == len(set(names))
        assert not any(name.startswith("_") for name in names)
    assert reason_to_refuse("_buffers")


def test_no_packaged_layer_with_parameters_has_such_a_name() -> None:
    for system in map(load_system, system_names()):
        for role, network in system.networks.items():
            paths = [*network.parameter_paths(), *network.statistic_paths()]
            assert not reason_to_refuse(role)
            assert not [path for path in paths if any(map(reason_to_refuse, path.split("/")[:-1]))]
