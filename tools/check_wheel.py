"""Build the wheel, unpack it elsewhere, and run the command from there without this checkout.

Packages that it needs come from the environment that runs this; only the checkout is out of reach.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_NEEDED = (
    "spec/systems/wgan_gp_mlp_mnist.toml",
    "tools/data/digits/t10k-images-idx3-ubyte.gz",
    "impl_chainer/compat/__init__.py",
)


def main() -> int:
    """Returns: 0; an exception tells what failed."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder]
        subprocess.run([*build, str(_ROOT)], check=True)
        (wheel,) = here.glob("ganspec-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            missing = [name for name in _NEEDED if name not in archive.namelist()]
            assert not missing, f"the wheel lacks {missing}"
            assert not any(name.startswith("tests") for name in archive.namelist()), "the wheel has the tests"
            archive.extractall(here / "installed")
        environment = {**os.environ, "PYTHONPATH": str(here / "installed")}
        for arguments in (
            ["systems"],
            ["show", "began_faces64"],
            ["train", "wgan_gp_mlp_mnist", "--iterations", "1", "--out", str(here / "run")],
        ):
            command = [sys.executable, "-m", "tools", *arguments]
            subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        assert (here / "run" / "checkpoints" / "00000001.safetensors").is_file()
    print("the wheel works on its own")
    return 0


if __name__ == "__main__":
    sys.exit(main())
