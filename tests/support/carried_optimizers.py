"""A link with its optimiser in Chainer, and the same optimiser as a port continues it in PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ganspec.tools.porting.carrying import optimizer_dict
from ganspec.tools.porting.names import arrays_of
from ganspec.tools.porting.optimizers_states import read_optimizer
from ganspec.tools.porting.optimizers_written import (
    Written,
    optimizer_source,
)
from ganspec.tools.porting.snapshot_files import open_snapshot
from support.old_models import chainer_modules, npz_of


class Trained:
    """A link with a few parameters, one of them a single number, and its optimiser in Chainer."""

    def __init__(self, optimizer: Written, hooks: list[Written], dtype: str = "float64") -> None:
        chainer = chainer_modules()
        self.link, self.numbers, self.dtype = chainer.Link(), np.random.default_rng(0), dtype
        with self.link.init_scope():
            for name, shape in {"matrix": (4, 3), "number": (), "row": (19,)}.items():
                setattr(self.link, name, chainer.Parameter(self.draw(shape)))
        self.optimizer = getattr(chainer.optimizers, optimizer.name)(**optimizer.values).setup(self.link)
        for number, hook in enumerate(hooks):
            made = getattr(chainer.optimizer_hooks, hook.name)(**hook.values)
            self.optimizer.add_hook(made, name=f"{number}")

    def draw(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.asarray(self.numbers.standard_normal(shape), self.dtype)

    def gradients(self) -> dict[str, np.ndarray]:
        return {name[1:]: self.draw(p.shape) for name, p in self.link.namedparams()}

    def update(self, gradients: dict[str, np.ndarray]) -> None:
        for name, p in self.link.namedparams():
            p.grad = gradients[name[1:]].copy()
        self.optimizer.update()


def carried_to_torch(path: Path, trained: Trained, optimizer: Written, hooks: list[Written]):
    """Returns: the parameters in PyTorch, and the optimiser that the written source makes, with the state of a snapshot."""
    import torch

    path.write_bytes(npz_of(trained.optimizer))
    state = read_optimizer(open_snapshot(path), arrays_of(trained.link))
    module = torch.nn.Module()
    for name, p in trained.link.namedparams():
        module.register_parameter(name[1:], torch.nn.Parameter(torch.tensor(p.array)))
    namespace: dict = {}
    exec(optimizer_source(optimizer, hooks), namespace)
    made = namespace["make_optimizer"](module)
    made.carry({name: torch.tensor(a) for name, a in optimizer_dict(arrays_of(trained.link), state).items()})
    return dict(module.named_parameters()), made
