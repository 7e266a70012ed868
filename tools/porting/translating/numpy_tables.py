"""NumPy's and CuPy's functions, and the attributes and methods of arrays and variables, in PyTorch: tables of templates."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import numpy as np

from ganspec.tools.porting.translating import function_rules as rules
from ganspec.tools.porting.translating import numpy_rules
from ganspec.tools.porting.translating.function_rules import Rule

# Functions of NumPy: parameters, what it is of tensors, and what it is of plain numbers.
NUMPY: dict[str, tuple[str, Rule, str]] = {
    **{name: ("x", f"torch.{theirs}(x)", f"math.{name}(x)") for name, theirs in {
        "sqrt": "sqrt", "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "tanh": "tanh", "floor": "floor",
        "ceil": "ceil",
        "log2": "log2", "log10": "log10", "log1p": "log1p", "expm1": "expm1"}.items()},
    "absolute": ("x", "torch.abs(x)", "abs(x)"), "sign": ("x", "torch.sign(x)", ""), "square": ("x", "torch.square(x)", "x ** 2"),
    "isnan": ("x", "torch.isnan(x)", "math.isnan(x)"), "isfinite": ("x", "torch.isfinite(x)", "math.isfinite(x)"),
    "round": ("x", "torch.round(x)", "round(x)"),
    "maximum": ("a, b", "torch.maximum(a, b)", "max(a, b)"), "minimum": ("a, b", "torch.minimum(a, b)", "min(a, b)"),
    "clip": ("a, a_min, a_max", "torch.clamp(a, a_min, a_max)", "max(a_min, min(a, a_max))"),
    "where": ("c, x=None, y=None", numpy_rules.where, ""),
    "power": ("a, b", "torch.pow(a, b)", "a ** b"), "add": ("a, b", "a + b", "a + b"), "subtract": ("a, b", "a - b", "a - b"),
    "multiply": ("a, b", "a * b", "a * b"), "divide": ("a, b", "a / b", "a / b"),
    "dot": ("a, b", "_dot(a, b)", "a * b"), "matmul": ("a, b", "torch.matmul(a, b)", ""),
    "outer": ("a, b", "torch.outer(a, b)", ""),
    "tensordot": ("a, b, axes=2", "torch.tensordot(a, b, dims=axes)", ""), "einsum": ("*operands", "torch.einsum(*operands)", ""),
    "transpose": ("x, axes=None", rules.transposed, ""), "reshape": ("x, shape", numpy_rules.reshaped, ""),
    "ravel": ("x", "torch.flatten(x)", ""),
    "concatenate": ("xs, axis=0", "torch.cat(xs, dim=axis)", ""), "stack": ("xs, axis=0", "torch.stack(xs, dim=axis)", ""),
    "vstack": ("xs", "torch.vstack(xs)", ""),
    "hstack": ("xs", "torch.hstack(xs)", ""), "expand_dims": ("x, axis", "torch.unsqueeze(x, axis)", ""),
    "squeeze": ("x, axis=None", rules.squeezed, ""),
    "broadcast_to": ("x, shape", "torch.broadcast_to(x, shape)", ""), "tile": ("x, reps", "_tile(x, reps)", ""),
    "repeat": ("x, repeats, axis=None", "_repeat(x, repeats, axis)", ""),
    "swapaxes": ("x, a, b", "torch.swapaxes(x, a, b)", ""), "rollaxis": ("x, axis, start=0", "_rollaxis(x, axis, start)", ""),
    "flip": ("x, axis", "torch.flip(x, (axis,))", ""),
    "sum": ("x, axis=None, keepdims=False", rules.reduced("sum"), "sum(x)"),
    "mean": ("x, axis=None, keepdims=False", rules.reduced("mean"), ""),
    "prod": ("x, axis=None, keepdims=False", "_prod(x, axis, keepdims)", "math.prod(x)"),
    "max": ("x, axis=None, keepdims=False", rules.extreme("amax"), "max(x)"),
    "min": ("x, axis=None, keepdims=False", rules.extreme("amin"), "min(x)"),
    "argmax": ("x, axis=None", rules.of_one_axis("argmax"), ""), "argmin": ("x, axis=None", rules.of_one_axis("argmin"), ""),
    "cumsum": ("x, axis=None", "_cumsum(x, axis)", "list(itertools.accumulate(x))"),
    "linalg.inv": ("x", "torch.linalg.inv(x)", ""), "linalg.det": ("x", "torch.linalg.det(x)", ""),
    "linalg.qr": ("x", "torch.linalg.qr(x)", ""),
    "linalg.norm": ("x, ord=None, axis=None, keepdims=False", "torch.linalg.vector_norm(x, dim=axis, keepdim=keepdims)", ""),
    "copy": ("x", "x.clone()", ""), "ascontiguousarray": ("x, dtype=None", numpy_rules.alike("x.contiguous()"), ""),
    "zeros_like": ("x, dtype=None", numpy_rules.alike("torch.zeros_like(x)"), ""),
    "ones_like": ("x, dtype=None", numpy_rules.alike("torch.ones_like(x)"), ""),
    "full_like": ("x, fill_value, dtype=None", numpy_rules.alike("torch.full_like(x, fill_value)"), ""),
    "empty_like": ("x, dtype=None", numpy_rules.alike("torch.zeros_like(x)"), ""), "finfo": ("dtype", numpy_rules.limits, ""),
    "logical_and": ("a, b", "torch.logical_and(a, b)", ""), "logical_not": ("a", "torch.logical_not(a)", ""),
    "logical_or": ("a, b", "torch.logical_or(a, b)", ""), "isscalar": ("x", "not torch.is_tensor(x)", ""),
    "sinh": ("x", "torch.sinh(x)", "math.sinh(x)"), "cosh": ("x", "torch.cosh(x)", "math.cosh(x)"),
    "amax": ("x, axis=None, keepdims=False", rules.extreme("amax"), "max(x)"),
    "amin": ("x, axis=None, keepdims=False", rules.extreme("amin"), "min(x)"),
    "logical_xor": ("a, b", "torch.logical_xor(a, b)", ""), "arcsin": ("x", "torch.asin(x)", "math.asin(x)"),
    "arccos": ("x", "torch.acos(x)", "math.acos(x)"), "arctan": ("x", "torch.atan(x)", "math.atan(x)"),
    "arctan2": ("a, b", "torch.atan2(a, b)", "math.atan2(a, b)"), "exp2": ("x", "torch.exp2(x)", "2 ** x"),
    "negative": ("x", "-x", "-x"), "reciprocal": ("x", "torch.reciprocal(x)", "1 / x"),
    "isinf": ("x", "torch.isinf(x)", "math.isinf(x)"),
    "floor_divide": ("a, b", "torch.floor_divide(a, b)", "a // b"), "remainder": ("a, b", "torch.remainder(a, b)", "a % b"),
    "fmod": ("a, b", "torch.fmod(a, b)", "math.fmod(a, b)"), "trunc": ("x", "torch.trunc(x)", "math.trunc(x)"),
    "equal": ("a, b", "a == b", "a == b"), "not_equal": ("a, b", "a != b", "a != b"), "greater": ("a, b", "a > b", "a > b"),
    "greater_equal": ("a, b", "a >= b", "a >= b"), "less": ("a, b", "a < b", "a < b"),
    "less_equal": ("a, b", "a <= b", "a <= b"),
    "tril": ("x, k=0", "torch.tril(x, k)", ""), "triu": ("x, k=0", "torch.triu(x, k)", ""),
    "diag": ("x, k=0", "torch.diag(x, k)", ""), "trace": ("x", "torch.trace(x)", ""),
    "argsort": ("x, axis=-1", "torch.argsort(x, dim=axis, stable=True)", ""),
    "sort": ("x, axis=-1", "torch.sort(x, dim=axis).values", ""),
    "roll": ("x, shift, axis=None", "torch.roll(x, shift, axis)", ""),
    "pad": ("x, pad_width, mode='constant', constant_values=0", rules.padded, ""),
    "diff": ("x, n=1, axis=-1", "torch.diff(x, n, axis)", ""),
    "var": ("x, axis=None, ddof=0, keepdims=False", "torch.var(x, dim=axis, correction=ddof, keepdim=keepdims)", ""),
    "std": ("x, axis=None, ddof=0, keepdims=False", "torch.std(x, dim=axis, correction=ddof, keepdim=keepdims)", ""),
    "all": ("x, axis=None, keepdims=False", rules.reduced("all"), ""),
    "any": ("x, axis=None, keepdims=False", rules.reduced("any"), ""), "cumprod": ("x, axis=None", "_cumprod(x, axis)", ""),
    "split": ("x, indices_or_sections, axis=0", "torch.tensor_split(x, indices_or_sections, dim=axis)", ""),
    "moveaxis": ("x, source, destination", "torch.movedim(x, source, destination)", ""),
    "dstack": ("xs", "torch.dstack(xs)", ""),
    "nan_to_num": ("x", "torch.nan_to_num(x)", ""), "argwhere": ("x", "torch.argwhere(x)", ""),
    "fliplr": ("x", "torch.fliplr(x)", ""), "flipud": ("x", "torch.flipud(x)", ""),
    "take": ("x, indices, axis", "torch.index_select(x, axis, indices)", ""),
    "linalg.svd": ("x, full_matrices=True", "torch.linalg.svd(x, full_matrices)", ""),
    "linalg.solve": ("a, b", "torch.linalg.solve(a, b)", ""), "linalg.cholesky": ("x", "torch.linalg.cholesky(x)", ""),
    "array_equal": ("a, b", "torch.equal(a, b)", ""),
    "broadcast_arrays": ("*xs", "torch.broadcast_tensors(*xs)", ""), "atleast_1d": ("x", "torch.atleast_1d(x)", ""),
    "inner": ("a, b", "torch.inner(a, b)", ""), "copysign": ("a, b", "torch.copysign(a, b)", "math.copysign(a, b)"),
    "meshgrid": ("*xs, indexing='xy'", "torch.meshgrid(*xs, indexing=indexing)", ""), "ndim": ("x", "x.ndim", ""),
    "shape": ("x", "x.shape", ""), "random.seed": ("seed", "torch.manual_seed(seed)", ""),
}  # fmt: skip
# Functions that make tensors: parameters, and the tensor without its dtype and device.
CREATING: dict[str, tuple[str, str]] = {
    "zeros": ("shape, dtype=None, order='C'", "torch.zeros(shape)"),
    "ones": ("shape, dtype=None, order='C'", "torch.ones(shape)"),
    "empty": ("shape, dtype=None, order='C'", "torch.zeros(shape)"),
    "full": ("shape, fill_value, dtype=None", "torch.full(shape, fill_value)"),
    "eye": ("N, M=None, k=0, dtype=None", "torch.eye(N)"), "identity": ("N, dtype=None", "torch.eye(N)"),
    "linspace": ("start, stop, num=50, dtype=None", "torch.linspace(start, stop, num)"),
    "arange": ("*bounds, dtype=None", "torch.arange(*bounds)"),
    "array": ("data, dtype=None, copy=None", ""), "asarray": ("data, dtype=None", ""),
}  # fmt: skip
# Draws: parameters, and the tensor.
DRAWS: dict[str, tuple[str, str]] = {
    "randn": ("*shape", "torch.randn(shape)"), "rand": ("*shape", "torch.rand(shape)"),
    "standard_normal": ("size=None, dtype=None", "torch.randn(size)"), "random": ("size=None", "torch.rand(size)"),
    "random_sample": ("size=None", "torch.rand(size)"),
    "normal": ("loc=0.0, scale=1.0, size=None, dtype=None", "loc + scale * torch.randn(size)"),
    "uniform": ("low=0.0, high=1.0, size=None, dtype=None", "low + (high - low) * torch.rand(size)"),
    "randint": ("low, high=None, size=None, dtype=None", "torch.randint(low, high, size)"),
    "permutation": ("x", "torch.randperm(x)"),
    "choice": ("a, size=None, replace=True", "torch.randint(a, size)"),
    "binomial": ("n, p, size=None", "torch.bernoulli(torch.full(size, p, dtype=torch.float64)).long()"),
    "gumbel": ("loc=0.0, scale=1.0, size=None", "-torch.log(torch.empty(size).exponential_())"),
    "exponential": ("scale=1.0, size=None", "scale * torch.empty(size).exponential_()"),
    "standard_exponential": ("size=None", "torch.empty(size).exponential_()"),
}  # fmt: skip
# Attributes of tensors.
ATTRIBUTES = {
    "data": "x.detach()", "array": "x.detach()", "shape": "x.shape", "ndim": "x.ndim", "dtype": "x.dtype", "grad": "x.grad",
    "size": "x.numel()", "T": "x.T", "device": "x.device", "requires_grad": "x.requires_grad",
}  # fmt: skip
# Methods of tensors: parameters, and what it is.
METHODS: dict[str, tuple[str, Rule]] = {
    "reshape": ("*shape", "x.reshape(shape)"), "transpose": ("*axes", ""),
    "sum": ("axis=None, keepdims=False", rules.reduced("sum")), "mean": ("axis=None, keepdims=False", rules.reduced("mean")),
    "max": ("axis=None, keepdims=False", rules.extreme("amax")), "min": ("axis=None, keepdims=False", rules.extreme("amin")),
    "argmax": ("axis=None", rules.of_one_axis("argmax")),
    "argmin": ("axis=None", rules.of_one_axis("argmin")), "prod": ("axis=None, keepdims=False", "_prod(x, axis, keepdims)"),
    "cumsum": ("axis=None", "_cumsum(x, axis)"), "dot": ("b", "_dot(x, b)"),
    "copy": ("", "x.clone()"), "flatten": ("", "x.flatten()"), "ravel": ("", "x.flatten()"),
    "squeeze": ("axis=None", rules.squeezed), "swapaxes": ("a, b", "x.swapaxes(a, b)"), "item": ("", "x.item()"),
    "tolist": ("", "x.tolist()"), "fill": ("value", "x.fill_(value)"), "clip": ("a_min, a_max", "torch.clamp(x, a_min, a_max)"),
    "repeat": ("repeats, axis=None", "_repeat(x, repeats, axis)"), "all": ("axis=None, keepdims=False", rules.reduced("all")),
    "any": ("axis=None, keepdims=False", rules.reduced("any")),
    "unchain": ("", "x.detach_()"), "round": ("", "torch.round(x)"),
    "var": ("axis=None, ddof=0, keepdims=False", "torch.var(x, dim=axis, correction=ddof, keepdim=keepdims)"),
    "std": ("axis=None, ddof=0, keepdims=False", "torch.std(x, dim=axis, correction=ddof, keepdim=keepdims)"),
    "argsort": ("axis=-1", "torch.argsort(x, dim=axis, stable=True)"),
    "diagonal": ("offset=0, axis1=0, axis2=1", "torch.diagonal(x, offset, axis1, axis2)"), "trace": ("", "torch.trace(x)"),
    "cumprod": ("axis=None", "_cumprod(x, axis)"), "take": ("indices, axis", "torch.index_select(x, axis, indices)"),
}  # fmt: skip


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
