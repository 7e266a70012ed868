"""Probes for ``fixes_numpy``: numbers that arrive as arrays of one element."""

import contextlib
import sys
import tempfile
from types import MappingProxyType

import numpy as np

from .register import probe


class _OneElement:
    """A summary whose mean is an array of one element, as a serialized one can be."""

    def add(self, values):
        pass

    def compute_mean(self):
        return {"loss": np.ones((1, 1), "f")}


class _Trainer:
    """As much of a trainer as the reports look at."""

    observation = MappingProxyType({"loss": 1.0})
    is_before_training = False
    elapsed_time = 0.0
    out = tempfile.mkdtemp()
    updater = type("Updater", (), {"epoch": 1, "iteration": 2})


@probe("log_report-item")
def _():
    from chainer.training import extensions

    report = extensions.LogReport(trigger=lambda trainer: True)
    report._summary = _OneElement()
    report(_Trainer())
    assert report.log[0]["loss"] == 1.0


@probe("plot_report-item")
def _():
    from unittest import mock

    from chainer.training import extensions
    from chainer.training.extensions import plot_report

    report = extensions.PlotReport(["loss"], trigger=lambda trainer: True)
    report._summary = _OneElement()
    pictures = {"matplotlib": mock.MagicMock(), "matplotlib.pyplot": mock.MagicMock()}
    pictures["matplotlib.pyplot"].figure.side_effect = KeyboardInterrupt
    plot_report._available = True
    with mock.patch.dict(sys.modules, pictures):
        pictures["matplotlib"].pyplot = pictures["matplotlib.pyplot"]
        with contextlib.suppress(KeyboardInterrupt):
            report(_Trainer())
    assert report._data["loss"] == [(2, 1.0)]


@probe("minmax_trigger-item")
def _():
    from chainer.training import triggers

    trigger = triggers.MinValueTrigger("loss", trigger=lambda trainer: True)
    trigger._summary = _OneElement()
    assert trigger(_Trainer())
    assert trigger._best_value == 1.0


@probe("multi_node_iterator-item", needs="mpi4py")
def _():
    from chainermn.iterators import multi_node_iterator

    class Communicator:
        def bcast(self, value, root):
            return np.array([3], "f")

    assert multi_node_iterator._MultiNodeIteratorSlave(Communicator(), 0).dataset_size == 3
