"""A report's page in headless Chromium."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_OPTIONS: dict[str, Any] = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}


def missing_browser() -> str:
    """Why no page can be opened here; empty where one can."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return "no playwright: pip install playwright"
    with sync_playwright() as playwright:
        try:
            playwright.chromium.launch(**_OPTIONS).close()
        except Error:
            return "no Chromium: `make test-browser` installs one where it may"
    return ""


@contextlib.contextmanager
def opened(page: Path, width: int = 1280, height: int = 1180) -> Iterator[tuple[Any, float]]:
    """A tab (playwright's `Page`) that shows the page, and the seconds until the cursor stood on its first frame.

    Args:
        page: a report's index.html.
        width: of the window, pixels.
        height: of the window, pixels.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**_OPTIONS)
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto("about:blank")
        start = time.perf_counter()
        tab.goto(page.resolve().as_uri())
        tab.wait_for_function("state.step >= 0")
        yield tab, round(time.perf_counter() - start, 2)
        browser.close()
