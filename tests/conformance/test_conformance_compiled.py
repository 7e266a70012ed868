"""Networks and steps that `torch.compile` compiles: they are compared from outside, and a wrong one is found."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F
from torch import nn

from ganspec import conformance

SETTINGS = ["run.batch=4"]


def hidden(inside: int, out: int, after: nn.Module, slope: float) -> list[nn.Module]:
    return [nn.Linear(inside, out), nn.LeakyReLU(slope), after]


class Gan:
    """A two-class GAN with MLPs, whose networks are compiled."""

    def __init__(self, backend: str, slope: float = 0.3) -> None:
        generator = nn.Sequential(
            *hidden(5, 8, nn.BatchNorm1d(8), 0.3), *hidden(8, 8, nn.BatchNorm1d(8), 0.3), nn.Linear(8, 36), nn.Tanh()
        )
        discriminator = nn.Sequential(
            nn.Flatten(), *(m for i in (36, 7, 7) for m in hidden(i, 7, nn.Dropout(0.5), slope)), nn.Linear(7, 2)
        )
        self.opt_g = torch.optim.Adam(generator.parameters(), lr=1e-4)
        self.opt_d = torch.optim.Adam(discriminator.parameters(), lr=4e-5)
        self.generator = torch.compile(generator, backend=backend)
        self.discriminator = torch.compile(discriminator, backend=backend)

    def called(self, x: torch.Tensor, label: int) -> torch.Tensor:
        logits = self.discriminator(x)
        return F.cross_entropy(logits, torch.full((len(logits),), label))

    def __call__(self, x: torch.Tensor) -> dict[str, float]:
        fake = self.generator(torch.rand(len(x), 5) * 2 - 1)
        loss_d = self.called(x, 1) + self.called(fake.detach(), 0)
        self.opt_d.zero_grad()
        loss_d.backward()
        self.opt_d.step()
        loss_g = self.called(fake, 1)
        self.opt_g.zero_grad()
        loss_g.backward()
        self.opt_g.step()
        return {"loss_D": loss_d.item(), "loss_G": loss_g.item()}


@pytest.fixture(autouse=True)
def forget_compiled_code():
    yield
    torch._dynamo.reset()


def checked(step: Gan) -> conformance.ConformanceReport:
    networks = {"G": step.generator, "D": step.discriminator}
    return conformance.check(
        "gan_mlp_mnist", step, settings=SETTINGS, reduced=True, iterations=1, suggest=False, **networks
    )


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_networks_agree_with_their_dropout_replayed(backend):
    report = checked(Gan(backend))
    assert report.agrees, report
    kinds = {row.kind: row.compared for row in report.comparison.rows}
    assert kinds["parameter gradient"] == 8 + 10
    assert kinds["layer"] > 0  # what the networks give; what is inside of them is not seen


def test_wrong_compiled_network_is_found_at_what_it_gives():
    report = checked(Gan("eager", slope=0.2))
    assert (report.first.kind, report.first.network, report.first.layer) == ("layer", "D", "l4"), report


def test_numbers_that_compiled_kernels_draw_are_refused_with_a_way_out():
    class Seeds(Gan):
        """Draws the seeds of kernels, as the code does that inductor makes."""

        def __call__(self, x):
            torch.randint(-(2**63), 2**63 - 1, [3])
            return super().__call__(x)

    with pytest.raises(conformance.ConformanceError, match="fallback_random = True"):
        checked(Seeds("eager"))
