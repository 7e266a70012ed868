"""Reports of comparisons, made by hand: of systems that agree, disagree, diverge, and of which nothing was compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, count

import numpy as np

from ganspec.tools.agreement.report import Comparison, Difference, Divergence, Place, Point, Report, Row

WITNESSES = ("torch", "chainer", "reference")
BOUNDS = {"output": 1e-13, "loss": 1e-13, "report": 1e-13, "parameter gradient": 1e-12, "state, all iterations": 1e-11}
VERSIONS = {"python": "3.11.7", "numpy": "2.4.1", "torch": "2.13.0", "chainer": "7.8.1"}


def difference(kind: str = "output", pair: tuple[str, str] = ("torch", "chainer"), **changes) -> Difference:
    """Returns: a difference of a tenth of what is allowed, but for what `changes` says."""
    found = Difference(
        kind=kind, name="%3 D(%2): l1", place=Place(0, 0, 0), source="architectures/mlp_discriminator.toml:14",
        network="D", layer="l1", node=3, pair=pair, error=4e-14, size=4.0, allowance=4e-13,
    )  # fmt: skip
    return replace(found, **changes)


def comparison(system: str = "began_mnist", witnesses: tuple[str, ...] = WITNESSES, **changes) -> Comparison:
    """Returns: a comparison of a system on which all agree, but for what `changes` says; its numbers depend on its name."""
    random = _numbers(sum(map(ord, system)))
    rows, curves = [], {}
    for pair in combinations(witnesses, 2):
        for kind, bound in BOUNDS.items():
            if "reference" in pair and kind == "state, all iterations":
                continue  # the reference computes no updates of a whole run
            size = 10 ** (2 * next(random))
            share = 10 ** (-0.5 - 3 * next(random))
            worst = difference(kind, pair, size=size, error=share * bound * size, allowance=bound * size)
            rows.append(Row(kind, pair, 4 + int(400 * next(random)), 0, worst))
        for name in ("loss_D", "loss_G"):
            points = []
            error = 1e-16
            for i in range(10):
                error *= 1 + next(random)
                points.append(Point(i, error, 1e-13 * 1.6**i))
            curves[name, pair] = tuple(points)
    made = Comparison(
        system=system, witnesses=witnesses, dtype="float64", device="cpu", seed=0, iterations=10, batch=8, reduced=True,
        rows=tuple(rows), curves=curves, seconds=2.25,
    )  # fmt: skip
    return replace(made, **changes)


def _numbers(start: int) -> Iterator[float]:
    """Yields: numbers in [0, 1) that look random, and are the same with every NumPy: multiples of the golden ratio."""
    for i in count(start):
        yield i * 0.6180339887498949 % 1


def with_divergence(found: Comparison) -> Comparison:
    """Returns: a comparison in which Chainer is wrong from a layer on: what it is compared in disagrees by 6 times and more."""
    rows = []
    for row in found.rows:
        wrong = "chainer" in row.pair and row.kind != "output"
        worst = replace(row.worst, error=row.worst.size * 0.83, name="gradient of loss_D: D/l1/W", node=None)
        rows.append(replace(row, wrong=max(1, row.compared // 2), worst=worst) if wrong else row)
    curves = {}
    for (name, pair), points in found.curves.items():
        factor = 1e12 if "chainer" in pair else 1.0
        curves[name, pair] = tuple(replace(p, error=p.error * factor) for p in points)
    first = Divergence(
        difference=difference("parameter gradient", name="gradient of loss_D: D/l1/W", error=3.3, node=None),
        odd="chainer",
        values=("[0, 0]  torch 0.0125  chainer 0.075", "[0, 1]  torch -0.5  chainer -3"),
        guess="6 times too large, the batch size: a sum for a mean",
    )
    return replace(found, rows=tuple(rows), curves=curves, first=first, bundle="runs/bundle began_mnist 001")


def with_values_that_are_not_finite(found: Comparison) -> Comparison:
    """Returns: a comparison in which training diverged in all witnesses, from iteration 5 on."""
    rows = []
    for row in found.rows:
        place = Place(5, 1, 0)
        worst = replace(row.worst, error=math.inf, size=math.nan, diverged=True, place=place)
        rows.append(replace(row, wrong=1, worst=worst))
    curves = {
        key: tuple(replace(p, error=math.inf) if p.iteration >= 5 else p for p in points)
        for key, points in found.curves.items()
    }
    first = Divergence(replace(rows[0].worst, kind="loss", name="loss_D", node=None), "", (), "")
    return replace(found, rows=tuple(rows), curves=curves, first=first)


def samples(witnesses: tuple[str, ...] = WITNESSES, channels: int = 1) -> dict[str, np.ndarray]:
    """Returns: twelve blurred images for each witness, the same for all, in [-1, 1]."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    centres = random.uniform(-0.6, 0.6, (12, channels, 2, 1, 1))
    images = 2 * np.exp(-((x - centres[:, :, 0]) ** 2 + (y - centres[:, :, 1]) ** 2) * 6) - 1
    return dict.fromkeys(witnesses, images)


def report(*comparisons: Comparison) -> Report:
    """Returns: a report of the comparisons, with versions."""
    return Report(comparisons, VERSIONS)


def mixed_report() -> Report:
    """Returns: a report of four systems: one agrees, one disagrees, one diverged, of one nothing was compared."""
    return report(
        comparison("gan_mlp_mnist"),
        with_divergence(comparison("began_mnist")),
        with_values_that_are_not_finite(comparison("wgan_gp_mlp_mnist")),
        comparison("dcgan_cifar10", rows=(), curves={}),
    )
