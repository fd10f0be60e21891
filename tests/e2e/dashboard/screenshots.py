"""Take the README's pictures of the dashboard: ``python -m tests.e2e.dashboard.screenshots``.

It runs `farebox demo` in a folder of its own, waits for live calls, and writes docs/images/.
Needs the extra ``browser``, Chromium and, to look as they do here, the font Inter.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import sync_playwright

from tests.e2e.dashboard.conftest import CHROMIUM, FLAGS

IMAGES = Path(__file__).parents[3] / "docs" / "images"
START_SECONDS_MAX = 180
CALLS_SECONDS = 45
"""So long the demo's customers call before the pictures are taken."""


class Shot(NamedTuple):
    name: str
    path: str
    theme: str
    width: int = 1440
    height: int = 940
    scale: float = 1


SHOTS = (
    Shot("overview-light", "/", "light"),
    Shot("overview-dark", "/", "dark"),
    Shot("users-light", "/users", "light"),
    Shot("user-light", "/users?user=northwind", "light"),
    Shot("call-dark", "/logs?customer=northwind&status=ok", "dark"),
    Shot("budgets-light", "/budgets", "light"),
    Shot("phone-light", "/", "light", 390, 844, 2),
    Shot("phone-dark", "/users?user=northwind", "dark", 390, 844, 2),
)


@contextmanager
def demo(folder: str) -> Iterator[str]:
    """A running demo; yields its login link."""
    command = [sys.executable, "-m", "gateway", "demo", "--port", "0", "--keep", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _link(process)
        finally:
            process.terminate()
            process.communicate()


def _link(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS_MAX
    for line in process.stdout:
        found = re.search(r"http://\S+/login\?token=\S+", line)
        if found:
            return found[0]
        assert time.monotonic() < deadline, "the demo did not start"
    raise AssertionError("the demo ended")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, demo(folder) as link, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--no-sandbox"])
        signed_in = browser.new_context()
        page = signed_in.new_page()
        page.goto(link)
        state = signed_in.storage_state()
        page.wait_for_timeout(CALLS_SECONDS * 1000)
        for shot in SHOTS:
            take(browser, link.partition("/login")[0], state, shot)
        browser.close()


def take(browser: Any, origin: str, state: Any, shot: Shot) -> None:
    context = browser.new_context(
        storage_state=state,
        viewport={"width": shot.width, "height": shot.height},
        device_scale_factor=shot.scale,
        color_scheme=shot.theme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(origin + shot.path)
    if shot.name.startswith("call"):
        page.locator("a[data-panel]").nth(6).click()
        page.locator("#panel").wait_for()
    page.locator("#live:not([hidden])").wait_for()
    page.screenshot(path=IMAGES / f"{shot.name}.png")
    context.close()


if __name__ == "__main__":
    main()
