"""Comparing figures: only those of one protocol are compared; of others it is said in what they differ.

A figure's line has the protocol of all that was measured with it. Of that only those keys count that concern its metric:
KID's subsets are nothing to FID, and the diversity of pixels has no extractor.

The versions of libraries belong to a protocol, too. But they move a figure by rounding only, unless a library has a fault, so
figures that differ in versions alone are compared, with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ganspec.tools.quality.figures import Figure
from ganspec.tools.quality.labels import OF_IMAGES

_VERSION = "_version"
_ABSENT = "absent"
_MOST = 40  # characters of a value in a message
# Keys that concern these metrics alone.
_CONCERNS = {
    "kid_subset": ("kid",),
    "kid_subsets": ("kid",),
    "is_parts": ("is",),
    "precision_neighbours": ("precision", "recall"),
    "density_neighbours": ("density", "coverage"),
    "diversity_samples": ("diversity",),
    "diversity_images": ("diversity",),
    "torchmetrics_version": ("fid", "kid", "is"),
}
# Keys that do not concern the diversity, which is of pixels, and of so many as its own keys say.
_OF_FEATURES = ("samples", "images", "resize", "torch_version", "torch_fidelity_version")
# Metrics that look at samples alone: images concern them only by the labels that G is given.
_OF_SAMPLES = ("is", "classes", "class_entropy")


def concerns(key: str, figure: Figure) -> bool:
    """Returns: whether a key of a figure's protocol says something of that figure."""
    if key in _CONCERNS:
        return figure.metric in _CONCERNS[key]
    if figure.metric == "diversity" and "diversity_samples" in figure.protocol:
        return key not in _OF_FEATURES and not key.startswith("extractor")
    if figure.metric in _OF_SAMPLES and key in ("images", "data"):
        return figure.protocol.get("labels") == OF_IMAGES
    return True


def differing_keys(new: Figure, old: Figure) -> tuple[list[str], list[str]]:
    """Returns: the keys in which the protocols of two figures of a metric differ, of those that concern either figure.

    First those that forbid comparing, then those of versions.
    """
    one, other = new.protocol, old.protocol
    known = [key for key in dict.fromkeys([*one, *other]) if concerns(key, new) or concerns(key, old)]
    keys = [key for key in known if one.get(key, _ABSENT) != other.get(key, _ABSENT)]
    return [k for k in keys if not k.endswith(_VERSION)], [k for k in keys if k.endswith(_VERSION)]


def comparison(new: Figure, old: Figure) -> str | None:
    """Returns: what an older figure of the same metric says beside a new one; None where they cannot be compared."""
    differing, versions = differing_keys(new, old)
    if differing:
        return None
    note = f" (other versions: {', '.join(key.removesuffix(_VERSION) for key in versions)})" if versions else ""
    return f"{old.value:.6g}{note}"


def incomparable(pairs: Sequence[tuple[Figure, Figure | None]]) -> Iterator[str]:
    """Say in what figures differ that cannot be compared.

    Args:
        pairs: new figures, each with the older one that it is held against, if there is one.

    Yields: for each iteration of older figures one line, which has each differing key once.
    """
    apart = [(new, old) for new, old in pairs if old is not None and differing_keys(new, old)[0]]
    for iteration in dict.fromkeys(old.iteration for _, old in apart):
        mine = [(new, old) for new, old in apart if old.iteration == iteration]
        metrics: dict[str, list[str]] = {}  # by what differs
        for new, old in mine:
            for key in differing_keys(new, old)[0]:
                metrics.setdefault(f"{key} {_short(old, key)} there, {_short(new, key)} here", []).append(new.metric)
        told = (f"{text}{_of(names, len(mine))}" for text, names in metrics.items())
        which = ", ".join(new.metric for new, _ in mine)
        yield f"not comparable with iteration {iteration:,}: {which}: {'; '.join(told)}"


def best_match(new: Figure, candidates: Iterable[Figure]) -> Figure | None:
    """Find the figure that a new one is held against.

    Args:
        new: the new figure.
        candidates: older figures, in the order in which they were measured. Those of a run's looks are passed over: they are of
            few samples, and only for warnings.

    Returns: of the figures of the same metric those whose protocols differ least, and of these the newest; None for none.
    """
    found = [figure for figure in candidates if figure.metric == new.metric and not figure.protocol.get("look")]
    if not found:
        return None
    distances = [tuple(map(len, differing_keys(new, figure))) for figure in found]
    return found[max(i for i, distance in enumerate(distances) if distance == min(distances))]


def _of(metrics: Sequence[str], all_of_them: int) -> str:
    """Returns: which metrics a difference is about, where it is not about all."""
    return "" if len(metrics) == all_of_them else f" ({', '.join(metrics)})"


def _short(figure: Figure, key: str) -> str:
    text = str(figure.protocol.get(key, _ABSENT))
    if key in ("data", "extractor_sha256"):
        return text[:8]
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
