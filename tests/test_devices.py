"""Devices by number: how they are written, and what is said where one is not there. No test here needs a GPU."""

import argparse
import json

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.options import check_device, device_number, is_device, missing_device
from ganspec.spec.training.record import FORMAT, RunError, read_record
from ganspec.tools import backends
from ganspec.tools.programs import options
from support.programs import here

RIGHT = {"cpu": None, "cuda": None, "cuda:0": 0, "cuda:7": 7, "cuda:10": 10}
WRONG = [
    "",
    "cpu:0",
    "cuda:",
    "cuda:-1",
    "cuda:01",
    "cuda:1000",
    "cuda:1 ",
    "CUDA",
    "gpu",
    "cuda:٣",
    "cuda:0\n",
    None,
    0,
]


@pytest.mark.parametrize("device", RIGHT)
def test_a_device_is_read(device):
    check_device(device)
    assert device_number(device) == RIGHT[device]
    assert options.device(device) == device
    usual = "host" if device == "cpu" else "device"
    other, record = ("device" if usual == "host" else "host"), {"device": device}
    assert options.settled_draws(None, device, {}) == usual
    assert options.settled_draws(other, device, record | {"draws": usual}) == other
    assert options.settled_draws(None, device, record | {"draws": other}) == other, "a resumed run goes on as before"
    assert options.settled_draws(None, device, {"device": "cuda:9", "draws": other}) == usual, "but on another device"


@pytest.mark.parametrize("device", WRONG, ids=repr)
def test_a_wrong_device_is_refused(device):
    assert not is_device(device)
    with pytest.raises(ValueError, match="expected one of 'cpu', 'cuda', 'cuda:N', where N counts from 0"):
        check_device(device)
    if isinstance(device, str):
        with pytest.raises(argparse.ArgumentTypeError, match="expected cpu, cuda or cuda:N, found"):
            options.device(device)


@pytest.mark.parametrize(
    ("device", "count", "message"),
    [
        ("cpu", 0, ""),
        ("cuda", 1, ""),
        ("cuda:0", 1, ""),
        ("cuda:3", 4, ""),
        ("cuda", 0, "Chainer finds no CUDA device; use --device cpu, or install CuPy"),
        ("cuda:2", 0, "Chainer finds no CUDA device; use --device cpu, or install CuPy"),
        ("cuda:1", 1, "Chainer finds no cuda:1: there is one CUDA device, cuda:0"),
        ("cuda:4", 4, "Chainer finds no cuda:4: there are 4 CUDA devices, cuda:0 to cuda:3"),
    ],
)
def test_the_message_says_which_devices_there_are(device, count, message):
    assert missing_device("Chainer", device, count, "install CuPy") == message


def test_pytorch_counts_its_devices(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(backends.load("torch").DeviceError, match="PyTorch finds no cuda:2: there are 2 CUDA devices"):
        backends.load("torch").ArrayContext("cuda:2", "float32")
    assert backends.load("torch").ArrayContext("cuda:1", "float32").device == "cuda:1"


def test_cupy_counts_its_devices_and_computes_on_the_one_that_is_asked_for(monkeypatch):
    backend = backends.load("chainer")  # which makes Chainer import on a current NumPy
    chainer = pytest.importorskip("chainer")
    used = []

    class CuPy:
        """As much of CuPy as a context of arrays asks for; nothing is computed."""

        class cuda:
            class runtime:
                getDeviceCount = staticmethod(lambda: 2)

            class Device:
                def __init__(self, number):
                    self.number = number

                def use(self):
                    used.append(self.number)

    monkeypatch.setattr(chainer.backends.cuda, "available", True)
    monkeypatch.setattr(chainer.backends.cuda, "cupy", CuPy)
    with pytest.raises(backend.DeviceError, match="Chainer finds no cuda:2: there are 2 CUDA devices"):
        backend.ArrayContext("cuda:2", "float32")
    assert backend.ArrayContext("cuda", "float32").xp is CuPy
    assert used == [], "without a number the current device stays"
    assert backend.ArrayContext("cuda:1", "float32").xp is CuPy
    assert used == [1]
    assert backend.ArrayContext("cpu", "float32").xp is np


def test_a_program_says_that_there_is_no_such_device(backend, capsys):
    if backend == "torch" and backends.load("torch").arrays.torch.cuda.is_available():
        pytest.skip("there is a device")
    assert here("train", "began_mnist", "--backend", backend, "--device", "cuda:1") == 2
    assert "finds no CUDA device; use --device cpu" in capsys.readouterr().err


def test_a_record_has_a_device_by_number(tmp_path):
    record = {
        "format": FORMAT,
        "system": "began_mnist",
        "settings": [],
        "data": "",
        "backend": "torch",
        "device": "cuda:1",
    }
    record |= {"dtype": "float32", "draws": "host", "seed": 0}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert read_record(tmp_path)["device"] == "cuda:1"
    (tmp_path / "run.json").write_text(json.dumps({**record, "device": "cuda:x"}))
    with pytest.raises(RunError, match="device: expected one of cpu, cuda, cuda:N, found 'cuda:x'"):
        read_record(tmp_path)


def test_the_reference_computes_on_the_cpu_alone():
    reference = backends.load("reference")
    with pytest.raises(reference.DeviceError, match="computes on the CPU alone"):
        reference.Trainer(load_system("began_mnist", reduced=True), 0, device="cuda:1")
