"""What became of mutants as JSON, in the format that schema.json describes under `$defs`, "mutants"."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import ganspec
from ganspec.tools.agreement.mutants.catalogue import BY_NAME
from ganspec.tools.agreement.mutants.noticing import NOTICED
from ganspec.tools.agreement.mutants.program import REJECTED, Trial
from ganspec.tools.reporting.json_writer import difference_as_data

FORMAT = "ganspec mutants 1"


def render_mutants(trials: Sequence[Trial], test: str | None, versions: Mapping[str, str]) -> str:
    """Write what became of mutants as JSON.

    Args:
        trials: what became of each, of each backend.
        test: the user's test that was tried, as pytest names it; None where the comparison was.
        versions: version of Python and of each library, by name.

    Returns: the text, ASCII, which ends in a newline.
    """
    data = {
        "format": FORMAT,
        "ganspec": ganspec.__version__,
        "versions": dict(versions),
        "test": test,
        "mutants": [_trial(trial) for trial in trials],
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def _trial(trial: Trial) -> dict[str, Any]:
    mutant = BY_NAME[trial.mutant]
    return {
        "name": mutant.name,
        "source": mutant.source,
        "system": mutant.system,
        "settings": list(mutant.settings),
        "backend": trial.backend,
        "verdict": trial.verdict,
        "rejected": trial.verdict in (REJECTED, NOTICED),
        "expected": {"kind": mutant.kind, "where": mutant.where},
        "first": None if trial.first is None else difference_as_data(trial.first),
    }
