"""`ganspec evaluate`: figures with their protocols, what is compared and what is not, and the messages for wrong input."""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools.data import embedded_digits, load
from ganspec.tools.errors import UserError
from ganspec.tools.quality.comparing import best_match, comparison, differing_keys, incomparable
from ganspec.tools.quality.figures import LOWER_IS_BETTER, Figure, append_figures, read_figures
from ganspec.tools.quality.labels import check_names
from ganspec.tools.quality.meter import Meter
from ganspec.tools.sampling.generator import opened
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
    (line,) = [line for line in out.splitlines() if "not comparable" in line]  # once, not in each row
    features, all_of_them = "precision, recall, density, coverage", "precision, recall, density, coverage, diversity"
    assert line == (
        f"not comparable with iteration 4: {all_of_them}, classes, class_entropy: "
        f"samples 30 there, 40 here ({features}, classes, class_entropy); images 30 there, 40 here ({features}); "
        "seed 0 there, 1 here; diversity_samples 30 there, 40 here (diversity); diversity_images 30 there, 40 here (diversity)"
    )
    assert "is better;" not in out
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
    assert comparison(other, old) is None
    assert list(incomparable([(other, old), (new, None)])) == [
        "not comparable with iteration 1: fid: samples 10 there, 20 here"
    ]
    assert best_match(new, [old, other]) is old
    assert best_match(new, [Figure(1, "kid", 2.5, new.protocol)]) is None


def test_only_keys_that_concern_a_metric_forbid_comparing() -> None:
    protocol = {"samples": 600, "images": 600, "extractor": "digits", "diversity_samples": 500, "kid_subset": 600}
    other = protocol | {"samples": 700, "kid_subset": 700, "is_parts": 5, "density_neighbours": 6}
    differing = {m: differing_keys(Figure(1, m, 1.0, other), Figure(1, m, 1.0, protocol))[0] for m in LOWER_IS_BETTER}
    assert differing == {
        "fid": ["samples"],
        "kid": ["samples", "kid_subset"],
        "is": ["samples", "is_parts"],
        "precision": ["samples"],
        "recall": ["samples"],
        "density": ["samples", "density_neighbours"],
        "coverage": ["samples", "density_neighbours"],
        "diversity": [],
        "classes": ["samples"],
        "class_entropy": ["samples"],
    }


def test_images_concern_the_classes_of_samples_only_by_their_labels() -> None:
    for labels, differing in (({}, []), ({"labels": "of the images"}, ["data"])):
        one, two = (Figure(1, "classes", 3.0, labels | {"data": data}) for data in ("a", "b"))
        assert differing_keys(one, two)[0] == differing


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


@pytest.fixture(scope="module")
def conditional_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns: the folder of a conditional run on digits of three classes, which nobody may change."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("conditional")
    digits = load(embedded_digits(), shape=(1, 28, 28), fit="exact")
    few = np.flatnonzero(digits.labels < 3)[:60]
    np.savez(folder / "three.npz", images=digits.images[few, 0], labels=digits.labels[few])
    sevens = np.flatnonzero(digits.labels == 7)[:40]
    np.savez(folder / "sevens.npz", images=digits.images[sevens, 0], labels=digits.labels[sevens])
    np.savez(folder / "all.npz", images=digits.images[:60, 0], labels=digits.labels[:60])
    np.savez(folder / "unlabelled.npz", images=digits.images[few, 0])
    ones = few[digits.labels[few] == 1]
    np.savez(folder / "ones.npz", images=digits.images[ones, 0], labels=digits.labels[ones])
    small = ["networks.G.width=6", "networks.G.latent=3", "networks.D.width=5", "run.batch=4", "constants.labels=3"]
    asked = ["--data", folder / "three.npz", "--out", folder / "run", "--iterations", 1]
    assert here("train", "cgan_mlp_mnist", *(f"--set={setting}" for setting in small), *asked) == 0
    return folder / "run"


def evaluate_on(run: Path, data: str, *more: str) -> int:
    path = run.parent / data
    return here("evaluate", run, "--metrics", "coverage", "--n", 20, "--no-record", "--json", "--data", path, *more)


@pytest.mark.parametrize(
    ("data", "found"), [("sevens.npz", "the label 7"), ("all.npz", "labels from 0 to 9")], ids=["sevens", "all"]
)
def test_labels_that_g_does_not_have_are_refused(
    data: str, found: str, conditional_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_on(conditional_run, data, "--extractor", "digits") == 2
    said = capsys.readouterr()
    wanted = f"has {found}, and G of cgan_mlp_mnist has the classes 0 to 2; give images of these classes, labelled as in training"
    assert wanted in said.err
    assert said.out == ""


def test_g_is_given_the_labels_of_the_images(conditional_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = opened(conditional_run)
    data = load(conditional_run.parent / "ones.npz", shape=(1, 28, 28), fit="exact")
    meter = Meter(run.system, data, None, [], 12, seed=0)
    assert [each.tolist() for each in meter.inputs if each.dtype == np.int64] == [[1] * 12]
    assert meter.protocol["labels"] == "of the images"
    assert evaluate_on(conditional_run, "unlabelled.npz", "--extractor", "digits") == 0
    said = capsys.readouterr()
    assert "note: the images have no labels, so G is given each of its classes in turn" in said.err
    assert {json.loads(line)["protocol"]["labels"] for line in said.out.splitlines()} == {"each class in turn"}


def test_other_names_of_classes_are_refused_and_absent_ones_said(conditional_run: Path) -> None:
    system = opened(conditional_run).system
    plain = load(conditional_run.parent / "three.npz", shape=(1, 28, 28), fit="exact")
    named = replace(plain, classes=("one", "two", "zero"))
    with pytest.raises(
        UserError, match="its classes are 0 one, 1 two, 2 zero, and those of the run 0 a, 1 b, 2 c; G would"
    ):
        check_names(system, named, ["a", "b", "c"])
    assert check_names(system, named, ["one", "two", "zero"]) is None
    assert check_names(system, plain, []) is None
    assert check_names(system, plain, ["a", "b", "c"]) == (
        "the labels of the images have no names; they are taken for the run's: 0 a, 1 b, 2 c"
    )
    assert "have no names; the images' are taken for them: 0 one" in str(check_names(system, named, []))


def test_without_an_extractor_the_diversity_is_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    np.savez(run / "pictures.npz", images=noise, labels=np.arange(40) % 4)
    asked = ["evaluate", run, "--data", run / "pictures.npz", "--n"]
    assert here(*asked, 30) == 0
    printed = capsys.readouterr()
    assert "note: only the diversity is measured, for without an extractor there is no fid: by default" in printed.err
    assert "Say what compares them: --extractor inception" in printed.err
    (figure,) = read_figures(run / "metrics.jsonl")
    assert figure.metric == "diversity"
    assert 0 <= figure.value < 1
    assert "extractor" not in figure.protocol
    assert here(*asked, 30, "--extractor", "digits", *OURS) == 0  # the same diversity, by the same protocol
    assert (
        f"  diversity     {figure.value:>12.6g}   higher is better; iteration 4: {figure.value:.6g}"
        in capsys.readouterr().out
    )
    assert here(*asked, 1) == 2
    assert (
        "diversity needs at least 2 samples and 2 images, and there are 1 and 1; give more" in capsys.readouterr().err
    )
