"""Ways in which old models were written, each as a small model of our own that is ported and proved."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("ganspec.impl_chainer.compat")

from ganspec.tools.porting.inputs import parse_input
from ganspec.tools.porting.job import Job, port
from ganspec.tools.porting.translating.ported_file import file_name

HEAD = """import math
import numpy as np
import chainer
from chainer import cuda
import chainer.functions as F
import chainer.links as L
"""

# What is special, and a model; `Net` is the class, and it is called with x of shape (N, 4).
IDIOMS = {
    "a nested function reads the mode": """
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__()
                with self.init_scope():
                    self.l = L.Linear(4, 4)
            def __call__(self, x):
                def dropped(h):
                    if chainer.config.train:
                        return h * 2
                    return F.dropout(h, 0.3)
                return dropped(self.l(x))
        """,
    "a function of the module reads the mode": """
        def block(h):
            def inner(g):
                return F.dropout(F.relu(g), 0.2)
            return inner(h) if chainer.config.train else h
        class Net(chainer.Chain):
            def __init__(self):
                super().__init__(l=L.Linear(4, 4))
            def __call__(self, x):
                return block(self.l(x))
        """,
    "attributes that torch has, too": """
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__(l=L.Linear(4, 4))
                self.train = True
                self.half = 0.5
                self.type = "plain"
            def eval(self, h):
                return h * self.half
            def __call__(self, x):
                h = self.l(x)
                return self.eval(h) if self.train and self.type == "plain" else h
        """,
    "Chainer 1's keywords": """
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__(
                    l=L.Linear(4, 6, wscale=0.02, bias=0.1),
                    bn=L.BatchNormalization(6),
                    c=L.Linear(6, 3, nobias=True),
                )
            def __call__(self, x, test=False):
                h = F.relu(self.bn(self.l(x), test=test))
                return self.c(F.dropout(h, ratio=0.2, train=not test))
        """,
    "lists of lists of links": """
        class Net(chainer.ChainList):
            def __init__(self):
                super(Net, self).__init__()
                for n in (4, 5):
                    self.add_link(chainer.ChainList(L.Linear(n, n + 1), L.BatchNormalization(n + 1)))
            def __call__(self, x):
                for pair in self:
                    x = F.tanh(pair[1](pair[0](x)))
                return x
        """,
    "links by made-up names": """
        class Net(chainer.Chain):
            def __init__(self, n=3):
                super(Net, self).__init__()
                self.n = n
                for i in range(n):
                    self.add_link("l{}".format(i), L.Linear(4, 4))
            def __call__(self, x):
                for i in range(self.n):
                    x = F.relu(self["l%d" % i](x)) + getattr(self, "l{}".format(i))(x) + self.__getattribute__("l0")(x)
                return x
        """,
    "tuples, dictionaries and while": """
        SCALES = {"a": 0.5, "b": 2.0}
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__()
                self.settings = {"slope": 0.1, "names": ["a", "b"]}
                with self.init_scope():
                    self.l = L.Linear(4, 4)
            def __call__(self, x):
                found, i = {}, 0
                while i < len(self.settings["names"]):
                    name = self.settings["names"][i]
                    found[name] = F.leaky_relu(self.l(x), self.settings["slope"]) * SCALES[name]
                    i += 1
                return {"all": [found[k] for k in sorted(found)], "pair": (x, found["a"])}
        """,
    "state in plain attributes": """
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__()
                self.u = np.ones((1, 4), dtype=np.float32)
                self.count = 0
                with self.init_scope():
                    self.l = L.Linear(4, 4)
            def __call__(self, x):
                v = np.dot(self.u, self.l.W.data)
                v = v / np.linalg.norm(v)
                u = np.dot(v, self.l.W.data.T)
                self.u = (u / np.linalg.norm(u)).astype(np.float32)
                self.count += 1
                return self.l(x) / np.sum(self.u) + self.count
        """,
    "try around an import, and a star": """
        try:
            import cupy_of_another_world as accelerated
        except ImportError:
            accelerated = None
        from math import *
        def halved(x, factor=1 / sqrt(4.0)):
            return x * factor if accelerated is None else accelerated.half(x)
        class Net(chainer.Chain):
            WIDTH = 4
            def __init__(self, activation=F.relu, width=None):
                super(Net, self).__init__()
                self.activation = activation
                with self.init_scope():
                    self.l = L.Linear(self.WIDTH, width or self.WIDTH)
            @property
            def doubled(self):
                return 2 * self.WIDTH
            @staticmethod
            def squared(x):
                return x ** 2
            def __call__(self, x):
                return halved(self.squared(self.activation(self.l(x)))) * self.doubled
        """,
    "links that no scope registers": """
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__()
                with self.init_scope():
                    self.l = L.Linear(4, 4)
                self.unused = L.Linear(4, 2)
            def backwards(self, x):
                return self.unused(x)
            def __call__(self, x):
                return self.l(x)
        """,
    "a size that the first input settles": """
        class Block(chainer.Chain):
            def __init__(self, n_in, n_out):
                super(Block, self).__init__()
                with self.init_scope():
                    self.l = L.Linear(n_in, n_out)
            def __call__(self, x):
                return F.relu(self.l(x))
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__()
                with self.init_scope():
                    self.a = Block(None, 5)
                    self.b = Block(None, 6)
                    self.c = Block(6, 2)
                    self.never = L.Linear(None, 7)
            def __call__(self, x):
                return self.c(self.b(self.a(x)))
        """,
    "a text amid the code": """
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__()
                '''A text that is no docstring.'''
                with self.init_scope():
                    self.l = L.Linear(4, 4)
            def __call__(self, x):
                # a comment that stays
                x = self.l(x)
                '''
                Another one,
                of two lines.
                '''
                return x
        """,
    "a class derived from a layer": """
        class Scaled(L.Linear):
            def __init__(self, *args, **kwargs):
                self.factor = kwargs.pop("factor", 1.0)
                super(Scaled, self).__init__(*args, **kwargs)
            def __call__(self, x):
                return super(Scaled, self).__call__(x) * self.factor
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__()
                with self.init_scope():
                    self.a = Scaled(None, 5, factor=0.5)
                    self.b = Scaled(5, 3)
            def __call__(self, x):
                return self.b(self.a(x))
        """,
}


def ported(folder: Path, source: str, *, inputs: tuple[str, ...] = ("x=4",), **options: object) -> tuple[object, str]:
    """Returns: the report of a port, and the text of the ported file."""
    path = folder / "model.py"
    path.write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
    done = port(Job(f"{path}:Net", tuple(map(parse_input, inputs)), **options), folder / "ported")  # type: ignore[arg-type]
    text = (done.folder / "net.py").read_text(encoding="utf-8") if done.folder else ""
    return done.report, text


@pytest.mark.parametrize("name", IDIOMS)
def test_idiom_is_ported_and_proved(tmp_path: Path, name: str) -> None:
    report, text = ported(tmp_path, IDIOMS[name])
    wrong = [str(row) for row in report.proof.rows if not row.agrees] if report.proof else []
    assert report.verdict == "proved", f"{report.refused} {wrong[:3]}\n{text}"


def test_two_modules_may_define_the_same_name(tmp_path: Path) -> None:
    other = """import chainer
import chainer.links as L
FACTOR = 3.0
class Block(chainer.Chain):
    def __init__(self):
        super(Block, self).__init__(l=L.Linear(4, 4))
    def __call__(self, x):
        return FACTOR * self.l(x)
"""
    (tmp_path / "other.py").write_text(other, encoding="utf-8")
    report, text = ported(
        tmp_path,
        """
        import other
        FACTOR = 0.5
        class Block(chainer.Chain):
            def __init__(self):
                super(Block, self).__init__()
                with self.init_scope():
                    self.inner = other.Block()
            def __call__(self, x):
                return F.tanh(self.inner(x) * FACTOR)
        class Net(chainer.Chain):
            def __init__(self):
                super(Net, self).__init__()
                with self.init_scope():
                    self.block = Block()
            def __call__(self, x):
                return self.block(x)
        """,
    )
    assert report.verdict == "proved", report.refused
    assert "class Block2(" in text
    assert "FACTOR2 = " in text


def test_package_that_does_not_import_is_taken_as_far_as_it_goes(tmp_path: Path) -> None:
    package = tmp_path / "networks"
    package.mkdir()
    (package / "__init__.py").write_text("WIDTH = 4\nimport a_module_of_another_world\n", encoding="utf-8")
    (package / "net.py").write_text(
        HEAD
        + "from networks import WIDTH\n"
        + textwrap.dedent(IDIOMS["a text amid the code"]).replace("(4, 4)", "(4, WIDTH)"),
        encoding="utf-8",
    )
    done = port(Job(f"{package / 'net.py'}:Net", (parse_input("x=4"),)), tmp_path / "ported")
    assert done.report.verdict == "proved"
    assert any("another_world" in note for note in done.report.notes)


def test_ported_file_reads_as_one_writes_it(tmp_path: Path) -> None:
    """Comments and texts stay, nothing is imported in vain, a branch that never ran says so."""
    _, text = ported(tmp_path, IDIOMS["a text amid the code"])
    assert "# a comment that stays" in text
    assert "# Another one," in text
    assert "import torch\n" not in text
    assert "from torch import nn" in text
    assert "pass" not in text.replace("passes", "")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("SNConvolution2D", "sn_convolution2d"),
        ("RNNForLM", "rnn_for_lm"),
        ("UNET", "unet"),
        ("Conv1DBank", "conv1d_bank"),
        ("ResNet50Layers", "res_net50_layers"),
    ],
)
def test_file_is_named_after_the_class(name: str, file: str) -> None:
    assert file_name(name) == file
