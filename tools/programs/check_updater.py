"""Hold somebody's `update_core`, old Chainer code, against a system: both train in lockstep, and the first difference is named.

Exit code 0 where all agree, 1 where something differs, 2 where it could not run.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from ganspec.spec import SpecError, System, load_system
from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.options import DTYPES
from ganspec.tools import backends
from ganspec.tools.errors import AGREED, DISAGREED, UserError, cannot_write
from ganspec.tools.programs import options as shared
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.reading import load_for

EPILOG = """Your files are run as they are, with everything that they import: name none that you do not trust. Nothing else is
searched for or loaded. exit code: 0 where all quantities agree; 1 where one differs, or a draft is refused; 2 where it could not
run."""
_PAIR = re.compile(r"([^=]+)=(\w+)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec check-updater`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "target", metavar="FILE:CLASS", help="class with update_core, or a function that returns such an updater"
    )
    parser.add_argument(
        "--system", metavar="SYSTEM", required=True, help="system that it should be: a name or a TOML file"
    )
    shared.add_set(parser)
    parser.add_argument(
        "--network", metavar="NAME=FILE:CLASS", action="append", default=[], required=True,
        help="each network of the system: a class, or an attribute of the updater (G=gen)",
    )  # fmt: skip
    parser.add_argument(
        "--args-of",
        metavar="NAME=ARGS",
        action="append",
        default=[],
        help="arguments of a network's class, such as G='128, ch=512'",
    )
    parser.add_argument(
        "--optimizer", metavar="KEY=NAME:RULE(ARGS)", action="append", default=[],
        help="an optimiser as get_optimizer(KEY) gives it, such as 'opt_gen=G:Adam(alpha=2e-4, beta1=0.5)'",
    )  # fmt: skip
    parser.add_argument(
        "--args", metavar="ARGS", default="", help="arguments of the updater, such as 'models=(G, D), n_dis=5'"
    )
    parser.add_argument(
        "--map", metavar="NAME/LAYER=YOURS", action="append", default=[],
        help="your name of a layer or array, where it is not found by name or order, such as D/l1=fc1",
    )  # fmt: skip
    parser.add_argument(
        "--path", metavar="DIR", type=Path, action="append", default=[], help="a folder that your files import from"
    )
    parser.add_argument(
        "--old-names", action="store_true", help="give your files the names that NumPy has removed, such as np.float"
    )
    parser.add_argument(
        "--iterations", type=shared.positive, default=2, metavar="N", help="number of iterations (default: 2)"
    )
    parser.add_argument(
        "--batch", type=shared.positive, metavar="N", help="samples per batch; default: the system's run.batch"
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument(
        "--data", type=Path, metavar="PATH", help="a data set, as ganspec train reads it; default: random images"
    )
    data.add_argument(
        "--iterator", metavar="FILE:NAME",
        help="function that returns your iterator or data set; 'own' for that of an updater that is made by a function",
    )  # fmt: skip
    parser.add_argument(
        "--image-range",
        metavar="LOW,HIGH",
        type=_range,
        help="range of the images that your updater reads; default: the system's",
    )
    parser.add_argument(
        "--x-shape", metavar="N,...", type=_shape, help="shape of one image as your updater reads it, such as 784"
    )
    parser.add_argument(
        "--report", metavar="YOURS=NAME", action="append", default=[],
        help="the system's name of a number that you report; others are recognised by their values",
    )  # fmt: skip
    parser.add_argument("--dtype", choices=DTYPES, default="float64", help="default: float64")
    shared.add_seed(parser)
    parser.add_argument(
        "--draft", type=Path, metavar="DIR",
        help="write a draft of loss and schedule, lifted from what your updater does, and prove or refuse it instead",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON, too")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0 where all quantities agree, 1 where one differs."""
    a = arguments
    system = load_system(a.system, [*a.set, *([f"run.batch={a.batch}"] if a.batch else [])])
    reports = _reports(a.report)
    backends.load("chainer")  # that it is missing is said before anything else
    from ganspec.tools.updaters.building import Wanted, build
    from ganspec.tools.updaters.drafting import read_losses
    from ganspec.tools.updaters.files import search_path
    from ganspec.tools.updaters.lockstep import run_lockstep
    from ganspec.tools.updaters.rendering import render_draft, render_json, render_text

    wanted = Wanted(a.target, a.network, a.args_of, a.optimizer, a.args, a.map)
    files = [
        text.rpartition("=")[2].rpartition(":")[0] for text in (a.target, *a.network, a.iterator or "") if ":" in text
    ]
    own = [*a.path, *(Path(file).parent for file in files)]
    with search_path(a.path, own if a.old_names else ()):
        built = build(wanted, system)
        batches = _batches(a, system, built)
        options: dict[str, Any] = {"iterations": a.iterations, "seed": a.seed, "dtype": a.dtype}
        draft, read = None, None
        if a.draft:
            draft, system = _drafted(a, system, built, batches)
            reports = draft.reports | reports
        found = run_lockstep(system, built, batches, reports=reports, **options)
        if draft is None and not found.agrees:
            read = read_losses(system, built, batches, a.seed)
        lines = render_text(found, read)
        if draft is not None:
            lines = render_draft(draft, a.draft, found)
        print("\n".join(map(printable, lines)), flush=True)
    if a.json:
        try:
            write_atomically(a.json, render_json(found, draft or read).encode())
        except OSError as error:
            raise cannot_write(a.json, error, option="--json FILE") from None
    return AGREED if found.agrees else DISAGREED


def _drafted(a: argparse.Namespace, system: System, built: Any, batches: Any) -> tuple[Any, System]:
    """Write a draft. Returns: it, and the system that it is."""
    from ganspec.tools.updaters.carried import record
    from ganspec.tools.updaters.drafting import make_draft

    own = Path(a.system.partition(".toml")[0] + ".toml")
    if ".toml" in a.system and own.resolve().parent != a.draft.resolve():
        raise UserError(
            f"--draft {a.draft}: a draft of your own system lies beside it; give its folder, --draft {own.parent}"
        )
    names = {"loss.toml", "schedule.toml", "system.toml"}
    there = sorted(n for n in names if (a.draft / n).exists() and not _is_draft(a.draft / n))
    if there:
        raise UserError(f"--draft {a.draft}: {there[0]} is there already and is no draft; choose another folder")
    like = a.system if ".toml" not in a.system else own.name + a.system.partition(".toml")[2]
    draft = make_draft(
        record(system, built, batches, a.seed), system, like, built.optimizers, a.target.rpartition("/")[2]
    )
    try:
        a.draft.mkdir(parents=True, exist_ok=True)
        for name, text in draft.files.items():
            write_atomically(a.draft / name, text.encode())
    except OSError as error:
        raise cannot_write(a.draft, error, option="--draft DIR") from None
    # What --set says of networks holds for the draft, too; its own loss, schedule and optimisers stand in its files.
    kept = [s for s in a.set if not s.startswith(("loss", "schedule", "optimizers", "draws", "carried"))]
    settings = [*kept, *([f"run.batch={a.batch}"] if a.batch else [])]
    try:
        return draft, load_system(str(a.draft / "system.toml"), settings)
    except SpecError as error:
        left = "".join(f"\n  not lifted: {text}" for text in draft.left)
        raise UserError(f"{a.draft}: the draft is written, but is no system yet:{left}\n{error}", DISAGREED) from None


def _is_draft(path: Path) -> bool:
    try:
        return path.read_text("utf-8").startswith("# DRAFT")
    except (OSError, UnicodeDecodeError):
        return False


def _batches(a: argparse.Namespace, system: System, built: Any) -> Any:
    """Returns: the batches of both."""
    from ganspec.tools.updaters.batches import his_batches, own_batches
    from ganspec.tools.updaters.files import load_name

    if a.iterator == "own":
        if built.own_iterator is None:
            raise UserError("--iterator own: the updater was given no iterator of its own; name a function, FILE:NAME")
        return his_batches(system, built.own_iterator, a.image_range)
    if a.iterator:
        made = load_name(a.iterator, "--iterator")
        if not callable(made):
            return his_batches(system, made, a.image_range)
        try:
            made = made()
        except Exception as error:
            raise UserError(f"--iterator {a.iterator}: {type(error).__name__}: {error}") from None
        return his_batches(system, made, a.image_range)
    feed = None
    if a.data:
        data = load_for(system, a.data)
        feed = Feed(system, data, a.seed, "float64")
    return own_batches(system, a.seed, feed, a.image_range, a.x_shape)


def _reports(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        match = _PAIR.fullmatch(text)
        if not match:
            raise UserError(f"--report: '{text}' is not YOURS=NAME, such as gen/loss=loss_G")
        found[match[1]] = match[2]
    return found


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = 0.0
    if not -1e6 <= low < high <= 1e6:
        raise argparse.ArgumentTypeError("expected two numbers, the smaller first, such as 0,255")
    return low, high


def _shape(text: str) -> tuple[int, ...]:
    sizes = text.split(",")
    if not all(s.isascii() and s.isdigit() and len(s) < 6 and int(s) for s in sizes):
        raise argparse.ArgumentTypeError("expected sizes, such as 784, or 1,28,28")
    return tuple(map(int, sizes))
