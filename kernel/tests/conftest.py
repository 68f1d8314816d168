from __future__ import annotations

import logging
import time

import hypothesis
import pytest

# how long an example takes says how busy the machine is
hypothesis.settings.register_profile("bkjs", deadline=None)
hypothesis.settings.load_profile("bkjs")


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch):
    """The golden data was recorded in UTC, and a test must not depend on where it runs."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _quiet_again():
    """A command that ran in this process has told the log what to show."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
