"""Chromium for tests, driven by playwright; what is missing skips by name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from bkjs.testing import engines

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        engines.report("chromium", "absent", "no program of that name")
        pytest.skip("Chromium is not here; Debian has it in the package chromium")
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program)
        except sync_api.Error as error:
            engines.report("chromium", "absent", str(error)[:200])
            pytest.skip(f"{program} does not start: {error}")
        engines.report("chromium", "real", browser.version)
        yield browser
        browser.close()
