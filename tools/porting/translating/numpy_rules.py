"""Rules for those of NumPy's functions whose translation depends on their arguments."""

from __future__ import annotations

import ast

import numpy as np

from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.dtypes import FLOATS, dtype, is_default
from ganspec.tools.porting.translating.function_rules import Rule


def where(a: Arguments) -> str:
    condition = "c" if a.seen("c").dtypes <= {"?"} else "c.bool()"
    return f"torch.where({condition}, x, y)" if "x" in a.nodes else f"torch.where({condition})"


def alike(text: str) -> Rule:
    """A tensor like another, which may have another dtype."""

    def rule(a: Arguments) -> str | ast.expr:
        if "dtype" not in a.nodes or a.value("dtype") is None:
            return text
        found = dtype(a.writer, a.nodes["dtype"])
        if is_default(found) and a.seen("x").dtypes <= FLOATS:
            return text
        a.put("dtype_", found)
        return f"{text}.to(dtype_)"

    return rule


def reshaped(a: Arguments) -> str:
    return "torch.reshape(x, (shape,))" if a.seen("shape").is_all("number") else "torch.reshape(x, shape)"


def limits(a: Arguments) -> str:
    if any(np.dtype(t).char not in FLOATS for t in a.seen("dtype").things):
        raise Unfit("numpy.finfo of this dtype has no counterpart", "give a dtype of floating-point numbers")
    return "torch.finfo(torch.get_default_dtype())"
