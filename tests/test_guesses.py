"""Guesses at anything, formulas, updates: each names the mistake that was made, and nothing where none, or an unknown one, was.

The wrong values are made here, independently of the guesses, with plain NumPy or a framework's own functions.
"""

from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.parts.optimizers import Adam, Clip, RMSProp
from ganspec.tools.agreement.guesses import guess
from support.guess_cases import (
    IMAGES,
    RANDOM,
    ROWS,
    SQUARE,
    N,
    assert_a_right_value_has_no_cause,
    assert_another_value_has_no_cause,
    node_case,
    plain,
    quantity,
    quantity_case,
    said,
    settled,
    update_case,
)

OTHER, LABELS = RANDOM.standard_normal((N, 5)), np.array([0, 3, 1, 2, 3, 0])

# Of anything: (right value, wrong value, words of the guess).
ANYTHING = {
    "sum over the batch": (ROWS, 6 * ROWS, "6 times too large, the batch size"),
    "mean over the batch": (ROWS, ROWS / 6, "6 times too small, the batch size"),
    "penalty without its weight": (np.array(1.7), np.array(1.7) / 7.3, "the factor penalty_weight, 7.3, is missing"),
    "twice": (ROWS, ROWS + ROWS, "twice too large"),
    "half": (ROWS, ROWS * 0.5, "half"),
    "any factor": (ROWS, 1.2345 * ROWS, "everywhere 1.2345 times"),
    "a factor beside 1": (ROWS, (1 + 1e-8) * ROWS, "everywhere 1.00000001 times"),
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


def test_weight_decay_is_told_where_one_coefficient_holds_for_the_whole_network():
    w, right = SQUARE[:1], 0.1 * ROWS[:1]
    others = [(IMAGES, 0.2 * IMAGES[::-1]), (SQUARE[0], ROWS[0])]

    def told(*changes):
        found = tuple((p, g, g + change * p) for (p, g), change in zip(others, changes, strict=True))
        return said(quantity_case("parameter gradient", right, inputs=(w,), others=found), right + 0.003 * w)

    assert told(0.003, 0.003) == "weight decay: 0.003 times the parameter is added to its gradient"
    assert "weight decay" in told(0.003, 0.0), "of a vector none is taken"
    assert told(0.0, 0.0) == told(0.004, 0.003) == told(0.003, 0.004) == ""


def test_what_is_0_is_told_as_far_as_it_is_known():
    assert said(quantity_case("report", 0.7), 0.0) == ""
    assert said(quantity_case("layer", ROWS), 0 * ROWS) == "it is 0 everywhere"
    assert said(quantity_case("moment", ROWS), 0 * ROWS) == "it is 0 everywhere: never computed"
    labels = np.array([3, 1, 4, 1, 5, 9])
    case = quantity_case("draw", labels)
    case = replace(case, quantity=replace(case.quantity, value=labels))
    assert guess(replace(case, found=0 * labels)) == "all are 0: constant labels are given"


def test_a_gradient_of_0_and_a_value_of_the_time_before():
    assert "no gradient arrives" in said(quantity_case("parameter gradient", ROWS), 0 * ROWS)
    earlier = RANDOM.standard_normal((N, 5))
    assert "one iteration late" in said(quantity_case("value", ROWS, earlier=earlier), earlier)


# Formulas.
LOGITS, ONES = RANDOM.standard_normal((N, 1)), 0.9 * RANDOM.random(N) + 0.05
CLASSES = RANDOM.standard_normal((N, 4))
NORM = node_case("norm", IMAGES, value=0.0)
FORMULAS = {
    "sum for mean": (node_case("mean", LOGITS), LOGITS.sum(), "a sum over everything, where the mean is meant"),
    "sum over samples": (
        node_case("mean", IMAGES), IMAGES.reshape(N, -1).sum(1).mean(), "a sum over each sample and a mean over the batch",
    ),
    "mean for sum": (node_case("sum", LOGITS), LOGITS.mean(), "a mean over everything, where the sum"),
    "one for the batch": (NORM, np.full(N, np.linalg.norm(IMAGES)), "one norm for the whole batch"),
    "one number for the batch": (NORM, np.linalg.norm(IMAGES), "one norm for the whole batch"),
    "norm over channels": (NORM, np.linalg.norm(IMAGES, axis=1), "over the channels only"),
    "norm over channels, mean": (
        NORM, np.linalg.norm(IMAGES, axis=1).mean((1, 2)), "over the channels only, and the mean over the rest",
    ),
    "norm squared": (NORM, (IMAGES**2).sum((1, 2, 3)), "the root is missing"),
    "stabiliser": (NORM, np.sqrt((IMAGES**2).sum((1, 2, 3)) + 1e-4), "under the root is 0.0001, not 0"),
    "stabiliser outside": (NORM, np.linalg.norm(IMAGES.reshape(N, -1), axis=1) + 1e-4, "0.0001 is added to the norm"),
    "swapped difference": (node_case("subtract", LOGITS, OTHER[:, :1]), OTHER[:, :1] - LOGITS, "the operands are exchanged"),
    "sum for difference": (
        node_case("subtract", LOGITS, OTHER[:, :1]), OTHER[:, :1] + LOGITS, "the first operand + the second operand",
    ),
    "a term missing": (node_case("add", LOGITS, OTHER[:, :1]), LOGITS, "the second operand is missing"),
    "a weight missing": (node_case("multiply", np.array(7.0), LOGITS), LOGITS, "the factor 7 is missing"),
    "eps for 1 - eps": (
        node_case("multiply", ONES[:, None], ROWS), (1 - ONES[:, None]) * ROWS, "the two that are mixed are exchanged",
    ),
    "one eps": (node_case("multiply", ONES[:, None], ROWS), ONES[0] * ROWS, "is that of the first sample, for all"),
    "square for abs": (node_case("abs", ROWS), ROWS**2, "the square, where abs(v) is meant"),
    "abs for square": (node_case("power", ROWS, value=2.0), abs(ROWS), "the absolute value, where the square"),
    "no square": (node_case("power", ROWS, value=2.0), ROWS, "the power 1, not 2"),
    "softplus of -v": (node_case("softplus", LOGITS), np.log1p(np.exp(-LOGITS)), "softplus(-v)"),
    "no sigmoid": (node_case("sigmoid", LOGITS), LOGITS, "the function is missing"),
    "log with epsilon": (node_case("log", ONES), np.log(ONES + 1e-7), "1e-07 is added before log"),
    "log clamped": (
        node_case("log", np.append(ONES, 1e-12)), np.log(np.maximum(np.append(ONES, 1e-12), 1e-8)),
        "the least that log is taken of",
    ),
    "no sign": (node_case("negative", LOGITS), LOGITS, "maximised"),
    "k unclamped": (node_case("clip", np.array(1.3), value=(0.0, 1.0)), np.array(1.3), "clip is missing"),
    "relu for clip": (node_case("clip", ROWS, value=(0.0, 1.0)), np.maximum(ROWS, 0), "not kept below 1"),
    "softmax first": (node_case("cross_entropy", CLASSES, LABELS), None, "a softmax before the cross-entropy"),
    "real for fake": (
        node_case("cross_entropy", CLASSES[:, :2], value=1), -np.log(np.exp(CLASSES[:, 0]) / np.exp(CLASSES[:, :2]).sum(1)),
        "real for fake",
    ),
    "no log": (
        node_case("cross_entropy", CLASSES, LABELS), np.exp(CLASSES)[range(N), LABELS] / np.exp(CLASSES).sum(1),
        "without its logarithm",
    ),
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
CASES = {name: case for table in (FORMULAS, UPDATES) for name, (case, _, _) in table.items()}
CASES |= {f"any: {name}": plain(right) for name, (right, _, _) in ANYTHING.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_right_value_has_no_cause(name):
    assert_a_right_value_has_no_cause(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_a_value_that_is_wrong_in_some_other_way_has_no_cause(name):
    assert_another_value_has_no_cause(CASES[name])


def test_two_causes_that_give_the_same_are_both_told():
    case = node_case("mean", np.array([[2.0], [4.0]]))
    said_of_it = said(replace(case, system=load_system("wgan_gp_mlp_mnist", ["run.batch=2"])), np.array(6.0))
    assert said_of_it.startswith("either ")
    assert "; or " in said_of_it


def test_unknown_inputs_and_wrong_shapes_are_no_error():
    assert (
        said(replace(NORM, inputs=(np.empty(0),)), NORM.right * 2)
        == "twice too large: added twice, or without a division by 2"
    )
    for case in CASES.values():
        assert said(case, np.zeros((2, 7, 1))) == ""
