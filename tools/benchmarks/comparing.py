"""Whether training became slower than an earlier measurement says.

Compared are ratios, theirs / ours, because the plain loop has the same machine and the same load beside it. Where ours was timed
alone, times themselves are compared, and only if both come from the same machine.

The figure f is the median of the rounds, and its spread s is the logarithm of the upper quartile over the lower one. What was
measured now is slower if

    f_now / f_before  <  exp(-max(LEAST, sqrt(s_now^2 + s_before^2)))

with f the ratios, or 1 / seconds. Half of all rounds lie between the quartiles, so the medians of rounds that differ by chance
alone lie well within that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ganspec.spec.text.errors import printable
from ganspec.spec.training.options import DRAWS, is_device
from ganspec.tools.backends import NAMES
from ganspec.tools.benchmarks.machine import same_machine
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.benchmarks.timing import Measurement, quartiles
from ganspec.tools.errors import UserError
from ganspec.tools.reporting.json_tables import visible

_VISIBLE = 600  # characters of what a file holds that a message repeats
LEAST = 0.03  # allowance where the rounds were all equal: the layout of memory differs from process to process


@dataclass(frozen=True)
class Verdict:
    """What became of one measurement.

    Args:
        now: what was measured now.
        change: speed now over speed before; above 1 where it became faster; None where the two cannot be compared.
        allowed: smallest change that counts as unchanged.
        reason: why they cannot be compared.
    """

    now: Measurement
    change: float | None = None
    allowed: float = 1.0
    reason: str = ""

    @property
    def slower(self) -> bool:
        """Whether it became slower."""
        return self.change is not None and self.change < self.allowed


def compare(now: Sequence[Measurement], before: Sequence[Measurement], tolerance: float | None = None) -> list[Verdict]:
    """Hold measurements against earlier ones of the same request.

    Args:
        now: what was measured now.
        before: what was measured then.
        tolerance: part of the speed that may be lost, 0.1 for a tenth; None to derive it from the spread of both.

    Returns: a verdict for each of `now`.
    """
    known = {_key(each): each for each in before}
    return [_verdict(each, known.get(_key(each)), tolerance) for each in now]


def asked_again(before: Sequence[Measurement], label: str) -> list[Request]:
    """Ask for what a file holds, as it was measured: systems, backends and options.

    Args:
        before: what the file holds.
        label: name of the file, for messages.

    Raises:
        UserError: it holds nothing, a backend or device that there is not, or both times of ours alone and ratios.
    """
    if not before:
        raise UserError(
            f"{label}: holds no measurement; name systems, and write another one with ganspec bench --json FILE"
        )
    if len({bool(each.theirs) for each in before}) > 1:
        raise UserError(
            f"{label}: some of it was timed against a plain loop and some alone; name the systems to measure"
        )
    for request in (each.request for each in before):
        if request.backend not in NAMES or not is_device(request.device) or request.draws not in DRAWS:
            raise UserError(
                f"{label}: was measured with backend {visible(request.backend)}, device {visible(request.device)}, draws "
                f"{visible(request.draws)}, which are not all there; name the systems to measure"
            )
    return list(dict.fromkeys(each.request for each in before))


def check_common(requests: Sequence[Request], before: Sequence[Measurement], label: str) -> None:
    """Raises: UserError: nothing that is asked for is in a file, before it is measured in vain."""
    known = [each.request for each in before]
    if not set(requests) & set(known):
        held = ", ".join(dict.fromkeys(f"{each.system} ({options_of(each)})" for each in known)) or "nothing"
        raise UserError(
            f"{label}: nothing in it can be compared with what is asked for, {requests[0].system} ({options_of(requests[0])})\n"
            f"it holds {printable(held[:_VISIBLE])}; without SYSTEM and options, that is measured again"
        )


def options_of(request: Request) -> str:
    """Returns: the options that a measurement was asked for with."""
    words = [request.backend, *(f"--set {each}" for each in request.settings), *["--reduced"] * request.reduced]
    words += [f"--device {request.device}"] * (request.device != "cpu")
    words += [f"--draws {request.draws}"] * (request.draws != "host")
    words += [f"--threads {request.threads}"] * bool(request.threads) + ["--no-sharing"] * (not request.sharing)
    return " ".join(words)


def _key(each: Measurement) -> tuple[Request, int]:
    return each.request, each.batch


def _verdict(now: Measurement, before: Measurement | None, tolerance: float | None) -> Verdict:
    if before is None:
        return Verdict(now, reason="the file has no measurement of it with these options")
    if bool(now.theirs) != bool(before.theirs):
        return Verdict(now, reason="only one of the two was timed against a plain loop")
    if not now.theirs and not same_machine(dict(now.machine), dict(before.machine)):
        return Verdict(now, reason="times of ours alone are from another machine, or from other libraries")
    (speed, spread), (speed_before, spread_before) = _speed(now), _speed(before)
    allowed = 1 - tolerance if tolerance is not None else math.exp(-max(LEAST, math.hypot(spread, spread_before)))
    return Verdict(now, speed / speed_before, allowed)


def _speed(each: Measurement) -> tuple[float, float]:
    """Returns: the median of the ratios, or of iterations per second, and the logarithm of its quartiles' ratio."""
    low, middle, high = quartiles(each.ratios() if each.theirs else [1 / seconds for seconds in each.ours])
    return middle, math.log(high / low)


def verdict_line(verdict: Verdict) -> str:
    """Returns: a verdict in a sentence."""
    request = verdict.now.request
    of = f"{request.system}, {request.backend}:"
    if verdict.change is None:
        return f"{of} not compared: {verdict.reason}"
    percent = 100 * abs(1 - verdict.change)
    if verdict.slower:
        return f"{of} SLOWER by {percent:.0f} %, and up to {100 * (1 - verdict.allowed):.0f} % would be chance"
    if verdict.change > 1 / verdict.allowed:
        return f"{of} faster by {percent:.0f} %"
    return f"{of} as fast as before, within {100 * (1 - verdict.allowed):.0f} %"
