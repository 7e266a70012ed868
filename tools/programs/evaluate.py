"""Measure how good a run's samples are: FID, KID, IS, precision, recall, density, coverage, diversity.

Each figure is appended to the run's `metrics.jsonl`, with its protocol. docs/quality.md defines all of them and says how they are
read. Figures of different protocols are not compared; what differs is said.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganspec.spec.parts.measuring import MAX_MEASURED, METRICS
from ganspec.spec.system import System
from ganspec.spec.text.errors import counted, did_you_mean, expected_one_of, printable
from ganspec.spec.training.record import RunError
from ganspec.spec.training.runs import checkpoints
from ganspec.tools.data import DataError, Dataset
from ganspec.tools.errors import UserError, say
from ganspec.tools.programs import options as shared
from ganspec.tools.quality.comparing import best_match, comparison, incomparable
from ganspec.tools.quality.digits import DigitClassifier
from ganspec.tools.quality.extractors import DigitsExtractor, Extractor, make_extractor
from ganspec.tools.quality.figures import LOWER_IS_BETTER, NAME, Figure, append_figures, read_figures
from ganspec.tools.quality.labels import check_names
from ganspec.tools.quality.meter import Meter, why_no_digits
from ganspec.tools.quality.metrics import WITH_TORCH, require_torchmetrics
from ganspec.tools.run.links import check_appended
from ganspec.tools.run.reading import load_for, reading_of
from ganspec.tools.sampling.generator import Generator, class_names, opened, require_images

SAMPLES = 10_000
_USUAL = "fid,kid,precision,recall,density,coverage"
_ALL = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec evaluate`."""
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a run, as 'ganspec train' left it")
    parser.add_argument(
        "--metrics", metavar="NAME,...",
        help=f"of {', '.join(METRICS)}; default: all but is; the diversity is measured in any case",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint",
        type=_checkpoint,
        metavar="ITERATION",
        help="the checkpoint to measure, or all; default: the newest",
    )
    parser.add_argument(
        "--weights", choices=("averaged", "trained"),
        help="the moving average of G, or its own weights; default: the average where the run keeps one",
    )  # fmt: skip
    parser.add_argument(
        "--n", type=shared.positive, metavar="COUNT", default=SAMPLES,
        help=f"samples, and images where there are so many (default: {SAMPLES:,})",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="PATH", help="images to compare with; default: the run's own")
    shared.add_cache(parser)
    parser.add_argument(
        "--extractor", metavar="NAME", default=None,
        help="digits, inception, or the path of a TorchScript file, FILE.pt, which is a program that runs here; "
        "default: digits where the data are digits, else none: then the diversity alone is measured",
    )  # fmt: skip
    parser.add_argument(
        "--extractor-weights",
        type=Path,
        metavar="FILE",
        help="the weights of the extractor inception, if not in the cache",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch the weights of the extractor inception (96 MB) if they are missing",
    )
    parser.add_argument(
        "--against", type=Path, metavar="RUN", help="compare with another run; default: with this run's"
    )
    parser.add_argument("--backend", choices=shared.training_backends(), help="default: the run's own")
    shared.add_device(parser)
    shared.add_seed(parser)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, one on each line")
    parser.add_argument("--no-record", action="store_true", help="do not add the figures to the run's metrics.jsonl")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    # Look at everything that can be wrong before anything is computed.
    metrics = _metrics(arguments.metrics or _USUAL)
    if arguments.n > MAX_MEASURED:
        raise UserError(f"--n {arguments.n:,}: at most {MAX_MEASURED:,} samples are measured at once")
    before = read_figures(arguments.run / NAME)
    if not arguments.no_record:
        check_appended(arguments.run / NAME)
    against = before if arguments.against is None else _figures_of(arguments.against)
    iterations = _iterations(arguments.run, arguments.checkpoint)
    first = opened(arguments.run, iterations[0])
    require_images(first.system)
    if arguments.metrics:
        _require_packages(metrics)
    # Measure each checkpoint by one protocol.
    data = _data(arguments, first)
    backend = arguments.backend or first.record["backend"]
    notes = [check_names(first.system, data, class_names(first))]
    extractor, why_none = _extractor(arguments, first.system, data, backend)
    if extractor:
        _require_packages(metrics)
    else:
        metrics = []
        notes.append(f"only the diversity is measured, for without an extractor there is no fid: {why_none}")
    meter = Meter(first.system, data, extractor, metrics, arguments.n, arguments.seed, arguments.weights)
    if not arguments.json:
        print(printable(f"{first.system.name}: {counted(meter.count, 'sample')}, {data.source}"))
    for note in filter(None, notes):
        say(f"note: {note}")
    for iteration in iterations:
        generator = Generator.from_run(
            arguments.run,
            checkpoint=iteration,
            weights=arguments.weights,
            backend=arguments.backend,
            device=arguments.device,
        )
        figures = meter.measure(generator.trainer)
        if not arguments.no_record:
            append_figures(arguments.run / NAME, figures)
        lines = (each.line().rstrip() for each in figures) if arguments.json else _table(figures, against)
        print("\n".join(map(printable, lines)), flush=True)
    return 0


def _checkpoint(text: str) -> int | str:
    return _ALL if text == _ALL else shared.count(text)


def _metrics(text: str) -> list[str]:
    """Returns: the metrics that --metrics asks for, each once."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in METRICS:
            hint = did_you_mean(name, METRICS)
            message = f"--metrics: there is no '{name}': {expected_one_of(METRICS)}"
            raise UserError(f"{message}; {hint}" if hint else message)
    return list(dict.fromkeys(names))


def _require_packages(metrics: list[str]) -> None:
    if not set(metrics).isdisjoint(WITH_TORCH):
        require_torchmetrics()


def _iterations(folder: Path, asked: int | str | None) -> list[int | None]:
    """Returns: iterations of the checkpoints to measure; None for the newest."""
    if asked != _ALL:
        return [asked]  # type: ignore[list-item]
    try:
        found = sorted(checkpoints(folder))
    except RunError as error:
        raise UserError(str(error)) from None
    if not found:
        opened(folder)  # says what is wrong
    return list(found)


def _figures_of(folder: Path) -> list[Figure]:
    opened_figures = read_figures(folder / NAME)
    if not opened_figures:
        raise UserError(f"{folder}: has no figures to compare with; measure it first: ganspec evaluate {folder}")
    return opened_figures


def _data(arguments: argparse.Namespace, run: Any) -> Dataset:
    """Returns: the images to compare with: those of --data, else the run's own."""
    path = arguments.data
    if path is None and run.record["data"]:
        path = Path(run.record["data"])
    if path is None and not run.system.data.embedded:
        raise UserError(f"{run.system.name}: no data ships with ganspec for it; give the images with --data PATH")
    try:
        return load_for(run.system, path, *reading_of(arguments))
    except DataError as error:
        if arguments.data is not None:
            raise
        raise UserError(
            f"{error}\nthese are the data that the run was trained on; give their place with --data PATH"
        ) from None


def _extractor(
    arguments: argparse.Namespace, system: System, data: Dataset, backend: str
) -> tuple[Extractor | None, str]:
    """Returns: the extractor that is asked for, by default the digit classifier where data are digits; or why there is none."""
    if arguments.extractor is not None:
        extractor = make_extractor(
            arguments.extractor,
            backend=backend,
            device=arguments.device,
            weights=arguments.extractor_weights,
            download=arguments.download,
        )
        return extractor, ""
    why = why_no_digits(system, data, DigitClassifier(backend, arguments.device))
    if why is None:
        return DigitsExtractor(backend, arguments.device), ""
    told = (
        f"by default it is digits, the packaged classifier, but these images are taken for no digits, because {why}. "
        "Say what compares them: --extractor inception, or --extractor FILE.pt, a TorchScript module (docs/quality.md), "
        "or, if they are digits, --extractor digits"
    )
    if arguments.metrics:
        raise UserError(f"{data.source}: no extractor is named: {told}")
    return None, told


def _table(figures: list[Figure], before: list[Figure]) -> Iterator[str]:
    """Yields: the lines that a person reads: each figure, which way is better, and what an older figure says."""
    protocol = figures[0].protocol
    extractor = f"{protocol.get('extractor', 'none')} {str(protocol.get('extractor_sha256', ''))[:8]}".rstrip()
    yield f"iteration {figures[0].iteration:,}, {protocol['images']:,} images, extractor {extractor}, seed {protocol['seed']}"
    pairs = [(figure, best_match(figure, before)) for figure in figures]
    for figure, old in pairs:
        better = "lower" if LOWER_IS_BETTER[figure.metric] else "higher"
        line = f"  {figure.metric:<14}{figure.value:>12.6g}   {better} is better"
        if old is not None and (said := comparison(figure, old)):
            line += f"; iteration {old.iteration:,}: {said}"
        yield line
    yield from incomparable(pairs)
