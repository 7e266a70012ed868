"""`ganspec evaluate`: figures with their protocols, what is compared and what is not, and the messages for wrong input."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools.data import embedded_digits, load
from ganspec.tools.quality.comparing import best_match, comparison
from ganspec.tools.quality.figures import Figure, append_figures, read_figures
from support.programs import SMALL, here

GOLDEN = tomllib.loads((Path(__file__).parent / "evaluate_messages.toml").read_text())
OURS = ["--metrics", "precision,recall,density,coverage"]


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns: the folder of a run of 4 iterations on 60 digits, which nobody may change."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("digits")
    digits = load(embedded_digits(), shape=(1, 28, 28), fit="exact")
    np.savez(folder / "digits.npz", images=digits.images[:60, 0], labels=digits.labels[:60])
    sizes = ("networks.G.size=28", "networks.D.size=28", "data.shape=[1,28,28]", "run.checkpoint_every=2")
    fitted = [word for setting in sizes for word in ("--set", setting)]
    asked = [*SMALL, *fitted, "--data", folder / "digits.npz", "--out", folder / "run", "--iterations", 4]
    assert here("train", "wgan_gp_mlp_mnist", *asked) == 0
    return folder / "run"


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """Returns: a folder with the same run."""
    for name in ("run.json", "log.csv"):
        (tmp_path / name).write_bytes((digits_run / name).read_bytes())
    (tmp_path / "checkpoints").symlink_to(digits_run / "checkpoints")
    return tmp_path


def test_figures_of_every_checkpoint_are_printed_and_kept(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert here("evaluate", run, *OURS, "--n", 30, "--checkpoint", "all", "--json") == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kept = read_figures(run / "metrics.jsonl")
    assert [(p["iteration"], p["metric"], p["value"]) for p in printed] == [
        (f.iteration, f.metric, f.value) for f in kept
    ]
    names = ["precision", "recall", "density", "coverage", "diversity", "classes", "class_entropy"]
    assert [(f.iteration, f.metric) for f in kept] == [(i, name) for i in (0, 2, 4) for name in names]
    protocol = kept[0].protocol
    assert (protocol["extractor"], protocol["samples"], protocol["images"]) == ("digits", 30, 30)
    assert {
        "extractor_sha256",
        "resize",
        "data",
        "seed",
        "weights",
        "density_neighbours",
        "ganspec_version",
    } <= protocol.keys()


def test_the_same_protocol_gives_the_same_figures_and_compares_them(
    run: Path, capsys: pytest.CaptureFixture[str], both_backends: None
) -> None:
    asked = ["evaluate", run, *OURS, "--n", 30]
    assert here(*asked) == 0
    first = read_figures(run / "metrics.jsonl")
    assert here(*asked, "--backend", "chainer") == 0
    second = read_figures(run / "metrics.jsonl")[len(first) :]
    for one, other in zip(first, second, strict=True):
        assert one.protocol == other.protocol
        assert one.value == pytest.approx(other.value, abs=0.05)
    out = capsys.readouterr().out
    assert f"higher is better; iteration 4: {first[0].value:.6g}\n" in out
    assert "not comparable" not in out


def test_another_protocol_is_named_instead_of_compared(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert here("evaluate", run, *OURS, "--n", 30) == 0
    assert here("evaluate", run, *OURS, "--n", 40, "--seed", 1, "--no-record") == 0
    out = capsys.readouterr().out
    assert "not comparable: samples 30 there, 40 here, images 30 there, 40 here, seed 0 there, 1 here, " in out
    assert len({f.protocol["samples"] for f in read_figures(run / "metrics.jsonl")}) == 1


def test_fid_and_its_like_by_torchmetrics(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchmetrics")
    assert here("evaluate", run, "--metrics", "fid,kid,is", "--n", 50, "--against", run / "x") == 2
    assert here("evaluate", run, "--metrics", "fid,kid,is", "--n", 50) == 0
    values = {f.metric: f for f in read_figures(run / "metrics.jsonl")}
    assert values["fid"].value > 1
    assert 1 <= values["is"].value <= 10
    assert values["kid"].protocol["kid_subset"] == 50
    assert "torchmetrics_version" in values["fid"].protocol
    assert "lower is better" in capsys.readouterr().out


def test_versions_alone_do_not_forbid_comparing_but_are_noted() -> None:
    old = Figure(1, "fid", 2.5, {"samples": 10, "torch_version": "2.9"})
    assert comparison(Figure(2, "fid", 2.0, {"samples": 10, "torch_version": "2.9"}), old) == "2.5"
    new = Figure(2, "fid", 2.0, {"samples": 10, "torch_version": "2.10"})
    assert comparison(new, old) == "2.5 (other versions: torch)"
    other = Figure(2, "fid", 2.0, {"samples": 20, "torch_version": "2.9"})
    assert comparison(other, old) == "not comparable: samples 10 there, 20 here"
    assert best_match(new, [old, other]) is old
    assert best_match(new, [Figure(1, "kid", 2.5, new.protocol)]) is None


# Words of the command line after RUN.
WRONG = {
    "unknown metric": ["--metrics", "fdi"],
    "too few images": ["--metrics", "recall", "--n", "5"],
    "too many samples": ["--n", "1000001"],
    "no such checkpoint": ["--metrics", "recall", "--checkpoint", "3"],
    "unknown extractor": ["--metrics", "recall", "--extractor", "inseption"],
    "no average": ["--metrics", "recall", "--n", "30", "--weights", "averaged"],
    "weights of another extractor": ["--metrics", "recall", "--extractor", "digits", "--extractor-weights", "x"],
    "no torchmetrics": ["--metrics", "fid"],
    "nothing to compare with": ["--metrics", "recall", "--against", "RUN"],
    "no digits": ["--metrics", "recall", "--data", "NOISE"],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_answered(
    name: str, run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    np.savez(run / "noise.npz", images=noise, labels=np.arange(40) % 10)
    if name == "no torchmetrics":
        monkeypatch.setitem(sys.modules, "torchmetrics.image.fid", None)
    if name != "nothing to compare with":
        append_figures(run / "metrics.jsonl", [Figure(0, "fid", 1.0, {})])
    before = (run / "metrics.jsonl").read_bytes() if (run / "metrics.jsonl").exists() else None
    places = {"RUN": str(run), "NOISE": str(run / "noise.npz")}
    assert here("evaluate", run, *(places.get(word, word) for word in WRONG[name])) == 2
    printed = capsys.readouterr()
    assert printed.err.replace(str(run), "RUN") == GOLDEN[name]
    assert "  recall" not in printed.out
    assert before is None or (run / "metrics.jsonl").read_bytes() == before


def test_every_message_has_its_input() -> None:
    assert GOLDEN.keys() == WRONG.keys()


def test_data_that_moved_are_asked_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"data": str(run / "gone.npz")}))
    assert here("evaluate", run, *OURS) == 2
    assert "the data that the run was trained on; give their place with --data PATH" in capsys.readouterr().err
