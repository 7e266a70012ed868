"""What a system file says besides networks, losses and schedules: data, run, decay, growth, averages, the manifold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ganspec.spec.parts.optimizers import Optimizer, read_optimizer
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.text.tables import MAX_SIZE, Table

FITS = ("exact", "pad", "resize")
EMBEDDED = ("digits",)
DATASETS = ("mnist", "cifar10", "lfw")
LEFTOVERS = ("drop", "wrap")
FIRST_PASSES = ("shuffled", "in_order")
MAX_STAGES = 64  # of growth; the papers here have under 20
MAX_GRID = 10_000  # samples in one picture
MAX_SIDE = 100  # of a manifold: ten thousand images a label


@dataclass(frozen=True)
class Data:
    """What the symbols x and y are.

    Args:
        shape: of an image, (channels, height, width).
        range: the values that black and white become.
        fit: how images of another size come to this one: not at all ("exact"), "pad" with black, or "resize".
        labels: how many classes y has; 0 where there is no y.
        skip_grey: whether images whose channels are all equal are left out.
        embedded: the packaged data to train on when none is given, "" for none.
        dataset: the published data set that the source trains on and that can be downloaded, "" for none.
        leftover: what becomes of the images at an epoch's end that are fewer than a batch: they are not shown ("drop"), or the
            first images of the next epoch fill the batch ("wrap").
        first_pass: the order of images in the first epoch: "shuffled" like those after it, or "in_order", as the data has them.
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


@dataclass(frozen=True)
class Run:
    """How a system is trained.

    Args:
        batch: images a batch.
        epochs: how often all of the data is seen; 0 where iterations are counted instead.
        iterations: how many iterations there are; 0 where epochs are counted instead.
        samples_every, checkpoint_every: iterations between two sets of pictures, and between two checkpoints.
        samples_from: the iteration after which the first set of pictures is due; 0 for the first multiple of samples_every.
        samples_later: (after, every): iterations between two sets of pictures from iteration `after` on.
        grid: rows and columns of a grid of samples.
        moving_average: how many iterations the smooth curves in plots are means of.
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

    def shows(self, iteration: int) -> bool:
        """Returns: whether pictures are due after an iteration."""
        later, since = self.samples_later, iteration - self.samples_from
        return since >= 0 and since % (later[1] if later and iteration > later[0] else self.samples_every) == 0


@dataclass(frozen=True)
class Decay:
    """After every epoch in which the mean of a report did not fall below the epoch before, learning rates shrink.

    learning_rate <- max(factor learning_rate, minimum)
    """

    watch: str
    factor: float
    minimum: float

    def shrunk(self, learning_rate: float) -> float:
        """Returns: the learning rate after such an epoch; one that is below the minimum already stays as it is."""
        return max(learning_rate * self.factor, min(learning_rate, self.minimum))


@dataclass(frozen=True)
class Growth:
    """Networks that grow (Karras et al. 2018, arXiv:1710.10196): `stages` in all, each for `images` images.

    With p = iteration * batch / images, the stage is floor(p), and layers of kind "fade" mix with a = p - floor(p). The last
    stage lasts for ever.
    """

    stages: int
    images: int

    def at(self, iteration: int, batch: int) -> tuple[int, float]:
        """Returns: the stage of an iteration, and a."""
        stage, images = divmod(iteration * batch, self.images)
        return (stage, images / self.images) if stage < self.stages else (self.stages - 1, 0.0)


@dataclass(frozen=True)
class Manifold:
    """What G makes of all of a two-dimensional normal latent: a side x side grid of its quantiles, from low to high."""

    side: int
    low: float
    high: float


def read_data(table: Table) -> Data:
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
    )
    table.read |= {"embedded", "dataset"}
    table.close()
    return data


def read_run(table: Table) -> Run:
    grid = table.sizes("grid")
    if "grid" in table and len(grid) != 2:
        table.note("grid", f"expected [rows, columns], found {len(grid)} sizes")
    if math.prod(grid) > MAX_GRID:
        table.note("grid", f"expected at most {MAX_GRID:,} samples, found {math.prod(grid):,}")
    if "epochs" in table and "iterations" in table:
        table.note("iterations", "a run is counted in epochs or in iterations, not in both")
    later = None
    if (own := table.optional("samples_later")) is not None:
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
    )
    table.read |= {"iterations", "epochs"}
    table.close()
    return run


def read_decay(outer: Table) -> Decay | None:
    if (table := outer.optional("learning_rate_decay", removable=True)) is None:
        return None
    decay = Decay(table.text("watch"), table.number("factor", least=0, most=1), table.number("minimum", least=0))
    table.close()
    return decay


def read_growth(outer: Table) -> Growth | None:
    if (table := outer.optional("growth", removable=True)) is None:
        return None
    growth = Growth(table.size("stages", most=MAX_STAGES), table.size("images"))
    table.close()
    return growth


def read_manifold(outer: Table) -> Manifold | None:
    if (table := outer.optional("manifold", removable=True)) is None:
        return None
    side = table.size("side", least=2, most=MAX_SIDE)
    low, high = (table.number(key, least=1e-6, most=1 - 1e-6) for key in ("low", "high"))
    if not low < high:
        table.note("high", f"expected a quantile above low, {low:g}, found {high:g}")
    table.close()
    return Manifold(side, low, high)


def read_averages(outer: Table, networks: Iterable[str]) -> dict[str, float]:
    """Returns: for each network of which a moving average is kept, the average's decay."""
    table, networks = outer.table("averages", {}), list(networks)
    for name in table.data:
        if name not in networks:
            message = f"there is no network '{name}' with parameters: {expected_one_of(networks)}"
            table.note(name, message, did_you_mean(name, networks))
    kept = [name for name in table.data if table.data[name] != "none"]
    return {name: table.number(name, least=0, most=1 - 1e-9) for name in kept}


def read_optimizers(table: Table, networks: Iterable[str]) -> dict[str, Optimizer]:
    """Keys beside the networks' names are shared by all networks."""
    networks = list(networks)
    own = {n: v for n, v in table.data.items() if n in networks or (isinstance(v, dict) and n != "clip")}
    shared = {k: v for k, v in table.data.items() if k not in own}
    for n in own:
        if n not in networks:
            table.note(n, f"there is no network '{n}' to train: {expected_one_of(networks)}", did_you_mean(n, networks))
    optimizers = {}
    for n in networks:
        mine = own.get(n, {})
        merged = {**shared, **mine} if isinstance(mine, dict) else mine
        if isinstance(mine, dict) and mine.get("kind", shared.get("kind")) != shared.get("kind"):
            merged = {
                k: v for k, v in shared.items() if k in ("learning_rate", "clip")
            } | mine  # another has other numbers
        key = table.path(n) if n in own else table.key
        optimizers[n] = read_optimizer(Table(merged, table.file, key, table.problems))
    overridden = [k for k in shared if networks and all(isinstance(own.get(n), dict) and k in own[n] for n in networks)]
    for k in overridden:
        table.note(k, "every network has its own value, so this one changes nothing")
    return optimizers
