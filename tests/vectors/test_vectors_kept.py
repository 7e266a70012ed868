"""The kept golden vectors are what the code and the data files of today give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from ganspec.spec import system_names
from ganspec.spec.layers import KINDS as LAYER_KINDS
from ganspec.spec.text.files import names
from ganspec.tools.vectors import PACKAGED, Vector, descriptions, files, linting, making, read_vectors
from ganspec.tools.vectors.case import Case, folded, rounded_once

RENEW = "the golden vectors changed; renew them with: ganspec vectors --write spec/vectors"


@pytest.fixture(scope="module")
def kept() -> list[Vector]:
    return read_vectors(PACKAGED)


@pytest.fixture(scope="module")
def by_id(kept) -> dict[str, Vector]:
    return {vector.case.id: vector for vector in kept}


@pytest.fixture(scope="module")
def described() -> Iterator[None]:
    """The descriptions of all systems, computed once."""
    now = descriptions.descriptions()
    with pytest.MonkeyPatch.context() as patch:
        for module in (files, linting):
            patch.setattr(module, "descriptions", lambda: now)
        yield


@pytest.fixture(scope="module")
def cases(both_backends) -> list[Case]:
    return making.all_cases()


def test_the_vectors_are_what_pytorch_computes_today(kept, cases):
    changed = linting.changes(kept, "torch", cases)
    assert not changed, "\n".join([RENEW, *changed[:40]])


def test_the_vectors_but_for_systems_are_what_chainer_computes_today(kept, cases):
    parts = [vector for vector in kept if vector.case.kind != "system"]
    changed = linting.changes(parts, "chainer", [case for case in cases if case.kind != "system"])
    assert not changed, "\n".join([RENEW, *changed[:40]])


@pytest.mark.slow
def test_the_vectors_of_systems_are_what_chainer_computes_today(kept, cases):
    changed = linting.changes(kept, "chainer", cases)
    assert not changed, "\n".join([RENEW, *changed[:40]])


def test_the_data_files_are_as_the_vectors_describe_them(kept, described):
    found = linting.findings(PACKAGED, kept)
    assert not found, "\n".join([RENEW, *found])


def test_everything_has_a_case(kept, by_id):
    counts = Counter(vector.case.kind for vector in kept)
    assert counts["loss"] == len(names("losses"))
    assert {case.partition("@")[0] for case in by_id if case.startswith("system/")} == {
        f"system/{n}" for n in system_names()
    }
    assert {v.case.facts["layer"]["kind"] for v in kept if v.case.kind == "layer"} == set(LAYER_KINDS)
    assert linting.missing(kept) == []
    without = [
        vector for vector in kept if not vector.case.id.startswith(("layer/fade", "loss/hinge", "function/norm"))
    ]
    assert linting.missing(without) == ["loss/hinge", "layer/fade", "function/norm"]


def test_cases_that_random_numbers_never_hit_are_there(by_id):
    for case, point in (
        ("layer/relu/at_the_kink", 0.0),
        ("function/softplus/far_out", 400.0),
        ("function/norm/at_0", 0.0),
    ):
        assert (by_id[case].case.given["inputs/0"] == point).any()
    modes = Counter(
        (v.case.facts["layer"]["kind"], v.case.facts["training"]) for v in by_id.values() if v.case.kind == "layer"
    )
    assert all(modes[kind, training] for kind in ("batch_norm", "dropout", "linear") for training in (True, False))
    padding = by_id["layer/conv/asymmetric_padding"].case.facts["layer"]["settings"]["padding"]
    assert len(set(padding)) == 4


def test_a_system_case_has_all_that_the_task_of_a_port_needs(by_id):
    vector = by_id["system/began_mnist"]
    roles = {"/".join(name.split("/")[:2]) for name in vector.expected}
    assert {"0.0.0/losses", "0.0.0/reports", "0.0.0/gradients", "0.0.0/layers", "2.1.0/losses"} <= roles
    states = {"/".join(name.split("/")[:3]) for name in vector.expected if name.startswith("state/")}
    wanted = {"parameters", "moments", "carried"}
    assert states == {f"state/{n}/{role}" for n in (1, 3) for role in wanted}
    growing = by_id["system/progressive_cifar10"].expected
    assert {name.split("/")[2] for name in growing if name.startswith("state/3/")} >= {
        "averages",
        "parameters",
        "moments",
    }


def test_the_stages_of_growth_are_all_there(by_id):
    kinds = set()
    for case in ("", "@from_stage_2", "@from_stage_4"):
        facts = by_id[f"system/progressive_cifar10{case}"].case.facts
        growth, batch = facts["system"]["growth"], facts["system"]["batch"]
        start = growth.get("start", {"stage": 0, "fade": 0.0})
        kinds |= {
            int(start["stage"] + start["fade"] + i * batch / growth["images"]) for i in range(facts["iterations"])
        }
    assert kinds == set(range(7))


def test_an_answer_must_be_near(kept):
    """What may be far, in its own terms, is nothing but rounding, in terms of its whole case."""
    far, near, count = [], 0, 0
    for vector in kept:
        sizes = {name: float(np.linalg.norm(expected.values.ravel())) for name, expected in vector.expected.items()}
        for name, expected in vector.expected.items():
            if not {"losses", "layers", "definitions", "output", "penalty", "after"}.isdisjoint(name.split("/")):
                count, near = count + 1, near + (expected.within <= 1e-9 * sizes[name])
            if expected.within > 1e-7 * sizes[name] and expected.within > 1e-9 * max(sizes.values()):
                far.append((vector.case.id, name))
    assert {case for case, _ in far} <= {"system/cwgan_gp_mlp_mnist"}, "Adam turns the rounding of a true 0 into steps"
    assert near > 0.95 * count


@pytest.mark.parametrize("case", ["layer/conv/asymmetric_padding", "loss/wgan_gp", "optimizer/adam/corrected"])
def test_a_change_of_one_number_is_seen_and_named(case, by_id, both_backends):
    vector = by_id[case]
    name = [name for name, expected in vector.expected.items() if abs(expected.values).max() > 1e-6][-1]

    def wrong(backend, asked):
        found = making.answers(backend, asked)
        found[name] = found[name] * (1 + 1e-7)
        return found

    (line,) = linting.changes([vector], "torch", [vector.case], wrong)
    assert line.startswith(f"{case}: {name} moved by ")
    assert linting.changes([vector], "torch", [vector.case]) == []


def test_a_change_of_a_case_is_seen_and_named(by_id, both_backends):
    vector = by_id["layer/leaky_relu/both_sides"]
    facts = {**vector.case.facts, "layer": {"kind": "leaky_relu", "shape": [6], "settings": {"slope": 0.3}}}
    given = {**vector.case.given, "weights": vector.case.given["weights"] + 1e-3}
    for now, said in (
        (replace(vector.case, facts=facts), "layer.settings.slope: 0.2 became 0.3"),
        (replace(vector.case, given=given), "given/weights differs by"),
        (replace(vector.case, source="elsewhere"), "source is now 'elsewhere'"),
    ):
        (line,) = linting.changes([vector], "torch", [now])
        assert said in line
    assert linting.changes([vector], "torch", []) == [f"{vector.case.id}: is no longer made"]
    assert linting.changes([], "torch", [vector.case]) == [f"{vector.case.id}: is new"]


@pytest.mark.parametrize(
    "case",
    [
        "layer/batch_norm/images_training",
        "function/norm/stabilised",
        "optimizer/rmsprop/inside_from_1",
        "loss/dragan",
        "system/gan_mlp_mnist",
    ],
)
def test_both_other_witnesses_must_agree_before_anything_is_written(case, by_id, both_backends):
    vector = by_id[case]
    _, exact = made = making.make(vector.case)
    assert making.confirm(*made) == []
    role = {"loss": "0.0.0/losses/D", "system": "state/3/", "optimizer": "after/2/parameters/"}.get(
        vector.case.kind, "output"
    )
    name = next(name for name in vector.expected if name.startswith(role))
    moved = replace(vector.expected[name], values=vector.expected[name].values * (1 + 1e-6))
    wrong = replace(vector, expected={**vector.expected, name: moved})
    lines = making.confirm(wrong, exact)
    assert any(f"{name}: chainer is" in line for line in lines)
    assert any(f"{name}: reference is" in line for line in lines)


def test_a_wrong_gradient_is_not_confirmed_by_the_reference(by_id, both_backends):
    for case in ("layer/linear/plain", "loss/wgan_gp"):
        vector, exact = making.make(by_id[case].case)
        name = next(name for name in exact if "gradients" in name)
        lines = making.confirm(vector, {**exact, name: exact[name] * 1.001})
        assert any("the reference says" in line for line in lines)


def test_making_twice_gives_the_same(by_id, both_backends):
    for case in ("layer/conv/padding", "loss/began", "system/cgan_mlp_mnist"):
        once, twice = ([making.make(by_id[case].case)[0]] for _ in range(2))
        assert [files.as_json(vector) for vector in once] == [files.as_json(vector) for vector in twice]
        assert save(files.tensors(once)) == save(files.tensors(twice))


def test_what_is_read_is_written_again_to_the_bit(kept, described):
    contents = files.contents_of(kept)
    assert set(contents) == {str(p.relative_to(PACKAGED)) for p in PACKAGED.rglob("*") if p.is_file()}
    differing = [name for name, content in contents.items() if (PACKAGED / name).read_bytes() != content]
    assert not set(differing) - {files.INDEX}  # which names versions


def test_rounding_once_moves_each_number_by_one_rounding():
    given = {"a": np.array([1.0, -3.0, 0.0]), "y": np.array([1, 2]), "mask": np.array([True, False])}
    moved = rounded_once(Case("layer/x", "", "", {}, {**given, "b": given["a"]}, frozenset("b")), 0)
    assert (moved["b"] == given["a"]).all()
    assert list(abs(moved["a"] / np.array([1.0, -3.0, 1.0]) - [1, 1, 0])) == pytest.approx([2.0**-52, 2.0**-52, 0])
    assert (moved["y"] == given["y"]).all()
    assert (moved["mask"] == given["mask"]).all()


def test_folding_keeps_every_number_in_a_sum():
    a = np.arange(100.0).reshape(4, 25)
    sums = folded(a)
    assert sums.shape == (13,)
    assert sums[3] == sum(range(3, 100, 13))
    for i in range(100):
        b = a.copy()
        b.ravel()[i] += 1.0
        assert (folded(b) != sums).sum() == 1
    assert folded(np.ones((2, 13))).shape == (2, 13)
