"""From PyTorch back to a snapshot of Chainer: bit for bit, or refused."""

from __future__ import annotations

import gzip
import io
import zipfile
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganspec.tools.porting.carry_errors import CarryError
from ganspec.tools.porting.carrying_back import carry_back
from ganspec.tools.porting.names import arrays_of, values_of
from support.old_models import arrays_in, chainer_modules, make_net, npz_of, same_bits, step, trainer_of
from support.ported import Port, back, trained_port

pytestmark = pytest.mark.usefixtures("both_backends")


@pytest.fixture
def port(tmp_path) -> Port:
    net = make_net()
    return Port(tmp_path, net, npz_of(net))


@pytest.fixture
def trained(tmp_path) -> Port:
    return trained_port(tmp_path)


def test_an_untouched_model_comes_back_bit_for_bit(port) -> None:
    new = back(port, port.loaded().state_dict())
    assert same_bits(arrays_in(new.read_bytes()), arrays_in(port.snapshot.read_bytes()))
    carry_back(port.folder / "weights.safetensors", port.snapshot, new)
    assert same_bits(arrays_in(new.read_bytes()), arrays_in(port.snapshot.read_bytes()))


@settings(max_examples=20)
@given(st.data())
def test_any_bits_go_there_and_back(tmp_path_factory, data) -> None:
    """NaN with its payload, infinities, subnormals, -0, every type."""
    folder = tmp_path_factory.mktemp("bits")
    chainer = chainer_modules()
    link = chainer.Link()
    dtype = data.draw(st.sampled_from(["f4", "f8", "f2", "i8", "u1", "?", ">f4"]))
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    content = bytes(b & 1 for b in data.draw(st.binary(min_size=size, max_size=size))) if dtype == "?" else None
    content = content if content is not None else data.draw(st.binary(min_size=size, max_size=size))
    value = np.frombuffer(content, dtype).reshape(shape)
    link.add_persistent("a", value.astype(value.dtype.newbyteorder("=")))
    file = io.BytesIO()
    np.savez_compressed(file, a=value)
    port = Port(folder, link, file.getvalue())
    carry_back(port.folder / "weights.safetensors", port.snapshot, folder / "new.npz")
    assert same_bits(arrays_in((folder / "new.npz").read_bytes()), {"a": value})
    carry_back(port.folder / "weights.pt", port.snapshot, folder / "new.npz")
    assert same_bits(arrays_in((folder / "new.npz").read_bytes()), {"a": value})


def test_a_model_trained_in_torch_returns_to_chainer(port) -> None:
    import torch
    from chainer.serializers import load_npz

    module = port.loaded()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    x = torch.randn(6, 3)
    for _ in range(3):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    new = back(port, module.state_dict())
    other = make_net(seed=9)
    load_npz(str(new), other)
    with chainer_modules().using_config("train", False):
        found = other(x.numpy()).array
    np.testing.assert_allclose(found, module.eval()(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    state = module.state_dict()
    for array in arrays_of(other):
        if array.chainer_path != "bn/N":
            assert values_of(other)[array.chainer_path].tobytes() == state[array.torch_key].numpy().tobytes()
    assert values_of(other)["bn/N"] == 0  # Chainer counts fine-tuning alone


def test_a_trainers_snapshot_resumes_with_the_numbers_of_torch(trained, tmp_path) -> None:
    """Its trainer loads the new snapshot: the model and its optimiser are PyTorch's, all else is as it was."""
    import torch
    from chainer.serializers import load_npz

    chainer = chainer_modules()
    module = trained.loaded()
    namespace: dict = {}
    exec((trained.folder / "optimizer.py").read_text(), namespace)
    optimizer = namespace["make_optimizer"](module)
    optimizer.carry(torch.load(trained.folder / "optimizer.pt", weights_only=True))
    x = torch.randn(4, 3)
    for _ in range(2):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    new, states = [], {"carried.pt": optimizer.carried(), "state.pt": optimizer.state_dict()}
    for name, state in states.items():
        torch.save(state, tmp_path / name)
        new.append(back(trained, module.state_dict(), f"{name}.npz", optimizer=tmp_path / name))
    assert new[0].read_bytes() == new[1].read_bytes()

    before, after = arrays_in(trained.snapshot.read_bytes()), arrays_in(new[0].read_bytes())
    changed = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    assert before.keys() == after.keys()
    assert changed
    assert all(name.startswith(("updater/model:gen/", "updater/optimizer:gen/")) for name in changed)
    assert after["updater/optimizer:gen/t"] == after["updater/optimizer:gen/l0/W/t"] == 5

    nets = {"gen": make_net(seed=3), "dis": make_net(width=5, seed=4)}
    optimizers = {"gen": chainer.optimizers.Adam(1e-3, beta1=0.5), "dis": chainer.optimizers.SGD()}
    trainer = trainer_of(tmp_path, nets, optimizers)
    load_npz(str(new[0]), trainer)
    assert nets["gen"].l0.W.array.tobytes() == module.l0.weight.detach().numpy().tobytes()
    moment = nets["gen"].l0.W.update_rule.state["m"]
    assert moment.tobytes() == optimizer.state[module.l0.weight]["m"].numpy().tobytes()


def test_a_model_of_a_trainer_goes_into_a_models_own_file(trained, tmp_path) -> None:
    """The service loads the generator alone, and it may be compressed by gzip."""
    own = npz_of(trained.net)
    (tmp_path / "gen.npz.gz").write_bytes(gzip.compress(own))
    module = trained.loaded()
    module.scale.data += 1
    trained.snapshot = tmp_path / "gen.npz.gz"
    found = arrays_in(back(trained, module.state_dict()).read_bytes())
    assert found.pop("scale").tobytes() == module.scale.detach().numpy().tobytes()
    assert same_bits(found, {name: array for name, array in arrays_in(own).items() if name != "scale"})


def test_an_untouched_trainer_comes_back_bit_for_bit(trained) -> None:
    notes = carry_back(
        trained.folder / "weights.safetensors",
        trained.snapshot,
        trained.folder / "new",
        optimizer=trained.folder / "optimizer.safetensors",
    )
    old, new = trained.snapshot.read_bytes(), (trained.folder / "new").read_bytes()
    assert same_bits(arrays_in(new), arrays_in(old))
    with zipfile.ZipFile(io.BytesIO(old)) as first, zipfile.ZipFile(io.BytesIO(new)) as second:
        assert first.namelist() == second.namelist()
        for name in first.namelist():
            assert first.read(name) == second.read(name)
    assert any(
        note.startswith("unchanged: updater/iteration, updater/iterator:main/current_position") for note in notes
    )


def test_python_objects_of_the_old_snapshot_are_copied_unopened(port, tmp_path) -> None:
    content = io.BytesIO(port.snapshot.read_bytes())
    with zipfile.ZipFile(content, "a") as archive:
        written = io.BytesIO()
        np.save(written, np.asarray(None), allow_pickle=True)
        archive.writestr("extensions/plot.npy", written.getvalue())
    port.snapshot.write_bytes(content.getvalue())
    new = back(port, port.loaded().state_dict())
    with zipfile.ZipFile(new) as archive:
        assert archive.read("extensions/plot.npy") == written.getvalue()


def test_hdf5_comes_back_as_hdf5(port, tmp_path) -> None:
    pytest.importorskip("h5py")
    from chainer.serializers import load_hdf5, save_hdf5

    save_hdf5(str(port.snapshot), port.net)
    module = port.loaded()
    module.l0.weight.data *= 2
    new = back(port, module.state_dict(), "new.h5")
    other = make_net(seed=5)
    load_hdf5(str(new), other)
    assert other.l0.W.array.tobytes() == module.l0.weight.detach().numpy().tobytes()
    assert other.tail[3].W.array.tobytes() == port.net.tail[3].W.array.tobytes()


def test_wrappers_of_torch_are_taken_off(port) -> None:
    state = port.loaded().state_dict()
    for wrapper in ("module.", "_orig_mod."):
        new = back(port, {wrapper + key: value for key, value in state.items()}, name="wrapped.pt")
        assert same_bits(arrays_in(new.read_bytes()), arrays_in(port.snapshot.read_bytes()))


def test_what_cannot_go_back_is_refused(port, tmp_path) -> None:
    import torch

    module = port.loaded()

    def refusal(state, **options) -> str:
        with pytest.raises(CarryError) as raised:
            back(port, state, name="given.pt", **options)
        assert not (tmp_path / "new.npz").exists()
        return str(raised.value).replace(str(tmp_path), "")

    state = module.state_dict()
    expected = "expected the state dict of the ported module: torch.save(model.state_dict(), path)"
    assert refusal({k: v for k, v in state.items() if k != "scale"}) == f"/port/given.pt: lacks scale; {expected}"
    assert (
        refusal(state | {"k": state["scale"]}) == f"/port/given.pt: has k, which the snapshot cannot hold; {expected}"
    )
    assert refusal(state | {"scale": torch.ones(3)}) == (
        "/port/given.pt: scale is [3], and [2] in the snapshot; give the state dict of the ported module, "
        "and the snapshot that was ported"
    )
    assert refusal(state | {"scale": torch.ones(2).double()}) == (
        "/port/given.pt: scale is float64, which float32 of the snapshot would round; "
        "convert the model first, such as by model.float()"
    )
    assert refusal({"scale": Fraction(1, 2)}) == (
        "/port/given.pt: is damaged, or holds more than tensors, which is never opened; "
        "save it with torch.save(model.state_dict(), path)"
    )
    assert refusal(torch.ones(1)).startswith("/port/given.pt: is no state dict; save it with")
    assert refusal(state, prefix="gen") == (
        "/snapshot: holds nothing under gen; the model may be under /; correct --snapshot-prefix"
    )
    assert refusal(state, optimizer=port.folder / "weights.pt") == (
        "/snapshot: holds no optimiser; give a trainer's snapshot, or the file of the optimiser"
    )
    (port.folder / "names.json").unlink()
    assert (
        refusal(state)
        == "/port/names.json: there is no such file of names; give the port's names.json, or put it there"
    )
    (port.folder / "names.json").write_text('{"arrays": 3}')
    assert refusal(state) == "/port/names.json: does not hold the names of a port; give the port's own names.json"


def test_no_file_is_overwritten_by_its_own_successor(port) -> None:
    weights = port.folder / "weights.safetensors"
    old = port.snapshot.read_bytes()
    for out in (port.snapshot, weights):
        with pytest.raises(CarryError, match="would be overwritten; choose another file with --out"):
            carry_back(weights, port.snapshot, out)
    assert port.snapshot.read_bytes() == old


def test_half_precision_is_widened_exactly(port) -> None:
    import torch

    state = port.loaded().state_dict()
    for dtype in (torch.float16, torch.bfloat16):
        half = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
        found = arrays_in(back(port, half).read_bytes())["scale"]
        assert found.dtype == np.float32
        assert found.tobytes() == half["scale"].float().numpy().tobytes()


def test_an_array_that_is_tied_in_chainer_must_be_tied_in_torch(tmp_path) -> None:
    chainer = chainer_modules()
    layer = chainer.links.Linear(2, 2)
    link = chainer.Chain(a=layer, b=layer)
    port = Port(tmp_path, link, npz_of(link))
    import torch

    state = torch.load(port.folder / "weights.pt", weights_only=True)
    assert sorted(state) == ["a.bias", "a.weight", "b.bias", "b.weight"]
    back(port, state)
    with pytest.raises(CarryError, match=r"b\.weight differs from a/W, which is the same array in Chainer; tie them"):
        back(port, state | {"b.weight": state["b.weight"] + 1})


def test_an_optimizer_that_never_ran_gains_its_moments(tmp_path) -> None:
    import torch

    chainer = chainer_modules()
    net = make_net()
    optimizer = chainer.optimizers.Adam().setup(net)
    (tmp_path / "fresh.npz").write_bytes(npz_of(optimizer))
    port = Port(tmp_path, net, npz_of(net))
    other = chainer.optimizers.Adam().setup(net)
    step(net, other, 0)
    state = arrays_in(npz_of(other))
    keys = {array.chainer_path: array.torch_key for array in arrays_of(net)}
    flat = {
        f"{keys[n.rpartition('/')[0]]}/{n.rpartition('/')[2]}" if "/" in n else n: torch.tensor(a)
        for n, a in state.items()
    }
    torch.save(flat, port.folder / "optimizer.pt")
    carry_back(None, tmp_path / "fresh.npz", tmp_path / "new.npz", optimizer=port.folder / "optimizer.pt")
    assert same_bits(arrays_in((tmp_path / "new.npz").read_bytes()), state)


def test_a_damaged_file_is_refused_or_read_and_raises_nothing_else(port, tmp_path) -> None:
    generator = np.random.default_rng(0)
    files = [port.snapshot, port.folder / "weights.safetensors", port.folder / "weights.pt", port.folder / "names.json"]
    refused = 0
    for number in range(200):
        path = files[number % len(files)]
        whole = path.read_bytes()
        damaged = bytearray(whole)
        place = int(generator.integers(min(len(whole), 400 if number % 2 else len(whole))))
        damaged[place : place + int(generator.integers(1, 20))] = generator.bytes(int(generator.integers(0, 20)))
        path.write_bytes(damaged)
        weights = port.folder / ("weights.safetensors" if path.suffix == ".safetensors" else "weights.pt")
        try:
            carry_back(weights, port.snapshot, tmp_path / "new.npz")
        except CarryError:
            refused += 1
        path.write_bytes(whole)
    assert refused > 100
