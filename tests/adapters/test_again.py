"""Refused bytes decoded again over the bus, after a decoder was mended: as history, and never twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.again import as_history
from adapters.alarm import homeassistant, paradox
from adapters.gps import jt808, owntracks
from adapters.gps.jt808 import Header
from adapters.gps.report import Said
from adapters.mqtt.heard import Heard
from adapters.onvif import topics as onvif_topics
from adapters.onvif.events import notifications_of
from adapters.onvif.topics import meaning_of
from adapters.refusal import Refusal
from tests.adapters.conftest import Field, Hub, Running, tcp, until
from tests.adapters.terminal import frame, position
from tests.adapters.test_alarm_driver import HaPanel, registered
from wire import again, codec
from wire.again import DecodeAgain, DecodedAgain, KeptRaw, Redecoded
from wire.codec import Rejected
from wire.observations import (
    Arming,
    ArmState,
    DeviceFacts,
    Heartbeat,
    Lateness,
    Link,
    Observation,
    PointState,
    Position,
)
from wire.work import Panel, PanelWork

YESTERDAY = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


def kept(protocol: str, peer: str, raw: bytes, heard_at: datetime = YESTERDAY) -> KeptRaw:
    """As the hub's quarantine hands it over."""
    identity = hashlib.sha256(b"\0".join((protocol.encode(), peer.encode(), raw))).hexdigest()
    ms = int(heard_at.timestamp() * 1000)
    return KeptRaw(id=7, protocol=protocol, peer=peer, raw=raw, heard_at_ms=ms, identity=identity)


def of(rejected: Rejected) -> KeptRaw:
    """What a listener refused, from quarantine."""
    return kept(rejected.protocol, rejected.peer, rejected.raw)


async def ask(hub: Hub, *items: KeptRaw) -> list[Redecoded]:
    """Has them decoded again."""
    body = codec.encode(DecodeAgain(items=items))
    answer = hub.bus.request(again.WING, again.VERB, body, timeout_s=10)
    return list(codec.decode(await asyncio.wrap_future(answer), DecodedAgain).results)


async def refused(hub: Hub, peer: str) -> Rejected:
    """What was refused of a peer."""
    found = await until(lambda: [one for one in list(hub.rejected) if peer in one.peer])
    return found[0]


async def check(hub: Hub, item: KeptRaw, source: str, kind: str, count: int = 1) -> Observation:
    """Understood; asked once more it comes to the same ids, which the hub stores once."""
    for _ in range(2):
        assert await ask(hub, item) == [Redecoded(id=7, understood=True, observations=count)]
    await until(lambda: len(hub.of(source, kind)) == 2)
    first, second = hub.of(source, kind)
    assert first == second
    assert first.id
    assert first.heard_at == YESTERDAY
    assert first.lateness is Lateness.BUFFERED
    return first


@pytest.fixture
def node() -> str:
    return f"node-{uuid.uuid4().hex[:8]}"


async def test_a_panels_state_that_was_not_known(
    hub: Hub, device: Field, adapters: Running, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.work(registered("p-01", node))
    panel = HaPanel(device, node)
    await panel.begin(hub, "panel:p-01", "armed_away")
    await device.say(f"{panel.root}/state", "armed_fortress")
    item = of(await refused(hub, f"{panel.root}/state"))
    (still,) = await ask(hub, item)
    assert (still.understood, still.observations) == (False, 0)
    assert "armed_fortress" in still.reason

    known = {**homeassistant.ARM_STATES, "armed_fortress": ArmState.ARMED_NIGHT}
    monkeypatch.setattr(homeassistant, "ARM_STATES", known)
    for _ in range(2):
        assert await ask(hub, item) == [Redecoded(id=7, understood=True, observations=1)]
    await until(lambda: len(hub.of("panel:p-01", "arming")) == 3)
    before, first, second = hub.of("panel:p-01", "arming")
    assert first == second, "the same id and content: the hub stores it once"
    assert isinstance(first.body, Arming) and first.body.state == ArmState.ARMED_NIGHT
    assert (first.lateness, first.heard_at) == (Lateness.BUFFERED, YESTERDAY)

    # What is known now was not touched: the panel repeats its state, and that is no change.
    await panel.state("armed_away")
    await panel.state("triggered")
    await until(lambda: len(hub.of("panel:p-01", "arming")) == 4)
    last = hub.of("panel:p-01", "arming")[-1].body
    assert isinstance(last, Arming) and last.state == ArmState.TRIGGERED
    assert before.lateness is not Lateness.BUFFERED


async def test_a_panel_that_is_registered_later(
    hub: Hub, device: Field, adapters: Running, node: str
) -> None:
    """A device that is no alarm panel by itself: its topics are nobody's until it is registered."""
    zone = {"state_topic": f"ck/{node}/zone", "device_class": "door", "device": {"identifiers": [node]}}
    await device.say(f"homeassistant/binary_sensor/{node}/zone_1/config", json.dumps(zone), retain=True)
    item = kept("mqtt", f"ck/{node}/zone", b"ON")
    (still,) = await ask(hub, item)
    assert not still.understood
    assert "no panel that is known" in still.reason
    hub.work(registered("p-07", node))

    async def understood() -> bool:
        return (await ask(hub, item))[0].understood

    async with asyncio.timeout(10):
        while not await understood():
            await asyncio.sleep(0.05)
    await until(lambda: hub.of("panel:p-07", "point"))
    one = hub.of("panel:p-07", "point")[0]
    assert isinstance(one.body, PointState) and one.body.active
    assert (one.lateness, one.heard_at) == (Lateness.BUFFERED, YESTERDAY)


async def test_paradox(
    hub: Hub, device: Field, adapters: Running, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.work(PanelWork(panels=(Panel(id="p-02", convention="paradox", topic=node),)))
    topic = f"{node}/states/partitions/Area_1/current_state"
    item = kept("paradox", topic, b"armed_fortress")

    async def reason() -> str:
        return (await ask(hub, item))[0].reason

    async with asyncio.timeout(10):
        while "no arming state" not in await reason():
            await asyncio.sleep(0.05)
    known = {**paradox.CURRENT_STATES, "armed_fortress": ArmState.ARMED_HOME}
    monkeypatch.setattr(paradox, "CURRENT_STATES", known)
    one = await check(hub, item, "panel:p-02", "arming")
    assert isinstance(one.body, Arming) and one.body.state == ArmState.ARMED_HOME


async def test_a_phone_that_sends_numbers_as_text(
    hub: Hub, device: Field, adapters: Running, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"owntracks/{node}/phone"
    fix = {"_type": "location", "lat": "34.26", "lon": "117.19", "tst": int(YESTERDAY.timestamp())}
    await device.say(topic, json.dumps(fix))
    rejected = await refused(hub, topic)
    assert (rejected.protocol, rejected.cause) == ("owntracks", "wrong_type")
    assert not (await ask(hub, of(rejected)))[0].understood

    number = owntracks._number

    def mended(document: dict[str, Any], key: str, heard: Heard) -> float | None:
        value = document.get(key)
        return float(value) if isinstance(value, str) else number(document, key, heard)

    monkeypatch.setattr(owntracks, "_number", mended)
    one = await check(hub, of(rejected), f"tracker:owntracks-{node}/phone", "position")
    assert isinstance(one.body, Position) and one.body.lat == 34.26
    assert one.device_at == YESTERDAY
    assert "20261120T020000Z" in one.id, "the device's own identity, where it has one"


async def test_a_terminal_whose_positions_are_too_short(
    hub: Hub, adapters: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = position(34.26, 117.19, YESTERDAY)
    async with tcp(adapters.settings.jt808_port) as (_, writer):
        writer.write(frame(0x0200, whole[:-6], "13900000042", 9))
        rejected = await refused(hub, "127.0.0.1")
    assert rejected.cause == "bad_length"
    assert rejected.raw.startswith(b"\x02\x00\x00\x16"), "the frame, and not only the part that was wrong"
    assert not (await ask(hub, of(rejected)))[0].understood

    take = jt808._position

    def mended(header: Header, body: bytes, *, history: bool) -> Iterator[Said]:
        return take(header, body if len(body) >= 28 else body + whole[-6:], history=history)

    monkeypatch.setattr(jt808, "_position", mended)
    one = await check(hub, of(rejected), "tracker:jt808-13900000042", "position")
    assert isinstance(one.body, Position) and (one.body.lat, one.device_at) == (34.26, YESTERDAY)
    assert not hub.of("tracker:jt808-13900000042", "link"), "that it spoke yesterday says nothing of now"


async def test_a_terminals_code_is_never_shown(hub: Hub, adapters: Running) -> None:
    async with tcp(adapters.settings.jt808_port) as (_, writer):
        writer.write(frame(0x0102, b"secret-code", "13900000043", 1))
        rejected = await refused(hub, "127.0.0.1")
    assert rejected.cause == "bad_code"
    assert b"secret-code" not in rejected.raw
    assert "secret-code" not in rejected.reason


def told_by_camera(state: str) -> bytes:
    """An answer to PullMessages with one notification."""
    return f"""<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:tev="http://www.onvif.org/ver10/events/wsdl" xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"
 xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:tns1="http://www.onvif.org/ver10/topics"><s:Body>
 <tev:PullMessagesResponse><wsnt:NotificationMessage><wsnt:Topic>tns1:RuleEngine/TamperDetector/Tamper
 </wsnt:Topic><wsnt:Message><tt:Message UtcTime="2026-11-20T02:00:00Z" PropertyOperation="Changed">
 <tt:Source><tt:SimpleItem Name="VideoSourceToken" Value="v1"/></tt:Source><tt:Data>
 <tt:SimpleItem Name="IsTamper" Value="{state}"/></tt:Data></tt:Message></wsnt:Message>
 </wsnt:NotificationMessage></tev:PullMessagesResponse></s:Body></s:Envelope>""".encode()


@pytest.mark.parametrize("part", ["answer", "notification"])
async def test_a_cameras_notification(
    hub: Hub, adapters: Running, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    answer = told_by_camera("detected")
    (notification,) = notifications_of(answer)
    assert not isinstance(notification, Refusal)
    with pytest.raises(Refusal):
        meaning_of(notification)
    raw = answer if part == "answer" else notification.raw
    source = f"camera:c-{part}"
    item = kept("onvif", source, raw)
    (still,) = await ask(hub, item)
    assert not still.understood
    assert "detected" in still.reason
    monkeypatch.setattr(onvif_topics, "TRUE", {*onvif_topics.TRUE, "detected"})
    one = await check(hub, item, source, "point")
    assert isinstance(one.body, PointState) and one.body.condition == "video_tamper"
    assert one.device_at == YESTERDAY


async def test_what_nobody_speaks_and_what_cant_be_read(hub: Hub, adapters: Running) -> None:
    (unknown, empty) = await ask(hub, kept("gb28181", "x", b"1"), kept("jt808", "10.0.0.1:9", b""))
    assert (unknown.understood, empty.understood) == (False, False)
    assert "gb28181" in unknown.reason
    assert "nothing" in empty.reason
    answer = hub.bus.request(again.WING, again.VERB, b"nonsense", timeout_s=10)
    assert codec.decode(await asyncio.wrap_future(answer), DecodedAgain).results == ()


async def test_a_decoder_with_a_fault_takes_no_other_with_it(
    hub: Hub, adapters: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError("a decoder with a fault")

    monkeypatch.setattr(owntracks, "_document", faulty)
    good = frame(0x0200, position(34.26, 117.19, YESTERDAY), "13900000044", 1)[1:-1]
    bad, fine = await ask(hub, kept("owntracks", "owntracks/a/b", b"{}"), kept("jt808", "x", good))
    assert "a decoder with a fault" in bad.reason
    assert fine.understood


def test_the_past_holds_no_signs_of_life_and_the_same_thing_has_one_name() -> None:
    def said(body: Any) -> Observation:
        return Observation(source="panel:p", body=body, heard_at=YESTERDAY + timedelta(days=1))

    facts = DeviceFacts(make="A")
    told = as_history(
        [said(Heartbeat()), said(Link(up=True)), said(facts), said(Link(up=False)), said(facts)],
        "ab" * 32,
        YESTERDAY,
    )
    assert [one.kind for one in told] == ["facts", "link"]
    assert all(one.heard_at == YESTERDAY and one.lateness is Lateness.BUFFERED for one in told)
    (alone,) = as_history([said(facts)], "ab" * 32, YESTERDAY)
    assert alone.id == told[0].id, "a name doesn't hang on what is told beside it"
    (other,) = as_history([said(facts)], "cd" * 32, YESTERDAY)
    assert other.id != alone.id
