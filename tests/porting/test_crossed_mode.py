"""An argument that says the mode, as in Chainer 1, is read where his code reads it, and is not taken for Chainer's own mode."""

import pytest

pytest.importorskip("torch")

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
from ganspec.tools.porting.inputs import parse_input
from ganspec.tools.porting.job import Job, port
from ganspec.tools.porting.translating.expressions import Expressions

MODEL = """
import chainer
import chainer.functions as F
import chainer.links as L


class Net(chainer.Chain):
    def __init__(self):
        super(Net, self).__init__(l1=L.Linear(4, 8), bn=L.BatchNormalization(8), l2=L.Linear(8, 2))

    def __call__(self, x, test=False):
        h = F.dropout(self.bn(self.l1(x), test=test), train=not test)
        return self.l2(F.dropout(h))
"""


def ported(folder):
    (folder / "old.py").write_text(MODEL)
    job = Job(f"{folder / 'old.py'}:Net", (parse_input("x=4"),), call_arguments="test=inference")
    return port(job, folder / "out").report


def test_the_argument_is_followed_where_it_is_given(tmp_path):
    report = ported(tmp_path)
    assert report.verdict == "proved"
    assert any("the other mode" in note for note in report.notes)


def test_a_port_that_takes_the_argument_for_the_mode_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Expressions, "mode", Expressions.training)
    assert ported(tmp_path).verdict == "differs"
