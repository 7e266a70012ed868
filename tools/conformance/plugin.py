"""A plugin for pytest, found by itself where ganspec is installed: the fixture `ganspec_check`.

    def test_my_gan_is_wgan_gp(ganspec_check):
        ganspec_check("wgan_gp_mlp_mnist", my_step, G=my_generator, D=my_critic, optimizers={"G": opt_g, "D": opt_d})

The fixture calls `conformance.check` and fails the test where the code differs. The report is a section of its own in pytest's
output, and what was found stands among the test's properties in a JUnit file. Loading the plugin imports nothing of ganspec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

_REPORTS = pytest.StashKey[list[Any]]()


@pytest.fixture
def ganspec_check(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[..., Any]:
    """Check your own training step in a test: takes what `ganspec.conformance.check` takes, returns its report, and fails where
    the code differs."""
    reports: list[Any] = request.node.stash.setdefault(_REPORTS, [])

    def run(*arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        from ganspec.conformance import ConformanceError, check

        try:
            report = check(*arguments, **options)
        except ConformanceError as error:
            record_property("ganspec.error", str(error))
            pytest.fail(str(error), pytrace=False)
        reports.append(report)
        for name, value in properties_of(report).items():
            record_property(name, value)
        if not report.agrees:
            first = f" first at {report.first.place}: {report.first.name}" if report.first else ""
            pytest.fail(f"{report.comparison.system}: the code differs from the system{first}", pytrace=False)
        return report

    return run


def properties_of(report: Any) -> dict[str, object]:
    """Returns: what a JUnit file says of a check, by name of the property."""
    comparison = report.comparison
    found: dict[str, object] = {
        "ganspec.system": comparison.system,
        "ganspec.agrees": report.agrees,
        "ganspec.compared": sum(row.compared for row in comparison.rows),
        "ganspec.dtype": comparison.dtype,
        "ganspec.iterations": comparison.iterations,
    }
    if report.first is not None:
        found |= {"ganspec.first": f"{report.first.place}: {report.first.name}", "ganspec.source": report.first.source}
    if comparison.first is not None and comparison.first.guess:
        found["ganspec.guess"] = comparison.first.guess
    if report.suggestion:
        found["ganspec.suggestion"] = report.suggestion
    return found


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Give a test's checks sections of their own."""
    outcome: Any = yield
    if call.when == "call":
        for report in item.stash.get(_REPORTS, []):
            outcome.get_result().sections.append((f"ganspec: {report.comparison.system}", str(report)))
