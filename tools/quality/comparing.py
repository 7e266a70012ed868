"""Comparing figures: only those of one protocol are compared; of others it is said in what they differ.

The versions of libraries belong to a protocol, too. But they move a figure by rounding only, unless a library has a fault, so
figures that differ in versions alone are compared, with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ganspec.tools.quality.figures import Figure, Scalar

_VERSION = "_version"
_ABSENT = "absent"
_MOST = 40  # characters of a value in a message


def differing_keys(one: Mapping[str, Scalar], other: Mapping[str, Scalar]) -> tuple[list[str], list[str]]:
    """Returns: the keys in which two protocols differ: first those that forbid comparing, then those of versions."""
    keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key, _ABSENT) != other.get(key, _ABSENT)]
    return [k for k in keys if not k.endswith(_VERSION)], [k for k in keys if k.endswith(_VERSION)]


def comparison(new: Figure, old: Figure) -> str:
    """Returns: what an older figure of the same metric says beside a new one."""
    differing, versions = differing_keys(new.protocol, old.protocol)
    if differing:
        told = ", ".join(f"{key} {_short(old, key)} there, {_short(new, key)} here" for key in differing)
        return f"not comparable: {told}"
    note = f" (other versions: {', '.join(key.removesuffix(_VERSION) for key in versions)})" if versions else ""
    return f"{old.value:.6g}{note}"


def best_match(new: Figure, candidates: Iterable[Figure]) -> Figure | None:
    """Find the figure that a new one is held against.

    Args:
        new: the new figure.
        candidates: older figures, in the order in which they were measured.

    Returns: of the figures of the same metric those whose protocols differ least, and of these the newest; None for none.
    """
    found = [figure for figure in candidates if figure.metric == new.metric]
    if not found:
        return None
    distances = [tuple(map(len, differing_keys(new.protocol, figure.protocol))) for figure in found]
    return found[max(i for i, distance in enumerate(distances) if distance == min(distances))]


def _short(figure: Figure, key: str) -> str:
    text = str(figure.protocol.get(key, _ABSENT))
    if key in ("data", "extractor_sha256"):
        return text[:8]
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
