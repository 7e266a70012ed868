"""List the systems there are, with their titles."""

from __future__ import annotations

import argparse

from spec import load_system, system_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    systems = [load_system(name) for name in system_names()]
    width = max(len(system.name) for system in systems)
    for system in systems:
        print(f"{system.name:<{width}}  {system.title}")
    return 0
