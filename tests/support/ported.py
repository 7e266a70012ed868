"""A net of a legacy script, its snapshot, and the port of its numbers."""

from __future__ import annotations

from pathlib import Path

from ganspec.tools.porting.carrying import carry, read_numbers
from ganspec.tools.porting.carrying_back import carry_back
from support.old_models import chainer_modules, make_net, npz_of, trainer_of


class Port:
    """A net, its snapshot, and the folder of its port."""

    def __init__(
        self, folder: Path, net, content: bytes, optimizer: str | None = None, prefix: str | None = None
    ) -> None:
        self.folder, self.net, self.snapshot = folder / "port", net, folder / "snapshot"
        self.folder.mkdir()
        self.snapshot.write_bytes(content)
        hooks = ["WeightDecay(1e-4)"] if optimizer else []
        self.numbers = read_numbers(net, self.snapshot, prefix=prefix, optimizer=optimizer, hooks=hooks)
        self.carried = carry(self.folder, self.numbers)

    def module(self):
        """Returns: the net by hand in PyTorch, as a port writes it."""
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.l0 = nn.Linear(3, 4)
                self.bn = nn.BatchNorm1d(4, eps=2e-5)
                self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4, bias=False)])
                self.tail = nn.Sequential(nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
                self.scale = nn.Parameter(torch.ones(2))
                self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

            def forward(self, x):
                h = self.bn(self.l0(x))
                for block in self.blocks:
                    h = torch.tanh(block(h))
                return self.tail(h) * self.scale

        return Net()

    def loaded(self):
        import torch

        module = self.module()
        module.load_state_dict(torch.load(self.folder / "weights.pt", weights_only=True), strict=True)
        return module


def back(port: Port, state, out: str = "new.npz", name: str = "weights.pt", **options) -> Path:
    """Returns: the new snapshot, made of a state dict that PyTorch saved in the port's folder."""
    import torch

    torch.save(state, port.folder / name)
    carry_back(port.folder / name, port.snapshot, port.snapshot.with_name(out), **options)
    return port.snapshot.with_name(out)


def trained_port(folder: Path) -> Port:
    """Returns: a net that a trainer trained beside another one."""
    chainer = chainer_modules()
    nets = {"gen": make_net(seed=0), "dis": make_net(width=5, seed=1)}
    optimizers = {"gen": chainer.optimizers.Adam(1e-3, beta1=0.5), "dis": chainer.optimizers.SGD()}
    content = npz_of(trainer_of(folder, nets, optimizers))
    return Port(folder, nets["gen"], content, "Adam(1e-3, beta1=0.5)")
