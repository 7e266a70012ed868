"""Cases of divergence for guesses, made by the reference, and random numbers to make them of."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.network.architecture import Layer
from ganspec.spec.plan.graph import Node
from ganspec.tools.agreement.guesses import Case, guess
from ganspec.tools.agreement.guesses.formulas import operated
from ganspec.tools.agreement.guesses.updates import moved
from ganspec.tools.agreement.guesses.weighted import evaluated
from ganspec.tools.agreement.report import Place, Quantity

N = 6
RANDOM = np.random.default_rng(7)
SYSTEM = load_system("wgan_gp_mlp_mnist", ["run.batch=6", "loss.penalty_weight=7.3"])
IMAGES, ROWS, SQUARE = (RANDOM.standard_normal(shape) for shape in ((N, 3, 4, 4), (N, 5), (5, 5)))


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


def assert_a_right_value_has_no_cause(case):
    assert said(case, case.right) == ""
    assert said(case, case.right + 0.4 * case.tolerance / max(1, np.sqrt(case.right.size))) == ""


@settings(max_examples=2)
@given(seed=st.integers(0, 2**32), size=st.sampled_from([1e-6, 1e-2, 1.0]))
def assert_another_value_has_no_cause(case, seed, size):
    noise = np.random.default_rng(seed).standard_normal(case.right.shape)
    assert said(case, case.right + size * noise) == ""
