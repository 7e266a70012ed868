"""Laws of the graph, and what the plans and networks of the packaged systems must be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import SpecError, System, load_system, system_names
from ganspec.spec.plan.graph import ARITHMETIC, Axes, Graph, MeaningError
from ganspec.spec.plan.plan import StepPlan
from support.spec.wrong_specs import write_spec
from support.tiny_systems import GENERATOR, critic, write_system

SYSTEMS = system_names()
AXES = st.one_of(st.just(()), st.lists(st.sampled_from([1, 2, 3]), max_size=3).map(lambda sizes: ("N", *sizes)))


def _meet(a: Axes, b: Axes) -> Axes | None:
    """The law: a single number, or one number per sample, goes with anything; else ranks are equal, and axes are equal or 1."""
    if not a or not b:
        return a or b
    if len(a) != len(b) and min(len(a), len(b)) > 1:
        return None
    result = []
    for i in range(max(len(a), len(b))):
        x, y = (a[i] if i < len(a) else 1), (b[i] if i < len(b) else 1)
        if x != y and 1 not in (x, y):
            return None
        result.append(y if x == 1 else x)
    return tuple(result)


@given(AXES, AXES, st.sampled_from(sorted(ARITHMETIC)))
def test_operands_broadcast_from_the_left(a: Axes, b: Axes, operator: str) -> None:
    graph = Graph()
    left, right = graph.add("draw", (), a, value="a"), graph.add("draw", (), b, value="b")
    expected = _meet(a, b)
    if expected is None:
        with pytest.raises(MeaningError, match="cannot be broadcast together"):
            graph.arithmetic(operator, left, right)
    else:
        node = graph.nodes[graph.arithmetic(operator, left, right)]
        assert node.shape == expected
        ranks = {len(graph.shape(i)) for i in node.inputs if graph.shape(i)}
        assert len(ranks) <= 1, "backends get operands of equal rank"


@given(st.sampled_from(sorted(ARITHMETIC)), st.integers(-9, 9), st.integers(1, 9))
def test_numbers_are_folded(operator: str, a: int, b: int) -> None:
    graph = Graph()
    node = graph.nodes[graph.arithmetic(operator, graph.constant(a), graph.constant(b))]
    assert (node.op, node.value) == ("constant", {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[operator])


@given(
    st.lists(
        st.tuples(st.sampled_from(["+", "-", "*", "abs", "mean"]), st.integers(0, 9), st.integers(0, 9)), max_size=20
    )
)
def test_equal_formulas_have_one_node(script: list[tuple[str, int, int]]) -> None:
    graph = Graph()

    def run() -> list[int]:
        made = [graph.add("draw", (), ("N", 2), value="x"), graph.constant(3)]
        for operator, i, j in script:
            a, b = made[i % len(made)], made[j % len(made)]
            if operator == "abs":
                made.append(graph.elementwise("abs", a))
            elif operator == "mean":
                made.append(graph.reduce("mean", a) if graph.shape(a) else a)
            else:
                made.append(graph.arithmetic(operator, a, b))
        return made

    first = run()
    count = len(graph.nodes)
    assert run() == first
    assert len(graph.nodes) == count
    assert all(i < place for place, node in enumerate(graph.nodes) for i in node.inputs)


def _evaluations(step: StepPlan) -> Counter[str]:
    return Counter(node.value for node in step.nodes if node.op == "network")


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("reduced", [False, True])
def test_plan_holds_its_laws(name: str, reduced: bool) -> None:
    for step in load_system(name, reduced=reduced).plan.steps:
        trained: list[bool] = []  # whether a moving parameter leads to the node, other than through detach
        for i, node in enumerate(step.nodes):
            assert all(j < i for j in node.inputs), "each after those it reads"
            kept = node.value.network if node.op == "kept" else ""
            moves = (node.value if node.op == "network" else kept) in step.step.update
            trained.append(moves or (node.op != "detach" and any(trained[j] for j in node.inputs)))
        assert set(step.losses) == set(step.step.update), "a network that is not updated is not trained"
        behind_grad = {
            j for node in step.nodes if node.op == "grad" for j in range(len(step.nodes)) if j <= node.inputs[0]
        }
        for i, node in enumerate(step.nodes):
            if i in step.tracked:
                assert trained[i] or i in behind_grad
            if node.op == "detach":
                assert i not in step.tracked or i in behind_grad, "detach ends the graph"
            if node.op == "network" and node.value not in step.step.update and i in step.tracked:
                assert any(trained[j] for j in node.inputs) or i in behind_grad, "no graph that nobody needs"
        assert all(i in step.tracked and trained[i] for i in step.losses.values())
        assert all(step.nodes[i].shape == () for i in (*step.losses.values(), *step.reports.values()))
        counts = _evaluations(step)
        found = [(step.nodes[i].value, k) for i, k in step.occurrences.items()]
        assert sorted(found) == sorted((n, k) for n, count in counts.items() for k in range(count))


def _graphless(step: StepPlan, network: str) -> list[bool]:
    return [i not in step.tracked for i, n in enumerate(step.nodes) if (n.op, n.value) == ("network", network)]


def test_plan_of_wgan_gp_evaluates_no_more_than_it_must() -> None:
    critic, generator = load_system("wgan_gp_mlp_mnist").plan.steps
    # x_hat, the fake score, the real score: three evaluations of D; one G(z) serves all three formulas.
    assert (critic.step.update, critic.step.repeat, _evaluations(critic)) == (("D",), 5, {"G": 1, "D": 3})
    assert _graphless(critic, "G") == [True]
    assert _graphless(critic, "D") == [False] * 3
    (leaf,) = critic.leaves
    assert critic.nodes[leaf].op == "detach"
    assert [n.inputs[1] for n in critic.nodes if n.op == "grad"] == [leaf]
    assert (generator.step.update, generator.step.repeat, _evaluations(generator)) == (("G",), 1, {"G": 1, "D": 1})
    assert not generator.leaves
    assert _graphless(generator, "D") == [False]
    assert set(critic.reports) == {"loss_D", "distance", "gradient_penalty"}


@pytest.mark.parametrize("name", ["began_mnist", "began_faces64"])
def test_plan_of_began_evaluates_no_more_than_it_must(name: str) -> None:
    discriminator, generator = load_system(name).plan.steps
    assert (discriminator.step.update, discriminator.step.inference) == (("D",), ("G",))
    assert _evaluations(discriminator) == {"G": 1, "D": 2}  # D(x) and D(G(z)), for loss, k and M alike
    assert _graphless(discriminator, "G") == [True]
    assert (_evaluations(generator), generator.step.inference) == ({"G": 1, "D": 1}, ())
    assert set(discriminator.carried) == {"k"}
    assert not generator.carried
    assert set(discriminator.reports) == {"loss_D", "L_real", "L_fake", "M", "k"}
    assert not discriminator.leaves


def _linear(inputs: int, units: int) -> int:
    return inputs * units + units


def _conv(inputs: int, channels: int) -> int:
    return 9 * inputs * channels + channels


def _counts(system: System) -> tuple[int, int]:
    return system.networks["G"].parameter_count, system.networks["D"].parameter_count


def test_parameters_of_wgan_gp_are_those_of_its_source() -> None:
    # G: Linear(100, 128), BatchNorm(128), Linear(128, 128), BatchNorm, Linear(128, 128), BatchNorm, Linear(128, 784).
    # D: Linear(784, 128), Linear(128, 128), Linear(128, 128), Linear(128, 1).
    generator = _linear(100, 128) + 2 * _linear(128, 128) + _linear(128, 784) + 3 * 2 * 128
    critic = _linear(784, 128) + 2 * _linear(128, 128) + _linear(128, 1)
    assert _counts(load_system("wgan_gp_mlp_mnist")) == (generator, critic) == (147_856, 133_633)


def _began(n: int, channels: int, size: int, code: int) -> tuple[int, int]:
    # Three halvings: size / 8. Encoder: pairs of n, 2n, 3n filters, each pair's second halving, then two of 4n, then
    # the code. Decoder: the code to n images of size / 8, four pairs of n filters with doublings between them, then the
    # colours.
    side = size // 8
    widths = [channels, n, n, 2 * n, 2 * n, 3 * n, 3 * n, 4 * n, 4 * n]
    encoder = sum(map(_conv, widths, widths[1:])) + _linear(4 * n * side * side, code)
    decoder = _linear(code, n * side * side) + 8 * _conv(n, n) + _conv(n, channels)
    return decoder, encoder + decoder


def test_parameters_of_began_are_those_of_its_source() -> None:
    assert _counts(load_system("began_faces64")) == _began(128, 3, 64, 64) == (1_716_611, 11_192_643)
    assert _counts(load_system("began_mnist")) == _began(16, 1, 32, 32) == (27_153, 175_617)


def test_shapes_of_began_are_those_of_its_source() -> None:
    encoder = {x.name: x.shape for x in load_system("began_faces64").networks["D"].layers}
    assert [encoder[f"encoder/c{i}"] for i in range(1, 9)] == [
        (128, 64, 64), (128, 32, 32), (256, 32, 32), (256, 16, 16), (384, 16, 16), (384, 8, 8),
        (512, 8, 8), (512, 8, 8),
    ]  # fmt: skip
    assert encoder["encoder/code"] == (64,)
    assert encoder["decoder/c9"] == (3, 64, 64)


@pytest.mark.parametrize("name", SYSTEMS)
def test_system_makes_what_it_is_shown(name: str) -> None:
    for reduced in (False, True):
        system = load_system(name, reduced=reduced)
        outputs = [system.networks["G"].output_shape(output) for output in system.networks["G"].outputs]
        assert system.data.shape in outputs
        assert list(system.plan.columns()), "something is recorded"


def _wgan_with(losses: dict[str, str], folder: Path) -> System:
    """The small WGAN-GP of the wrong specs with simple losses, both networks updated at once."""
    loss = 'title = "t"\nsource = "s"\n[losses]\n' + "".join(f'{n} = "{text}"\n' for n, text in losses.items())
    schedule = 'title = "t"\nsource = "s"\n[redraw]\ndata = "step"\nnoise = "step"\n[[steps]]\nupdate = ["D", "G"]\n'
    edits = [
        {"file": "system.toml", "old": "critic_steps = 2 ", "new": ""},
        {"file": "system.toml", "old": 'use = "schedule.toml",', "new": 'use = "schedule.toml"'},
        {"file": "system.toml", "old": 'watch = "distance"', "new": 'watch = "loss_D"'},
    ]
    write_spec({"edits": edits, "files": {"loss.toml": loss, "schedule.toml": schedule}}, folder)
    return load_system(f"{folder}/system.toml")


def test_detach_ends_the_graph_on_one_path_only(tmp_path: Path) -> None:
    losses = {"D": "mean(D(detach(G(z)))) - mean(D(x))", "G": "-mean(D(G(z)))"}
    (step,) = _wgan_with(losses, tmp_path).plan.steps
    (cut,) = (i for i, node in enumerate(step.nodes) if node.op == "detach")
    (made,) = (i for i, node in enumerate(step.nodes) if (node.op, node.value) == ("network", "G"))
    assert cut not in step.tracked
    assert made in step.tracked, "G's own loss needs it"
    assert _evaluations(step) == {"G": 1, "D": 3}, "D of the detached images is another evaluation"


def test_network_that_only_detached_images_come_from_is_not_trained(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"losses\.G: the loss does not depend on G, the network that it trains"):
        _wgan_with({"D": "mean(D(x))", "G": "mean(D(detach(G(z))))"}, tmp_path)


def test_grad_inside_a_loss_needs_a_graph_of_a_constant_network(tmp_path: Path) -> None:
    losses = {"D": "mean(D(x))", "G": "mean(norm(grad(G(z), z)))"}
    (step,) = _wgan_with(losses, tmp_path).plan.steps
    assert [step.nodes[i].op for i in step.leaves] == ["draw"]
    assert all(i in step.tracked for i, node in enumerate(step.nodes) if node.value == "G" and node.op == "network")


def test_grad_with_respect_to_trained_images_keeps_their_graph(tmp_path: Path) -> None:
    losses = {"D": "mean(D(x))", "G": "mean(norm(grad(D(G(z)), G(z))))"}
    (step,) = _wgan_with(losses, tmp_path).plan.steps
    (made,) = (i for i, node in enumerate(step.nodes) if (node.op, node.value) == ("network", "G"))
    assert made in step.tracked
    assert not step.leaves, "a leaf is cut off from what it was made of"


@pytest.mark.parametrize(
    ("loss", "report"),
    [
        ("mean(norm(grad(D(x), x)))", "mean(norm(grad(sum(grad(D(x), x) ^ 2), x)))"),
        ("mean(norm(grad(detach(sum(grad(D(x), x) ^ 2)) * D(x), x)))", "0 * mean(D(x))"),
    ],
)
def test_second_derivatives_go_through_every_layer(loss, report, tmp_path):
    """A third one, which a framework may have wrong, is only that by weights of a gradient of a gradient."""
    pool = '{ kind = "max_pool", kernel = 2, stride = 1, padding = 0, cover_all = false }'
    code = f'{{ kind = "reshape", shape = [1, 2, 2] }}, {pool}, {{ kind = "flatten" }}, '
    (tmp_path / "loss.toml").write_text(
        f'title = "smooth"\nsource = "none"\n[losses]\nD = "mean(D(G(z))) - mean(D(x)) + {loss}"\nG = "-mean(D(G(z)))"\n'
        f'[report]\nbent = {{ value = "{report}", with = "D" }}\n'
    )
    write_system(tmp_path, "loss.toml", {"G": GENERATOR, "D": critic(code=code)})


def test_no_gradient_goes_through_what_it_is_taken_with_respect_to(tmp_path):
    """The gradient with respect to G(z) goes through D, that with respect to z through G, once, and the weights' again."""
    image = '{ kind = "reshape", shape = [1, 2, 2] }'
    pool = '{ kind = "max_pool", kernel = 1, stride = 1, padding = 0, cover_all = false }'
    (tmp_path / "loss.toml").write_text(
        'title = "smooth"\nsource = "none"\n[losses]\nD = "mean(D(x))"\n'
        'G = "mean(norm(grad(sum(grad(D(G(z)), G(z)) ^ 2), z)))"\n'
    )
    networks = {"G": GENERATOR.replace(image, f"{image}, {pool}"), "D": critic()}
    write_system(tmp_path, "loss.toml", networks)
