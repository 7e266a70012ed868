"""What cannot be compared says what is wrong, where, and how to mend it: each wrong input beside its message (messages.toml)."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("chainer") is None:
    pytest.skip("Chainer is not installed", allow_module_level=True)

from ganspec.tools.__main__ import main
from support.updaters.command import FILE, FOLDER, command

MESSAGES = tomllib.loads((Path(__file__).parent / "messages.toml").read_text("utf-8"))
NETS = f"{FOLDER}/nets.py"


def changed(words: list[str], old: str, new: str) -> list[str]:
    """Returns: the words of a command, one of them another."""
    assert old in words
    return [new if word == old else word for word in words]


GAN = command("Gan")
G, D = f"G={NETS}:Generator", f"D={NETS}:Discriminator"
OPTIMIZER = "opt_gen=G:Adam(alpha=2e-4, beta1=0.5)"
MADE = [
    "check-updater",
    f"{FILE}:make_updater",
    "--system",
    f"{FOLDER}/small.toml",
    "--network",
    "G=gen",
    "--network",
    "D=dis",
]
CASES = {
    "no_such_file": changed(GAN, f"{FILE}:Gan", f"{FOLDER}/updates.py:Gan"),
    "not_file_and_name": changed(GAN, f"{FILE}:Gan", FILE),
    "no_such_class": changed(GAN, f"{FILE}:Gan", f"{FILE}:Gans"),
    "no_update_core": command("NoCore"),
    "file_does_not_import": changed(GAN, f"{FILE}:Gan", f"{FOLDER}/broken_file.py:Gan"),
    "file_ends_the_program": changed(GAN, f"{FILE}:Gan", f"{FOLDER}/script.py:Gan"),
    "argument_missing": command("WganGp", "wgan_gp"),
    "argument_unknown_name": command("Gan", models="models=(G, E)"),
    "argument_is_code": command("Gan", models="models=__import__('os').system('true')"),
    "arguments_malformed": command("Gan", models="models=(G, D"),
    "network_missing": MADE[:-2],
    "network_of_another_name": [*GAN, "--network", f"E={NETS}:Discriminator"],
    "network_twice": [*GAN, "--network", D],
    "network_needs_arguments": changed(GAN, D, f"D={NETS}:Unfinished"),
    "network_is_no_link": changed(GAN, D, f"D={FILE}:NoCore"),
    "network_does_not_fit": [*GAN, "--args-of", "D=8"],
    "network_no_attribute": changed(MADE, "D=dis", "D=critic"),
    "optimizer_malformed": changed(GAN, OPTIMIZER, "opt_gen=Adam"),
    "optimizer_of_no_network": changed(GAN, OPTIMIZER, "opt_gen=C:Adam()"),
    "optimizer_unknown": changed(GAN, OPTIMIZER, "opt_gen=G:Adams(alpha=1)"),
    "optimizer_argument": changed(GAN, OPTIMIZER, "opt_gen=G:Adam(learning_rate=1)"),
    "optimizer_missing": changed(GAN, OPTIMIZER, "gen=G:Adam(alpha=2e-4, beta1=0.5)"),
    "system_of_other_networks": command("Gan", "began"),
    "updater_raises": command("Raises"),
    "iterator_empty": [*GAN, "--iterator", f"{FILE}:empty"],
    "iterator_runs_out": [*GAN, "--iterator", f"{FILE}:few", "--set", "data.range=[0, 255]"],
    "iterator_of_other_images": [*GAN, "--iterator", f"{FILE}:small_images"],
    "iterator_own_without": [*GAN, "--iterator", "own"],
    "shape_of_other_size": [*GAN, "--x-shape", "10"],
    "data_missing": [*GAN, "--data", "nowhere.npz"],
    "report_unknown": [*GAN, "--report", "loss_gen=loss_g"],
    "report_malformed": [*GAN, "--report", "loss_gen"],
    "map_malformed": [*GAN, "--map", "l0=l1"],
    "map_unknown": [*GAN, "--map", "D/l0=fc0"],
    "json_in_no_folder": [*GAN, "--json", f"{FOLDER}/nowhere/found.json"],
    "draft_elsewhere": [*GAN, "--draft", "drafts"],
}


@pytest.mark.parametrize("name", CASES)
def test_message(name, capsys, monkeypatch):
    monkeypatch.chdir(FOLDER)
    assert main(CASES[name]) == 2
    said = capsys.readouterr().err.replace(f"{FOLDER}/", "").replace(str(FOLDER), "FOLDER").strip()
    said = re.sub(r"\.py:\d+", ".py:LINE", said)
    assert said == MESSAGES[name]["message"].strip()


def test_every_message_has_a_case():
    assert set(MESSAGES) == set(CASES)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--image-range", "1,0"), ("--image-range", "a,b"), ("--x-shape", "3x3"), ("--iterations", "0")],
)
def test_option_that_is_no_value(option, value, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*GAN, option, value])
    assert ended.value.code == 2
    assert f"argument {option}: expected" in capsys.readouterr().err
