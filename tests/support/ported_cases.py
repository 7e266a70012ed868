"""Many small pieces of Chainer, ported together in one file and compared with themselves in PyTorch.

A case is text: an expression over `ARRAYS`, or statements that bind `y`; and what the constructor is to make for it. All cases of
a test file are the methods of one generated class, which goes the way of any model: traced, translated, imported, compared.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_HEAD = """import math
import numpy as np
import chainer
import chainer.functions as F
import chainer.links as L
"""


def _drawn() -> dict[str, np.ndarray]:
    """Returns: arrays that cases name; those of floats become variables in the model."""
    g = np.random.RandomState(0)
    square = g.randn(2, 3, 3)
    return {
        "x": g.randn(3, 4), "y": g.randn(3, 4), "w": g.randn(3, 4), "positive": g.uniform(0.3, 2.0, (3, 4)),
        "inside": g.uniform(-0.9, 0.9, (3, 4)),
        "wide": g.randn(3, 8), "even": g.randn(2, 4, 6), "line": g.randn(2, 4, 9), "image": g.randn(2, 4, 7, 8),
        "small": g.randn(2, 4, 3, 4), "volume": g.randn(2, 4, 5, 6, 7),
        "row": g.randn(4), "column": g.randn(3), "channels": g.randn(4), "many": g.uniform(0.5, 1.5, 4),
        "three": g.randn(2, 3, 4), "other": g.randn(2, 3, 4), "square": square @ square.transpose(0, 2, 1) + np.eye(3),
        "flat": g.randn(3, 3) + 3 * np.eye(3), "W": g.randn(5, 4), "b": g.randn(5), "W1": g.randn(6, 4, 3),
        "W2": g.randn(6, 4, 3, 3), "W3": g.randn(6, 4, 2, 3, 2), "W2g": g.randn(6, 2, 3, 3), "b6": g.randn(6),
        "D1": g.randn(4, 6, 3), "D2": g.randn(4, 6, 3, 4), "D3": g.randn(4, 6, 2, 3, 2), "D2g": g.randn(4, 3, 3, 3),
        "depth": g.randn(2, 4, 3, 3), "label": np.array([1, 0, 3], "i"), "ignored": np.array([1, -1, 3], "i"),
        "binary": np.array([[0, 1, 1, -1], [1, 0, 1, 0], [1, 1, 0, 0]], "i"), "pairs": np.array([0, 1, 1], "i"),
        "places": np.array([2, 0, 1, 3], "i"), "chosen": np.array([[True, False, True, True]] * 3),
        "pixels": np.array([[[1, 0, 2], [3, 1, -1]]] * 2, "i"),
        "probabilities": g.uniform(0.1, 0.9, (3, 4)), "cell": g.randn(3, 2), "cell8": g.randn(3, 3), "states": g.randn(2, 3, 5),
        "theta": g.randn(2, 2, 3) * 0.4, "gray": g.randn(2, 2, 4, 6), "local": g.randn(3, 2, 3, 4, 2, 2),
        "bias": g.randn(3, 2, 3), "square4": g.randn(4, 4), "flat4": g.randn(4, 4),
    }  # fmt: skip


ARRAYS = _drawn()


@dataclass(frozen=True)
class Case:
    """One piece of Chainer.

    Args:
        text: an expression, or statements that bind `y`.
        made: what the constructor makes for it, as the expression of `self.l`; empty for nothing.
        training: modes that are compared.
        second: whether Chainer has its second derivatives.
        setup: further statements of the constructor.
        single: whether Chainer has it in float32 alone.
        plain: whether the arrays stay arrays of NumPy; then no gradient is compared.
    """

    text: str
    made: str = ""
    training: tuple[bool, ...] = (False, True)
    second: bool = True
    setup: str = ""
    single: bool = False
    plain: bool = False

    @property
    def dtype(self) -> str:
        """The precision in which it is compared."""
        return "float32" if self.single else "float64"

    @property
    def names(self) -> list[str]:
        """The arrays that it names, in their order."""
        names = {n.id for n in ast.walk(ast.parse(self.text)) if isinstance(n, ast.Name)}
        return [n for n in ARRAYS if n in names]

    def method(self, number: int) -> str:
        """Returns: the method of the generated class."""
        tree = ast.parse(self.text)
        body = (
            f"return {self.text}"
            if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr)
            else f"{self.text}\nreturn y"
        )
        body = body.replace("self.l", f"self.l{number}_")
        return f"def case_{number}({', '.join(['self', *self.names])}):\n{textwrap.indent(body, '    ')}\n"


@dataclass
class Ported:
    """All cases of a test file, in both frameworks.

    Args:
        source: text of the ported file.
        failed: what went wrong before the comparison, by the case's number.
    """

    cases: Sequence[Case]
    original: Any = None
    link: Any = None
    module: Any = None
    source: str = ""
    failed: dict[int, str] = field(default_factory=dict)

    def compare(self, number: int, value: float = 1e-13, gradient: float = 1e-12) -> None:
        """Assert that a case gives the same in both: values, gradients, gradients of gradients."""
        case = self.cases[number]
        assert number not in self.failed, self.failed[number]
        value, gradient = (1e-6, 2e-6) if case.single else (value, gradient)
        for training in case.training:
            his, port = self._his(number, training), self._port(number, training)
            assert [len(k) for k in his] == [len(k) for k in port]
            for kind, ours, theirs in zip(("value", "gradient", "second gradient"), his, port, strict=True):
                for a, b in zip(ours, theirs, strict=True):
                    assert a.dtype.kind == b.dtype.kind, f"{kind}: {a.dtype} in Chainer, {b.dtype} in PyTorch"
                    bound = value if kind == "value" else gradient
                    assert a.shape == b.shape, f"{kind}: shape {a.shape} in Chainer, {b.shape} in PyTorch"
                    with np.errstate(invalid="ignore"):
                        apart = np.where(a == b, 0.0, np.abs(a * 1.0 - b))
                    worst = apart.max() / max(np.abs(a * 1.0).max(), 1.0) if a.size else 0.0
                    assert worst <= bound, f"{kind}, training={training}: {worst:.1e} apart\n{a}\n{b}"

    def _his(self, number: int, training: bool) -> tuple[list, list, list]:
        import chainer

        case = self.cases[number]
        wanted, inputs = [], {}
        for name in case.names:
            inputs[name] = value = _in(ARRAYS[name], case.dtype)
            if value.dtype.kind == "f" and not case.plain:
                inputs[name] = chainer.Variable(value)
                wanted.append(inputs[name])
        child = self._child(number) if case.made else None
        single = isinstance(child, chainer.Parameter)
        parameters = [child] if single else [p for _, p in sorted(child.namedparams())] if child is not None else []
        np.random.seed(1)
        found = self.original.call(self.link, inputs, training=training, dtype=case.dtype, method=f"case_{number}")
        ends = leaves(found)
        values = [_numbers(e) for e in ends]
        ends = [
            e
            for e in ends
            if isinstance(e, chainer.Variable) and e.dtype.kind == "f" and e.requires_grad and e.creator is not None
        ]
        wanted += parameters
        if not ends or not wanted:
            return values, _arrays([None] * len(wanted), wanted), _arrays([None] * len(wanted), wanted)
        with chainer.using_config("train", training), chainer.using_config("dtype", np.dtype("float64")):
            first = chainer.grad(
                ends,
                wanted,
                [chainer.Variable(weights(e.shape).astype(e.dtype)) for e in ends],
                enable_double_backprop=case.second,
            )
            second = []
            again = (
                [g for g in first if g is not None and g.requires_grad and g.creator is not None] if case.second else []
            )
            if again:
                second = chainer.grad(
                    again, wanted, [chainer.Variable(weights(g.shape).astype(g.dtype)) for g in again]
                )
        return values, _arrays(first, wanted), _arrays(second or [None] * len(wanted), wanted)

    def _port(self, number: int, training: bool) -> tuple[list, list, list]:
        import torch

        case = self.cases[number]
        wanted, inputs = [], []
        for name in case.names:
            tensor = torch.tensor(_in(ARRAYS[name], case.dtype))
            if tensor.is_floating_point() and not case.plain:
                tensor.requires_grad_()
                wanted.append(tensor)
            inputs.append(tensor)
        self.module.train(training)
        parameters = self._parameters(number) if case.made else []
        found = getattr(self.module, f"case_{number}")(*inputs)
        ends = leaves(found)
        values = [_numbers(e) for e in ends]
        ends = [e for e in ends if torch.is_tensor(e) and e.requires_grad and e.grad_fn is not None]
        wanted += parameters
        if not ends or not wanted:
            return values, _arrays([None] * len(wanted), wanted), _arrays([None] * len(wanted), wanted)
        total = sum((e * torch.tensor(weights(e.shape), dtype=e.dtype)).sum() for e in ends)
        first = torch.autograd.grad(total, wanted, create_graph=case.second, allow_unused=True)
        again = [g for g in first if g is not None and g.grad_fn is not None] if case.second else []
        second = []
        if again:
            total = sum((g * torch.tensor(weights(g.shape), dtype=g.dtype)).sum() for g in again)
            second = torch.autograd.grad(total, wanted, allow_unused=True)
        return values, _arrays(first, wanted), _arrays(second or [None] * len(wanted), wanted)

    def _child(self, number: int) -> Any:
        return getattr(self.link, f"l{number}_")

    def _parameters(self, number: int) -> list[Any]:
        """Returns: the port's parameters in the order of Chainer's paths."""
        import chainer

        from ganspec.tools.porting.names import arrays_of

        child, wanted = self._child(number), f"l{number}_"
        port = dict(self.module.named_parameters(remove_duplicate=False))
        if isinstance(child, chainer.Parameter):
            return [port[wanted]]
        keys = {a.chainer_path: a.torch_key for a in arrays_of(self.link)}
        return [port[keys[f"{wanted}{path if path != '/' else ''}"]] for path, _ in sorted(child.namedparams())]


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """Returns: by what the elements of an output are weighted, so that its gradient tells them apart."""
    return np.cos(np.arange(int(np.prod(shape)))).reshape(shape)


def leaves(value: Any) -> list[Any]:
    """Returns: the arrays of an output that may be a tuple, a list or a dictionary."""
    if isinstance(value, tuple | list):
        return [leaf for each in value for leaf in leaves(each)]
    if isinstance(value, dict):
        return [leaf for name in sorted(value) for leaf in leaves(value[name])]
    return [] if value is None else [value]


def _arrays(found: Sequence[Any], wanted: Sequence[Any]) -> list[np.ndarray]:
    return [np.zeros(tuple(w.shape)) if g is None else _numbers(g) for g, w in zip(found, wanted, strict=True)]


def _numbers(value: Any) -> np.ndarray:
    return value.detach().numpy(force=True) if hasattr(value, "detach") else np.asarray(getattr(value, "array", value))


@contextlib.contextmanager
def default_float64() -> Iterator[None]:
    """Have new tensors be of float64."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def port(cases: Sequence[Case], folder: Path, head: str = "") -> Ported:
    """Port the cases, and load the numbers.

    Args:
        cases: what is ported.
        folder: an empty folder for the files.
        head: further lines of the generated module.
    """
    import ganspec.impl_chainer.compat  # noqa: F401, I001
    import chainer

    from ganspec.tools.porting.loading import Original
    from ganspec.tools.porting.translating.writer import translate

    text = (
        _HEAD + head + "\n\nclass Model(chainer.Chain):\n    def __init__(self):\n        super().__init__()\n"
        "        with self.init_scope():\n            pass\n"
    )
    for number, case in enumerate(cases):
        if case.made:
            text += f"            self.l{number}_ = {case.made}\n"
        if case.setup:
            text += textwrap.indent(case.setup.replace("self.l", f"self.l{number}_"), " " * 12) + "\n"
    places: dict[int, int] = {}
    for number, case in enumerate(cases):
        method = "\n" + textwrap.indent(case.method(number), "    ")
        first = text.count("\n") + 1
        places |= dict.fromkeys(range(first, first + method.count("\n") + 1), number)
        text += method
    path = folder / f"cases_{folder.name}.py"
    path.write_text(text, encoding="utf-8")
    made = Ported(cases, Original(f"{path}:Model"))
    single = all(case.single for case in cases)
    for dtype in ("float32",) if single else ("float32", "float64"):
        made.link = made.original.make(dtype)
        for number, case in enumerate(cases):
            for training in case.training if dtype == "float32" or not case.single else ():
                inputs = {n: _given(ARRAYS[n], dtype, case.plain) for n in case.names}
                try:
                    made.original.call(made.link, inputs, training=training, dtype=dtype, method=f"case_{number}")
                except Exception as error:
                    made.failed[number] = f"Chainer: {error}"
    written = translate(made.original)
    made.source = written.source
    lines = {
        place: number
        for place, line in enumerate(text.splitlines(), 1)
        for number in range(len(cases))
        if f"self.l{number}_ = " in line
    }
    for refusal in written.refusals:
        number = places.get(refusal.line, lines.get(refusal.line, -1))
        made.failed.setdefault(number, str(refusal))
    spec = importlib.util.spec_from_file_location(f"ported_{folder.name}", _write(folder / "ported.py", made.source))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with default_float64():
        made.module = module.build().float() if single else module.build().double()
    if any(case.made for case in cases):
        _carry(made.link, made.module, strict=not made.failed)
    assert isinstance(made.link, chainer.Chain)
    return made


def _in(value: np.ndarray, dtype: str) -> np.ndarray:
    return value.astype(dtype) if value.dtype.kind == "f" else value.copy()


def _given(value: np.ndarray, dtype: str, plain: bool) -> Any:
    import chainer

    if value.dtype.kind != "f":
        return value
    return value.astype(dtype) if plain else chainer.Variable(value.astype(dtype))


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _carry(link: Any, module: Any, strict: bool) -> None:
    """Give both the same numbers, none of them 0 or 1."""
    import torch

    from ganspec.tools.porting.names import arrays_of, values_of

    generator = np.random.RandomState(2)
    values: Mapping[str, Any] = values_of(link)
    for path, parameter in link.namedparams():
        parameter.array[...] = (
            generator.uniform(-0.9, 0.9, parameter.shape)
            if "gamma" not in path
            else generator.uniform(0.5, 1.5, parameter.shape)
        )
    for child in link.links():
        for name in child._persistent:
            value = getattr(child, name)
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                value[...] = generator.uniform(0.5, 1.5, value.shape)
    values = values_of(link)
    state = {
        a.torch_key: torch.tensor(np.asarray(values[a.chainer_path]))
        for a in arrays_of(link)
        if a.torch_key is not None
    }
    module.load_state_dict(state, strict=strict)
