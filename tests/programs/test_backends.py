"""Backends by name: the protocol that each keeps, those of other packages, and what is said of one that is broken."""

import inspect
import json
import re

import pytest

from ganspec.spec import load_system
from ganspec.spec.reference import Trainer as Reference
from ganspec.spec.training import protocol
from ganspec.spec.training.record import RunError, read_record, write_record
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from ganspec.tools.errors import UserError
from support.programs import SMALL, here


def install(folder, name, module="my_gan", text=None, distribution="my-gan"):
    """Install a package whose entry point offers a backend, as pip would: a module, and the folder with its metadata."""
    info = folder / f"{distribution.replace('-', '_')}-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[ganspec.backends]\n{name} = {module}\n")
    if text is not None:
        (folder / f"{module}.py").write_text(text)


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder that Python looks for packages in."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def methods(of):
    return {name for name, value in vars(of).items() if inspect.isfunction(value) and not name.startswith("_")}


def test_what_is_looked_for_is_the_protocol():
    assert methods(protocol.Executor) | {"update"} == set(protocol.EXECUTES)
    assert methods(protocol.Trainer) - {"update"} == set(protocol.TRAINS)


def keeps(trainer, wanted, name):
    """Check that a method takes what the protocol's does, and perhaps more that may be left out."""
    own, there = (inspect.signature(getattr(of, name)).parameters for of in (trainer, wanted))
    assert list(own)[: len(there)] == list(there), name
    for key in there:
        assert (own[key].kind, own[key].default) == (there[key].kind, there[key].default), f"{name}: {key}"
    assert all(own[key].default is not own[key].empty for key in list(own)[len(there) :]), name


def test_a_backend_keeps_the_protocol(backend):
    trainer = backends.load(backend, to_train=True).Trainer
    for name in (*protocol.EXECUTES, *protocol.TRAINS):
        keeps(trainer, protocol.Trainer, name)
    for name in ("iteration", "learning_rates"):
        made = backends.make_trainer(backend, load_system("gan_mlp_mnist", reduced=True), 0)
        assert hasattr(made, name)


def test_the_reference_keeps_the_protocol_but_takes_its_gradients_from_elsewhere():
    for name in set(protocol.EXECUTES) - {"update"}:
        keeps(Reference, protocol.Executor, name)
    assert list(inspect.signature(Reference.update).parameters) == ["self", "result", "gradients"]
    assert not hasattr(Reference, "iterate")


def test_the_reference_is_a_backend_by_its_name():
    system = load_system("gan_mlp_mnist", reduced=True)
    trainer = backends.make_trainer("reference", system, 4)
    result = trainer.compute(0, 0, random_feed(system, 4), keep_layers=True)
    value = backends.load("reference").to_numpy(result.values[result.plan.losses["D"]])
    assert float(value) == result.losses["D"]


def test_ganspecs_own_backends_stand_first():
    assert backends.names()[:3] == ("torch", "chainer", "reference")
    assert protocol.training_backends()[:2] == ("torch", "chainer")


def test_a_backend_of_another_package_is_found_by_its_name(packages):
    install(packages, "mine", text="from ganspec.spec.reference import *")
    assert backends.names() == ("torch", "chainer", "reference", "mine")
    assert backends.load("mine").Trainer is Reference
    assert backends.versions("mine") == {"my-gan": "1.5"}


@pytest.mark.parametrize("name", ["torch", "reference", "../out", "a/b", ".", "x" * 41])
def test_a_name_that_is_taken_or_no_name_of_a_folder_is_left_out(name, packages):
    install(packages, name, text="raise RuntimeError('must not be imported')")
    assert backends.names() == ("torch", "chainer", "reference")
    assert backends.load("reference").Trainer is Reference


SAID = [
    (
        "raise RuntimeError('no such GPU')",
        "does not import: RuntimeError: no such GPU; mend that package, or uninstall it",
    ),
    ("import no_such_module", "does not import: ModuleNotFoundError: No module named 'no_such_module'"),
    ("raise SystemExit", "does not import: SystemExit; mend that package"),
    (None, "does not import: ModuleNotFoundError: No module named 'my_gan"),
    ("", "lacks Trainer, to_numpy, DeviceError; docs/backends.md says what a backend has"),
    (
        "from ganspec.spec.reference import *\nDeviceError = 'none'",
        "lacks DeviceError, a class of exceptions; docs/backends.md says",
    ),
    (
        "class Trainer:\n    def compute(self): ...\nto_numpy, DeviceError = float, ValueError",
        "lacks Trainer.repeats, Trainer.update, Trainer.end_iteration, Trainer.generate, Trainer.state, Trainer.load; docs/",
    ),
]


@pytest.mark.parametrize("number", range(len(SAID)))
def test_a_broken_backend_is_one_message(number, packages):
    (text, said), module = SAID[number], f"my_gan_{number}"  # of another name each: a module is imported once
    install(packages, "mine", module, text)
    message = re.escape(f"the backend 'mine' (ganspec.backends of my-gan 1.5: {module}) ") + ".*" + re.escape(said)
    with pytest.raises(UserError, match=message):
        backends.make_trainer("mine", load_system("gan_mlp_mnist", reduced=True), 0)


def test_two_packages_with_one_name_are_named(packages):
    install(packages, "mine", text="")
    install(packages, "mine", distribution="other-gan")
    assert backends.names().count("mine") == 1
    with pytest.raises(UserError, match=r"'mine' is offered by my-gan 1\.5 and other-gan 1\.5; uninstall all of them"):
        backends.load("mine")


def test_a_backend_that_is_not_there_is_named_with_those_that_are():
    wanted = "there is no backend 'refrence': expected one of chainer, reference, torch; did you mean 'reference'?"
    with pytest.raises(UserError, match=re.escape(wanted)):
        backends.load("refrence")


def test_what_cannot_train_says_so(packages, capsys):
    install(packages, "mine", "looks_only", "from ganspec.spec.reference import *")
    with pytest.raises(
        UserError, match="the reference computes no gradients, so it cannot train alone; expected one of"
    ):
        backends.load("reference", to_train=True)
    lacks = r"'mine' cannot train: it lacks Trainer\.iterate; docs"
    with pytest.raises(UserError, match=lacks):
        backends.load("mine", to_train=True)
    assert here("train", "gan_mlp_mnist", "--backend", "mine") == 2
    assert "cannot train" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        here("train", "gan_mlp_mnist", "--backend", "reference")
    assert "the reference computes no gradients, so it cannot train alone" in capsys.readouterr().err


def test_a_run_trains_and_resumes_in_another_packages_backend(images, tmp_path, packages, both_backends, capsys):
    install(packages, "mine", "my_own_gan", "from ganspec.impl_torch import DeviceError, Trainer, to_numpy")
    out = tmp_path / "run"
    options = ["--data", images, "--out", out, "--backend", "mine"]
    assert here("train", "wgan_gp_mlp_mnist", *SMALL, *options, "--iterations", 2) == 0
    record = json.loads((out / "run.json").read_text())
    assert (record["backend"], record["versions"]["my-gan"], record["versions"]["cuda"]) == ("mine", "1.5", None)
    assert here("train", "--resume", out, "--iterations", 3) == 0
    (resumed,) = json.loads((out / "run.json").read_text())["resumed"]
    assert (resumed["iteration"], resumed["backend"]) == (2, "mine")
    capsys.readouterr()


def test_a_record_names_a_backend_that_is_installed(tmp_path, packages):
    record = {"system": "a", "settings": [], "data": "", "backend": "mine", "device": "cpu", "dtype": "float64"}
    write_record(tmp_path, {**record, "draws": "host", "seed": 0})
    with pytest.raises(RunError, match="backend: expected one of chainer, torch, found 'mine'"):
        read_record(tmp_path)
    install(packages, "mine")
    assert read_record(tmp_path)["backend"] == "mine"
