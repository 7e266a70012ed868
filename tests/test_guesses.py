"""A guess names the mistake that was made, and nothing where none, or an unknown one, was made.

The wrong values are made here, independently of the guesses, with plain NumPy or a framework's own functions.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.network.architecture import Layer
from ganspec.spec.parts.optimizers import Adam, Clip, RMSProp
from ganspec.spec.plan.graph import Node
from ganspec.tools.agreement.guesses import Case, guess
from ganspec.tools.agreement.guesses.formulas import operated
from ganspec.tools.agreement.guesses.updates import moved
from ganspec.tools.agreement.guesses.weighted import evaluated
from ganspec.tools.agreement.report import Place, Quantity

N = 6
RANDOM = np.random.default_rng(7)
SYSTEM = load_system("wgan_gp_mlp_mnist", ["run.batch=6", "loss.penalty_weight=7.3"])
IMAGES, ROWS = RANDOM.standard_normal((N, 3, 4, 4)), RANDOM.standard_normal((N, 5))


def quantity(kind, name, value):
    return Quantity(kind, name, Place(3, 0, 1), np.asarray(value, np.float64))


def settled(case, value, found):
    """Returns: the case with its right value and what was found."""
    value = np.asarray(value, np.float64)
    tolerance = 1e-11 * max(float(np.linalg.norm(value)), 1e-3)
    return replace(case, quantity=replace(case.quantity, value=value), found=np.asarray(found), tolerance=tolerance)


def layer_case(kind, inputs, shape, settings, own=None, statistics=None, **known):
    layer = Layer("m", kind, tuple(f"in{i}" for i in range(len(inputs))), shape, settings, (), ())
    case = Case(
        SYSTEM, quantity("layer", "%2 D(%1): m", 0), np.zeros(()), 0.0, tuple(inputs), layer, None,
        own or {}, statistics or {}, **known,
    )  # fmt: skip
    return settled(case, value := evaluated(case), value)


def node_case(op, *inputs, value=None):
    case = Case(
        SYSTEM,
        quantity("value", f"%3 {op}", 0),
        np.zeros(()),
        0.0,
        tuple(map(np.asarray, inputs)),
        None,
        Node(op, (), ()),
    )
    case = replace(case, node=Node(op, (), (), value=value))
    return settled(case, right := operated(case), right)


def update_case(definition, t, kind="parameter", moment="", shape=(4, 5)):
    p, g = RANDOM.standard_normal(shape), 0.1 * RANDOM.standard_normal(shape)
    own = {"m": 0.1 * RANDOM.standard_normal(shape), "v": 0.01 * RANDOM.random(shape)}
    own = {name: own[name] * (t > 1) + definition.moments()[name].start * (t == 1) for name in definition.moments()}
    name = f"moment D/{moment}/l1/W" if moment else "parameter D/l1/W"
    case = Case(SYSTEM, quantity(kind, name, 0), np.zeros(()), 0.0, (p, g), own=own, update=(definition, t, 1e-3))
    return settled(case, right := moved(case), right)


def said(case, found):
    return guess(settled(case, case.right, found))


def plain(value):
    return quantity_case("value", value)


def quantity_case(kind, value, **known):
    case = Case(SYSTEM, quantity(kind, "x", 0), np.zeros(()), 0.0, **known)
    return settled(case, value, value)


# Of anything: (right value, wrong value, words of the guess).
SQUARE = RANDOM.standard_normal((5, 5))
ANYTHING = {
    "sum over the batch": (ROWS, 6 * ROWS, "6 times too large, the batch size"),
    "mean over the batch": (ROWS, ROWS / 6, "6 times too small, the batch size"),
    "penalty without its weight": (np.array(1.7), np.array(1.7) / 7.3, "the factor penalty_weight, 7.3, is missing"),
    "twice": (ROWS, ROWS + ROWS, "twice too large"),
    "half": (ROWS, ROWS * 0.5, "half"),
    "any factor": (ROWS, 1.2345 * ROWS, "everywhere 1.2345 times"),
    "sign": (ROWS, -ROWS, "the sign is wrong"),
    "nothing": (ROWS, 0 * ROWS, "0 everywhere"),
    "offset": (ROWS, ROWS + 0.25, "everywhere larger by 0.25"),
    "range": (IMAGES, (IMAGES + 1) / 2, "0.5 v + 0.5"),
    "transposed": (SQUARE, SQUARE.T, "transposed"),
    "transposed, another shape": (ROWS, ROWS.T, "transposed"),
    "channels last": (IMAGES, np.moveaxis(IMAGES, 1, 3), "(sample, height, width, channel)"),
    "BGR": (IMAGES, IMAGES[:, ::-1], "the channels are in reverse order"),
    "upside down": (IMAGES, IMAGES[:, :, ::-1], "upside down"),
    "mirrored": (IMAGES, IMAGES[..., ::-1], "mirrored"),
    "height and width": (IMAGES, np.swapaxes(IMAGES, 2, 3), "(sample, channel, width, height)"),
    "reverse batch": (ROWS, ROWS[::-1], "the samples of the batch are in reverse order"),
    "rolled batch": (ROWS, np.roll(ROWS, 2, axis=0), "the first is number 4"),
    "mixed batch": (ROWS, ROWS[[3, 1, 0, 5, 4, 2]], "they are numbers 3, 1, 0, 5, 4, 2"),
    "a reshape for a transposition": (
        IMAGES,
        np.moveaxis(IMAGES, 1, 3).reshape(IMAGES.shape),
        "where it must be transposed",
    ),
    "Fortran": (ROWS, ROWS.ravel(order="F").reshape(ROWS.shape), "transposed by a reshape"),
    "one sample for all": (ROWS, np.tile(ROWS[:1], (6, 1)), "all samples have the value of the first"),
    "cut off": (ROWS, np.clip(ROWS, -0.5, 0.5), "outside [-0.5, 0.5]"),
    "absolute": (ROWS, abs(ROWS), "absolute value"),
    "float32": (ROWS, ROWS.astype(np.float32).astype(np.float64), "computed in float32"),
    "float16": (ROWS, ROWS.astype(np.float16).astype(np.float64), "computed in float16"),
}


@pytest.mark.parametrize("name", ANYTHING)
def test_of_anything(name):
    right, wrong, words = ANYTHING[name]
    assert words in said(plain(right), wrong)


def test_a_gradient_of_0_and_a_value_of_the_time_before():
    assert "no gradient arrives" in said(quantity_case("parameter gradient", ROWS), 0 * ROWS)
    earlier = RANDOM.standard_normal((N, 5))
    assert "one iteration late" in said(quantity_case("value", ROWS, earlier=earlier), earlier)


# Layers.
W, B = RANDOM.standard_normal((4, 5)), RANDOM.standard_normal(4)
LINEAR = layer_case("linear", [ROWS], (4,), {}, {"W": W, "b": B})
SQUARED = layer_case("linear", [ROWS], (5,), {}, {"W": SQUARE})
GAINED = layer_case("linear", [ROWS], (4,), {"gain": 0.3}, {"W": W, "b": B})
SPECTRAL = {"iterations": 1, "epsilon": 1e-12, "advance": "training"}
U = RANDOM.standard_normal(4)
NORMED = layer_case("linear", [ROWS], (4,), {"spectral_norm": SPECTRAL}, {"W": W, "b": B}, {"u": U})
K, C = RANDOM.standard_normal((2, 3, 3, 3)), RANDOM.standard_normal(2)
CONV = layer_case("conv", [IMAGES], (2, 2, 2), {"stride": 2, "padding": (0, 1, 0, 1)}, {"W": K, "b": C})
T = RANDOM.standard_normal((3, 2, 4, 4))
DECONV = layer_case("deconv", [IMAGES], (2, 8, 8), {"stride": 2, "padding": 1}, {"W": T, "b": C})


def power_iterations(count):
    u = U
    for _ in range(count):
        v = W.T @ u / np.linalg.norm(W.T @ u)
        u = W @ v / np.linalg.norm(W @ v)
    return u, v


def correlated(x, w, b, stride, pad):
    """A loop over pixels: slow, and unlike any of the others."""
    x = np.pad(x, ((0, 0), (0, 0), *pad))
    height, width = ((s - w.shape[2]) // stride + 1 for s in x.shape[2:])
    out = np.zeros((len(x), len(w), height, width))
    for i in range(height):
        for j in range(width):
            window = x[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
            out[:, :, i, j] = np.einsum("ncij,ocij->no", window, w) + b
    return out


def full_transposed(x, w):
    out = np.zeros((len(x), w.shape[1], 10, 10))
    for i in range(4):
        for j in range(4):
            out[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("nc,coij->noij", x[:, :, i, j], w)
    return out


PAD = ((0, 1), (0, 1))
WEIGHTED = {
    "transposed weight": (SQUARED, ROWS @ SQUARE, "the weight is transposed"),
    "reshaped weight": (LINEAR, ROWS @ W.ravel().reshape(5, 4) + B, "transpose it, do not reshape it"),
    "no bias": (LINEAR, ROWS @ W.T, "the bias is missing"),
    "two biases": (LINEAR, ROWS @ W.T + B + B, "the bias is added twice"),
    "no gain": (GAINED, ROWS @ W.T + B, "the gain 0.3 of the weight is missing"),
    "gain of the bias": (GAINED, 0.3 * (ROWS @ W.T + B), "is that of the bias, too"),
    "no spectral norm": (NORMED, ROWS @ W.T + B, "spectral norm is missing"),
    "spectral norm with two iterations": (
        NORMED, ROWS @ W.T / (power_iterations(2)[0] @ W @ power_iterations(2)[1]) + B, "makes 2 power iterations, not 1",
    ),
    "spectral norm, exact": (NORMED, ROWS @ W.T / np.linalg.svd(W)[1][0] + B, "exact largest singular value"),
    "relu too much": (LINEAR, np.maximum(ROWS @ W.T + B, 0), "relu is applied to what the linear layer gives"),
    "TF32": (LINEAR, None, "computed in TF32"),
    "kernel turned": (CONV, correlated(IMAGES, K[..., ::-1, ::-1], C, 2, PAD), "turned by 180 degrees"),
    "kernel transposed": (CONV, correlated(IMAGES, K.swapaxes(2, 3), C, 2, PAD), "height and width of the kernels"),
    "Keras's layout": (
        CONV, correlated(IMAGES, K.ravel().reshape(3, 3, 3, 2).transpose(3, 2, 0, 1), C, 2, PAD), "(height, width, in, out)",
    ),
    "padding on the other side": (CONV, correlated(IMAGES, K, C, 2, ((1, 0), (1, 0))), "padding [1, 0, 1, 0]"),
    "reflection": (
        CONV, correlated(np.pad(IMAGES, ((0, 0), (0, 0), *PAD), mode="reflect"), K, C, 2, ((0, 0), (0, 0))), "a reflection of the image",
    ),
    "conv without bias": (CONV, correlated(IMAGES, K, 0, 2, PAD), "the bias is missing"),
    "deconv's kernel turned": (DECONV, full_transposed(IMAGES, T[..., ::-1, ::-1])[:, :, 1:9, 1:9] + C[:, None, None], "180 degrees"),
    "deconv's crop": (DECONV, full_transposed(IMAGES, T)[:, :, :8, 2:] + C[:, None, None], "0 rows and 2 columns are cut off"),
}  # fmt: skip


def short(values):
    """Returns: float32 numbers with 10 bits after the first, as TF32 has them, by their bits."""
    bits = np.float32(values).view(np.uint32).astype(np.uint64)
    return ((bits + 0x0FFF + ((bits >> 13) & 1)) & 0xFFFFE000).astype(np.uint32).view(np.float32).astype(np.float64)


@pytest.mark.parametrize("name", WEIGHTED)
def test_of_layers_with_weights(name):
    case, wrong, words = WEIGHTED[name]
    if wrong is None:
        case = replace(case, inputs=(np.float32(ROWS),), own={"W": np.float32(W), "b": np.float32(B)})
        case = settled(case, evaluated(case), 0)
        wrong = short(ROWS) @ short(W).T + np.float32(B)
    assert words in said(case, wrong)


# Layers that normalise.
G, H = 1 + 0.3 * RANDOM.standard_normal(3), RANDOM.standard_normal(3)
MEAN, VARIANCE = RANDOM.standard_normal(3), 0.5 + RANDOM.random(3)
BN_SETTINGS = {"epsilon": 1e-3, "momentum": 0.1}
BN = layer_case(
    "batch_norm", [IMAGES], (3, 4, 4), BN_SETTINGS, {"gamma": G, "beta": H}, {"mean": MEAN, "variance": VARIANCE}
)
PIXELS = layer_case("pixel_norm", [IMAGES], (3, 4, 4), {"epsilon": 1e-2})
STD = layer_case("minibatch_std", [IMAGES], (4, 4, 4), {"epsilon": 1e-2})
FEW = RANDOM.standard_normal((N, 6))
CLOSE = layer_case("minibatch_discrimination", [0.3 * FEW], (2,), {"kernels": 2, "dimensions": 3})
KEPT = RANDOM.random((N, 5)) < 0.7
DROPPED = layer_case("dropout", [ROWS], (5,), {"rate": 0.3}, mask=KEPT)


def per_channel(a):
    return np.asarray(a).reshape(1, -1, 1, 1)


def batch_normed(epsilon=1e-3, axes=(0, 2, 3), ddof=0, gamma=G, beta=H, outside=0.0):
    mean, variance = IMAGES.mean(axes, keepdims=True), IMAGES.var(axes, keepdims=True, ddof=ddof)
    return (IMAGES - mean) / (np.sqrt(variance + epsilon) + outside) * per_channel(gamma) + per_channel(beta)


def with_channel(spread):
    return np.concatenate([IMAGES, np.ones((N, 1, 4, 4)) * spread], axis=1)


def distances(m, p):
    return sum(np.exp(-((abs(m - m[j]) ** p).sum(2) ** (1 / p))) for j in range(N)) - 1


NORMALISING = {
    "epsilon": (BN, batch_normed(1e-5), "epsilon 1e-05, not 0.001"),
    "the 0.8 that sets epsilon": (BN, batch_normed(0.8), "epsilon 0.8, not 0.001"),
    "epsilon beside the root": (BN, batch_normed(0.0, outside=1e-3), "added to the root"),
    "inference": (
        BN, (IMAGES - per_channel(MEAN)) / np.sqrt(per_channel(VARIANCE) + 1e-3) * per_channel(G) + per_channel(H), "not in training mode",
    ),
    "unbiased": (BN, batch_normed(ddof=1), "unbiased variance"),
    "no gamma": (BN, batch_normed(gamma=np.ones(3)), "gamma is missing"),
    "no beta": (BN, batch_normed(beta=np.zeros(3)), "beta is missing"),
    "gamma around 0": (BN, batch_normed(gamma=1 + G), "gamma is added to 1"),
    "instance norm": (BN, batch_normed(axes=(2, 3)), "instance norm"),
    "layer norm": (BN, batch_normed(axes=(1, 2, 3)), "layer norm"),
    "each pixel": (BN, batch_normed(axes=(0,)), "for each pixel by itself"),
    "pixel norm's epsilon": (PIXELS, IMAGES / np.sqrt((IMAGES**2).mean(1, keepdims=True) + 1e-8), "epsilon 1e-08, not 0.01"),
    "pixel norm's sum": (PIXELS, IMAGES / np.sqrt((IMAGES**2).sum(1, keepdims=True) + 1e-2), "the root of the sum of squares"),
    "pixel norm over pixels": (PIXELS, IMAGES / np.sqrt((IMAGES**2).mean((2, 3), keepdims=True) + 1e-2), "over the pixels of each channel"),
    "deviation, unbiased": (STD, with_channel(np.sqrt(IMAGES.var(0, ddof=1) + 1e-2).mean()), "the unbiased one"),
    "deviation, epsilon": (STD, with_channel(np.sqrt(IMAGES.var(0) + 1e-8).mean()), "epsilon 1e-08, not 0.01"),
    "deviation of groups": (
        STD, with_channel(np.array([np.sqrt(IMAGES[i::3].var(0) + 1e-2).mean() for i in (0, 1, 2)] * 2).reshape(-1, 1, 1, 1)), "groups of 2",
    ),
    "deviation first": (STD, np.roll(with_channel(np.sqrt(IMAGES.var(0) + 1e-2).mean()), 1, axis=1), "the first channel"),
    "the sample itself": (CLOSE, distances(0.3 * FEW.reshape(N, 2, 3), 1) + 1, "the sample itself"),
    "Euclidean distance": (CLOSE, distances(0.3 * FEW.reshape(N, 2, 3), 2), "Euclidean"),
    "M the other way": (CLOSE, distances(0.3 * FEW.reshape(N, 3, 2).swapaxes(1, 2), 1), "(dimensions, kernels)"),
    "unscaled dropout": (DROPPED, ROWS * KEPT, "not scaled by 1 / 0.7"),
    "multiplied dropout": (DROPPED, ROWS * KEPT * 0.7, "multiplied by 0.7"),
    "dropout in inference": (DROPPED, ROWS, "inference mode"),
    "rate for keep": (DROPPED, ROWS * ~KEPT / 0.3, "the probability to keep"),
    "inverted mask": (DROPPED, ROWS * ~KEPT / 0.7, "what should be kept is dropped"),
    "one mask": (DROPPED, ROWS * KEPT[:1] / 0.7, "one mask for the whole batch"),
    "dropped in inference": (replace(layer_case("dropout", [ROWS], (5,), {"rate": 0.3}, mask=KEPT, training=False)), ROWS * KEPT / 0.7, "not in inference"),
}  # fmt: skip


@pytest.mark.parametrize("name", NORMALISING)
def test_of_layers_that_normalise(name):
    case, wrong, words = NORMALISING[name]
    assert words in said(case, wrong)


# Running statistics, of three evaluations.
SEEN = tuple(RANDOM.standard_normal((N, 3, 2, 2)) for _ in range(3))


def running(name, momentum=0.1, ddof=1, seen=SEEN):
    value = {"mean": MEAN, "variance": VARIANCE}[name]
    for x in seen:
        batch = x.mean((0, 2, 3)) if name == "mean" else x.var((0, 2, 3), ddof=ddof)
        value = value + momentum * (batch - value)
    return value


STATISTICS = {
    "momentum upside down": ("mean", running("mean", 0.9), "1 - momentum for the momentum"),
    "another momentum": ("mean", running("mean", 0.01), "momentum 0.01, not 0.1"),
    "biased variance": ("variance", running("variance", ddof=0), "the biased variance"),
    "stands still": ("mean", MEAN, "stands still"),
    "one evaluation missing": ("variance", running("variance", seen=SEEN[:2]), "misses evaluation 3 of 3"),
    "moves twice": ("mean", running("mean", seen=[x for x in SEEN for _ in "ab"]), "moves twice"),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_of_running_statistics(name):
    which, wrong, words = STATISTICS[name]
    case = replace(BN, quantity=quantity("statistic", f"statistic D/m/{which}", 0), inputs=SEEN)
    assert words in said(settled(case, running(which), 0), wrong)
    assert said(settled(case, running(which), 0), running(which)) == ""


def test_of_the_vector_of_spectral_norm():
    case = replace(NORMED, quantity=quantity("statistic", "statistic D/m/u", 0), inputs=(ROWS,))
    case = settled(case, power_iterations(1)[0], 0)
    assert "stands still" in said(case, U)
    assert "moves 2 times in this step, not 1" in said(case, power_iterations(2)[0])


def test_an_evaluation_after_others_finds_a_vector_that_has_moved():
    u, v = power_iterations(3)
    case = settled(NORMED, ROWS @ W.T / (u @ W @ v) + B, 0)
    assert "the bias is missing" in said(case, ROWS @ W.T / (u @ W @ v))


# Activations and the rest.
LEAKY = layer_case("leaky_relu", [ROWS], (5,), {"slope": 0.2})
ELU = layer_case("elu", [ROWS], (5,), {"alpha": 1.0})
TANH, SIGMOID, RELU = (layer_case(kind, [ROWS], (5,), {}) for kind in ("tanh", "sigmoid", "relu"))
OTHER = RANDOM.standard_normal((N, 5))
SCALED = layer_case("scale", [ROWS], (5,), {"factor": 0.25})
FLAT = layer_case("flatten", [IMAGES], (48,), {})
SHAPED = layer_case("reshape", [IMAGES.reshape(N, 48)], (3, 4, 4), {})
UP = layer_case("upsample", [IMAGES], (3, 8, 8), {"factor": 2})
MAX, AVERAGE = (layer_case(kind, [IMAGES], (3, 2, 2), {"kernel": 2, "stride": 2}) for kind in ("max_pool", "avg_pool"))
CONCAT = layer_case("concat", [ROWS, OTHER], (10,), {})
ADD = layer_case("add", [ROWS, OTHER], (5,), {})
PLANES = layer_case("planes", [ROWS], (5, 2, 3), {})
ONE_HOT = layer_case("one_hot", [np.array([0, 3, 1, 2, 3, 0])], (4,), {"on": 1.0, "off": -1.0})
EMBEDDED = layer_case("embedding", [np.array([0, 3, 1, 2, 3, 0])], (5,), {}, {"W": W})
LABELS = np.array([0, 3, 1, 2, 3, 0])
TILES = IMAGES.reshape(N, 3, 2, 2, 2, 2)  # sample, channel, row of windows, row in it, column of windows, column in it
GROWING = load_system("progressive_cifar10", reduced=True)
FADE = replace(layer_case("fade", [ROWS, OTHER], (5,), {}, fade=0.3), system=GROWING)

SHAPING = {
    "slope": (LEAKY, np.where(ROWS > 0, ROWS, 0.01 * ROWS), "slope 0.01 for negative numbers, not 0.2"),
    "relu for leaky": (LEAKY, np.maximum(ROWS, 0), "slope 0 for negative numbers, not 0.2"),
    "leaky for relu": (RELU, np.where(ROWS > 0, ROWS, 0.3 * ROWS), "slope 0.3 for negative numbers, not 0"),
    "alpha": (ELU, np.where(ROWS > 0, ROWS, 0.9 * np.expm1(ROWS)), "alpha 0.9, not 1"),
    "sigmoid for tanh": (TANH, 1 / (1 + np.exp(-ROWS)), "sigmoid, where tanh is meant"),
    "tanh for sigmoid": (SIGMOID, np.tanh(ROWS), "tanh, where sigmoid is meant"),
    "no tanh": (TANH, ROWS, "the identity, where tanh is meant"),
    "tanh twice": (TANH, np.tanh(np.tanh(ROWS)), "tanh is applied twice"),
    "softplus for relu": (RELU, np.log1p(np.exp(ROWS)), "softplus, where relu is meant"),
    "no scale": (SCALED, ROWS, "the factor 0.25 is missing"),
    "another scale": (SCALED, 0.5 * ROWS, "factor 0.5, not 0.25"),
    "flattened channels last": (FLAT, np.moveaxis(IMAGES, 1, 3).reshape(N, -1), "height, width, channels"),
    "reshaped channels last": (SHAPED, np.moveaxis(IMAGES.reshape(N, 4, 4, 3), 3, 1), "read as height, width, channels"),
    "zeros between": (UP, np.kron(IMAGES, [[1, 0], [0, 0]]), "zeros between the pixels"),
    "tiles": (UP, np.concatenate([np.concatenate([IMAGES] * 2, 2)] * 2, 3), "side by side"),
    "average for max": (MAX, TILES.mean((3, 5)), "the mean of each window, where the largest"),
    "max for average": (AVERAGE, TILES.max((3, 5)), "the largest number of each window, where the mean"),
    "sum for average": (AVERAGE, TILES.sum((3, 5)), "the sum of each window"),
    "joined the other way": (CONCAT, np.hstack([OTHER, ROWS]), "in the order in1, in0"),
    "joined in turns": (CONCAT, np.dstack([ROWS, OTHER]).reshape(N, 10), "joined in turns"),
    "one not added": (ADD, ROWS, "in1 is not added"),
    "difference": (ADD, ROWS - OTHER, "in1 is subtracted"),
    "planes in turn": (PLANES, np.stack([np.resize(row, (5, 2, 3)) for row in ROWS]), "repeated in turn"),
    "codes of 0 and 1": (ONE_HOT, np.eye(4)[LABELS], "1 at the label and 0 elsewhere, not 1 and -1"),
    "labels from 1": (EMBEDDED, W[(LABELS + 1) % 4], "counted from 1"),
    "labels of others": (EMBEDDED, W[LABELS[::-1]], "reverse order"),
    "fade in reverse": (FADE, 0.3 * ROWS + 0.7 * OTHER, "the fade is in reverse"),
    "no fade": (FADE, OTHER, "in1 alone"),
    "another fade": (FADE, 0.6 * ROWS + 0.4 * OTHER, "a fade of 0.4, where in0 has the share 0.7"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPING)
def test_of_activations_and_layers_that_move_numbers(name):
    case, wrong, words = SHAPING[name]
    assert words in said(case, wrong)


def test_a_fade_that_is_one_iteration_late(tmp_path):
    system = load_system("progressive_cifar10", ["growth.images=40"], reduced=True)
    iteration = next(i for i in range(1, 500) if 0 < system.at(i - 1)[1] < system.at(i)[1])
    late, now = (system.at(i)[1] for i in (iteration - 1, iteration))
    case = replace(FADE, system=system, fade=now, quantity=replace(FADE.quantity, place=Place(iteration, 0, 0)))
    case = settled(case, (1 - now) * ROWS + now * OTHER, 0)
    assert f"that of iteration {iteration - 1}, one iteration late" in said(case, (1 - late) * ROWS + late * OTHER)


def test_bilinear_enlargement_of_torch():
    torch = pytest.importorskip("torch")
    for corners, words in ((False, "corners not aligned"), (True, "corners aligned")):
        large = torch.nn.functional.interpolate(
            torch.tensor(IMAGES), scale_factor=2, mode="bilinear", align_corners=corners
        )
        assert words in said(UP, large.numpy())


# Formulas.
LOGITS, ONES = RANDOM.standard_normal((N, 1)), 0.9 * RANDOM.random(N) + 0.05
CLASSES = RANDOM.standard_normal((N, 4))
NORM = node_case("norm", IMAGES, value=0.0)
FORMULAS = {
    "sum for mean": (node_case("mean", LOGITS), LOGITS.sum(), "a sum over everything, where the mean is meant"),
    "sum over samples": (node_case("mean", IMAGES), IMAGES.reshape(N, -1).sum(1).mean(), "a sum over each sample and a mean over the batch"),
    "mean for sum": (node_case("sum", LOGITS), LOGITS.mean(), "a mean over everything, where the sum"),
    "one for the batch": (NORM, np.full(N, np.linalg.norm(IMAGES)), "one norm for the whole batch"),
    "one number for the batch": (NORM, np.linalg.norm(IMAGES), "one norm for the whole batch"),
    "norm over channels": (NORM, np.linalg.norm(IMAGES, axis=1), "over the channels only"),
    "norm over channels, mean": (NORM, np.linalg.norm(IMAGES, axis=1).mean((1, 2)), "over the channels only, and the mean over the rest"),
    "norm squared": (NORM, (IMAGES**2).sum((1, 2, 3)), "the root is missing"),
    "stabiliser": (NORM, np.sqrt((IMAGES**2).sum((1, 2, 3)) + 1e-4), "under the root is 0.0001, not 0"),
    "stabiliser outside": (NORM, np.linalg.norm(IMAGES.reshape(N, -1), axis=1) + 1e-4, "0.0001 is added to the norm"),
    "swapped difference": (node_case("subtract", LOGITS, OTHER[:, :1]), OTHER[:, :1] - LOGITS, "the operands are exchanged"),
    "sum for difference": (node_case("subtract", LOGITS, OTHER[:, :1]), OTHER[:, :1] + LOGITS, "the first operand + the second operand"),
    "a term missing": (node_case("add", LOGITS, OTHER[:, :1]), LOGITS, "the second operand is missing"),
    "a weight missing": (node_case("multiply", np.array(7.0), LOGITS), LOGITS, "the factor 7 is missing"),
    "eps for 1 - eps": (node_case("multiply", ONES[:, None], ROWS), (1 - ONES[:, None]) * ROWS, "the two that are mixed are exchanged"),
    "one eps": (node_case("multiply", ONES[:, None], ROWS), ONES[0] * ROWS, "is that of the first sample, for all"),
    "square for abs": (node_case("abs", ROWS), ROWS**2, "the square, where abs(v) is meant"),
    "abs for square": (node_case("power", ROWS, value=2.0), abs(ROWS), "the absolute value, where the square"),
    "no square": (node_case("power", ROWS, value=2.0), ROWS, "the power 1, not 2"),
    "softplus of -v": (node_case("softplus", LOGITS), np.log1p(np.exp(-LOGITS)), "softplus(-v)"),
    "no sigmoid": (node_case("sigmoid", LOGITS), LOGITS, "the function is missing"),
    "log with epsilon": (node_case("log", ONES), np.log(ONES + 1e-7), "1e-07 is added before log"),
    "log clamped": (node_case("log", np.append(ONES, 1e-12)), np.log(np.maximum(np.append(ONES, 1e-12), 1e-8)), "the least that log is taken of"),
    "no sign": (node_case("negative", LOGITS), LOGITS, "maximised"),
    "k unclamped": (node_case("clip", np.array(1.3), value=(0.0, 1.0)), np.array(1.3), "clip is missing"),
    "relu for clip": (node_case("clip", ROWS, value=(0.0, 1.0)), np.maximum(ROWS, 0), "not kept below 1"),
    "softmax first": (node_case("cross_entropy", CLASSES, LABELS), None, "a softmax before the cross-entropy"),
    "real for fake": (node_case("cross_entropy", CLASSES[:, :2], value=1), -np.log(np.exp(CLASSES[:, 0]) / np.exp(CLASSES[:, :2]).sum(1)), "real for fake"),
    "no log": (node_case("cross_entropy", CLASSES, LABELS), np.exp(CLASSES)[range(N), LABELS] / np.exp(CLASSES).sum(1), "without its logarithm"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_of_formulas(name):
    case, wrong, words = FORMULAS[name]
    if wrong is None:
        p = np.exp(CLASSES) / np.exp(CLASSES).sum(1, keepdims=True)
        wrong = -np.log((np.exp(p) / np.exp(p).sum(1, keepdims=True))[range(N), LABELS])
    assert words in said(case, wrong)


def test_of_numbers_that_are_not_finite():
    large = np.array([[800.0], [1.0], [-800.0], [0.5]])
    case = node_case("softplus", large)
    with np.errstate(over="ignore"):
        assert "infinite for large v" in said(case, np.log(1 + np.exp(large)))
    assert said(case, np.full_like(large, np.nan)) == ""


# Updates.
ADAM = Adam(1e-3, None, 0.5, 0.9, 1e-4, "corrected")
RMS = RMSProp(1e-3, None, 0.9, 1.0, 1e-3, "inside")


def adam(case, t, *, lr=1e-3, b1=0.5, b2=0.9, eps=1e-4, correct=(True, True), decay=0.0, uncorrected=False, g=None):
    p, g = case.inputs[0], case.inputs[1] if g is None else g
    m, v = b1 * case.own["m"] + (1 - b1) * g, b2 * case.own["v"] + (1 - b2) * g * g
    c1, c2 = (1 - b**t if on else 1.0 for b, on in zip((b1, b2), correct, strict=True))
    eps = eps / np.sqrt(c2) if uncorrected else eps
    return p - lr * (m / c1) / (np.sqrt(v / c2) + eps) - lr * decay * p


A = update_case(ADAM, 3)
M = update_case(ADAM, 3, "moment", "v")
R = update_case(RMS, 2)
R1 = update_case(RMS, 1)
CLIPPED = update_case(replace(ADAM, clip=Clip(0.01, "after")), 3)


def rms(case, eps=1e-3, decay=0.9, inside=True, v=None):
    p, g = case.inputs
    v = decay * (case.own["v"] if v is None else v) + (1 - decay) * g * g
    return p - 1e-3 * g / (np.sqrt(v + eps) if inside else np.sqrt(v) + eps)


UPDATES = {
    "epsilon elsewhere": (A, adam(A, 3, uncorrected=True), "added beside the root of the uncorrected v"),
    "epsilon's size": (A, adam(A, 3, eps=1e-8), "epsilon is 1e-08, not 0.0001"),
    "betas exchanged": (A, adam(A, 3, b1=0.9, b2=0.5), "beta1 and beta2 are exchanged"),
    "beta1": (A, adam(A, 3, b1=0.9), "beta1 is 0.9, not 0.5"),
    "no correction": (A, adam(A, 3, correct=(False, False)), "without any bias correction"),
    "no correction of m": (A, adam(A, 3, correct=(False, True)), "without the bias correction of m"),
    "no correction of v": (A, adam(A, 3, correct=(True, False)), "without the bias correction of v"),
    "count": (A, adam(A, 2), "counts 2 updates, not 3"),
    "rate": (A, adam(A, 3, lr=2.5e-4), "learning rate 0.00025, not 0.001"),
    "decoupled decay": (A, adam(A, 3, decay=0.01), "learning rate x 0.01"),
    "decay": (A, adam(A, 3, g=A.inputs[1] + 1e-2 * A.inputs[0]), "weight decay 0.01 is added to the gradient"),
    "wrong direction": (A, 2 * A.inputs[0] - adam(A, 3), "the step has the wrong sign"),
    "sign of the gradient": (A, adam(A, 3, g=-A.inputs[1]), "the loss is maximised"),
    "gradient twice": (A, adam(A, 3, g=2 * A.inputs[1]), "not set to 0"),
    "no step": (A, A.inputs[0], "stands still"),
    "plain descent": (A, A.inputs[0] - 1e-3 * A.inputs[1], "plain gradient descent"),
    "v of the absolute gradient": (M, 0.9 * M.own["v"] + 0.1 * abs(M.inputs[1]), "where its square is meant"),
    "v takes the wrong shares": (M, 0.1 * M.own["v"] + 0.9 * M.inputs[1] ** 2, "(1 - beta) of the old"),
    "RMSProp's epsilon outside": (R, rms(R, inside=False), "beside the root, not under the root"),
    "RMSProp's epsilon": (R, rms(R, eps=1e-10), "epsilon is 1e-10, not 0.001"),
    "RMSProp's decay": (R, rms(R, decay=0.99), "decay is 0.99, not 0.9"),
    "RMSProp from 0": (R1, rms(R1, v=0.0), "starts from 0, not from 1"),
    "not clipped": (CLIPPED, adam(CLIPPED, 3), "weight clipping to 0.01 is missing"),
    "clipped elsewhere": (CLIPPED, np.clip(adam(CLIPPED, 3), -0.1, 0.1), "clipped to 0.1, not to 0.01"),
}


@pytest.mark.parametrize("name", UPDATES)
def test_of_updates(name):
    case, wrong, words = UPDATES[name]
    assert words in said(case, wrong)


def test_of_torchs_own_adam_and_weight_decay():
    torch = pytest.importorskip("torch")
    p, g = (torch.tensor(a) for a in A.inputs)
    start = update_case(ADAM, 1)
    for made, words in (
        (torch.optim.Adam, "weight decay 0.01 is added to the gradient"),
        (torch.optim.AdamW, "learning rate x 0.01"),
    ):
        p, g = (torch.tensor(a) for a in start.inputs)
        p.requires_grad_().grad = g
        made([p], lr=1e-3, betas=(0.5, 0.9), eps=1e-4, weight_decay=0.01).step()
        assert words in said(start, p.detach().numpy())


def test_of_averages():
    system = load_system("dcgan_cifar10", ["averages.G=0.9"], reduced=True)
    case = replace(quantity_case("average", ROWS), system=system, inputs=(ROWS, OTHER))
    case = settled(replace(case, quantity=quantity("average", "average G/l/W", 0)), 0.9 * ROWS + 0.1 * OTHER, 0)
    for wrong, words in (
        (0.1 * ROWS + 0.9 * OTHER, "keeps 0.1 of the old, where it keeps 0.9"),
        (0.8 * ROWS + 0.2 * OTHER, "decay is 0.8, not 0.9"),
        (ROWS, "stands still"),
        (OTHER, "the value itself"),
    ):
        assert words in said(case, wrong)


# What must hold of every case.
CASES = {
    f"{table}: {name}": case
    for table, cases in {"weighted": WEIGHTED, "norm": NORMALISING, "shape": SHAPING, "formula": FORMULAS, "update": UPDATES}.items()
    for name, (case, _, _) in cases.items()
} | {f"any: {name}": plain(right) for name, (right, _, _) in ANYTHING.items()}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_right_value_has_no_cause(name):
    case = CASES[name]
    assert said(case, case.right) == ""
    assert said(case, case.right + 0.4 * case.tolerance / max(1, np.sqrt(case.right.size))) == ""


@pytest.mark.parametrize("name", CASES)
@given(seed=st.integers(0, 2**32), size=st.sampled_from([1e-6, 1e-2, 1.0]))
def test_a_value_that_is_wrong_in_some_other_way_has_no_cause(name, seed, size):
    case = CASES[name]
    noise = np.random.default_rng(seed).standard_normal(case.right.shape)
    assert said(case, case.right + size * noise) == ""


def test_two_causes_that_give_the_same_are_both_told():
    case = node_case("mean", np.array([[2.0], [4.0]]))
    said_of_it = said(replace(case, system=load_system("wgan_gp_mlp_mnist", ["run.batch=2"])), np.array(6.0))
    assert said_of_it.startswith("either ")
    assert "; or " in said_of_it


def test_what_is_known_is_not_used_where_it_does_not_give_the_right_value():
    case = settled(LINEAR, LINEAR.right + RANDOM.random(LINEAR.right.shape), 0)
    assert said(case, ROWS @ W.T) == ""


def test_unknown_inputs_and_wrong_shapes_are_no_error():
    assert (
        said(replace(NORM, inputs=(np.empty(0),)), NORM.right * 2)
        == "twice too large: added twice, or without a division by 2"
    )
    for case in CASES.values():
        assert said(case, np.zeros((2, 7, 1))) == ""
