"""Retention: what goes, what incidents hold on to, floors, and a log that stays provable and useful."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub import retention as hub_retention
from hub.desk import Desk
from hub.domain.entry import EntryKind
from hub.domain.retention import FLOORS, RetentionClass, TermRefused, Terms, is_due
from hub.retention import Pace, Retention, plan, read_history
from hub.store import audit as audit_rows
from hub.store import log as stored_log
from hub.store import retention as old
from hub.store.tables.accounts import audit, stills
from hub.store.tables.fixes import heartbeats, positions
from hub.store.tables.log import observation_ids
from hub.store.tables.quarantine import quarantine
from jifang.settings import SettingsError, parse
from jifang.steps import Silent
from jifang.verify import verify_store
from tests.keeping.conftest import Keep, jpeg
from wire.observations import Arming, ArmState, Heartbeat, Position


def kept(keep: Keep, table: sa.Table) -> int:
    query = sa.select(sa.func.count()).select_from(table)
    return int(keep.store.query(lambda connection: connection.execute(query).scalar_one()))


def test_motion_goes_after_its_days_and_everything_else_stays(keep: Keep) -> None:
    keep.see("panel:p-01", Arming(partition="1", state=ArmState.ARMED_AWAY))
    for number in range(5):
        keep.motion(jpeg(number))
    registered = keep.seqs(EntryKind.REGISTER)
    panels = keep.seqs(EntryKind.PANEL)
    before = len(keep.seqs())
    keep.days(91)
    young = keep.motion(jpeg(9))
    passed = keep.keeper().run()
    keep.holds()
    assert passed[RetentionClass.MOTION].deleted > 10
    assert passed[RetentionClass.STILLS].deleted == 5
    assert passed[RetentionClass.ALARMS].deleted == 0
    left = keep.seqs()
    assert len(left) < before
    assert young in left
    assert set(registered + panels) <= set(left)
    assert kept(keep, stills) == 1
    assert [path.name for path in (keep.data / "stills").glob("??/*")] == [
        keep.store.query(lambda c: c.execute(sa.select(stills.c.hash)).scalar_one())
    ]
    assert kept(keep, observation_ids) == 13, "identities outlive their entries by a month at least"
    keep.days(31)
    assert keep.keeper().run()[RetentionClass.MOTION].deleted == 0
    assert kept(keep, observation_ids) == 3
    keep.holds()
    assert verify_store(keep.url, keep.data, Silent()).faults == []


def test_what_an_incident_holds_on_to_stays_as_long_as_the_incident(keep: Keep) -> None:
    keep.motion(jpeg(1), "c-02")  # elsewhere, of no incident
    evidence = keep.motion(jpeg(2))  # seen by the market's camera a moment before
    identity = keep.burglary()
    keep.motion(jpeg(3))
    timeline = [entry.seq for entry in told(keep, identity)]
    keep.close_incident(identity)
    keep.days(400)
    keep.motion()
    keep.see("panel:p-01", Arming(partition="1", state=ArmState.ARMED_AWAY))
    keep.keeper().run()
    keep.holds()
    left = set(keep.seqs())
    assert set(timeline) <= left, "nothing behind an incident is deleted"
    assert evidence in left, "what its camera saw is evidence"
    assert kept(keep, stills) == 2
    keep.days(3650)
    keep.see("panel:p-01", Arming(partition="1", state=ArmState.DISARMED))
    keep.motion()
    keep.keeper().run()
    keep.holds()
    assert not set(timeline) & set(keep.seqs())
    (last,) = told(keep, identity)
    assert last.kind is EntryKind.CONDITION, "the point's newest state is its state"
    assert kept(keep, stills) == 0
    assert keep.store.query(old.incident_spans) == []
    assert verify_store(keep.url, keep.data, Silent()).faults == []


def told(keep: Keep, identity: str) -> list[Any]:
    def read(connection: sa.Connection) -> list[Any]:
        return stored_log.timeline(connection, identity, ["panel:p-01/zone:2/intrusion"], [])

    return keep.store.query(read)


def test_an_open_incident_loses_nothing_however_old(keep: Keep) -> None:
    keep.motion(jpeg(1))
    identity = keep.burglary()
    everything = {entry.seq for entry in told(keep, identity)}
    keep.days(365 * 20)
    keep.see("panel:p-01", Arming(partition="1", state=ArmState.ARMED_AWAY))
    keep.keeper().run()
    assert everything <= set(keep.seqs())
    assert kept(keep, stills) == 1
    assert keep.desk.snapshot().incidents[0].id == identity


def test_the_same_picture_shown_again_lives_on(keep: Keep) -> None:
    """A lens cap looks the same every time: the file goes by who showed it last."""
    keep.motion(b"black")
    for number in range(3):
        keep.motion(jpeg(number))
    keep.days(80)
    keep.motion(b"black")
    keep.days(20)
    keep.keeper().run()
    assert keep.store.query(lambda c: c.execute(sa.select(stills.c.seq)).scalars().all()) != []
    assert kept(keep, stills) == 1
    assert verify_store(keep.url, keep.data, Silent()).stills == 1


def test_positions_heartbeats_quarantine_and_audit_go_by_their_own_days(keep: Keep) -> None:
    def junk(tx: Any) -> None:
        tx.connection.execute(
            quarantine.insert().values(
                first_at=tx.now, at=tx.now, times=1, identity="x", protocol="p", peer="q", reason="r",
                raw=b"\0", size=1,
            )
        )  # fmt: skip

    for number in range(5):
        keep.see("tracker:u-0121", Position(lat=34.0 + number, lon=117.0))
        keep.see("panel:p-01", Heartbeat())
        keep.audit(f"camera:{number}")
    keep.do(junk)
    keep.days(61)
    keep.keeper().run()
    assert (kept(keep, positions), kept(keep, heartbeats), kept(keep, quarantine)) == (5, 0, 1)
    keep.days(120)
    keep.audit("camera:late")
    keep.keeper().run()
    assert (kept(keep, positions), kept(keep, quarantine)) == (0, 0)
    rows = kept(keep, audit)
    keep.days(1826)
    keep.audit("camera:last")
    passed = keep.keeper(pace=Pace(size=2, rest=0.0)).run()
    assert passed[RetentionClass.AUDIT].deleted == rows
    assert verify_store(keep.url, keep.data, Silent()).faults == []
    keep.do(lambda tx: tx.connection.execute(audit.delete().where(audit.c.seq == rows + 1)))
    fault = verify_store(keep.url, keep.data, Silent()).faults[0]
    assert (fault.where, fault.at) == ("audit", str(rows + 1))


def test_deletion_is_decided_in_the_log_before_and_told_after(keep: Keep) -> None:
    for number in range(4):
        keep.motion(jpeg(number))
    keep.days(91)
    keep.motion()
    keep.keeper().run()
    entries = keep.store.query(lambda c: stored_log.about(c, [old.RUN, "retention:motion"]))
    assert [entry.kind for entry in entries] == [EntryKind.KEEPING] * len(entries)
    begun, part, done = entries[0], entries[1], entries[-1]
    assert begun.body["state"] == "begun"
    assert begun.body["classes"]["motion"]["days"] == 90
    assert part.body["act"] == "pruned"
    assert done.body["state"] == "done"
    assert done.body["classes"]["motion"]["deleted"] == sum(
        one.body["entries"] for one in entries if one.body["act"] == "pruned"
    )
    assert len(done.body["classes"]["motion"]["digest"]) == 64
    row = keep.store.query(lambda c: audit_rows.page(c, before=None, limit=10))
    assert {one.act.object for one in row} == {"retention:motion", "retention:stills"}
    assert "799" in row[0].act.reason


def test_a_second_run_looks_only_at_what_has_come_of_age_since(keep: Keep) -> None:
    keep.motion()
    keep.days(91)
    keep.motion()
    keep.keeper().run()
    history = read_history(keep.store.query)
    assert not history.unfinished
    assert history.through[RetentionClass.MOTION] >= 4
    keep.days(1)
    scope = hub_retention.scope_of(keep.store.query, Terms(), history, keep.clock())
    assert not scope.whole
    assert scope.after[RetentionClass.MOTION] == history.through[RetentionClass.MOTION]


def test_the_desk_is_the_same_after_the_log_was_pruned(keep: Keep) -> None:
    keep.see("panel:p-01", Arming(partition="1", state=ArmState.ARMED_AWAY))
    for _ in range(20):
        keep.motion()
    keep.close_incident(keep.burglary())
    keep.days(500)
    keep.motion(camera="c-02")
    keep.keeper().run()
    state = keep.desk.snapshot()
    keep.do(keep.desk.rebuild)
    again = Desk(keep.store, keep.registers).snapshot()
    for name in ("incidents", "conditions", "cameras", "panels", "units"):
        assert getattr(again, name) == getattr(state, name), name


def test_alarms_never_wait_for_it(keep: Keep) -> None:
    """While a run is under way another job comes between any two of its transactions."""
    for _ in range(25):
        keep.motion()
    keep.days(91)
    keep.motion()
    retention = keep.keeper(pace=Pace(size=5, most=5))
    groups: list[int] = []
    keep.store.on_commit(lambda some: groups.append(len(some)))
    running = threading.Thread(target=retention.run)
    running.start()
    between = 0
    while running.is_alive():
        keep.do(lambda tx: tx.head)
        between += 1
    running.join()
    assert between > 5
    assert max(groups) <= 6, "a transaction of retention tells one entry, and shares a commit with few"
    keep.holds()


def test_the_plan_says_what_a_run_then_does(keep: Keep) -> None:
    keep.see("tracker:u-0121", Position(lat=34.0, lon=117.0))
    for number in range(7):
        keep.motion(jpeg(number))
    keep.days(1)
    keep.close_incident(keep.burglary())
    keep.days(200)
    keep.motion()
    planned = plan(keep.store.query, Terms(), keep.clock())
    passed = keep.keeper().run()
    assert {of: one.rows for of, one in planned.items()} == {of: one.deleted for of, one in passed.items()}
    assert planned[RetentionClass.MOTION].rows > 0


def test_a_clock_that_has_just_jumped_ahead_deletes_nothing(keep: Keep) -> None:
    keep.motion()
    keep.days(1000)
    keep.motion()
    assert not keep.store.query(lambda c: old.is_settled(c, keep.clock()))
    keep.days(1)
    keep.motion()
    assert keep.store.query(lambda c: old.is_settled(c, keep.clock()))


def test_it_runs_by_itself_when_it_is_due(keep: Keep) -> None:
    for day in (0, 89, 90.5, 91.5):
        keep.days(day)
        keep.motion()
    keep.clock.now = keep.clock.now.replace(hour=19)  # 03:00 in Xuzhou
    keep.motion()
    keep.days(0.9)
    retention: Retention = keep.keeper()
    done = threading.Event()
    keep.store.on_commit(
        lambda some: done.set() if any(one.body.get("state") == "done" for one in some) else None
    )
    retention.start()
    assert done.wait(30)
    retention.stop()
    keep.holds()


@pytest.mark.parametrize("of", list(RetentionClass))
def test_no_class_can_be_kept_for_less_than_its_floor(of: RetentionClass) -> None:
    floor = FLOORS[of].floor
    assert parse(f"[retention]\n{of.value}_days = {floor}").retention.terms.days(of) == floor
    with pytest.raises(SettingsError) as refused:
        parse(f"[retention]\n{of.value}_days = {floor - 1}")
    assert f"{of.value}_days" in str(refused.value)
    assert str(floor) in str(refused.value)
    assert FLOORS[of].source in str(refused.value)
    with pytest.raises(TermRefused, match="hundred years"):
        Terms(**{of.value: 10**9})


def test_the_floors_of_order_799_and_the_alarm_log() -> None:
    assert (FLOORS[RetentionClass.MOTION].floor, FLOORS[RetentionClass.STILLS].floor) == (30, 30)
    assert FLOORS[RetentionClass.ALARMS].floor == 90
    assert FLOORS[RetentionClass.AUDIT].floor >= 3 * 365


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, "2026-11-21T10:00", True),
        ("2026-11-20T18:30", "2026-11-21T18:05", True),  # 02:05 in Xuzhou, yesterday's was last
        ("2026-11-21T18:05", "2026-11-21T19:00", False),  # tonight's has been
        ("2026-11-20T18:30", "2026-11-21T10:00", False),  # by day, and not overdue
        ("2026-11-19T18:30", "2026-11-21T10:00", True),  # a night was missed
    ],
)
def test_when_a_run_is_due(last: str | None, now: str, due: bool) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert is_due(at(last) if last else None, at(now)) is due


def test_days_are_days_of_xuzhou() -> None:
    now = datetime(2026, 11, 21, 15, 59, tzinfo=UTC)  # 23:59
    assert Terms().cutoff(RetentionClass.MOTION, now) == datetime(2026, 8, 22, 16, 0, tzinfo=UTC)
    later = now + timedelta(minutes=1)
    assert Terms().cutoff(RetentionClass.MOTION, later) == datetime(2026, 8, 23, 16, 0, tzinfo=UTC)
