"""Inputs of G by number: sample 17 of seed 0 is the same in every picture, in both backends, whatever else is drawn.

Latents are drawn in blocks of `BLOCK`, each at an address of its own, so that the first 8 of 64 samples are the 8 samples that
are drawn alone. Labels go round: sample i has the i-th of the labels that are asked for, or of all classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.text.errors import counted, did_you_mean, printable
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.errors import UserError
from ganspec.tools.sampling.latents import draw_of

BLOCK = 256  # samples whose latents are drawn together; another number would give other samples
LEAST_TRUNCATION = 0.01  # below it, one normal number in a hundred and less is within the bounds
_SHOWN = 10  # names of classes that a message lists


def numbered_inputs(
    system: System,
    numbers: Sequence[int] | range,
    seed: int,
    labels: Sequence[int] = (),
    truncation: float | None = None,
) -> list[np.ndarray]:
    """Make the inputs of G for samples of given numbers.

    Truncated latents make images that are more alike and often look better. Where z ~ normal(m, s), each number is drawn
    again until |z - m| <= T s: Brock et al. 2019, "Large scale GAN training", arXiv:1809.11096, section 3.1. Uniform latents have
    no tails to cut off: z ~ uniform(a, b) is scaled towards the middle, z <- m + T (z - m), so that it keeps to T of its range.

    Args:
        system: system whose G and draws apply.
        numbers: numbers of the samples, from 0.
        seed: seed of the latents.
        labels: labels that the samples have in turn; none for all classes.
        truncation: T, from `LEAST_TRUNCATION`, and for uniform latents up to 1; None to leave latents as they are.

    Returns: one array for each input of G, in their order: float64 (count, ...), or int64 (count,) of labels.

    Raises:
        UserError: G takes no label, the truncation is out of range, or G is given something that is not drawn.
    """
    wanted = system.networks["G"].inputs
    if labels and not any(v.dtype == "label" for v in wanted.values()):
        raise UserError(f"{system.name}: G takes no label; leave out --label")
    places = np.asarray(numbers, dtype=np.int64)
    inputs = []
    for name, each in wanted.items():
        if each.dtype == "label":
            turns = np.asarray(labels or range(each.shape[0]), dtype=np.int64)
            inputs.append(turns[places % len(turns)])
            continue
        distribution = draw_of(system, name).distribution
        _check_truncation(distribution, truncation)
        latents = np.empty((len(places), *each.shape))
        for block in np.unique(places // BLOCK):
            drawn = _block(distribution, f"sample/{name}", int(block), each.shape, Streams(seed), truncation)
            here = places // BLOCK == block
            latents[here] = drawn[places[here] % BLOCK]
        inputs.append(latents)
    return inputs


def chosen_labels(system: System, texts: Sequence[str], classes: Sequence[str] = ()) -> list[int]:
    """Find labels by number or by the name of their class; where a number is a name, too, the name holds.

    Args:
        system: system whose G takes the labels.
        texts: texts that stand for labels, such as "3" or "cat".
        classes: names of the classes, where the run has them.

    Returns: the labels.

    Raises:
        UserError: G takes no labels, or has no such class.
    """
    counts = [v.shape[0] for v in system.networks["G"].inputs.values() if v.dtype == "label"]
    if texts and not counts:
        raise UserError(f"{system.name}: G takes no label; leave out --label")
    found = []
    for text in texts:
        named = classes.index(text) if text in classes else -1
        number = named if named >= 0 else int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if not 0 <= number < min(counts):
            known = f", or a name: {', '.join(map(printable, classes[:_SHOWN]))}" if classes else ""
            known += ", ..." if len(classes) > _SHOWN else ""
            hint = did_you_mean(text, classes)
            message = f"--label {printable(text[:80])}: expected a number from 0 to {min(counts) - 1}{known}"
            raise UserError(f"{message}; {printable(hint)}" if hint else message)
        found.append(number)
    return found


def _check_truncation(distribution: Distribution, truncation: float | None) -> None:
    if truncation is None:
        return
    if truncation < LEAST_TRUNCATION or (distribution.kind == "uniform" and truncation > 1):
        most = ", up to 1 because the latents are uniform" if distribution.kind == "uniform" else ""
        raise UserError(f"--truncation {truncation:g}: expected a number from {LEAST_TRUNCATION:g}{most}")


def _block(
    distribution: Distribution,
    name: str,
    block: int,
    shape: tuple[int, ...],
    streams: Streams,
    truncation: float | None,
) -> np.ndarray:
    """Returns: the latents of a block, float64 (BLOCK, ...)."""
    latents = streams.sample(distribution, name, Position(block), (BLOCK, *shape))
    if truncation is None or distribution.kind == "constant":
        return latents
    a, b = distribution.a, distribution.b
    if distribution.kind == "uniform":
        return (a + b) / 2 + truncation * (latents - (a + b) / 2)
    outside, attempt = np.flatnonzero(np.abs(latents - a) > truncation * b), 0
    while len(outside):
        attempt += 1
        again = streams.sample(distribution, name, Position(block, 0, attempt), (len(outside),))
        latents.reshape(-1)[outside] = again
        outside = outside[np.abs(again - a) > truncation * b]
    return latents


def described_latents(system: System) -> str:
    """Returns: what G is given, in words: "z: 100 numbers from uniform(-1.0, 1.0)"."""
    parts = []
    for name, wanted in system.networks["G"].inputs.items():
        if wanted.dtype == "label":
            parts.append(f"{name}: {wanted}")
        else:
            count = counted(int(np.prod(wanted.shape)), "number")
            parts.append(f"{name}: {count} from {draw_of(system, name).distribution}")
    return ", ".join(parts)
