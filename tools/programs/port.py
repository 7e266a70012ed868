"""Move a legacy Chainer model to PyTorch, with its numbers and a proof; or its numbers back.

Exit code 0 where everything that ran is proved, 1 where something differs or cannot be ported, 2 where it could not run.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from ganspec.spec.text.errors import printable
from ganspec.tools.errors import AGREED, DISAGREED, UserError, say

EPILOG = """examples:
  ganspec port model.py:Generator --args '128, ch=512' --input z=128 --snapshot snapshot_iter_100000 --out ported
  ganspec port model.py:Critic --input x=3,32,32:float:-1..1 --call-args 'test=inference' --out critic
  ganspec port --back ported/weights.safetensors --like snapshot_iter_100000 --out snapshot_new

An input is NAME=SHAPE[:DTYPE[:LOW..HIGH]]: the shape of one sample, and whole numbers below HIGH or numbers between the two. N
in the shape says where the batch is, if it is not first. NAME.0 and NAME.1 are a list, NAME.key is a dictionary.

Your code is run: port only what you trust. exit code: 0 where everything that ran is proved; 1 where something differs, or cannot
be ported; then nothing is written; 2 where it could not run."""
_OF_BACK = ("like", "optimizer_state", "names")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec port`."""
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("target", metavar="FILE:CLASS", nargs="?", help="your class, a Chain, ChainList or Link")
    parser.add_argument("--args", metavar="TEXT", default="", help="arguments of its constructor, as in Python")
    parser.add_argument(
        "--input", metavar="NAME=SHAPE", action="append", default=[], help="an input of one call; once for each"
    )
    parser.add_argument(
        "--call", metavar="METHOD", default="", help="method to port (default: the call of an instance)"
    )
    parser.add_argument(
        "--call-args", metavar="TEXT", default="",
        help="further arguments of the call, such as 'n=3'; test=inference or train=training says the mode, as in Chainer 1",
    )  # fmt: skip
    parser.add_argument("--modes", choices=("training", "inference", "both"), default="both", help="default: both")
    parser.add_argument("--source", metavar="DIR", action="append", default=[], help="folder of other modules of yours")
    parser.add_argument("--old-names", action="store_true", help="give your modules the names that NumPy has removed")
    parser.add_argument("--snapshot", type=Path, metavar="FILE", help="its numbers: npz, HDF5 or a trainer's snapshot")
    parser.add_argument("--snapshot-prefix", metavar="NAME", help="which model of the snapshot, if it has several")
    parser.add_argument("--allow-extra", action="store_true", help="the snapshot may hold more than the class has")
    parser.add_argument(
        "--optimizer-snapshot", type=Path, metavar="FILE", help="the optimiser's own file, if it has one"
    )
    parser.add_argument(
        "--optimizer", metavar="TEXT", default="", help="its optimiser, such as 'Adam(alpha=2e-4, beta1=0.5)'"
    )
    parser.add_argument(
        "--hook", metavar="TEXT", action="append", default=[], help="a hook of it, such as 'WeightDecay(1e-4)'"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder for the port; with --back, the new snapshot")
    parser.add_argument("--force", action="store_true", help="replace an older port in --out")
    parser.add_argument("--draft", action="store_true", help="write the port also where it is not proved")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--verbose", action="store_true", help="print every difference and every line that did not run")
    back = parser.add_argument_group("back to Chainer")
    back.add_argument("--back", type=Path, metavar="WEIGHTS", help="write a snapshot with these weights of the port")
    back.add_argument("--like", type=Path, metavar="FILE", help="the snapshot that was ported")
    back.add_argument(
        "--optimizer-state", type=Path, metavar="FILE", help="the optimiser's state, if it goes back, too"
    )
    back.add_argument("--names", type=Path, metavar="FILE", help="names.json of the port (default: beside WEIGHTS)")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0 where everything that ran is proved, 1 where something differs or cannot be ported."""
    a = arguments
    if a.back or a.optimizer_state:
        return _back(a)
    if given := [name for name in _OF_BACK if getattr(a, name)]:
        raise UserError(f"--{given[0].replace('_', '-')} belongs to --back; leave it out, or give --back WEIGHTS")
    for name, value in (("FILE:CLASS", a.target), ("--input", a.input), ("--out", a.out)):
        if not value:
            raise UserError(f"{name} is missing; ganspec port --help has examples")
    return _port(a)


def _port(a: argparse.Namespace) -> int:
    from ganspec.tools import backends
    from ganspec.tools.porting.inputs import parse_input

    inputs = tuple(map(parse_input, a.input))
    if len({given.name for given in inputs}) < len(inputs):
        raise UserError("--input: two inputs have the same name; give each once")
    for name in ("torch", "chainer"):
        backends.load(name)  # what is missing is said before anything runs
    from ganspec.tools.porting.errors import PortError
    from ganspec.tools.porting.job import Job, check, port
    from ganspec.tools.porting.publishing import check_place, publish
    from ganspec.tools.porting.report import render_json, render_terminal

    check_place(a.out, force=a.force)
    modes = ("training", "inference") if a.modes == "both" else (a.modes,)
    job = Job(
        a.target, inputs, a.args, a.call, a.call_args, modes, tuple(a.source), a.old_names, a.snapshot, a.snapshot_prefix,
        a.allow_extra, a.optimizer_snapshot, a.optimizer, tuple(a.hook),
    )  # fmt: skip
    check(job)
    say(f"{a.target.rpartition(':')[0] or a.target}: your code is run to port it")
    try:
        done = port(job, a.out)
    except PortError as error:
        raise UserError(str(error)) from None
    proved = done.report.verdict == "proved"
    try:
        if done.folder is not None and (proved or a.draft):
            publish(done.folder, a.out, force=a.force)
    finally:
        if done.folder is not None:
            shutil.rmtree(done.folder, ignore_errors=True)
    lines = render_json(done.report).splitlines() if a.json else render_terminal(done.report, a.verbose)
    print("\n".join(map(printable, lines)), flush=True)
    if not a.json:
        print(
            f"written to {printable(str(a.out))}"
            if a.out.is_dir() and (proved or _drafted(a, done))
            else "nothing was written"
        )
    return AGREED if proved else DISAGREED


def _drafted(a: argparse.Namespace, done: Any) -> bool:
    return bool(a.draft and done.folder is not None)


def _back(a: argparse.Namespace) -> int:
    given = (
        "target",
        "args",
        "input",
        "call",
        "call_args",
        "source",
        "snapshot",
        "optimizer_snapshot",
        "optimizer",
        "hook",
    )
    for name in (*given, "allow_extra", "draft"):
        if getattr(a, name):
            option = "FILE:CLASS" if name == "target" else f"--{name.replace('_', '-')}"
            raise UserError(f"{option} does not go with --back; leave it out")
    for option, value in (("--like", a.like), ("--out", a.out)):
        if not value:
            raise UserError(f"{option} is missing: --back WEIGHTS --like SNAPSHOT --out NEW_SNAPSHOT")
    from ganspec.tools.porting.carrying_back import carry_back

    if a.out.exists() and not a.force:
        raise UserError(
            f"--out {printable(str(a.out))}: it is there already; choose another file, or replace it with --force"
        )
    notes = carry_back(a.back, a.like, a.out, optimizer=a.optimizer_state, names=a.names, prefix=a.snapshot_prefix)
    print("\n".join(map(printable, [*notes, f"written: {a.out}"])))
    return AGREED
