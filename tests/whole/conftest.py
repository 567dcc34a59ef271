"""One demo for all tests of the whole product: bringing it up costs more than each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.whole.consoles import CHROMIUM, DESK, PHONE, SWITCHES, signed_in
from tests.whole.running import RunningDemo, run_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """The whole product on a simulated district."""
    with run_demo(tmp_path_factory.mktemp("demo") / "data", "--port", "0") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, demo: RunningDemo) -> Iterator[Page]:
    """An operator's console, signed in, at the desk."""
    context, page = signed_in(browser, demo, DESK)
    yield page
    context.close()


@pytest.fixture
def phone(browser: Browser, demo: RunningDemo) -> Iterator[Page]:
    """An installer's phone, signed in."""
    context, page = signed_in(browser, demo, PHONE)
    yield page
    context.close()
