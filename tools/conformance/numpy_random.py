"""NumPy's random functions and generators, answered with given numbers; CuPy's likewise where it is loaded.

Functions of `numpy.random` are replaced in that module for as long as somebody's code is watched. Generators that the code holds
(`rng = np.random.default_rng(0)`) cannot be changed; `reachable` puts a `ReplayedGenerator` in their place.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ganspec.tools.conformance.draws import Request
from ganspec.tools.conformance.errors import ConformanceError, calling_line, in_library

Answer = Callable[[Request], np.ndarray]
_SEEDING = ("seed", "get_state", "set_state", "RandomState", "Generator", "default_rng", "SeedSequence")
# Methods that draw, and cannot be replayed: their distributions are not among those of systems.
_OTHERS = (
    "beta", "chisquare", "dirichlet", "exponential", "f", "gamma", "geometric", "gumbel", "hypergeometric", "laplace",
    "logistic", "lognormal", "logseries", "multinomial", "multivariate_normal", "negative_binomial", "noncentral_chisquare",
    "noncentral_f", "pareto", "poisson", "power", "rayleigh", "shuffle", "permuted", "standard_cauchy", "standard_exponential",
    "standard_gamma", "standard_t", "triangular", "vonmises", "wald", "weibull", "zipf", "bytes", "permutation",
)  # fmt: skip


class Replayed:
    """The methods of a random generator, under the names of NumPy's old functions and of its new generators.

    Args:
        answer: function that gives the numbers of a request.
        module: how messages call it, "np.random".
        xp: NumPy, or CuPy, whose arrays it gives.
    """

    def __init__(self, answer: Answer, module: str = "np.random", xp: Any = np) -> None:
        self._answer, self._module, self._xp = answer, module, xp

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None) -> Any:
        return self._numbers("uniform", "uniform", low, high, size, dtype)

    def random(self, size: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return self._numbers("uniform", "random", 0.0, 1.0, size, dtype)

    random_sample = ranf = sample = random

    def rand(self, *size: int, dtype: Any = None) -> Any:
        return self._numbers("uniform", "rand", 0.0, 1.0, size or None, dtype)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None) -> Any:
        return self._numbers("normal", "normal", loc, scale, size, dtype)

    def standard_normal(self, size: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return self._numbers("normal", "standard_normal", 0.0, 1.0, size, dtype)

    def randn(self, *size: int, dtype: Any = None) -> Any:
        return self._numbers("normal", "randn", 0.0, 1.0, size or None, dtype)

    def randint(self, low: Any, high: Any = None, size: Any = None, dtype: Any = int, endpoint: bool = False) -> Any:
        low, high = (0, low) if high is None else (low, high)
        return self._numbers("label", "randint", low, high + endpoint, size, dtype)

    integers = randint

    def binomial(self, n: Any, p: Any, size: Any = None) -> Any:
        if n != 1:
            raise self._unknown(f"binomial({n}, {p})")
        return self._numbers("bernoulli", "binomial", p, 0.0, size, int)

    def choice(self, a: Any, size: Any = None, replace: bool = True, p: Any = None, **other: Any) -> Any:
        values = np.arange(a) if np.ndim(a) == 0 else np.asarray(a)
        if replace and p is None:
            return values[self._numbers("label", "choice", 0, len(values), size, int)]
        if replace and list(values) in ([0, 1], [False, True]):
            return self._numbers("bernoulli", "choice", p[1], 0.0, size, int)
        raise self._unknown("choice with probabilities or without replacement")

    def __getattr__(self, name: str) -> Any:
        if name in _OTHERS:
            raise self._unknown(name)
        raise AttributeError(name)

    def _numbers(self, family: str, call: str, a: Any, b: Any, size: Any, dtype: Any) -> Any:
        if np.ndim(a) or np.ndim(b):
            raise self._unknown(f"{call} with an array of bounds")
        shape = () if size is None else tuple(size) if np.ndim(size) else (int(size),)
        said = [f"{v:g}" for v in (a, b)] if (a, b) != (0.0, 1.0) and math.isfinite(b) else []
        text = f"{self._module}.{call}({', '.join([*said, str(list(shape))])})"
        values = self._answer(Request(family, tuple(map(int, shape)), float(a), float(b), text, calling_line()))
        values = values.astype(dtype) if dtype is not None else values
        given = values if self._xp is np else self._xp.asarray(values)
        return given if shape or self._xp is not np else given[()]

    def _unknown(self, what: str) -> ConformanceError:
        known = "uniform, normal, randint, choice and binomial(1, p) are"
        return ConformanceError(
            f"{calling_line()}: {self._module}.{what} draws numbers that cannot be replayed; {known}"
        )


class ReplayedGenerator(Replayed, np.random.Generator):
    """Stands in for a `numpy.random.Generator` that somebody's code holds."""

    def __init__(self, answer: Answer) -> None:
        np.random.Generator.__init__(self, np.random.PCG64(0))
        Replayed.__init__(self, answer, "generator")


class ReplayedState(Replayed, np.random.RandomState):
    """Stands in for a `numpy.random.RandomState` that somebody's code holds."""

    def __init__(self, answer: Answer) -> None:
        np.random.RandomState.__init__(self, 0)
        Replayed.__init__(self, answer, "RandomState")


def _unreplayed(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise self._unknown(name)

    return method


for _name in _OTHERS:  # those that NumPy's classes have would hide `__getattr__`
    setattr(ReplayedGenerator, _name, _unreplayed(_name))
    setattr(ReplayedState, _name, _unreplayed(_name))


@contextlib.contextmanager
def replaying(answer: Answer) -> Iterator[None]:
    """Answer what code asks of `numpy.random`, and of `cupy.random`.

    Calls that do not come from checked code but from a library's own workings, such as Chainer's initialisers, are answered
    likewise: a library draws for the code that called it.
    """
    modules = [(np.random, Replayed(answer))]
    if "cupy" in sys.modules:
        cupy = sys.modules["cupy"]
        modules.append((cupy.random, Replayed(answer, "cupy.random", cupy)))
    saved: list[tuple[Any, str, Any]] = []
    try:
        for module, replayed in modules:
            for name in dir(module):
                if name.startswith("_") or name in _SEEDING or not callable(getattr(module, name)):
                    continue
                if name in _OTHERS:
                    saved.append((module, name, getattr(module, name)))
                    setattr(module, name, _refusing(replayed, name, getattr(module, name)))
                elif hasattr(type(replayed), name):
                    saved.append((module, name, getattr(module, name)))
                    setattr(module, name, getattr(replayed, name))
            for name, made in (("default_rng", ReplayedGenerator), ("RandomState", ReplayedState)):
                if module is np.random:
                    saved.append((module, name, getattr(module, name)))
                    setattr(module, name, _making(made, answer, getattr(module, name)))
        yield
    finally:
        for module, name, original in reversed(saved):
            setattr(module, name, original)


def _refusing(replayed: Replayed, name: str, original: Any) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        if in_library():  # ganspec's own, or a library's bookkeeping
            return original(*args, **kwargs)
        raise replayed._unknown(name)

    return refuse


def _making(made: Any, answer: Answer, original: Any) -> Any:
    def make(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs) if in_library() else made(answer)

    return make
