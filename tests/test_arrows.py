"""Which folder may import which, that the two implementations are twins, and that files are short."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOUSES = ("spec", "impl_torch", "impl_chainer", "tools")
FRAMEWORKS = {"torch", "torchvision", "chainer", "chainerx", "cupy"}

# What no file of a house may import, not even inside a function.
FORBIDDEN = {
    "spec": {*FRAMEWORKS, "ganspec.impl_torch", "ganspec.impl_chainer", "ganspec.tools", "support"},
    "impl_torch": {"chainer", "chainerx", "cupy", "ganspec.impl_chainer", "ganspec.tools", "support"},
    "impl_chainer": {"torch", "torchvision", "ganspec.impl_torch", "ganspec.tools", "support"},
    "tools": {"support"},
}
# The rooms of a house, and the modules beside them, from the bottom up: none imports one above itself.
FLOORS = {
    "spec": [
        "text", "layers", "parts", "network", "plan", "checks", "merging", "system", "description", "training", "reference",
    ],
    "tools": [
        "errors", "processes", "backends", "data", "baselines", "sampling", "pictures", "quality", "exporting", "agreement",
        "reporting", "fuzzing", "vectors", "conformance", "porting", "updaters", "run", "benchmarks", "programs", "cuda",
        "__main__",
    ],
}  # fmt: skip

MOST_LINES = 300
# Files that are longer, each with its reason and its own bound.
LONGER = {
    "spec/network/reader.py": (
        340,
        "one builder resolves names, inlining and shapes together; a part alone has no meaning",
    ),
    "tools/porting/architecture_layers.py": (390, "one rule for each function of Chainer, side by side"),
    "spec/plan/builder.py": (320, "what every name can mean and how it is misused, in one walk"),
    "spec/text/formula.py": (320, "tree, parser and rendering of one grammar, side by side"),
}

# Public names that only one twin has, each with its reason.
ONLY = {
    ("impl_chainer", "arrays", "ArrayContext.xp"): "NumPy or CuPy: Chainer's arrays are of the one or the other",
    ("impl_chainer", "arrays", "ArrayContext.use"): "CuPy computes on the device of the thread; a tensor knows its own",
    ("impl_torch", "arrays", "ArrayContext.lowered"): "bfloat16, which NumPy and CuPy do not have",
    ("impl_torch", "arrays", "ArrayContext.channels_last"): "a layout that Chainer's convolutions on CUDA do not take",
    **{("impl_torch", "precision", name): "bfloat16, as above" for name in ("Lowered", "Lowered.__init__")},
}
# Files that only one twin has.
ONLY_FILES = {
    ("impl_chainer", "batch_norm"): "NumPy goes through memory once for each operation",
    ("impl_chainer", "compat"): "what makes Chainer import and run on a current stack",
    ("impl_chainer", "convolution"): "matrix products for the CPU, where Chainer's own convolution is slow",
    ("impl_chainer", "memory"): "NumPy's memory used again; PyTorch and CuPy have allocators that do so",
    ("impl_chainer", "spectral_norm"): "NumPy goes through memory once for each operation",
    ("impl_chainer", "threads"): "NumPy computes on one core; PyTorch has threads",
    ("impl_chainer", "windows"): "the matrix of patches that these products need",
    ("impl_torch", "double_backward"): "Chainer's own rules carry no zeros",
    (
        "impl_torch",
        "patches",
    ): "only where PyTorch's own convolution is slow; Chainer's `convolution` is such everywhere",
}


def sources(house: str) -> list[Path]:
    return sorted(path for path in (ROOT / house).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Returns: what a file imports, by statement or by `import_module("...")`: top-level names, and our own in full."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module)
            case ast.Call(ast.Name("__import__"), [ast.Constant(str(name)), *_]):
                found.add(name)
            case ast.Call(ast.Attribute(attr="import_module"), [ast.Constant(str(name)), *_]):
                found.add(name)
    return {name if name.startswith("ganspec.") else name.partition(".")[0] for name in found}


def houses(names: set[str]) -> set[str]:
    """Returns: the same names, but of each of our own modules only the house, such as "ganspec.spec"."""
    return {".".join(name.split(".")[:2]) for name in names}


@pytest.mark.parametrize("house", HOUSES)
def test_house_imports_nothing_above_or_beside_it(house: str) -> None:
    assert sources(house), f"{house} has files"
    wrong = {str(p.relative_to(ROOT)): houses(imports(p)) & FORBIDDEN[house] for p in sources(house)}
    assert not {path: names for path, names in wrong.items() if names}


def test_imports_sees_every_form() -> None:
    here = imports(Path(__file__))
    assert {"ast", "subprocess", "pytest", "collections"} <= here
    assert "chainer" in imports(ROOT / "impl_chainer" / "layers.py")
    assert "torch" in imports(ROOT / "impl_torch" / "layers.py")


def loaded_by(program: str) -> set[str]:
    """Returns: the modules that a fresh interpreter holds after a program: top-level names, and our houses."""
    program += "\nimport sys\nprint('MODULES', *sorted({'.'.join(name.split('.')[:2]) for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("MODULES ")[2].split())


def test_loading_a_system_imports_neither_framework_nor_numpy() -> None:
    program = "from ganspec import spec\nfor name in spec.system_names():\n    spec.load_system(name).plan.columns()"
    loaded = loaded_by(program)
    assert "ganspec.spec" in loaded
    assert not loaded & {*FRAMEWORKS, "numpy", "ganspec.impl_torch", "ganspec.impl_chainer", "ganspec.tools"}


def test_streams_and_state_import_numpy_alone() -> None:
    loaded = loaded_by("import ganspec.spec.training.streams, ganspec.spec.training.draws, ganspec.spec.training.state")
    assert "numpy" in loaded
    assert not loaded & {*FRAMEWORKS, "ganspec.impl_torch", "ganspec.impl_chainer", "ganspec.tools"}


@pytest.mark.parametrize("house", FLOORS)
def test_no_room_imports_one_above_it(house: str) -> None:
    floors = FLOORS[house]
    there = {p.stem for p in (ROOT / house).iterdir() if p.suffix == ".py" or (p.is_dir() and any(p.glob("*.py")))}
    assert there - {"__init__"} == set(floors)
    upward = {}
    for path in sources(house):
        room = path.relative_to(ROOT / house).parts[0].removesuffix(".py")
        if room != "__init__":
            wanted = {name.split(".")[2] for name in imports(path) if name.startswith(f"ganspec.{house}.")}
            above = wanted & set(floors[floors.index(room) + 1 :])
            upward |= {str(path.relative_to(ROOT)): above} if above else {}
    assert not upward


@pytest.mark.parametrize(("own", "other"), [("torch", "chainer"), ("chainer", "torch")])
def test_implementation_imports_its_own_framework_only(own: str, other: str) -> None:
    if find_spec(own) is None:
        pytest.skip(f"needs {own}")
    loaded = loaded_by(f"from ganspec.impl_{own} import Trainer, Network")
    assert own in loaded
    assert not loaded & {other, f"ganspec.impl_{other}", "ganspec.tools"}


def test_chainers_house_applies_its_mends_and_imports_nothing_else_before_it_is_asked() -> None:
    loaded = loaded_by("import sys, ganspec.impl_chainer\nassert 'ganspec.impl_chainer.compat' in sys.modules")
    assert not loaded & {*FRAMEWORKS, "numpy", "ganspec.spec"}


@pytest.mark.parametrize("module", ["arrays", "layers", "network", "trainer"])
def test_any_module_of_chainers_house_can_be_imported_first(module: str) -> None:
    if find_spec("chainer") is None:
        pytest.skip("needs chainer")
    loaded = loaded_by(f"import ganspec.impl_chainer.{module}")
    assert {"chainer", "ganspec.impl_chainer"} <= loaded


def modules(house: str) -> dict[str, Path]:
    return {p.stem: p for p in sorted((ROOT / house).glob("*.py"))}


def signatures(path: Path) -> list[str]:
    """Returns: the public classes, functions and methods of a file, in order, with the names of their arguments."""
    return [line for line, _ in _public(ast.parse(path.read_text("utf-8")).body, "")]


def _public(body: list[ast.stmt], inside: str) -> Iterator[tuple[str, ast.stmt]]:
    for node in body:
        name = getattr(node, "name", "_")
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(node, ast.ClassDef):
            yield f"class {name}", node
            yield from _public(node.body, f"{name}.")
        elif isinstance(node, ast.FunctionDef):
            a = node.args
            positional = [*a.posonlyargs, *a.args]
            defaults = [""] * (len(positional) - len(a.defaults)) + [f"={ast.unparse(d)}" for d in a.defaults]
            arguments = [f"{arg.arg}{default}" for arg, default in zip(positional, defaults, strict=True)]
            arguments += [f"*{a.vararg.arg}"] if a.vararg else ["*"] if a.kwonlyargs else []
            for arg, given in zip(a.kwonlyargs, a.kw_defaults, strict=True):
                arguments.append(f"{arg.arg}={ast.unparse(given)}" if given else arg.arg)
            yield f"{inside}{name}({', '.join(arguments)})", node


def own_names(house: str, module: str, path: Path) -> list[str]:
    only = {name for h, m, name in ONLY if (h, m) == (house, module)}
    return [line for line in signatures(path) if line.partition("(")[0].removeprefix("class ") not in only]


def test_twins_have_the_same_files() -> None:
    entries = {h: {p.stem for p in (ROOT / h).iterdir() if not p.name.startswith(("_", "."))} for h in HOUSES[1:3]}
    for house, name in ONLY_FILES:
        assert name in entries[house], "an exception that matches nothing"
        entries[house].remove(name)
    assert entries["impl_torch"] == entries["impl_chainer"]


@pytest.mark.parametrize("module", sorted({*modules("impl_torch")} - {"__init__"} - {name for _, name in ONLY_FILES}))
def test_twins_have_the_same_names_in_the_same_order(module: str) -> None:
    torch, chainer = (own_names(house, module, modules(house)[module]) for house in ("impl_torch", "impl_chainer"))
    assert torch == chainer
    assert torch, "a module without a public name"


def test_twins_offer_the_same_names() -> None:
    offered = []
    for house in ("impl_torch", "impl_chainer"):
        body = ast.parse(modules(house)["__init__"].read_text("utf-8")).body
        (names,) = (n.value for n in body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__")
        offered.append(ast.literal_eval(names))
    assert offered[0] == offered[1]


def test_exceptions_of_the_twins_match_something() -> None:
    for house, module, name in ONLY:
        lines = [line.partition("(")[0].removeprefix("class ") for line in signatures(modules(house)[module])]
        assert name in lines, f"{name} is no longer in {house}.{module}"


@pytest.mark.parametrize(
    "path", [p for house in HOUSES for p in sources(house)], ids=lambda p: str(p.relative_to(ROOT))
)
def test_file_is_short_and_named_for_what_it_does(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "misc", "common"}
    bound, _ = LONGER.get(str(path.relative_to(ROOT)), (MOST_LINES, ""))
    assert len(path.read_text("utf-8").splitlines()) <= bound


def test_exceptions_of_length_are_needed() -> None:
    for name, (_, reason) in LONGER.items():
        assert reason
        assert len((ROOT / name).read_text("utf-8").splitlines()) > MOST_LINES, f"{name} is short enough by now"
