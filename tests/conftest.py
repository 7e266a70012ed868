"""What all tests share: one thread per process, reproducible runs, backends and devices, any order."""

import gc
import os
import random
from collections.abc import Iterator
from importlib.util import find_spec

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests' arrays are tiny, and pytest-xdist uses the cores

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from ganspec.tools.agreement.mutants.patches import Patch, patched

FRAMEWORKS = ("torch", "chainer")

# The examples are the same in every run: a test that begins to fail was broken by a change.
# To look for more: pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None, max_examples=300, print_blob=True)
settings.register_profile(
    "ganspec", deadline=None, max_examples=30, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ganspec")


def _cuda(backend: str) -> bool:
    if backend == "torch":
        import torch

        return torch.cuda.is_available()
    import ganspec.impl_chainer.compat  # noqa: F401, I001
    import chainer

    return bool(chainer.backends.cuda.available)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run files, and the tests of each file, in random order"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the tests another order. The tests of a file stay together, for fixtures of a file may be costly."""
    if (seed := config.getoption("shuffle")) is None:
        return
    generator = random.Random(seed)
    generator.shuffle(items)
    files = list(dict.fromkeys(item.path for item in items))
    generator.shuffle(files)
    places = {path: place for place, path in enumerate(files)}
    items.sort(key=lambda item: places[item.path])


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over all tests and modules, which stay to the end: 5% of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Seeds NumPy's global generator, from which Chainer draws initial values and the directions of its gradient checks."""
    np.random.seed(0)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Each device that this machine has."""
    if request.param == "cuda" and not all(find_spec(name) and _cuda(name) for name in FRAMEWORKS):
        pytest.skip("no CUDA device for both backends")
    return request.param


@pytest.fixture(params=FRAMEWORKS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend by name."""
    return request.param


@pytest.fixture
def patch() -> Iterator[Patch]:
    """What breakers change code with; it is put back after the test."""
    with patched() as patch:
        yield patch


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run draws nothing: drawing takes longer than training here."""
    from ganspec.tools.run import album

    monkeypatch.setattr(album, "missing_packages", lambda: ["Pillow", "matplotlib"])


@pytest.fixture(scope="session")
def both_backends() -> None:
    """Skips the test where one of the frameworks is not installed: it compares the backends."""
    for name in FRAMEWORKS:
        _skip_without(name)


def _skip_without(framework: str) -> None:
    if find_spec(framework) is None:
        pytest.skip(f"needs {framework}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is parametrised with a framework that is not installed."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    for name in FRAMEWORKS:
        if any(isinstance(value, str) and value == name for value in parameters):
            _skip_without(name)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Iterator[None]:
    """Skip what ends because a framework is not installed."""
    try:
        return (yield)
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ModuleNotFoundError) and cause.name in FRAMEWORKS:
                _skip_without(cause.name)
            cause = cause.__cause__ or cause.__context__
        raise
