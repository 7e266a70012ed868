"""Which checkpoints of a run are kept: the newest, those of some iterations, the best; and always the newest one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.parts.keep import Keep
from ganspec.tools.quality.figures import LOWER_IS_BETTER, NAME, Figure, append_figures
from ganspec.tools.run.folder import RunFolder
from ganspec.tools.run.keeping import best_lines, best_of, superfluous
from support.programs import SMALL, here

pytestmark = pytest.mark.usefixtures("no_pictures")

PROTOCOL = {"extractor": "digits", "images": 100}
EVERY_TWO = ["--set", "run.checkpoint_every=2"]


def figures(values, metric="fid", protocol=PROTOCOL):
    return [Figure(iteration, metric, value, protocol) for iteration, value in values.items()]


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        (None, [0, 10, 20]),
        (Keep(3, 0, ""), [0, 10, 20]),
        (Keep(1, 0, ""), [0, 10, 20, 30, 40]),
        (Keep(9, 0, ""), []),
        (Keep(1, 20, ""), [0, 10, 30]),
        (Keep(2, 0, "fid"), [0, 20, 30]),  # of 10, 20 and 30, 10 is the lowest
        (Keep(2, 20, "is"), [0, 10]),  # 30 is the highest
        (Keep(1, 0, "kid"), [0, 10, 20, 30, 40]),  # nobody measured it
    ],
)
def test_what_is_kept(keep, gone):
    measured = figures({10: 3.0, 20: 5.0, 30: 4.0}) + figures({10: 1.0, 30: 2.0, 45: 9.0}, "is")
    assert superfluous([30, 0, 50, 10, 40, 20], keep, measured) == gone


COUNTS = st.sets(st.integers(0, 100), min_size=1)
KEEPS = st.builds(Keep, st.integers(1, 5), st.integers(0, 20), st.sampled_from(("", *LOWER_IS_BETTER)))
FIGURES = st.lists(
    st.builds(Figure, st.integers(0, 100), st.sampled_from(list(LOWER_IS_BETTER)), st.floats(-9, 9), st.just(PROTOCOL))
)


@given(COUNTS, KEEPS, FIGURES)
def test_the_newest_is_kept_and_deleting_is_done_once(there, keep, measured):
    gone = superfluous(there, keep, measured)
    left = there - set(gone)
    assert sorted(there)[-keep.last :] == sorted(left)[-keep.last :]
    assert superfluous(left, keep, measured) == []


@given(COUNTS, st.sampled_from(list(LOWER_IS_BETTER)), FIGURES)
def test_the_best_of_all_that_ever_were_is_kept_as_they_come(there, metric, measured):
    """Deleting step by step, with each figure measured at its iteration, ends with the best of all."""
    measured = [f for f in sorted(measured, key=lambda f: f.iteration) if f.metric == metric]
    kept = set()
    for iteration in sorted(there):
        kept.add(iteration)
        kept -= set(superfluous(kept, Keep(1, 0, metric), [f for f in measured if f.iteration <= iteration]))
    assert best_of(there, metric, measured) <= kept


def test_figures_of_another_protocol_do_not_count():
    other = figures({10: 0.5}, protocol={**PROTOCOL, "images": 7})
    assert best_of([10, 20, 30], "fid", other + figures({20: 3.0, 30: 3.0})) == {30}
    assert best_of([10, 20, 30], "fid", figures({20: 3.0}) + other) == {10}


def there(run):
    return sorted(int(path.stem) for path in (run / "checkpoints").glob("*.safetensors"))


def test_a_kept_best_one_survives_resuming_and_what_is_kept_may_change(images, tmp_path, backend):
    run = tmp_path / "run"
    best = ["--set", "run.keep={ last = 1, every = 6, best = 'fid' }"]
    words = ["--data", images, "--out", run, "--backend", backend, *SMALL, *EVERY_TWO]
    assert here("train", "wgan_gp_mlp_mnist", *words, *best, "--iterations", 4) == 0
    assert there(run) == [4]
    append_figures(run / NAME, figures({2: 0.1, 4: 1.0}))
    assert here("train", "--resume", run, "--iterations", 10) == 0
    assert there(run) == [4, 6, 10]
    append_figures(run / NAME, figures({10: 0.5}))
    assert here("train", "--resume", run, "--iterations", 14) == 0
    assert there(run) == [6, 10, 12, 14]
    assert here("train", "--resume", run, "--iterations", 16, "--set", "run.keep=none") == 0
    assert there(run) == [12, 14, 16]


def test_figures_that_are_damaged_while_a_run_trains_delete_nothing(images, tmp_path, capsys):
    pytest.importorskip("torch")
    run = tmp_path / "run"
    words = ["--data", images, "--out", run, *SMALL, *EVERY_TWO, "--iterations", 8]
    assert here("train", "wgan_gp_mlp_mnist", *words) == 0
    (run / NAME).write_text("nonsense\n")
    with RunFolder.open_existing(run) as folder:
        folder.drop_old_checkpoints(Keep(1, 0, "fid"))
        assert there(run) == [4, 6, 8]
        assert "line 1: expected an object" in (error := capsys.readouterr().err)
        assert "until then no checkpoint is deleted" in error
        folder.drop_old_checkpoints(Keep(1, 0, ""))
        assert there(run) == [8], "who does not ask for the best needs no figures"


def test_a_best_that_nothing_measures_is_refused(images, tmp_path, capsys):
    pytest.importorskip("torch")
    words = ["--data", images, "--out", tmp_path / "run", *SMALL, "--set", "run.keep.best=fidd"]
    assert here("train", "wgan_gp_mlp_mnist", *words) == 2
    error = capsys.readouterr().err
    assert "run.keep.best: nothing measures 'fidd': expected one of" in error
    assert "did you mean 'fid'?" in error
    assert not (tmp_path / "run").exists()


def test_a_best_that_only_others_can_measure_is_told(images, tmp_path, capsys):
    pytest.importorskip("torch")
    run = tmp_path / "run"
    words = ["--data", images, "--out", run, *SMALL, "--set", "run.keep={ last = 2, best = 'recall' }"]
    assert here("train", "wgan_gp_mlp_mnist", *words, "--iterations", 1) == 0
    said = capsys.readouterr().out
    assert (
        f"this run does not measure 'recall', so no checkpoint is kept as the best until 'ganspec evaluate {run}'"
        in said
    )
    (setting,) = re.findall(r'--set "(run\.metrics=.*)"', said)
    measuring = load_system("wgan_gp_mlp_mnist", [setting, "run.keep.best=recall"]).run
    assert best_lines(measuring, run) == [], "with what it advises, it is measured"
    assert here("train", "--resume", run, "--set", "run.keep.best=diversity", "--iterations", 2) == 0
    append_figures(run / NAME, figures({2: 0.5}, "recall"))
    assert here("train", "--resume", run, "--set", "run.keep.best=recall", "--iterations", 3) == 0
    assert "does not measure" not in capsys.readouterr().out, "looks measure diversity, and somebody measured recall"
