"""The console's other pages, and what it shows while our own parts are away."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.whole.consoles import is_live, shot
from tests.whole.running import RunningDemo
from tests.whole.test_faults import keep_down

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_each_target_stands_with_its_fraction_and_never_rounds_up(page: Page, demo: RunningDemo) -> None:
    page.get_by_test_id("nav-coverage").click()
    rows = page.get_by_test_id("target-row")
    expect(rows.first).to_be_visible(timeout=10_000)
    told = {target["id"]: target for target in demo.api().get("/coverage")["targets"]}
    assert rows.count() == len(told)
    for row in rows.all():
        target = told[row.get_attribute("data-id") or ""]
        assert (row.get_attribute("data-n"), row.get_attribute("data-d")) == (
            str(target["n"]),
            str(target["d"]),
        )
        shown = re.match(r"[\d.]+", row.get_by_test_id("rate").first.inner_text())
        if shown and target["d"]:
            # What is shown is floored: never above the true rate, so 94.96 % never reads 95 %.
            assert float(shown[0]) * target["d"] <= 100 * target["n"]
    shot(page, "coverage")


def test_a_lower_rung_never_shows_less(page: Page, demo: RunningDemo) -> None:
    api = demo.api()
    page.get_by_test_id("nav-coverage").click()
    row = page.locator('[data-testid="target-row"][data-id="R2-2007"]')
    counts = []
    for rung in ("accepted", "registered", "declared"):
        page.get_by_test_id(f"rung-{rung}").check()
        told = {target["id"]: target["n"] for target in api.get("/coverage", rung=rung)["targets"]}
        expect(row).to_have_attribute("data-n", str(told["R2-2007"]), timeout=10_000)
        counts.append(told["R2-2007"])
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_the_devices_page_on_a_phone(phone: Page) -> None:
    phone.get_by_test_id("nav-devices").click()
    expect(phone.get_by_test_id("device-row").first).to_be_visible(timeout=10_000)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    shot(phone, "devices-phone")


def test_the_devices_page(page: Page) -> None:
    page.get_by_test_id("nav-devices").click()
    expect(page.get_by_test_id("device-row").first).to_be_visible(timeout=10_000)
    shot(page, "devices")


def test_a_lost_broker_stands_on_the_desk_while_it_lasts(page: Page, demo: RunningDemo) -> None:
    banner = page.get_by_test_id("parts-banner")
    expect(banner).to_have_count(0, timeout=30_000)
    keep_down(demo, "broker", 6)
    expect(banner.locator('li[data-part="broker"]')).to_be_visible(timeout=10_000)
    shot(page, "desk-broker-lost")
    expect(banner).to_have_count(0, timeout=60_000)


def test_a_lost_hub_is_told_and_the_console_catches_up(page: Page, demo: RunningDemo) -> None:
    keep_down(demo, "hub", 4)
    expect(page.get_by_test_id("connection")).not_to_have_attribute("data-state", "live", timeout=5_000)
    shot(page, "desk-hub-lost")
    is_live(page, 60_000)
