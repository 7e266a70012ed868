"""The bench says how ours and the hand-written loops compare."""

from __future__ import annotations

import argparse
import json

import pytest

from ganspec.tools.__main__ import main as ganspec
from ganspec.tools.baselines import MODULES
from ganspec.tools.errors import FAILED
from ganspec.tools.programs import bench


def test_measure_times_both_sides_in_every_round(backend):
    measured = bench.measure("wgan_gp_mlp_mnist", backend, rounds=2, iterations=1)
    assert len(measured.ours) == len(measured.theirs) == 2
    assert min(*measured.ours, *measured.theirs) > 0
    assert measured.iterations == 1


@pytest.mark.usefixtures("both_backends")
def test_measure_chooses_iterations_by_the_time_they_take(monkeypatch):
    monkeypatch.setattr(bench, "ROUND_SECONDS", 1e-9)
    assert bench.measure("began_mnist", "torch", rounds=1).iterations == 1


def test_table_row_has_medians_and_the_ratio_of_paired_rounds():
    measured = bench.Measurement("s", "torch", "cpu", 1, 4, (0.001, 0.002, 0.010), (0.002, 0.003, 0.012))
    assert measured.ratios() == pytest.approx([2.0, 1.5, 1.2])
    row = bench.table_row(measured).split()
    assert row == ["s", "torch", "2.00", "3.00", "1.50x", "1.35..1.75"]


@pytest.mark.usefixtures("both_backends")
def test_bench_prints_the_ratio_and_writes_the_rounds(capsys, tmp_path):
    file = tmp_path / "bench.json"
    given = ["bench", "wgan_gp_mlp_mnist", "--backend", "torch", "--rounds", "2", "--iterations", "1", "--threads", "1"]
    assert ganspec([*given, "--json", str(file)]) == 0
    header, row, _ = capsys.readouterr().out.splitlines()
    assert header.split() == ["system", "backend", "ours", "theirs", "theirs/ours", "quartiles"]
    (written,) = json.loads(file.read_text(encoding="utf-8"))
    assert [len(written[side]) for side in ("ours", "theirs")] == [2, 2]
    assert row.split()[4] == f"{written['ratio']['median']:.2f}x"


def test_bench_of_a_system_without_a_baseline_names_those_that_have_one(capsys):
    assert ganspec(["bench", "began_minst"]) == FAILED
    assert capsys.readouterr().err == (
        f"no hand-written loop of 'began_minst' to compare with: expected one of {', '.join(sorted(MODULES))}; "
        "did you mean 'began_mnist'?\n"
    )


def test_bench_of_a_file_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(bench.UserError, match="cannot be written"):
        bench._write_json(tmp_path / "none" / "bench.json", [])


def test_bench_without_systems_takes_those_with_packaged_data():
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    systems = parser.parse_args([]).systems
    assert {"wgan_gp_mlp_mnist", "began_mnist"} <= set(systems) < set(MODULES)
