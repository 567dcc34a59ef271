"""After an outage: news before history, gaps closed, nothing undone by what is older. On a real Mosquitto."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from hub.domain.entry import EntryKind
from hub.standings import ASK_AFTER_S, Gaps, Standing
from hub.store import quarantine, senders
from hub.store.blobs import Blobs
from hub.store.engine import Transaction
from tests.hub_core.conftest import Core
from tests.hub_core.test_intake import (
    Field,
    a_bus,
    an_intake,
    at_work,  # noqa: F401 - a fixture
    eventually,
    intrusion,
    subscribed,
)
from wire import codec, topics
from wire.bus import Broker, Message, MqttBus
from wire.courier import Courier
from wire.observations import Condition, Heartbeat, Link, Loss, Observation, PointState
from wire.outbox import Outbox
from wire.spans import Spans


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """One database is enough here."""
    return f"sqlite:///{tmp_path}/hub.db"


def tampered(core: Core, number: int, age: timedelta) -> Observation:
    """One of many things that a panel said."""
    body = PointState(point=f"zone:{number}", condition=Condition.TAMPER, active=False)
    return Observation(source="panel:p-02", body=body, heard_at=core.clock.now - age)


def test_a_live_alarm_does_not_wait_for_the_backlog_of_a_day(at_work: Field, tmp_path: Path) -> None:  # noqa: F811
    core, sender = at_work.core, f"{at_work.sender}-o"
    outbox = Outbox(tmp_path / "outbox.db", sender, clock=lambda: core.clock.now)
    day = timedelta(hours=23)
    for start in range(0, 3_000, 500):
        outbox.append([tampered(core, start + one, day) for one in range(500)]).result(30)
    outbox.append([intrusion(core)]).result(10)
    bus = a_bus(at_work.broker, sender)
    courier = Courier(outbox, bus, clock=lambda: core.clock.now)
    courier.start()
    eventually(lambda: bool(core.incidents), 30)
    eventually(lambda: outbox.waiting == 0, 60)
    courier.stop()
    bus.stop()
    outbox.close()
    entries = [one for one in core.entries(EntryKind.OBSERVATION) if sender in str(one.body["id"])]
    assert len(entries) == 3_001
    (live,) = [number for number, one in enumerate(entries) if not one.late]
    assert live < 1_500, f"{live} of history went before it"  # a window and a batch at the most
    past = [str(one.body["id"]).rsplit(":", 1)[-1] for one in entries if one.late]
    assert past == [str(number) for number in range(1, 3_001)]
    assert core.incident.count == 1


def test_what_lies_beyond_a_gap_is_known_after_a_restart(core: Core, broker: Broker, tmp_path: Path) -> None:
    """The hub dies in the middle of a catch-up; its next life neither forgets nor stalls."""
    name = uuid.uuid4().hex[:8]
    field_bus, first = a_bus(broker, f"field-{name}"), a_bus(broker, f"hub-{name}")
    intake = an_intake(core, first, Blobs(tmp_path / "blobs"))
    at_work = Field(core, broker, field_bus, intake, Blobs(tmp_path / "blobs"), f"sender-{name}")  # noqa: F811
    subscribed(first, field_bus)
    for seq in (1, 7, 8, 12):
        at_work.publish(seq, intrusion(core, active=seq % 2 == 0))
    eventually(lambda: len(at_work.logged()) == 4)
    eventually(lambda: core.store.query(senders.standings)[at_work.sender, "e1"] == (1, "7-8,12-12"))
    intake.stop()
    first.stop()

    told: list[codec.Stored] = []
    topic = topics.STORED.format(sender=at_work.sender)
    field_bus.consume(topic, lambda message: told.append(codec.decode(message.payload, codec.Stored)))
    second = a_bus(broker, f"hub-{name}-2")
    intake = an_intake(core, second, Blobs(tmp_path / "blobs"))
    subscribed(second, field_bus)
    for seq in (2, 3, 4, 5, 6):
        at_work.publish(seq, intrusion(core, active=seq % 2 == 0))
    eventually(lambda: at_work.mark() == 8)
    at_work.publish(14, intrusion(core))
    eventually(lambda: any(one.beyond == ((14, 14),) for one in told))
    assert core.store.query(senders.standings)[at_work.sender, "e1"] == (8, "12-12,14-14")
    intake.stop()
    second.stop()
    field_bus.stop()


def test_messages_the_broker_swallowed_in_the_middle_are_asked_for_again(
    core: Core, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some reach a hub that never stores them; its next life hears of the later ones only, and asks."""
    monkeypatch.setattr(Gaps, "ask_after_s", 0.2)
    name = uuid.uuid4().hex[:8]
    sender = f"sender-{name}"
    swallower = a_bus(broker, f"swallower-{name}")
    swallowed: list[str] = []

    def swallow(message: Message) -> None:
        swallowed.append(message.topic)
        message.ack()

    swallower.consume(topics.OBSERVATIONS.format(sender=sender), swallow)
    field_bus = a_bus(broker, f"field-{name}")
    subscribed(swallower, field_bus)
    outbox = Outbox(tmp_path / "o.db", sender, clock=lambda: core.clock.now)
    # Patience alone would take hours: what comes again was asked for.
    courier = Courier(outbox, field_bus, batch=2, patience_s=10_000.0, clock=lambda: core.clock.now)
    courier.start()
    outbox.append([intrusion(core, active=number % 2 == 0) for number in range(4)]).result(10)
    eventually(lambda: len(swallowed) == 2)
    swallower.stop()

    hub_bus = a_bus(broker, f"hub-{name}")
    intake = an_intake(core, hub_bus, Blobs(tmp_path / "blobs"))
    subscribed(hub_bus, field_bus)
    outbox.append([intrusion(core, active=number % 2 == 0) for number in range(3)]).result(10)
    eventually(lambda: outbox.waiting == 0, 40)
    found = [one.body["id"] for one in core.entries(EntryKind.OBSERVATION)]
    assert sorted(found) == [f"{sender}:{outbox.epoch}:{seq}" for seq in range(1, 8)]
    courier.stop()
    intake.stop()
    for bus in (hub_bus, field_bus):
        bus.stop()
    outbox.close()


def test_what_was_sent_while_the_hub_was_away_goes_again_as_soon_as_it_is_back(
    core: Core, broker: Broker, tmp_path: Path
) -> None:
    """The broker keeps nothing for the hub; patience alone would take hours."""
    name = uuid.uuid4().hex[:8]
    field_bus = a_bus(broker, f"field-{name}", persistent=False)
    outbox = Outbox(tmp_path / "o.db", f"sender-{name}", clock=lambda: core.clock.now)
    courier = Courier(outbox, field_bus, patience_s=10_000.0, clock=lambda: core.clock.now)
    courier.start()
    for life in range(3):
        hub_bus = a_bus(broker, f"hub-{name}", persistent=False)
        intake = an_intake(core, hub_bus, Blobs(tmp_path / "blobs"))
        subscribed(hub_bus, field_bus)
        outbox.append([intrusion(core, active=life % 2 == 0)]).result(10)
        eventually(lambda: outbox.waiting == 0, 40)
        intake.stop()
        hub_bus.stop()
        outbox.append([intrusion(core, active=number % 2 == 0) for number in range(3)]).result(10)
        eventually(lambda: len(courier._live.on_way) == 3)
    last_life = a_bus(broker, f"hub-{name}", persistent=False)
    intake = an_intake(core, last_life, Blobs(tmp_path / "blobs"))
    eventually(lambda: outbox.waiting == 0, 40)
    found = [one.body["id"] for one in core.entries(EntryKind.OBSERVATION)]
    assert sorted(found) == sorted(f"{outbox.sender}:{outbox.epoch}:{seq}" for seq in range(1, 13))
    courier.stop()
    intake.stop()
    for bus in (last_life, field_bus):
        bus.stop()
    outbox.close()


def test_a_sender_stands_last_where_it_was_heard_of_last(core: Core) -> None:
    """A hub that starts tells each sender of its present epoch; an epoch's name says nothing of its age."""
    for minute, epoch in enumerate(("f", "a", "c")):
        at = core.clock.now + timedelta(minutes=minute)

        def heard(tx: Transaction, epoch: str = epoch, at: datetime = at) -> None:
            senders.put(tx.connection, "s", epoch, 1, "", at)

        core.store.enqueue(heard).result(10)
    assert [epoch for _, epoch in core.store.query(senders.standings)] == ["f", "a", "c"]


def test_a_gap_is_asked_for_when_it_does_not_close_and_its_sender_speaks() -> None:
    gaps = Gaps()
    standings = {
        ("s", "e"): Standing(4, Spans([(7, 9), (12, 12)])),
        ("s", "old"): Standing(1, Spans([(3, 3)])),
    }
    gaps.hear("s", "e", 0.0)
    assert gaps.due(standings, 0.0) == {}
    assert gaps.due(standings, ASK_AFTER_S - 1) == {}
    assert gaps.due(standings, ASK_AFTER_S) == {("s", "e"): [(5, 6), (10, 11)]}
    assert gaps.due(standings, ASK_AFTER_S + 1) == {}  # once, and later again
    assert gaps.due(standings, 3 * ASK_AFTER_S) == {("s", "e"): [(5, 6), (10, 11)]}
    assert gaps.due(standings, 1000.0) == {}  # it has been silent for long


def test_what_a_sender_holds_no_more_and_this_log_never_had_stands_in_the_log(at_work: Field) -> None:  # noqa: F811
    """The hub was restored from a backup: its sender was told that more was stored."""
    at_work.publish(1, intrusion(at_work.core))
    eventually(lambda: at_work.mark() == 1)
    at_work.floor(5)
    at_work.publish(7, intrusion(at_work.core, active=False))
    gone = codec.Floor(epoch="e1", seq=5, gone=((6, 6),))
    for _ in range(2):
        at_work.raw(codec.encode(gone), "floor")
    eventually(lambda: at_work.mark() == 7)
    told = [one.body for one in at_work.core.entries(EntryKind.OBSERVATION) if one.subject == "hub:intake"]
    assert [(one["body"]["reason"], one["body"]["count"], one["body"]["spans"]) for one in told] == [
        ("not_in_this_log", 4, [[2, 5]]),
        ("not_in_this_log", 1, [[6, 6]]),
    ]
    assert told[0]["body"]["detail"] == f"{at_work.sender}:e1"


def test_an_outbox_that_takes_in_nothing_stands_on_the_desk(at_work: Field) -> None:  # noqa: F811
    name = f"outbox:{at_work.sender}"

    def part() -> list[tuple[bool, str]]:
        parts = at_work.core.desk.snapshot().hub.parts
        return [(one.up, one.reason) for one in parts if one.name == name]

    at_work.raw(codec.encode(codec.Floor(epoch="e1", seq=0)), "floor")
    at_work.raw(codec.encode(codec.Floor(epoch="e1", seq=0, trouble="disk is full")), "floor")
    eventually(lambda: part() == [(False, "disk_full")])
    at_work.raw(codec.encode(codec.Floor(epoch="e1", seq=0)), "floor")
    eventually(lambda: part() == [(True, "")])


def test_what_the_broker_let_go_stands_in_the_log(at_work: Field) -> None:  # noqa: F811
    real = at_work.intake
    real._bus.forget(topics.BROKER_DROPPED)
    real._dropped = None

    def says(count: bytes, *, retained: bool = False) -> None:
        real._on_dropped(Message(topics.BROKER_DROPPED, count, retained, False, 0, lambda: None))

    says(b"7", retained=True)  # before our time
    for count in (b"7", b"no number", b"12", b"3", b"4"):  # between 12 and 3 the broker was restarted
        says(count)

    def told() -> list[int]:
        entries = at_work.core.entries(EntryKind.OBSERVATION)
        return [one.body["body"]["count"] for one in entries if one.subject == "hub:broker"]

    eventually(lambda: sum(told()) == 9)
    assert told()[0] == 5


def test_a_broker_that_has_let_nothing_go_for_a_minute_says_nothing_until_it_does(at_work: Field) -> None:  # noqa: F811
    real = at_work.intake
    real._bus.forget(topics.BROKER_DROPPED)
    real._dropped = None
    real._on_dropped(Message(topics.BROKER_DROPPED, b"2", False, False, 0, lambda: None))
    eventually(
        lambda: (
            [
                one.body["body"]["count"]
                for one in at_work.core.entries(EntryKind.OBSERVATION)
                if one.subject == "hub:broker"
            ]
            == [2]
        )
    )


def test_a_loss_told_by_a_sender_stands_in_the_log_once(at_work: Field) -> None:  # noqa: F811
    loss = Loss(reason="pictures_dropped", count=3, since=at_work.core.clock.now, spans=((1, 3),))
    one = Observation(source="edge:edge-1", body=loss, heard_at=at_work.core.clock.now)
    for _ in range(2):
        at_work.publish(1, one)
    at_work.publish(2, intrusion(at_work.core))
    eventually(lambda: at_work.mark() == 2)
    (entry,) = [one for one in at_work.core.entries(EntryKind.OBSERVATION) if one.subject == "edge:edge-1"]
    assert entry.body["body"]["count"] == 3


def test_what_cannot_be_understood_in_a_message_is_settled_alone(at_work: Field) -> None:  # noqa: F811
    """Otherwise its sender would send it again for ever."""
    envelopes = []
    for seq in (1, 2, 3):
        one = intrusion(at_work.core, active=seq % 2 == 1).named(f"{at_work.sender}:e1:{seq}")
        envelope = codec.Envelope(sender=at_work.sender, epoch="e1", seq=seq, observation=one)
        envelopes.append(codec.encode(envelope))
    envelopes[1] = envelopes[1].replace(b'"point":', b'"punkt":')
    at_work.raw(codec.joined(envelopes))
    eventually(lambda: at_work.mark() == 3)
    assert at_work.logged() == [f"{at_work.sender}:e1:{seq}" for seq in (1, 3)]
    (kept,) = at_work.core.store.query(quarantine.listed)
    assert kept.raw == envelopes[1][: len(kept.raw)]


# What is older undoes nothing


def test_an_older_state_that_comes_later_is_history(at_work: Field) -> None:  # noqa: F811
    """Cleared (2) arrives before raised (1), which was lost on the way and came again."""
    at_work.publish(2, intrusion(at_work.core, active=False))
    at_work.publish(1, intrusion(at_work.core))
    eventually(lambda: at_work.mark() == 2)
    assert [one.late for one in at_work.core.entries(EntryKind.OBSERVATION)] == [False, True]
    assert at_work.core.incidents == ()


def test_an_older_end_does_not_end_a_newer_alarm_even_after_a_restart(
    core: Core, broker: Broker, tmp_path: Path
) -> None:
    name = uuid.uuid4().hex[:8]
    field_bus = a_bus(broker, f"field-{name}")
    at_work = Field(core, broker, field_bus, None, Blobs(tmp_path / "blobs"), f"sender-{name}")  # type: ignore[arg-type]  # noqa: F811
    now = core.clock.now
    newer = msgspec.structs.replace(intrusion(core), heard_at=now)
    older = msgspec.structs.replace(intrusion(core, active=False), heard_at=now - timedelta(minutes=1))
    for life, (seq, one) in enumerate(((2, newer), (1, older))):
        hub_bus = a_bus(broker, f"hub-{name}-{life}")
        intake = an_intake(core, hub_bus, at_work.blobs)
        subscribed(hub_bus, field_bus)
        at_work.publish(seq, one)
        eventually(lambda life=life: len(at_work.logged()) == life + 1)  # type: ignore[misc]
        intake.stop()
        hub_bus.stop()
    condition = core.condition("panel:p-01/zone:2/intrusion")
    assert condition is not None
    assert condition.active is True
    assert [zone.active for zone in core.panel("p-01").zones if zone.point == "zone:2"] == [True]
    field_bus.stop()


def test_a_heartbeat_from_before_the_link_was_lost_brings_nobody_back(at_work: Field) -> None:  # noqa: F811
    now = at_work.core.clock.now
    gone = Observation(source="panel:p-01", body=Link(up=False, reason="last will"), heard_at=now)
    at_work.publish(2, gone)
    at_work.publish(1, Observation(source="panel:p-01", body=Heartbeat(), heard_at=now))
    eventually(lambda: at_work.mark() == 2)
    assert at_work.core.panel("p-01").link_up is False
    at_work.publish(3, Observation(source="panel:p-01", body=Heartbeat(), heard_at=now))
    eventually(lambda: at_work.core.panel("p-01").link_up is True)


def test_a_retained_request_is_never_obeyed(broker: Broker) -> None:
    """Somebody left an order at the broker: whoever serves later must not carry it out."""
    verb = uuid.uuid4().hex[:8]
    topic = topics.ASK.format(wing="alarm", verb=verb)
    desk, wing = a_bus(broker, f"desk-{verb}"), MqttBus(broker, f"wing-{verb}", persistent=False)
    lies = b'{"id":"1","reply_to":"jifang/reply/nobody","body":"ZGlzYXJt"}'
    desk.publish(topic, lies, retain=True).result(5)
    obeyed: list[bytes] = []

    def obey(body: bytes) -> bytes:
        obeyed.append(body)
        return b"done"

    wing.serve("alarm", verb, obey)
    wing.start()
    eventually(lambda: wing.connected)
    # Answered after what was retained was delivered: the broker sends in order.
    assert desk.request("alarm", verb, b"arm", timeout_s=10).result(12) == b"done"
    assert obeyed == [b"arm"]
    desk.publish(topic, b"", retain=True).result(5)
    desk.stop()
    wing.stop()
