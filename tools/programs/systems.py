"""List the systems there are: what data each trains on, which image it makes, and its title."""

from __future__ import annotations

import argparse

from ganspec.spec import System, load_system, system_names
from ganspec.spec.layers import format_shape

_HEADINGS = ("SYSTEM", "DATA SET", "IMAGES", "TITLE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    print("\n".join(table([load_system(name) for name in system_names()])))
    print("\n'ganspec show SYSTEM' prints all of one; * trains on digits that ship with ganspec when no data is given")
    return 0


def table(systems: list[System]) -> list[str]:
    """Returns: a heading, and a line for each system."""
    rows = [_HEADINGS, *map(_row, systems)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]


def _row(system: System) -> tuple[str, ...]:
    data = system.data
    dataset = (data.dataset or "your own") + "*" * bool(data.embedded)
    return system.name, dataset, format_shape(data.shape), system.title
