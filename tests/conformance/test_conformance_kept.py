"""What a step keeps is as it was after every run of a check, wherever it is kept."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from ganspec import conformance
from ganspec.tools.conformance.reachable import Reachable


class Step:
    """Keeps numbers in many places, and changes all of them."""

    def __init__(self, tensor):
        self.number, self.array, self.late = 1.0, np.ones(2), None
        self.holders = [np.ones(2), tensor, [[3.0]], {"a": np.ones(2)}]
        self.recent, self.pair = deque([1.0], maxlen=2), (np.ones(2), {1})

    def __call__(self):
        self.number += 1
        self.array += 1
        self.late = [1.0] if self.late is None else [*self.late, 1.0]
        self.holders[0] += 1
        self.holders[1] += 1
        self.holders[2][0][0] += 1
        self.holders[3]["a"] += 1
        self.recent.append(2.0)
        self.pair[0][0] += 1
        self.pair[1].add(2)
        self.added = getattr(self, "added", 0) + 1

    def kept(self):
        return str(sorted(vars(self).items()))


def test_it_is_put_back_as_often_as_that_is_wanted():
    torch = pytest.importorskip("torch")
    step = Step(torch.ones(2))
    before, restore = step.kept(), Reachable(step, []).snapshot()
    for _ in range(3):
        step()
        assert step.kept() != before
        restore()
        assert step.kept() == before


def test_an_optimiser_whose_lists_are_made_late_agrees_in_every_check():
    torch = pytest.importorskip("torch")
    from support.conformance import gan_torch

    class Own(gan_torch.WganGp):
        """Counts its calls in a list that the first of them makes, and goes wrong after ten."""

        calls = None

        def __call__(self, x):
            self.calls = [torch.zeros(())] if self.calls is None else self.calls
            self.calls[0] += 1
            assert self.calls[0] <= 2, "it was not put back"
            return super().__call__(x)

    generator, critic = gan_torch.Generator(5, 8, 36), gan_torch.Critic(36, 7)
    step = Own(generator, critic, 5)
    for dtype in ("float64", "float32", "float64"):
        report = conformance.check(
            "wgan_gp_mlp_mnist", step, settings=["run.batch=3"], reduced=True, dtype=dtype, G=generator, D=critic
        )
        assert report.agrees, report
        assert not any("left out" in note for note in report.notes), "every layer was compared"
