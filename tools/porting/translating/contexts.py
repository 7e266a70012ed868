"""What his `with` statements say of scopes, devices and gradients."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.templates import call

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.statements import Statements


class Contexts:
    """The part of `Statements` that translates `with`."""

    def _with(self: Statements, node: ast.With) -> list[ast.stmt]:
        kept = []
        for item in node.items:
            context = item.context_expr
            if (
                isinstance(context, ast.Call)
                and isinstance(context.func, ast.Attribute)
                and context.func.attr == "init_scope"
            ):
                continue
            things = self.within.seen(context.func if isinstance(context, ast.Call) else context).things
            names = {getattr(t, "__name__", type(t).__name__) for t in things}
            if names & {
                "get_device",
                "get_device_from_id",
                "get_device_from_array",
                "using_device",
                "Device",
                "DummyDeviceType",
                "CpuDevice",
            }:
                continue
            if names == {"no_backprop_mode"}:
                kept.append(ast.withitem(call("torch.no_grad")))
            elif names == {"force_backprop_mode"}:
                kept.append(ast.withitem(call("torch.enable_grad")))
            elif (
                names == {"using_config"}
                and isinstance(context, ast.Call)
                and self._setting(context) == ("enable_backprop", False)
            ):
                kept.append(ast.withitem(call("torch.no_grad")))
            elif names == {"using_config"}:
                raise Unfit(
                    "chainer.using_config inside of a model has no counterpart",
                    "call the part with .eval(), or leave it to the caller",
                )
            else:
                kept.append(self.within._generic(item))
        body = self.block(node.body)
        return [ast.With(kept, body, lineno=0)] if kept else body

    def _setting(self: Statements, node: ast.Call) -> tuple[Any, Any]:
        values = [a.value if isinstance(a, ast.Constant) else self.within.seen(a).only for a in node.args]
        return (values[0], values[1]) if len(values) == 2 else (None, None)
