"""Tables that "none" leaves out: of several settings the last one wins, whatever came before it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.description import describe
from ganspec.spec.merging import whole_system
from ganspec.spec.text.errors import SpecError
from ganspec.spec.text.tables import Table
from ganspec.tools.programs.show import lines

SCHEDULE = {"kind": "linear", "over": 20, "to": 0}
# For each table of the language that can be left out: a system that can have it, and a whole table.
TABLES = {
    "averages": ("dcgan_mnist", {"G": 0.9}),
    "growth": ("progressive_cifar10", {"stages": 7, "images": 4000}),
    "growth.start": ("progressive_cifar10", {"stage": 2, "fade": 0.5}),
    "learning_rate_decay": ("began_mnist", {"watch": "M", "factor": 0.25, "minimum": 1e-7}),
    "manifold": ("cgan_mnist", {"side": 3, "low": 0.125, "high": 0.75}),
    "optimizers.clip": ("wgan_cifar10", {"bound": 0.5, "when": "before"}),
    "optimizers.learning_rate_schedule": ("wgan_gp_mlp_mnist", SCHEDULE),
    "optimizers.learning_rate_schedule.warmup": ("wgan_gp_mlp_mnist", {"iterations": 4, "from": 0.25}),
    "run.keep": ("gan_mlp_mnist", {"last": 5, "best": "fid"}),
    "run.metrics": ("gan_mlp_mnist", {"measure": ["fid"], "every": 70, "images": 500}),
    "run.samples_later": ("cgan_mnist", {"after": 9, "every": 30}),
}
# Those of one network are set apart.
KEYS = [(key, *case) for key, case in TABLES.items()] + [
    (key.replace("optimizers.", "optimizers.G."), *case) for key, case in TABLES.items() if "optimizers." in key
]


def written(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {written(v)}" for key, v in value.items()) + " }"
    return str(value) if isinstance(value, (int, float, list)) else f"'{value}'"


def before(key):
    """Returns: the settings that a table inside of another one needs."""
    outer = key.removesuffix(".warmup")
    return [f"{outer}={written(SCHEDULE)}"] if outer != key else []


def found(name, settings, key):
    """Returns: what the settings make of a key of a system."""
    data, _, _ = whole_system(name, settings, reduced=False)
    value = data.data
    for word in key.split("."):
        value = value[word]
    return value


@st.composite
def histories(draw):
    """Yields: key, system, and settings of the key in an order, with what they come to."""
    key, name, whole = draw(st.sampled_from(KEYS))
    settings, wanted = [f"{key}=none"], "none"
    single = [inner for inner in whole if inner != "kind"]  # another kind has other numbers
    for what in draw(st.lists(st.sampled_from(["none", "whole", *single]), max_size=6)):
        change = "none" if what == "none" else whole if what == "whole" else {what: whole[what]}
        as_one = what not in whole or draw(st.booleans())
        settings.append(f"{key}={written(change)}" if as_one else f"{key}.{what}={written(whole[what])}")
        wanted = change if "none" in (change, wanted) else {**wanted, **change}
    return key, name, settings, wanted


@given(histories())
def test_the_last_setting_of_a_table_wins(history):
    key, name, settings, wanted = history
    assert found(name, [*before(key), *settings], key) == wanted


@pytest.mark.parametrize(("key", "name", "whole"), KEYS)
def test_a_table_that_was_left_out_and_set_again_counts(key, name, whole):
    there, gone = f"{key}={written(whole)}", f"{key}=none"

    def described(*settings):
        system = load_system(name, [*before(key), *settings])
        return describe(system), lines(system)

    assert described(gone, there, gone, there) == described(gone, there)
    if key != "growth":  # whose networks need it
        assert described(gone, there)[1] != described(gone)[1]
        assert described(there, gone) == described(gone)


def test_every_table_that_can_be_left_out_is_tried(monkeypatch):
    seen, original = set(), Table.optional

    def watched(self, name, *, removable=False):
        seen.add(re.sub(r"^optimizers\.[GDC]\.", "optimizers.", self.path(name)))
        return original(self, name, removable=removable)

    monkeypatch.setattr(Table, "optional", watched)
    for key, (name, whole) in TABLES.items():
        load_system(name, [*before(key), f"{key}={written(whole)}"])
    of_system = {
        key
        for key in seen
        if key.split(".")[0] in ("averages", "growth", "learning_rate_decay", "manifold", "optimizers", "run")
    }
    assert of_system == set(TABLES) - {"averages"}  # a table of numbers, which has no keys of its own


def test_a_network_that_a_base_leaves_out_stays_out_at_reduced_sizes(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('title = "a"\nsource = "b"\nlike = "ac_wgan_gp_cifar10"\nnetworks.C = "none"\n', "utf-8")
    data, _, _ = whole_system(str(mine), [], reduced=True)
    assert data.data["networks"]["C"] == "none"


def test_a_size_of_a_network_that_is_left_out_is_refused():
    with pytest.raises(SpecError, match="'use' is missing"):
        load_system("ac_wgan_gp_cifar10/acgan", ["networks.C.size=8"])


def test_a_shared_value_that_changes_nothing_is_refused_with_the_keys_that_work():
    with pytest.raises(SpecError, match=r"change .*optimizers\.G\.learning_rate, optimizers\.D\.learning_rate"):
        load_system("gan_mlp_mnist", ["optimizers.learning_rate=0.01"])
    load_system("gan_mlp_mnist", ["optimizers.G.learning_rate=0.01", "optimizers.D.learning_rate=0.01"])
