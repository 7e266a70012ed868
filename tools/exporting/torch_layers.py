"""How PyTorch writes each kind of layer: its own modules where it has one that computes the same, a short function elsewhere.

`spec.layers` defines the kinds; `impl_torch` evaluates them in training, too. Every value is written out, none is left to a
default that matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ganspec.tools.errors import UserError
from ganspec.tools.exporting.source import Dialect, Member, Place, Row, Written, call, folded, form, short
from ganspec.tools.exporting.torch_functions import FUNCTIONS


def linear(p: Place) -> Written:
    """nn.Linear, whose weight is (units, features) as ours."""
    units, features = p.arrays["W"].shape
    return _module(p, f"nn.Linear({features}, {units}{_bias(p)})", _weights(p))


def conv(p: Place) -> Written:
    """nn.Conv2d, behind F.pad where the padding is not the same on both sides."""
    top, bottom, left, right = p.settings["padding"]
    same = (top, left) == (bottom, right)
    x = p.x[0] if same else f"F.pad({p.x[0]}, ({left}, {right}, {top}, {bottom}))"
    sizes = f"{p.channels}, {len(p.arrays['W'])}, {short(p.arrays['W'].shape[2:])}, stride={p.settings['stride']}"
    sizes += f", padding={short((top, left))}" if same and (top or left) else ""
    sizes += "".join(f", {key}={p.settings[key]}" for key in ("dilation", "groups") if key in p.settings)
    return _module(p, f"nn.Conv2d({sizes}{_bias(p)})", _weights(p), x)


def deconv(p: Place) -> Written:
    """nn.ConvTranspose2d, whose weight is (in, out, height, width) as ours."""
    _, out, *kernel = p.arrays["W"].shape
    sizes = (
        f"{p.channels}, {out}, {short(tuple(kernel))}, stride={p.settings['stride']}, padding={p.settings['padding']}"
    )
    return _module(p, f"nn.ConvTranspose2d({sizes}{_bias(p)})", _weights(p))


def embedding(p: Place) -> Written:
    """nn.Embedding."""
    labels, units = p.arrays["W"].shape
    return _module(p, f"nn.Embedding({labels}, {units})", {"weight": p.arrays["W"]})


def one_hot(p: Place) -> Written:
    """F.one_hot, whose ones and zeros become `on` and `off`."""
    on, off = p.settings["on"], p.settings["off"]
    code = f"F.one_hot({p.x[0]}, {p.layer.shape[0]}).to(dtype)"
    return Written(code if (on, off) == (1, 0) else f"{code} * {on - off!r} + {off!r}")


def batch_norm(p: Place) -> Written:
    """nn.BatchNorm, with running statistics."""
    return _module(p, *_batch_norm(p, affine=bool(p.arrays.keys() & {"gamma", "beta"})))


def conditional_batch_norm(p: Place) -> Written:
    """nn.BatchNorm without a factor, and an embedding for the factor and for the addend."""
    member = Member("", *_batch_norm(p, affine=False))
    wide = f"[:, :{', None' * (len(p.shapes[0]) - 1)}]" if len(p.shapes[0]) > 1 else ""
    value, members = f"{p.me}({p.x[0]})", [member]
    for name, sign in (("gamma", "*"), ("beta", "+")):
        if name in p.arrays:
            labels, channels = p.arrays[name].shape
            members.append(Member(f"_{name}", f"nn.Embedding({labels}, {channels})", {"weight": p.arrays[name]}))
            value += f" {sign} {p.me}_{name}({p.x[1]}){wide}"
    return Written(value, tuple(members))


def _batch_norm(p: Place, *, affine: bool) -> tuple[str, dict[str, np.ndarray]]:
    axes = len(p.shapes[0])
    if axes > 4:
        raise UserError(f"the layer {p.layer.name} normalises samples of {axes} axes, of which PyTorch takes at most 4")
    kind = f"nn.BatchNorm{max(1, axes - 1)}d"
    made = f"{kind}({p.channels}, eps={p.settings['epsilon']!r}, momentum={p.settings['momentum']!r}, affine={affine})"
    arrays = {"running_mean": p.arrays["mean"], "running_var": p.arrays["variance"]}
    arrays |= {"weight": p.array("gamma", 1.0), "bias": p.array("beta", 0.0)} if affine else {}
    return made, {**arrays, "num_batches_tracked": np.zeros((), np.int64)}


def layer_norm(p: Place) -> Written:
    """The function `standardised` over all of a sample; nn.LayerNorm has no addend without a factor."""
    return _standardised(p, 1)


def instance_norm(p: Place) -> Written:
    """`standardised` with each channel alone; nn.InstanceNorm2d refuses images of one pixel."""
    return _standardised(p, p.layer.shape[0])


def group_norm(p: Place) -> Written:
    """`standardised` with groups of channels."""
    return _standardised(p, p.settings["groups"])


def _standardised(p: Place, groups: int) -> Written:
    value, members = f"standardised({p.x[0]}, {groups}, {p.settings['epsilon']!r})", []
    for name, sign in (("gamma", "*"), ("beta", "+")):
        if name in p.arrays:
            value += f" {sign} {p.me}_{name}"
            members.append(_parameter(p, name, f"_{name}"))
    return Written(value, tuple(members), ("standardised",))


def _trained(form: str) -> Row:
    """Returns: a row of one trained array, "me" in the form."""

    def row(p: Place) -> Written:
        (name,) = p.arrays
        return Written(form.format(x=p.x[0], me=p.me), (_parameter(p, name, ""),))

    return row


def reshape(p: Place) -> Written:
    """Tensor.reshape, or flatten."""
    return Written(
        f"{p.x[0]}.flatten(1)" if len(p.layer.shape) == 1 and p.shapes[0] else f"{p.x[0]}.reshape(-1{_sizes(p)})"
    )


def transpose(p: Place) -> Written:
    """Tensor.permute."""
    return Written(f"{p.x[0]}.permute(0, {', '.join(str(axis + 1) for axis in p.settings['axes'])})")


def slice_(p: Place) -> Written:
    """An index."""
    before = ", ".join([":"] * (p.settings["axis"] + 1))
    return Written(f"{p.x[0]}[{before}, {p.settings['start']}:{p.settings['stop']}]")


def _reduced(method: str) -> Row:
    return lambda p: Written(f"{p.x[0]}.{method}(dim={tuple(axis + 1 for axis in p.settings['axes'])})")


def broadcast(p: Place) -> Written:
    """Tensor.expand."""
    return Written(f"{p.x[0]}.expand(-1{_sizes(p)})")


def pad(p: Place) -> Written:
    """F.pad."""
    top, bottom, left, right = p.settings["padding"]
    return Written(f"F.pad({p.x[0]}, ({left}, {right}, {top}, {bottom}), value={p.settings['value']!r})")


def _pooled(function: str, value: float) -> Row:
    """Returns: a row of pooling; the edge is put around the image first, because PyTorch's own padding is bounded."""

    def row(p: Place) -> Written:
        x, settings, amounts = p.x[0], p.settings, []
        for i in (1, 0):
            kernel, stride, padding = (_two(settings.get(key, 0))[i] for key in ("kernel", "stride", "padding"))
            amounts += [padding, (p.layer.shape[1 + i] - 1) * stride + kernel - padding - p.shapes[0][1 + i]]
        if "padding" in settings or "cover_all" in settings:
            edge = "float('-inf')" if value < 0 else repr(value)
            x = f"F.pad({x}, {tuple(amounts)}, value={edge})"
        return Written(f"F.{function}({x}, {settings['kernel']}, stride={settings['stride']})")

    return row


def planes(p: Place) -> Written:
    """Two more axes, expanded."""
    return Written(f"{p.x[0]}[:, :, None, None].expand(-1{_sizes(p)})")


def concat(p: Place) -> Written:
    """torch.cat."""
    return Written(f"torch.cat([{', '.join(p.x)}], dim=1)")


def fade(p: Place) -> Written:
    """The mixture of the moment at which the run was exported."""
    return Written(f"{1.0 - p.fade!r} * {p.x[0]} + {p.fade!r} * {p.x[1]}")


def minibatch_discrimination(p: Place) -> Written:
    """The function of that name."""
    sizes = f"{p.settings['kernels']}, {p.settings['dimensions']}"
    return Written(f"minibatch_discrimination({p.x[0]}, {sizes})", functions=("minibatch_discrimination",))


def _module(p: Place, made: str, arrays: dict[str, np.ndarray], x: str = "") -> Written:
    return Written(f"{p.me}({x or p.x[0]})", (Member("", made, arrays),))


def _parameter(p: Place, name: str, suffix: str) -> Member:
    array = p.spread(name)
    return Member(suffix, f"nn.Parameter(torch.zeros({array.shape}))", {"": array})


def _weights(p: Place) -> dict[str, np.ndarray]:
    return {"weight": p.arrays["W"]} | ({"bias": p.arrays["b"]} if "b" in p.arrays else {})


def _bias(p: Place) -> str:
    return "" if "b" in p.arrays else ", bias=False"


def _sizes(p: Place) -> str:
    return "".join(f", {size}" for size in p.layer.shape)


def _two(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


ROWS: dict[str, Row] = {
    "linear": linear,
    "conv": conv,
    "deconv": deconv,
    "embedding": embedding,
    "one_hot": one_hot,
    "batch_norm": batch_norm,
    "conditional_batch_norm": conditional_batch_norm,
    "layer_norm": layer_norm,
    "instance_norm": instance_norm,
    "group_norm": group_norm,
    "pixel_norm": call("pixel_norm", "epsilon"),
    "normalize": call("normalize", "epsilon"),
    "local_response_norm": call("local_response_norm", "n", "k", "alpha", "beta"),
    "minibatch_std": call("minibatch_std", "epsilon"),
    "minibatch_discrimination": minibatch_discrimination,
    "dropout": form("F.dropout({x}, {rate}, self.training)"),
    "leaky_relu": form("F.leaky_relu({x}, {slope})"),
    "prelu": _trained("torch.where({x} > 0, {x}, {me} * {x})"),
    "relu": form("F.relu({x})"),
    "elu": form("F.elu({x}, {alpha})"),
    "tanh": form("torch.tanh({x})"),
    "sigmoid": form("torch.sigmoid({x})"),
    "hard_sigmoid": form("torch.clamp({x} * {slope} + 0.5, 0.0, 1.0)"),
    "softplus": form("F.softplus({x}, beta=1.0, threshold=80.0)"),
    "swish": _trained("{x} * torch.sigmoid({me} * {x})"),
    "abs": form("torch.abs({x})"),
    "exp": form("torch.exp({x})"),
    "log": form("torch.log({x})"),
    "sqrt": form("torch.sqrt({x})"),
    "clip": form("torch.clamp({x}, {low}, {high})"),
    "softmax": form("torch.softmax({x}, dim=1)"),
    "scale": form("{x} * {factor}"),
    "trained_scale": _trained("{x} * {me}"),
    "bias": _trained("{x} + {me}"),
    "reshape": reshape,
    "flatten": reshape,
    "transpose": transpose,
    "slice": slice_,
    "mean": _reduced("mean"),
    "sum": _reduced("sum"),
    "max": _reduced("amax"),
    "broadcast": broadcast,
    "pad": pad,
    "upsample": form('F.interpolate({x}, scale_factor={factor}, mode="nearest")'),
    "max_pool": _pooled("max_pool2d", -1.0),
    "avg_pool": _pooled("avg_pool2d", 0.0),
    "planes": planes,
    "concat": concat,
    "add": folded("+"),
    "subtract": folded("-"),
    "multiply": folded("*"),
    "matmul": folded("@"),
    "fade": fade,
}
DIALECT = Dialect(ROWS, FUNCTIONS, ".", "{x}.clone()")
