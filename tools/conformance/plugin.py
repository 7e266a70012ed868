"""A plugin for pytest, found by itself where ganspec is installed: the fixture `ganspec_check`.

    def test_my_gan_is_wgan_gp(ganspec_check):
        ganspec_check("wgan_gp_mlp_mnist", my_step, G=my_generator, D=my_critic, optimizers={"G": opt_g, "D": opt_d})

The fixture calls `conformance.check` and fails the test where the code differs. Every report is a section of its own in pytest's
output, also one that a test made without the fixture; what the fixture found stands among the test's properties in a JUnit file.
Loading the plugin imports nothing of ganspec but this module's empty packages.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def ganspec_check(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Check your own training step in a test: takes what `ganspec.conformance.check` takes, returns its report, and fails where
    the code differs."""
    properties = request.node.user_properties  # record_property warns where the JUnit family is xunit2

    def run(*arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        from ganspec.conformance import ConformanceError, check

        try:
            report = check(*arguments, **options)
        except ConformanceError as error:
            properties.append(("ganspec.error", str(error)))
            pytest.fail(str(error), pytrace=False)
        properties.extend(properties_of(report).items())
        if not report.agrees:
            first = f", first at {report.first.place}: {report.first.name}" if report.first else ""
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


def _made() -> Any:
    """Returns: the reports that were made lately, if conformance was used at all."""
    module = sys.modules.get("ganspec.tools.conformance.report")
    return module.RECENT if module is not None else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget the reports of earlier tests."""
    if (made := _made()) is not None:
        made.clear()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Give the checks of a test sections of their own, however it made them."""
    outcome: Any = yield
    if call.when == "call":
        for report in _made() or ():
            outcome.get_result().sections.append((f"ganspec: {report.comparison.system}", str(report)))
