"""docs/porting.md is true: its commands and code run as they are written, its lists are those of the tables."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.pages import ROOT, blocks, rows_under

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

from ganspec.tools.__main__ import main
from ganspec.tools.porting.supported import lists, updated

PAGE = ROOT / "docs" / "porting.md"
TEXT = PAGE.read_text("utf-8")
EXAMPLE = ROOT / "docs" / "examples" / "dcgan"
NETWORKS = {"gen": "generator", "dis": "discriminator"}


def run_line(line: str, folder: Path) -> str:
    """Run a line of a shell block as it is written; of what installs something, nothing. Returns: what it printed."""
    words = shlex.split(line)
    if words[0] == "pip":
        return ""
    if words[0] == "ganspec":
        assert main(words[1:]) == 0, line
        return ""
    own = dict(word.split("=", 1) for word in words if re.fullmatch(r"[A-Z_]+=\w+", word))
    words = words[len(own) :]
    assert words[0] == "python", line
    environment = {**os.environ, **own, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words[1:]],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """Returns: a folder in which everything of the page was done, and what its last command but the way back printed."""
    folder = tmp_path_factory.mktemp("dcgan") / "copy"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    names, printed, before = {"__name__": "__main__"}, {}, Path.cwd()
    os.chdir(folder)
    try:
        for block in blocks(PAGE, "python", "sh"):
            if block.language == "python":
                exec(compile("\n" * (block.line - 1) + block.text, str(PAGE), "exec"), names)
                continue
            for line in block.text.replace("\\\n", " ").splitlines():
                printed[line] = run_line(line, folder)
                if line == "python compare.py":  # what goes on in float32 writes it anew
                    shutil.copytree(folder / "gen_torch", folder.parent / "gen_float64")
    finally:
        os.chdir(before)
    return folder, printed


def test_training_goes_on_as_chainer_would_go_on(worked):
    _, printed = worked
    apart = re.findall(r"(\w+): .*at most (\S+) apart", printed["python compare.py"])
    assert [name for name, _ in apart] == ["losses", "gen", "dis"]
    assert max(float(number) for _, number in apart) <= 1e-10
    said = re.findall(r"^(losses|gen|dis): .*at most (\S+) apart$", TEXT, re.MULTILINE)
    assert [name for name, _ in said] == ["losses", "gen", "dis"]


def test_comparison_notices_another_continuation(worked):
    folder, _ = worked  # which holds the float32 run by now
    done = subprocess.run(
        [sys.executable, "compare.py"], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr


def test_everything_is_proved_and_written(worked):
    folder, _ = worked
    listed = [name for name in rows_under(PAGE, "file") if name != "generator.py"]
    for place in ("gen_torch", "dis_torch"):
        assert json.loads((folder / place / "report.json").read_text())["verdict"] == "proved"
        assert not [n for n in listed if n != "generator.toml" and not (folder / place / n).is_file()]
    shown = next(block.text for block in blocks(PAGE, "text") if block.text.startswith("# net.py:8"))
    assert shown in (folder / "first" / "generator.py").read_text()
    assert (folder / "gen_torch" / "generator.toml").is_file()


def test_back_in_chainer_it_is_what_pytorch_trained_bit_for_bit(worked):
    import torch

    folder, _ = worked
    snapshot, old = np.load(folder / "snapshot_back"), np.load(folder / "result" / "snapshot_iter_20")
    assert set(snapshot.files) == set(old.files)
    for name in NETWORKS:
        weights = torch.load(folder / f"{name}_torch" / "continued.pt", weights_only=True)
        arrays = json.loads((folder / f"{name}_torch" / "names.json").read_text())["arrays"]
        assert set(arrays) == set(weights)
        for key, array in arrays.items():
            if not key.endswith("num_batches_tracked"):
                path = f"updater/model:{name}/{array['path']}"
                assert snapshot[path].tobytes() == weights[key].numpy().tobytes(), key
                assert snapshot[path].tobytes() != old[path].tobytes() or not snapshot[path].any(), key
    log = json.loads((folder / "back" / "log").read_text())
    assert log[-1]["iteration"] == 40


def test_the_shown_report_is_one(worked):
    folder, _ = worked
    report = json.loads((folder / "gen_torch" / "report.json").read_text())
    shown = next(block.text for block in blocks(PAGE, "text") if block.text.startswith("Generator: "))
    shown_rows = re.findall(r"^  (\w+(?: \w+)?) +(training|inference) +(\d+ .*) agree$", shown, re.MULTILINE)
    cases = report["cases"]
    assert {row[:2] for row in shown_rows} == {(row["kind"], cases[row["case"]]["mode"]) for row in report["rows"]}
    assert all(len(numbers.split()) == 6 for _, _, numbers in shown_rows)
    assert re.match(r"Generator: \d+ quantities in \d+ cases\n", shown)


def test_lists_of_names_are_those_of_the_tables():
    assert updated(TEXT) == TEXT, "write them with ganspec.tools.porting.supported.update_page('docs/porting.md')"
    assert {"relu", "convolution_2d", "reshape"} <= {*lists()["chainer.functions"]}


def test_refusals_on_the_page_are_those_of_the_program():
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "tools" / "porting").rglob("*.py"))
    sources += (ROOT / "tools" / "porting" / "publishing.py").read_text("utf-8")
    said = [message for message in rows_under(PAGE, "it says") if message != "random of random"]
    assert len(said) > 8
    assert not [message for message in said if message not in sources]


def test_options_on_the_page_are_those_of_the_program(capsys):
    with pytest.raises(SystemExit):
        main(["port", "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    others = {"--no-build-isolation", "--resume", "--iterations", "--dtype"}
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) - others <= known
