"""The right numbers in another order: transposed, flipped, channels last, samples mixed up."""

from __future__ import annotations

import itertools

import numpy as np

from ganspec.tools.agreement.guesses.case import Candidates, Case

_IMAGE = ("sample", "channel", "height", "width")


def transposed(case: Case) -> Candidates:
    right = case.right
    if right.ndim == 2:
        yield "equal when transposed: rows and columns are exchanged", right.T
    if right.ndim == 4:
        for axes in itertools.permutations(range(4)):
            if axes != (0, 1, 2, 3):
                names = ", ".join(_IMAGE[a] for a in axes)
                yield (
                    f"equal with its axes in another order: it has (sample, channel, height, width) as ({names})",
                    right.transpose(axes),
                )


def flipped(case: Case) -> Candidates:
    right, names = case.right, _IMAGE if case.right.ndim == 4 else ("sample", "feature")
    words = {
        "sample": "the samples of the batch are in reverse order",
        "channel": "the channels are in reverse order, as BGR for RGB",
        "height": "the images are upside down",
        "width": "the images are mirrored, left for right",
        "feature": "the features are in reverse order",
    }
    for axis, name in enumerate(names[: right.ndim]):
        if right.shape[axis] > 1:
            yield words[name], np.flip(right, axis)
    if right.ndim == 4:
        yield "the images are turned by 180 degrees", np.flip(right, (2, 3))


def read_in_another_order(case: Case) -> Candidates:
    """The same memory under another shape."""
    right, wrong = case.right, case.wrong
    if right.size != wrong.size or right.ndim < 2:
        return
    yield "equal numbers in another order: reshaped column by column", right.reshape(wrong.shape, order="F")
    yield "equal numbers, but the shape: reshaped without need", right.reshape(wrong.shape)
    if right.ndim == 4:
        n, channels, height, width = right.shape
        lying = "equal numbers in another order: an image of height, width, channels is reshaped"
        yield (
            f"{lying} to channels, height, width, where it must be transposed",
            right.transpose(0, 2, 3, 1).reshape(wrong.shape),
        )
        back = right.reshape(n, height, width, channels).transpose(0, 3, 1, 2)
        yield (
            "equal numbers in another order: channels, height, width are read as height, width, channels",
            back.reshape(wrong.shape),
        )
    if right.ndim == 2 and wrong.ndim == 2:
        yield "equal numbers in another order: transposed by a reshape", right.T.reshape(wrong.shape)


def mixed(case: Case) -> Candidates:
    """Samples, or channels, in whatever other order."""
    right, wrong = case.right, case.wrong
    if right.shape != wrong.shape:
        return
    for axis, name in enumerate(("samples of the batch", "channels" if right.ndim == 4 else "features")[: right.ndim]):
        count = right.shape[axis]
        if count < 2 or right.size // count < 2:
            continue
        lines, found = (np.moveaxis(a, axis, 0).reshape(count, -1) for a in (right, wrong))
        # Equal lines have equal products with a random direction, by which both are sorted.
        along = np.random.default_rng(0).standard_normal(lines.shape[1])
        order = np.empty(count, int)
        order[np.argsort(found @ along)] = np.argsort(lines @ along)
        shift = order[0]
        rolled = np.array_equal(order, (np.arange(count) + shift) % count)
        where = f"the first is number {shift}, and so on in turn" if rolled else f"they are numbers {_listed(order)}"
        yield f"the {name} are in another order: {where}, counted from 0", np.take(right, order, axis)


def repeated(case: Case) -> Candidates:
    """One sample for all."""
    right, wrong = case.right, case.wrong
    if right.ndim and right.shape == wrong.shape and right.shape[0] > 1:
        for i in (0, -1):
            which = "first" if i == 0 else "last"
            yield (
                f"all samples have the value of the {which} one: one is drawn or computed for the whole batch",
                np.broadcast_to(right[i], right.shape),
            )


def late(case: Case) -> Candidates:
    if case.earlier is not None:
        yield (
            "it is the value of the time before: computed, or used, one iteration late",
            np.asarray(case.earlier, np.float64),
        )


def _listed(order: np.ndarray) -> str:
    shown = ", ".join(map(str, order[:8]))
    return shown + (", ..." if len(order) > 8 else "")


RULES = (transposed, flipped, read_in_another_order, mixed, repeated, late)
