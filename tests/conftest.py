"""Cheap tests first; the long ones of `attack` and `chaos` tell their figures in the last lines."""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest

from tests.browser import chromium
from tests.clean import clean, wheels

__all__ = ["chromium", "clean", "wheels"]

FIGURES = {"attack": "attacks", "chaos": "chaos"}
"""Properties of tests whose figures the summary shows, and the title above them."""
COST = {"integration": 1, "acceptance": 2, "e2e": 2, "bench": 4}


def cost(item: pytest.Item) -> int:
    """0 for pure tests up to 4: a failure in a cheap test should be seen at once."""
    marked = 3 if item.get_closest_marker("slow") else 0
    marked = max(marked, 2 if item.get_closest_marker("process") else 0)
    return max([marked, *(COST.get(part, 0) for part in item.path.parts)])


@pytest.fixture(autouse=True)
def _quiet_again() -> Generator[None]:
    """An application that ran in this process has told the log what to show."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=cost)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    yield  # pytest's own summary of what failed and was skipped comes first
    told = [
        (name, report.nodeid.removeprefix(f"tests/{name}/"), text)
        for report in terminalreporter.stats.get("", ())  # those of setup and teardown
        for name, text in report.user_properties
    ]
    for kind, title in FIGURES.items():
        lines = sorted(f"{test}: {text}" for name, test, text in told if name == kind)
        if lines:
            terminalreporter.section(title)
            terminalreporter.write_line("\n".join(lines))
