"""A headless Chromium for tests that look at pages as people do; without one they are skipped."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Return the browser's path; TEXTSIEVE_CHROMIUM names another. Skips the test when there is none."""
    path = os.environ.get("TEXTSIEVE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium; install the system's, or name it in TEXTSIEVE_CHROMIUM")
    return path


@contextmanager
def open_browser() -> Iterator["object"]:
    """Yield a new browser."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright; pip install 'textsieve[dev]'")
    path = chromium()
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page() -> Iterator["object"]:
    """Yield a page of a new browser; any error on the page's console fails the test."""
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        yield page
        assert not errors, errors
