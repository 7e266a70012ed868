"""The CUDA kernels that Chainer can emit, found in its mended source.

Every call of ``cuda.elementwise``, ``cuda.reduce`` and ``cuda.raw`` in Chainer and ChainerMN is found in the
syntax tree. Its arguments are evaluated among the globals of its module; where they use a local variable, the
assignments to it are executed first, each on its own where there are several. What a local variable depends
on in the end is in ``SEEDS``. A call that cannot be evaluated in this way is an error, so that no kernel is left out.
"""

import ast
import dataclasses
import importlib
import types

import numpy

from ganspec.impl_chainer.compat.hook import mended

EMITTERS = frozenset(
    f"{at}cuda.{name}" for at in ("", "chainer.", "backend.") for name in ("elementwise", "reduce", "raw")
)
SEEDS = {
    "ndim": (1, 2, 3, 4),  # of pooling and convolution
    "n_ary": (1, 2, 3),  # the children of a tree LSTM
    "self": (types.SimpleNamespace(size=2),),  # a communicator of two processes
    "dtype": tuple(map(numpy.dtype, "efd")),  # of the gradients that it divides
}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel: the module that emits it, through which function, with which arguments, and the call's line."""

    module: str
    line: int
    emitter: str
    arguments: tuple
    options: tuple

    @property
    def name(self):
        """Return the kernel's own name."""
        return self.arguments[{"elementwise": 3, "reduce": 6, "raw": 1}[self.emitter]]


def _variants(node, environment, function):
    """Yield the values that an expression can have, with the variables of its function that it needs."""
    try:
        # One dictionary for all: a comprehension sees no other locals.
        yield eval(compile(ast.Expression(node), "<kernel>", "eval"), environment), environment
        return
    except NameError as error:
        missing = error.name
    if missing in SEEDS:
        for value in SEEDS[missing]:
            yield from _variants(node, {**environment, missing: value}, function)
        return
    assigned = [statement for statement in ast.walk(function) if _assigns(statement, missing, node.lineno)]
    if not assigned:
        raise NameError(f"no value for {missing!r} in line {node.lineno}")
    for statement in assigned:
        for value, found in _variants(statement.value, environment, function):
            (target,) = statement.targets
            names = [missing] if isinstance(target, ast.Name) else [each.id for each in target.elts]
            values = [value] if isinstance(target, ast.Name) else value
            yield from _variants(node, {**found, **dict(zip(names, values, strict=True))}, function)


def _assigns(statement, name, before):
    if not isinstance(statement, ast.Assign) or statement.lineno >= before:
        return False
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(statement.targets[0]))


def _calls(tree):
    """Yield each call of an emitter with the function around it."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in EMITTERS:
            around = [f for f in functions if f.lineno <= call.lineno <= f.end_lineno]
            yield call, max(around, key=lambda f: f.lineno, default=tree)


def kernels_of(module, source, mends, namespace=None):
    """Return the kernels of one module, and the number of calls that emit them.

    Args:
        module: name of the module.
        source: text of the module on the disk.
        mends: mends to apply to it.
        namespace: globals of the module; by default it is imported if they are needed.
    """
    if "cuda." not in source:
        return [], 0
    tree = ast.parse(mended(source, mends))
    found, calls = [], 0
    for call, function in _calls(tree):
        calls += 1
        if namespace is None:
            namespace = vars(importlib.import_module(module)) if not module.startswith("chainermn") else {}
        node = ast.Tuple([*call.args, *(k.value for k in call.keywords)], ast.Load(), lineno=call.lineno, col_offset=0)
        for values, _ in _variants(node, dict(namespace), function):
            arguments = values[: len(call.args)]
            options = tuple(zip([k.arg for k in call.keywords], values[len(call.args) :], strict=True))
            emitter = ast.unparse(call.func).rpartition(".")[2]
            found.append(Kernel(module, call.lineno, emitter, arguments, options))
    return found, calls
