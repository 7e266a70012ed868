"""How Chainer writes each kind of layer: its own links where it has one that computes the same, a short function elsewhere.

`spec.layers` defines the kinds; `impl_chainer` evaluates them in training, too. Every value is written out, none is left to a
default that matters.
"""

from __future__ import annotations

import numpy as np

from ganspec.tools.exporting.chainer_functions import FUNCTIONS
from ganspec.tools.exporting.source import Dialect, Member, Place, Row, Written, call, folded, form, short


def linear(p: Place) -> Written:
    """L.Linear, whose weight is (units, features) as ours."""
    units, features = p.arrays["W"].shape
    return _link(p, f"L.Linear({features}, {units}{_bias(p)})", _weights(p))


def conv(p: Place) -> Written:
    """L.Convolution2D, behind F.pad where the padding is not the same on both sides."""
    top, bottom, left, right = p.settings["padding"]
    same = (top, left) == (bottom, right)
    around = f"((0, 0), (0, 0), ({top}, {bottom}), ({left}, {right}))"
    x = p.x[0] if same else f'F.pad({p.x[0]}, {around}, "constant", constant_values=0.0)'
    sizes = f"{p.channels}, {len(p.arrays['W'])}, {short(p.arrays['W'].shape[2:])}, stride={p.settings['stride']}"
    sizes += f", pad={short((top, left)) if same else 0}"
    sizes += f", dilate={p.settings['dilation']}" if "dilation" in p.settings else ""
    sizes += f", groups={p.settings['groups']}" if "groups" in p.settings else ""
    return _link(p, f"L.Convolution2D({sizes}{_bias(p)})", _weights(p), x)


def deconv(p: Place) -> Written:
    """L.Deconvolution2D, whose weight is (in, out, height, width) as ours."""
    _, out, *kernel = p.arrays["W"].shape
    sizes = f"{p.channels}, {out}, {short(tuple(kernel))}, stride={p.settings['stride']}, pad={p.settings['padding']}"
    return _link(p, f"L.Deconvolution2D({sizes}, outsize={p.layer.shape[1:]}{_bias(p)})", _weights(p))


def embedding(p: Place) -> Written:
    """L.EmbedID."""
    labels, units = p.arrays["W"].shape
    return _link(p, f"L.EmbedID({labels}, {units})", {"W": p.arrays["W"]})


def one_hot(p: Place) -> Written:
    """The function of that name."""
    on, off = p.settings["on"], p.settings["off"]
    return Written(f"one_hot({p.x[0]}, {p.layer.shape[0]}, {on!r}, {off!r}, dtype)", functions=("one_hot",))


def batch_norm(p: Place) -> Written:
    """L.BatchNormalization, with running statistics."""
    return _link(p, *_batch_norm(p, affine=True))


def conditional_batch_norm(p: Place) -> Written:
    """L.BatchNormalization without a factor, and an embedding for the factor and for the addend."""
    member = Member("", *_batch_norm(p, affine=False))
    value, members = f"{p.me}({p.x[0]})", [member]
    for name, sign in (("gamma", "*"), ("beta", "+")):
        if name in p.arrays:
            labels, channels = p.arrays[name].shape
            members.append(Member(f"_{name}", f"L.EmbedID({labels}, {channels})", {"W": p.arrays[name]}))
            rest = ", 1" * (len(p.shapes[0]) - 1)
            value += f" {sign} F.reshape({p.me}_{name}({p.x[1]}), (-1, {channels}{rest}))"
    return Written(value, tuple(members))


def _batch_norm(p: Place, *, affine: bool) -> tuple[str, dict[str, np.ndarray]]:
    own = {name: p.arrays[name] for name in ("gamma", "beta") if affine and name in p.arrays}
    made = f"L.BatchNormalization({p.channels}, decay={1.0 - p.settings['momentum']!r}, eps={p.settings['epsilon']!r}"
    made += "".join(f", use_{name}=False" for name in ("gamma", "beta") if name not in own)
    return f"{made})", {
        **own,
        "avg_mean": p.arrays["mean"],
        "avg_var": p.arrays["variance"],
        "N": np.zeros((), np.int64),
    }


def layer_norm(p: Place) -> Written:
    """The function `standardised` over all of a sample."""
    return _standardised(p, 1)


def instance_norm(p: Place) -> Written:
    """`standardised` with each channel alone."""
    return _standardised(p, p.layer.shape[0])


def group_norm(p: Place) -> Written:
    """`standardised` with groups of channels."""
    return _standardised(p, p.settings["groups"])


def _standardised(p: Place, groups: int) -> Written:
    value, members = f"standardised({p.x[0]}, {groups}, {p.settings['epsilon']!r})", []
    for name, sign in (("gamma", "*"), ("beta", "+")):
        if name in p.arrays:
            value += f" {sign} {_wide(p, f'{p.me}_{name}')}"
            members.append(_parameter(p, name, f"_{name}"))
    return Written(value, tuple(members), ("standardised",))


def _trained(text: str, *functions: str) -> Row:
    """Returns: a row of one trained array, "me" in the text, which stands for the array in the shape of the layer's value."""

    def row(p: Place) -> Written:
        (name,) = p.arrays
        return Written(text.format(x=p.x[0], me=_wide(p, p.me)), (_parameter(p, name, ""),), functions)

    return row


def reshape(p: Place) -> Written:
    """F.reshape."""
    return Written(f"F.reshape({p.x[0]}, {_sized(p, '-1')})")


def transpose(p: Place) -> Written:
    """F.transpose."""
    return Written(f"F.transpose({p.x[0]}, {(0, *(axis + 1 for axis in p.settings['axes']))})")


def slice_(p: Place) -> Written:
    """An index."""
    before = ", ".join([":"] * (p.settings["axis"] + 1))
    return Written(f"{p.x[0]}[{before}, {p.settings['start']}:{p.settings['stop']}]")


def _reduced(function: str) -> Row:
    return lambda p: Written(f"F.{function}({p.x[0]}, axis={tuple(axis + 1 for axis in p.settings['axes'])})")


def broadcast(p: Place) -> Written:
    """F.broadcast_to."""
    return Written(f"F.broadcast_to({p.x[0]}, {_sized(p)})")


def pad(p: Place) -> Written:
    """F.pad."""
    top, bottom, left, right = p.settings["padding"]
    around = f"((0, 0), (0, 0), ({top}, {bottom}), ({left}, {right}))"
    return Written(f'F.pad({p.x[0]}, {around}, "constant", constant_values={p.settings["value"]!r})')


def upsample(p: Place) -> Written:
    """F.repeat along both axes."""
    factor = p.settings["factor"]
    return Written(f"F.repeat(F.repeat({p.x[0]}, {factor}, axis=2), {factor}, axis=3)")


def max_pool(p: Place) -> Written:
    """F.max_pooling_2d."""
    padding, cover_all = p.settings.get("padding", 0), p.settings.get("cover_all", False)
    kernel = f"{p.settings['kernel']}, stride={p.settings['stride']}, pad={padding}"
    return Written(f"F.max_pooling_2d({p.x[0]}, {kernel}, cover_all={cover_all})")


def avg_pool(p: Place) -> Written:
    """F.average_pooling_2d."""
    kernel = f"{p.settings['kernel']}, stride={p.settings['stride']}, pad={p.settings.get('padding', 0)}"
    return Written(f"F.average_pooling_2d({p.x[0]}, {kernel})")


def planes(p: Place) -> Written:
    """F.broadcast_to, after two more axes."""
    return Written(f"F.broadcast_to({p.x[0]}[:, :, None, None], {_sized(p)})")


def concat(p: Place) -> Written:
    """F.concat."""
    return Written(f"F.concat([{', '.join(p.x)}], axis=1)")


def fade(p: Place) -> Written:
    """The mixture of the moment at which the run was exported."""
    return Written(f"{1.0 - p.fade!r} * {p.x[0]} + {p.fade!r} * {p.x[1]}")


def minibatch_discrimination(p: Place) -> Written:
    """The function of that name."""
    sizes = f"{p.settings['kernels']}, {p.settings['dimensions']}"
    return Written(f"minibatch_discrimination({p.x[0]}, {sizes})", functions=("minibatch_discrimination",))


def _link(p: Place, made: str, arrays: dict[str, np.ndarray], x: str = "") -> Written:
    return Written(f"{p.me}({x or p.x[0]})", (Member("", made, arrays),))


def _parameter(p: Place, name: str, suffix: str) -> Member:
    array = p.spread(name)
    return Member(suffix, f"chainer.Parameter(0.0, {array.shape})", {"": array})


def _wide(p: Place, name: str) -> str:
    return f"F.broadcast_to({name}, {p.x[0]}.shape)"


def _weights(p: Place) -> dict[str, np.ndarray]:
    return {name: p.arrays[name] for name in ("W", "b") if name in p.arrays}


def _bias(p: Place) -> str:
    return "" if "b" in p.arrays else ", nobias=True"


def _sized(p: Place, count: str = "") -> str:
    """Returns: the layer's shape with the batch's axis."""
    sizes = ", ".join([count or f"len({p.x[0]})", *map(str, p.layer.shape)])
    return f"({sizes})" if p.layer.shape else f"({sizes},)"


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
    "dropout": form("F.dropout({x}, {rate})"),
    "leaky_relu": form("F.leaky_relu({x}, {slope})"),
    "prelu": _trained("prelu({x}, {me})", "prelu"),
    "relu": form("F.relu({x})"),
    "elu": form("F.elu({x}, {alpha})"),
    "tanh": form("F.tanh({x})"),
    "sigmoid": form("F.sigmoid({x})"),
    "hard_sigmoid": form("F.clip({x} * {slope} + 0.5, 0.0, 1.0)"),
    "softplus": form("F.softplus({x}, beta=1.0)"),
    "swish": _trained("{x} * F.sigmoid({me} * {x})"),
    "abs": form("F.absolute({x})"),
    "exp": form("F.exp({x})"),
    "log": form("F.log({x})"),
    "sqrt": form("F.sqrt({x})"),
    "clip": form("F.clip({x}, {low}, {high})"),
    "softmax": form("F.softmax({x}, axis=1)"),
    "scale": form("{x} * {factor}"),
    "trained_scale": _trained("{x} * {me}"),
    "bias": _trained("{x} + {me}"),
    "reshape": reshape,
    "flatten": reshape,
    "transpose": transpose,
    "slice": slice_,
    "mean": _reduced("mean"),
    "sum": _reduced("sum"),
    "max": _reduced("max"),
    "broadcast": broadcast,
    "pad": pad,
    "upsample": upsample,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "planes": planes,
    "concat": concat,
    "add": folded("+"),
    "subtract": folded("-"),
    "multiply": folded("*"),
    "matmul": lambda p: Written(f"F.matmul({p.x[0]}, {p.x[1]})"),
    "fade": fade,
}
DIALECT = Dialect(ROWS, FUNCTIONS, "/", "F.identity({x})")
