"""Trackers on real sockets: stored before answered, bounded in every way, garbage counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.gps.driver import GpsDriver, Listening
from adapters.gps.limits import Admission, Allowance, Limits
from adapters.gps.report import Event, Report, Said, StreamDecoder
from adapters.gps.table import Line, Transport
from adapters.refusal import Refusal
from adapters.sender import Sender
from tests.adapters.conftest import Field, Hub, Running, tcp, until
from tests.adapters.terminal import Terminal, frame, position
from wire.bus import Broker, MqttBus
from wire.clock import utc_now
from wire.observations import Heartbeat, Lateness, Link, PointState, Position
from wire.outbox import Outbox
from wire.work import Tracker, TrackerWork, UnitOrder

HEARTBEAT, POSITION, AUTHENTICATE, TEXT = 0x0002, 0x0200, 0x0102, 0x8300


@pytest.fixture
def phone() -> str:
    return "139" + "".join(random.choices("0123456789", k=8))


@pytest.fixture
async def terminal(adapters: Running, phone: str) -> AsyncIterator[Terminal]:
    async with tcp(adapters.settings.jt808_port) as (reader, writer):
        yield Terminal(reader, writer, phone)


def register(hub: Hub, identity: str, protocol: str, address: str) -> None:
    hub.work(TrackerWork(trackers=(Tracker(id=identity, protocol=protocol, address=address),)))


def positions(hub: Hub, source: str) -> list[Position]:
    found = [one.body for one in hub.of(source, "position")]
    return [body for body in found if isinstance(body, Position)]


async def test_a_terminal_signs_in_reports_and_calls_for_help(
    hub: Hub, adapters: Running, terminal: Terminal, phone: str
) -> None:
    register(hub, "u-0121", "jt808", phone)
    assert await terminal.sign_in() == 0
    now = utc_now()
    assert await terminal.ask(POSITION, position(34.2611, 117.1858, now, sos=True)) == 0
    await until(lambda: hub.of("tracker:u-0121", "point"))
    [fix] = hub.of("tracker:u-0121", "position")
    assert fix.lateness is Lateness.LIVE
    assert fix.id == f"tracker:u-0121:{now:%Y%m%dT%H%M%SZ}:34261100,117185800"
    [sos] = [one.body for one in hub.of("tracker:u-0121", "point")]
    assert isinstance(sos, PointState)
    assert (sos.condition, sos.active) == ("sos", True)
    [link] = [one.body for one in hub.of("tracker:u-0121", "link")]
    assert link == Link(up=True)
    terminal.writer.close()
    await until(lambda: len(hub.of("tracker:u-0121", "link")) == 2)


async def test_an_order_reaches_the_screen_and_is_confirmed(
    hub: Hub, adapters: Running, terminal: Terminal, phone: str
) -> None:
    register(hub, "u-0121", "jt808", phone)
    await terminal.sign_in()

    async def shows() -> bytes:
        message, serial, body = await terminal.receive()
        assert message == TEXT
        terminal.send(0x0001, struct.pack(">HHB", serial, TEXT, 0))
        return body

    order = UnitOrder(command="c-1", tracker="u-0121", text="百货市场 报警", lat=34.27, lon=117.19)
    shown, answer = await asyncio.gather(shows(), hub.ask("gps", "order", order))
    assert answer.ok
    assert shown[1:].decode("gbk") == "百货市场 报警 34.270000,117.190000"
    await until(lambda: hub.of("tracker:u-0121", "reply"))
    terminal.writer.close()
    await until(lambda: len(hub.of("tracker:u-0121", "link")) == 2)
    answer = await hub.ask("gps", "order", order)
    assert (answer.ok, answer.reason) == (False, f"terminal {phone} is not connected")


async def test_a_phone_reports_over_mqtt_and_is_sent_somewhere(
    hub: Hub, device: Field, adapters: Running
) -> None:
    name = uuid.uuid4().hex[:8]
    register(hub, "u-0125", "owntracks", f"patrol/{name}")
    device.listen(f"owntracks/patrol/{name}/cmd")
    fix = {"_type": "location", "lat": 34.2, "lon": 117.2, "tst": int(utc_now().timestamp()), "vel": 30}
    await device.say(f"owntracks/patrol/{name}", json.dumps(fix), retain=True)
    await until(lambda: positions(hub, "tracker:u-0125"))
    order = UnitOrder(command="c-2", tracker="u-0125", text="去市场", lat=34.27, lon=117.19)
    assert (await hub.ask("gps", "order", order)).ok
    await until(lambda: device.heard)
    command = json.loads(device.heard[0].payload)
    assert not device.heard[0].retained
    assert command["action"] == "setWaypoints"
    assert command["waypoints"]["waypoints"][0]["desc"] == "去市场"
    await adapters.stop()
    await adapters.start()
    await device.say(f"owntracks/patrol/{name}", json.dumps({**fix, "tst": fix["tst"] + 1}))  # type: ignore[operator]
    await until(lambda: len({one.id for one in hub.of("tracker:u-0125", "position")}) == 2)
    kept = [one for one in hub.of("tracker:u-0125", "position") if one.lateness is Lateness.RETAINED]
    assert len({one.id for one in kept}) <= 1, "the broker's copy keeps the identity of the first"


async def test_garbage_on_a_connection_costs_nothing_but_itself(
    hub: Hub, adapters: Running, terminal: Terminal, phone: str
) -> None:
    own = "{}:{}".format(*terminal.writer.get_extra_info("sockname"))
    noise = random.Random(7)
    good = frame(HEARTBEAT, b"", phone, 9)
    broken = bytearray(good)
    broken[5] ^= 0x40
    for chunk in (
        noise.randbytes(300),
        b"\x7e" + bytes(broken),
        good[:7] + b"\x7e",
        b"\x7e" * 40,
        b"A" * 5000,
    ):
        terminal.writer.write(chunk)
    terminal.writer.write(b"\x7e")
    assert await terminal.ask(HEARTBEAT) == 0
    await until(lambda: {"bad_checksum", "truncated", "too_large"} <= set(hub.causes(own)))
    await until(lambda: hub.of(f"tracker:jt808-{phone}", "heartbeat"))


async def test_garbage_over_mqtt_is_counted_by_cause(hub: Hub, device: Field, adapters: Running) -> None:
    name = uuid.uuid4().hex[:8]
    topic = f"owntracks/x/{name}"
    for payload in (b"\xff\xfe", b"{", b"[]", b'{"_type":"location"}', b"x" * 10_000_000):
        await device.say(topic, payload)
    await device.say(topic, json.dumps({"_type": "location", "lat": 34.2, "lon": 117.2, "tst": 1.0}))
    await until(lambda: positions(hub, f"tracker:owntracks-x/{name}"))
    expected = ["missing_key", "not_json", "not_utf8", "too_large", "wrong_type"]
    await until(lambda: len(hub.causes(topic)) == len(expected))
    assert sorted(hub.causes(topic)) == expected


async def test_who_never_says_a_sensible_word_is_shown_out(hub: Hub, adapters: Running) -> None:
    async with tcp(adapters.settings.jt808_port) as (reader, writer):
        own = "{}:{}".format(*writer.get_extra_info("sockname"))
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        await until(lambda: "no_introduction" in hub.causes(own))


async def test_who_falls_silent_is_let_go(
    hub: Hub, adapters: Running, terminal: Terminal, phone: str
) -> None:
    assert await terminal.ask(HEARTBEAT) == 0
    async with asyncio.timeout(8):
        assert await terminal.reader.read() == b""
    await until(lambda: len(hub.of(f"tracker:jt808-{phone}", "link")) == 2)
    gone = hub.of(f"tracker:jt808-{phone}", "link")[-1].body
    assert gone == Link(up=False, reason="silent for 2.5 s")


async def test_one_address_gets_no_more_than_its_sessions(hub: Hub, adapters: Running, phone: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(tcp(adapters.settings.jt808_port)) for _ in range(8)]
        reader, writer = await stack.enter_async_context(tcp(adapters.settings.jt808_port))
        own = "{}:{}".format(*writer.get_extra_info("sockname"))
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await until(lambda: "too_many_sessions" in hub.causes(own))
        assert await Terminal(*opened[0], phone).ask(HEARTBEAT) == 0


async def test_a_terminal_that_is_signed_in_is_not_pushed_out_by_one_that_is_not(
    hub: Hub, adapters: Running, terminal: Terminal, phone: str
) -> None:
    await terminal.sign_in()
    async with tcp(adapters.settings.jt808_port) as (reader, writer):
        own = "{}:{}".format(*writer.get_extra_info("sockname"))
        impostor = Terminal(reader, writer, phone)
        impostor.send(POSITION, position(10.0, 10.0, utc_now()))
        await until(lambda: "terminal_elsewhere" in hub.causes(own))
    assert await terminal.ask(HEARTBEAT) == 0
    assert positions(hub, f"tracker:jt808-{phone}") == []
    async with tcp(adapters.settings.jt808_port) as (reader, writer):
        again = Terminal(reader, writer, phone)
        assert await again.sign_in() == 0, "the same terminal after a cut line: the old connection goes"
        async with asyncio.timeout(5):
            assert await terminal.reader.read() == b""


class Beacon(StreamDecoder):
    """A protocol for this test: `name` in each datagram."""

    def receive(self, data: bytes | None, now: datetime) -> tuple[Event, ...]:
        """One datagram is one message."""
        _ = now
        if data is None:
            return ()
        if not data.isascii():
            return (Refusal("not_ascii", "not ASCII", data),)
        return (Report(data.decode(), (Said(Heartbeat()),), reply=b"ok " + data),)


@contextlib.asynccontextmanager
async def driving(
    broker: Broker, data: Path, ports: dict[str, int], table: tuple[Line, ...]
) -> AsyncIterator[GpsDriver]:
    """A driver with a table of the test's own."""
    bus = MqttBus(broker, f"test-{uuid.uuid4().hex[:8]}", persistent=False)
    sender = Sender(f"adapter-{uuid.uuid4().hex[:8]}", data, bus)
    driver = GpsDriver(broker, sender, Listening("127.0.0.1", ports), utc_now, client_id="t-gps", table=table)
    task = asyncio.create_task(driver.run())
    try:
        yield driver
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        sender.outbox.close()


async def test_a_datagram_is_answered_once_stored(
    broker: Broker, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    table = (Line("beacon", Transport.UDP, Beacon, port=1),)
    async with driving(broker, tmp_path, {"beacon": port}, table) as driver:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as terminal:
            terminal.setblocking(False)
            terminal.bind(("127.0.0.1", 0))
            answer = asyncio.create_task(loop.sock_recv(terminal, 100))
            while not answer.done():
                await loop.sock_sendto(terminal, b"\xff", ("127.0.0.1", port))
                await loop.sock_sendto(terminal, b"b-1", ("127.0.0.1", port))
                await asyncio.wait({answer}, timeout=0.2)
            assert answer.result() == b"ok b-1"
        assert driver.sender.rejects.counts["beacon", "not_ascii"] >= 1
        assert driver.sender.outbox.last >= 2


async def test_what_could_not_be_stored_is_not_acknowledged(
    broker: Broker, tmp_path: Path, free_port: Callable[[], int], phone: str
) -> None:
    port = free_port()
    from adapters.gps.table import TABLE

    async with driving(broker, tmp_path, {"jt808": port}, TABLE[1:]) as driver:
        await until(lambda: _open(port))
        driver.sender.outbox.close()
        driver.sender.outbox = Outbox(tmp_path / "full.db", "full", limit_bytes=0)
        async with tcp(port) as (reader, writer):
            terminal = Terminal(reader, writer, phone)
            assert await terminal.ask(HEARTBEAT) == 0
            terminal.send(POSITION, position(34.2, 117.2, utc_now(), sos=True))
            async with asyncio.timeout(5):
                assert await reader.read() == b"", "no reply, and the connection ends"
        driver.sender.outbox.close()
        driver.sender.outbox = Outbox(tmp_path / "again.db", "again")
        async with tcp(port) as (reader, writer):
            terminal = Terminal(reader, writer, phone)
            assert await terminal.ask(POSITION, position(34.2, 117.2, utc_now(), sos=True)) == 0
            stored = b"".join(payload for _, payload in driver.sender.outbox.after(0, 20))
            assert b'"sos"' in stored, "the call for help is told though it was heard once before"


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_sessions_are_counted_by_address_and_in_all() -> None:
    admission = Admission(Limits(sessions=3, sessions_per_address=2))
    assert [admission.admit("a"), admission.admit("a")] == ["", ""]
    assert admission.admit("a") == "more than 2 sessions from a"
    assert admission.admit("b") == ""
    assert admission.admit("c") == "more than 3 sessions"
    admission.leave("a")
    assert admission.admit("a") == ""


def test_a_flood_pauses_for_as_long_as_it_was_too_fast() -> None:
    allowance = Allowance(Limits(bytes_per_s=100, burst_bytes=1000), now_s=0.0)
    assert allowance.spend(1000, 0.0) == 0
    assert allowance.spend(50, 0.0) == 0.5
    assert allowance.spend(0, 0.5) == 0
    assert allowance.spend(100, 100.0) == 0, "what was saved up is bounded by the burst"
    assert allowance.spend(1000, 100.0) == 1.0
    assert utc_now().tzinfo is UTC
