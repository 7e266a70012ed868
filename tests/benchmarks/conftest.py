"""What tests of `ganspec bench` share."""

from __future__ import annotations

import pytest

from ganspec.tools.benchmarks import (
    memory,
    rates,
    sides,
    sweep,
)
from ganspec.tools.programs import bench


@pytest.fixture
def here(monkeypatch):
    """Everything is measured in this process, for speed."""
    monkeypatch.setattr(bench, "in_fresh_process", lambda function, *given, **_: function(*given))
    monkeypatch.setattr(sweep, "in_fresh_process", lambda function, *given, **_: function(*given))
    monkeypatch.setattr(memory, "in_fresh_process", lambda function, *given, **_: function(*given))
    monkeypatch.setattr(rates, "LARGE", {"cpu": 32})
    monkeypatch.setattr(rates, "_SECONDS", 0.0)
    monkeypatch.setattr(sides, "use_threads", lambda *_: None)  # the other tests keep theirs
