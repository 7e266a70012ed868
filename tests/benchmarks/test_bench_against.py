"""What was timed is read back, and held against what is timed now."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from ganspec.tools.__main__ import main as ganspec
from ganspec.tools.benchmarks import (
    comparing,
    results,
    tables,
)
from ganspec.tools.benchmarks.comparing import compare, verdict_line
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.benchmarks.timing import Measurement
from ganspec.tools.errors import AGREED, DISAGREED, FAILED
from ganspec.tools.programs import bench

SMALL = Request("wgan_gp_mlp_mnist", "torch", reduced=True, threads=1)
MACHINE = {
    "cpu": "a processor",
    "processors": 2,
    "device": "cpu",
    "threads": 1,
    "python": "3.11.7",
    "numpy": "2.0",
    "torch": "2.9",
}


def measured(ours, theirs=(), **others):
    request = others.pop("request", Request("s", "torch", threads=1))
    return Measurement(request, 8, 4, tuple(ours), tuple(theirs), others.pop("machine", MACHINE), **others)


def test_row_has_medians_and_the_ratio_of_paired_rounds():
    found = measured(
        (0.001, 0.002, 0.010), (0.002, 0.003, 0.012), memory={"loaded": 1, "ours": 2_000_000, "theirs": 4_000_000}
    )
    assert found.ratios() == pytest.approx([2.0, 1.5, 1.2])
    assert tables.speed_cells(found) == ["s", "torch", "8", "2.00", "3.00", "1.50x", "", "2", "4"]
    assert tables.speed_cells(measured([1.0] * 4, [1.0, 2.0, 3.0, 4.0]))[-1] == "1.75..3.25"
    assert tables.speed_cells(measured([0.5])) == ["s", "torch", "8", "500.0", "16"]


def test_what_was_timed_is_read_back_as_it_was(tmp_path):
    file = tmp_path / "bench.json"
    wanted = [
        measured((0.1, 0.2), (0.3, 0.4), memory={"ours": 5}),
        measured([1.5], request=replace(SMALL, settings=("a=1",))),
    ]
    results.write(file, "speed", results.speed_as_data(wanted))
    assert results.read_speed(file) == wanted
    data = json.loads(file.read_text("utf-8"))
    assert data["measurements"][0]["ratio"]["median"] == pytest.approx(2.5)
    assert data["measurements"][1]["ratio"] is None


def test_slower_is_what_chance_does_not_explain():
    before = measured([1.0] * 4, [1.5] * 4)
    wide = math.exp(-math.hypot(0, math.log(1.6 / 1.2)))
    for theirs, slower in (([1.5] * 4, False), ([1.46] * 4, False), ([1.4] * 4, True), ([1.2, 1.2, 1.6, 1.6], False)):
        (found,) = compare([measured([1.0] * 4, theirs)], [before])
        assert found.slower is slower, theirs
    assert found.allowed == pytest.approx(wide)
    (found,) = compare([measured([1.0] * 4, [1.4] * 4)], [before], tolerance=0.1)
    assert not found.slower
    assert verdict_line(found) == "s, torch: as fast as before, within 10 %"
    (found,) = compare([measured([2.0] * 4, [1.5] * 4)], [before])
    assert verdict_line(found) == "s, torch: SLOWER by 50 %, and up to 3 % would be chance"
    (found,) = compare([measured([0.5] * 4, [1.5] * 4)], [before])
    assert verdict_line(found) == "s, torch: faster by 100 %"


def test_another_machine_has_ratios_to_compare_but_no_times():
    other = {**MACHINE, "cpu": "another"}
    assert compare([measured([9.0], [9.0], machine=other)], [measured([1.0], [1.0])])[0].change == pytest.approx(1)
    (found,) = compare([measured([9.0], machine=other)], [measured([1.0])])
    assert (
        verdict_line(found)
        == "s, torch: not compared: times of ours alone are from another machine, or from other libraries"
    )
    (found,) = compare([measured([1.25])], [measured([1.0])])
    assert (found.change, found.slower) == (pytest.approx(0.8), True)
    assert comparing.compare([measured([1.0])], [])[0].reason == "the file has no measurement of it with these options"


@pytest.mark.parametrize(("change", "code"), [(1.0, AGREED), (0.5, DISAGREED)])
@pytest.mark.usefixtures("here")
def test_bench_against_an_earlier_file_goes_red_where_it_is_slower(change, code, capsys, tmp_path, monkeypatch):
    file = tmp_path / "before.json"
    results.write(file, "speed", results.speed_as_data([measured([1.0, 1.0], [1.5, 1.5], request=SMALL)]))
    now = measured([1.0, 1.0], [1.5 * change, 1.5 * change], request=SMALL)
    monkeypatch.setattr(bench, "_measure", lambda *_: now)
    given = ["bench", "wgan_gp_mlp_mnist", "--reduced", "--backend", "torch", "--threads", "1"]
    assert ganspec([*given, "--against", str(file), "--json", str(tmp_path / "now.json"), "--markdown"]) == code
    said = capsys.readouterr().out
    assert said.startswith(
        "| system | backend | batch | ours | theirs | theirs/ours | quartiles |\n|---|---|---:|---:|"
    )
    assert ("SLOWER by 50 %" in said) is (code == DISAGREED)
    assert results.read_speed(tmp_path / "now.json") == [now]
    # Without systems, what the file holds is measured again.
    assert ganspec(["bench", "--against", str(file)]) == code
    assert ganspec(["bench", "--against", str(file), "--batch", "2"]) == FAILED
    assert "--batch: without SYSTEM, what " in capsys.readouterr().err
    # Without anything in common nothing is measured.
    monkeypatch.setattr(bench, "_measure", None)
    results.write(file, "speed", results.speed_as_data([measured([1.0])]))
    assert ganspec([*given, "--against", str(file)]) == FAILED
    assert "nothing in it can be compared" in capsys.readouterr().err
