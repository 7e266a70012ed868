"""The script that plots the figures of several runs: docs/plot_figures.py."""

import json
import runpy
from pathlib import Path

import pytest

from ganspec.tools.quality.figures import NAME, Figure, append_figures

SCRIPT = Path(__file__).parents[1] / "docs" / "plot_figures.py"


def write_run(folder, backend, samples):
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"system": "began_mlp_mnist", "backend": backend}))
    append_figures(folder / NAME, [Figure(i, "fid", 100.0 / i, {"samples": samples}) for i in (1, 2, 3)])
    return str(folder)


@pytest.fixture(scope="module")
def main():
    pytest.importorskip("matplotlib")
    return runpy.run_path(str(SCRIPT))["main"]


def test_two_runs_of_one_protocol_are_plotted(main, tmp_path):
    runs = [write_run(tmp_path / backend, backend, 2000) for backend in ("torch", "chainer")]
    main(tmp_path / "fid.png", "fid", runs)
    assert (tmp_path / "fid.png").read_bytes().startswith(b"\x89PNG")


def test_figures_of_two_protocols_are_not_drawn_together(main, tmp_path):
    runs = [write_run(tmp_path / "a", "torch", 2000), write_run(tmp_path / "b", "chainer", 100)]
    with pytest.raises(SystemExit, match="different protocols"):
        main(tmp_path / "fid.png", "fid", runs)
    assert not (tmp_path / "fid.png").exists()


def test_a_run_that_was_not_measured_is_named_with_the_remedy(main, tmp_path):
    with pytest.raises(SystemExit, match="no figure kid; measure with: ganspec evaluate"):
        main(tmp_path / "kid.png", "kid", [write_run(tmp_path / "a", "torch", 2000)])
