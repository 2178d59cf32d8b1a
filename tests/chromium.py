"""A headless Chromium for the tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect, sync_playwright

WORST = ("serious", "critical")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-unsafe-swiftshader",
)  # fmt: skip
#: The page loads a map by software; the first one also compiles its shaders.
PATIENCE_MS = 60_000


def chromium() -> str:
    """The browser: $CHROMIUM (a name or a path, which must then exist), or what is installed."""
    wanted = os.environ.get("CHROMIUM")
    found = shutil.which(wanted or "chromium")
    if found is None and wanted:
        pytest.fail(f"CHROMIUM={wanted}: there is no such program. Install Chromium.")
    if found is None:
        pytest.skip("no Chromium on the PATH (apt-get install chromium); or set CHROMIUM")
    return found


@contextmanager
def browsing(profile: Path) -> Iterator[BrowserContext]:
    """A browser that runs, with a profile of its own."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium(), args=FLAGS, headless=True, locale="en-GB"
        )
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield context
        context.close()


class Visit:
    """A tab, what its console said, and which addresses it asked for."""

    def __init__(self, browser: BrowserContext, width: int = 1280, height: int = 800) -> None:
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page: Page = browser.new_page()
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


def faults(page: Page) -> list[str]:
    """What axe-core finds that is serious or worse."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes']]}"
        for one in found
        if one["impact"] in WORST
    ]
