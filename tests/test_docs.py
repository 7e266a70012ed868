"""The pages of documentation hold: every example runs, every path, name and link exists.

A page's blocks run in one folder, in order. `toml` and `python` blocks whose first line is "# NAME.toml" or "# NAME.py" are files
there; `pycon` blocks are interactive sessions whose answers are compared; other `python` blocks run; of `sh` blocks the `ganspec`
and `python -m` lines run, with few iterations and at the systems' reduced sizes, and what installs something is only looked at.
"""

from __future__ import annotations

import doctest
import functools
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganspec.spec import SpecError, System, load_system
from ganspec.tools.__main__ import PROGRAMS, main
from support.pages import PAGES, ROOT, Block, anchors, blocks, links, prose, rows_under, words_in_backticks

# Pages that are not run here, each with the place where its commands are tried.
RUN_ELSEWHERE = {"chainer.md": "tests/compat", "porting.md": "tests/porting"}
LANGUAGES = {"toml", "pycon", "python", "sh", "text"}
TOP = {path.name for path in ROOT.iterdir()}
MAX_WORDS = 650  # of README: a page that is read at one go
NOT_RUN = ("pip", "tools/train", "tools/test", ".ci/run", "cd")  # commands that install, or run the tests
# What each program needs to be quick.
QUICK = {
    "train": ["--iterations", "2"],
    "crosscheck": ["--iterations", "1"],
    "bench": ["--iterations", "1", "--rounds", "1", "--backend", "torch"],
    "check-updater": ["--iterations", "1"],
}
DEFAULT_SYSTEM = {"crosscheck": "wgan_gp_mlp_mnist", "bench": "wgan_gp_mlp_mnist"}  # in place of all there are
# Words in backticks that look like names of ours and are not: of frameworks, of files that runs write, of examples.
ELSEWHERE = {
    "torch.nn.Module", "chainer.Chain", "state_dict", "load_state_dict", "setuptools<81", "pip", "numpy.random.Philox",
    "jax.grad", "jax.jit", "jnp.clip", "ganspec.backends",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None) -> Path:
    """A folder to run a page in, with the data and the script that its commands name."""
    for package in ("torch", "ganspec.impl_chainer.compat", "chainer", "PIL"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "my_pictures.npz", images=images)
    (tmp_path / "their_script.py").write_text("import chainer, sys\nprint(chainer.__version__, sys.argv)\n")
    train = importlib.import_module("ganspec.tools.programs.train")
    monkeypatch.setattr(train, "load_system", load_small_system)
    monkeypatch.setattr("ganspec.spec.training.runs.load_system", load_small_system)  # what reads a run's folder
    return tmp_path


def load_small_system(name: str, settings: Iterable[str] = ()) -> System:
    """Returns: a system at its reduced sizes; where settings do not go with those, at full size in small batches."""
    settings = [*settings, "data.fit=resize", "run.grid=[2, 2]"]
    try:
        return load_system(name, settings, reduced=True)
    except SpecError:
        return load_system(name, [*settings, "run.batch=4"])


def run_page(page: Path, folder: Path) -> int:
    """Run the blocks of a page. Returns: how many examples were run."""
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for block in blocks(page):
        match block.language:
            case "toml":
                tomllib.loads(block.text)
                if block.file:
                    (folder / block.file).write_text(block.text, "utf-8")
            case "pycon":
                count += run_session(block, names)
            case "python" if block.file:
                (folder / block.file).write_text(block.text, "utf-8")
            case "python":
                exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), names)
                count += 1
            case "sh":
                count += sum(run_line(block, line) for line in block.text.replace("\\\n", " ").splitlines())
    return count


def run_session(block: Block, names: dict[str, Any]) -> int:
    examples = doctest.DocTestParser().get_doctest(block.text, names, str(block), str(block.page), block.line - 1)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    failed, tried = runner.run(examples, out=said.append, clear_globs=False)
    assert not failed, "".join(said)
    names.update(examples.globs)
    return tried


def run_line(block: Block, line: str) -> int:
    """Run a line of a shell block, or look at what it names if it is not to be run. Returns: how many commands it has."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["ganspec"]:
        arguments = quick(words[1:])
        assert main(arguments) == 0, f"{block}: ganspec {shlex.join(arguments)}"
        return 1
    if words[:2] == ["python", "-m"]:
        done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{block}: {line}\n{done.stderr}"
        return 1
    assert not words or words[0] in NOT_RUN, f"{block}: {line}"
    wrong = [word for word in words if not exists(word)]
    wrong += [
        name
        for name in re.findall(r"python -m ([\w.]+)", line)
        if not (ROOT / "tests" / f"{name.replace('.', '/')}.py").exists()
    ]
    assert not wrong, f"{block}: {line}: there is no {', '.join(wrong)}"
    return bool(words)


def quick(words: list[str]) -> list[str]:
    """Returns: the arguments of a command that does the same on less: few iterations, no download."""
    if not words or words[0].startswith("-"):
        return words
    program, *rest = words
    for option in ("--iterations", "--epochs"):
        if option in rest:
            place = rest.index(option)
            del rest[place : place + 2]
    if program in DEFAULT_SYSTEM and not [word for word in rest if not word.startswith("-")]:
        rest = [DEFAULT_SYSTEM[program], *rest]
    if "--download" in rest:
        rest[rest.index("--download")] = "--data=my_pictures.npz"
    more = ["--iterations", "3"] if "--resume" in rest else QUICK.get(program, [])
    return [program, *rest, *(more if "--dry-run" not in rest else [])]


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in RUN_ELSEWHERE], ids=lambda page: page.name)
def test_examples_run(page: Path, folder: Path) -> None:
    unknown = {block.language for block in blocks(page)} - LANGUAGES
    assert not unknown, f"{page.name}: a fenced block says what it is: one of {', '.join(sorted(LANGUAGES))}"
    count = run_page(page, folder)
    assert count or not blocks(page, "python", "pycon", "sh")


def test_an_example_that_fails_is_seen(folder: Path) -> None:
    page = folder / "page.md"
    for text in (
        "```pycon\n>>> 1 + 1\n3\n```\n",
        "```python\nassert False\n```\n",
        "```sh\nganspec show no_such_system\n```\n",
        "```sh\npython -m no_such_module\n```\n",
        "```sh\nunknown_program\n```\n",
    ):
        page.write_text(text)
        with pytest.raises(AssertionError):
            run_page(page, folder)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        if "://" not in link:
            file = (page.parent / target).resolve() if target else page
            assert file.exists(), f"{page.name}: {link}"
            assert file.is_relative_to(ROOT), f"{page.name}: {link} leaves the repository"
            assert not anchor or anchor in anchors(file), f"{page.name}: {link} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_named_exists(page: Path) -> None:
    words = words_in_backticks(prose(page))
    if page.name in RUN_ELSEWHERE:  # it names what is Chainer's and NumPy's
        words = [word for word in words if "/" in word or word.startswith("ganspec.")]
    wrong = [word for word in words if not exists(word)]
    assert not wrong, f"{page.name} names what is not there: {', '.join(wrong)}"


@pytest.mark.parametrize(
    "word",
    ["spec/no_such_file.py", "tools/run/*.pyx", "ganspec.spec.no_such_name", "test_no_such_fact", "no_such_function()"],
)
def test_what_does_not_exist_is_seen(word: str) -> None:
    assert not exists(word)


def exists(word: str) -> bool:
    """Returns: whether a word in backticks is there, if it looks like a path, a name or a test of ours."""
    if word in ELSEWHERE:
        return True
    if re.fullmatch(r"[\w.*/-]+", word) and ("/" in word or word in TOP) and word.partition("/")[0] in TOP:
        return bool(list(ROOT.glob(word.rstrip("/").replace("NAME", "*"))))  # NAME stands for any name
    if re.fullmatch(r"ganspec(\.\w+)+", word):
        return resolves(word)
    if re.fullmatch(r"(\w+\.)*\w*[A-Za-z]\w*(\(\))?", word) and re.search(r"_|\(\)|\.|[a-z][A-Z]", word):
        # A name in code: each of its parts stands somewhere in the sources.
        return all(part in words_of_sources() for part in word.removesuffix("()").split("."))
    return True


def resolves(name: str) -> bool:
    module, _, rest = name.partition(".")
    found: Any = importlib.import_module(module)
    for part in rest.split("."):
        if not hasattr(found, part):
            try:
                importlib.import_module(f"{found.__name__}.{part}")
            except (ImportError, AttributeError):
                return False
        found = getattr(found, part)
    return True


@functools.cache
def words_of_sources() -> frozenset[str]:
    """Returns: every word of the sources, TOML files and tests, but for this one, and the names of our files."""
    files = [
        path for top in ("spec", "impl_torch", "impl_chainer", "tools", "tests") for path in (ROOT / top).rglob("*.*")
    ]
    files = [
        path for path in [*files, ROOT / "pyproject.toml"] if path.suffix in (".py", ".toml") and path != Path(__file__)
    ]
    text = "\n".join(path.read_text("utf-8") for path in files)
    text += "\n".join(block.text for page in PAGES for block in blocks(page))
    text += " ".join(re.findall(r"^def (test_\w+)", Path(__file__).read_text("utf-8"), re.MULTILINE))
    return frozenset(re.findall(r"\w+", text)) | {part for path in files for part in path.name.split(".")}


def test_readme_is_short() -> None:
    words = [word for word in (ROOT / "README.md").read_text("utf-8").split() if re.search(r"\w", word)]
    assert len(words) <= MAX_WORDS


def test_readme_lists_every_program() -> None:
    rows = rows_under(ROOT / "README.md", "program")
    assert {name.split()[1] for name in rows if name.startswith("ganspec ")} == set(PROGRAMS)


@pytest.mark.parametrize("houses", [["spec"], ["tools"], ["impl_torch", "impl_chainer"]], ids=" and ".join)
def test_the_map_of_the_house_has_every_room(houses: list[str]) -> None:
    entries = [path for house in houses for path in (ROOT / house).iterdir() if not path.name.startswith("__")]
    rooms = {path.name for path in entries if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.*")))}
    listed = rows_under(ROOT / "docs" / "design.md", " and ".join(f"`{house}`" for house in houses))
    assert {name.removesuffix("/") for name in listed} == rooms, "docs/design.md, The map: a row for each room"


def test_extras_named_are_those_of_the_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for page in PAGES:
        for named in re.findall(r"(?:ganspec|\.)\[([\w,]+)\]", page.read_text("utf-8")):
            assert set(named.split(",")) <= set(extras), page.name


def test_pages_say_nothing_of_the_machine_they_were_written_on() -> None:
    for page in PAGES:
        text = page.read_text("utf-8")
        assert not re.search(r"/(?:work|home|root|tmp)/\w|localhost|127\.0\.0\.1", text), page.name
