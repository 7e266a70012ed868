"""Draw systems at random, and compare all witnesses on each: for a night.

Exit code 0 where all agree on every system, 1 where something was found, 2 where it could not run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ganspec.spec.text.errors import counted, printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools import backends
from ganspec.tools.errors import AGREED, DISAGREED, UserError, cannot_write, command
from ganspec.tools.programs import options as shared

if TYPE_CHECKING:
    from ganspec.tools.fuzzing.search import Find

EPILOG = """Each system is drawn whole: graphs of layers, formulas, schedule, optimisers, extreme but legal numbers. What is found
is shrunk, and written to a folder with the command that shows it again. exit code: 0 nothing was found; 1 something was; 2 it
could not run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec fuzz`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--examples", type=shared.positive, default=200, metavar="N", help="number of systems (default: 200)"
    )
    shared.add_seed(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("fuzz"), metavar="DIR", help="folder for finds (default: fuzz)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0 where nothing was found, 1 where something was."""
    try:
        from ganspec.tools.fuzzing.search import search
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise UserError("hypothesis is not installed; install it with: pip install 'ganspec[test]'") from None
    for name in backends.NAMES:
        backends.load(name)  # what is missing is said before anything is drawn
    found = 0
    with tqdm(total=arguments.examples, unit="system", disable=None, file=sys.stderr) as bar:
        for found, find in enumerate(search(arguments.examples, arguments.seed, bar.update), 1):
            folder = arguments.out / f"{arguments.seed}-{found:03}"
            _write(folder, find)
            system, seed = folder / "system.toml", str(find.drawn.seed)
            again = command(
                "ganspec", "crosscheck", system, "--full", "--seed", seed, "--iterations", str(find.drawn.iterations)
            )
            tqdm.write("\n".join([*map(printable, find.what.split("\n")), f"  {printable(again)}"]), file=sys.stdout)
    print(
        f"{counted(arguments.examples, 'system')} of the seed {arguments.seed}, {counted(found, 'find')}"
        + (f" in {arguments.out}" if found else "")
    )
    return DISAGREED if found else AGREED


def _write(folder: Path, find: Find) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {**find.drawn.files, "found.txt": find.what + "\n"}.items():
            write_atomically(folder / name, text.encode())
    except OSError as error:
        raise cannot_write(folder, error) from None
