"""The words and numbers that all reports share: verdicts, ratios, places, the first divergence as labelled lines.

Nothing is escaped here: each kind of report does that in its own way, because names come from strangers' files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ganspec.spec.text.errors import counted
from ganspec.tools.agreement.report import Comparison, Difference, Report, Row
from ganspec.tools.errors import command

AGREE, DISAGREE, DIVERGED, NOTHING = "agree", "DISAGREE", "diverged", "nothing compared"
_SEVERITY = (AGREE, DIVERGED, DISAGREE)  # from what is right to what is worst
REPLAY = ("ganspec", "crosscheck", "--replay")  # the command that replays a bundle, before the bundle's path
_LOWER = "lower the learning rate with --set optimizers.learning_rate=..., or the --iterations"


def word(row: Row) -> str:
    """Returns: the verdict on a row: "agree", "DISAGREE", or "diverged" where neither value is finite."""
    if row.wrong == 0:
        return AGREE
    return DIVERGED if row.worst.diverged else DISAGREE


def verdict(comparison: Comparison) -> str:
    """Returns: the verdict on a system: "agree", "DISAGREE", "diverged" or "nothing compared"."""
    if not comparison.rows:
        return NOTHING
    if comparison.agrees:
        return AGREE
    return DIVERGED if comparison.diverged else DISAGREE


def worst_row(rows: Iterable[Row]) -> Row | None:
    """Returns: the row that is furthest from agreement: by verdict first, then by ratio; None if there is no row."""
    return max(rows, key=lambda row: (_SEVERITY.index(word(row)), rank(row.worst.ratio)), default=None)


def rank(ratio: float) -> float:
    """Returns: a ratio that can be sorted: NaN, which agrees with nothing, is infinite."""
    return math.inf if math.isnan(ratio) else ratio


def relative(difference: Difference) -> float:
    """Returns: the error as a share of the quantity's size: error / size; 0 if the error is 0; infinite if only the size is."""
    if difference.error == 0 or not math.isfinite(difference.error):
        return difference.error
    return difference.error / difference.size if difference.size else math.inf


def number(value: float) -> str:
    """Returns: a number in eight characters or fewer: "1.1e-15", "0", "inf", "nan"."""
    return "0" if value == 0 else f"{value:.1e}"


def ratio(value: float) -> str:
    """Returns: a ratio in seven characters: "0", "<0.001", "0.012", "3.1", "125", "4.1e+06", "inf", "nan"."""
    if value == 0:
        return "0"
    if 0 < value < 0.001:
        return "<0.001"
    return f"{value:.2g}" if value < 100 else f"{value:.0f}" if value < 1000 else f"{value:.1e}"


def pair_name(pair: tuple[str, str]) -> str:
    """Returns: "torch/chainer"."""
    return "/".join(pair)


def listed(names: Sequence[str]) -> str:
    """Returns: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def settings(comparison: Comparison) -> dict[str, str]:
    """Returns: how a system was run, in words, by the name of the setting."""
    return {
        "iterations": counted(comparison.iterations, "iteration"),
        "dtype": comparison.dtype,
        "device": comparison.device,
        "batch": f"batch {comparison.batch}",
        "seed": f"seed {comparison.seed}",
        "sizes": "reduced sizes" if comparison.reduced else "full size",
    }


def common_settings(comparisons: Sequence[Comparison]) -> list[str]:
    """Returns: the settings that all comparisons have in common, in words."""
    first, *rest = [settings(c) for c in comparisons] or [{}]
    return [text for name, text in first.items() if all(other[name] == text for other in rest)]


def labels(comparisons: Sequence[Comparison]) -> list[str]:
    """Returns: a name for each comparison: the system's, and how it was run where the system occurs more than once."""
    names = [c.system for c in comparisons]
    varying = [
        key for key in ("dtype", "device", "sizes", "iterations", "batch", "seed")
        if len({settings(c)[key] for c in comparisons}) > 1
    ]  # fmt: skip
    return [
        name + (f" ({', '.join(settings(c)[key] for key in varying)})" if varying and names.count(name) > 1 else "")
        for name, c in zip(names, comparisons, strict=True)
    ]


def where(difference: Difference) -> str:
    """Returns: the quantity and its place: "%3 D(%2): l1, iteration 0, step 0, repeat 0"."""
    return f"{difference.name}, {difference.place}"


def how_far(difference: Difference) -> str:
    """Returns: how far two witnesses are apart, in words."""
    if difference.reason:
        return difference.reason
    if difference.diverged:
        return "neither value is finite"
    if not math.isfinite(difference.error):
        return "a value is not finite"
    share = (
        f"{number(relative(difference))} of its size"
        if difference.size
        else f"{number(difference.error)} where 0 is right"
    )
    return f"{share}, {ratio(difference.ratio)} times what is allowed"


def divergence(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """Returns: the first divergence as labels with lines of text; empty if there is none."""
    first = comparison.first
    if first is None:
        return []
    found = first.difference
    belongs = [f"network {found.network}"] * bool(found.network) + [f"layer {found.layer}"] * bool(found.layer)
    belongs += [f"node %{found.node} of the plan"] * (found.node is not None)
    fields = [
        ("quantity", [f"{found.name} ({found.kind})"]),
        ("belongs to", [", ".join(belongs)] * bool(belongs)),
        ("defined in", [found.source] * bool(found.source)),
        ("place", [str(found.place)]),
        ("who", [_who(comparison, found, first.odd)]),
        ("how far", [f"{pair_name(found.pair)}: {how_far(found)}"]),
        ("values", list(first.values)),
        ("cause", [f"probably: {first.guess}"] * bool(first.guess)),
        ("replay", [command(*REPLAY, comparison.bundle)] * bool(comparison.bundle)),
    ]
    return [(label, lines) for label, lines in fields if lines]


def _who(comparison: Comparison, found: Difference, odd: str) -> str:
    if found.diverged:
        return f"none is alone: the values of {listed(found.pair)} are not finite"
    others = [name for name in comparison.witnesses if name != odd]
    if odd and len(others) > 1:
        return f"{odd} is alone: {listed(others)} agree with one another"
    if odd:
        return f"{odd} differs from {listed(others)}"
    if len(comparison.witnesses) == 2:
        return f"{listed(found.pair)} differ; a third witness would say which of them is alone"
    return f"{listed(found.pair)} differ; no two witnesses agree against a third"


def headline(report: Report) -> str:
    """Returns: the verdict on the whole report in one sentence."""
    names = dict(zip(map(id, report.comparisons), labels(report.comparisons), strict=True))
    by_verdict = {
        word: [names[id(c)] for c in report.comparisons if verdict(c) == word] for word in (DISAGREE, DIVERGED, NOTHING)
    }
    single = len(report.comparisons) == 1
    total = counted(len(report.comparisons), "system")
    parts = []
    if wrong := by_verdict[DISAGREE]:
        parts.append(
            f"{_witnesses(report)} DISAGREE on {'' if single else f'{len(wrong)} of {total}: '}{', '.join(wrong)}"
        )
    if diverged := by_verdict[DIVERGED]:
        parts.append(f"training diverged on {', '.join(diverged)}, where nothing can be compared: {_LOWER}")
    if nothing := by_verdict[NOTHING]:
        parts.append(f"nothing was compared on {', '.join(nothing)}")
    if not report.comparisons:
        parts.append("nothing was compared")
    return "; ".join(parts) or f"{_witnesses(report)} agree on {report.comparisons[0].system if single else total}"


def _witnesses(report: Report) -> str:
    """Returns: the names of the witnesses, where all systems have the same."""
    sets = {c.witnesses for c in report.comparisons}
    return listed(sets.pop()) if len(sets) == 1 else "the witnesses"
