"""Unedited updaters of old Chainer train in lockstep with the system that they are."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("chainer") is None:
    pytest.skip("Chainer is not installed", allow_module_level=True)

from ganspec.tools.__main__ import main
from ganspec.tools.reporting.json_reader import read_json
from support.updaters.command import FILE, FOLDER, RIGHT, command, right


@pytest.mark.parametrize("name", RIGHT)
def test_right_updater_agrees(name, capsys):
    assert main(right(name)) == 0
    shown = capsys.readouterr().out
    assert "your code agrees" in shown
    for kind in ("layer", "parameter gradient", "moment", "parameter", "statistic", "report"):
        assert f"\n  {kind} " in shown, "every kind of quantity was compared"


def test_words_of_chainer_1_mean_what_they_meant(capsys):
    words = [w.replace(":Generator", ":OldGenerator") for w in command("Volatile", "inference")]
    assert main(words) == 0
    assert main([w.replace("/inference", "/alternating") for w in words]) == 1
    assert "G" in capsys.readouterr().out


def test_names_that_numpy_has_removed(tmp_path, capsys):
    text = (FOLDER / "updaters.py").read_text("utf-8").replace('.astype("f")', ".astype(np.float)")
    (tmp_path / "old_updaters.py").write_text(text)
    words = [w.replace(FILE, f"{tmp_path}/old_updaters.py") for w in command("Gan")]
    assert main(words) == 2
    assert "module 'numpy' has no attribute 'float'" in capsys.readouterr().err
    assert main([*words, "--old-names"]) == 0


def test_gradients_that_are_never_used_do_not_count(capsys):
    assert main(command("GanUnchained")) == 0
    assert "everything else agrees" in capsys.readouterr().out


def test_reports_are_recognised_by_their_values(capsys):
    main(right("Chainer1"))
    assert "reports compared: opt_gen/loss = loss_G, opt_dis/loss = loss_D" in capsys.readouterr().out


def test_report_of_no_system_is_said_and_can_be_named(capsys):
    short = command("WganGp", "wgan_gp", "n_dis=1, lam=10", "--set", "schedule.critic_steps=1", "--iterations", "1")
    assert main(short) == 0
    assert "the report 'slope' equals none of the system's" in capsys.readouterr().out
    assert main([*short, "--report", "slope=gradient_penalty"]) == 1
    assert "report gradient_penalty" in capsys.readouterr().out


def test_float32_agrees_too():
    assert main(right("Gan", "--dtype", "float32")) == 0


def test_function_that_makes_the_updater_with_his_own_batches(capsys):
    words = ["check-updater", f"{FILE}:make_updater", "--system", f"{FOLDER}/small.toml", "--network", "G=gen"]
    words += ["--network", "D=dis", "--iterator", "own", "--image-range", "0,255", "--iterations", "3"]
    assert main(words) == 1, "he trains on 0 to 255, the system on -1 to 1"
    assert "draw x" in capsys.readouterr().out
    assert main([*words, "--set", "data.range=[0, 255]"]) == 0


def test_data_set_of_ganspec(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 3, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    assert main(right("Gan", "--data", str(tmp_path / "images.npy"), "--iterations", "3")) == 0


def test_more_samples_per_batch_and_more_critic_steps():
    settings = ["--set", "schedule.critic_steps=2", "--batch", "5"]
    assert main(command("WganGp", "wgan_gp", "n_dis=2, lam=10", *settings)) == 0


def test_json_has_a_report_and_the_lines_of_his_file(tmp_path):
    path = tmp_path / "found.json"
    assert main(command("GanSummed", "", "", "--json", str(path))) == 1
    data = json.loads(path.read_text())
    assert data["format"] == "ganspec updater 1"
    assert data["where"].rpartition("/")[2].startswith("updaters.py:")
    assert data["reports"]["loss_dis"] == "loss_D"
    assert data["draft"]["losses"]["G"] == "sum(softplus(-D(G(z))))"
    (tmp_path / "report.json").write_text(json.dumps(data["report"]))
    assert not read_json(tmp_path / "report.json").agrees


def test_what_his_updater_keeps_is_put_back():
    from ganspec.spec import load_system
    from ganspec.tools.updaters.batches import own_batches
    from ganspec.tools.updaters.building import Wanted, build
    from ganspec.tools.updaters.files import search_path
    from ganspec.tools.updaters.lockstep import run_lockstep

    system = load_system(f"{FOLDER}/small.toml/began")
    networks = [f"G={FOLDER}/nets.py:Generator", f"D={FOLDER}/nets.py:Autoencoder"]
    optimizers = [f"opt_{n}={o}:Adam(beta1=0.5, alpha=2e-4)" for n, o in (("gen", "G"), ("dis", "D"))]
    wanted = Wanted(f"{FILE}:Began", networks, (), optimizers, "models=(G, D), gamma=0.5, lambda_k=0.1")
    with search_path([]):
        built = build(wanted, system)
        before = {path: p.array.copy() for path, p in built.networks["G"].namedparams()}
        found = run_lockstep(system, built, own_batches(system, 0), iterations=2, seed=0, dtype="float64")
    assert found.agrees
    assert built.updater.k == 0
    assert built.updater.iteration == 0
    assert built.optimizers["G"].t == 0
    assert all(np.array_equal(p.array, before[path]) for path, p in built.networks["G"].namedparams())
