"""A small training, begun where Chainer ran unmended and finished by the test.

``snapshot.npz`` is the trainer after two epochs, ``model.pkl`` its pickled model, ``finished.npy`` the parameters after
four, all made with Python 3.11, NumPy 1.23.5 and chainer 7.8.1: ``python training.py``, in this folder.
"""

import pickle
import sys

import chainer
import numpy as np
from chainer import functions as F
from chainer import links as L
from chainer import training
from chainer.training import extensions


class Model(chainer.Chain):
    """Batch normalization for its statistics and its integer count; a layer that is made when it is used."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.hidden = L.Linear(None, 4)
            self.normalization = L.BatchNormalization(4)
            self.output = L.Linear(4, 3)

    def forward(self, x):
        return self.output(F.relu(self.normalization(self.hidden(x))))


def trainer(epochs, out):
    """A trainer with an optimiser that has much state, a report, and a learning rate that changes."""
    random = np.random.RandomState(1)
    data = chainer.datasets.TupleDataset(random.randn(8, 6).astype("f"), (np.arange(8) % 3).astype("i"))
    model = L.Classifier(Model())
    optimizer = chainer.optimizers.SMORMS3(np.float64(1e-2)).setup(model)
    updater = training.StandardUpdater(chainer.iterators.SerialIterator(data, 4), optimizer)
    made = training.Trainer(updater, (epochs, "epoch"), out=out)
    made.extend(extensions.LogReport(trigger=(1, "epoch"), filename=None))
    made.extend(extensions.ExponentialShift("lr", 0.9), trigger=(1, "epoch"))
    return made, model


def finish(made, model):
    """Train to the end; the order of the samples is drawn from NumPy's own random state. Returns the parameters."""
    np.random.seed(5)
    made.run()
    return np.concatenate([p.array.ravel() for _, p in sorted(model.namedparams())])


if __name__ == "__main__":
    sys.modules["training"] = sys.modules["__main__"]
    Model.__module__ = "training"
    np.random.seed(0)
    first, model = trainer(2, "result")
    first.run()
    chainer.serializers.save_npz("snapshot.npz", first)
    with open("model.pkl", "wb") as file:
        pickle.dump(model.predictor, file)
    second, model = trainer(4, "result")
    chainer.serializers.load_npz("snapshot.npz", second)
    np.save("finished.npy", finish(second, model))
