"""A report's page in headless Chromium."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


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
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto("about:blank")
        start = time.perf_counter()
        tab.goto(page.resolve().as_uri())
        tab.wait_for_function("state.step >= 0")
        yield tab, round(time.perf_counter() - start, 2)
        browser.close()
