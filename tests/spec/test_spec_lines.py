"""The lines that are named are those on which the things stand."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ganspec.spec
from ganspec.spec import load_system
from ganspec.spec.network.reader import read_architecture
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.files import Library, system_names
from ganspec.spec.text.lines import lines_of


class Table(dict):
    """A table that is written under a header of its own."""


SPEC = Path(ganspec.spec.__file__).parent


def line_at(source, folder=SPEC):
    """Returns: the text of the line that a source names."""
    file, _, line = source.rpartition(":")
    return (folder / file).read_text().split("\n")[int(line) - 1]


def test_every_layer_of_every_packaged_system_stands_on_its_line():
    seen = set()
    for name in system_names():
        for stage in load_system(name).stages:
            for network in stage.networks.values():
                for layer in network.layers:
                    text, own = line_at(layer.source), layer.name.rpartition("/")[2]
                    assert f'kind = "{layer.kind}"' in text
                    assert f'name = "{own}"' in text or own.startswith(layer.kind)
                    seen.add(layer.source.partition(":")[0])
    own_layers = {
        path for path in (SPEC / "architectures").glob("*.toml") if path.stem != "began_autoencoder"
    }  # it has none
    assert seen == {f"architectures/{path.name}" for path in own_layers}


def test_every_formula_step_and_optimiser_of_every_packaged_system_stands_on_its_line():
    for name in system_names():
        system = load_system(name)
        loss = system.loss
        formulas = [d.formula for d in loss.definitions.values()] + [c.next for c in loss.carried.values()]
        for formula in [*formulas, *loss.losses.values(), *(r.value for r in loss.reports.values())]:
            assert f'"{formula.text}"' in line_at(formula.source)
        texts = (SPEC / "schedules" / f"{system.schedule.name}.toml").read_text().split("\n")
        for step in system.schedule.steps:
            line = int(step.source.rpartition(":")[2])
            assert texts[line - 1] == "[[steps]]"
            assert str(list(step.update)).replace("'", '"') in texts[line]
        for source in system.optimizer_sources.values():
            assert line_at(source) == "[optimizers]"


def test_a_node_has_the_line_of_the_formula_that_first_writes_it():
    planned = load_system("wgan_gp_mlp_mnist").plan.steps[0]
    keys = {node.op: line_at(planned.sources[i]).partition(" =")[0] for i, node in enumerate(planned.nodes)}
    assert (keys["detach"], keys["grad"], keys["norm"], keys["subtract"]) == ("x_hat", "penalty", "penalty", "distance")
    assert line_at(planned.sources[planned.losses["D"]]).startswith('D = "')
    assert len(planned.sources) == len(planned.nodes)


ARCHITECTURE = r"""title = '''A title with [network] and
[[network.layers]]''' # "
source = 'mine # not a comment'
[inputs]
z = [
    3, # the [size]
]
[network]
outputs = { out = "last" }
[[network.layers]]
  # { kind = "linear", name = "first" }
kind = "linear"
name = "first"
units = 3
weight = "normal(0, 1)"
bias = "none"
[[ "network" . layers ]]
kind = "network"
use = "inner.toml"
name = "block"
[[network.layers]]
name = "last"
kind = "tanh"
"""
INNER = """title = "x"
source = "x"
inputs.z = [3]
network = { layers = [ # a list in an inline table
    { kind = "relu" }, { kind = "linear", name = "l", units = 3, weight = "normal(0, 1)", bias = "none" },

    { kind = "tanh", name = "t" }] }
"""


def user_architecture(folder, end="\n"):
    (folder / "outer.toml").write_text(ARCHITECTURE, newline=end)
    (folder / "inner.toml").write_text(INNER, newline=end)
    library, problems = Library(folder), Problems()
    architecture = read_architecture(library.find("architectures", "outer.toml", "", ""), library, {}, problems)
    problems.stop_if_any()
    return architecture


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_layers_of_a_users_own_files_have_their_lines(tmp_path, end):
    assert {layer.name: layer.source for layer in user_architecture(tmp_path, end).layers} == {
        "first": "outer.toml:10",
        "block/relu_1": "inner.toml:5",
        "block/l": "inner.toml:5",
        "block/t": "inner.toml:7",
        "last": "outer.toml:21",
    }


def test_a_line_does_not_make_two_layers_differ(tmp_path):
    layer = user_architecture(tmp_path).layers[0]
    assert replace(layer, source="elsewhere.toml:1") == layer


def test_a_file_whose_data_was_changed_has_no_lines():
    file = Library().find("losses", "wgan_gp", "", "")
    assert file.source("losses", "D") == "losses/wgan_gp.toml:21"
    file = Library().find("losses", "wgan_gp", "", "")
    file.data["define"]["another"] = "mean(x)"
    assert file.source("losses", "D") == "losses/wgan_gp.toml"
    assert replace(file, text="not [ TOML").source("losses", "D") == "losses/wgan_gp.toml"


def test_an_optimiser_is_named_where_its_kind_is_written(tmp_path):
    base = tmp_path / "base.toml"
    base.write_text(
        'like = "gan_mlp_mnist"\ntitle = "t"\n[variants.v]\ntitle = "v"\n[variants.v.optimizers.D]\nkind = "rmsprop"\n'
        'decay = 0.9\nstart = 0\nepsilon = 1e-8\nepsilon_place = "outside"\n'
    )
    own = tmp_path / "own.toml"
    own.write_text('like = "base.toml/v"\ntitle = "t"\noptimizers = { G.learning_rate = 1 }\n')
    packaged = load_system("gan_mlp_mnist").optimizer_sources["G"]
    assert load_system(str(base)).optimizer_sources == {"G": packaged, "D": packaged}
    assert load_system(f"{base}/v").optimizer_sources == {"G": packaged, "D": f"{base}:5"}
    assert load_system(str(own)).optimizer_sources == {"G": packaged, "D": "base.toml:5"}


# A law: a text written at random from data has each thing on the line on which it was written.

KEYS = st.text(st.sampled_from("ab_-. \"'\\#[]{}=,\n\u00e9"), min_size=1, max_size=4)
SCALARS = st.sampled_from(
    [
        "1",
        "-1e-3",
        "true",
        "1979-05-27 07:32:00Z",
        "'[a]#'",
        '"a\\"]}, #"',
        '"""x\n[t]\n"y"""""',
        "'''a\n{k=1}'''''",
        '""',
    ]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
TABLES = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=3),
    lambda inner: st.dictionaries(
        KEYS, VALUES | inner.map(Table) | st.lists(inner.map(Table), min_size=1, max_size=2), max_size=3
    ),
    max_leaves=6,
)


class Writer:
    """Writes TOML, and notes the line of each thing."""

    def __init__(self, draw):
        self.draw, self.text, self.lines = draw, "", {}

    def note(self, at):
        self.lines[at] = self.text.count("\n") + 1

    def gap(self, breaks):
        self.text += self.draw(st.sampled_from(["", " ", *["\n", " # ]\n", '# """\n\n'] * breaks]))

    def key(self, key):
        escaped = "".join(f"\\u{ord(c):04x}" if c in '"\\\n' else c for c in key)
        self.text += f'"{escaped}"' if "\n" in key or "'" in key or self.draw(st.booleans()) else f"'{key}'"

    def value(self, at, value):
        if isinstance(value, list):
            self.text += "["
            for i, element in enumerate(value):
                self.gap(True)
                self.note((*at, i))
                self.value((*at, i), element)
                self.gap(True)
                self.text += "," if i + 1 < len(value) or self.draw(st.booleans()) else ""
            self.gap(True)
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{"
            for i, (key, element) in enumerate(value.items()):
                self.text += ", " * (i > 0)
                self.pair((*at, key), element)
            self.text += "}"
        else:
            self.text += value

    def pair(self, at, value):
        self.note(at)
        self.key(at[-1])
        self.gap(False)
        self.text += "="
        self.gap(False)
        self.value(at, value)

    def table(self, names, at, table):
        inner = {
            k: v
            for k, v in table.items()
            if isinstance(v, Table) or (isinstance(v, list) and v and isinstance(v[0], Table))
        }
        for key, value in table.items():
            if key not in inner:
                self.pair((*at, key), value)
                self.text += self.draw(st.sampled_from(["\n", " # [a]\n", "\n\n"]))
        for key, value in inner.items():
            for i, one in enumerate(value if isinstance(value, list) else [value]):
                there = (*at, key, i) if isinstance(value, list) else (*at, key)
                if not i:
                    self.note((*at, key))
                self.note(there)
                self.text += "[[" if isinstance(value, list) else "["
                for n, name in enumerate([*names, key]):
                    self.text += "." * (n > 0)
                    self.key(name)
                self.text += "]]\n" if isinstance(value, list) else "]\n"
                self.table([*names, key], there, one)


@given(st.data())
def test_a_text_has_each_thing_on_the_line_on_which_it_was_written(data):
    writer = Writer(data.draw)
    writer.table([], (), data.draw(TABLES))
    assert lines_of(writer.text, tomllib.loads(writer.text)) == writer.lines
