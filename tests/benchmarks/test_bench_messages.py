"""What `ganspec bench` says of a user's mistake, and of a wrong file."""

from __future__ import annotations

import json

import pytest

from ganspec.tools.__main__ import main as ganspec
from ganspec.tools.benchmarks import (
    results,
)
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.benchmarks.timing import Measurement
from ganspec.tools.errors import FAILED, UserError

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


DAMAGED = {
    "[]": "is JSON, but not of ganspec bench: write one with ganspec bench --json FILE",
    '{"format": "ganspec bench 0"}': "was measured by another version of ganspec ('ganspec bench 0', expected "
    "'ganspec bench 1'), whose figures cannot be compared; measure anew with --json FILE",
    '{"format": "ganspec bench 1", "mode": "data"}': "holds figures of another kind ('data'), expected 'speed': write one with "
    "ganspec bench --json FILE",
    '{"format": "ganspec bench 1", "mode": "speed"}': "is damaged: measurements is missing; measure anew with --json FILE",
    '{"format": "ganspec bench 1", "mode": "speed", "measurements": [7]}': "is damaged: measurements[0] is 7, expected an "
    "object; measure anew with --json FILE",
    '{"format': "is truncated or not JSON: line 1, column 2: Unterminated string starting at",
    "[" * 100_000: "is not a file of ganspec bench: it is nested too deeply, or a number has too many digits",
    '{"a": NaN}': "is damaged: NaN is not a number of JSON",
}


@pytest.mark.parametrize("text", DAMAGED, ids=lambda text: text[:40])
def test_file_that_cannot_be_compared_says_why(text, tmp_path):
    file = tmp_path / "b.json"
    file.write_text(text, "utf-8")
    with pytest.raises(UserError) as raised:
        results.read_speed(file)
    assert str(raised.value) == f"{file}: {DAMAGED[text]}"


WRONG = {
    (
        "ours",
        (1e300, 0.1),
    ): "measurements[0].ours is [1e+300, 0.1], expected at most 100,000 times, seconds above 0 and up to 1e9",
    ("ours", ()): "measurements[0].ours is empty, expected at least one round",
    ("theirs", (0.1,)): "measurements[0].theirs has 1 rounds, expected 2, those of ours, or none",
    ("batch", -1): "measurements[0].batch is -1, expected a whole number, 0 or larger",
    ("machine", (("cpu", (1,)),)): "measurements[0].machine is [['cpu', [1]]], expected an object",
    (
        "ratio",
        (("low", 9), ("median", 9), ("high", 9)),
    ): "measurements[0].ratio is {'low': 9, 'median': 9, 'high': 9}, expected what its rounds give, RATIO",
    ("ratio", None): "measurements[0].ratio is None, expected what its rounds give, RATIO",
    (
        "speed",
        7,
    ): "measurements[0] has the key 'speed': expected one of backend, batch, device, draws, iterations, machine, "
    "memory, ours, ratio, reduced, settings, sharing, system, theirs, threads",
    ("memory", (("mine", 7),)): "measurements[0].memory has the key 'mine': expected one of loaded, ours, theirs",
    ("reduced", "yes"): "measurements[0].reduced is 'yes', expected true or false",
}


@pytest.mark.parametrize(("change", "message"), WRONG.items(), ids=lambda text: str(text)[:30])
def test_wrong_value_is_named_with_its_place(change, message, tmp_path):
    data = {"format": results.FORMAT, "mode": "speed", **results.speed_as_data([measured((0.1, 0.2), (0.3, 0.4))])}
    right = data["measurements"][0]["ratio"]
    tables = change[0] in ("ratio", "memory") and change[1] is not None
    data["measurements"][0][change[0]] = dict(change[1]) if tables else change[1]
    file = tmp_path / "b.json"
    file.write_text(json.dumps(data), "utf-8")
    with pytest.raises(UserError) as raised:
        results.read_speed(file)
    message = message.replace("RATIO", json.dumps(right))
    assert str(raised.value) == f"{file}: is damaged: {message}; measure anew with --json FILE"


def test_nothing_unknown_stands_beside_measurements_and_none_stands_twice(tmp_path):
    one, file = measured((0.1, 0.2), (0.3, 0.4)), tmp_path / "b.json"
    twice = "measurements[1] is of the same request as measurements[0], expected each once"
    unknown = "it has the key 'more': expected one of format, measurements, mode"
    for content, message in (
        (results.speed_as_data([one, one]), twice),
        (results.speed_as_data([one]) | {"more": 1}, unknown),
    ):
        results.write(file, "speed", content)
        with pytest.raises(UserError) as raised:
            results.read_speed(file)
        assert str(raised.value) == f"{file}: is damaged: {message}; measure anew with --json FILE"


MANY = ",".join(map(str, range(1, 41)))
MISTAKES = {
    "began_minst": "there is no system 'began_minst': did you mean 'began_mnist'? 'ganspec systems' lists them\n",
    "qqqqqq": "there is no system 'qqqqqq': expected one of ",
    "began_mnist --sweep batch=1,a": "--sweep run.batch=a: unknown name 'a': expected a number",
    "gan_mlp_mnist --sweep constants.n=2,3": "--sweep constants.n=2: nothing uses this number\n    the system has run.batch, "
    "constants.channels, constants.size",
    "wgan_gp_mlp_mnist --set loss=began": "--set loss=began: a plain loop reads only the numbers of its system; set a number, or "
    "time ours with --alone",
    "--roofline --memory": "--memory does not go with --roofline: it belongs to times against a plain loop; leave it out",
    "--data --backend torch": "--backend does not go with --data: it belongs to times against a plain loop or --roofline or "
    "--sweep or --start-up; leave it out",
    "--plot a.png": "--plot does not go with times against a plain loop: it belongs to --sweep; leave it out",
    "--tolerance 0.1": "--tolerance is how far --against FILE may be missed; give that, too, or leave it out",
    "--against a.json --tolerance 2": "--tolerance 2: expected a part of the speed, below 1, such as 0.1",
    "--against none.json": "none.json: cannot be read: No such file or directory; write one with ganspec bench --json FILE",
    "--json none/b.json": "none/b.json: cannot be written: No such file or directory; make its folder first, or choose another "
    "place with --json FILE",
    "began_mnist --data --json .": ".: cannot be written: Is a directory; move that folder away, or choose another place with "
    "--json FILE",
    "--sweep batch=1,2": "--sweep: which system? 'ganspec systems' lists them",
    "began_mnist --sweep batch=7": "--sweep batch=7: expected KEY=VALUE,VALUE and so on, with 2 to 64 values, such as "
    "batch=16,32,64 or constants.size=16,32",
    "a b c --start-up": "--start-up measures one system at a time; leave out b, c",
    f"began_mnist --sweep batch={MANY} --backend both": "80 points are to be measured, at most 64 are; "
    "name fewer values or systems",
}


@pytest.mark.parametrize("words", MISTAKES, ids=lambda text: text[:30])
def test_mistake_is_answered_before_anything_is_measured(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ganspec(["bench", *words.split()]) == FAILED
    shown = capsys.readouterr()
    assert shown.err.startswith(MISTAKES[words])
    assert not shown.out


def test_plot_without_matplotlib_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert ganspec(["bench", "began_mnist", "--sweep", "batch=1,2", "--plot", "p.png"]) == FAILED
    assert capsys.readouterr().err == "--plot needs matplotlib; install it with: pip install 'ganspec[pictures]'\n"


def test_file_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        results.write(tmp_path / "none" / "bench.json", "speed", {})
