"""What may be changed when a run is resumed is changed, kept in its record, and resumed again; all else is refused."""

import copy
import csv
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.description import describe
from ganspec.spec.text.values import as_typed
from ganspec.spec.training.changes import changes, fixed_differences
from ganspec.spec.training.checkpoint import read_checkpoint
from ganspec.spec.training.runs import read_run
from support.programs import SMALL, here

pytestmark = pytest.mark.usefixtures("no_pictures")

SYSTEM = "wgan_gp_mlp_mnist"
AVERAGED = ["--set", "averages.G=0.9", "--set", "run.keep.last=9"]
CHANGES = [
    "--set", "optimizers.learning_rate=0.01", "--set", "optimizers.G.beta1=0.25", "--set", "averages.G=0.5",
    "--set", "optimizers.D.learning_rate_schedule={ kind = 'linear', over = 16, to = 0 }",
]  # fmt: skip


@pytest.fixture
def run(images, tmp_path, backend):
    """Returns: the folder of a run of 7 iterations."""
    out = tmp_path / "run"
    words = ["--data", images, "--out", out, "--backend", backend, *SMALL, *AVERAGED]
    assert here("train", SYSTEM, *words, "--iterations", 7) == 0
    return out


def final(run, iteration):
    return read_checkpoint(run / "checkpoints" / f"{iteration:08}.safetensors")


def same(a, b):
    (a, first), (b, second) = a, b
    assert first == second
    assert (a.iteration, a.updates, a.learning_rates) == (b.iteration, b.updates, b.learning_rates)
    assert all(a.arrays[name].tobytes() == b.arrays[name].tobytes() for name in b.arrays)


def test_a_changed_run_is_recorded_and_resumes_bit_for_bit(run, images, tmp_path, capsys, backend):
    before = final(run, 7)
    whole = tmp_path / "whole"
    whole.mkdir()
    for path in (run / "run.json", run / "log.csv", *(run / "checkpoints").iterdir()):
        target = whole / path.relative_to(run)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    capsys.readouterr()
    assert here("train", "--resume", whole, *CHANGES, "--iterations", 12) == 0
    said = capsys.readouterr().out
    # The other one stops after the first changed iteration, and goes on without a word about the changes.
    for end in (8, 10, 12):
        assert here("train", "--resume", run, *(CHANGES if end == 8 else ()), "--iterations", end) == 0
    same(final(whole, 12), final(run, 12))
    assert (whole / "log.csv").read_bytes() == (run / "log.csv").read_bytes()
    # The changes are told and recorded, and in force from iteration 7 on.
    assert "from now on, optimizers.G.learning_rate: 0.0001 became 0.01\n" in said
    assert "from now on, averages.G: 0.9 became 0.5\n" in said
    first, *others = json.loads((run / "run.json").read_text())["resumed"]
    assert first["iteration"] == 7
    assert {c["key"]: (c["from"], c["to"]) for c in first["changed"] if "schedule" not in c["key"]} == {
        "optimizers.G.learning_rate": (1e-4, 0.01), "optimizers.D.learning_rate": (1e-4, 0.01),
        "optimizers.G.beta1": (0, 0.25), "averages.G": (0.9, 0.5),
    }  # fmt: skip
    assert all("changed" not in session for session in others)
    state, record = final(run, 12)
    assert state.learning_rates == {"G": 0.01, "D": 0.01}
    assert record.description["optimizers"]["G"]["beta1"] == 0.25
    assert before[1].description["optimizers"]["G"]["beta1"] == 0
    # Rates are logged from the change on; the rows before it have none.
    with (run / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["learning_rate_D"] for row in rows[:7]] == [""] * 7
    rates = [float(row["learning_rate_D"]) for row in rows[7:]]
    assert rates == pytest.approx([0.01 * (1 - i / 16) for i in range(7, 12)])
    # The other readers of runs take it, also at checkpoints from before.
    assert read_run(run, 7).state.iteration == 7
    assert read_run(run).system.averages == {"G": 0.5}


def test_a_change_survives_a_kill_before_the_next_checkpoint(run):
    assert here("train", "--resume", run, *CHANGES, "--iterations", 8) == 0
    (run / "checkpoints" / "00000008.safetensors").unlink()
    assert here("train", "--resume", run, "--iterations", 8) == 0
    state, record = final(run, 8)
    assert (state.learning_rates["G"], record.description["averages"]) == (0.01, {"G": 0.5})


def test_what_is_said_of_a_schedule_can_be_typed_back(run, capsys):
    table = "{ kind = 'cosine', over = 9, to = 0.5, warmup = { iterations = 3, from = 0.25 } }"
    key = "optimizers.G.learning_rate_schedule"
    assert here("train", "--resume", run, "--set", f"{key}={table}", "--iterations", 8) == 0
    (said,) = re.findall(rf"from now on, {key}: none became (.*)\n", capsys.readouterr().out)
    (session,) = json.loads((run / "run.json").read_text())["resumed"]
    (change,) = session["changed"]
    assert as_typed(change["to"]) == said
    assert here("show", SYSTEM, "--set", f"{key}={said}") == 0
    assert f"  G.learning_rate_schedule = {said}\n" in capsys.readouterr().out
    assert here("train", "--resume", run, "--set", f"{key}={said}", "--iterations", 9) == 0
    assert "from now on" not in capsys.readouterr().out, "it is the same"


@pytest.mark.parametrize("key", ["optimizers", "optimizers.D"])
@pytest.mark.parametrize("backend", ["torch"])
def test_another_kind_of_optimiser_is_refused_before_its_keys_are_asked_for(run, capsys, key):
    pytest.importorskip("torch")
    capsys.readouterr()
    assert here("train", "--resume", run, "--set", f"{key}.kind=rmsprop", "--iterations", 9) == 2
    error = capsys.readouterr().err
    network = key.partition(".")[2] or "G"
    assert f"a run keeps the kind of its optimisers, and that of {network} is adam" in error
    assert "--init-from RUN" in error
    assert "missing" not in error
    assert here("train", "--resume", run, "--set", f"{key}.kind='adam'", "--iterations", 7) == 0


REFUSED = {
    "loss.penalty_weight=5": "loss.constants.penalty_weight: 10.0 became 5.0",
    "run.batch=5": "batch: 4 became 5",
    "optimizers.epsilon_place=uncorrected": "optimizers.G.epsilon_place: corrected became uncorrected",
    "averages.D=0.5": "averages.D: absent became 0.5",
    "schedule.critic_steps=1": "schedule.steps.0.repeat: 2 became 1",
    "networks.D.width=7": "networks.D.layers.",
}


@pytest.mark.parametrize("backend", ["torch"])
def test_everything_else_is_refused_and_nothing_is_changed(run, capsys):
    pytest.importorskip("torch")
    before = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    for setting, line in REFUSED.items():
        capsys.readouterr()
        assert here("train", "--resume", run, "--set", setting, "--iterations", 9) == 2
        error = capsys.readouterr().err
        assert "a resumed run must be the same run" in error
        assert line in error
        assert "what a run may change is set with --set: learning_rate, learning_rate_schedule, beta1," in error
    assert {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()} == before


@pytest.mark.parametrize("backend", ["torch"])
def test_an_edited_file_is_no_knowing_change(images, tmp_path, capsys, backend):
    pytest.importorskip("torch")
    file, out = tmp_path / "mine.toml", tmp_path / "run"
    text = f'title = "mine"\nsource = "a test"\nlike = "{SYSTEM}"\noptimizers.learning_rate = 0.001\n'
    file.write_text(text)
    assert here("train", file, "--data", images, "--out", out, *SMALL, "--iterations", 2) == 0
    file.write_text(text.replace("0.001", "0.002"))
    capsys.readouterr()
    assert here("train", "--resume", out, "--iterations", 3) == 2
    assert "optimizers.G.learning_rate: 0.001 became 0.002" in capsys.readouterr().err
    assert here("train", "--resume", out, "--iterations", 3, "--set", "optimizers.G.learning_rate=0.002") == 2, (
        "not D's"
    )
    assert here("train", "--resume", out, "--iterations", 3, "--set", "optimizers.learning_rate=0.002") == 0
    assert final(out, 3)[0].learning_rates == {"G": 0.002, "D": 0.002}


def test_another_number_to_watch_starts_the_decay_anew(images, tmp_path, backend):
    out = tmp_path / "run"
    decay = "learning_rate_decay={ watch = 'loss_D', factor = 0.5, minimum = 0 }"
    words = ["--data", images, "--out", out, "--backend", backend, *SMALL]
    assert here("train", SYSTEM, *words, "--set", decay, "--iterations", 7) == 0
    assert final(out, 7)[1].epoch["last"] is not None
    assert here("train", "--resume", out, "--set", "learning_rate_decay.watch=loss_G", "--iterations", 8) == 0
    epoch = final(out, 8)[1].epoch
    assert (epoch["last"], epoch["count"]) == (None, 1)


DESCRIPTION = describe(load_system("began_mnist", ["averages.G=0.9"], reduced=True))
PLACES = [("optimizers", "G", key) for key in ("learning_rate", "beta1", "clip")] + [
    ("averages", "G"), ("learning_rate_decay",), ("learning_rate_decay", "watch"),
    ("batch",), ("loss", "constants", "gamma"), ("optimizers", "G", "kind"), ("data", "range"), ("growth",), ("draws",),
]  # fmt: skip
STRANGE = st.one_of(st.none(), st.integers(-3, 3), st.just("x"), st.just({}), st.just([]), st.just({"kind": "adam"}))


@given(st.lists(st.tuples(st.sampled_from([*PLACES, ("optimizers",), ("averages",), ("optimizers", "G")]), STRANGE)))
def test_any_two_descriptions_can_be_compared(edits):
    """A checkpoint's description may be a stranger's: whatever differs is a change or a difference, and nothing raises."""
    other = copy.deepcopy(DESCRIPTION)
    for place, value in edits:
        table = other
        for key in place[:-1]:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table[place[-1]] = value
    made, fixed = changes(other, DESCRIPTION), fixed_differences(other, DESCRIPTION)
    assert bool(made or fixed) == (other != DESCRIPTION)
    assert changes(DESCRIPTION, DESCRIPTION) == fixed_differences(DESCRIPTION, DESCRIPTION) == []


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_a_place_is_either_changeable_or_fixed(place):
    other = copy.deepcopy(DESCRIPTION)
    table = other
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = {"bound": 1, "when": "after"} if place[-1] == "clip" else "other"
    free = place[-1] in ("learning_rate", "beta1", "clip") or place[0] in ("averages", "learning_rate_decay")
    assert (bool(changes(other, DESCRIPTION)), bool(fixed_differences(other, DESCRIPTION))) == (free, not free)
