"""NumPy's and CuPy's functions, and the attributes and methods of arrays and variables, in PyTorch."""

from __future__ import annotations

import ast
import builtins
import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.tools.porting.tracing.record import TENSORS
from ganspec.tools.porting.translating import function_rules as rules
from ganspec.tools.porting.translating import functions
from ganspec.tools.porting.translating.arguments import UNKNOWN, Arguments, Unfit
from ganspec.tools.porting.translating.templates import call, constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions

Rule = str | Callable[[Arguments], "str | ast.expr"]
FLOATS = frozenset("efd")
# dtypes by their characters, where they are no floating-point numbers: these take the model's precision.
_DTYPES = {
    "i": "torch.int32",
    "l": "torch.int64",
    "q": "torch.int64",
    "h": "torch.int16",
    "b": "torch.int8",
    "B": "torch.uint8",
    "?": "torch.bool",
}

# Functions of NumPy: parameters, what it is of tensors, and what it is of plain numbers.
NUMPY: dict[str, tuple[str, Rule, str]] = {
    **{name: ("x", f"torch.{theirs}(x)", f"math.{name}(x)") for name, theirs in {
        "sqrt": "sqrt", "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "tanh": "tanh", "floor": "floor", "ceil": "ceil",
        "log2": "log2", "log10": "log10", "log1p": "log1p", "expm1": "expm1"}.items()},
    "absolute": ("x", "torch.abs(x)", "abs(x)"), "sign": ("x", "torch.sign(x)", ""), "square": ("x", "torch.square(x)", "x ** 2"),
    "isnan": ("x", "torch.isnan(x)", "math.isnan(x)"), "isfinite": ("x", "torch.isfinite(x)", "math.isfinite(x)"), "round": ("x", "torch.round(x)", "round(x)"),
    "maximum": ("a, b", "torch.maximum(a, b)", "max(a, b)"), "minimum": ("a, b", "torch.minimum(a, b)", "min(a, b)"),
    "clip": ("a, a_min, a_max", "torch.clamp(a, a_min, a_max)", "max(a_min, min(a, a_max))"), "where": ("c, x, y", "torch.where(c, x, y)", ""),
    "power": ("a, b", "torch.pow(a, b)", "a ** b"), "add": ("a, b", "a + b", "a + b"), "subtract": ("a, b", "a - b", "a - b"), "multiply": ("a, b", "a * b", "a * b"), "divide": ("a, b", "a / b", "a / b"),
    "dot": ("a, b", "_dot(a, b)", "a * b"), "matmul": ("a, b", "torch.matmul(a, b)", ""), "outer": ("a, b", "torch.outer(a, b)", ""),
    "tensordot": ("a, b, axes=2", "torch.tensordot(a, b, dims=axes)", ""), "einsum": ("*operands", "torch.einsum(*operands)", ""),
    "transpose": ("x, axes=None", rules.transposed, ""), "reshape": ("x, shape", "torch.reshape(x, shape)", ""), "ravel": ("x", "torch.flatten(x)", ""),
    "concatenate": ("xs, axis=0", "torch.cat(xs, dim=axis)", ""), "stack": ("xs, axis=0", "torch.stack(xs, dim=axis)", ""), "vstack": ("xs", "torch.vstack(xs)", ""),
    "hstack": ("xs", "torch.hstack(xs)", ""), "expand_dims": ("x, axis", "torch.unsqueeze(x, axis)", ""), "squeeze": ("x, axis=None", rules.squeezed, ""),
    "broadcast_to": ("x, shape", "torch.broadcast_to(x, shape)", ""), "tile": ("x, reps", "_tile(x, reps)", ""), "repeat": ("x, repeats, axis=None", "_repeat(x, repeats, axis)", ""),
    "swapaxes": ("x, a, b", "torch.swapaxes(x, a, b)", ""), "rollaxis": ("x, axis, start=0", "_rollaxis(x, axis, start)", ""), "flip": ("x, axis", "torch.flip(x, (axis,))", ""),
    "sum": ("x, axis=None, keepdims=False", rules.reduced("sum"), "sum(x)"), "mean": ("x, axis=None, keepdims=False", rules.reduced("mean"), ""),
    "prod": ("x, axis=None, keepdims=False", "_prod(x, axis, keepdims)", "math.prod(x)"), "max": ("x, axis=None, keepdims=False", functions.FUNCTIONS["max"], "max(x)"),
    "min": ("x, axis=None, keepdims=False", functions.FUNCTIONS["min"], "min(x)"), "argmax": ("x, axis=None", rules.of_one_axis("argmax"), ""), "argmin": ("x, axis=None", rules.of_one_axis("argmin"), ""),
    "cumsum": ("x, axis=None", "_cumsum(x, axis)", "list(itertools.accumulate(x))"), "linalg.inv": ("x", "torch.linalg.inv(x)", ""), "linalg.det": ("x", "torch.linalg.det(x)", ""), "linalg.qr": ("x", "torch.linalg.qr(x)", ""), "linalg.norm": ("x, ord=None, axis=None, keepdims=False", "torch.linalg.vector_norm(x, dim=axis, keepdim=keepdims)", ""),
    "copy": ("x", "x.clone()", ""), "ascontiguousarray": ("x, dtype=None", "x.contiguous()", ""), "zeros_like": ("x, dtype=None", "torch.zeros_like(x)", ""), "ones_like": ("x, dtype=None", "torch.ones_like(x)", ""),
    "full_like": ("x, fill_value, dtype=None", "torch.full_like(x, fill_value)", ""), "empty_like": ("x, dtype=None", "torch.zeros_like(x)", ""), "finfo": ("dtype", "torch.finfo(torch.get_default_dtype())", ""),
    "logical_and": ("a, b", "torch.logical_and(a, b)", ""), "logical_not": ("a", "torch.logical_not(a)", ""), "logical_or": ("a, b", "torch.logical_or(a, b)", ""), "isscalar": ("x", "not torch.is_tensor(x)", ""),
    "meshgrid": ("*xs, indexing='xy'", "torch.meshgrid(*xs, indexing=indexing)", ""), "ndim": ("x", "x.ndim", ""), "shape": ("x", "x.shape", ""), "random.seed": ("seed", "torch.manual_seed(seed)", ""),
}  # fmt: skip
# Functions that make tensors: parameters, and the tensor without its dtype and device.
CREATING: dict[str, tuple[str, str]] = {
    "zeros": ("shape, dtype=None, order='C'", "torch.zeros(shape)"), "ones": ("shape, dtype=None, order='C'", "torch.ones(shape)"), "empty": ("shape, dtype=None, order='C'", "torch.zeros(shape)"),
    "full": ("shape, fill_value, dtype=None", "torch.full(shape, fill_value)"), "eye": ("N, M=None, k=0, dtype=None", "torch.eye(N)"), "identity": ("N, dtype=None", "torch.eye(N)"),
    "linspace": ("start, stop, num=50, dtype=None", "torch.linspace(start, stop, num)"), "arange": ("*bounds, dtype=None", "torch.arange(*bounds)"),
    "array": ("data, dtype=None, copy=None", ""), "asarray": ("data, dtype=None", ""),
}  # fmt: skip
# Draws: parameters, and the tensor.
DRAWS: dict[str, tuple[str, str]] = {
    "randn": ("*shape", "torch.randn(shape)"), "rand": ("*shape", "torch.rand(shape)"), "standard_normal": ("size=None, dtype=None", "torch.randn(size)"), "random": ("size=None", "torch.rand(size)"),
    "random_sample": ("size=None", "torch.rand(size)"), "normal": ("loc=0.0, scale=1.0, size=None, dtype=None", "loc + scale * torch.randn(size)"),
    "uniform": ("low=0.0, high=1.0, size=None, dtype=None", "low + (high - low) * torch.rand(size)"), "randint": ("low, high=None, size=None, dtype=None", "torch.randint(low, high, size)"),
    "permutation": ("x", "torch.randperm(x)"),
}  # fmt: skip
# Attributes of tensors.
ATTRIBUTES = {
    "data": "x.detach()", "array": "x.detach()", "shape": "x.shape", "ndim": "x.ndim", "dtype": "x.dtype", "grad": "x.grad", "size": "x.numel()", "T": "x.T", "device": "x.device", "requires_grad": "x.requires_grad",
}  # fmt: skip
# Methods of tensors: parameters, and what it is.
METHODS: dict[str, tuple[str, Rule]] = {
    "reshape": ("*shape", "x.reshape(shape)"), "transpose": ("*axes", ""), "sum": ("axis=None, keepdims=False", rules.reduced("sum")), "mean": ("axis=None, keepdims=False", rules.reduced("mean")),
    "max": ("axis=None, keepdims=False", functions.FUNCTIONS["max"]), "min": ("axis=None, keepdims=False", functions.FUNCTIONS["min"]), "argmax": ("axis=None", rules.of_one_axis("argmax")),
    "argmin": ("axis=None", rules.of_one_axis("argmin")), "prod": ("axis=None, keepdims=False", "_prod(x, axis, keepdims)"), "cumsum": ("axis=None", "_cumsum(x, axis)"), "dot": ("b", "_dot(x, b)"),
    "copy": ("", "x.clone()"), "flatten": ("", "x.flatten()"), "ravel": ("", "x.flatten()"), "squeeze": ("axis=None", rules.squeezed), "swapaxes": ("a, b", "x.swapaxes(a, b)"), "item": ("", "x.item()"),
    "tolist": ("", "x.tolist()"), "fill": ("value", "x.fill_(value)"), "clip": ("a_min, a_max", "torch.clamp(x, a_min, a_max)"), "repeat": ("repeats, axis=None", "_repeat(x, repeats, axis)"), "all": ("", "x.all()"), "any": ("", "x.any()"),
    "unchain": ("", "x.detach_()"), "round": ("", "torch.round(x)"),
}  # fmt: skip
_IDENTITIES = ("to_gpu", "to_cpu", "to_device", "to_chx", "from_chx", "as_variable", "as_array")


def is_numpys(value: Any) -> bool:
    """Returns: whether a value is a function or a class of NumPy's."""
    return name_of(value) != ""


def name_of(value: Any) -> str:
    """Returns: the name of one of NumPy's functions, "random.normal" for one that draws; empty for anything else."""
    if isinstance(value, np.ufunc):
        return value.__name__
    module = str(getattr(value, "__module__", None) or "")
    own = getattr(value, "__self__", None)
    if isinstance(own, np.random.RandomState):
        return f"random.{value.__name__}"
    if module.partition(".")[0] in ("numpy", "cupy") and hasattr(value, "__name__"):
        return f"linalg.{value.__name__}" if "linalg" in module else str(value.__name__)
    return ""


def value(thing: Any) -> ast.expr | None:
    """Returns: what a value of NumPy's or Chainer's is in PyTorch: a type, a constant; None where it is something else."""
    if thing in (chainer.Variable, np.ndarray, chainer.get_array_types()) if isinstance(thing, type | tuple) else False:
        return filled("torch.Tensor")
    if thing is chainer.Parameter:
        return filled("nn.Parameter")
    if (isinstance(thing, type) and issubclass(thing, np.generic)) or isinstance(thing, np.dtype):
        return dtype_of(np.dtype(thing).char) if not (isinstance(thing, type) and np.dtype(thing).char == "O") else None
    if isinstance(thing, float) and thing == math.pi:
        return filled("math.pi")
    if isinstance(thing, float) and math.isinf(thing):
        return filled("math.inf" if thing > 0 else "-math.inf")
    return None


def dtype_of(character: str) -> ast.expr:
    """Returns: PyTorch's dtype; that of the model for any of floating-point numbers."""
    if character in FLOATS:
        return call("torch.get_default_dtype")
    if character not in _DTYPES:
        raise Unfit(f"the dtype {np.dtype(character)} has no counterpart in torch")
    return filled(_DTYPES[character])


def attribute(writer: Expressions, node: ast.Attribute) -> ast.expr:
    """Translate an attribute of a tensor."""
    if node.attr == "xp":
        return filled("torch")
    if node.attr not in ATTRIBUTES:
        raise Unfit(f"the attribute .{node.attr} of a variable or an array has no counterpart")
    if node.attr == "T" and not writer.seen(node.value).ndims <= {0, 1, 2}:
        return filled("torch.permute(x, tuple(reversed(range(x.ndim))))", x=writer.expr(node.value))
    if not isinstance(node.ctx, ast.Load):
        return ast.Attribute(writer.expr(node.value), "data" if node.attr in ("array", "data") else node.attr, node.ctx)
    inner = node.value
    if (
        node.attr in ("shape", "ndim", "dtype", "size")
        and isinstance(inner, ast.Attribute)
        and inner.attr in ("data", "array")
    ):
        inner = inner.value if writer.seen(inner.value).kinds & TENSORS else inner  # the shape of x.data is that of x
    return filled(ATTRIBUTES[node.attr], x=writer.expr(inner))


def subscript(writer: Expressions, node: ast.Subscript) -> ast.expr:
    """Translate an index of a tensor; steps backwards become flips."""
    items = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    flipped = []
    for axis, item in enumerate(items):
        if isinstance(item, ast.Slice) and item.step is not None and _negative(writer, item.step):
            if (
                item.lower
                or item.upper
                or not isinstance(node.ctx, ast.Load)
                or any(not isinstance(i, ast.Slice) for i in items)
            ):
                raise Unfit(
                    "a slice with a negative step and bounds has no counterpart in torch", "use F.flip, then slice"
                )
            flipped.append(axis)
            items[axis] = ast.Slice()
    owner = writer.expr(node.value)
    if not flipped:
        return ast.Subscript(owner, writer.expr(node.slice), node.ctx)
    turned = call("torch.flip", owner, constant(tuple(flipped)))
    if all(isinstance(i, ast.Slice) and not (i.lower or i.upper or i.step) for i in items):
        return turned
    return ast.Subscript(turned, writer.expr(ast.Tuple(items, ast.Load())), node.ctx)


def _negative(writer: Expressions, step: ast.expr) -> bool:
    only = writer.seen(step).only if not isinstance(step, ast.Constant) else step.value
    return not isinstance(only, int) or only < 0


def scalar_method(writer: Expressions, node: ast.Call) -> ast.expr:
    """Translate a method of a number of NumPy's, which is a Python number or a tensor of one number in PyTorch."""
    assert isinstance(node.func, ast.Attribute)
    if node.func.attr == "astype":
        return writer.expr(node.func.value)
    return method(writer, node)


def method(writer: Expressions, node: ast.Call) -> ast.expr:
    """Translate a method of a tensor."""
    assert isinstance(node.func, ast.Attribute)
    owner, name = node.func.value, node.func.attr
    if not writer.seen(owner).is_all(*TENSORS, "scalar"):
        raise Unfit(f"it was a tensor sometimes, and otherwise {', '.join(sorted(writer.seen(owner).kinds - TENSORS))}")
    if name == "astype":
        return _astype(writer, node, owner)
    if name in _IDENTITIES or name == "__call__":
        return writer.expr(owner)
    if name in ("backward", "cleargrad", "zerograd", "debug_print", "unchain_backward"):
        if name == "unchain_backward":
            return filled("x.detach_()", x=writer.expr(owner))
        raise Unfit(f".{name}() in a model belongs to its training step", "move it to the updater")
    if name == "__getitem__":
        return ast.Subscript(writer.expr(owner), writer.expr(node.args[0]), ast.Load())
    if name not in METHODS:
        raise Unfit(f"the method .{name}() of a variable or an array has no counterpart")
    parameters, rule = METHODS[name]
    a = writer.bind(node, signature(parameters))
    a.put("x", writer.expr(owner))
    if name in ("transpose", "reshape"):
        what = _varied(a, "shape" if name == "reshape" else "axes")
        if what is None:
            return a.fill("torch.permute(x, tuple(reversed(range(x.ndim))))")
        a.put("what", what)
        rule = "x.reshape(what)" if name == "reshape" else "x.permute(what)"
    return functions.fill(a, rule)


def _varied(a: Arguments, name: str) -> ast.expr | None:
    """Returns: a shape that is given as one tuple or as several numbers; None where nothing is given."""
    nodes = a.nodes.get(name, ())
    if len(nodes) == 1 and not isinstance(nodes[0], ast.Starred):
        if isinstance(nodes[0], ast.Constant) and nodes[0].value is None:
            return None
        seen = a.writer.seen(nodes[0])
        if seen.kinds & {"tuple", "list"}:
            return a.writer.expr(nodes[0])
    return a[name] if nodes else None


def _astype(writer: Expressions, node: ast.Call, owner: ast.expr) -> ast.expr:
    asked = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "dtype"), None)
    if asked is None:
        raise Unfit("astype without a dtype")
    x, found = writer.expr(owner), dtype(writer, asked)
    if writer.seen(owner).dtypes <= FLOATS and _is_default(found):
        return x  # floating-point numbers are of the model's precision throughout
    return filled("x.to(dtype)", x=x, dtype=found)


def _is_default(found: ast.expr) -> bool:
    return ast.unparse(found) == "torch.get_default_dtype()"


def dtype(writer: Expressions, node: ast.expr) -> ast.expr:
    """Translate an expression that says a dtype: np.float32, "f", x.dtype."""
    known = node.value if isinstance(node, ast.Constant) else writer.seen(node).only
    if known is None and not isinstance(node, ast.Constant):
        known = writer.static(node)[1]
    things = writer.seen(node).things
    if (
        known is None
        and things
        and len({np.dtype(t).kind for t in things}) == 1
        and all(np.dtype(t).char in FLOATS for t in things)
    ):
        return call("torch.get_default_dtype")
    if known is None:
        return writer.expr(node)
    try:
        return dtype_of(np.dtype(known).char)
    except TypeError:
        raise Unfit(f"{known!r} is no dtype") from None


def call_of(writer: Expressions, node: ast.Call, target: Any) -> ast.expr | None:
    """Translate the call of something of NumPy's, or of Python's where tensors are its arguments; None for anything else."""
    if target is chainer.Variable or target in (chainer.as_variable, chainer.as_array):
        first = node.args[0] if node.args else node.keywords[0].value
        return writer.expr(first)
    if target is builtins.isinstance and len(node.args) == 2:
        return ast.Call(
            ast.Name("isinstance", ast.Load()), [writer.expr(node.args[0]), _types(writer, node.args[1])], []
        )
    module = str(getattr(target, "__module__", "") or "")
    if module.startswith(("chainer.backend", "chainer.cuda")) and getattr(target, "__name__", "") in _IDENTITIES:
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


def _types(writer: Expressions, node: ast.expr) -> ast.expr:
    elements = node.elts if isinstance(node, ast.Tuple) else [node]
    made: dict[str, ast.expr] = {}
    for element in elements:
        known, thing = writer.static(element)
        thing = thing if known else writer.seen(element).only
        if isinstance(thing, tuple) or thing in (chainer.Variable, np.ndarray):
            new: ast.expr = filled("torch.Tensor")
        elif getattr(thing, "__module__", "").startswith("cupy"):
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
    made = a.fill(text)
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
    if found is not None and not (_is_default(found) and (implied or plain_floats)):
        if not (name == "arange" and ast.unparse(found) == "torch.int64"):
            made.keywords.append(ast.keyword("dtype", found))
    return _on_device(writer, made)


def _all_floats(writer: Expressions, a: Arguments) -> bool:
    return any(isinstance(n, ast.Constant) and isinstance(n.value, float) for n in ast.walk(a.nodes["data"]))


def _of_dtype(writer: Expressions, a: Arguments, made: ast.expr, before: set[str]) -> ast.expr:
    if "dtype" not in a.nodes or a.value("dtype") is None:
        return made
    found = dtype(writer, a.nodes["dtype"])
    return made if before <= FLOATS and before and _is_default(found) else filled("x.to(dtype)", x=made, dtype=found)


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
    made = a.fill(text)
    drawn = next(n for n in ast.walk(made) if isinstance(n, ast.Call) and ast.unparse(n.func).startswith("torch.rand"))
    _on_device(writer, drawn)
    return made


def _scaled(a: Arguments, name: str) -> str:
    if name == "normal":
        loc, scale = a.value("loc"), a.value("scale")
        text = "torch.randn(size)" if scale in (1, 1.0) else "scale * torch.randn(size)"
        return text if loc in (0, 0.0) and loc is not UNKNOWN else f"loc + {text}"
    low, high = a.value("low"), a.value("high")
    if low in (0, 0.0) and low is not UNKNOWN:
        return "torch.rand(size)" if high in (1, 1.0) else "high * torch.rand(size)"
    return "low + (high - low) * torch.rand(size)"


def signature(parameters: str) -> inspect.Signature:
    """Returns: the signature of a function with these parameters."""
    tree = ast.parse(f"def f({parameters}): pass").body[0]
    assert isinstance(tree, ast.FunctionDef)
    p, made = tree.args, []
    first_default = len(p.args) - len(p.defaults)
    for i, parameter in enumerate(p.args):
        default = ast.literal_eval(p.defaults[i - first_default]) if i >= first_default else inspect.Parameter.empty
        made.append(inspect.Parameter(parameter.arg, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default))
    if p.vararg:
        made.append(inspect.Parameter(p.vararg.arg, inspect.Parameter.VAR_POSITIONAL))
    for parameter, default in zip(p.kwonlyargs, p.kw_defaults, strict=True):
        made.append(
            inspect.Parameter(
                parameter.arg,
                inspect.Parameter.KEYWORD_ONLY,
                default=ast.literal_eval(default) if default else inspect.Parameter.empty,
            )
        )
    return inspect.Signature(made)
