"""Whole systems are drawn: all witnesses agree on each, every part of the language is drawn, and a find is shrunk and repeats."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ganspec.spec import SpecError, load_system
from ganspec.spec.layers import KINDS
from ganspec.spec.plan.builder import FUNCTIONS
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.tables import Table
from ganspec.tools.agreement import crosscheck_system
from ganspec.tools.agreement.mutants.computing import replace_layer
from ganspec.tools.agreement.mutants.patches import patched
from ganspec.tools.errors import AGREED, DISAGREED
from ganspec.tools.fuzzing.kinds import ANY, OF_IMAGES, OF_MATRICES, OF_VECTORS, outline
from ganspec.tools.fuzzing.neighbours import neighbours
from ganspec.tools.fuzzing.networks import JOINING, Label, network
from ganspec.tools.fuzzing.search import failure
from ganspec.tools.fuzzing.systems import problems, systems
from ganspec.tools.fuzzing.writing import MAIN
from support.accepted_keys import keys_of_layer
from support.programs import here
from support.tiny_systems import NORMAL, critic, write_system

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.mark.usefixtures("both_backends")
@settings(max_examples=10)  # `.ci/run` draws more
@given(systems())
def test_all_witnesses_agree_on_a_drawn_system(drawn):
    assert not failure(drawn)


# What was found once: D's loss, the constants that it reads, and what was wrong.
FOUND = {
    "a gradient in inference read statistics that had moved since": ("mean(inference(D(x)) ^ 2) + mean(D(2 * x))", ""),
    "Chainer's softplus refused a single number": ("mean(D(x)) + softplus(mean(D(x)))", ""),
    "the reference forgot to repeat a derivative along the batch": ("sum(x - batch_mean(x * D(x)))", ""),
    "the reference took D(x) and D(abs(x)) for one evaluation": ("mean(D(x)) + mean(D(abs(x)) ^ 2)", ""),
    "the reference knew no exponent that is a constant": ("mean(D(x) ^ p)", "p = 2"),
    "the reference did not differentiate by an expression": ("mean(norm(grad(D(2 * x), 2 * x)))", ""),
    "the reference did not know a variable under another name": ("mean(grad(D(d) * D(x), d))", ""),
}


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once_is_mended(name, tmp_path):
    formula, constants = FOUND[name]
    define = '[define]\nd = "1 * x"\n' if "D(d)" in formula else ""
    constants = f"[constants]\n{constants}\n" if constants else ""
    (tmp_path / "loss.toml").write_text(
        f'title = "found"\nsource = "none"\n{constants}{define}[losses]\nD = "{formula}"\n'
    )
    layers = (
        '{ kind = "flatten" }, { kind = "batch_norm", name = "bn", epsilon = 1e-3, momentum = 0.5, gamma = 1, beta = 0 }, '
        f'{{ kind = "dropout", rate = 0.5 }}, {{ kind = "linear", name = "l", units = 1, {NORMAL} }}, {{ kind = "tanh" }}, '
        '{ kind = "reshape", shape = [1, 1, 1] }'
    )
    system = write_system(tmp_path, "loss.toml", {"D": f"x = [1, 2, 2] | {layers}"}, draws="", batch=5)
    comparison = crosscheck_system(replace(system, data=replace(system.data, range=(0.0, 1.0))), iterations=2)
    assert comparison.agrees, comparison.first


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("feature", ["x", "f"], ids=["the input itself", "behind no weights"])
def test_a_formula_may_differentiate_by_an_output_that_has_no_weights(feature, tmp_path):
    (tmp_path / "loss.toml").write_text(
        'title = "t"\nsource = "none"\n[define]\n"slope(v)" = "mean(grad(D(v).logit, v) ^ 2)"\n'
        '[losses]\nD = "mean(D(x).logit) + slope(D(x).feature)"\n'
    )
    outputs = f'outputs = {{ logit = "l", feature = "{feature}" }}'
    system = write_system(tmp_path, "loss.toml", {"D": f"x = [1, 2, 2] | {TWO_OUTPUTS} | {outputs}"}, draws="", batch=2)
    found = crosscheck_system(system, iterations=2)
    assert found.agrees, found.first


@pytest.mark.usefixtures("both_backends")
def test_a_gradient_that_is_0_by_construction_has_layers_behind_it_all_the_same(tmp_path):
    (tmp_path / "loss.toml").write_text(
        'title = "t"\nsource = "none"\n[losses]\nD = "mean(D(grad(D(x, y).feature, x), y).logit)"\n'
    )
    layers = (  # the output `feature` reads the label alone
        f'{{ kind = "embedding", name = "e", from = "y", units = 3, weight = "normal(0, 1)" }}, '
        '{ kind = "flatten", name = "f", from = "x" }, { kind = "concat", from = ["f", "e"] }, '
        f'{{ kind = "linear", name = "l", units = 1, {NORMAL} }}'
    )
    networks = {"D": f'x = [1, 2, 2]\ny = {{ labels = 2 }} | {layers} | outputs = {{ logit = "l", feature = "e" }}'}
    found = crosscheck_system(write_system(tmp_path, "loss.toml", networks, draws="", batch=2, labels=2), iterations=2)
    assert found.agrees, found.first


@pytest.mark.usefixtures("both_backends")
def test_a_gate_whose_bound_is_what_it_reads_stops_those_that_are_compared(tmp_path):
    (tmp_path / "loss.toml").write_text(
        'title = "t"\nsource = "none"\n[draws]\nu = { sample = "0.5", shape = [2] }\n[losses]\nD = "mean(D(x)) * 0 + mean(u)"\n'
    )
    steps = '[[steps]]\nupdate = ["D"]\nrepeat = 2\nuntil = { report = "loss_D", above = 0.49999999999999994 }'
    system = write_system(tmp_path, "loss.toml", {"D": critic()}, draws="", steps=steps)
    found = crosscheck_system(system, iterations=2)
    assert found.agrees, found.first


TWO_OUTPUTS = (
    '{ kind = "tanh", name = "f" }, { kind = "flatten" }, '
    f'{{ kind = "linear", name = "h", units = 3, {NORMAL} }}, {{ kind = "tanh" }}, '
    f'{{ kind = "linear", name = "l", units = 1, {NORMAL} }}'
)

# Layers of D whose true gradient is 0 or nearly so: what is left is rounding inside of one layer, and Adam divides it by itself.
CANCELLING = {
    "pixel norm of one channel": '{ kind = "pixel_norm", epsilon = 1e-12 }, { kind = "flatten" }',
    "batch norm of two samples": (
        '{ kind = "flatten" }, { kind = "batch_norm", name = "bn", epsilon = 1e-12, momentum = 0.5, gamma = 1, beta = 0 }'
    ),
}


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("layers", CANCELLING.values(), ids=CANCELLING)
@pytest.mark.parametrize("first", ["torch", "chainer"])
def test_rounding_inside_a_layer_is_no_disagreement(layers, first, tmp_path):
    (tmp_path / "loss.toml").write_text('title = "t"\nsource = "none"\n[losses]\nD = "mean(D(x))"\n')
    before = f'{{ kind = "conv", name = "c", channels = 1, kernel = 1, stride = 1, padding = 0, {NORMAL} }}, '
    after = f', {{ kind = "linear", name = "l", units = 1, {NORMAL} }}'
    system = write_system(tmp_path, "loss.toml", {"D": f"x = [1, 2, 2] | {before}{layers}{after}"}, draws="", batch=2)
    found = crosscheck_system(system, iterations=3, witnesses=(first, "chainer" if first == "torch" else "torch"))
    assert found.agrees, found.first


@settings(max_examples=60, phases=NO_SHRINKING)
@given(neighbours())
def test_a_system_with_one_other_token_is_valid_or_answered_by_a_message(drawn):
    with tempfile.TemporaryDirectory() as folder:
        try:
            load_system(str(drawn.write(Path(folder))))
        except SpecError:
            return


def test_drawn_systems_are_valid_and_have_every_part_of_the_language():
    seen = set()

    @settings(max_examples=150, phases=NO_SHRINKING)
    @given(systems())
    def look(drawn):
        assert not problems(drawn)
        files = {name: tomllib.loads(text) for name, text in drawn.files.items()}
        for data in files.values():
            seen.update(key for layer in data.get("network", {}).get("layers", []) for key in layer)
        loss, system = files["loss.toml"], files[MAIN]
        formulas = [*loss["losses"].values(), *loss.get("define", {}).values()]
        formulas += [entry["value"] for entry in loss.get("report", {}).values()]
        seen.update(f"{name}(" for formula in formulas for name in re.findall(r"(\w+)\(", formula))
        seen.update(loss, system, system["optimizers"], system["data"])
        seen.update(*files["schedule.toml"]["steps"], files["schedule.toml"]["redraw"].values())
        seen.update(str(value) for value in system["optimizers"].values() if isinstance(value, str))
        seen.add("parameter" if any("(" in name for name in loss.get("define", {})) else "")
        seen.add("labels of y" if " labels =" in " " + drawn.files[MAIN].replace("\n", " ") else "")

    look()
    wanted = {"gain", "spectral_norm", "stages", "from"} | {f"{name}(" for name in FUNCTIONS}
    wanted |= {
        "constants",
        "draws",
        "define",
        "parameter",
        "carried",
        "report",
        "averages",
        "growth",
        "clip",
        "labels of y",
    }
    wanted |= {"repeat", "repeat_override", "until", "inference", "reuse", "iteration", "step"}
    wanted |= {"adam", "rmsprop", "corrected", "uncorrected", "outside", "inside"}
    missing = wanted - seen
    assert not missing


def test_drawn_networks_have_every_kind_of_layer():
    seen = set()

    @settings(max_examples=150, phases=NO_SHRINKING)
    @given(st.data())
    def look(data):
        inputs = {"x": data.draw(st.sampled_from(((2, 2, 2), (1, 3, 3), (4,)))), "y": Label(3)}
        drawn = network(data.draw, "N", inputs, (1,), growing=True, batched=True, heads=False)
        seen.update(layer["kind"] for layer in drawn.data["network"]["layers"])

    look()
    assert {*ANY, *OF_IMAGES, *OF_MATRICES, *OF_VECTORS, "embedding", "one_hot", "fade"} == {*KINDS, "network"}
    missing = {"embedding", "one_hot", "fade", "conditional_batch_norm", "network", "log", "concat"} - seen
    assert not missing


SHAPES = ((2, 2, 3), (4,), (1, 3, 3))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {*JOINING, "embedding", "one_hot", "fade"}))
def test_a_drawn_layer_has_all_its_keys_and_the_shape_that_it_is_said_to_have(kind):
    seen = set()

    @settings(max_examples=40, phases=NO_SHRINKING)
    @given(
        st.data(), st.sampled_from([s for s in SHAPES if kind in (*ANY, *(OF_IMAGES if len(s) == 3 else OF_VECTORS))])
    )
    def look(data, shape):
        made, keys = outline(data.draw, kind, shape)
        if made is not None:
            table = Table(keys, "", "", problems := Problems())
            assert KINDS[kind].make(table, [shape, (3,)]).shape == made
            table.close()
            assert not problems.found
            seen.update(keys)

    look()
    missing = keys_of_layer(kind)[0] - seen
    assert not missing


@pytest.mark.usefixtures("both_backends")
def test_a_broken_backend_is_found_and_the_find_is_small_and_repeats(tmp_path, capsys):
    def wrong(right, layer, x, *rest):
        return right(layer, [x[0] * 1.001], *rest)

    with patched() as patch:
        replace_layer("tanh", wrong)(patch, "chainer")
        assert here("fuzz", "--examples", "20", "--seed", "0", "--out", str(tmp_path / "out")) == DISAGREED
        (command,) = re.findall(r"^  (ganspec crosscheck .*)$", capsys.readouterr().out, re.MULTILINE)
        program, *arguments = shlex.split(command)
        assert here(*arguments) == DISAGREED
    assert program == "ganspec"
    assert here(*arguments) == AGREED, "in this process nothing is broken any more"
    (folder,) = (tmp_path / "out").iterdir()
    layers = [layer for file in folder.glob("?.toml") for layer in tomllib.loads(file.read_text())["network"]["layers"]]
    assert "tanh" in {layer["kind"] for layer in layers}
    assert len(layers) <= 8, "it is shrunk"
    assert "tanh" in (folder / "found.txt").read_text()


def test_without_hypothesis_the_program_says_what_to_install(tmp_path):
    (tmp_path / "hypothesis.py").write_text("raise ModuleNotFoundError('no', name='hypothesis')")
    done = subprocess.run(
        [sys.executable, "-m", "ganspec.tools", "fuzz"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2, "hypothesis is not installed; install it with: pip install 'ganspec[test]'\n",
    )  # fmt: skip
