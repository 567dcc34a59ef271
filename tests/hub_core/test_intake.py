"""Intake against a real Mosquitto: once in the log however often delivered, acknowledged only then."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from hub.domain.entry import EntryKind
from hub.intake import Intake
from hub.sightings import Seen, Sightings
from hub.store import fixes, quarantine
from hub.store import log as stored_log
from hub.store.blobs import Blobs
from hub.watch import Watch
from tests.hub_core.conftest import Core
from wire import codec, topics
from wire.bus import Broker, Message, MqttBus
from wire.courier import Courier
from wire.observations import Condition, Heartbeat, Motion, Observation, PointState, Position
from wire.outbox import Outbox

JPEG = b"\xff\xd8\xff\xe0" + bytes(3000) + b"\xff\xd9"


def eventually(what: Callable[[], bool], within_s: float = 10.0) -> None:
    """Waits until `what()`; fails the test otherwise."""
    tick = threading.Event()
    for _ in range(int(within_s / 0.02)):
        if what():
            return
        tick.wait(0.02)
    raise AssertionError("it didn't happen in time")


@dataclass(slots=True)
class Field:
    """A sender of ours that lives as long as a test, and the hub's intake before it."""

    core: Core
    broker: Broker
    bus: MqttBus
    intake: Intake
    blobs: Blobs
    sender: str
    epoch: str = "e1"

    def publish(self, seq: int, observation: Observation) -> None:
        """One delivery of an observation, as a courier sends it."""
        named = observation.named(f"{self.sender}:{self.epoch}:{seq}")
        envelope = codec.Envelope(sender=self.sender, epoch=self.epoch, seq=seq, observation=named)
        self.raw(codec.encode(envelope))

    def raw(self, payload: bytes, family: str = "obs") -> None:
        """Any bytes on our own topics."""
        self.bus.publish(f"jifang/{family}/{self.sender}", payload).result(5)

    def floor(self, seq: int) -> None:
        """What a courier says when it connects."""
        self.raw(codec.encode(codec.Stored(epoch=self.epoch, seq=seq)), "floor")

    def mark(self) -> int:
        """Up to where the hub says it has everything."""
        marks = self.core.store.query(stored_log.marks)
        return marks.get((self.sender, self.epoch), 0)

    def logged(self) -> list[str]:
        """Identities of observations in the log, in its order."""
        entries = self.core.entries(EntryKind.OBSERVATION)
        return [str(entry.body["id"]) for entry in entries if self.sender in str(entry.body["id"])]


def a_bus(broker: Broker, name: str, *, persistent: bool = False) -> MqttBus:
    """A connected bus."""
    bus = MqttBus(broker, name, persistent=persistent)
    bus.start()
    eventually(lambda: bus.connected)
    return bus


def subscribed(hub_bus: MqttBus, field_bus: MqttBus) -> None:
    """Returns when the broker has what `hub_bus` subscribed to so far."""
    heard = threading.Event()
    topic = f"jifang/probe/{uuid.uuid4().hex}"

    def hear(message: Message) -> None:
        message.ack()
        heard.set()

    def asked() -> bool:
        field_bus.publish(topic, b"?")
        return heard.is_set()

    hub_bus.consume(topic, hear)
    eventually(asked)


def an_intake(core: Core, bus: MqttBus, blobs: Blobs) -> Intake:
    """Intake at work on `bus`."""
    watch = Watch(core.store, core.desk, core.registers, core.clock.now)
    intake = Intake(bus, core.store, core.desk, core.registers, blobs, watch)
    intake.start()
    return intake


@pytest.fixture
def at_work(core: Core, broker: Broker, tmp_path: Path) -> Iterator[Field]:
    """A hub's intake and a sender."""
    name = uuid.uuid4().hex[:8]
    hub_bus, field_bus = a_bus(broker, f"hub-{name}"), a_bus(broker, f"field-{name}")
    blobs = Blobs(tmp_path / "blobs")
    intake = an_intake(core, hub_bus, blobs)
    subscribed(hub_bus, field_bus)
    yield Field(core, broker, field_bus, intake, blobs, f"sender-{name}")
    intake.stop()
    hub_bus.stop()
    field_bus.stop()


def intrusion(core: Core, *, active: bool = True, still: bytes = b"") -> Observation:
    """The back door."""
    body = PointState(point="zone:2", condition=Condition.INTRUSION, active=active, still=still)
    return Observation(source="panel:p-01", body=body, heard_at=core.clock.now)


def test_a_delivery_twice_is_in_the_log_once(at_work: Field) -> None:
    for _ in range(3):
        at_work.publish(1, intrusion(at_work.core))
    at_work.publish(2, intrusion(at_work.core, active=False))
    eventually(lambda: at_work.mark() == 2)
    assert at_work.logged() == [f"{at_work.sender}:e1:1", f"{at_work.sender}:e1:2"]
    assert at_work.core.incident.count == 1


def test_the_sender_is_told_what_is_stored_and_not_before_a_gap_is_filled(at_work: Field) -> None:
    told: list[int] = []
    at_work.bus.consume(
        topics.STORED.format(sender=at_work.sender),
        lambda message: told.append(codec.decode(message.payload, codec.Stored).seq),
    )
    for seq in (1, 3, 4):
        at_work.publish(seq, intrusion(at_work.core, active=seq % 2 == 1))
    eventually(lambda: len(at_work.logged()) == 3)
    assert at_work.mark() == 1
    at_work.publish(2, intrusion(at_work.core, active=False))
    eventually(lambda: at_work.mark() == 4 and 4 in told)
    assert 3 not in told[: told.index(4)] or told.index(4) > 0


def test_a_fresh_hub_learns_where_a_senders_numbers_begin(at_work: Field) -> None:
    at_work.publish(501, intrusion(at_work.core))
    eventually(lambda: len(at_work.logged()) == 1)
    assert at_work.mark() == 0
    at_work.floor(500)
    eventually(lambda: at_work.mark() == 501)


def test_positions_and_heartbeats_are_stored_once_outside_the_log(at_work: Field) -> None:
    now = at_work.core.clock.now
    fix = Observation(
        source="tracker:u-0121",
        body=Position(lat=34.25, lon=117.2, speed_kmh=31.5, serial="7"),
        heard_at=now,
        device_at=now,
        id=f"tracker:u-0121:{at_work.sender}:7",
    )
    beat = Observation(source="panel:p-01", body=Heartbeat(), heard_at=now)
    for seq in (1, 2):
        at_work.publish(seq, fix)
    at_work.publish(3, beat)
    eventually(lambda: at_work.mark() == 3)
    assert at_work.logged() == []
    stored = at_work.core.store.query(
        lambda connection: fixes.track(connection, "tracker:u-0121", now, now + timedelta(seconds=1))
    )
    assert [(one.position.lat, one.position.serial, one.device_at) for one in stored] == [(34.25, "7", now)]
    assert at_work.core.unit("u-0121").speed_kmh == 31.5
    assert at_work.core.panel("p-01").heard_at == now


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x00\xff not json", "malformed"),
        (b'{"sender":1}', "$.sender"),
        (b'{"sender":"x","epoch":"e","seq":1,"observation":{"source":"s","body":{"type":"nonsense"}}}', "$"),
        (b'{"a":' + b"[" * 5000, "recursion"),
        (b"x" * 600_000, "limit"),
    ],
)
def test_what_cant_be_decoded_is_kept_and_the_next_is_unharmed(
    at_work: Field, payload: bytes, reason: str
) -> None:
    at_work.raw(payload)
    at_work.publish(1, intrusion(at_work.core))
    eventually(lambda: at_work.mark() == 1)
    (kept,) = at_work.core.store.query(quarantine.listed)
    assert kept.size == len(payload)
    assert kept.raw == payload[: quarantine.MAX_RAW_BYTES]
    assert reason in kept.reason.lower()
    assert kept.peer == f"jifang/obs/{at_work.sender}"


def test_what_a_listener_rejected_is_kept_once_and_counted(at_work: Field) -> None:
    rejected = codec.Rejected(
        protocol="jt808",
        peer="10.0.0.7",
        reason="checksum",
        raw=b"\x7e\x01\x7e",
        size=3,
        heard_at_ms=0,
        cause="bad_checksum",
    )
    for _ in range(2):
        at_work.raw(codec.encode(rejected), "rejected")
    at_work.publish(1, intrusion(at_work.core))
    eventually(lambda: at_work.mark() == 1)
    (kept,) = at_work.core.store.query(quarantine.listed)
    assert (kept.protocol, kept.peer, kept.raw, kept.times) == ("jt808", "10.0.0.7", b"\x7e\x01\x7e", 2)


def test_a_still_is_kept_under_its_hash_and_not_in_the_log(at_work: Field) -> None:
    body = Motion(active=True, event="m1", still=JPEG)
    at_work.publish(1, Observation(source="camera:c-01", body=body, heard_at=at_work.core.clock.now))
    eventually(lambda: at_work.mark() == 1)
    (entry,) = at_work.core.entries(EntryKind.OBSERVATION)
    digest = entry.body["body"]["still"]
    assert at_work.blobs.get(digest) == JPEG
    assert at_work.core.camera("c-01").still == digest
    assert at_work.blobs.get("../../etc/passwd") is None


def test_a_device_clock_that_runs_ahead_raises_no_alarm(at_work: Field) -> None:
    ahead = at_work.core.clock.now + timedelta(minutes=3)
    at_work.publish(1, msgspec.structs.replace(intrusion(at_work.core), device_at=ahead))
    eventually(lambda: at_work.mark() == 1)
    (entry,) = at_work.core.entries(EntryKind.OBSERVATION)
    assert (entry.late, entry.body["lateness"]) == (True, "future")
    assert at_work.core.incidents == ()


def test_what_lay_in_an_outbox_for_long_is_history(at_work: Field) -> None:
    now = at_work.core.clock.now
    for seq, minutes in ((1, 16), (2, 14)):
        old = msgspec.structs.replace(intrusion(at_work.core), heard_at=now - timedelta(minutes=minutes))
        at_work.publish(seq, old)
    eventually(lambda: at_work.mark() == 2)
    assert [entry.late for entry in at_work.core.entries(EntryKind.OBSERVATION)] == [True, False]
    assert at_work.core.incident.count == 1


def test_one_observation_that_trips_the_rules_stops_no_other(
    at_work: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = Sightings.take

    def trip(self: Sightings, seen: Seen) -> None:
        rules(self, seen)
        if seen.observation.id.endswith(":2"):
            raise RuntimeError("a rule with a fault")

    monkeypatch.setattr(Sightings, "take", trip)
    go = threading.Event()
    at_work.core.store.enqueue(lambda _tx: go.wait(10))
    for seq in (1, 2, 3):
        at_work.publish(seq, intrusion(at_work.core, active=seq != 2))
    go.set()
    eventually(lambda: at_work.mark() == 3)
    assert at_work.logged() == [f"{at_work.sender}:e1:{seq}" for seq in (1, 3)]
    (kept,) = at_work.core.store.query(quarantine.listed)
    assert "a rule with a fault" in kept.reason
    assert at_work.core.store.query(stored_log.verify) == (at_work.core.store.head, None)


def test_what_was_not_acknowledged_comes_again_and_is_stored_once(
    core: Core, broker: Broker, tmp_path: Path
) -> None:
    """The hub dies between commit and acknowledgement: the broker delivers again to its next life."""
    name = uuid.uuid4().hex[:8]
    field_bus = a_bus(broker, f"field-{name}")
    first_life = a_bus(broker, f"hub-{name}", persistent=True)
    swallowed: list[Message] = []
    first_life.consume(topics.ALL_OBSERVATIONS, swallowed.append)
    at_work = Field(core, broker, field_bus, None, Blobs(tmp_path / "b"), f"sender-{name}")  # type: ignore[arg-type]
    subscribed(first_life, field_bus)
    at_work.publish(1, intrusion(core))
    eventually(lambda: bool(swallowed))
    first_life.stop()

    second_life = MqttBus(broker, f"hub-{name}")
    intake = an_intake(core, second_life, at_work.blobs)
    second_life.start()
    eventually(lambda: at_work.mark() == 1)
    at_work.publish(2, intrusion(core, active=False))
    eventually(lambda: at_work.mark() == 2)
    assert at_work.logged() == [f"{at_work.sender}:e1:1", f"{at_work.sender}:e1:2"]
    intake.stop()
    second_life.stop()
    field_bus.stop()


def test_several_in_one_message_are_each_stored_once(at_work: Field) -> None:
    envelopes = []
    for seq in (1, 2, 2, 3):
        one = intrusion(at_work.core, active=seq % 2 == 1).named(f"{at_work.sender}:e1:{seq}")
        envelopes.append(
            codec.encode(codec.Envelope(sender=at_work.sender, epoch="e1", seq=seq, observation=one))
        )
    at_work.raw(codec.joined(envelopes))
    at_work.raw(b"[]")
    at_work.raw(b"[" + envelopes[0] + b",3]")
    at_work.publish(4, intrusion(at_work.core, active=False))
    eventually(lambda: at_work.mark() == 4)
    assert at_work.logged() == [f"{at_work.sender}:e1:{seq}" for seq in (1, 2, 3, 4)]
    reasons = [kept.reason for kept in at_work.core.store.query(quarantine.listed)]
    assert len(reasons) == 2
    assert any("no envelope" in reason for reason in reasons)


@pytest.mark.parametrize("batch", [1, 50])
def test_an_outbox_is_emptied_through_intake(at_work: Field, tmp_path: Path, batch: int) -> None:
    outbox = Outbox(tmp_path / "outbox.db", f"{at_work.sender}-o")
    bus = a_bus(at_work.broker, f"{at_work.sender}-o")
    courier = Courier(outbox, bus, batch=batch)
    courier.start()
    for number in range(300):
        outbox.append([intrusion(at_work.core, active=number % 2 == 0)])
    eventually(lambda: outbox.last == 300 and outbox.waiting == 0)
    courier.stop()
    bus.stop()
    outbox.close()
    assert len(at_work.logged()) == 300
    assert at_work.core.store.query(stored_log.verify) == (at_work.core.store.head, None)
