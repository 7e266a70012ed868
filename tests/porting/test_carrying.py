"""The numbers of a snapshot in PyTorch's files: a state dict that loads strictly, an optimiser that goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools.porting.carry_errors import CarryError
from ganspec.tools.porting.carrying import Numbers, carry, read_numbers
from ganspec.tools.porting.optimizers_written import parse_optimizer
from support.old_models import chainer_modules, make_net, npz_of, same_bits, step
from support.ported import Port, trained_port

pytestmark = pytest.mark.usefixtures("both_backends")


@pytest.fixture
def port(tmp_path) -> Port:
    net = make_net()
    return Port(tmp_path, net, npz_of(net))


@pytest.fixture
def trained(tmp_path) -> Port:
    return trained_port(tmp_path)


def test_a_port_has_these_files(port) -> None:
    assert port.carried.files == ("weights.safetensors", "weights.pt", "names.json")
    assert sorted(path.name for path in port.folder.iterdir()) == sorted(port.carried.files)


def test_the_weights_load_strictly_and_the_module_computes_the_same(port) -> None:
    import torch
    from safetensors.torch import load_file

    chainer = chainer_modules()
    module = port.loaded()
    x = np.random.standard_normal((5, 3)).astype("f")
    with chainer.using_config("train", False):
        np.testing.assert_allclose(
            module.eval()(torch.tensor(x)).detach().numpy(), port.net(x).array, rtol=1e-5, atol=1e-6
        )
    both = load_file(port.folder / "weights.safetensors"), torch.load(port.folder / "weights.pt", weights_only=True)
    assert same_bits(*({key: value.numpy() for key, value in each.items()} for each in both))


def test_the_state_of_an_optimizer_and_what_the_user_said_of_it_are_written(trained) -> None:
    assert trained.carried.files[3:] == (
        "progress.json",
        "optimizer.safetensors",
        "optimizer.pt",
        "optimizer.py",
        "optimizer.json",
    )
    said = json.loads((trained.folder / "optimizer.json").read_text())
    assert said["class"] == "Adam"
    assert said["values"]["beta1"] == 0.5
    assert "eps" in said["assumed"]
    assert said["hooks"] == [{"class": "WeightDecay", "values": {"rate": 0.0001}, "assumed": []}]
    assert any(
        note.startswith("Adam has the defaults of Chainer 7.8.1 where you gave nothing: beta2=0.999")
        for note in trained.carried.notes
    )


def test_a_rate_that_an_extension_moved_is_noted(trained) -> None:
    """The old script's alpha is where training began; the snapshot's next update has another."""
    (note,) = [note for note in trained.carried.notes if note.startswith("ExponentialShift")]
    assert note == (
        "ExponentialShift has moved a hyper-parameter 3 times, last to 0.00125: to go on exactly, if it was this optimiser's "
        'rate, say after make_optimizer: optimizer.param_groups[0]["lr"] = 0.00125'
    )
    assert json.loads((trained.folder / "progress.json").read_text())["iteration"] == 3


def test_without_the_users_word_the_hyperparameters_are_said_to_be_unknown(trained, tmp_path) -> None:
    (tmp_path / "more").mkdir()
    carried = Port(tmp_path / "more", trained.net, trained.snapshot.read_bytes()).carried
    assert carried.files[-1] == "optimizer.pt"
    assert any(
        "holds no hyper-parameter" in note and "AdaBound or Adam or AdamW or MSVAG" in note for note in carried.notes
    )


@pytest.mark.parametrize("text", ["SGD(0.1)", "AMSGrad()", "Adam(amsgrad=True)"])
def test_another_optimizer_than_the_snapshots_is_refused(trained, text) -> None:
    with pytest.raises(CarryError, match="is not the optimiser of this snapshot, which keeps m, v for each parameter"):
        read_numbers(trained.net, trained.snapshot, optimizer=text)


def test_a_file_that_cannot_be_written_leaves_nothing(port) -> None:
    from ganspec.tools.errors import UserError

    (port.folder / "optimizer.json").mkdir()
    numbers = Numbers(port.numbers.arrays, port.numbers.model, optimizer=parse_optimizer("SGD"))
    with pytest.raises(
        UserError, match=r"optimizer.json: cannot be written: .*; move that folder away, or choose another place"
    ):
        carry(port.folder, numbers)
    assert not list(port.folder.glob(".*"))


def test_a_link_without_a_snapshot_gives_its_own_numbers(tmp_path) -> None:
    chainer = chainer_modules()
    net = make_net()
    assert read_numbers(net).model.values["l0/W"].tobytes() == net.l0.W.array.tobytes()
    lazy = chainer.Chain(l=chainer.links.Linear(None, 2))
    with pytest.raises(
        CarryError, match="Chain: l/W: not initialised, so without a shape; give its sizes, or a snapshot"
    ):
        read_numbers(lazy)
    (tmp_path / "m.npz").write_bytes(npz_of(chainer.Chain(l=chainer.links.Linear(3, 2))))
    shapes = {array.chainer_path: array.shape for array in read_numbers(lazy, tmp_path / "m.npz").arrays}
    assert shapes == {"l/W": (2, 3), "l/b": (2,)}


def test_an_optimizer_in_a_file_of_its_own_is_carried(tmp_path) -> None:
    chainer = chainer_modules()
    net = make_net()
    optimizer = chainer.optimizers.RMSprop().setup(net)
    step(net, optimizer, 0)
    (tmp_path / "m.npz").write_bytes(npz_of(net))
    (tmp_path / "o.npz").write_bytes(npz_of(optimizer))
    numbers = read_numbers(net, tmp_path / "m.npz", optimizer_snapshot=tmp_path / "o.npz", optimizer="RMSprop()")
    assert numbers.state.t == 1
    assert "optimizer.py" in carry(tmp_path, numbers).files


OLD = Path(__file__).resolve().parents[1] / "compat" / "old"


def test_torch_finishes_a_training_that_chainer_began_on_numpy_1(tmp_path) -> None:
    """The same parameters as Chainer's own, which finished it where it began: model, optimiser, rate, order of the data."""
    import torch
    from torch import nn

    chainer = chainer_modules()
    model = chainer.Chain(
        hidden=chainer.links.Linear(None, 4),
        normalization=chainer.links.BatchNormalization(4),
        output=chainer.links.Linear(4, 3),
    )
    numbers = read_numbers(model, OLD / "snapshot.npz", optimizer="SMORMS3(0.01)")
    assert numbers.model.prefix == "updater/model:main/predictor/"
    assert numbers.progress.shifts == {"ExponentialShift": (2, pytest.approx(0.0081))}
    assert any('["lr"] = 0.0081' in note for note in carry(tmp_path, numbers).notes)

    class Ported(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(6, 4)
            self.normalization = nn.BatchNorm1d(4, eps=2e-5)
            self.output = nn.Linear(4, 3)

        def forward(self, x):
            return self.output(torch.relu(self.normalization(self.hidden(x))))

    module, namespace = Ported(), {}
    module.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    exec((tmp_path / "optimizer.py").read_text(), namespace)
    optimizer = namespace["make_optimizer"](module)
    optimizer.carry(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    optimizer.param_groups[0]["lr"] = 0.0081  # as the note of the port says
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    x = torch.tensor(np.random.RandomState(1).randn(8, 6).astype("f"))
    labels = torch.arange(8) % 3
    np.random.seed(5)  # as the old script does; Chainer draws the order of an epoch when the one before it ends
    at = json.loads((tmp_path / "progress.json").read_text())["iterators"]["main"]
    assert at["position"] == 0
    for order in (at["order"], np.random.permutation(8)):
        for batch in (order[:4], order[4:]):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
    ours = {array.chainer_path: module.state_dict()[array.torch_key] for array in numbers.arrays if array.trained}
    found = np.concatenate([ours[path].numpy().ravel() for path in sorted(ours)])
    # The gradient of a bias before a batch normalization is rounding alone, of which SMORMS3 makes steps of full size.
    names = np.concatenate([[path] * ours[path].numel() for path in sorted(ours)])
    judged = names != "hidden/b"
    np.testing.assert_allclose(found[judged], np.load(OLD / "finished.npy")[judged], rtol=1e-5, atol=1e-6)
