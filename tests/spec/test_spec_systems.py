"""How one system's keys come together: bases and their variants, constants, reduced sizes, kinds of optimisers, starts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from ganspec.spec import SpecError, System, load_system, system_names
from ganspec.spec.description import describe
from ganspec.spec.training.state import initial_state
from support.spec.wrong_specs import BASE, write_spec

HEAD = 'title = "t"\nsource = "s"\n'


def own(text: str, folder: Path, settings: tuple[str, ...] = (), *, reduced: bool = False) -> System:
    """Returns: a system of a user, written beside the right spec of the tests."""
    write_spec({"files": {"own.toml": HEAD + text}}, folder)
    return load_system(f"{folder}/own.toml", settings, reduced=reduced)


@pytest.mark.parametrize("name", [name for name in system_names() if "/" in name])
def test_like_a_variant_computes_what_the_variant_computes(name: str, tmp_path: Path) -> None:
    for reduced in (False, True):
        assert describe(own(f'like = "{name}"\n', tmp_path, reduced=reduced)) == describe(
            load_system(name, reduced=reduced)
        )


def test_like_a_variant_of_ones_own_system(tmp_path: Path) -> None:
    system = own('like = "system.toml/wide"\nrun.batch = 5\n', tmp_path)
    assert describe(system) == describe(load_system(f"{BASE}/system.toml/wide", ["run.batch=5"]))


@pytest.mark.parametrize(
    "base", ["../system.toml", "../system.toml/wide", "own/../../system.toml", "/system.toml/wide"]
)
def test_a_base_never_leaves_the_folder(base: str, tmp_path: Path) -> None:
    write_spec({}, tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.toml").write_text(f'{HEAD}like = "{base}"\n', "utf-8")
    with pytest.raises(SpecError, match="is in another folder"):
        load_system(f"{tmp_path}/own/own.toml")


@pytest.mark.parametrize(
    ("name", "size"),
    [("began_faces64", 32), ("began_mnist", 64), ("dcgan_cifar10", 64), ("wgan_gp_mlp_mnist", 32), ("cgan_mnist", 32)],
)
def test_one_constant_moves_networks_and_data_to_another_size(name: str, size: int) -> None:
    system = load_system(name, [f"constants.size={size}"])
    assert system.data.shape[1:] == (size, size)
    assert system.networks["G"].output_shape("out") == system.networks["D"].shape_of("x") == system.data.shape


def cifar_systems() -> list[str]:
    return [name for name in system_names() if "cifar10" in name]


@pytest.mark.parametrize("name", cifar_systems())
def test_every_system_on_cifar_moves_to_grey_images_of_another_size(name: str) -> None:
    system = load_system(name, ["constants.size=64", "constants.channels=1"])
    assert system.data.shape == system.networks["G"].output_shape("out") == (1, 64, 64)


def test_constants_of_a_replaced_network_are_left_out(tmp_path: Path) -> None:
    networks = 'networks.G = { use = "dcgan_generator", bottom = "size / 8" }\nnetworks.D = "began_dcgan_autoencoder"\n'
    system = own(f'like = "began_faces64"\n{networks}constants.size = 32\n', tmp_path)
    assert dict(system.constants) == {"channels": 3, "size": 32}
    assert load_system("began_faces64", ["data.shape=[3, 64, 64]", "networks.D.channels=3"]).constants["channels"] == 3


def test_a_base_for_images_of_another_shape_gives_no_reduced_sizes(tmp_path: Path) -> None:
    shape = "data.shape = [1, 28, 28]\n"
    sizes = "networks.G = { size = 28, channels = 1 }\nnetworks.D = { size = 28, channels = 1 }\n"
    system = own(f'like = "wgan_gp_mlp_mnist"\n{sizes}{shape}', tmp_path, reduced=True)
    assert system.data.shape == (1, 28, 28)
    assert system.run.batch == load_system("wgan_gp_mlp_mnist", reduced=True).run.batch


def test_a_base_for_images_of_the_same_shape_gives_its_reduced_sizes(tmp_path: Path) -> None:
    system = own(
        'like = "dcgan_cifar10"\nloss = "hinge"\nnetworks.D = "sndcgan_discriminator"\n', tmp_path, reduced=True
    )
    assert system.data.shape == (3, 8, 8)


def test_another_kind_of_optimiser_keeps_learning_rates_and_clipping() -> None:
    rmsprop = [
        "optimizers.kind=rmsprop", "optimizers.decay=0.9", "optimizers.start=0", "optimizers.epsilon=1e-8",
        "optimizers.epsilon_place=outside",
    ]  # fmt: skip
    rates = {name: o.learning_rate for name, o in load_system("gan_mlp_mnist", rmsprop).optimizers.items()}
    assert rates == {"G": 1e-4, "D": 4e-5}
    adam = [
        "optimizers.kind=adam", "optimizers.beta1=0", "optimizers.beta2=0.9", "optimizers.epsilon=1e-8",
        "optimizers.epsilon_place=corrected",
    ]  # fmt: skip
    before, after = load_system("wgan_cifar10").optimizers, load_system("wgan_cifar10", adam).optimizers
    assert after["D"].kind == "adam"
    for name in ("D", "G"):
        assert (after[name].learning_rate, after[name].clip) == (before[name].learning_rate, before[name].clip)


def test_carried_numbers_start_where_the_system_says(tmp_path: Path) -> None:
    system = own('like = "began_mnist"\ncarried.k = "1 / 4"\n', tmp_path)
    assert initial_state(system, 0).arrays["carried/k"] == np.array(0.25)
    assert describe(system)["loss"]["carried"]["k"]["start"] == 0.25
    assert load_system("began_mnist", ["carried.k=0.4"]).loss.carried["k"].start == 0.4
    assert own('like = "began_mnist"\ncarried.k = "none"\n', tmp_path).loss.carried["k"].start == 0


def test_growth_starts_in_a_stage_of_which_a_part_is_over() -> None:
    start = "growth.start={ stage = 1, fade = 0.25 }"
    system = load_system("progressive_cifar10", [start])
    assert [system.at(i) for i in (0, 6_250, 18_750, 10**6)] == [(1, 0.25), (1, 0.5), (2, 0.0), (6, 0.0)]
    assert [system.growth.first_iteration(stage, 16) for stage in (0, 1, 2, 3)] == [None, 0, 18_750, 43_750]
    whole = load_system("progressive_cifar10")
    assert [whole.at(i) for i in (0, 12_500)] == [(0, 0.0), (0, 0.5)]


def test_a_run_that_starts_in_another_stage_is_another_run() -> None:
    described = describe(load_system("progressive_cifar10"))["growth"]
    assert described == {"stages": 7, "images": 400_000}, "records of older runs have no start"
    started = describe(load_system("progressive_cifar10", ["growth.start={ stage = 2 }"]))["growth"]
    assert started == described | {"start": {"stage": 2, "fade": 0.0}}


@pytest.mark.parametrize("name", ["9" * 400, "9" * 400 + ".toml", "circle.toml"])
def test_a_file_name_that_the_system_cannot_look_up_is_answered(name: str, tmp_path: Path) -> None:
    write_spec({}, tmp_path)
    (tmp_path / "circle.toml").symlink_to(tmp_path / "circle.toml")
    for key in ("loss.use", "networks.G"):
        with pytest.raises(SpecError, match=r"cannot be read|there is no"):
            load_system(f"{tmp_path}/system.toml", [f"{key}='{name}'"])
    with pytest.raises(SpecError, match=r"cannot be read|there is no"):
        load_system(f"{tmp_path}/{name}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_what_is_no_file_is_answered_at_once() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(f"{folder}/pipe.toml")
        Path(f"{folder}/device.toml").symlink_to("/dev/zero")
        for name, what in {"pipe": "a named pipe", "device": "a device"}.items():
            with pytest.raises(SpecError, match=rf"{name}\.toml: is {what}, not a TOML file"):
                load_system(f"{folder}/{name}.toml")
        Path(f"{folder}/own.toml").write_text(f'{HEAD}like = "pipe.toml"\n', "utf-8")
        with pytest.raises(SpecError, match=r"there is no file 'pipe\.toml'"):
            load_system(f"{folder}/own.toml")
