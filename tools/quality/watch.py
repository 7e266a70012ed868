"""What a run measures of itself while it trains.

Whenever pictures are made, it looks at 100 samples: their diversity, for digits their classes, and how certain D is (see
`warnings`). Where the system has `run.metrics`, it measures these, too. The figures go to `metrics.jsonl` of the run's folder,
what has gone wrong to `warnings.txt` and to the terminal. All of it is on the disk before the checkpoint that follows. Resuming
drops what came after the checkpoint, so that a resumed run has what an unbroken one has.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.data import Dataset
from ganspec.tools.errors import UserError, cannot_write, say
from ganspec.tools.quality.digits import DigitClassifier, as_digits
from ganspec.tools.quality.diversity import class_figures, diversity, mean_distance
from ganspec.tools.quality.extractors import make_extractor
from ganspec.tools.quality.figures import NAME, Figure, Scalar, append_figures, drop_later_figures, read_figures
from ganspec.tools.quality.meter import DIVERSE, Meter, why_no_digits
from ganspec.tools.quality.metrics import WITH_TORCH, require_torchmetrics
from ganspec.tools.quality.samples import chosen_images, image_pixels, sample_inputs, sample_pixels
from ganspec.tools.quality.warnings import CERTAINTY, CHANCE, PENALTY, WITH_PENALTY, warnings_of

WARNINGS = "warnings.txt"
LOOKED_AT = 100  # samples
_LOSSES = 100  # iterations of which D's loss is the mean
_TAIL = 200_000  # bytes of the log in which their rows are


class Watch:
    """What looks after one run.

    Args:
        system: system that is trained.
        data: images that it is trained on.
        trainer: trainer whose network G makes the samples.
        options: backend, device and seed of the run.

    Raises:
        UserError: what `run.metrics` asks for cannot be measured: a package is missing, or no extractor is named
            and the data are no digits.
    """

    def __init__(self, system: System, data: Dataset, trainer: Any, options: dict[str, Any]) -> None:
        self.system, self.data, self.trainer, self.options = system, data, trainer, options
        classifier = DigitClassifier(options["backend"], options["device"])
        self.why_no_digits = why_no_digits(system, data, classifier)
        self.classifier = None if self.why_no_digits else classifier
        places = chosen_images(data, DIVERSE, options["seed"])
        self.distance = mean_distance(np.concatenate(list(image_pixels(data, places))))
        self.inputs = sample_inputs(system, LOOKED_AT, options["seed"], None)
        self.protocol: dict[str, Scalar] = {
            "look": True,
            "samples": LOOKED_AT,
            "images": len(places),
            "data": data.fingerprint,
            "seed": options["seed"],
        }
        self.folder = Path()
        self.figures: list[Figure] = []
        self.warned = 0
        self.meter = self._make_meter() if system.run.metrics else None

    def start(self, folder: Path, iteration: int) -> None:
        """Drop what came after the checkpoint from which training goes on.

        Args:
            folder: path of the run's folder.
            iteration: iteration of the checkpoint; 0 for a new run.

        Raises:
            UserError: a file cannot be read or written.
        """
        self.folder = folder
        drop_later_figures(self.folder / NAME, iteration)
        self.figures = [f for f in read_figures(self.folder / NAME) if f.protocol.get("look") is True]
        warnings = warnings_of(self.figures)
        self.warned = len(warnings)
        if warnings or (self.folder / WARNINGS).exists():
            self._write_warnings()

    def after(self, iteration: int, *, shows: bool) -> None:
        """Look and measure, where that is due after an iteration.

        Args:
            iteration: the iteration that is done.
            shows: whether pictures are made after it.

        Raises:
            UserError: a figure cannot be written.
        """
        found = self._look() if shows else []
        measuring = self.system.run.metrics
        if measuring and self.meter and iteration % measuring.every == 0:
            found += self.meter.measure(self.trainer)
        if found:
            append_figures(self.folder / NAME, found)
        if shows:
            self._warn(found)

    def _look(self) -> list[Figure]:
        """Returns: the figures of a look."""
        pixels = np.concatenate(list(sample_pixels(self.system, self.trainer, self.inputs)))
        values = {"diversity": diversity(pixels, self.distance)}
        if self.classifier is not None:
            values |= class_figures(self.classifier(as_digits(pixels))[1])
        chance = CHANCE.get(self.system.loss.name)
        if chance is not None and (mean := recent_mean(self.folder / "log.csv", "loss_D")) is not None:
            values[CERTAINTY] = mean / chance
        penalised = self.protocol | ({PENALTY: True} if self.system.loss.name in WITH_PENALTY else {})
        protocols = {CERTAINTY: penalised}
        return [
            Figure(self.trainer.iteration, n, value, protocols.get(n, self.protocol)) for n, value in values.items()
        ]

    def _warn(self, found: list[Figure]) -> None:
        """Say what has gone wrong since the last look, and keep it in the run."""
        self.figures += found
        warnings = warnings_of(self.figures)
        if len(warnings) > self.warned:
            for warning in warnings[self.warned :]:
                say(f"\nwarning: iteration {warning.iteration:,}: {warning.message}")
            self._write_warnings()
        self.warned = len(warnings)

    def _write_warnings(self) -> None:
        lines = (f"iteration {each.iteration}: {printable(each.message)}\n" for each in warnings_of(self.figures))
        path = self.folder / WARNINGS
        try:
            write_atomically(path, "".join(lines).encode())
        except OSError as error:
            raise cannot_write(path, error, then="resume the run") from None

    def _make_meter(self) -> Meter:
        measuring = self.system.run.metrics
        assert measuring is not None
        if not set(measuring.measure).isdisjoint(WITH_TORCH):
            require_torchmetrics()
        if measuring.extractor is None and self.why_no_digits:
            raise UserError(
                f"{self.data.source}: run.metrics names no extractor. By default it is digits, the packaged classifier, but "
                f"these images are taken for no digits, because {self.why_no_digits}. If they are digits, say so: "
                "--set run.metrics.extractor=digits; else choose --set run.metrics.extractor=inception, or measure nothing: "
                "--set run.metrics=none"
            )
        extractor = make_extractor(
            measuring.extractor or "digits",
            backend=self.options["backend"],
            device=self.options["device"],
            weights=None,
            download=False,
        )
        return Meter(self.system, self.data, extractor, measuring.measure, measuring.images, self.options["seed"])


def recent_mean(log: Path, column: str) -> float | None:
    """Average a column of a run's log over its last rows: so a resumed run gives what an unbroken one gives.

    Args:
        log: path of the log.
        column: name of the column.

    Returns: the mean over those of the last 100 rows that have the number; None where none has.
    """
    try:
        with log.open("rb") as file:
            names = file.readline(_TAIL).decode().rstrip("\n").split(",")
            start = file.tell()
            file.seek(max(start, os.fstat(file.fileno()).st_size - _TAIL))
            rows = file.read(_TAIL).decode().split("\n")[:-1][-_LOSSES:]
    except (OSError, UnicodeDecodeError):
        return None
    place = names.index(column) if column in names else -1
    cells = [cells[place] for row in rows if place >= 0 and len(cells := row.split(",")) == len(names)]
    try:
        values = [float(cell) for cell in cells if cell]
    except ValueError:
        return None
    return math.fsum(values) / len(values) if values else None
