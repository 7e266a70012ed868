"""What an old Chainer saved on an old stack is loaded, and a training that was begun there goes on to the same end."""

from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("chainer") is None, reason="needs chainer")

OLD = Path(__file__).with_name("old")
CODE = f"""
import ganspec.impl_chainer.compat
import pickle, sys, warnings
import numpy as np
warnings.filterwarnings("error", category=DeprecationWarning, module="chainer")
sys.path.insert(0, {str(OLD)!r})
import chainer, training
"""


def test_snapshot_of_an_old_stack_goes_on_to_the_same_end(passes, tmp_path):
    passes(
        CODE
        + f"""
made, model = training.trainer(4, {str(tmp_path)!r})
chainer.serializers.load_npz({str(OLD / "snapshot.npz")!r}, made)
assert made.updater.iteration == 4
expected = np.load({str(OLD / "finished.npy")!r})
found = training.finish(made, model)
assert made.updater.iteration == 8
assert found.dtype == expected.dtype == np.float32
assert np.abs(found - expected).max() < 1e-6, np.abs(found - expected).max()
log = made.get_extension("LogReport").log
assert [entry["epoch"] for entry in log] == [1, 2, 3, 4]
assert all(type(entry["main/loss"]) is float for entry in log)
"""
    )


def test_pickle_of_an_old_stack_is_the_model_of_the_snapshot(passes, tmp_path):
    passes(
        CODE
        + f"""
with open({str(OLD / "model.pkl")!r}, "rb") as file:
    model = pickle.load(file)
made, other = training.trainer(4, {str(tmp_path)!r})
chainer.serializers.load_npz({str(OLD / "snapshot.npz")!r}, made)
x = np.ones((2, 6), "f")
with chainer.using_config("train", False):
    assert (model(x).array == other.predictor(x).array).all()
assert (pickle.loads(pickle.dumps(model)).output.W.array == model.output.W.array).all()
"""
    )


def test_a_layer_without_parameters_yet_is_saved_and_loaded(passes, tmp_path):
    passes(
        f"""
import ganspec.impl_chainer.compat
import chainer
from chainer import links as L
path = {str(tmp_path / "lazy.npz")!r}
chainer.serializers.save_npz(path, L.Linear(None, 2))
layer = L.Linear(None, 2)
chainer.serializers.load_npz(path, layer)
assert layer.W.array is None
"""
    )
