"""Guesses at what is wrong in a layer: each names the mistake that was made, and nothing where none, or an unknown one, was made.

The wrong values are made here, independently of the guesses, with plain NumPy or a framework's own functions.
"""

from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.tools.agreement.guesses.weighted import evaluated
from ganspec.tools.agreement.report import Place
from support.guess_cases import (
    IMAGES,
    RANDOM,
    ROWS,
    SQUARE,
    N,
    assert_a_right_value_has_no_cause,
    assert_another_value_has_no_cause,
    layer_case,
    quantity,
    said,
    settled,
)

# With weights.
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
        CONV, correlated(np.pad(IMAGES, ((0, 0), (0, 0), *PAD), mode="reflect"), K, C, 2, ((0, 0), (0, 0))),
        "a reflection of the image",
    ),
    "conv without bias": (CONV, correlated(IMAGES, K, 0, 2, PAD), "the bias is missing"),
    "deconv's kernel turned": (
        DECONV, full_transposed(IMAGES, T[..., ::-1, ::-1])[:, :, 1:9, 1:9] + C[:, None, None], "180 degrees",
    ),
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
        BN, (IMAGES - per_channel(MEAN)) / np.sqrt(per_channel(VARIANCE) + 1e-3) * per_channel(G) + per_channel(H),
        "not in training mode",
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
    "pixel norm over pixels": (
        PIXELS, IMAGES / np.sqrt((IMAGES**2).mean((2, 3), keepdims=True) + 1e-2), "over the pixels of each channel",
    ),
    "deviation, unbiased": (STD, with_channel(np.sqrt(IMAGES.var(0, ddof=1) + 1e-2).mean()), "the unbiased one"),
    "deviation, epsilon": (STD, with_channel(np.sqrt(IMAGES.var(0) + 1e-8).mean()), "epsilon 1e-08, not 0.01"),
    "deviation of groups": (
        STD, with_channel(np.array([np.sqrt(IMAGES[i::3].var(0) + 1e-2).mean() for i in (0, 1, 2)] * 2).reshape(-1, 1, 1, 1)),
        "groups of 2",
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
    "dropped in inference": (
        replace(layer_case("dropout", [ROWS], (5,), {"rate": 0.3}, mask=KEPT, training=False)), ROWS * KEPT / 0.7,
        "not in inference",
    ),
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
    "a slope beside it": (LEAKY, np.where(ROWS > 0, ROWS, 0.20000001 * ROWS), "slope 0.20000001 for negative numbers, not 0.2"),
    "relu for leaky": (LEAKY, np.maximum(ROWS, 0), "slope 0 for negative numbers, not 0.2"),
    "leaky for relu": (RELU, np.where(ROWS > 0, ROWS, 0.3 * ROWS), "slope 0.3 for negative numbers, not 0"),
    "alpha": (ELU, np.where(ROWS > 0, ROWS, 0.9 * np.expm1(ROWS)), "alpha 0.9, not 1"),
    "alpha beside it": (ELU, np.where(ROWS > 0, ROWS, 1.00000001 * np.expm1(ROWS)), "alpha 1.00000001, not 1"),
    "sigmoid for tanh": (TANH, 1 / (1 + np.exp(-ROWS)), "sigmoid, where tanh is meant"),
    "tanh for sigmoid": (SIGMOID, np.tanh(ROWS), "tanh, where sigmoid is meant"),
    "no tanh": (TANH, ROWS, "the identity, where tanh is meant"),
    "tanh twice": (TANH, np.tanh(np.tanh(ROWS)), "tanh is applied twice"),
    "softplus for relu": (RELU, np.log1p(np.exp(ROWS)), "softplus, where relu is meant"),
    "no scale": (SCALED, ROWS, "the factor 0.25 is missing"),
    "another scale": (SCALED, 0.5 * ROWS, "factor 0.5, not 0.25"),
    "a scale beside it": (SCALED, 0.25000001 * ROWS, "factor 0.25000001, not 0.25"),
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


CASES = {name: case for table in (WEIGHTED, NORMALISING, SHAPING) for name, (case, _, _) in table.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_right_value_has_no_cause(name):
    assert_a_right_value_has_no_cause(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_a_value_that_is_wrong_in_some_other_way_has_no_cause(name):
    assert_another_value_has_no_cause(CASES[name])


def test_what_is_known_is_not_used_where_it_does_not_give_the_right_value():
    case = settled(LINEAR, LINEAR.right + RANDOM.random(LINEAR.right.shape), 0)
    assert said(case, ROWS @ W.T) == ""


def test_wrong_shapes_are_no_error():
    for case in CASES.values():
        assert said(case, np.zeros((2, 7, 1))) == ""
