"""Events for TensorBoard: they are the log, no iteration is there twice, and a run remembers that it writes them."""

import importlib.util
import json
import math
import shutil
import struct

import numpy as np
import pytest

from ganspec.tools.run import album
from ganspec.tools.run.log import read_log
from support.programs import SMALL, here

for package in ("tensorboardX", "torch", "PIL"):
    pytest.importorskip(package)


def crc32c(content):
    """Returns: the CRC-32C of RFC 3720, bit by bit, as TFRecord files mask it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(run, *, check=False):
    """Returns: the events of all event files in the order of their names, and the checksums compared where asked for."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((run / "tensorboard").iterdir()):
        content = path.read_bytes()
        while content:
            length, of_length = struct.unpack_from("<QI", content)
            body, (of_body,) = content[12 : 12 + length], struct.unpack_from("<I", content, 12 + length)
            if check:
                assert (of_length, of_body) == (crc32c(content[:8]), crc32c(body))
            found.append(Event.FromString(body))
            content = content[16 + length :]
    return found


def scalars(run):
    """Returns: for each tag of a scalar its iterations and values, in the order of the files."""
    found = {}
    for event in events(run):
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def pictures(run):
    return [(v.tag, e.step) for e in events(run) for v in e.summary.value if v.WhichOneof("value") == "image"]


def same_as_log(run):
    """Check that every column of the log is there, each iteration once."""
    columns, table = read_log(run / "log.csv")
    found = scalars(run)
    for i, name in enumerate(columns[1:], 1):
        wanted = [(int(row[0]), np.float32(row[i])) for row in table if not math.isnan(row[i])]
        assert found[name] == wanted, name
    return True


@pytest.fixture(autouse=True)
def without_plots(monkeypatch):
    """Leave out the plots of the log, which take most of the time."""
    monkeypatch.setattr(album, "missing_packages", lambda: ["matplotlib"])


@pytest.fixture(scope="module")
def with_events(finished, tmp_path_factory):
    """Returns: the folder of a run of 8 iterations with events; its checkpoints are those of 0, 7 and 8."""
    out = tmp_path_factory.mktemp("events") / "run"
    arguments = ["--data", finished.parent / "images.npz", "--out", out, "--iterations", 8, "--tensorboard"]
    assert here("train", "wgan_gp_mlp_mnist", *SMALL, *arguments) == 0
    return out


@pytest.fixture
def watched(with_events, tmp_path):
    """Returns: a copy of it."""
    return shutil.copytree(with_events, tmp_path / "watched")


def test_events_are_the_log_and_the_pictures(watched):
    assert same_as_log(watched)
    assert pictures(watched) == [("real", 0), ("samples", 0), ("samples", 8)]
    rates = scalars(watched)["learning_rate_G"]
    assert [step for step, _ in rates] == [0, 7, 8]
    assert rates[0][1] == np.float32(1e-4)
    image = next(v.image for e in events(watched, check=True) for v in e.summary.value if v.tag == "samples")
    assert image.encoded_image_string == (watched / "samples" / "00000000.png").read_bytes()
    assert (image.width, image.height) == struct.unpack(">II", image.encoded_image_string[16:24])


def test_a_killed_run_goes_on_without_an_iteration_twice(watched):
    # As killed after iteration 8, in the middle of an event, the newest checkpoint being that of 7.
    (watched / "checkpoints" / "00000008.safetensors").unlink()
    (path,) = (watched / "tensorboard").iterdir()
    path.write_bytes(path.read_bytes() + struct.pack("<QI", 500, 7) + b"torn")
    assert here("train", "--resume", watched, "--iterations", 10) == 0
    assert same_as_log(watched)
    assert pictures(watched) == [("real", 0), ("samples", 0), ("samples", 10)]
    starts = [e.step for e in events(watched) if e.WhichOneof("what") == "session_log"]
    assert starts == [1, 8], "a TensorBoard that looks on forgets what came after the checkpoint"
    assert json.loads((watched / "run.json").read_text())["tensorboard"] is True


def test_a_run_that_turns_to_tensorboard_later_gets_its_past(run):
    assert here("train", "--resume", run, "--iterations", 9) == 0
    assert not (run / "tensorboard").exists()
    assert here("train", "--resume", run, "--iterations", 10, "--tensorboard") == 0
    assert same_as_log(run)
    assert pictures(run) == [("real", 0), ("samples", 0), ("samples", 8), ("samples", 9), ("samples", 10)]
    # Without it for an iteration, and with it again.
    assert here("train", "--resume", run, "--iterations", 11, "--no-tensorboard") == 0
    assert scalars(run)["epoch"][-1][0] == 10
    assert here("train", "--resume", run, "--iterations", 12) == 0
    assert scalars(run)["epoch"][-1][0] == 10
    assert here("train", "--resume", run, "--iterations", 13, "--tensorboard") == 0
    assert same_as_log(run)


def test_figures_of_different_protocols_have_different_tags_and_stand_there_once(watched):
    lines = [(3, 2.5, "digits"), (6, 1.5, "digits"), (6, 40.0, "inception")]
    text = [{"iteration": i, "metric": "fid", "value": v, "protocol": {"extractor": e}} for i, v, e in lines]
    (watched / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in text))
    for end in (9, 10):
        assert here("train", "--resume", watched, "--iterations", end) == 0
    found = scalars(watched)
    assert found["metrics/fid"] == [(3, 2.5), (6, 1.5)]
    assert found["metrics/fid (protocol 2)"] == [(6, 40.0)]
    said = [v.metadata.summary_description for e in events(watched) for v in e.summary.value if "fid" in v.tag]
    assert said[-1] == 'protocol: `{"extractor": "inception"}`'


def test_without_the_package_a_run_is_refused_and_goes_on_without_it(watched, images, tmp_path, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "tensorboardX" else real(name, *a)
    )
    message = (
        "--tensorboard: tensorboardX is missing; install with: pip install 'ganspec[tensorboard]', "
        "or go on without: --no-tensorboard\n"
    )
    out = tmp_path / "new"
    assert here("train", "wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", out, "--tensorboard") == 2
    assert capsys.readouterr().err.endswith(message)
    assert not out.exists()
    assert here("train", "--resume", watched, "--iterations", 9) == 2
    assert capsys.readouterr().err == message
    assert here("train", "--resume", watched, "--iterations", 9, "--no-tensorboard") == 0
    assert json.loads((watched / "run.json").read_text())["tensorboard"] is False


def test_what_stands_in_the_way_of_events_is_said(watched, capsys):
    record = json.loads((watched / "run.json").read_text())
    (watched / "run.json").write_text(json.dumps({**record, "tensorboard": "yes"}))
    assert here("train", "--resume", watched, "--iterations", 9) == 2
    assert "run.json: tensorboard: expected true or false, found 'yes'; correct it" in capsys.readouterr().err
    (watched / "run.json").write_text(json.dumps(record))
    (path,) = (watched / "tensorboard").iterdir()
    path.unlink()
    path.mkdir()
    assert here("train", "--resume", watched, "--iterations", 9) == 2
    assert f"{path}: cannot be read: Is a directory; move it away" in capsys.readouterr().err
    path.rmdir()
    (watched / "tensorboard").rmdir()
    (watched / "tensorboard").write_text("")
    assert here("train", "--resume", watched, "--iterations", 9) == 2
    error = capsys.readouterr().err
    assert "tensorboard: is not a folder, as a run has one there; move it away" in error


def test_damaged_events_end_where_the_damage_begins(watched):
    (path,) = (watched / "tensorboard").iterdir()
    content = path.read_bytes()
    first = 16 + struct.unpack_from("<Q", content)[0]
    path.write_bytes(content[: first + 12] + b"\xff" * (len(content) - first - 12))
    assert here("train", "--resume", watched, "--iterations", 9) == 0
    assert same_as_log(watched), "what was lost is made of the log again"
