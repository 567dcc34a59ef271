"""What a database can't hold, from the bus to the tables: refused by name or made visible, never a poison."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hub.audit import Act
from hub.deliveries import understood
from hub.store import audit, fixes
from hub.store import log as stored_log
from hub.store.chain import AuditWalk
from hub.store.engine import Store
from hub.store.tables.accounts import audit as audit_table
from wire import codec
from wire.bus import Message
from wire.observations import Condition, Observation, PointState, Position, Reply

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def message(observation: Observation, epoch: str = "e") -> Message:
    """As a sender delivers it."""
    envelope = codec.Envelope(sender="s", epoch=epoch, seq=1, observation=observation)
    return Message("jifang/obs/s", codec.encode(envelope), False, False, 0, lambda: None)


def car(**more: object) -> Observation:
    """A fix."""
    body = Position(lat=34.2, lon=117.1, **more)  # type: ignore[arg-type]
    return Observation(source="tracker:u-1", body=body, heard_at=NOW, id="tracker:u-1:1")


@pytest.mark.parametrize(
    "observation",
    [
        Observation(source="panel:a\0b", body=Reply(command="c", ok=True), heard_at=NOW, id="x"),
        Observation(source="panel:a", body=Reply(command="c", ok=True), heard_at=NOW, id="x\0"),
        Observation(
            source="panel:a",
            body=PointState(point="zone:\0", condition=Condition.INTRUSION, active=True),
            heard_at=NOW,
            id="x",
        ),
        car(serial="12\0"),
        car(doubt="\0"),
    ],
    ids=["source", "id", "point", "serial", "doubt"],
)
def test_a_name_with_a_zero_character_is_refused(observation: Observation) -> None:
    (item,) = understood(message(observation))
    assert item.envelope is None
    assert item.junk is not None
    assert "zero character" in item.junk.reason


def test_a_zero_character_in_a_text_or_written_out_is_no_fault() -> None:
    told = Reply(command="c", ok=True, reason="a\0b")
    for observation in (
        Observation(source="tracker:u-1", body=told, heard_at=NOW, id="x"),
        Observation(source="tracker:u-1", body=told, heard_at=NOW, id="x\\u0000"),
    ):
        (item,) = understood(message(observation))
        assert item.junk is None
        assert item.envelope is not None
        assert item.envelope.observation == observation


def test_an_act_of_a_stranger_is_written_whatever_it_holds(store: Store) -> None:
    act = Act(action="session.in", object="person:\0\udcff", reason="\0", outcome="no", address="::1")
    row = store.enqueue(lambda tx: audit.append(tx, act)).result(10)
    assert row.act.object == "person:␀\\udcff"
    assert store.query(lambda c: audit.page(c, before=None, limit=1)) == [row]
    walk = AuditWalk()
    for kept in store.query(lambda c: list(stored_log.raw(c, audit_table))):
        assert walk.take(kept)
    assert (walk.rows, walk.broken) == (1, None)


def test_fixes_by_the_hundred_come_back_as_they_were(store: Store) -> None:
    """By COPY on PostgreSQL: every kind of column, with and without a value."""
    sent = [
        Observation(
            source="tracker:u-1",
            body=Position(
                lat=34.2 + n / 1e4,
                lon=-117.123456789,
                speed_kmh=None if n % 2 else n / 3,
                valid=n % 3 > 0,
                doubt="\t\\N\n" if n % 5 == 0 else "",
                serial=str(n),
            ),
            heard_at=NOW,
            device_at=None if n % 4 == 0 else NOW,
            id=f"f:{n:03}",
        )
        for n in range(120)
    ]
    store.enqueue(lambda tx: fixes.add(tx.connection, sent, tx.now, tx.head)).result(10)
    found = store.query(lambda c: fixes.track(c, "tracker:u-1", datetime.min.replace(tzinfo=UTC), _far()))
    by_id = {one.id: one for one in found}
    assert [by_id[one.id].position for one in sent] == [one.body for one in sent]
    assert [by_id[one.id].device_at for one in sent] == [one.device_at for one in sent]
    assert store.query(lambda c: fixes.known(c, [one.id for one in sent] + ["no"])) == {o.id for o in sent}


def _far() -> datetime:
    return datetime(2200, 1, 1, tzinfo=UTC)
