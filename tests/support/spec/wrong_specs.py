"""The wrong specs in tests/spec: what a newcomer may write, and the message that must answer.

A case is `wrong/ID.toml`. It says `why` the spec is wrong, and what is done to the right spec in `base` before it is loaded:
`edits` (in `file`, `old` becomes `new`), `files` that replace or join those of the base, `settings` as after --set, and `load`,
the system's name. The answer is `wrong/ID.txt`; {losses} in it stands for the packaged losses, and so on. After a change of
messages, write the answers anew and read the difference:

    cd tests && PYTHONPATH=. python -m support.spec.wrong_specs --update
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

import ganspec.spec.layers
import ganspec.spec.plan.builder
from ganspec.spec import SpecError, load_system
from ganspec.spec.text.files import names, system_names

HERE = Path(__file__).resolve().parents[2] / "spec"  # the cases
BASE = HERE / "base"
CASES = sorted((HERE / "wrong").glob("*.toml"))
KINDS = ("architectures", "losses", "schedules", "systems")


def read_case(path: Path) -> dict:
    """Returns: a case; it has a reason, and only the keys that are listed above."""
    case = tomllib.loads(path.read_text("utf-8"))
    assert case["why"], "a case says what its writer got wrong"
    assert set(case) <= {"why", "edits", "files", "settings", "load"}, sorted(case)
    return case


def write_spec(case: dict, folder: Path) -> None:
    """Write the wrong spec of a case into an empty folder."""
    shutil.copytree(BASE, folder, dirs_exist_ok=True)
    for edit in case.get("edits", []):
        path = folder / edit["file"]
        text = path.read_text("utf-8")
        assert text.count(edit["old"]) == 1, f"{edit['old']!r} stands {text.count(edit['old'])} times in {edit['file']}"
        path.write_text(text.replace(edit["old"], edit["new"]), "utf-8")
    for name, text in case.get("files", {}).items():
        (folder / name).write_text(text, "utf-8")


def message_of(case: dict, folder: Path) -> str:
    """Returns: what loading the spec in the folder says; "" where it loads."""
    load = case.get("load", "system.toml")
    try:
        load_system(f"{folder}/{load}" if ".toml" in load else load, case.get("settings", ()))
    except SpecError as error:
        message = _shortened(str(error)).replace(f"{folder}/", "")
        for kind in KINDS:
            listed = sorted(system_names()) if kind == "systems" else names(kind)
            message = message.replace(f"expected one of {', '.join(listed)}", f"expected one of {{{kind}}}")
        return message + "\n"
    return ""


WORDS = {"layers": {*ganspec.spec.layers.KINDS}, "functions": {*ganspec.spec.plan.builder.FUNCTIONS}}


def _shortened(message: str) -> str:
    """Returns: the message, in whose lists {layers} and {functions} stand for all kinds and functions, before other words."""

    def shorten(found: re.Match[str]) -> str:
        listed = found[1].split(", ")
        for name, words in WORDS.items():
            if words <= set(listed):
                listed = [f"{{{name}}}", *(word for word in listed if word not in words)]
        return "expected one of " + ", ".join(listed)

    return re.sub(r"expected one of (\w+(?:, \w+)*)", shorten, message)


def _update() -> None:
    for path in CASES:
        with tempfile.TemporaryDirectory() as folder:
            case = read_case(path)
            write_spec(case, Path(folder))
            message = message_of(case, Path(folder))
        if not message:
            sys.exit(f"{path.stem}: this spec is right")
        path.with_suffix(".txt").write_text(message, "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit(__doc__)
    _update()
