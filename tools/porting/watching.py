"""Where draws are seen: while `watching()` is in force, `numpy.random` and generators that his code makes ask the recorder."""

from __future__ import annotations

import contextlib
import random
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ganspec.tools.conformance.errors import calling_line
from ganspec.tools.porting.draws import CURRENT, unknown

_PLAIN = (
    "uniform", "random", "random_sample", "ranf", "sample", "rand", "normal", "standard_normal", "randn", "randint", "integers",
    "binomial", "choice", "permutation", "shuffle", "gumbel", "exponential", "standard_exponential",
)  # fmt: skip
# Methods whose distributions the port cannot draw.
_REFUSED = (
    "beta", "chisquare", "dirichlet", "f", "gamma", "geometric", "hypergeometric", "laplace", "logistic", "lognormal",
    "logseries", "multinomial", "multivariate_normal", "negative_binomial", "noncentral_chisquare", "noncentral_f", "pareto",
    "poisson", "power", "rayleigh", "standard_cauchy", "standard_gamma", "standard_t", "triangular", "vonmises", "wald",
    "weibull", "zipf", "bytes", "permuted", "random_integers",
)  # fmt: skip
# What differs from run to run; of `random` and of the time.
_RANDOM = (
    "random", "uniform", "randint", "randrange", "choice", "choices", "sample", "shuffle", "gauss", "normalvariate",
    "betavariate", "expovariate", "triangular", "getrandbits",
)  # fmt: skip
_TIME = ("time", "time_ns", "perf_counter", "monotonic", "process_time")


def _asking(name: str, original: Callable[..., Any], skipped: int = 0) -> Callable[..., Any]:
    """Returns: a function of numpy.random that asks the recorder if there is one; `skipped` is 1 for a method."""

    def function(*args: Any, **kwargs: Any) -> Any:
        recorder = CURRENT["recorder"]
        if recorder is None:
            return original(*args, **kwargs)
        if name in _REFUSED:
            raise unknown(f"np.random.{name}")
        return getattr(recorder.asked, name)(*args[skipped:], **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__module__ = "numpy.random"  # by which a trace knows it
    return function


class _AsNumpys(type):
    """Lets NumPy's own objects be instances of the class that stands in for theirs."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.__mro__[1])


class _State(np.random.RandomState, metaclass=_AsNumpys):
    """Stands in for a `RandomState` that his code holds."""


class _Generator(np.random.Generator, metaclass=_AsNumpys):
    """Stands in for a `Generator` that his code holds."""


for _class in (_State, _Generator):
    for _name in (*_PLAIN, *_REFUSED):
        if hasattr(_class, _name):
            setattr(_class, _name, _asking(_name, getattr(_class, _name), skipped=1))


def _noting(kind: str, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        recorder = CURRENT["recorder"]
        if recorder is not None and (line := calling_line()):
            (recorder.foreign if kind == "random" else recorder.clock).append(f"{line}: {kind}.{name}")
        return original(*args, **kwargs)

    function.__name__, function.__module__ = name, kind  # by which a refusal names it
    return function


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Let draws be recorded: while his code is imported, made and called.

    Generators that he makes within ask the recorder, too. Without a recorder that records, everything is as usual.
    """
    saved: list[tuple[Any, str, Any]] = []

    def put(module: Any, name: str, value: Any) -> None:
        saved.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    try:
        for name in (*_PLAIN, *_REFUSED):
            if hasattr(np.random.RandomState, name):  # as in NumPy, a method of the generator that all share
                method = _asking(name, getattr(np.random.RandomState, name), skipped=1)
                put(np.random, name, types.MethodType(method, np.random.mtrand._rand))
            elif hasattr(np.random, name):
                put(np.random, name, _asking(name, getattr(np.random, name)))
        put(np.random, "RandomState", _State)
        make = np.random.default_rng
        put(np.random, "default_rng", lambda seed=None: _Generator(make(seed).bit_generator))
        for kind, module, names in (("random", random, _RANDOM), ("time", time, _TIME)):
            for name in names:
                put(module, name, _noting(kind, name, getattr(module, name)))
        yield
    finally:
        for module, name, value in reversed(saved):
            setattr(module, name, value)
