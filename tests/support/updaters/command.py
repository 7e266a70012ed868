"""The command `ganspec check-updater` on the updaters of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
FILE = f"{FOLDER}/updaters.py"


def command(
    updater: str,
    variant: str = "",
    arguments: str = "",
    *more: str,
    discriminator: str = "Discriminator",
    adam: str = "alpha=2e-4, beta1=0.5",
    system: Path | None = None,
    models: str = "models=(G, D)",
    folder: str = f"{FOLDER}/",
) -> list[str]:
    """Returns: the words after "ganspec"."""
    words = ["check-updater", f"{folder}updaters.py:{updater}"]
    words += ["--system", f"{system or f'{folder}small.toml'}{variant and '/' + variant}"]
    words += ["--network", f"G={folder}nets.py:Generator", "--network", f"D={folder}nets.py:{discriminator}"]
    words += ["--optimizer", f"opt_gen=G:Adam({adam})", "--optimizer", "opt_dis=D:Adam(alpha=2e-4, beta1=0.5)"]
    return [*words, "--args", models + (f", {arguments}" if arguments else ""), *more]


# The files of the small system.
NAMES = ("small", "small_generator", "small_discriminator", "small_autoencoder", "small_labelled", "small_labels")
# Each right updater: variant of the system, arguments, the discriminator.
RIGHT = {
    "Gan": ("", "", "Discriminator"),
    "Chainer1": ("", "", "Discriminator"),
    "Alternating": ("alternating", "", "Discriminator"),
    "Lsgan": ("lsgan", "", "Discriminator"),
    "Hinge": ("hinge", "", "Discriminator"),
    "LabelledGan": ("labelled", "", "Labelled"),
    "SharedFakes": ("same_noise", "", "Discriminator"),
    "WganGp": ("wgan_gp", "n_dis=3, lam=10", "Discriminator"),
    "WganGpNumpy": ("wgan_gp", "n_dis=3, lam=10", "Discriminator"),
    "Began": ("began", "gamma=0.5, lambda_k=0.1", "Autoencoder"),
}


def line_of(text: str, after: str = "", file: str = "updaters.py") -> str:
    """Returns: "updaters.py:41", the line of a file that contains a text, the first behind one that contains another."""
    lines = (FOLDER / file).read_text("utf-8").split("\n")
    start = next(i for i, line in enumerate(lines) if after in line)
    return f"{file}:{next(i for i in range(start, len(lines)) if text in lines[i]) + 1}"


def right(name: str, *more: str, **options: object) -> list[str]:
    """Returns: the command for a right updater."""
    variant, arguments, discriminator = RIGHT[name]
    return command(name, variant, arguments, *more, discriminator=discriminator, **options)  # type: ignore[arg-type]


def systems(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """Copy the small system into a folder. Returns: the path of the copy."""
    for name in names:
        (folder / f"{name}.toml").write_text((FOLDER / f"{name}.toml").read_text("utf-8"), "utf-8")
    return folder / "small.toml"
