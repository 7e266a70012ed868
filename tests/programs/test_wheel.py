"""The wheel as strangers install it: beside a distribution that owns our folders' names, and started among modules so named."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from support.updaters.command import command

ROOT = Path(__file__).resolve().parents[2]
TAKEN = (
    "spec",
    "tools",
    "tests",
    "docs",
    "impl_torch",
    "impl_chainer",
    "support",
)  # names that belong to somebody else
TRAP = "raise ImportError('this module is not of ganspec')\n"
OLD_MODEL = """
import chainer
import chainer.links as L

class Old(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(3, 2)

    def __call__(self, x):
        return chainer.functions.tanh(self.l1(x))
"""
NEEDED = (
    "ganspec/__init__.py",
    "ganspec/py.typed",
    "ganspec/spec/systems/wgan_gp_mlp_mnist.toml",
    "ganspec/spec/vectors/index.json",
    "ganspec/spec/vectors/systems/wgan_gp_mlp_mnist.safetensors",
    "ganspec/tools/vectors/schema.json",
    "ganspec/tools/vectors/cases/layers.toml",
    "ganspec/tools/vectors/cases/losses/system.toml",
    "ganspec/tools/data/digits/t10k-images-idx3-ubyte.gz",
    "ganspec/tools/data/digits/LICENSE.md",
    "ganspec/tools/run/report.css",
    "ganspec/impl_chainer/compat/__init__.py",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built of a copy of what git has here, so that nothing is written into the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in filter(lambda name: (ROOT / name).is_file(), files):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, source]
    subprocess.run(list(map(str, build)), check=True, capture_output=True, timeout=300)
    (found,) = out.glob("ganspec-*.whl")
    return found


@pytest.fixture(scope="module")
def crowded(wheel, tmp_path_factory) -> tuple[Path, Path]:
    """An environment that has the wheel and a distribution with our folders' names, and a folder with such modules."""
    home, here = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("work")
    venv.create(home, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = home / "lib" / version / "site-packages"
    # What ganspec needs comes from the environment of the tests; of its .pth files, the editable install's, none is followed.
    (packages / "needed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    for name in TAKEN:
        for folder in (packages, here):
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(TRAP)
    (here / "spec.py").write_text(TRAP)
    (here / "old_model.py").write_text(OLD_MODEL)
    for path in (ROOT / "tests" / "support" / "updaters").glob("*.*"):  # what `check-updater` is tried on
        (here / path.name).write_bytes(path.read_bytes())
    script = Path(sysconfig.get_paths()["scripts"])
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages, wheel]
    subprocess.run(list(map(str, install)), check=True, capture_output=True, timeout=300)
    assert script.is_dir()
    return home / "bin" / "python", here


def run(crowded, *arguments, given=None):
    python, here = crowded
    return subprocess.run(
        [str(python), *map(str, arguments)],
        cwd=here,
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_wheel_holds_one_package_and_what_it_needs(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"ganspec"}
    assert not set(NEEDED) - set(names)
    assert not [name for name in names if name.startswith(("ganspec/tests", "ganspec/docs", "ganspec/.ci"))]


def test_a_users_own_modules_and_another_distributions_are_not_ours(crowded):
    done = run(crowded, "-c", "import ganspec.spec, ganspec; print(ganspec.__file__, ganspec.__version__)")
    assert done.returncode == 0, done.stderr
    assert "site-packages" in done.stdout
    assert run(crowded, "-c", "import tools").returncode == 1, "the traps work"


PROGRAMS_TRIED = [
    ["systems"],
    ["show", "began_faces64"],
    ["train", "wgan_gp_mlp_mnist", "--iterations", "1", "--out", "torch"],
    ["train", "wgan_gp_mlp_mnist", "--iterations", "1", "--out", "chainer", "--backend", "chainer"],
    ["report", "torch"],
    ["evaluate", "torch", "--metrics", "fid", "--n", "100"],
    ["sample", "torch", "--n", "4"],
    ["interpolate", "torch", "--rows", "1"],
    ["manifold", "torch", "--side", "2"],
    ["export", "chainer", "--to", "torch"],
    ["crosscheck", "wgan_gp_mlp_mnist", "--iterations", "1"],
    ["vectors", "--lint"],
    command("Gan", folder=""),
    ["fuzz", "--examples", "1"],
    ["port", "old_model.py:Old", "--input", "x=3", "--out", "ported"],
    ["bench", "wgan_gp_mlp_mnist", "--backend", "torch", "--batch", "8", "--rounds", "1", "--iterations", "1"],
]


@pytest.fixture(scope="module")
def tried(crowded) -> dict[str, tuple[int, str]]:
    """The exit code of each program, in this order, and its messages."""
    done = run(crowded, ROOT / "tests" / "support" / "start_many.py", given=json.dumps(PROGRAMS_TRIED))
    assert done.returncode == 0, done.stderr
    return dict(zip(map(" ".join, PROGRAMS_TRIED), json.loads(done.stdout), strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("program", [" ".join(arguments) for arguments in PROGRAMS_TRIED])
def test_every_program_works_there(program, tried):
    code, said = tried[program]
    assert code == 0, said


def test_a_program_is_started_there(crowded):
    done = run(crowded, "-m", "ganspec.tools", "show", "began_mnist")
    assert done.returncode == 0, done.stderr


def test_the_programs_tried_are_all_there_are():
    from ganspec.tools.__main__ import PROGRAMS

    assert {arguments[0] for arguments in PROGRAMS_TRIED} == set(PROGRAMS)


def test_a_script_of_the_users_runs_under_compat_there(crowded):
    (crowded[1] / "script.py").write_text("import chainer, sys\nprint(chainer.__version__, sys.argv[1])\n")
    done = run(crowded, "-m", "ganspec.impl_chainer.compat", "script.py", "given")
    assert (done.returncode, done.stdout) == (0, "7.8.1 given\n"), done.stderr
