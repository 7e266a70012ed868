"""Small models and trainers as legacy scripts have them, and the files that Chainer makes of them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


def chainer_modules() -> Any:
    """Returns: Chainer, mended; a test that runs without it is skipped."""
    import ganspec.impl_chainer.compat  # noqa: F401, I001
    import chainer

    return chainer


def make_net(width: int = 4, seed: int = 0, dtype: str = "float32") -> Any:
    """Returns: a Chain with a layer, a normalization, a list, a Sequential, and parameters of its own."""
    chainer = chainer_modules()
    F, L = chainer.functions, chainer.links

    class Net(chainer.Chain):
        def __init__(self) -> None:
            super().__init__()
            with self.init_scope():
                self.l0 = L.Linear(3, width)
                self.bn = L.BatchNormalization(width)
                self.blocks = chainer.ChainList(L.Linear(width, width), L.Linear(width, width, nobias=True))
                self.tail = chainer.Sequential(F.relu, L.Linear(width, width), F.tanh, L.Linear(width, 2))
                self.scale = chainer.Parameter(np.ones(2, np.float32))
            self.add_persistent("seen", np.zeros((), np.int64))

        def forward(self, x: Any) -> Any:
            h = self.bn(self.l0(x))
            for block in self.blocks:
                h = F.tanh(block(h))
            return self.tail(h) * F.broadcast_to(self.scale, (len(x), 2))

    np.random.seed(seed)
    with chainer.using_config("dtype", np.dtype(dtype)):
        net = Net()
    for parameter in net.params():
        parameter.array[...] = np.random.standard_normal(parameter.shape)
    return net


def step(net: Any, optimizer: Any, seed: int) -> None:
    """Train a net once, on data of its own."""
    F = chainer_modules().functions
    x = np.random.default_rng(seed).standard_normal((5, 3)).astype(net.l0.W.dtype)
    optimizer.update(lambda: F.sum(net(x) ** 2) / 5)


def npz_of(thing: Any) -> bytes:
    """Returns: what save_npz writes of a link, an optimiser or a trainer."""
    chainer_modules()
    from chainer.serializers import save_npz

    file = io.BytesIO()
    save_npz(file, thing)
    return file.getvalue()


def trainer_of(folder: Path, models: dict[str, Any], optimizers: dict[str, Any], iterations: int = 3) -> Any:
    """Returns: a trainer that has trained models at once, with an iterator and extensions that write their state."""
    chainer = chainer_modules()
    from chainer import training
    from chainer.training import extensions

    F = chainer.functions

    class Updater(training.updaters.StandardUpdater):
        def update_core(self) -> None:
            x = chainer.dataset.concat_examples(self.get_iterator("main").next())
            for name, optimizer in self.get_all_optimizers().items():
                optimizer.update(lambda model=models[name]: F.sum(model(x) ** 2))

    data = np.random.default_rng(1).standard_normal((10, 3)).astype(np.float32)
    for name, optimizer in optimizers.items():
        optimizer.setup(models[name])
    updater = Updater(chainer.iterators.SerialIterator(data, 4), optimizers)
    trainer = training.Trainer(updater, (iterations, "iteration"), out=str(folder))
    first = optimizers[min(optimizers)]
    rate = "alpha" if hasattr(first, "alpha") else "lr"
    trainer.extend(extensions.ExponentialShift(rate, 0.5, optimizer=first), trigger=(1, "iteration"))
    trainer.extend(extensions.LogReport(trigger=(1, "iteration")))
    trainer.run()
    return trainer


def arrays_in(content: bytes) -> dict[str, np.ndarray]:
    """Returns: the arrays of an npz file, read by NumPy; those that are Python objects are left out."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file, zipfile.ZipFile(io.BytesIO(content)) as archive:
        plain = [name for name in file.files if b"'|O'" not in archive.read(f"{name}.npy")[:100]]
        return {name: file[name] for name in plain}


def same_bits(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    """Returns: whether two sets of arrays have the same names, types, shapes and bits."""
    return first.keys() == second.keys() and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in ((first[name], second[name]) for name in first)
    )
