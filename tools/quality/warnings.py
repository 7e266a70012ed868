"""When a run has gone wrong: its samples have become alike, D has won, or D is worse than by chance.

A warning follows from the figures that every run records whenever pictures are made: so a resumed run gives the warnings that an
unbroken run gives.

    collapsed   The diversity is below 0.4, or, where the data are digits, the entropy of the samples' classes below 0.3, the
                entropy of two classes: at every look over 1,000 iterations where it was above before. Where it never was, over
                3,000 iterations for the diversity and 10,000 for the entropy: a generator begins with samples that are alike.
    D has won   The mean of D's loss over the last 100 iterations is below a fiftieth of what it is by chance, where D cannot
                tell samples from images: at every look over 1,000 iterations. That is known for losses whose terms of D are at
                least 0 and reach 0 where D is certain and right. Wasserstein, Cramer and BEGAN losses have no such bound, and
                for them a D that tells well is no harm.
    D is lost   The same mean is above five times what it is by chance: a D that looks at nothing would lose less. For the same
                losses but DRAGAN's, in which the penalty of a D that looks at nothing is several times the rest.

All of it takes three looks at least.
The bounds were chosen with runs of both sorts: docs/quality.md has their figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ganspec.tools.quality.figures import Figure

LEAST_DIVERSITY = 0.4
LEAST_ENTROPY = 0.3
MOST_CERTAIN = 0.02  # of D's loss by chance
MOST_WRONG = 5.0  # times D's loss by chance
LOOKS = 3
CERTAINTY = "loss_D_of_chance"  # the figure: mean of D's loss, over what it is by chance
SPAN = 1_000  # iterations that it must last
SPAN_AT_FIRST = {"diversity": 3_000, "class_entropy": 10_000}  # where it was never otherwise
# What D's loss is where D says the same of samples as of images, and says the best that it can; by the name of the loss.
_TWO_LN_2 = 2.0 * math.log(2.0)
CHANCE = {
    "non_saturating": _TWO_LN_2,
    "minimax": _TWO_LN_2,
    "cgan": _TWO_LN_2,
    "cgan_probabilities": math.log(2.0),
    "two_class": _TWO_LN_2,
    "denoising_feature_matching": _TWO_LN_2,
    "dragan": _TWO_LN_2,
    "dragan_official": _TWO_LN_2,
    "hinge": 2.0,
    "lsgan": 0.25,
}
PENALTY = (
    "penalty"  # true in the protocol of `CERTAINTY` where D's loss has a penalty in it, which chance does not bound
)
WITH_PENALTY = ("dragan", "dragan_official")


@dataclass(frozen=True)
class Warning:
    """What is wrong with a run.

    Args:
        iteration: iteration at which it was certain.
        message: what was seen, and what to try.
    """

    iteration: int
    message: str


def warnings_of(figures: Iterable[Figure]) -> list[Warning]:
    """Find out what has gone wrong.

    Args:
        figures: figures of a run, in the order in which they were measured; those that no look records are passed over.

    Returns: a warning for each time that something began to be wrong, in the order of iterations.
    """
    figures = [figure for figure in figures if figure.protocol.get("look") is True]
    found = [
        *_lasting(figures, "diversity", lambda value: value < LEAST_DIVERSITY, _alike),
        *_lasting(figures, "class_entropy", lambda value: value < LEAST_ENTROPY, _one_class),
        *_lasting(figures, CERTAINTY, lambda value: value < MOST_CERTAIN, _certain),
        *_lasting(
            [f for f in figures if not f.protocol.get(PENALTY)], CERTAINTY, lambda value: value > MOST_WRONG, _lost
        ),
    ]
    return sorted(found, key=lambda warning: warning.iteration)


def _lasting(
    figures: list[Figure], metric: str, is_wrong: Callable[[float], bool], message: Callable[[Figure], str]
) -> Iterator[Warning]:
    """Yields: a warning where a figure has been wrong for long; the next one only when it has recovered since."""
    wrong: list[Figure] = []
    right, warned = 0, False
    for figure in figures:
        if figure.metric != metric:
            continue
        if not is_wrong(figure.value):
            wrong, warned, right = [], False, right + 1
            continue
        wrong.append(figure)
        span = SPAN if right >= LOOKS else SPAN_AT_FIRST.get(metric, SPAN)
        if not warned and len(wrong) >= LOOKS and figure.iteration - wrong[0].iteration >= span:
            warned = True
            yield Warning(figure.iteration, f"since iteration {wrong[0].iteration:,} {message(figure)}")


def _alike(figure: Figure) -> str:
    return (
        f"all samples are alike: their mean distance is {figure.value:.2f} of that between images (warned below "
        f"{LEAST_DIVERSITY}); the generator may have collapsed. What helps: smaller learning rates, a loss with a gradient "
        "penalty (wgan_gp), a larger batch, minibatch discrimination, for BEGAN a larger gamma; look at the pictures in samples/"
    )


def _one_class(figure: Figure) -> str:
    return (
        f"the samples are nearly all the same digit: the entropy of their classes is {figure.value:.2f} (warned below "
        f"{LEAST_ENTROPY}, that of two classes); the generator may have collapsed. What helps: smaller learning rates, a loss "
        "with a gradient penalty (wgan_gp), a larger batch, for BEGAN a larger gamma; look at the pictures in samples/"
    )


def _certain(figure: Figure) -> str:
    return (
        f"D has won: its loss is {figure.value:.2g} of what it is by chance (warned below {MOST_CERTAIN:g}), so that G learns "
        "little from it. What helps: a smaller learning rate or fewer steps for D, a smaller D, dropout or noise in it, or a "
        "loss that does not saturate (wgan_gp)"
    )


def _lost(figure: Figure) -> str:
    return (
        f"D is worse than by chance: its loss is {figure.value:.3g} times what it is where D looks at nothing (warned above "
        f"{MOST_WRONG:g}), so that G learns little from it; D's training may have exploded. What helps: a smaller learning "
        "rate for D, a larger batch, Adam with a smaller beta1, batch normalisation or a gradient penalty (wgan_gp)"
    )
