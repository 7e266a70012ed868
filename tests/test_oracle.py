"""Both backends against the third witness, so that they cannot be wrong together: packaged systems, layers, functions."""

from functools import lru_cache

import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.layers import KINDS
from ganspec.spec.plan.builder import FUNCTIONS
from ganspec.tools import backends
from support import layer_systems
from support.layer_systems import CODES, ELSEWHERE, MIDDLES, write_conditional_system
from support.tiny_systems import GENERATOR, NORMAL, critic, write_system
from support.witness import assert_backend_matches, witness


@lru_cache(maxsize=4)  # both backends ask for the same, one after the other
def witnessed(name: str, iteration: int):
    return witness(load_system(name, reduced=True), iteration)


def iterations(name):
    """Returns: the first iteration; of a system that grows, one of each stage, if possible from the middle of a fade."""
    system = load_system(name, reduced=True)
    chosen = {}
    for iteration in range(1000):
        stage, fade = system.at(iteration)
        if stage not in chosen or 0.2 < fade < 0.8:
            chosen[stage] = iteration
        if system.growth is None or (stage == system.growth.stages - 1):
            break
    return list(chosen.values())


CASES = [(name, iteration) for name in system_names() for iteration in iterations(name)]


@pytest.mark.parametrize("backend", backends.NAMES)  # the one that changes fastest
@pytest.mark.parametrize(("name", "iteration"), CASES)
def test_losses_reports_states_statistics_and_directional_derivatives_match_the_oracle(name, iteration, backend):
    assert_backend_matches(backend, load_system(name, reduced=True), witnessed(name, iteration))


def test_every_stage_of_growth_is_tried_and_some_in_the_middle_of_a_mixture():
    system = load_system("progressive_cifar10", reduced=True)
    places = [system.at(iteration) for iteration in iterations("progressive_cifar10")]
    assert [stage for stage, _ in places] == list(range(7))
    assert all(0.2 < fade < 0.8 for stage, fade in places if stage % 2)


@pytest.mark.parametrize("kind", MIDDLES)
def test_the_oracle_knows_the_layer(kind, backend, tmp_path):
    system = load_system(layer_systems.write_system(tmp_path, kind, channels=2, size=4, batch=3))
    assert_backend_matches(backend, system, witness(system))


@pytest.mark.parametrize("code", CODES)
def test_the_oracle_knows_what_reads_labels(code, backend, tmp_path):
    system = write_conditional_system(tmp_path, code)
    assert_backend_matches(backend, system, witness(system))


def test_the_oracle_is_asked_for_every_kind_of_layer():
    packaged = set()
    for name, iteration in CASES:
        system = load_system(name, reduced=True)
        networks = system.stages[system.at(iteration)[0]].networks.values()
        packaged |= {layer.kind for network in networks for layer in network.layers}
    assert {kind.partition(",")[0] for kind in MIDDLES} == set(KINDS) - ELSEWHERE
    assert packaged | {*CODES} >= ELSEWHERE


# D's loss with each function that a formula can call; what follows a comma says which form of it. C has three outputs.
CALLS = {
    "abs": "mean(abs(D(x)))",
    "sqrt": "mean(sqrt(D(x) ^ 2 + 1))",
    "exp": "mean(exp(D(x)))",
    "log": "mean(log(D(x) ^ 2 + 1))",
    "softplus": "mean(softplus(D(x)))",
    "sigmoid": "mean(sigmoid(D(x)))",
    "tanh": "mean(tanh(D(x)))",
    "relu": "mean(relu(D(x)))",
    "mean": "mean(D(x)) ^ 2",
    "sum": "sum(D(x)) ^ 2",
    "batch_mean": "mean(D(x - batch_mean(x)))",
    "sample_mean": "mean(sample_mean(x) * D(x))",
    "cross_entropy": "mean(cross_entropy(C(x), 2) * D(x))",
    "correct": "mean((correct(C(x), 1) + 1) * D(x))",
    "norm": "mean(norm(x * sample_mean(D(x))))",
    "norm, with a stabiliser": "mean(norm(x * sample_mean(D(x)), 0.1))",
    "clip": "mean(clip(D(x), -0.5, 0.5))",
    "detach": "mean(D(x) * detach(D(x)))",
    "grad": "mean(norm(grad(D(x), x)))",
    "inference": "mean(D(inference(G(z))))",
}


@pytest.mark.parametrize("function", CALLS)
def test_the_oracle_knows_the_function(function, backend, tmp_path):
    (tmp_path / "loss.toml").write_text(
        'title = "one function"\nsource = "none"\n[losses]\nG = "-mean(D(G(z)))"\nC = "mean(cross_entropy(C(x), 0))"\n'
        f'D = "{CALLS[function]}"\n'
    )
    bn = '{ kind = "batch_norm", name = "bn", epsilon = 1e-3, momentum = 0.2, gamma = 1, beta = 0 }'
    networks = {
        "G": GENERATOR.replace('{ kind = "reshape"', f'{bn}, {{ kind = "reshape"'),
        "D": critic(),
        "C": f'x = [1, 2, 2] | {{ kind = "flatten" }}, {{ kind = "linear", name = "l", units = 3, {NORMAL} }}',
    }
    system = write_system(tmp_path, "loss.toml", networks, batch=5)
    assert_backend_matches(backend, system, witness(system))


def test_the_oracle_is_asked_for_every_function():
    assert {call.partition(",")[0] for call in CALLS} == set(FUNCTIONS)
