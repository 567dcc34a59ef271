"""The whole product on a disk that fills up: told while it lasts, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from hub.accounts import NewPerson, create_person
from hub.sitefile import parse
from hub.store.engine import Store
from jifang.ports import free_port
from tests.torture.disk import Disk
from tests.whole.consoles import DESK, PHONE, is_live, shot, signed_in
from tests.whole.running import RunningDemo, until
from wire.bus import Broker, MqttBus

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

NAME, PASSWORD = "chief", "correct horse battery"
ROLES = ("operator", "installer", "inspector", "administrator")
SITE = {"places": [{"id": "xz", "name": "徐州市", "name_en": "Xuzhou", "level": "city"}]}
PANEL = "base-01"
SETTINGS = """
data = "{data}"
[http]
port = {http}
[broker]
port = {broker}
[jt808]
port = {jt808}
[edge]
run = false
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """A small disk of its own."""
    found = Disk(tmp_path_factory.mktemp("disk") / "data", 64)
    if not found.mounted:
        pytest.skip(f"NO DISK CAN BE FILLED HERE: tmpfs can't be mounted ({found.reason})")
    yield found
    found.close()


@pytest.fixture(scope="module")
def product(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """`jifang serve` with everything it keeps on that disk."""
    ports = {"http": free_port(), "broker": free_port(), "jt808": free_port()}
    settings = tmp_path_factory.mktemp("settings") / "jifang.toml"
    settings.write_text(SETTINGS.format(data=disk.folder, **ports), encoding="utf-8")
    asyncio.run(furnish(disk.folder))
    command = [sys.executable, "-m", "jifang", "serve", "--settings", str(settings)]
    words = settings.with_suffix(".log")
    with words.open("w") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as process:
        # Its settings aren't in its data folder, so of the demo's seen-from-outside only the API is used.
        running = RunningDemo(process, disk.folder, f"http://127.0.0.1:{ports['http']}", NAME, PASSWORD)  # type: ignore[arg-type]
        try:
            until(lambda: ready(running)["ok"], 60, f"the product is ready: {words}")
            yield running
        finally:
            running.leave()
            disk.free()
            process.send_signal(signal.SIGINT)
            process.wait(60)


async def furnish(folder: Path) -> None:
    """One person, one place, before anything runs."""
    from hub.registers import Registers

    store = Store.open(f"sqlite:///{folder / 'jifang.db'}")
    registers = Registers.load(store, folder / "seal.key")
    file = parse(json.dumps(SITE).encode())
    await store.submit(lambda tx: registers.import_site(tx, file, "test"))
    new = NewPerson(name=NAME, display_name="值班长", password=PASSWORD, roles=ROLES, place="xz")
    await create_person(store, new)
    store.close()


def ready(product: RunningDemo) -> dict[str, Any]:
    """`/readyz`, whatever its status; the process answers."""
    try:
        assert httpx.get(f"{product.base}/healthz", timeout=20).status_code == 200
        told: dict[str, Any] = httpx.get(f"{product.base}/readyz", timeout=20).json()
    except httpx.TransportError:
        return {"ok": False, "checks": {}}
    return told


class Panel:
    """A panel that says its partition's state, another one each time, and counts what was acknowledged."""

    def __init__(self, broker: Broker) -> None:
        self.bus = MqttBus(broker, f"panel-{uuid.uuid4().hex[:8]}", persistent=False)
        self.bus.start()
        until(lambda: self.bus.connected, 20, "the panel is connected")
        self.told: list[tuple[str, Future[None]]] = []

    def says(self, times: int) -> None:
        """So many states, QoS 1."""
        for _ in range(times):
            state = "armed_away" if len(self.told) % 2 == 0 else "disarmed"
            topic = f"{PANEL}/states/partitions/Area_1/current_state"
            self.told.append((state, self.bus.publish(topic, state.encode())))

    @property
    def acknowledged(self) -> int:
        """How many the broker has taken."""
        return sum(done.done() for _, done in self.told)


def field_broker(disk: Disk, settings: Path) -> Broker:
    """The product's Mosquitto, signed in as a device."""
    from jifang.settings import load

    made = json.loads((disk.folder / "secrets.json").read_text())
    broker = load(settings).broker
    return Broker(host=broker.host, port=broker.port, user="field", password=made["field"])


def logged(product: RunningDemo) -> list[str]:
    """The states that stand in the log, in its order."""
    entries = product.api().log(0, kind="observation")
    bodies = [entry["body"] for entry in entries]
    return [one["body"]["state"] for one in bodies if one["body"].get("type") == "arming"]


def test_a_full_disk_is_told_while_it_lasts_and_nothing_acknowledged_is_lost(
    product: RunningDemo, disk: Disk, browser: Browser
) -> None:
    settings = Path(str(product.process.args[-1]))  # type: ignore[index]
    panel = Panel(field_broker(disk, settings))
    context, page = signed_in(browser, product, DESK)
    try:
        panel.says(4)
        until(lambda: len(logged(product)) == 4, 30, "the panel's first words are in the log")
        disk.fill()

        def full() -> bool:
            panel.says(20)
            return not ready(product)["ok"]

        until(full, 60, "the disk's end is told")
        assert ready(product)["checks"]["store"] == "cannot write: disk_full"
        banner = page.get_by_test_id("parts-banner")
        failing = banner.locator('li[data-part="store"]')
        expect(failing).to_have_attribute("data-code", "disk_full", timeout=15_000)
        expect(failing).to_contain_text("磁盘已满")
        expect(banner.locator('li[data-part="disk"]')).to_have_attribute("data-severity", "warning")
        shot(page, "desk-disk-full")
        page.get_by_test_id("language").click()
        expect(failing).to_contain_text("The disk is full")
        page.get_by_test_id("language").click()
        is_live(page)

        panel.says(20)
        disk.free()
        until(lambda: ready(product)["ok"], 60, "it can store again by itself")
        expect(failing).to_have_count(0, timeout=20_000)
        until(lambda: panel.acknowledged == len(panel.told), 60, "the broker has everything")
        expected = [state for state, _ in panel.told]
        until(lambda: len(logged(product)) >= len(expected), 90, "everything acknowledged is in the log")
        assert logged(product) == expected, "each once, in order"
    finally:
        panel.bus.stop()
        context.close()


def test_what_cannot_be_read_is_looked_at_tried_again_and_thrown_away(
    product: RunningDemo, disk: Disk, browser: Browser
) -> None:
    settings = Path(str(product.process.args[-1]))  # type: ignore[index]
    device = MqttBus(field_broker(disk, settings), f"phone-{uuid.uuid4().hex[:8]}", persistent=False)
    device.start()
    context, page = signed_in(browser, product, DESK)
    try:
        until(lambda: device.connected, 20, "the phone is connected")
        device.publish("owntracks/car/u1", b'{"_type":"location","lat":"34.26","code":4711}').result(10)
        device.publish("owntracks/car/u2", b"\xff\xfe\x00 not json").result(10)
        api = product.api()
        until(lambda: len(api.get("/quarantine")["rows"]) == 2, 30, "both stand in quarantine")
        page.get_by_test_id("nav-quarantine").click()
        rows = page.get_by_test_id("quarantine-row")
        expect(rows).to_have_count(2, timeout=20_000)
        shot(page, "quarantine")
        page.get_by_test_id("quarantine-replay-all").click()
        expect(page.get_by_test_id("quarantine-told")).to_contain_text("2 条仍无法识别", timeout=20_000)
        expect(rows.first).to_have_attribute("data-came", "refused")
        typed = rows.filter(has_text="类型不符")
        typed.get_by_test_id("quarantine-look").click()
        page.get_by_test_id("quarantine-reason").fill("核对原文")
        page.get_by_test_id("quarantine-reason-submit").click()
        expect(page.get_by_test_id("quarantine-bytes")).to_contain_text('"code":4711')
        shot(page, "quarantine-bytes")
        page.get_by_test_id("quarantine-view-hex").click()
        expect(page.get_by_test_id("quarantine-bytes")).to_contain_text("0000  7b 22 5f 74")
        page.keyboard.press("Escape")
        typed.get_by_test_id("quarantine-discard").click()
        page.get_by_test_id("quarantine-discard-reason").fill("测试数据")
        page.get_by_test_id("quarantine-discard-submit").click()
        expect(rows).to_have_count(1, timeout=10_000)
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shot(page, "quarantine-phone")
    finally:
        device.stop()
        context.close()
