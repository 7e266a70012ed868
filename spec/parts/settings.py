"""Settings of a system file besides networks, losses and schedules: data, run, decay, growth, averages, the manifold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ganspec.spec.parts.keep import Keep, read_keep
from ganspec.spec.parts.measuring import Measuring, read_measuring
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.text.tables import MAX_SIZE, Table

FITS = ("exact", "pad", "resize")
EMBEDDED = ("digits",)
DATASETS = ("mnist", "cifar10", "lfw")
LEFTOVERS = ("drop", "wrap")
FIRST_PASSES = ("shuffled", "in_order")
CROPS = ("none", "centre")
MAX_STAGES = 64  # of growth; the papers here have under 20
MAX_GRID = 10_000  # samples in one picture
MAX_SIDE = 100  # of a manifold: ten thousand images per label


@dataclass(frozen=True)
class Data:
    """The symbols x and y: images and labels.

    Args:
        shape: shape of an image, (channels, height, width).
        range: values that black and white become.
        fit: treatment of images of another size: none ("exact"), "pad" with black, or "resize".
        labels: number of classes of y; 0 where there is no y.
        skip_grey: whether images whose channels are all equal are left out.
        embedded: packaged data on which a run trains when it is given no other, "" for none.
        dataset: published data set on which the source trains and which can be downloaded, "" for none.
        leftover: treatment of the images at an epoch's end that are fewer than a batch: they are not shown ("drop"), or the
            first images of the next epoch complete the batch ("wrap").
        first_pass: order of the images in the first epoch: "shuffled" as in later ones, or "in_order", as the data has them.
        crop: what is cut off before `fit`: nothing ("none"), or all but the largest part in the centre that has the ratio of
            height to width of `shape` ("centre").
        flip: whether each image is shown mirrored, left to right, with probability 1/2.
    """

    shape: tuple[int, int, int]
    range: tuple[float, float]
    fit: str
    labels: int
    skip_grey: bool
    embedded: str
    dataset: str
    leftover: str
    first_pass: str
    crop: str = "none"
    flip: bool = False


@dataclass(frozen=True)
class Run:
    """How long a system is trained, and when pictures and checkpoints are made.

    Args:
        batch: number of images per batch.
        epochs: number of times that all of the data is seen; 0 where iterations are counted instead.
        iterations: number of iterations; 0 where epochs are counted instead.
        samples_every: number of iterations between two sets of pictures.
        samples_from: iteration after which the first set of pictures is due; 0 for the first multiple of samples_every.
        samples_later: pair (after, every): from iteration `after` on, pictures are made each `every` iterations instead.
        checkpoint_every: number of iterations between two checkpoints.
        grid: rows and columns of a grid of samples.
        moving_average: number of iterations of which the smooth curves in plots are means.
        keep: which checkpoints are kept; None where the system does not say.
        metrics: what is measured during training, None for nothing.
    """

    batch: int
    epochs: int
    iterations: int
    samples_every: int
    samples_later: tuple[int, int] | None
    samples_from: int
    checkpoint_every: int
    grid: tuple[int, int]
    moving_average: int
    keep: Keep | None = None
    metrics: Measuring | None = None

    def shows(self, iteration: int) -> bool:
        """Returns: whether pictures are due after an iteration."""
        later, since = self.samples_later, iteration - self.samples_from
        return since >= 0 and since % (later[1] if later and iteration > later[0] else self.samples_every) == 0


@dataclass(frozen=True)
class Decay:
    """Learning rates shrink after every epoch in which the mean of a report did not fall below that of the epoch before.

        learning_rate <- max(factor learning_rate, minimum)

    Args:
        watch: name of the report.
        factor: factor from 0 to 1.
        minimum: smallest learning rate.
    """

    watch: str
    factor: float
    minimum: float

    def shrunk(self, learning_rate: float) -> float:
        """Returns: the learning rate after such an epoch; one that is already below the minimum stays as it is."""
        return max(learning_rate * self.factor, min(learning_rate, self.minimum))


@dataclass(frozen=True)
class Growth:
    """Networks that grow (Karras et al. 2018, arXiv:1710.10196).

    With p = start_stage + start_fade + iteration * batch / images, the stage is floor(p), and layers of kind "fade" mix their
    inputs with a = p - floor(p). The last stage has no end.

    Args:
        stages: number of stages.
        images: number of images that each stage sees.
        start_stage: stage in which training starts, from 0.
        start_fade: part of that stage, from 0 to 1, that counts as done when training starts.
    """

    stages: int
    images: int
    start_stage: int = 0
    start_fade: float = 0.0

    def at(self, iteration: int, batch: int) -> tuple[int, float]:
        """Returns: the stage of an iteration, and the number a of its layers that fade."""
        stage, images = divmod(self._skipped + iteration * batch, self.images)
        return (stage, images / self.images) if stage < self.stages else (self.stages - 1, 0.0)

    def first_iteration(self, stage: int, batch: int) -> int | None:
        """Returns: the first iteration of a stage; None for a stage that is over when training starts."""
        first = -((self._skipped - stage * self.images) // batch)  # rounded up
        return max(first, 0) if stage >= self.start_stage else None

    @property
    def _skipped(self) -> int:
        """The number of images that count as seen when training starts."""
        return self.start_stage * self.images + round(self.start_fade * self.images)


@dataclass(frozen=True)
class Manifold:
    """A picture of everything that G makes of a normal latent of two numbers: a grid of the latent's quantiles.

    Args:
        side: number of rows and of columns.
        low: quantile of the first row and column.
        high: quantile of the last row and column.
    """

    side: int
    low: float
    high: float


def read_data(table: Table) -> Data:
    """Read the table `[data]`."""
    shape, span = table.sizes("shape"), table.take("range")
    if "shape" in table and len(shape) != 3:
        table.note("shape", f"expected [channels, height, width], found {len(shape)} sizes")
        shape = (1, 1, 1)
    numbers = isinstance(span, list) and len(span) == 2 and all(type(v) in (int, float) for v in span)
    if not numbers or not -MAX_SIZE < span[0] < span[1] < MAX_SIZE:
        table.note("range", "expected [low, high], the values of black and white, low < high")
        span = [0, 1]
    data = Data(
        (*shape, 1, 1, 1)[:3],  # type: ignore[arg-type]
        (float(span[0]), float(span[1])),
        table.choice("fit", FITS),
        table.size("labels", 0, least=0),
        table.flag("skip_grey", False),
        table.choice("embedded", EMBEDDED) if "embedded" in table else "",
        table.choice("dataset", DATASETS) if "dataset" in table else "",
        table.choice("leftover", LEFTOVERS, "drop"),
        table.choice("first_pass", FIRST_PASSES, "shuffled"),
        table.choice("crop", CROPS, "none"),
        table.flag("flip", False),
    )
    table.read |= {"embedded", "dataset"}
    table.close()
    return data


def read_run(table: Table) -> Run:
    """Read the table `[run]`."""
    grid = table.sizes("grid")
    if "grid" in table and len(grid) != 2:
        table.note("grid", f"expected [rows, columns], found {len(grid)} sizes")
    if math.prod(grid) > MAX_GRID:
        table.note("grid", f"expected at most {MAX_GRID:,} samples, found {math.prod(grid):,}")
    if "epochs" in table and "iterations" in table:
        table.note("iterations", "a run is counted in epochs or in iterations, not in both")
    later = None
    if (own := table.optional("samples_later", removable=True)) is not None:
        later = (own.size("after"), own.size("every"))
        own.close()
    counted = "iterations" if "iterations" in table else "epochs"
    length = table.size(counted)
    run = Run(
        table.size("batch"),
        length if counted == "epochs" else 0,
        length if counted == "iterations" else 0,
        table.size("samples_every"),
        later,
        table.size("samples_from", 0, least=0),
        table.size("checkpoint_every"),
        (grid[0], grid[1]) if len(grid) == 2 else (1, 1),
        table.size("moving_average"),
        read_keep(table),
        read_measuring(table),
    )
    table.read |= {"iterations", "epochs"}
    table.close()
    return run


def read_decay(outer: Table) -> Decay | None:
    """Read the optional table `[learning_rate_decay]` of a system."""
    if (table := outer.optional("learning_rate_decay", removable=True)) is None:
        return None
    decay = Decay(table.text("watch"), table.number("factor", least=0, most=1), table.number("minimum", least=0))
    table.close()
    return decay


def read_growth(outer: Table) -> Growth | None:
    """Read the optional table `[growth]` of a system."""
    if (table := outer.optional("growth", removable=True)) is None:
        return None
    stages, images = table.size("stages", most=MAX_STAGES), table.size("images")
    stage, fade = 0, 0.0
    if (start := table.optional("start", removable=True)) is not None:
        stage = start.size("stage", least=0, most=stages - 1)
        fade = start.number("fade", 0.0, least=0, most=1 - 1e-9)
        start.close()
    table.close()
    return Growth(stages, images, stage, fade)


def read_manifold(outer: Table) -> Manifold | None:
    """Read the optional table `[manifold]` of a system."""
    if (table := outer.optional("manifold", removable=True)) is None:
        return None
    side = table.size("side", least=2, most=MAX_SIDE)
    low, high = (table.number(key, least=1e-6, most=1 - 1e-6) for key in ("low", "high"))
    if not low < high:
        table.note("high", f"expected a quantile above low, {low:g}, found {high:g}")
    table.close()
    return Manifold(side, low, high)


def read_averages(outer: Table, networks: Iterable[str]) -> dict[str, float]:
    """Read the optional table `[averages]` of a system.

    Args:
        outer: system file.
        networks: names of the networks that have parameters.

    Returns: the decay of each network's moving average; networks without one are absent.
    """
    if outer.take("averages", {}) == "none":
        return {}
    table, networks = outer.table("averages", {}), list(networks)
    for name in table.data:
        if name not in networks:
            message = f"there is no network '{name}' with parameters: {expected_one_of(networks)}"
            table.note(name, message, did_you_mean(name, networks) or f"delete it, or --set averages.{name}=none")
    kept = [name for name in table.data if table.data[name] != "none"]
    return {name: table.number(name, least=0, most=1 - 1e-9) for name in kept}
