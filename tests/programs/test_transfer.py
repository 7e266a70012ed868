"""A run that starts with the weights of another: what is taken, what is named as left out, and what is refused."""

import json

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.checkpoint import read_checkpoint
from ganspec.spec.training.checkpoint import read_record as read_header
from ganspec.spec.training.state import initial_state
from support.programs import SMALL, here

pytestmark = pytest.mark.usefixtures("no_pictures")

SYSTEM = "wgan_gp_mlp_mnist"
AVERAGED = ["--set", "averages.G=0.5"]
WIDER = ["--set", "networks.D.width=6", *AVERAGED]


@pytest.fixture
def first(images, tmp_path, backend):
    """Returns: the folder of a run of 7 iterations that keeps an average of G."""
    out = tmp_path / "first"
    words = ["--data", images, "--out", out, "--backend", backend, *SMALL, *AVERAGED]
    assert here("train", SYSTEM, *words, "--iterations", 7) == 0
    return out


def arrays(run, iteration):
    return read_checkpoint(run / "checkpoints" / f"{iteration:08}.safetensors")[0].arrays


def test_weights_that_fit_are_taken_and_the_rest_is_named(first, images, tmp_path, backend, capsys):
    out = tmp_path / "second"
    words = ["--data", images, "--out", out, "--backend", backend, *SMALL, *WIDER, "--seed", 5]
    capsys.readouterr()
    assert here("train", SYSTEM, *words, "--init-from", first, "--iterations", 1) == 0
    said = capsys.readouterr().out
    assert "  D/l1/W: 6x36 here, 5x36 there\n" in said
    assert "  D/l4/W: 1x6 here, 1x5 there\n" in said
    assert "averages start from these weights; optimisers and carried numbers start anew" in said
    # The state before the first iteration: G and D's last bias are the other run's, the rest is that of the seed.
    start, other = arrays(out, 0), arrays(first, 7)
    settings = [word for word in [*SMALL, *WIDER] if word != "--set"]
    fresh = initial_state(load_system(SYSTEM, settings), 5).arrays
    weights = [n for n in start if n.startswith(("parameters/", "statistics/"))]
    taken = {n for n in weights if n in other and other[n].shape == start[n].shape}
    assert "parameters/D/l4/b" in taken
    for name, array in start.items():
        own = [name, *(name.replace("averages/", f"{kind}/") for kind in ("parameters", "statistics"))]
        expected = next((other[n] for n in own if n in taken), fresh[name])
        np.testing.assert_array_equal(array, expected.astype(np.float32), err_msg=name)
    # It is on record, with what identifies the checkpoint.
    record = json.loads((out / "run.json").read_text())["init_from"]
    header, _ = read_header(first / "checkpoints" / "00000007.safetensors")
    assert (record["run"], record["iteration"], record["weights"]) == (str(first), 7, "trained")
    assert record["digest"] == header["digest"]
    assert (record["taken"], record["wanted"]) == (len(taken), len(weights))
    assert "D/l1/W: 6x36 here, 5x36 there" in record["left_out"]
    assert here("train", "--resume", out, "--iterations", 2) == 0, "such a run resumes as any other"


def test_averages_and_an_older_checkpoint_are_taken_on_demand(first, images, tmp_path, backend):
    assert here("train", "--resume", first, "--iterations", 9) == 0
    out = tmp_path / "second"
    words = ["--data", images, "--out", out, "--backend", backend, *SMALL, "--iterations", 1]
    more = ["--init-from", first, "--init-weights", "averaged", "--init-checkpoint", 7]
    assert here("train", SYSTEM, *words, *more) == 0
    start, other = arrays(out, 0), arrays(first, 7)
    for name, array in start.items():
        if name.startswith("parameters/"):
            average = name.replace("parameters/", "averages/")
            np.testing.assert_array_equal(array, other.get(average, other[name]), err_msg=name)
    assert not np.array_equal(other["averages/G/l1/W"], other["parameters/G/l1/W"])
    assert json.loads((out / "run.json").read_text())["init_from"]["weights"] == "averaged"


@pytest.mark.parametrize("backend", ["torch"])
def test_what_cannot_be_taken_is_refused_before_anything_is_made(first, images, tmp_path, capsys):
    out = tmp_path / "second"
    words = ["--data", images, "--out", out, *SMALL, "--iterations", 1]
    other = ["--set", "networks.G.width=7", "--set", "networks.G.latent=4", "--set", "networks.D.width=6"]
    other += ["--set", "networks.G={ use = 'mlp_generator_two_hidden', latent = 4, width = 7, size = 6 }"]
    damaged = tmp_path / "damaged"
    (damaged / "checkpoints").mkdir(parents=True)
    (damaged / "run.json").write_bytes((first / "run.json").read_bytes())
    (damaged / "checkpoints" / "00000003.safetensors").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    cases = {
        "is not the folder of a run": ["--init-from", tmp_path / "empty"],
        "has no checkpoint of iteration 5, only of 0, 7": ["--init-from", first, "--init-checkpoint", 5],
        "is truncated or not a safetensors file": ["--init-from", damaged],
        "say which weights --init-from RUN takes": ["--init-weights", "averaged"],
    }
    for message, more in cases.items():
        capsys.readouterr()
        assert here("train", SYSTEM, *words, *more) == 2, message
        assert message in capsys.readouterr().err
    assert here("train", "--resume", first, "--init-from", first) == 2
    assert "--init-from and --resume exclude each other" in capsys.readouterr().err
    assert here("train", "cgan_mnist", "--out", out, "--init-from", first) == 2
    error = capsys.readouterr().err
    assert "none of its weights fits cgan_mnist" in error
    assert "absent there" in error
    assert not out.exists()


@pytest.mark.parametrize("backend", ["torch"])
def test_a_dry_run_tells_what_would_be_taken(first, images, tmp_path, capsys):
    words = ["--data", images, *SMALL, *WIDER, "--dry-run", "--iterations", 1]
    capsys.readouterr()
    assert here("train", SYSTEM, *words, "--init-from", first) == 0
    assert "D/l1/W: 6x36 here, 5x36 there" in capsys.readouterr().out
