"""What runs everything that needs a CUDA device: parts that pass, fail, crash or hang, and what is left of them. Needs no GPU."""

import json
import sys
from pathlib import Path

import pytest

from ganspec.tools.cuda import __main__ as program
from ganspec.tools.cuda import checks, timing
from ganspec.tools.cuda.page import page
from ganspec.tools.cuda.parts import device_part, parts
from ganspec.tools.cuda.running import Clock, Outcome, Part, run_part, run_parts

WRITE = "import sys; open(sys.argv[1], 'w').write"
SMALL = "gan_mlp_mnist"


def part(name, code, limit=20.0, **more):
    return Part(name, f"what {name} shows", (sys.executable, "-ISc", code, "{result}"), limit, **more)


PARTS = [
    part("good", f'{WRITE}(\'[{{"a": 1.5, "ok": true}}]\')'),
    part("wrong", f'{WRITE}(\'[{{"a|b": "<b>", "ok": false}}]\'); sys.exit(1)'),
    part("broken", "import sys; print('the reason'); sys.exit(3)"),
    part("killed", "import os; os.kill(os.getpid(), 11)"),
    part("garbled", f"{WRITE}('[1')"),
    part("hangs", f"{WRITE}('[{{\"so far\": 1}}]'); sys.stdout.flush(); import time; time.sleep(60)", 1.0, alone=True),
    part("empty", "import sys; sys.exit(5)", nothing_to_do=(5,)),
    part("absent", "", missing="Chainer is not installed here"),
]
DEVICE = part("device", f'{WRITE}(\'[{{"devices": 1, "device": "a GPU", "ok": true}}]\')')
STATUS = {
    "good": "passed", "wrong": "failed", "broken": "crashed", "killed": "crashed", "garbled": "crashed", "hangs": "out of time",
    "empty": "skipped", "absent": "skipped",
}  # fmt: skip


def test_no_part_stops_another_and_all_is_left_in_two_files(tmp_path, capsys):
    code = program.main(["--out", str(tmp_path)], first=DEVICE, choose=lambda *_: PARTS)
    assert code == 1
    left = json.loads((tmp_path / "gpu.json").read_text())
    assert left["format"] == "ganspec gpu 1"
    assert left["device"]["device"] == "a GPU"
    found = {each["name"]: each for each in left["parts"]}
    assert {name: each["status"] for name, each in found.items()} == {"device": "passed", **STATUS}
    assert found["good"]["found"] == [{"a": 1.5, "ok": True}]
    assert found["hangs"]["found"] == [{"so far": 1}], "what it had found is kept"
    assert 1 <= found["hangs"]["seconds"] < 20
    assert found["killed"]["why"] == "it was ended by SIGSEGV"
    assert found["garbled"]["why"] == "what it wrote is not JSON"
    assert found["absent"]["why"] == "Chainer is not installed here"
    text = (tmp_path / "gpu.md").read_text()
    assert "| a\\|b | ok |" in text
    assert "| &lt;b> | **no** |" in text
    assert "    the reason" in text.partition("## What broken printed last")[2]
    assert "5 are not as they must be" in text
    assert "good                   passed" in capsys.readouterr().out


def test_all_that_is_good_gives_0_and_parts_can_be_chosen(tmp_path):
    words = ["--out", str(tmp_path), "--only", "good", "--only", "absent"]
    assert program.main(words, first=DEVICE, choose=lambda *_: PARTS) == 0
    assert "all is as it must be" in (tmp_path / "gpu.md").read_text()


def test_an_unknown_part_is_refused_before_a_device_is_looked_for(tmp_path, capsys):
    words = ["--out", str(tmp_path), "--only", "rounding"]
    assert program.main(words, first=part("device", "raise OSError"), choose=lambda *_: PARTS[:2]) == 2
    assert capsys.readouterr().err.startswith("--only rounding: expected one of good, wrong")


def test_without_a_device_it_says_so(tmp_path, capsys):
    none = part("device", f'{WRITE}(\'[{{"devices": 0, "torch": "9.9", "ok": true}}]\')')
    assert program.main(["--out", str(tmp_path)], first=none) == 2
    assert "there is no CUDA device here: PyTorch 9.9 finds none; CuPy is not installed" in capsys.readouterr().err
    broken = part("device", "raise OSError('no driver')")
    assert program.main(["--out", str(tmp_path)], first=broken) == 2
    assert "looking for one failed (exit code 1): OSError: no driver" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_no_part_begins_when_the_time_is_over(tmp_path):
    outcomes = run_parts(PARTS[:2], tmp_path, Clock(0.0), jobs=2)
    assert [(outcome.status, outcome.why) for outcome in outcomes] == [("skipped", "no time was left for it")] * 2
    assert run_part(part("slow", "import time; time.sleep(60)"), tmp_path, Clock(0.3)).status == "out of time"


def test_every_part_has_a_name_of_its_own_a_check_and_a_limit():
    wanted = [device_part(), *parts("cuda", tests=True, updaters=Path())]
    names = [each.name for each in wanted]
    assert len(set(names)) == len(names)
    asked = {each.command[3] for each in wanted if "ganspec.tools.cuda.part" in each.command}
    assert asked == {"device", "speed", *checks.CHECKS}
    ours = [each for each in wanted if each.name != "updaters"]
    beside = sum(each.limit for each in ours if not each.alone) / 4
    assert beside + sum(each.limit for each in ours if each.alone) < 600, "all of ours fit into ten minutes"
    assert {name.split("-")[0] for name in names} >= {"crosscheck", "tests", "compat", "updaters"}
    assert "updaters" not in [each.name for each in parts("cuda", tests=True)], "nobody has named a folder of them"


def test_a_folder_without_updaters_is_refused_before_a_device_is_looked_for(tmp_path, capsys):
    words = ["--out", str(tmp_path), "--updaters", str(tmp_path)]
    assert program.main(words, first=part("device", "raise OSError")) == 2
    assert "no Chainer-GAN-lib, which has common/net.py in it" in capsys.readouterr().err
    assert program.main(["--out", str(tmp_path), "--only", "updaters"], first=part("device", "raise OSError")) == 2
    assert "name its folder with --updaters DIR" in capsys.readouterr().err


def test_the_checks_compare_runs(backend):
    assert [row["ok"] for row in checks.rounding(backend, "cpu")] == [True, True]
    for check in (checks.draws, checks.resumed):
        assert [(row["same bits"], row["system"]) for row in check(backend, "cpu", [SMALL])] == [(True, SMALL)]
    assert [(row["draws"], row["ok"]) for row in checks.capture(backend, "cpu", [SMALL])] == [
        ("host", True),
        ("device", True),
    ]


def test_a_check_sees_what_differs(monkeypatch):
    pytest.importorskip("torch")
    from ganspec.impl_torch.trainer import Trainer

    load = Trainer.load

    def forgetful(self, state):
        load(self, state)
        for network in self.networks.values():
            network.optimizer.updates = 0

    monkeypatch.setattr(Trainer, "load", forgetful)
    (row,) = checks.resumed("torch", "cpu", [SMALL])
    assert not row["ok"]
    assert not row["same bits"]
    assert row["largest difference"] > 1e-4


def test_timing_compares_with_the_plain_loop():
    pytest.importorskip("torch")
    rows = timing.with_ratios(list(timing.timed("torch", "cpu", SMALL, 0.01, reduced=True)))
    assert [row["way"] for row in rows] == ["eager", "plain loop"]
    assert rows[1]["ratio"] == 1.0
    assert rows[0]["ratio"] == rows[1]["seconds"] / rows[0]["seconds"]
    fast = [{"system": SMALL, "way": "captured", "seconds": 0.01, "images": 9.0}, {**rows[1], "seconds": 0.2}]
    assert timing.with_ratios(fast)[0] | {"goal": "10x", "reached": True, "ratio": 20.0} == timing.with_ratios(fast)[0]


def test_a_page_shows_what_it_can_of_anything():
    strange = Outcome(
        "p", "shows", "failed", found=[3, {"x": None}, {"y": "\x1b[31m", "rounds": {"deep": 1}}], output=""
    )
    text = page({"device": "GPU"}, [strange], 1.0)
    assert "\x1b" not in text
    assert "(it printed nothing)" in text
    assert "rounds" not in text, "a cell holds no table"
