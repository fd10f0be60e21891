"""A real browser before a real gateway that has a past. What the browser complains of, fails.

Chromium is Debian's, started once for all of these tests.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, parsed
from gateway.past import write_history
from tests.support.gateways import ADMIN_KEY, TOKEN, Gateway, gateway, settings

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
VIEWER_KEY = "viewer-key-canary"
PATIENCE_MS = 15_000
"""A crowded machine is slow; nothing waits that long for what is there."""

DAYS, CUSTOMERS, SEED = 12, 14, 7

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


@dataclass
class Tab:
    """A page, and what went wrong in it."""

    page: Any
    url: str
    wrong: list[str] = field(default_factory=list)

    def go(self, path: str) -> "Tab":
        self.page.goto(self.url + path)
        return self

    def enter(self, key: str = ADMIN_KEY) -> "Tab":
        self.go("/login")
        self.page.get_by_label("Admin or viewer key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Overview", level=1).wait_for()
        return self

    def on(self, path: str) -> Any:
        """The page at `path`, once its scripts listen and what is new comes by itself."""
        self.go(path)
        self.page.locator("#live:not([hidden])").wait_for()
        return self.page

    def check(self) -> None:
        """Raise what the page has complained of up to now."""
        if self.page.url.startswith(self.url) and self.scripts:
            self.wrong += self.page.evaluate("window.violations ?? []")
        assert [] == self.wrong

    @property
    def scripts(self) -> bool:
        return bool(getattr(self, "_scripts", True))


@pytest.fixture(scope="session")
def house() -> Iterator[Gateway]:
    """A gateway with twelve days of fourteen customers."""
    with gateway(viewer_key=VIEWER_KEY) as running:
        config = parsed(settings(running.folder, "http://127.0.0.1:1"), origin="test")
        with ThreadPoolExecutor(1) as beside:  # Playwright has a loop in this thread
            beside.submit(_write, config, running.store_url).result()
        yield running


def _write(config: Config, store_url: str) -> None:
    asyncio.run(
        write_history(
            config,
            store_url=store_url,
            days=DAYS,
            customers=CUSTOMERS,
            seed=SEED,
            progress=lambda _: None,
        )
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="pip install '.[browser]'")
    if not Path(CHROMIUM).exists() and shutil.which(CHROMIUM) is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else list(FLAGS)
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield running
        running.close()


Opener = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, house: Gateway) -> Iterator[Opener]:
    """Makes tabs, each in a profile of its own; at the end none may have complained."""
    with ExitStack() as stack:
        tabs: list[Tab] = []

        def make(*, at: str = house.url, expects: tuple[str, ...] = (), **options: Any) -> Tab:
            tab = stack.enter_context(_tab(browser, at, expects, options))
            tabs.append(tab)
            return tab

        yield make
        for tab in tabs:
            tab.check()


@contextmanager
def _tab(browser: Any, url: str, expects: tuple[str, ...], options: Any) -> Iterator[Tab]:
    context = browser.new_context(
        **{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
    )
    context.set_default_timeout(PATIENCE_MS)
    if options.get("java_script_enabled", True):
        context.add_init_script(WATCH)
    tab = Tab(context.new_page(), url)
    tab._scripts = options.get("java_script_enabled", True)  # type: ignore[attr-defined]

    def complain(text: str) -> None:
        if not any(expected in text for expected in expects):
            tab.wrong.append(text)

    tab.page.on("console", lambda m: complain(m.text) if m.type in ("error", "warning") else None)
    tab.page.on("pageerror", lambda error: complain(str(error)))
    tab.page.on("dialog", lambda dialog: complain(f"a dialog: {dialog.message}"))
    tab.page.on("request", lambda r: None if r.url.startswith((url, "data:")) else complain(r.url))
    try:
        yield tab
    finally:
        context.close()


__all__ = ["ADMIN_KEY", "TOKEN", "VIEWER_KEY"]
