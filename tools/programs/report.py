"""Write a training run as one HTML page: pictures over time beside real images, curves, metrics, the resolved system, versions.

The run may be under way, interrupted or old; nothing in its folder is changed but the page itself.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ganspec.spec import SpecError, System, load_system
from ganspec.spec.description import describe
from ganspec.spec.text.errors import printable
from ganspec.spec.training.changes import changes, fixed_differences
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.record import RunError
from ganspec.spec.training.runs import check_classes
from ganspec.tools.errors import cannot_write
from ganspec.tools.programs.show import lines
from ganspec.tools.run.contents import read_contents
from ganspec.tools.run.page import render_run
from ganspec.tools.run.telling import Telling

_WINDOW = 100  # iterations of a moving average where the system cannot be loaded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec report`."""
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a run")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the page is written; default: RUN/report.html")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    contents = read_contents(arguments.run)
    system, description = _system(contents.record)
    if system is None:
        page = render_run(contents, contents.record["system"], "", description, _WINDOW, ())
    else:
        try:
            check_classes(arguments.run, contents.record, system)
        except RunError as error:
            contents.notes.append(str(error))
            contents.record = {key: value for key, value in contents.record.items() if key != "classes"}
        telling = [*Telling(system).formulas, *(f"loss_{network}" for network in system.loss.losses)]
        page = render_run(contents, system.title, system.source, description, system.run.moving_average, telling)
    content, path = page.encode(), arguments.out or arguments.run / "report.html"
    try:
        write_atomically(path, content)
    except OSError as error:
        raise cannot_write(path, error, option="--out FILE") from None
    print(printable(f"{path}: {len(content) / 1e6:.1f} MB"))
    print(
        "before you send it to somebody: it has the paths of the data and the system, and names the processor and versions"
    )
    return 0


def _system(record: dict[str, Any]) -> tuple[System | None, list[str]]:
    """Returns: the system of a run and its description; without the system, the run's own record of it."""
    recorded = record.get("resolved")
    try:
        system = load_system(record["system"], record["settings"])
        changed = _has_changed(record, describe(system))
        why = "has changed since"
    except SpecError:
        system, changed, why = None, True, "cannot be loaded here"
    if system is not None and not changed:
        return system, lines(system)
    said = f"The system {record['system']} {why}; this is what the run recorded when it was started:"
    return None, [said, "", *json.dumps(recorded, indent=1).split("\n")]


def _has_changed(record: dict[str, Any], now: dict[str, Any]) -> bool:
    """Returns: whether a system is another one than its run's, but for what the run says was changed when it was resumed."""
    recorded, resumed = record.get("resolved"), record.get("resumed")
    if not isinstance(recorded, dict) or fixed_differences(recorded, now):
        return True
    sessions = [session for session in _list(resumed) if isinstance(session, dict)]
    made = [change for session in sessions for change in _list(session.get("changed")) if isinstance(change, dict)]
    newest = {str(change.get("key")): change.get("to") for change in made}
    return any(
        change["key"] not in newest or newest[change["key"]] != change["to"] for change in changes(recorded, now)
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
