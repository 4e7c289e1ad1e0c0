"""Under .ci/run a test that was skipped fails the run, unless nothing that could be installed would have let it run."""

from __future__ import annotations

import os

import pytest

#: Set by .ci/run, which installs every program that a test needs.
CI = "OPSTORE_CI"
#: How the reasons begin that speak of the machine, its rights or its owner, and not of what is missing on it.
OF_THE_MACHINE = (
    "needs root",
    "needs the right to mount",
    "needs loop devices",
    "only Linux",
    "this Python was built without",
    "OPSTORE_REPLICATE_OPENAPI names no copy",
)

_skipped: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note why a test was skipped."""
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note why a whole file was skipped."""
    _note(report)


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped[report.nodeid] = words.removeprefix("Skipped: ")


def _wrong() -> dict[str, str]:
    if CI not in os.environ:
        return {}
    return {test: reason for test, reason in _skipped.items() if not reason.startswith(OF_THE_MACHINE)}


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that would have passed."""
    if _wrong() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests they were."""
    for test, reason in _wrong().items():
        terminalreporter.write_line(f"SKIPPED, which fails under .ci/run: {test}: {reason}", red=True)
