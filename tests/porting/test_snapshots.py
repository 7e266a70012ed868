"""What stands in a snapshot: every kind of file that Chainer wrote, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools.porting import snapshot_files
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


@pytest.mark.parametrize("compression", [True, False])
def test_a_models_own_file_gives_every_array_bit_for_bit(net, tmp_path, compression) -> None:
    from chainer.serializers import save_npz

    save_npz(str(tmp_path / "model"), net, compression)
    found = read(tmp_path / "model", net)
    assert found.prefix == ""
    assert same_bits(dict(found.values), expected(net))


def test_hdf5_and_gzip_give_the_same(net, tmp_path) -> None:
    pytest.importorskip("h5py")
    from chainer.serializers import save_hdf5

    save_hdf5(str(tmp_path / "model.h5"), net)
    written(tmp_path / "model.npz.gz", gzip.compress(npz_of(net)))
    written(tmp_path / "model.h5.gz", gzip.compress((tmp_path / "model.h5").read_bytes()))
    for name in ("model.h5", "model.npz.gz", "model.h5.gz"):
        assert same_bits(dict(read(tmp_path / name, net).values), expected(net)), name


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
    assert refusal(less) == f"/model.npz: has 1 array that the model lacks: scale; {other}"
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


def test_a_file_of_python_2_and_of_another_byte_order_is_read(tmp_path) -> None:
    chainer = chainer_modules()
    link = chainer.Chain(l=chainer.links.Linear(3, 2))
    header = b"{'descr': '>f4', 'fortran_order': True, 'shape': (2L, 3L), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    values = np.arange(6, dtype=">f4")
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + values.tobytes()
    bias = io.BytesIO()
    np.save(bias, np.zeros(2, "f"))
    with zipfile.ZipFile(tmp_path / "old.npz", "w") as archive:
        archive.writestr("l/W.npy", content)
        archive.writestr("l/b.npy", bias.getvalue())
    found = read(tmp_path / "old.npz", link).values["l/W"]
    assert found.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(found, np.arange(6, dtype="f").reshape(2, 3, order="F"))


STRANGERS = {
    "empty": (b"", "is empty; copy or download it again"),
    "pickle": (
        pickle.dumps({"l0": 1}),
        "is a pickle, which is never opened: it can run code; "
        "save the model with chainer.serializers.save_npz in the old environment",
    ),
    "text": (
        b"l0/W 1 2 3",
        "is neither npz nor HDF5; save the model with chainer.serializers.save_npz in the old environment",
    ),
    "safetensors": (
        struct.pack("<Q", 2) + b"{}",
        "is a safetensors file, not one of Chainer's; with --back, give it in place of the weights",
    ),
    "array": (
        b"\x93NUMPY\1\0",
        "is one array without a name; save the model with chainer.serializers.save_npz in the old environment",
    ),
    "cut": (b"PK\3\4....", "is damaged or cut short (File is not a zip file); copy or download it again"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_file_of_another_kind_is_refused(name, tmp_path) -> None:
    content, message = STRANGERS[name]
    path = written(tmp_path / name, content)
    with pytest.raises(CarryError) as raised:
        open_snapshot(path)
    assert str(raised.value) == f"{path}: {message}"


def test_what_is_no_file_is_refused(tmp_path) -> None:
    with pytest.raises(CarryError, match="there is no such file; give the file that Chainer wrote"):
        open_snapshot(tmp_path / "absent")
    with pytest.raises(CarryError, match="is not a regular file; give the file that Chainer wrote"):
        open_snapshot(tmp_path)


def test_a_file_of_pytorch_is_named(tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "weights.pt", "w") as archive:
        archive.writestr("weights/data.pkl", b"")
    with pytest.raises(
        CarryError, match="is a file of PyTorch, not one of Chainer's; give the file that Chainer wrote"
    ):
        open_snapshot(tmp_path / "weights.pt")


def npy(header: str, values: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + values


def test_what_a_file_declares_is_judged_before_it_is_read(tmp_path, monkeypatch) -> None:
    def refusal(*contents: bytes, name: str = "W.npy") -> str:
        path = tmp_path / "bomb.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, content in enumerate(contents):
                archive.writestr(f"{number or ''}{name}", content)
        with pytest.raises(CarryError) as raised:
            open_snapshot(path)
        return str(raised.value).removeprefix(f"{path}: ")

    long = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,), }\n"
    assert refusal(npy(long, b"....")) == "W is not as long as it says; copy or download it again"
    assert refusal(npy("x" * 20000)) == "W has a header of 20,000 bytes; copy or download it again"
    assert refusal(b"hello, world") == "W is not an array; give the file that Chainer wrote"
    assert refusal(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n")).startswith(
        "W has the type float32 and"
    )
    assert refusal(npy("__import__('os')\n")) == "W has a header that is not NumPy's; copy or download it again"
    monkeypatch.setattr(snapshot_files, "MAX_SNAPSHOT_BYTES", 2**20)
    zeros = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,), }\n", bytes(4_000_000))
    assert refusal(zeros) == (
        "unpacks to 0.0 GiB; give one of at most 0.000976562 GiB (MAX_SNAPSHOT_BYTES of tools/porting/snapshot_files.py)"
    )
    bomb = written(tmp_path / "bomb.gz", gzip.compress(bytes(2**20)))
    with pytest.raises(CarryError, match="is too large to be unpacked from gzip in memory; unpack it with gunzip"):
        open_snapshot(bomb)
    monkeypatch.setattr(snapshot_files, "MAX_ARRAYS", 1)
    assert refusal(zeros, zeros) == "holds 2 arrays; give one of at most 1 (MAX_ARRAYS)"


def test_a_pickle_in_an_array_is_never_opened(tmp_path) -> None:
    """Chainer's own reader would run it."""

    class Bomb:
        def __reduce__(self):
            return (Path(tmp_path / "exploded").touch, ())

    np.savez(tmp_path / "m.npz", **{"W": np.array(Bomb(), dtype=object)})
    chainer = chainer_modules()
    link = chainer.links.EmbedID(2, 2)
    with pytest.raises(CarryError, match="W is a Python object"):
        read(tmp_path / "m.npz", link)
    assert not (tmp_path / "exploded").exists()


def test_a_damaged_file_is_said_to_be_damaged(net, tmp_path) -> None:
    content = npz_of(net)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        info = archive.getinfo("blocks/0/W.npy")
    place = info.header_offset + 30 + len(info.filename) + info.compress_size - 4
    damaged = content[:place] + bytes(b ^ 0xFF for b in content[place : place + 4]) + content[place + 4 :]
    with pytest.raises(CarryError, match=r"is damaged or cut short \(.*\); copy or download it again"):
        read(written(tmp_path / "m.npz", damaged), net)


def test_hdf5_reads_no_other_file(tmp_path) -> None:
    h5py = pytest.importorskip("h5py")
    link = chainer_modules().links.EmbedID(2, 2)
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(tmp_path / "outer.h5", "w") as file:
        file.create_dataset("W", (2, 2), "f4", external=[(str(tmp_path / "secret"), 0, 16)])
    with pytest.raises(CarryError, match="W stands in another file; save the model again, into one file"):
        open_snapshot(tmp_path / "outer.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["W"] = np.ones((2, 2), "f")
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["W"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "W")
    with pytest.raises(CarryError, match="holds none of the model's arrays"):
        read(tmp_path / "linked.h5", link)


def test_an_uninitialised_array_in_hdf5_is_refused(tmp_path) -> None:
    pytest.importorskip("h5py")
    chainer = chainer_modules()
    from chainer.serializers import save_hdf5

    lazy = chainer.Chain(l=chainer.links.Linear(None, 2))
    save_hdf5(str(tmp_path / "lazy.h5"), lazy)
    with pytest.raises(CarryError, match="l/W is empty: what Chainer writes for an array that was not initialised"):
        read(tmp_path / "lazy.h5", lazy)


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
