"""Wrong training, put into a backend or a spec by the tests that must see it rejected: optimisers, averages, schedules, formulas.

A breaker is called with pytest's monkeypatch and the name of a backend, and changes code for the rest of the test. One that is
`remade` changes what the packaged files say, so that the system must be read again.
"""

import copy
import dataclasses
import weakref

import numpy as np

from ganspec.spec.parts.schedule import Step
from ganspec.spec.text.files import Library
from ganspec.spec.training.streams import Position
from support.breakers import memory, module


def leaking_generator_loss(patch, backend):
    """D also minimises G's loss: both were summed and propagated together."""
    trainer = module(backend, "trainer")
    right = trainer.gradients_of

    def gradients(planned, values, networks, layers):
        (network,) = planned.losses
        i = planned.losses[network]
        changed = list(values)
        changed[i] = values[i] * 2.0
        return right(planned, changed, networks, layers)

    patch.setattr(trainer, "gradients_of", gradients)


def adam_without(correction):
    def breaker(patch, backend):
        from ganspec.spec.parts.optimizers import Adam

        right = Adam.step_size

        def step_size(self, t, learning_rate):
            if correction == "bias correction":
                return learning_rate, self.epsilon
            return right(self, t + 1, learning_rate)  # the count is off by one

        patch.setattr(Adam, "step_size", step_size)

    return breaker


def changed(*settings):
    """Returns: settings of the system as which a wrong implementation behaves."""
    return list(settings)


def average_of_parameters_only(patch, backend):
    trained = module(backend, "trainer").TrainedNetwork
    right = trained.average

    def average(self, decay):
        before = {path: memory(self.averages[path]) * 1.0 for path in self.statistics}
        right(self, decay)
        for path, array in before.items():
            memory(self.averages[path])[...] = array

    patch.setattr(trained, "average", average)


def repeats(rule):
    """Returns: a breaker that counts the repeats of a step in another way.

    Args:
        rule: function of the step's `repeat_override` and the iteration; whether the override holds then.
    """

    def breaker(patch, backend):
        def wrong(self, iteration):
            return (
                self.repeat_override.repeat
                if self.repeat_override and rule(self.repeat_override, iteration)
                else self.repeat
            )

        patch.setattr(Step, "repeats", wrong)

    return breaker


def gate_after_the_update(patch, backend):
    trainer, to_numpy = module(backend, "trainer").Trainer, module(backend, "arrays").to_numpy

    def wrong(self):
        for number, planned in enumerate(self._stage.plan.steps):
            for repeat in range(planned.step.repeats(self.iteration)):
                yield number, repeat
                values = self._evaluate(planned, Position(self.iteration, number, repeat), None)
                if planned.step.until.reached(float(to_numpy(values[planned.reports["L_D"]]))):
                    break

    patch.setattr(trainer, "repeats", wrong)


def count_for_each_parameter(patch, backend):
    """Adam's t counts the updates of each parameter, as PyTorch's own does."""
    adam = module(backend, "optimizers").Adam
    # Keyed by the optimiser itself: the id of one that is gone may be that of another.
    right, counts = adam.update, weakref.WeakKeyDictionary()

    def update(self, parameters, gradient, parts):
        count = counts.setdefault(self, np.zeros(parameters.shape[0], int))
        taking_part = np.zeros(parameters.shape[0], bool)
        for start, end in parts:
            taking_part[start:end] = True
        updates = self.updates
        for t in np.unique(count[taking_part]):
            edges = np.flatnonzero(np.diff(np.r_[0, taking_part & (count == t), 0]))
            self.updates = int(t)
            right(self, parameters, gradient, [(int(a), int(b)) for a, b in edges.reshape(-1, 2)])
        count[taking_part] += 1
        self.updates = updates + 1

    patch.setattr(adam, "update", update)


def remade(kind, edit):
    """Returns: a breaker after which the packaged file of a kind says something else; `edit(data)` changes it in place."""

    def breaker(patch, backend):
        right = Library.find

        def find(self, wanted, *rest):
            found = right(self, wanted, *rest)
            if wanted != kind:
                return found
            data = copy.deepcopy(found.data)
            edit(data)
            return dataclasses.replace(found, data=data)

        patch.setattr(Library, "find", find)

    return breaker


def reworded(old, new):
    """Returns: a breaker that puts other words into the formulas of a loss."""

    def edit(data):
        places = 0
        for table in ("define", "losses"):
            for key, text in data.get(table, {}).items():
                places += text.count(old)
                data[table][key] = text.replace(old, new)
        for carried in data.get("carried", {}).values():
            places += carried["next"].count(old)
            carried["next"] = carried["next"].replace(old, new)
        assert places, f"no formula has '{old}'"

    return remade("losses", edit)


def way_not_constant(data):
    """Cramer GAN: the gradient through h as it is, where Chainer-GAN-lib holds df/dh constant."""
    del data["define"]["df_dh"]
    data["define"]["penalty"] = "mean((norm(grad(f(h_mid, detach(h_2)), x_mid)) - 1) ^ 2)"


def fakes_made_anew(data):
    del data["steps"][2]["reuse"]
