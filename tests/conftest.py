"""For all tests: under ``CI=true`` nothing may skip, and slow tests run when asked for."""

import os

import pytest
from hypothesis import settings

# No test fails for being slow: how fast this machine is just now says nothing of the code.
settings.register_profile("farebox", deadline=None)
settings.load_profile("farebox")

CI = os.environ.get("CI") == "true"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Turn a skip into a failure where skipping would hide something."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """The same for a whole file."""
    report = yield
    if CI and report.skipped:
        fail(report)
    return report


def pytest_collection_modifyitems(config, items):
    """The default run leaves the slow tests out; ``-m slow`` runs them."""
    if config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def fail(report):
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"under CI=true nothing may skip: {reason}"
