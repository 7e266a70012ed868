"""Calls of NumPy's functions, and of Python's own where tensors are their arguments, in PyTorch."""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.tools.porting.tracing.record import TENSORS
from ganspec.tools.porting.translating import functions
from ganspec.tools.porting.translating.arguments import UNKNOWN, Arguments, Unfit
from ganspec.tools.porting.translating.dtypes import FLOATS, dtype, dtype_of, is_default
from ganspec.tools.porting.translating.numpy_tables import CREATING, DRAWS, NUMPY, name_of, signature
from ganspec.tools.porting.translating.templates import call, constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions

# Functions that move arrays between devices, or wrap them.
IDENTITIES = ("to_gpu", "to_cpu", "to_device", "to_chx", "from_chx", "as_variable", "as_array")


def call_of(writer: Expressions, node: ast.Call, target: Any) -> ast.expr | None:
    """Translate the call of something of NumPy's, or of Python's where tensors are its arguments; None for anything else."""
    if target is chainer.Variable or target in (chainer.as_variable, chainer.as_array):
        first = node.args[0] if node.args else node.keywords[0].value
        return writer.expr(first)
    if target is builtins.isinstance and len(node.args) == 2:
        if (decided := _of_arrays_alone(writer, node)) is not None:
            return constant(decided)
        return ast.Call(
            ast.Name("isinstance", ast.Load()), [writer.expr(node.args[0]), _types(writer, node.args[1])], []
        )
    module = str(getattr(target, "__module__", "") or "")
    if module.startswith(("chainer.backend", "chainer.cuda")) and getattr(target, "__name__", "") in IDENTITIES:
        return writer.expr(node.args[-1] if target.__name__ == "from_chx" else node.args[0])
    if getattr(target, "__name__", "") in ("get_array_module",) and module.startswith("chainer."):
        return filled("torch")
    if module.startswith("six"):
        return None
    if target in (float, int, bool) and node.args and writer.seen(node.args[0]).kinds & (TENSORS | {"scalar"}):
        return writer.plain_call(node)
    if target in (abs, builtins.max, builtins.min, builtins.sum) and any(
        writer.seen(a).kinds & TENSORS for a in node.args
    ):
        return filled("torch.abs(x)", x=writer.expr(node.args[0])) if target is abs else writer.plain_call(node)
    name = name_of(target)
    if not name:
        return None
    if isinstance(target, type) and (issubclass(target, np.generic) or target is np.dtype):
        return _scalar(writer, node, target)
    if name.startswith("random.") and name != "random.seed":
        return _draw(writer, node, name.removeprefix("random."))
    if name in CREATING:
        return _create(writer, node, name)
    if name not in NUMPY:
        raise Unfit(f"numpy.{name} is not among the functions that can be ported")
    parameters, rule, of_numbers = NUMPY[name]
    a = writer.bind(node, signature(parameters))
    first = node.args[0] if node.args else node.keywords[0].value
    if not _has_tensors(writer, [*node.args, *(k.value for k in node.keywords)]) and name not in (
        "finfo",
        "random.seed",
        "isscalar",
    ):
        if not of_numbers or writer.seen(first).elements & TENSORS:
            if not writer.seen(first).elements & TENSORS:
                raise Unfit(f"numpy.{name} of plain numbers has no counterpart", "use Python's own arithmetic")
        else:
            return functions.fill(a, of_numbers)
    if name in ("maximum", "minimum", "where") and isinstance(rule, str):
        rule = _of_numbers_too(a, name, rule)
    return functions.fill(a, rule)


def _of_numbers_too(a: Arguments, name: str, rule: str) -> str:
    """torch.maximum takes tensors alone."""
    if name == "where":
        return rule
    for one, other in (("a", "b"), ("b", "a")):
        if not a.seen(one).kinds & TENSORS:
            return f"torch.clamp({other}, {'min' if name == 'maximum' else 'max'}={one})"
    return rule


def _has_tensors(writer: Expressions, nodes: list[ast.expr]) -> bool:
    return any(
        writer.seen(n).kinds & TENSORS or writer.seen(n).elements & TENSORS
        for n in nodes
        if not isinstance(n, ast.Starred)
    )


def _of_arrays_alone(writer: Expressions, node: ast.Call) -> bool | None:
    """Returns: what isinstance(x, np.ndarray) always gave, which tells arrays from variables; both are tensors in PyTorch."""
    asked = node.args[1]
    for element in asked.elts if isinstance(asked, ast.Tuple) else [asked]:
        known, thing = writer.static(element)
        thing = thing if known else writer.seen(element).only
        of_devices = str(getattr(thing, "__module__", "")).startswith(("cupy", "chainer.backends.cuda"))
        if thing is not np.ndarray and not of_devices:
            return None
    given, found = writer.seen(node.args[0]), writer.seen(node).only
    return found if given.is_all(*TENSORS) and isinstance(found, bool) else None


def _types(writer: Expressions, node: ast.expr) -> ast.expr:
    elements = node.elts if isinstance(node, ast.Tuple) else [node]
    made: dict[str, ast.expr] = {}
    for element in elements:
        known, thing = writer.static(element)
        thing = thing if known else writer.seen(element).only
        if isinstance(thing, tuple) or thing in (chainer.Variable, np.ndarray):
            new: ast.expr = filled("torch.Tensor")
        elif getattr(thing, "__module__", "").startswith(("cupy", "chainer.backends.cuda")):
            continue
        else:
            new = writer.expr(element)
        made[ast.unparse(new)] = new
    return next(iter(made.values())) if len(made) == 1 else ast.Tuple(list(made.values()), ast.Load())


def _scalar(writer: Expressions, node: ast.Call, target: Any) -> ast.expr:
    """np.float32(x) is the number x, or a tensor of another dtype."""
    if not node.args:
        raise Unfit("a NumPy type is called without a value")
    if writer.seen(node.args[0]).kinds & TENSORS:
        return filled("x.to(dtype)", x=writer.expr(node.args[0]), dtype=dtype_of(np.dtype(target).char))
    if target is np.dtype:
        return dtype(writer, node.args[0])
    return call("float" if np.dtype(target).kind == "f" else "int", writer.expr(node.args[0]))


def _create(writer: Expressions, node: ast.Call, name: str) -> ast.expr:
    parameters, text = CREATING[name]
    a = writer.bind(node, signature(parameters))
    if name in ("array", "asarray"):
        seen = a.seen("data")
        if seen.kinds & TENSORS:
            made = a.fill("data.clone()" if name == "array" else "data")
            return _of_dtype(writer, a, made, seen.dtypes)
        if seen.elements & TENSORS:
            return _of_dtype(writer, a, a.fill("torch.stack(data)"), set())
        text = "torch.tensor(data)"
    elif name == "eye" and (a.given("M") or a.given("k")):
        raise Unfit("numpy.eye with other than a square has no counterpart")
    if name == "full" and a.seen("shape").is_all("number"):
        a.put("shape", ast.Tuple([a["shape"]], ast.Load()))
    made = a.fill(text)
    if unread := a.unread(("dtype", "order", "copy")):
        raise Unfit(f"its argument {unread[0]!r} has no counterpart", "leave it out")
    assert isinstance(made, ast.Call)
    results = writer.seen(node).dtypes
    if "dtype" in a.nodes and a.value("dtype") is not None:
        found = dtype(writer, a.nodes["dtype"])
    elif results and results <= FLOATS:
        found = call("torch.get_default_dtype")
    else:
        found = dtype_of(next(iter(results))) if len(results) == 1 else None  # type: ignore[assignment]
    implied = name not in ("arange", "array", "asarray", "full")  # torch makes these of the default dtype
    plain_floats = name in ("array", "asarray") and _all_floats(writer, a)
    default = is_default(found) and (implied or plain_floats) if found is not None else True
    if not default and not (name == "arange" and ast.unparse(found) == "torch.int64"):
        made.keywords.append(ast.keyword("dtype", found))
    return _on_device(writer, made)


def _all_floats(writer: Expressions, a: Arguments) -> bool:
    return any(isinstance(n, ast.Constant) and isinstance(n.value, float) for n in ast.walk(a.nodes["data"]))


def _of_dtype(writer: Expressions, a: Arguments, made: ast.expr, before: set[str]) -> ast.expr:
    if "dtype" not in a.nodes or a.value("dtype") is None:
        return made
    found = dtype(writer, a.nodes["dtype"])
    return made if before <= FLOATS and before and is_default(found) else filled("x.to(dtype)", x=made, dtype=found)


def _on_device(writer: Expressions, made: ast.Call) -> ast.Call:
    if (device := writer.device()) is not None:
        made.keywords.append(ast.keyword("device", device))
    return made


def _draw(writer: Expressions, node: ast.Call, name: str) -> ast.expr:
    if name not in DRAWS:
        raise Unfit(
            f"numpy.random.{name} is not among the draws that can be ported",
            "draw with normal, uniform, randint or permutation",
        )
    parameters, text = DRAWS[name]
    a = writer.bind(node, signature(parameters))
    if name in ("randn", "rand"):
        given = a.nodes.get("shape", ())
        a.read.add("shape")
        starred = len(given) == 1 and isinstance(given[0], ast.Starred)
        a.put("shape", writer.expr(given[0].value) if starred else a["shape"] if given else constant(()))
    elif "size" in a.signature.parameters and (a.value("size") is None):
        a.put("size", constant(()))
    if name in ("normal", "uniform"):
        for one in ("loc", "scale") if name == "normal" else ("low", "high"):
            if a.seen(one).kinds & TENSORS:
                raise Unfit(
                    f"numpy.random.{name} with arrays of parameters has no counterpart", "scale the draw afterwards"
                )
        text = _scaled(a, name)
    if name == "randint" and a.value("high") is None:
        text = "torch.randint(low, size)"
    if name == "permutation" and a.seen("x").kinds & (TENSORS | {"list"}):
        raise Unfit(
            "numpy.random.permutation of an array has no counterpart", "index with the permutation of its length"
        )
    if name == "choice" and not a.seen("a").is_all("number"):
        raise Unfit("numpy.random.choice from an array has no counterpart", "index the array with numpy.random.randint")
    if name == "choice" and a.value("replace") is not True:
        raise Unfit(
            "numpy.random.choice without replacement has no counterpart", "take the first of a numpy.random.permutation"
        )
    if name == "binomial" and a.value("n") != 1:
        raise Unfit("numpy.random.binomial of more than one trial has no counterpart", "sum draws of one trial")
    if name in ("choice", "binomial", "randint") and a.seen("size").is_all("number"):
        a.put("size", ast.Tuple([a["size"]], ast.Load()))
    if name in ("gumbel", "exponential"):
        text = _spread(a, text)
    made = a.fill(text)
    if unread := a.unread(("dtype",)):
        raise Unfit(f"its argument {unread[0]!r} has no counterpart", "leave it out")
    makes = {f"torch.{name}" for name in ("rand", "randn", "randint", "randperm", "empty", "full")}
    drawn = next(n for n in ast.walk(made) if isinstance(n, ast.Call) and ast.unparse(n.func) in makes)
    _on_device(writer, drawn)
    return made


def _spread(a: Arguments, text: str) -> str:
    """Returns: a template with place and scale, where they are given."""
    if a.given("scale") and a.signature.parameters.keys() >= {"loc"}:
        text = f"scale * {text}"
    elif not a.given("scale"):
        text = text.removeprefix("scale * ")
    return f"loc + {text}" if "loc" in a.signature.parameters and a.given("loc") else text


def _scaled(a: Arguments, name: str) -> str:
    if name == "normal":
        loc, scale = a.value("loc"), a.value("scale")
        text = "torch.randn(size)" if scale in (1, 1.0) else "scale * torch.randn(size)"
        return text if loc in (0, 0.0) and loc is not UNKNOWN else f"loc + {text}"
    low, high = a.value("low"), a.value("high")
    if low in (0, 0.0) and low is not UNKNOWN:
        return "torch.rand(size)" if high in (1, 1.0) else "high * torch.rand(size)"
    return "low + (high - low) * torch.rand(size)"
