"""Wrong training: optimisers, averages, gates; and systems that say something else: numbers, formulas, schedules.

A breaker takes a `Patch` and the name of a backend. Those of the second half change what is read from files, until the patch is
undone: a system that is loaded meanwhile is wrong, whoever computes it.
"""

from __future__ import annotations

import copy
import dataclasses
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ganspec.spec import SpecError
from ganspec.spec import system as reading
from ganspec.spec.parts.optimizers import Adam
from ganspec.spec.parts.schedule import RepeatOverride, Schedule, Step
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.files import Library, SpecFile
from ganspec.spec.text.tables import Table
from ganspec.spec.training.streams import Position
from ganspec.tools.agreement.mutants.computing import Breaker, memory, module
from ganspec.tools.agreement.mutants.patches import Patch, patched


def leaking_generator_loss(patch: Patch, backend: str) -> None:
    """D also minimises G's loss: both were summed and propagated together."""
    trainer = module(backend, "trainer")
    right = trainer.gradients_of

    def gradients(planned: Any, values: list[Any], *rest: Any) -> Any:
        if len(planned.losses) > 1:
            return right(planned, values, *rest)
        patch.reach()
        (i,) = planned.losses.values()
        changed = list(values)
        changed[i] = values[i] * 2.0
        return right(planned, changed, *rest)

    patch.setattr(trainer, "gradients_of", gradients)


def adam_without_correction(self: Adam, t: int, learning_rate: float) -> tuple[float, float]:
    return learning_rate, self.epsilon


_STEP_SIZE = Adam.step_size


def adam_counting_on(self: Adam, t: int, learning_rate: float) -> tuple[float, float]:
    return _STEP_SIZE(self, t + 1, learning_rate)


def adam_with(step_size: Callable[[Adam, int, float], tuple[float, float]]) -> Breaker:
    """Let a backend's Adam take steps of another size; the definition belongs to all witnesses."""

    def breaker(patch: Patch, backend: str) -> None:
        adam = module(backend, "optimizers").Adam
        right = adam.update

        def update(self: Any, *arguments: Any) -> None:
            patch.reach()
            with patched() as inside:
                inside.setattr(Adam, "step_size", step_size)
                right(self, *arguments)

        patch.setattr(adam, "update", update)

    return breaker


def count_for_each_parameter(patch: Patch, backend: str) -> None:
    """Adam's t counts the updates of each parameter, as PyTorch's own does."""
    adam = module(backend, "optimizers").Adam
    # Keyed by the optimiser itself: the id of one that is gone may be that of another.
    right, counts = adam.update, weakref.WeakKeyDictionary()

    def update(self: Any, parameters: Any, gradient: Any) -> None:
        patch.reach()
        count = counts.setdefault(self, np.zeros(parameters.shape[0], int))
        updates = self.updates
        for start, vector in gradient:
            own = count[start : start + len(vector)]
            for t in np.unique(own):
                edges = np.flatnonzero(np.diff(np.r_[0, own == t, 0])).tolist()
                self.updates = int(t)
                right(
                    self, parameters, [(start + a, vector[a:b]) for a, b in zip(edges[::2], edges[1::2], strict=True)]
                )
            own += 1
        self.updates = updates + 1

    patch.setattr(adam, "update", update)


def average_of_parameters_only(patch: Patch, backend: str) -> None:
    """A moving average forgets batch norm's statistics."""
    trained = module(backend, "trainer").TrainedNetwork
    right = trained.average

    def average(self: Any, decay: float) -> None:
        patch.reach()
        before = {path: memory(self.averages[path]) * 1.0 for path in self.statistics}
        right(self, decay)
        for path, array in before.items():
            memory(self.averages[path])[...] = array

    patch.setattr(trained, "average", average)


def gate_after_the_update(patch: Patch, backend: str) -> None:
    """A gate compares the loss as it is after the update, not the one that the update was made from."""
    trainer, to_numpy = module(backend, "trainer").Trainer, module(backend, "arrays").to_numpy

    def wrong(self: Any) -> Any:
        self._evaluation.start_iteration()
        for number, planned in enumerate(self._stage.plan.steps):
            for repeat in range(planned.step.repeats(self.iteration)):
                yield number, repeat
                if (until := planned.step.until) is not None:
                    patch.reach()
                    values = self._evaluation.values(planned, Position(self.iteration, number, repeat), None)
                    if until.reached(float(to_numpy(values[planned.reports[until.report]]))):
                        break

    patch.setattr(trainer, "repeats", wrong)


# What is read from files.


def changed(*settings: str) -> Breaker:
    """Read every system with other settings, where it has those keys and they change something."""

    def breaker(patch: Patch, backend: str) -> None:
        right = reading.whole_system

        def wrong(name: str, given: Any, *, reduced: bool) -> tuple[SpecFile, str, Library]:
            as_written = right(name, given, reduced=reduced)
            problems = Problems()
            try:
                found = right(name, [*given, *settings], reduced=reduced)
                reading._read(name, Table(found[0].data, found[0].file, "", problems), found[2], problems)
            except SpecError:
                return as_written
            if found[0].data != as_written[0].data:
                patch.reach()
            return found

        patch.setattr(reading, "whole_system", wrong)

    return breaker


def counted_repeats(rule: Callable[[RepeatOverride, int], bool]) -> Breaker:
    """Count the repeats of a step in another way: `rule` says whether its `repeat_override` holds in an iteration."""

    def breaker(patch: Patch, backend: str) -> None:
        right = reading.read_schedule

        class Counted(Step):
            def repeats(self, iteration: int) -> int:
                override = self.repeat_override
                if override is None:
                    return self.repeat
                patch.reach()
                return override.repeat if rule(override, iteration) else self.repeat

        def wrong(*arguments: Any) -> Schedule:
            schedule = right(*arguments)
            steps = tuple(
                Counted(**{f.name: getattr(s, f.name) for f in dataclasses.fields(s)}) for s in schedule.steps
            )
            return dataclasses.replace(schedule, steps=steps)

        patch.setattr(reading, "read_schedule", wrong)

    return breaker


def edited(kind: str, edit: Callable[[dict[str, Any]], bool]) -> Breaker:
    """Read other files of a kind: `edit` changes their data in place, and says whether it did."""

    def breaker(patch: Patch, backend: str) -> None:
        right = Library.find

        def find(self: Library, wanted: str, *rest: Any) -> SpecFile:
            found = right(self, wanted, *rest)
            data = copy.deepcopy(found.data)
            if wanted != kind or not edit(data):
                return found
            patch.reach()
            return dataclasses.replace(found, data=data)

        patch.setattr(Library, "find", find)

    return breaker


def reworded(old: str, new: str) -> Breaker:
    """Read losses with other words in their formulas."""

    def edit(data: dict[str, Any]) -> bool:
        places = 0
        for table in ("define", "losses"):
            for key, text in data.get(table, {}).items():
                places += text.count(old)
                data[table][key] = text.replace(old, new)
        for carried in data.get("carried", {}).values():
            places += carried["next"].count(old)
            carried["next"] = carried["next"].replace(old, new)
        return bool(places)

    return edited("losses", edit)


def way_not_constant(data: dict[str, Any]) -> bool:
    """Cramer GAN: the gradient through h as it is, where Chainer-GAN-lib holds df/dh constant."""
    if "df_dh" not in data.get("define", {}):
        return False
    del data["define"]["df_dh"]
    data["define"]["penalty"] = "mean((norm(grad(f(h_mid, detach(h_2)), x_mid)) - 1) ^ 2)"
    return True


def fakes_made_anew(data: dict[str, Any]) -> bool:
    """The last step that reuses an earlier one's fakes makes them anew."""
    reusing = [step for step in data["steps"] if "reuse" in step]
    if reusing:
        del reusing[-1]["reuse"]
    return bool(reusing)
