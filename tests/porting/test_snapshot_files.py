"""Every kind of file that Chainer wrote is read bit for bit; every other one is refused, and nothing in it is run."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools.porting import snapshot_files
from ganspec.tools.porting.carry_errors import CarryError
from ganspec.tools.porting.names import arrays_of, values_of
from ganspec.tools.porting.snapshot_files import open_snapshot
from ganspec.tools.porting.snapshots import read_model
from support.old_models import chainer_modules, make_net, npz_of, same_bits


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
