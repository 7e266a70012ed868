"""Measure what training costs: against plain hand-written loops, against the machine's limit, and part by part.

Without another mode, ours and a plain loop of the same system in the same framework train in one process, turn by turn: a round
times some iterations of ours, then as many of the loop, so that whatever else the machine does falls on both. Each iteration
includes its batch and fetching the numbers that are recorded. The loops stand in `tools.baselines`, everything else in
`tools.benchmarks`; every system and backend is measured in a process of its own.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganspec.spec import load_system, system_names
from ganspec.spec.text.errors import printable
from ganspec.spec.training.options import DRAWS
from ganspec.tools.backends import NAMES
from ganspec.tools.baselines import MODULES
from ganspec.tools.benchmarks import data_path, memory, plot, results, roofline, sides, start_up, sweep, tables, timing
from ganspec.tools.benchmarks.comparing import asked_again, check_common, compare, verdict_line
from ganspec.tools.benchmarks.fresh import in_fresh_process
from ganspec.tools.benchmarks.machine import one_line
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.errors import AGREED, DISAGREED, UserError, require_place
from ganspec.tools.programs import options as shared

ROUNDS = {"speed": 10, "roofline": 5, "data": 2, "start-up": 3, "sweep": 3}  # without --rounds
LEGEND = "; theirs is the plain loop; theirs/ours, above 1 where ours is faster, is the median of the rounds' ratios"
MEANT = (
    "set",
    "batch",
    "backend",
    "device",
    "draws",
    "reduced",
    "threads",
    "no_sharing",
    "alone",
)  # what --against keeps
# The options that not every mode takes, and the modes that take them.
TAKEN_BY = {
    "alone": ("speed",), "memory": ("speed",), "against": ("speed",), "tolerance": ("speed",), "plot": ("sweep",),
    "iterations": ("speed", "roofline", "sweep"), "seconds": ("speed", "roofline", "sweep"),
    "threads": ("speed", "roofline", "sweep", "start-up"), "reduced": ("speed", "roofline", "sweep"),
    "backend": ("speed", "roofline", "sweep", "start-up"), "device": ("speed", "roofline", "sweep", "start-up"),
    "no_sharing": ("speed", "roofline", "sweep"),
    "draws": ("speed", "roofline", "sweep", "start-up"),
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec bench`."""
    parser.add_argument(
        "systems", metavar="SYSTEM", nargs="*",
        help="systems to measure, or 'all'; there are plain loops of every system that ships with ganspec; without any: one for "
        "each family of loops whose data ship with ganspec",
    )  # fmt: skip
    modes = parser.add_argument_group(
        "what is measured, in place of the time against a plain loop"
    ).add_mutually_exclusive_group()
    modes.add_argument(
        "--roofline", action="store_true",
        help="the floating-point operations of an iteration, layer by layer, and which share of the machine's rate is reached",
    )  # fmt: skip
    modes.add_argument(
        "--data", nargs="?", type=Path, const=True, metavar="PATH",
        help="images per second from files into batches: from PATH, or from the packaged digits in each format",
    )  # fmt: skip
    modes.add_argument(
        "--start-up",
        action="store_true",
        help="seconds up to the first iteration, by part, and of programs that train nothing",
    )
    modes.add_argument(
        "--sweep", metavar="KEY=VALUES", action="append",
        help="the cost of an iteration against a number, such as batch=16,32,64 or networks.G.n+networks.D.n=16,32; can be given "
        "several times",
    )  # fmt: skip
    shared.add_backend(parser, both=True)
    shared.add_device(parser, None)
    parser.add_argument(
        "--draws", choices=DRAWS, help="where ours takes random numbers from, as in train (default: host)"
    )
    parser.add_argument("--batch", metavar="N", type=shared.positive, help="images of a batch; default: the system's")
    parser.add_argument(
        "--reduced", action="store_true", help="the small sizes with which backends are compared quickly"
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[],
        help="change a key of the systems; beside a plain loop, which reads the numbers of its system alone, a number",
    )  # fmt: skip
    parser.add_argument(
        "--threads", metavar="N", type=shared.positive, help="threads on the CPU (default: the libraries' choice)"
    )
    parser.add_argument(
        "--rounds", metavar="N", type=shared.positive,
        help=f"number of timed rounds (default: {', '.join(f'{n} for {mode}' for mode, n in ROUNDS.items())})",
    )  # fmt: skip
    parser.add_argument(
        "--iterations", metavar="N", type=shared.positive,
        help=f"iterations of each side in a round (default: about {timing.ROUND_SECONDS:g} s of them)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", metavar="S", type=shared.number,
        help=f"begin no round after so many seconds of timing a system in a backend, once there are {timing.LEAST_ROUNDS}",
    )  # fmt: skip
    shared.add_sharing(parser)
    parser.add_argument("--alone", action="store_true", help="time ours without a plain loop, any system")
    parser.add_argument(
        "--memory", action="store_true", help="the most memory of each side, too, each in a process of its own"
    )
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw what --sweep measures, as a PNG file")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every figure to a file, too")
    parser.add_argument("--markdown", action="store_true", help="print tables as Markdown")
    parser.add_argument(
        "--against", metavar="FILE", type=Path,
        help="compare with an earlier --json, without SYSTEM by measuring what it holds again: exit code 1 where ours became "
        "slower against the plain loop than chance allows",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", metavar="PART", type=shared.number,
        help="part of the speed that may be lost, such as 0.1; default: derived from how far the rounds are apart",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0, or 1 where --against finds that training became slower."""
    mode = _mode(arguments)
    _check_options(arguments, mode)
    if mode == "speed":
        return _speed(arguments)
    effort = _effort(arguments, mode)
    content: dict[str, Any]
    points: list[sweep.Point] = []
    match mode:
        case "roofline":
            content = {"rooflines": _rooflines(arguments, effort)}
        case "data":
            path = None if arguments.data is True else arguments.data
            system = _one(arguments.systems, mode, None)
            found = data_path.run(path, system, _settings(arguments), tries=effort.rounds, markdown=arguments.markdown)
            content = {"readings": data_path.as_data(found)}
        case "start-up":
            requests = _requests(arguments, [str(_one(arguments.systems, mode, start_up.DEFAULT))])
            started = start_up.run(requests, tries=effort.rounds, markdown=arguments.markdown)
            content = {"starts": [{**vars(each), "seconds": list(each.seconds)} for each in started]}
        case _:
            points = _sweep(arguments, effort)
            content = {"points": [point.as_data() for point in points]}
    if arguments.json is not None:
        results.write(arguments.json, mode, content)
    if arguments.plot is not None:
        sweep.write_plot(arguments.plot, points)
    return AGREED


def _mode(arguments: argparse.Namespace) -> str:
    chosen = {
        "roofline": arguments.roofline,
        "data": arguments.data,
        "start-up": arguments.start_up,
        "sweep": arguments.sweep,
    }
    return next((mode for mode, given in chosen.items() if given), "speed")


def _check_options(arguments: argparse.Namespace, mode: str) -> None:
    """Refuse options that this mode would ignore."""
    for name, modes in TAKEN_BY.items():
        if getattr(arguments, name) and mode not in modes:
            usual = {"speed": "times against a plain loop"}
            valid = " or ".join(usual.get(each, f"--{each}") for each in modes)
            where = "times against a plain loop" if mode == "speed" else f"--{mode}"
            raise UserError(f"--{name.replace('_', '-')} does not go with {where}: it belongs to {valid}; leave it out")
    if arguments.tolerance and not arguments.against:
        raise UserError("--tolerance is how far --against FILE may be missed; give that, too, or leave it out")
    if arguments.tolerance and arguments.tolerance >= 1:
        raise UserError(f"--tolerance {arguments.tolerance:g}: expected a part of the speed, below 1, such as 0.1")
    if arguments.plot:
        plot.require()
    for name in ("json", "plot"):
        if getattr(arguments, name):
            require_place(getattr(arguments, name), option=f"--{name} FILE")


def _effort(arguments: argparse.Namespace, mode: str) -> timing.Effort:
    return timing.Effort(arguments.rounds or ROUNDS[mode], arguments.iterations or 0, arguments.seconds or 0.0)


def _settings(arguments: argparse.Namespace) -> list[str]:
    return [*arguments.set, *([f"run.batch={arguments.batch}"] if arguments.batch else [])]


def _requests(arguments: argparse.Namespace, systems: list[str]) -> list[Request]:
    backends = NAMES if arguments.backend in (None, "both") else (arguments.backend,)
    request = Request(
        "", "", arguments.device or "cpu", arguments.draws or "host", tuple(_settings(arguments)), arguments.reduced,
        arguments.threads or 0, not arguments.no_sharing,
    )  # fmt: skip
    return [replace(request, system=name, backend=backend) for name in dict.fromkeys(systems) for backend in backends]


def _one(systems: list[str], mode: str, default: str | None) -> str | None:
    if len(systems) > 1:
        raise UserError(f"--{mode} measures one system at a time; leave out {', '.join(systems[1:])}")
    return systems[0] if systems else default


def _speed(arguments: argparse.Namespace) -> int:
    before = results.read_speed(arguments.against) if arguments.against else []
    requests = _again(arguments, before) if before and not arguments.systems else _asked(arguments)
    if arguments.against:
        check_common(requests, before, printable(str(arguments.against)))
    for request in requests:
        request.load()
    return _timed(arguments, requests, before)


def _again(arguments: argparse.Namespace, before: list[timing.Measurement]) -> list[Request]:
    """Returns: what the file of --against holds. Raises: UserError: options would make it something else."""
    for name in MEANT:
        if getattr(arguments, name):
            raise UserError(
                f"--{name.replace('_', '-')}: without SYSTEM, what {printable(str(arguments.against))} holds is measured again "
                f"with its own options; leave out --{name.replace('_', '-')}, or name systems"
            )
    arguments.alone = not before[0].theirs
    return asked_again(before, printable(str(arguments.against)))


def _asked(arguments: argparse.Namespace) -> list[Request]:
    """Returns: what the command line asks for."""
    systems = arguments.systems or sides.one_of_each_family()
    if arguments.systems == ["all"]:
        systems = system_names() if arguments.alone else list(MODULES)
    if not arguments.alone:
        for name in systems:
            sides.loop_name(name)
        sides.check_settings(arguments.set)
    return _requests(arguments, systems)


def _timed(arguments: argparse.Namespace, requests: list[Request], before: list[timing.Measurement]) -> int:
    effort = _effort(arguments, "speed")
    table = tables.speed_table(alone=arguments.alone, memory=arguments.memory, markdown=arguments.markdown)
    measured = []
    for request in requests:
        what = f"{request.system}, {request.backend}"
        one = in_fresh_process(_measure, request, effort, arguments.alone, threads=request.threads, what=what)
        if arguments.memory:
            one = replace(one, memory=memory.peaks(request, alone=arguments.alone))
        measured.append(one)
        table.row(tables.speed_cells(one))
    print(f"\nmedian ms per iteration{'' if arguments.alone else LEGEND}")
    for line in dict.fromkeys(one_line(dict(one.machine)) for one in measured):
        print(line)
    if arguments.json is not None:
        results.write(arguments.json, "speed", results.speed_as_data(measured))
    return _against(arguments, measured, before) if arguments.against else AGREED


def _measure(request: Request, effort: timing.Effort, alone: bool) -> timing.Measurement:
    return timing.measure(request, effort, alone=alone)


def _against(arguments: argparse.Namespace, now: list[timing.Measurement], before: list[timing.Measurement]) -> int:
    """Print what became of each measurement. Returns: 1 where one became slower, else 0."""
    verdicts = compare(now, before, arguments.tolerance)
    if all(verdict.change is None for verdict in verdicts):
        reasons = "\n".join(map(verdict_line, verdicts))
        raise UserError(f"{arguments.against}: nothing in it can be compared with what was measured now\n{reasons}")
    print(f"\nagainst {arguments.against}")
    print("\n".join(map(verdict_line, verdicts)))
    return DISAGREED if any(verdict.slower for verdict in verdicts) else AGREED


def _known(systems: list[str]) -> list[str]:
    """Returns: the systems named, all of them for "all"; each was read once."""
    names = system_names() if systems == ["all"] else systems
    for name in names:
        load_system(name)
    return list(names)


def _rooflines(arguments: argparse.Namespace, effort: timing.Effort) -> list[dict[str, Any]]:
    found = []
    for request in _requests(arguments, _known(arguments.systems or sides.one_of_each_family())):
        what = f"{request.system}, {request.backend}"
        found.append(in_fresh_process(roofline.measure, request, effort, threads=request.threads, what=what))
        roofline.report(found[-1], markdown=arguments.markdown)
    return [each.as_data() for each in found]


def _sweep(arguments: argparse.Namespace, effort: timing.Effort) -> list[sweep.Point]:
    if not arguments.systems:
        raise UserError("--sweep: which system? 'ganspec systems' lists them")
    settings = [sweep.setting_of(text) for text in arguments.sweep]
    return sweep.run(_requests(arguments, _known(arguments.systems)), settings, effort, markdown=arguments.markdown)
