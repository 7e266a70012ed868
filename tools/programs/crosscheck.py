"""Compare the two backends on a system: the same parameters, data and draws, every quantity, one verdict.

Exit code 0 where all agree, 1 where one does not or where training diverged, 2 where it could not run.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec import System, load_system, system_names
from ganspec.spec.text.errors import counted, printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.options import DTYPES
from ganspec.tools.agreement import Finding, compare, compare_float32, trace
from ganspec.tools.errors import AGREED, DISAGREED, cannot_write
from ganspec.tools.programs import options as shared

EPILOG = """exit code: 0 where all quantities agree; 1 where one does not (DISAGREE), and where values became infinite or NaN in
both backends (diverged): nothing can be said about such values, so that is no agreement either; 2 where it could not run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec crosscheck`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "systems", metavar="SYSTEM", nargs="*", help="names or TOML files; default: every packaged system"
    )
    parser.add_argument("--dtype", choices=DTYPES, default="float64", help="default: float64")
    shared.add_device(parser)
    parser.add_argument(
        "--iterations", type=shared.positive, default=10, metavar="N",
        help="number of iterations in which both are trained side by side (default: 10)",
    )  # fmt: skip
    shared.add_seed(parser)
    shared.add_set(parser, "every system")
    parser.add_argument("--full", action="store_true", help="at full size, not at the system's reduced sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings to a file, too")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0 where all agree, 1 where one does not or where training diverged."""
    systems = [
        load_system(name, arguments.set, reduced=not arguments.full) for name in arguments.systems or system_names()
    ]
    results = []
    for system in systems:
        findings = check(system, arguments)
        results.append((system, findings))
        print("\n".join(map(printable, table(system, findings, arguments))), flush=True)
    agree = all(finding.agrees for _, findings in results for finding in findings)
    size = "full size" if arguments.full else "reduced sizes"
    print(f"{verdict(results)} ({counted(len(systems), 'system')}, {arguments.dtype}, {arguments.device}, {size})")
    if arguments.json:
        _write(arguments.json, results, agree, arguments)
    return AGREED if agree else DISAGREED


def verdict(results: list[tuple[System, list[Finding]]]) -> str:
    """Returns: the last line, without what was compared: all agree, or which systems do not, or which diverged in both."""
    wrong = [s.name for s, findings in results if any(not f.agrees and not f.both_diverged for f in findings)]
    diverged = [s.name for s, findings in results if any(f.both_diverged for f in findings)]
    lines = [f"the backends DISAGREE on {', '.join(wrong)}"] * bool(wrong)
    if diverged:
        remedy = "lower the learning rate with --set optimizers.learning_rate=..., or the --iterations"
        lines.append(f"both backends diverged on {', '.join(diverged)}, where nothing can be compared: {remedy}")
    return "; ".join(lines) or "the backends agree"


def check(system: System, arguments: argparse.Namespace) -> list[Finding]:
    """Compare the backends on a system.

    Args:
        system: system to train in both.
        arguments: seed, device, dtype and iterations, as parsed.

    Returns: the worst place of each kind of quantity.
    """
    options: dict[str, Any] = {"seed": arguments.seed, "device": arguments.device, "iterations": arguments.iterations}
    with np.errstate(all="ignore"):  # the verdict says what is not finite, once
        judge = trace("torch", system, dtype="float64", **options)
        options["states"] = judge.states
        if arguments.dtype == "float64":
            return compare(judge, trace("chainer", system, dtype="float64", **options))
        reference = trace("torch", system, dtype="float32", **options)
        return compare_float32(judge, reference, trace("chainer", system, dtype="float32", **options))


def table(system: System, findings: list[Finding], arguments: argparse.Namespace) -> list[str]:
    """Returns: the findings as lines for people."""
    lines = [f"{system.name}: {arguments.iterations} iterations, {arguments.dtype}, batch {system.run.batch}"]
    lines.append(f"  {'quantity':<24} {'compared':>8} {'worst':>9} {'bound':>9}  {'':<8}  where")
    for f in findings:
        word = "agree" if f.agrees else "diverged" if f.both_diverged else "DISAGREE"
        lines.append(f"  {f.kind:<24} {f.compared:>8} {f.worst:>9.1e} {f.bound:>9.1e}  {word:<8}  {f.where}")
    return lines


def _write(path: Path, results: list[tuple[System, list[Finding]]], agree: bool, arguments: argparse.Namespace) -> None:
    content = {
        "agree": agree,
        "dtype": arguments.dtype,
        "device": arguments.device,
        "iterations": arguments.iterations,
        "seed": arguments.seed,
        "full": arguments.full,
        "versions": _versions(),
        "systems": {
            system.name: [
                {**vars(f), "worst": f.worst if math.isfinite(f.worst) else None, "agrees": f.agrees} for f in findings
            ]
            for system, findings in results
        },
    }
    try:
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise cannot_write(path, error, option="--json FILE") from None


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0], "numpy": np.__version__}
    found |= {name: sys.modules[name].__version__ for name in ("torch", "chainer") if name in sys.modules}
    return found
