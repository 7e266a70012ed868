"""Reports of a proof: the same text for the same proof, one verdict, everything that was left out."""

from __future__ import annotations

import json
import math

import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")
pytest.importorskip("chainer")

from ganspec.tools.porting.coverage import Missed
from ganspec.tools.porting.inputs import parse_input
from ganspec.tools.porting.proof import Proof, prove
from ganspec.tools.porting.report import FORMAT, WIDTH, PortReport, render_json, render_terminal
from ganspec.tools.porting.rows import Case, Row
from support.porting import EVERY, both, named

CASE = Case("float64", True, "random", 3, seed=1)
NARROW = Case("float32", True, "random", 3, seed=1)
GOOD = [
    Row(CASE, "output", "output", 1e-16, 1.0, 1e-13, True),
    Row(CASE, "parameter gradient", "l1/b", 3e-17, 1e-17, 1e-12, True, "rounding and nothing else"),
    Row(NARROW, "output", "output", 1e-8, 1.0, 1e-6, True),
]
BAD = Row(CASE, "parameter gradient", "l1/W", 0.5, 1.0, 1e-12, False)
RAN = Row(CASE, "run", "", math.inf, 0.0, 0.0, False, "the port fails: ValueError: x")

PROVED = """\
Net: 3 quantities in 2 cases
                                          float64                  float32
  quantity             mode        count    error   ratio   count    error   ratio  verdict
  output               training        1  1.0e-16   0.001       1  1.0e-08    0.01  agree
  parameter gradient   training        1        0  <0.001       -        -       -  agree

not exercised:
  images larger by 1, which your model does not take: InvalidType: x

lines of yours that did not run (7 of 9 ran):
  model.py:3 (Net.call)
  model.py:7-8 (Net.sample)

PROVED: model.py:Net and its port: everything that ran agrees; see above what did not run"""
DIFFERS = """\
Net: 5 quantities in 2 cases
                                          float64                  float32
  quantity             mode        count    error   ratio   count    error   ratio  verdict
  output               training        1  1.0e-16   0.001       1  1.0e-08    0.01  agree
  parameter gradient   training        2  5.0e-01 5.0e+11       -        -       -  DIFFER
  run                  training        1      inf     inf       -        -       -  DIFFER

differences, in the order in which they were found:
  parameter gradient l1/W: differs by 5.0e-01, allowed 1.0e-12
      in float64, training, random parameters, batch of 3, seed 1
  run: the port fails: ValueError: x
      in float64, training, random parameters, batch of 3, seed 1

DIFFERS: model.py:Net and its port: 2 of 5 quantities differ"""
REFUSED = """\
cannot be ported:
  model.py:12: F.crf1d(x): has no counterpart
      move it out of the model

notes:
  a note

REFUSED: model.py:Net: 1 reason above"""


def text(report: PortReport, verbose: bool = False) -> str:
    return "\n".join(line.rstrip() for line in render_terminal(report, verbose))


def test_terminal_says_one_verdict():
    missed = [Missed("model.py", 3, 3, "Net.call"), Missed("model.py", 7, 8, "Net.sample")]
    proof = Proof(GOOD, ["images larger by 1, which your model does not take: InvalidType: x"], [], missed, (7, 9), 3.0)
    report = PortReport("Net", "model.py", proof)
    assert report.verdict == "proved"
    assert text(report) == PROVED
    report = PortReport("Net", "model.py", Proof([*GOOD, BAD, RAN]))
    assert report.verdict == "differs"
    assert text(report) == DIFFERS
    reason = "model.py:12: F.crf1d(x): has no counterpart\n    move it out of the model"
    report = PortReport("Net", "model.py", None, [reason], ["a note"])
    assert report.verdict == "refused"
    assert text(report) == REFUSED


def test_refusals_and_an_empty_proof_are_never_proved():
    assert PortReport("Net", "model.py", Proof(list(GOOD)), ["model.py:1: no"]).verdict == "refused"
    assert PortReport("Net", "model.py", Proof(list(GOOD), refused=["draws"])).verdict == "refused"
    assert PortReport("Net", "model.py", Proof([GOOD[1]])).verdict == "refused"
    assert PortReport("Net", "model.py", Proof()).verdict == "refused"
    assert PortReport("Net", "model.py", None).verdict == "refused"


def test_many_differences_are_cut_and_verbose_writes_all():
    report = PortReport("Net", "model.py", Proof([*GOOD, *[BAD] * 9]))
    assert "  and 4 more: --verbose writes all" in text(report)
    assert text(report, verbose=True).count("differs by") == 9


def test_what_a_terminal_might_obey_is_escaped_and_lines_are_short():
    row = Row(CASE, "output", "output['\x1b[31m']", 1.0, 1.0, 0.1, False, "\u202e" + "long " * 60)
    shown = text(PortReport("Net", "mod\x07el.py", Proof([row])))
    assert shown.isascii()
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert max(map(len, shown.splitlines())) <= WIDTH


def test_json_has_every_row_and_no_infinity():
    data = json.loads(render_json(PortReport("Net", "model.py", Proof([*GOOD, BAD, RAN]), modes=("training",))))
    assert data["format"] == FORMAT
    assert data["verdict"] == "differs"
    assert len(data["rows"]) == 5
    assert len(data["cases"]) == 2
    assert data["cases"][data["rows"][2]["case"]]["dtype"] == "float32"
    assert data["rows"][4]["difference"] is None
    assert data["rows"][3]["agrees"] is False


def test_the_same_proof_gives_the_same_text():
    pair = EVERY["vae"]
    texts = []
    for _ in range(2):
        his, port = both(pair)
        proof = prove(his, port, named(his.make("float64")), list(map(parse_input, pair.inputs)))
        texts.append(render_json(PortReport(pair.cls, "vae.py", proof)))
    assert texts[0] == texts[1]
