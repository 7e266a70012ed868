"""A run by several processes, as one of them sees it: who speaks and writes, and what they tell each other.

The first process writes the run's folder, shows the bar and speaks. The others compute, are silent, and write nothing. Between
iterations, and at a few places before the first one, they exchange what happened: whether one was interrupted or has failed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from ganspec.spec.system import System
from ganspec.spec.text.errors import SpecError
from ganspec.spec.training.ranks import RanksError, Share, check_share
from ganspec.spec.training.state import TrainingState
from ganspec.tools.errors import FAILED, UserError
from ganspec.tools.run.alike import differing
from ganspec.tools.run.launch import Launch

Result = TypeVar("Result")


class Together:
    """The processes of a run, as one of them sees them.

    Args:
        group: group that exchanges arrays and texts, a backend's `Processes`; None for one process.
        launch: how this process was started.
    """

    def __init__(self, group: Any = None, launch: Launch = Launch()) -> None:  # noqa: B008 (it is frozen)
        self.group, self.launch = group, launch
        self._first: dict[str, Any] = {}  # what the first process told last
        self.share = Share(group.rank, group.size) if group else Share(0, 1)
        self.resume_command = ""  # once there is a folder to resume from
        self.in_step = False  # whether the others wait for arrays, not for news

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.share.rank == 0

    @property
    def size(self) -> int:
        """The number of processes."""
        return self.share.size

    def check(self, system: System, backend: str, device: str) -> None:
        """Look whether a system can be trained so, and take a device.

        Raises:
            UserError: the batch cannot be split among the processes, a layer looks at the whole of it, or the processes are
                another backend's.
        """
        if self.group is None:
            return
        self.launch.check_backend(backend)
        exchanged = importlib.import_module(f"ganspec.impl_{backend}.ranks").EXCHANGED
        try:
            check_share(system, self.share, exchanged)
        except RanksError as error:
            raise UserError(str(error)) from None
        if device.startswith("cuda:"):
            raise UserError(f"--device {device}: each process takes a device of its own; give --device cuda")
        if remark := self.group.use(device):
            print(remark)

    def require_one(self, option: str) -> None:
        """Raises: UserError: there are several processes, and an option is for one."""
        if self.group is not None:
            raise UserError(f"{option} is for one process; leave out {self.launch.starter}")

    def recorded(self) -> dict[str, Any]:
        """Returns: what the record of a run says of its processes, where there are several."""
        return {"processes": self.size} if self.group else {}

    def trainer_options(self) -> dict[str, Any]:
        """Returns: the options that a trainer needs beside those of one process."""
        return {"ranks": self.group} if self.group else {}

    def settle(self) -> None:
        """Wait until all processes are here.

        Raises:
            UserError: one of them has failed before.
        """
        self._news({})

    def any(self, flag: bool) -> bool:
        """Returns: whether any process says so.

        Raises:
            UserError: one of them has failed before.
        """
        if self.group is None:
            return flag
        return any(self._news({"flag": True} if flag else {}))

    def from_first(self, text: str) -> str:
        """Returns: the text that the first process gives; what the others give is ignored.

        Raises:
            UserError: one of them has failed before.
        """
        if self.group is None:
            return text
        self._news({"text": str(text)} if self.leads else {})
        return str(self._first["text"])

    def in_turn(self, work: Callable[[], Result]) -> Result:
        """Have the first process of each machine do something, and then the others, which find what it left there.

        Raises:
            UserError: one of them has failed in it.
        """
        first = self.group is None or self.group.first_here
        if not first:
            self.settle()
            return work()
        done = work()
        self.settle()
        return done

    def check_alike(self, facts: Mapping[str, Any], shown: Mapping[str, str] | None = None) -> None:
        """Compare what each process was started with.

        Args:
            facts: what must be the same in all, values that JSON has, and tables of such, by the name that the user knows.
            shown: texts that messages show in place of some of the facts.

        Raises:
            UserError: they differ.
        """
        if self.group is None:
            return
        own = json.loads(json.dumps(facts))
        digests = {name: hashlib.sha256(json.dumps(v, sort_keys=True).encode()).hexdigest() for name, v in own.items()}
        if len({json.dumps(each["digests"], sort_keys=True) for each in self._news({"digests": digests})}) == 1:
            return
        found = [
            each["facts"]
            for each in self._news({"facts": {n: [digests[n], (shown or {}).get(n, v)] for n, v in own.items()}})
        ]
        raise UserError(differing(found))

    def check_same(self, of: Callable[[], TrainingState]) -> None:
        """Compare the state of all processes, bit for bit.

        Args:
            of: function that gives this process's state; called where there are several.

        Raises:
            UserError: they differ.
        """
        if self.group is None:
            return
        state = of()
        own = {name: hashlib.blake2b(a.tobytes(), digest_size=8).hexdigest() for name, a in state.arrays.items()}
        for rank, other in enumerate(self._news({"digests": own})):
            differing = next((name for name in own if other["digests"].get(name) != self._first["digests"][name]), "")
            if differing:
                raise UserError(
                    f"the processes no longer hold the same numbers: {differing} of process {rank} differs from that of "
                    f"process 0 after iteration {state.iteration:,}; nothing was written of it\n"
                    "start them on machines with equal processors, devices and versions of the framework"
                )

    @contextmanager
    def step(self) -> Iterator[None]:
        """Surround what exchanges arrays."""
        self.in_step = self.group is not None
        yield
        self.in_step = False

    def _news(self, own: dict[str, Any]) -> list[dict[str, Any]]:
        """Tell all processes something, if only that this one is here. Returns: what each tells that tells something."""
        if self.group is None:
            return []
        found = [json.loads(text) if text else {} for text in self.group.exchange(json.dumps(own) if own else "")]
        for rank, each in enumerate(found):
            if "failed" in each:
                where = f"process {rank} of {self.size}: " if rank else ""
                raise Told(where + each["failed"], each["code"])
        self._first = found[0]
        return [each for each in found if each]

    def tell(self, error: UserError | SpecError) -> UserError:
        """Tell all processes of a failure. Returns: the error to end with, in all of them the same."""
        try:
            self._news({"failed": str(error), "code": getattr(error, "code", FAILED)})
        except Told as told:
            return told
        raise AssertionError("a failure was told, and nobody heard of it")

    def lost(self) -> UserError:
        """Returns: the error to end with where another process is gone."""
        message = "another process of this run has ended; what it said, if it could, stands above"
        then = f"\ngo on from the newest checkpoint with: {self.resume_command}" if self.resume_command else ""
        return UserError(message + then)


class Told(UserError):
    """A failure that all processes know of."""


class Silent:
    """Stands where a part of a run is the first process's business: takes every call, and does and says nothing."""

    def __getattr__(self, name: str) -> Silent:
        return Silent()

    def __call__(self, *arguments: Any, **options: Any) -> Silent:
        return Silent()

    def __bool__(self) -> bool:
        return False

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass
