"""What stands in a snapshot: which model, how far training was, the state of its optimiser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools.porting.carry_errors import CarryError
from ganspec.tools.porting.names import arrays_of, values_of
from ganspec.tools.porting.optimizers_states import optimizer_prefix, read_optimizer
from ganspec.tools.porting.snapshot_files import open_snapshot
from ganspec.tools.porting.snapshots import fill, read_model, read_progress
from support.old_models import arrays_in, chainer_modules, make_net, npz_of, same_bits, step, trainer_of


@pytest.fixture
def net(both_backends):
    return make_net()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def expected(net) -> dict[str, np.ndarray]:
    return {path: np.asarray(value) for path, value in values_of(net).items()}


def read(path: Path, net, prefix=None):
    return read_model(open_snapshot(path), arrays_of(net), prefix)


@pytest.fixture
def trained(both_backends, tmp_path):
    """Returns: two nets, and the snapshot of the trainer that trained them."""
    chainer = chainer_modules()
    nets = {"gen": make_net(seed=0), "dis": make_net(width=5, seed=1)}
    optimizers = {"gen": chainer.optimizers.Adam(1e-3), "dis": chainer.optimizers.MomentumSGD(1e-3)}
    trainer = trainer_of(tmp_path, nets, optimizers)
    return nets, written(tmp_path / "snapshot_iter_3", npz_of(trainer))


def test_a_trainers_snapshot_has_each_model_by_what_it_needs(trained) -> None:
    nets, path = trained
    for name, net in nets.items():
        found = read(path, net)
        assert found.prefix == f"updater/model:{name}/"
        assert same_bits(dict(found.values), expected(net))


def test_a_part_of_a_model_is_found_by_its_longer_prefix(tmp_path) -> None:
    chainer = chainer_modules()
    net = make_net()
    whole = chainer.links.Classifier(net)
    optimizer = chainer.optimizers.Adam().setup(whole)
    optimizer.update(lambda: chainer.functions.sum(net(np.ones((2, 3), "f"))))
    trainer = {
        **{f"updater/model:main/{key}": value for key, value in arrays_in(npz_of(whole)).items()},
        **{f"updater/optimizer:main/{key}": value for key, value in arrays_in(npz_of(optimizer)).items()},
    }
    np.savez(tmp_path / "snapshot.npz", **trainer)
    file = open_snapshot(tmp_path / "snapshot.npz")
    found = read_model(file, arrays_of(net))
    assert found.prefix == "updater/model:main/predictor/"
    state = read_optimizer(file, arrays_of(net), optimizer_prefix(file, found.prefix))
    assert (state.t, state.counts["l0/W"]) == (1, 1)
    assert state.classes() == ["AdaBound", "Adam", "AdamW", "MSVAG"]


def test_two_models_of_one_class_are_chosen_between(tmp_path) -> None:
    chainer = chainer_modules()
    nets = {"gen": make_net(seed=0), "ema": make_net(seed=1)}
    trainer = trainer_of(tmp_path, nets, {name: chainer.optimizers.SGD() for name in nets})
    path = written(tmp_path / "snapshot", npz_of(trainer))
    with pytest.raises(CarryError) as raised:
        read(path, nets["gen"])
    assert str(raised.value) == (
        f"{path}: holds 2 models that fit; "
        "choose one with --snapshot-prefix updater/model:ema or --snapshot-prefix updater/model:gen"
    )
    for prefix in ("ema", "updater/model:ema", "/updater/model:ema/"):
        assert same_bits(dict(read(path, nets["ema"], prefix).values), expected(nets["ema"]))
    with pytest.raises(
        CarryError, match=r"holds nothing under mea; the model may be under updater/model:(ema|gen), updater/m"
    ):
        read(path, nets["ema"], "mea")


def test_progress_is_where_training_stopped(trained) -> None:
    _, path = trained
    progress = read_progress(open_snapshot(path))
    assert progress.iteration == 3
    assert (progress.iterators["main"].epoch, progress.iterators["main"].position) == (1, 2)
    assert sorted(progress.iterators["main"].order) == list(range(10))
    assert progress.shifts == {"ExponentialShift": (3, pytest.approx(1e-3 * 0.5**3))}
    assert json.loads(json.dumps(progress.as_json()))["iterators"]["main"]["order"] == list(
        progress.iterators["main"].order
    )
    assert progress.seconds > 0
    assert progress.lines() == [
        "iteration 3",
        "iterator main: epoch 1, position 2 of 10",
        "ExponentialShift: called 3 times, its last value was 0.000125",
    ]


def test_optimizers_of_a_trainer_are_read_with_their_models(trained) -> None:
    nets, path = trained
    file = open_snapshot(path)
    for name, moments in {"gen": {"m", "v"}, "dis": {"v"}}.items():
        state = read_optimizer(file, arrays_of(nets[name]), optimizer_prefix(file, f"updater/model:{name}/"))
        assert (state.t, state.names()) == (3, moments)
        rule = nets[name].l0.W.update_rule
        assert state.counts["l0/W"] == rule.t == 3
        assert state.moments["l0/W"]["v"].tobytes() == rule.state["v"].tobytes()


def test_a_model_that_was_not_initialised_takes_its_shapes_from_the_file(tmp_path) -> None:
    chainer = chainer_modules()
    full = chainer.Chain(l=chainer.links.Linear(3, 2))
    lazy = chainer.Chain(l=chainer.links.Linear(None, 2))
    path = written(tmp_path / "model.npz", npz_of(full))
    fill(lazy, read(path, lazy).values)
    assert lazy.l.W.array.tobytes() == full.l.W.array.tobytes()
    with pytest.raises(CarryError) as raised:
        read(written(tmp_path / "lazy.npz", npz_of(chainer.Chain(l=chainer.links.Linear(None, 2)))), full)
    assert str(raised.value) == (
        f"{tmp_path}/lazy.npz: l/W is a Python object: what Chainer writes for an array that was not initialised; "
        "load it in the old environment, run the model once on data, and save it again"
    )


def test_another_class_is_refused_with_what_differs(net, tmp_path) -> None:
    path = written(tmp_path / "model.npz", npz_of(net))
    other = "is it the snapshot of another class, or of other arguments? Otherwise choose another model with --snapshot-prefix"

    def refusal(model, where=path) -> str:
        with pytest.raises(CarryError) as raised:
            read(where, model)
        return str(raised.value).replace(str(tmp_path), "")

    wide = make_net(width=6)
    assert refusal(wide) == (
        "/model.npz: another shape in 12 arrays: blocks/0/W is [4, 4], expected [6, 6]; blocks/0/b is [4], expected [6]; "
        "blocks/1/W is [4, 4], expected [6, 6]; bn/beta is [4], expected [6]; bn/gamma is [4], expected [6]; " + other
    )
    wide.add_link("more", chainer_modules().links.Linear(2, 2))
    assert refusal(wide) == f"/model.npz: lacks 2 of the model's 18 arrays: more/W, more/b; {other}"
    less = make_net()
    del less.scale
    assert (
        refusal(less) == f"/model.npz: has 1 array that the model lacks: scale; {other}, or allow it with --allow-extra"
    )
    assert read_model(open_snapshot(path), arrays_of(less), allow_extra=True).values.keys() == expected(less).keys()
    stranger = chainer_modules().Chain(head=chainer_modules().links.EmbedID(2, 2))
    assert refusal(stranger) == (
        "/model.npz: holds none of the model's arrays, such as head/W; it has blocks/0/W, blocks/0/b, "
        "blocks/1/W and 13 more under no prefix; "
        "give the snapshot of this class, or another class"
    )


def test_statistics_of_old_versions_are_noted(net, tmp_path) -> None:
    notes = read(written(tmp_path / "model.npz", npz_of(net)), net).notes
    assert len(notes) == 1
    assert notes[0].startswith("avg_var: if Chainer before 4.0.0 trained this model without cuDNN")
    net.l0.b.array[0] = np.nan
    notes = read(written(tmp_path / "model.npz", npz_of(net)), net).notes
    assert "l0/b has a value that is not finite; it is carried as it is" in notes


def test_an_optimizer_of_chainer_1_counts_for_all(net, tmp_path) -> None:
    optimizer = chainer_modules().optimizers.Adam().setup(net)
    for seed in range(4):
        step(net, optimizer, seed)
    arrays = arrays_in(npz_of(optimizer))
    np.savez(tmp_path / "old.npz", **{key: value for key, value in arrays.items() if not key.endswith("/t")})
    state = read_optimizer(open_snapshot(tmp_path / "old.npz"), arrays_of(net))
    assert state.counts["l0/W"] == 4
    assert state.notes == ("the file is of Chainer 1: each parameter counts as updated as often as the optimiser",)


def test_parameters_that_were_frozen_are_noted(net, tmp_path) -> None:
    optimizer = chainer_modules().optimizers.Adam().setup(net)
    net.l0.disable_update()
    step(net, optimizer, 0)
    state = read_optimizer(open_snapshot(written(tmp_path / "o.npz", npz_of(optimizer))), arrays_of(net))
    assert state.notes == ("never updated in 1 updates, so perhaps frozen: l0/W, l0/b",)
    assert state.moments["l0/W"] == {}


def test_an_optimizer_of_another_model_is_refused(net, tmp_path) -> None:
    chainer = chainer_modules()
    other = chainer.Chain(l0=chainer.links.Linear(3, 2), far=chainer.links.Linear(3, 2))
    optimizer = chainer.optimizers.Adam().setup(other)
    other.cleargrads()
    optimizer.update()
    path = written(tmp_path / "o.npz", npz_of(optimizer))
    with pytest.raises(
        CarryError, match="is the optimiser of another model: it has far/W/m, far/W/t, far/W/v, far/b/m"
    ):
        read_optimizer(open_snapshot(path), arrays_of(net))
    model = written(tmp_path / "m.npz", npz_of(net))
    with pytest.raises(CarryError, match="holds no optimiser: t and epoch are missing; give a trainer's snapshot"):
        read_optimizer(open_snapshot(model), arrays_of(net))


def test_a_link_used_twice_has_one_value(tmp_path) -> None:
    chainer = chainer_modules()
    layer = chainer.links.Linear(2, 2)
    link = chainer.Chain(a=layer, b=layer)
    arrays = arrays_in(npz_of(link))
    np.savez(tmp_path / "m.npz", **arrays)
    assert read(tmp_path / "m.npz", link).values["b/W"].tobytes() == layer.W.array.tobytes()
    np.savez(tmp_path / "m.npz", **(arrays | {"b/W": arrays["b/W"] + 1}))
    with pytest.raises(CarryError, match="a/W and b/W differ, which are one array in the class"):
        read(tmp_path / "m.npz", link)


@pytest.mark.parametrize("dtype", ["c8", "i4", "U3"])
def test_arrays_of_another_kind_are_refused_by_name(dtype, net, tmp_path) -> None:
    arrays = expected(net)
    first = next(a.chainer_path for a in arrays_of(net) if a.trained)
    with (tmp_path / "model.npz").open("wb") as file:
        np.savez(file, **{**arrays, first: np.zeros(arrays[first].shape, dtype)})
    with pytest.raises(CarryError, match=f"{first} is of the dtype .*, expected floating-point numbers"):
        read(tmp_path / "model.npz", net)
