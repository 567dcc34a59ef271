"""Consoles in Debian's Chromium, and where their screenshots go."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.whole.running import RunningDemo

ARTEFACTS = Path(__file__).parents[2] / "artefacts"
CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
DESK: ViewportSize = {"width": 1920, "height": 1080}
PHONE: ViewportSize = {"width": 390, "height": 844}


def signed_in(browser: Browser, demo: RunningDemo, size: ViewportSize) -> tuple[BrowserContext, Page]:
    """A console of its own, signed in and live."""
    context = browser.new_context(viewport=size, locale="zh-CN")
    page = context.new_page()
    page.goto(demo.base)
    page.get_by_test_id("sign-in-name").fill(demo.name)
    page.get_by_test_id("sign-in-password").fill(demo.password)
    page.get_by_test_id("sign-in-submit").click()
    is_live(page)
    return context, page


def is_live(page: Page, within_ms: float = 20_000) -> None:
    """Waits until the console says that what it shows is live."""
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live", timeout=within_ms)


def shot(page: Page, name: str) -> None:
    """Keeps what the console shows now."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
