"""Sweeps, data and start-up, as `ganspec bench` measures them. No time is asserted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ganspec.tools.__main__ import main as ganspec
from ganspec.tools.benchmarks import (
    data_path,
    machine,
    start_up,
    sweep,
)
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.errors import AGREED, UserError

SMALL = Request("wgan_gp_mlp_mnist", "torch", reduced=True, threads=1)


def test_setting_of_a_sweep_is_read_with_its_brackets():
    assert sweep.setting_of("batch=16,32") == sweep.Setting("run.batch", ("16", "32"))
    assert sweep.setting_of("data.shape=[1, 8, 8], [1, 16, 16]").values == ("[1, 8, 8]", "[1, 16, 16]")
    both = sweep.setting_of("networks.G.n+networks.D.n=4,8")
    assert both.settings("4") == ["networks.G.n=4", "networks.D.n=4"]


@pytest.mark.usefixtures("both_backends", "here")
def test_sweep_measures_every_value_and_draws_it(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    file, picture = tmp_path / "s.json", tmp_path / "s.png"
    given = [
        "bench",
        "gan_mlp_mnist",
        "--reduced",
        "--backend",
        "torch",
        "--rounds",
        "1",
        "--iterations",
        "1",
        "--sweep",
        "batch=2,4",
    ]
    assert ganspec([*given, "--plot", str(picture), "--json", str(file)]) == AGREED
    points = json.loads(file.read_text("utf-8"))["points"]
    assert [(point["value"], point["batch"]) for point in points] == [("2", 2), ("4", 4)]
    assert points[1]["operations"] == 2 * points[0]["operations"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [row.split()[2] for row in capsys.readouterr().out.splitlines()] == ["setting", "run.batch=2", "run.batch=4"]


def test_data_of_the_user_are_read_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data_path, "in_fresh_process", lambda function, *given, **_: function(*given))
    monkeypatch.setattr(data_path, "_BATCH_SECONDS", 0.0)
    np = pytest.importorskip("numpy")
    path = tmp_path / "pictures.npy"
    np.save(path, np.zeros((20, 28, 28, 1), np.uint8))
    file = tmp_path / "d.json"
    given = ["bench", "--data", str(path), "--batch", "8", "--rounds", "1", "--json", str(file)]
    assert ganspec(given) == AGREED
    found = json.loads(file.read_text("utf-8"))["readings"]
    assert [(each["name"], each["images"], each["shape"]) for each in found] == [
        ("pictures.npy", 20, [1, 28, 28]), ("pictures.npy", 20, [1, 28, 28]), ("pictures.npy, cached", 20, [1, 28, 28])
    ]  # fmt: skip
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_digits_are_written_in_every_format(tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    monkeypatch.setattr(data_path, "_COUNTS", {"digits": 5, "faces": 3})
    monkeypatch.setattr(data_path, "_COPIES", 2)
    monkeypatch.setattr(data_path, "_BATCH_SECONDS", 0.0)
    read = {}
    for source in data_path._written(tmp_path):
        small = replace(source, settings=(*source.settings, "run.batch=2"))
        found = data_path.measure(small, 1, 1, tmp_path / "cache" if source.cached else None)
        read[source.name] = (found.images, found.shape)
    digits, faces = (5, (1, 28, 28)), (3, (3, 64, 64))
    assert read == {
        "IDX": digits, "IDX, gzip": digits, "IDX, cached": digits, "folder of PNG 28x28": digits, "zip of PNG 28x28": digits,
        "folder of PNG 28x28, cached": digits, "folder of JPEG 218x178": faces, "zip of JPEG 218x178": faces,
        "folder of JPEG 218x178, cached": faces, "many of these": (6, (3, 64, 64)),
    }  # fmt: skip


@pytest.mark.usefixtures("both_backends", "here")
def test_start_up_tells_when_each_part_was_done(capsys):
    start_up.tell(json.dumps({"system": SMALL.system, "backend": "torch", "reduced": True, "settings": []}), [1.0, 2.0])
    marks = json.loads(capsys.readouterr().out)
    assert len(marks) == len(start_up.PARTS)
    assert marks == sorted(marks)


def test_start_up_adds_its_parts_up(monkeypatch):
    said = json.dumps([1e12 + 0.5 * i for i in range(len(start_up.PARTS))])
    monkeypatch.setattr(start_up, "_started", lambda words: type("Done", (), {"stdout": f"a line\n{said}\n"}))
    monkeypatch.setattr(start_up.time, "time", lambda: 1e12 - 0.25)
    found = start_up._by_part(SMALL, 1)
    assert found.parts == {part: 0.25 if part == "python" else 0.5 for part in start_up.PARTS}
    assert found.seconds == (0.25 + 0.5 * 7,)


def test_program_that_fails_at_start_up_is_no_time():
    with pytest.raises(UserError, match=r"^a program that was timed ended with 3: no luck$"):
        start_up._started(["-S", "-c", "import sys; print('no luck', file=sys.stderr); sys.exit(3)"])


def test_machine_is_described_without_its_name(backend, monkeypatch):
    import platform

    monkeypatch.setattr(machine, "processors", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    found = machine.machine(Request("s", backend))
    assert found["threads"] == (pytest.importorskip("torch").get_num_threads() if backend == "torch" else 3)
    assert platform.node() not in [str(value) for value in found.values()]
    assert machine.same_machine(found, dict(found))
    assert not machine.same_machine(found, {**found, "cpu": "another"})
