"""What a run measures while it trains: the optional table `run.metrics`."""

from __future__ import annotations

from dataclasses import dataclass

from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.text.tables import Table

METRICS = ("fid", "kid", "is", "precision", "recall", "density", "coverage")
EXTRACTORS = ("digits", "inception")  # a TorchScript file is a program, and no spec file runs one
MAX_MEASURED = 1_000_000  # samples of one measurement


@dataclass(frozen=True)
class Measuring:
    """Metrics of samples during training.

    Args:
        measure: names of metrics.
        every: number of iterations between two measurements.
        images: number of samples, and of images with which they are compared.
        extractor: what turns images into features; None for the digit classifier, where the data are digits.
    """

    measure: tuple[str, ...]
    every: int
    images: int
    extractor: str | None


def read_measuring(outer: Table) -> Measuring | None:
    """Read the optional table `metrics` of `[run]`."""
    if (table := outer.optional("metrics", removable=True)) is None:
        return None
    names = table.names("measure")
    for name in names:
        if name not in METRICS:
            table.note("measure", f"unknown metric '{name}': {expected_one_of(METRICS)}", did_you_mean(name, METRICS))
    if "measure" in table and not names:
        table.note("measure", f"measures nothing: {expected_one_of(METRICS)}", "name some, or leave out the table")
    measuring = Measuring(
        tuple(dict.fromkeys(names)),
        table.size("every"),
        table.size("images", least=10, most=MAX_MEASURED),
        _read_extractor(table),
    )
    table.close()
    return measuring


def _read_extractor(table: Table) -> str | None:
    chosen = table.choice("extractor", EXTRACTORS, "digits")
    return chosen if "extractor" in table else None
