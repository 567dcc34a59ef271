"""Everything after the log is a function of it: rebuilt from entries, and derived again from what came in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from hub.board import DeskState
from hub.desk import Desk
from hub.domain.entry import Entry, EntryKind
from hub.domain.incident import Incident
from hub.recording import record
from hub.registers import Registers
from hub.store import fixes
from hub.store import log as stored_log
from hub.store.engine import Store, Transaction
from hub.store.tables.cases import conditions, incidents, views
from hub.store.tables.fixes import positions
from tests.hub_core.conftest import MARKET, SITE, START, Core, HandClock
from wire.observations import (
    Arming,
    ArmState,
    Body,
    Condition,
    Link,
    Motion,
    Observation,
    PointState,
    Position,
)


def put_in(core: Core, source: str, body: Body, **more: Any) -> None:
    """An observation the way intake stores it: entry or fix, then the desk."""
    core.sent += 1
    observation = Observation(
        source=source, body=body, heard_at=core.clock.now, id=f"t:{core.sent:04d}", **more
    )

    def job(tx: Transaction) -> None:
        if isinstance(body, Position):
            fixes.add(tx.connection, [observation], tx.now, tx.head)
            core.desk.observe(tx, observation)
        else:
            entry = record(tx, core.registers, observation)
            core.desk.observe(tx, observation, "", entry.seq)

    core.do(job)


def point(name: str, condition: Condition, active: bool | None = True) -> PointState:
    """A point's state."""
    return PointState(point=name, condition=condition, active=active)


def an_evening(core: Core) -> None:
    """Two incidents, a flapping line, cars, motion; one second is one tick."""
    p1, p2, c1 = "panel:p-01", "panel:p-02", "camera:c-01"
    first = "2026-1121-0001"

    def act(name: str, identity: str, *more: str) -> None:
        version = next(one.version for one in core.incidents if one.id == identity)
        core.do(lambda tx: getattr(core.desk, name)(tx, identity, version, "li", *more))

    def drive(north: float, speed: float) -> None:
        put_in(
            core,
            "tracker:u-0121",
            Position(lat=MARKET[0] + north, lon=MARKET[1], speed_kmh=speed),
            device_at=core.clock.now,
        )

    script: dict[int, Any] = {
        1: lambda: put_in(core, p1, Arming(partition="1", state=ArmState.ARMED_AWAY)),
        2: lambda: put_in(core, c1, Link(up=True)),
        3: lambda: drive(0.02, 30.0),
        4: lambda: put_in(core, c1, Motion(active=True, event="m")),
        5: lambda: put_in(core, p1, point("zone:2", Condition.INTRUSION)),
        7: lambda: act("claim", first),
        8: lambda: put_in(core, p1, point("zone:2", Condition.INTRUSION, active=False)),
        9: lambda: act("verify", first),
        10: lambda: act("dispatch", first, "u-0121"),
        12: lambda: put_in(core, c1, point("picture", Condition.PICTURE_LOST)),
        20: lambda: drive(0.01, 40.0),
        22: lambda: put_in(core, p1, point("zone:2", Condition.INTRUSION)),
        30: lambda: drive(0.0001, 0.0),
        31: lambda: put_in(core, p2, point("panel", Condition.MAINS_FAULT)),
        40: lambda: drive(0.0001, 0.0),
        46: lambda: drive(0.0001, 0.0),
        47: lambda: act("note", first, "到场"),
        50: lambda: act("clear", first, "u-0121"),
        52: lambda: act("close", first, "抓获一人"),
        55: lambda: put_in(core, "panel:stranger", point("zone:1", Condition.HOLD_UP)),
        60: lambda: put_in(core, p2, point("panel", Condition.MAINS_FAULT, active=False)),
        62: lambda: core.do(lambda tx: core.desk.ack(tx, f"{p2}/panel/mains_fault", "li")),
    }
    for second in range(1, 70):
        core.tick(1)
        if second in script:
            script[second]()


def tables(core: Core) -> dict[str, list[Any]]:
    """The desk's tables, row by row, without what positions and heartbeats alone change."""

    def read(connection: sa.Connection) -> dict[str, list[Any]]:
        found = {}
        for table in (conditions, incidents, views):
            rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns)).all()
            found[table.name] = [_bare(row) for row in rows]
        return found

    return core.store.query(read)


def _bare(row: Any) -> Any:
    told = row._asdict()
    body = msgspec.json.decode(told["body"])
    for moving in ("heard_at", "lat", "lon", "speed_kmh", "course_deg", "fix_at"):
        body.pop(moving, None)
    told["body"] = body
    return told


def test_the_tables_are_rebuilt_from_the_log_alone(core: Core) -> None:
    an_evening(core)
    before, state = tables(core), core.desk.snapshot()
    assert len(before["incidents"]) == 3
    core.do(lambda tx: tx.connection.execute(conditions.delete()))
    core.do(lambda tx: tx.connection.execute(incidents.update().values(state="new", body="{}")))
    core.do(core.desk.rebuild)
    assert tables(core) == before
    assert resting(core.desk.snapshot()) == resting(state)


def resting(state: DeskState) -> DeskState:
    """A state without what positions alone change."""
    units = tuple(
        replace(unit, lat=None, lon=None, speed_kmh=None, fix_at=None, heard_at=None) for unit in state.units
    )
    panels = tuple(replace(panel, heard_at=None) for panel in state.panels)
    return replace(state, seq=0, units=units, panels=panels)


def test_a_hub_that_starts_again_stands_where_it_stood(core: Core) -> None:
    an_evening(core)
    again = Desk(core.store, core.registers)
    assert again.snapshot() == core.desk.snapshot()


@dataclass(slots=True)
class Second:
    """A hub in another place with the same registers."""

    core: Core


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Second]:
    """It starts at the same hour with an empty log."""
    clock = HandClock()
    store = Store.open(f"sqlite:///{tmp_path}/second.db", clock=clock)
    registers = Registers.load(store, tmp_path / "second.key")
    from hub.sitefile import parse

    file = parse(msgspec.json.encode(SITE))
    store.enqueue(lambda tx: registers.import_site(tx, file, "test")).result(10)
    yield Second(Core(store, registers, Desk(store, registers), clock))
    store.close()


def test_what_came_in_gives_the_same_desk_again(core: Core, second: Second) -> None:
    """Only observations, fixes and persons' actions are taken over; conditions and incidents follow."""
    an_evening(core)
    replay(core, second.core)
    assert second.core.desk.snapshot() == core.desk.snapshot()
    assert [entry.body for entry in second.core.entries()] == [entry.body for entry in core.entries()]
    held, broken = second.core.store.query(stored_log.verify)
    assert (held, broken) == (core.store.head, None)


def replay(core: Core, other: Core) -> None:
    """Feeds `other` what came in to `core`, second by second."""
    events: dict[datetime, list[tuple[int, int, Any]]] = {}
    for entry in core.entries(EntryKind.OBSERVATION, EntryKind.INCIDENT, EntryKind.CONDITION):
        if entry.at > START:
            events.setdefault(entry.at, []).append((entry.seq, 0, entry))
    for order, fix in enumerate(core.store.query(all_fixes)):
        events.setdefault(fix.stored_at, []).append((fix.head, 1 + order, fix))
    while other.clock.now < core.clock.now:
        other.tick(1)
        for _, _, what in sorted(events.get(other.clock.now, []), key=lambda one: one[:2]):
            again(other, what)


def all_fixes(connection: sa.Connection) -> list[fixes.Fix]:
    """Every stored position, in order."""
    sources = connection.execute(sa.select(positions.c.source).distinct()).scalars().all()
    ends = datetime.fromisoformat("2100-01-01T00:00:00+00:00")
    return [fix for source in sources for fix in fixes.track(connection, source, START, ends)]


def again(core: Core, what: Entry | fixes.Fix) -> None:
    """One thing that came in."""
    if isinstance(what, fixes.Fix):
        put_in(core, what.source, what.position, device_at=what.device_at)
    elif what.kind is EntryKind.OBSERVATION:
        seen = msgspec.convert(what.body, Observation)
        put_in(core, seen.source, seen.body, device_at=seen.device_at)
    elif what.actor:
        act_again(core, what)


def act_again(core: Core, entry: Entry) -> None:
    """One thing a person did."""
    if entry.kind is EntryKind.CONDITION:
        if not entry.body["incident"] or entry.body["incident"] not in {one.id for one in core.incidents}:
            return
        if entry.body["condition"] == "mains_fault":
            core.do(lambda tx: core.desk.ack(tx, entry.body["id"], entry.actor))
        return
    incident = msgspec.convert(entry.body["incident"], Incident)
    action = entry.body["action"]
    more = {
        "dispatch": [incident.assignments[-1].unit] if incident.assignments else [],
        "cleared": [incident.assignments[-1].unit] if incident.assignments else [],
        "close": [entry.body["detail"]],
        "note": [entry.body["detail"]],
    }.get(action, [])
    name = {"cleared": "clear"}.get(action, action)
    if name == "acknowledge":
        return
    version = next(one.version for one in core.incidents if one.id == incident.id)
    core.do(lambda tx: getattr(core.desk, name)(tx, incident.id, version, entry.actor, *more))
