"""Run everything that needs a CUDA device; leave gpu.json and gpu.md. Started by `tools/gpu`; docs/cuda.md tells of it."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ganspec
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.cuda.page import page
from ganspec.tools.cuda.parts import UPDATERS_PART, device_part, parts
from ganspec.tools.cuda.running import GOOD, Clock, Outcome, Part, run_part, run_parts
from ganspec.tools.errors import UserError, cannot_write, say
from ganspec.tools.programs import options

FORMAT = "ganspec gpu 1"
_MINUTES = 9.5
_JOBS = 4


def main(
    words: Sequence[str] | None = None, *, first: Part | None = None, choose: Callable[..., list[Part]] = parts
) -> int:
    """Run all parts.

    Args:
        words: words of the command line; those of this process if None.
        first: part that finds the device.
        choose: function of a device, of whether there are tests, and of a folder of updaters, that gives the other parts.

    Returns: 0 where every part is as it must be or had to be skipped, 1 where one is not, 2 where there is no device.
    """
    arguments = _parser().parse_args(words)
    try:
        return _run(arguments, first or device_part(), choose)
    except UserError as error:
        say(str(error))
        return error.code


def _run(arguments: argparse.Namespace, first: Part, choose: Callable[..., list[Part]]) -> int:
    if arguments.updaters and not (arguments.updaters / "common" / "net.py").is_file():
        raise UserError(f"--updaters {arguments.updaters}: no Chainer-GAN-lib, which has common/net.py in it")
    wanted = choose(arguments.device, Path("tests").is_dir(), arguments.updaters)
    names = [part.name for part in wanted]
    for name in arguments.only or ():
        if name == UPDATERS_PART and arguments.updaters is None:
            raise UserError(f"--only {name}: it needs a copy of Chainer-GAN-lib; name its folder with --updaters DIR")
        if name not in names:
            hint = did_you_mean(name, names)
            message = f"--only {name}: {expected_one_of(names)}"
            raise UserError(f"{message}; {hint}" if hint else message)
    clock = Clock(60 * arguments.minutes)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(arguments.out, error) from None
    with tempfile.TemporaryDirectory(prefix="ganspec-gpu-") as folder:
        # Is there a device?
        found = run_part(first, Path(folder), clock)
        facts = found.found[0] if found.found else {}
        if not facts.get("devices"):
            raise UserError(
                f"there is no CUDA device here: {_told(facts, found)}\nrun this where there is one: see docs/cuda.md"
            )
        _tell(found)
        # Each part, whatever becomes of the others.
        if arguments.only:
            wanted = [part for part in wanted if part.name in arguments.only]
        outcomes = [found, *run_parts(wanted, Path(folder), clock, _JOBS, tell=_tell)]
    seconds = time.monotonic() - clock.started
    content = {"format": FORMAT, "ganspec": ganspec.__version__, "python": sys.version.split()[0], "seconds": seconds}
    content |= {"device": facts, "parts": [outcome.as_data() for outcome in outcomes]}
    for name, text in (
        ("gpu.json", json.dumps(content, indent=1) + "\n"),
        ("gpu.md", page(facts, outcomes, seconds)),
    ):
        try:
            write_atomically(arguments.out / name, text.encode())
        except OSError as error:
            raise cannot_write(arguments.out / name, error) from None
    print(f"{arguments.out / 'gpu.json'}\n{arguments.out / 'gpu.md'}")
    return 0 if all(outcome.status in GOOD for outcome in outcomes) else 1


def _tell(outcome: Outcome) -> None:
    print(f"{outcome.name:<22} {outcome.status:<12} {outcome.seconds:6.1f} s  {outcome.why}", flush=True)


def _told(facts: dict[str, Any], found: Outcome) -> str:
    if not facts:
        return f"looking for one failed ({found.why}): {found.output.strip().rpartition(chr(10))[2][:300]}"
    torch = f"PyTorch {facts['torch']} finds none" if "torch" in facts else "PyTorch is not installed"
    cupy = f"CuPy: {facts['cupy']}" if "cupy" in facts else "CuPy is not installed"
    return f"{torch}; {cupy}"


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(part.name for part in parts("cuda", tests=True, updaters=Path()))
    parser = argparse.ArgumentParser(
        "tools/gpu",
        description="Run everything that needs a CUDA device, and leave gpu.json and gpu.md. Exit code: 0 where all is as it "
        "must be, 1 where a part is not, 2 where there is no CUDA device.",
        epilog="tools/gpu takes two more things: --site DIR, a folder of packages that this Python lacks, such as Chainer; and "
        "the variable GANSPEC_PYTHON, which names another Python.",
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the two files go; default: here")
    parser.add_argument(
        "--minutes", type=options.number, default=_MINUTES, metavar="N", help=f"time for all parts; default: {_MINUTES}"
    )
    parser.add_argument("--device", type=options.device, default="cuda", metavar="DEVICE", help="default: cuda")
    parser.add_argument(
        "--updaters",
        type=Path,
        metavar="DIR",
        help="a copy of Chainer-GAN-lib, whose updaters are run and timed beside ours",
    )
    parser.add_argument(
        "--only", action="append", metavar="PART", help=f"run this part, one of {names}; can be given several times"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
