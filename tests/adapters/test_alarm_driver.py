"""Panels against a real Mosquitto: stored before acknowledged, once over restarts, orders confirmed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.mqtt.deliveries import Deliveries
from tests.adapters.conftest import Field, Hub, Running, until
from wire.bus import Broker, Message
from wire.observations import Arming, ArmState, Lateness, Link, PointState, Reply
from wire.work import Panel, PanelOrder, PanelWork, Zone


class HaPanel:
    """A panel in Home Assistant's convention."""

    def __init__(self, device: Field, node: str) -> None:
        self.device, self.node = device, node
        self.root = f"ck/{node}"

    async def describe(self) -> None:
        """Publishes discovery, retained."""
        shared = {"device": {"identifiers": [self.node]}, "availability_topic": f"{self.root}/alive"}
        main = {"state_topic": f"{self.root}/state", "command_topic": f"{self.root}/set", **shared}
        zone = {"state_topic": f"{self.root}/zone", "device_class": "door", **shared}
        path = f"homeassistant/alarm_control_panel/{self.node}/main/config"
        await self.device.say(path, json.dumps(main), retain=True)
        path = f"homeassistant/binary_sensor/{self.node}/zone_1/config"
        await self.device.say(path, json.dumps(zone), retain=True)

    async def begin(self, hub: Hub, source: str, state: str) -> None:
        """Describes itself, says how it stands, and waits until all of it was heard."""
        await self.describe()
        await self.state(state)
        await self.zone(active=False)
        await until(lambda: hub.of(source, "arming") and hub.of(source, "point"))

    async def state(self, state: str) -> None:
        """The partition's state, retained as panels do."""
        await self.device.say(f"{self.root}/state", state, retain=True)

    async def zone(self, *, active: bool) -> None:
        """The zone's state, retained."""
        await self.device.say(f"{self.root}/zone", "ON" if active else "OFF", retain=True)


def registered(identity: str, node: str) -> PanelWork:
    zone = Zone(point="zone:1", key="zone_1", condition="intrusion")
    return PanelWork(panels=(Panel(id=identity, convention="homeassistant", topic=node, zones=(zone,)),))


def zones(hub: Hub, source: str) -> list[tuple[bool | None, bool | None, str]]:
    found = [one for one in hub.of(source, "point") if isinstance(one.body, PointState)]
    return [(one.body.active, one.body.armed, one.lateness) for one in found]  # type: ignore[union-attr]


def live_zones(hub: Hub, source: str) -> list[bool | None]:
    """Without what the broker's copies told; they may overtake the messages that wait."""
    return [active for active, _, lateness in zones(hub, source) if lateness == Lateness.LIVE]


@pytest.fixture
def node() -> str:
    return f"node-{uuid.uuid4().hex[:8]}"


async def test_a_burglary_goes_from_discovery_to_observations(
    hub: Hub, device: Field, adapters: Running, node: str
) -> None:
    hub.work(registered("p-01", node))
    panel = HaPanel(device, node)
    await panel.begin(hub, "panel:p-01", "armed_away")
    await panel.zone(active=True)
    await panel.state("triggered")
    await until(lambda: len(hub.of("panel:p-01", "arming")) == 2)
    assert zones(hub, "panel:p-01") == [(False, None, Lateness.RETAINED), (True, True, Lateness.LIVE)]
    states = [one.body.state for one in hub.of("panel:p-01", "arming") if isinstance(one.body, Arming)]
    assert states == [ArmState.ARMED_AWAY, ArmState.TRIGGERED]


async def test_what_is_said_while_the_adapters_are_away_is_told_once_and_live(
    hub: Hub, device: Field, adapters: Running, node: str
) -> None:
    hub.work(registered("p-02", node))
    panel = HaPanel(device, node)
    await panel.begin(hub, "panel:p-02", "armed_away")
    await adapters.stop()
    await panel.zone(active=True)
    await panel.zone(active=False)
    await panel.zone(active=True)
    await adapters.start()
    await until(lambda: len(live_zones(hub, "panel:p-02")) >= 3)
    await panel.zone(active=False)
    await until(lambda: len(live_zones(hub, "panel:p-02")) >= 4)
    assert live_zones(hub, "panel:p-02") == [True, False, True, False]


async def test_a_last_will_takes_the_link_down(hub: Hub, device: Field, adapters: Running, node: str) -> None:
    panel = HaPanel(device, node)
    await panel.describe()
    await device.say(f"{panel.root}/alive", "online", retain=True)
    await until(lambda: hub.of(f"panel:{node}", "link"))
    await device.say(f"{panel.root}/alive", "offline", retain=True)
    await until(lambda: len(hub.of(f"panel:{node}", "link")) == 2)
    links = [one.body for one in hub.of(f"panel:{node}", "link")]
    assert [link.up for link in links if isinstance(link, Link)] == [True, False]


async def test_an_order_is_confirmed_by_the_panel_itself(
    hub: Hub, device: Field, adapters: Running, node: str
) -> None:
    hub.work(registered("p-03", node))
    panel = HaPanel(device, node)
    states = {b"ARM_AWAY": b"arming", b"DISARM": b"disarmed"}
    device.listen(
        f"{panel.root}/set",
        lambda message: device.bus.publish(f"{panel.root}/state", states[message.payload], retain=True),
    )
    await panel.begin(hub, "panel:p-03", "disarmed")
    order = PanelOrder(command="c-1", panel="p-03", partition="main", state="armed_away")
    answer = await hub.ask("alarm", "arm", order)
    assert (answer.ok, answer.reason) == (True, "exit delay runs")
    order = PanelOrder(command="c-2", panel="p-03", partition="main", state="disarmed")
    assert (await hub.ask("alarm", "arm", order)).ok
    assert [message.retained for message in device.heard] == [False, False]
    await until(lambda: len(hub.of("panel:p-03", "reply")) == 2)
    replies = [one.body for one in hub.of("panel:p-03", "reply")]
    assert [reply.command for reply in replies if isinstance(reply, Reply)] == ["c-1", "c-2"]


async def test_an_order_that_nobody_confirms_says_what_is_known(
    hub: Hub, device: Field, adapters: Running, node: str
) -> None:
    hub.work(registered("p-04", node))
    panel = HaPanel(device, node)
    await panel.begin(hub, "panel:p-04", "disarmed")
    order = PanelOrder(command="c-3", panel="p-04", partition="main", state="armed_home")
    answer = await hub.ask("alarm", "arm", order)
    assert not answer.ok
    assert answer.reason == "no confirmation within 2 s; the panel's last state is disarmed"
    unknown = PanelOrder(command="c-4", panel="p-99", partition="main", state="disarmed")
    assert (await hub.ask("alarm", "arm", unknown)).reason == "panel 'p-99' is not registered"


async def test_garbage_is_counted_by_cause_and_the_next_message_passes(
    hub: Hub, device: Field, adapters: Running, node: str
) -> None:
    panel = HaPanel(device, node)
    await panel.begin(hub, f"panel:{node}", "disarmed")
    for payload in (b"\xff\xfe\x00", b"x" * 10_000_000, b"", b"{}", b"7"):
        await device.say(f"{panel.root}/zone", payload)
    for payload in (b"{", b"[]", b"\xff", json.dumps({"state_topic": "jifang/obs/x"}).encode(), b"[" * 9000):
        await device.say(f"homeassistant/binary_sensor/{node}/bad/config", payload)
    await panel.zone(active=True)
    await until(lambda: len(zones(hub, f"panel:{node}")) == 2)
    expected = ["not_utf8", "too_large", "unknown_state", "unknown_state", "unknown_state"]
    await until(lambda: len(hub.causes(panel.root)) == len(expected))
    assert sorted(hub.causes(panel.root)) == sorted(expected)
    discovery = ["not_json", "wrong_type", "not_utf8", "forbidden_topic", "not_json"]
    await until(lambda: len(hub.causes(f"{node}/bad/config")) == len(discovery))
    assert sorted(hub.causes(f"{node}/bad/config")) == sorted(discovery)
    large = next(one for one in hub.rejected if one.cause == "too_large" and panel.root in one.peer)
    assert (large.size, len(large.raw) <= 4096) == (10_000_000, True)


CHANGES = 240


async def test_killed_again_and_again_every_change_is_told_exactly_once(
    hub: Hub, device: Field, broker: Broker, tmp_path: Path, free_port: Callable[[], int], node: str
) -> None:
    hub.work(registered("p-05", node))
    panel = HaPanel(device, node)
    program = (
        "import sys; from pathlib import Path; from adapters.run import AdapterSettings, main\n"
        "from wire.bus import Broker; import os\n"
        "broker = Broker(host='127.0.0.1', port=int(sys.argv[2]), user='jifang', password=os.environ['P'])\n"
        "main(AdapterSettings(data=Path(sys.argv[1]), broker=broker, jt808_host='127.0.0.1',"
        " jt808_port=int(sys.argv[3]), client_id=sys.argv[4]))"
    )
    arguments = [str(tmp_path / "a"), str(broker.port), str(free_port()), f"adapters-{node}"]

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "P": broker.password},
            stdout=subprocess.DEVNULL,
        )

    process = begin()
    try:
        await panel.begin(hub, "panel:p-05", "armed_away")
        for number in range(CHANGES):
            await panel.zone(active=number % 2 == 0)
            if number % 60 == 30:
                process.kill()
                process.wait()
                process = begin()
        await until(lambda: len(live_zones(hub, "panel:p-05")) >= CHANGES, 30)
        await panel.state("disarmed")
        await until(lambda: len(hub.of("panel:p-05", "arming")) == 2)
        assert live_zones(hub, "panel:p-05") == [number % 2 == 0 for number in range(CHANGES)]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 15) == 0
    finally:
        process.kill()
        process.wait()


def delivery(packet: int, payload: bytes, *, again: bool) -> Message:
    return Message("t", payload, False, again, packet, lambda: None)


def test_a_delivery_is_known_again_by_number_content_and_how_long_ago() -> None:
    deliveries = Deliveries({})
    marks = deliveries.take(delivery(7, b"ON", again=False))
    assert deliveries.again(delivery(7, b"ON", again=True))
    assert not deliveries.again(delivery(7, b"ON", again=False)), "without DUP it is new"
    assert not deliveries.again(delivery(7, b"OFF", again=True)), "the number has come round"
    assert not deliveries.again(delivery(8, b"ON", again=True)), "sent before, but never taken"
    after = Deliveries({mark.name: mark.value for mark in marks})
    assert after.again(delivery(7, b"ON", again=True)), "kept over a restart"
    for number in range(5000):
        after.take(delivery(number % 1000 + 100, b"x", again=False))
    assert not after.again(delivery(7, b"ON", again=True)), "too long ago to be the same"
