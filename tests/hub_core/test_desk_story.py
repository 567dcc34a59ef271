"""The desk from alarm to closed, over a real store."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from hub.desk import ActionRefused
from hub.domain.device import Health
from hub.domain.entry import EntryKind
from hub.domain.incident import AssignmentState, IncidentState
from hub.domain.unit import UnitLink, UnitStatus
from hub.store import cases
from tests.hub_core.conftest import MARKET, Core
from wire.observations import Arming, ArmState, Condition, Heartbeat, Lateness, Link, Motion, Position


def test_an_alarm_goes_the_whole_way(core: Core) -> None:
    core.fix("u-0121", MARKET[0] + 0.02, MARKET[1])
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION, armed=True)
    (incident,) = core.incidents
    assert incident.state is IncidentState.NEW
    assert (incident.priority, incident.site_name, incident.point_label) == (2, "黄河市场", "后门")
    assert incident.cameras[0] == "c-01"
    identity = incident.id

    core.clock.forward(8)
    core.do(lambda tx: core.desk.claim(tx, identity, incident.version, "li"))
    core.clock.forward(10)
    core.do(lambda tx: core.desk.verify(tx, identity, core.incidents[0].version, "li"))
    best = core.desk.recommended(identity, core.clock.now)[0]
    assert best.unit == "u-0121"
    assert best.eta_s == pytest.approx(best.distance_m * 1.4 / (30 / 3.6), abs=0.2)  # type: ignore[operator]
    core.do(lambda tx: core.desk.dispatch(tx, identity, core.incidents[0].version, "li", "u-0121"))
    assert core.unit("u-0121").status is UnitStatus.COMMITTED
    order = core.entries(EntryKind.ORDER)[0]
    assert order.body["to"] == "u-0121"
    assert "黄河市场" in order.body["text"]
    assert "入侵报警" in order.body["text"]

    core.do(lambda tx: core.desk.order_answered(tx, f"{identity}/1", True))
    assert core.assigned() is AssignmentState.ACCEPTED
    core.clock.forward(20)
    core.fix("u-0121", MARKET[0] + 0.015, MARKET[1])
    assert core.assigned() is AssignmentState.EN_ROUTE
    for _ in range(3):
        core.clock.forward(8)
        core.fix("u-0121", MARKET[0] + 0.0004, MARKET[1], speed_kmh=0.0)
    there = core.incidents[0].assignments[0]
    assert there.state is AssignmentState.ON_SCENE
    assert there.arrival_by == "gps"

    core.clock.forward(300)
    core.do(lambda tx: core.desk.clear(tx, identity, core.incidents[0].version, "li", "u-0121"))
    assert core.incidents[0].state is IncidentState.HANDLED
    assert core.unit("u-0121").status is UnitStatus.AVAILABLE
    core.do(lambda tx: core.desk.close(tx, identity, core.incidents[0].version, "li", "抓获一人"))
    assert core.incidents == ()
    closed = core.store.query(lambda connection: cases.incident(connection, identity))
    assert closed is not None
    clocks = closed.clocks
    steps = [
        step
        for step in (
            clocks.t1_received,
            clocks.t3_acked,
            clocks.t4_judged,
            clocks.t5_dispatched,
            clocks.t6_accepted,
            clocks.t7_rolling,
            clocks.t8_on_scene,
            clocks.t9_cleared,
            clocks.t10_closed,
        )
        if step is not None
    ]
    assert len(steps) == 9
    assert steps == sorted(steps)
    assert (closed.state, closed.close_code, closed.outcome) == (IncidentState.CLOSED, "real", "抓获一人")


def test_a_false_alarm_closes_with_its_cause(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    identity = core.incident.id
    core.do(lambda tx: core.desk.claim(tx, identity, 1, "li"))
    with pytest.raises(ActionRefused, match="code"):
        core.do(lambda tx: core.desk.false(tx, identity, 2, "li", "boredom"))
    core.do(lambda tx: core.desk.false(tx, identity, 2, "li", "animal"))
    assert core.incidents == ()
    closed = core.store.query(cases.closed_incidents)
    assert [(one.id, one.close_code) for one in closed] == [(identity, "animal")]


def test_of_two_operators_who_claim_at_once_one_wins(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    identity = core.incident.id
    outcomes = [
        core.store.enqueue(lambda tx, who=who: core.desk.claim(tx, identity, 1, who))  # type: ignore[misc]
        for who in ("li", "wang")
    ]
    assert outcomes[0].result(5).claimed_by == "li"
    refused = outcomes[1].exception(5)
    assert isinstance(refused, ActionRefused)
    assert refused.current is not None
    assert refused.current.claimed_by == "li"
    assert core.incident.claimed_by == "li"


def test_a_chattering_zone_counts_and_takes_no_decision_away(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    seen = core.incident.version
    for _ in range(3):
        core.clock.forward(2)
        core.alarm("panel:p-01", "zone:2", Condition.INTRUSION, active=False)
        core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    assert core.incident.count == 4
    assert core.incident.version > seen
    assert len(core.incident.conditions) == 1
    core.do(lambda tx: core.desk.claim(tx, core.incident.id, seen, "li"))
    assert core.incident.state is IncidentState.TRIAGE


def test_the_same_site_within_five_minutes_is_one_incident(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    core.clock.forward(240)
    core.alarm("camera:c-01", "picture", Condition.PICTURE_COVERED)
    assert len(core.incident.conditions) == 2
    core.alarm("panel:p-02", "zone:1", Condition.INTRUSION)
    assert len(core.incidents) == 2
    core.clock.forward(301)
    core.alarm("panel:p-01", "panel", Condition.TAMPER)
    assert len(core.incidents) == 3


def test_a_hold_up_is_never_grouped_into_something_lesser(core: Core) -> None:
    core.alarm("panel:p-01", "panel", Condition.MAINS_FAULT)
    core.alarm("panel:p-01", "zone:1", Condition.HOLD_UP)
    assert [one.priority for one in core.incidents] == [1, 4]


def test_a_worse_member_raises_the_incident(core: Core) -> None:
    core.alarm("panel:p-01", "panel", Condition.MAINS_FAULT)
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    assert (core.incident.priority, core.incident.condition) == (2, "intrusion")


def test_at_a_checkpoint_a_covered_camera_is_more(core: Core) -> None:
    core.alarm("camera:c-01", "picture", Condition.PICTURE_COVERED)
    core.alarm("camera:c-02", "picture", Condition.PICTURE_COVERED)
    assert {one.site: one.priority for one in core.incidents} == {"market": 3, "gate": 2}


def test_an_unset_zone_that_sees_people_is_no_alarm(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION, armed=False)
    assert core.incidents == ()
    assert core.desk.snapshot().conditions == ()
    zone = next(one for one in core.desk.snapshot().panels[0].zones if one.point == "zone:2")
    assert zone.active is True
    core.alarm("panel:p-01", "zone:1", Condition.HOLD_UP, armed=False)
    assert core.incident.priority == 1


@pytest.mark.parametrize("lateness", [Lateness.BUFFERED, Lateness.RETAINED, Lateness.FUTURE])
def test_what_is_late_raises_nothing(core: Core, lateness: Lateness) -> None:
    core.alarm("panel:p-01", "zone:1", Condition.HOLD_UP, lateness=lateness)
    assert core.incidents == ()
    assert core.desk.snapshot().conditions == ()


def test_what_is_late_may_end_what_was_before_it(core: Core) -> None:
    core.alarm("panel:p-01", "zone:1", Condition.HOLD_UP)
    core.clock.forward(5)
    core.alarm("panel:p-01", "zone:1", Condition.HOLD_UP, active=False, lateness=Lateness.RETAINED)
    condition = core.condition("panel:p-01/zone:1/hold_up")
    assert condition is not None
    assert condition.active is False


def test_a_cleared_alarm_stays_until_it_was_seen(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION, active=False)
    identity = "panel:p-01/zone:2/intrusion"
    assert core.condition(identity) is not None
    core.do(lambda tx: core.desk.ack(tx, identity, "li"))
    assert core.condition(identity) is None
    assert core.incident.clocks.t3_acked == core.clock.now


def test_a_lost_line_must_last_before_it_is_an_incident(core: Core) -> None:
    core.alarm("camera:c-01", "picture", Condition.PICTURE_LOST)
    assert core.condition("camera:c-01/picture/picture_lost") is not None
    core.tick(19)
    assert core.incidents == ()
    core.tick(1)
    assert core.incident.condition == "picture_lost"


def test_a_line_that_comes_back_is_no_incident(core: Core) -> None:
    core.see("camera:c-01", Link(up=True))
    core.alarm("camera:c-01", "picture", Condition.PICTURE_LOST)
    assert core.camera("c-01").health is Health.LOST
    core.clock.forward(5)
    core.alarm("camera:c-01", "picture", Condition.PICTURE_LOST, active=False)
    core.tick(60)
    assert core.incidents == ()
    assert core.camera("c-01").health is Health.ONLINE


def test_motion_is_shown_and_is_no_incident(core: Core) -> None:
    core.see("camera:c-01", Motion(active=True, event="m1"))
    assert core.camera("c-01").motion
    core.see("camera:c-01", Motion(active=False, event="m1"))
    assert not core.camera("c-01").motion
    core.see("camera:c-01", Motion(active=True, event="m2"))
    core.tick(601)
    assert not core.camera("c-01").motion
    assert core.incidents == ()


def test_the_event_subscription_is_not_the_picture(core: Core) -> None:
    core.see("camera:c-01", Link(up=True))
    core.alarm("camera:c-01", "onvif", Condition.COMMS_LOST)
    core.tick(120)
    assert core.incidents == ()
    assert (core.camera("c-01").health, core.camera("c-01").events) == (Health.ONLINE, Health.LOST)
    core.alarm("camera:c-01", "onvif", Condition.COMMS_LOST, active=False)
    assert core.camera("c-01").events is Health.ONLINE


def test_a_panel_is_known_by_what_it_says(core: Core) -> None:
    assert core.panel("p-01").health is Health.UNKNOWN
    core.see("panel:p-01", Arming(partition="1", state=ArmState.ARMED_AWAY))
    assert (core.panel("p-01").health, core.panel("p-01").armed) == (Health.ONLINE, "armed_away")
    core.alarm("panel:p-01", "panel", Condition.MAINS_FAULT)
    assert (core.panel("p-01").health, core.panel("p-01").reason) == (Health.FAULTY, "mains_fault")
    core.see("panel:p-01", Link(up=False, reason="last will"))
    assert core.panel("p-01").health is Health.LOST
    core.see("panel:p-01", Link(up=True))
    assert core.panel("p-01").health is Health.FAULTY


def test_a_panel_that_is_cut_off_is_an_incident_when_it_lasts(core: Core) -> None:
    core.see("panel:p-02", Heartbeat())
    core.see("panel:p-02", Link(up=False, reason="last will"))
    assert (core.panel("p-02").health, core.panel("p-02").reason) == (Health.LOST, "comms_lost")
    core.tick(20)
    assert (core.incident.condition, core.incident.priority) == ("comms_lost", 2)
    core.see("panel:p-02", Link(up=True))
    assert core.panel("p-02").health is Health.ONLINE


def test_a_car_that_signs_off_is_lost_until_it_is_heard(core: Core) -> None:
    core.fix("u-0121", 34.21, 117.15)
    core.see("tracker:u-0121", Link(up=False, reason="signed off"))
    core.tick(1)
    assert core.unit("u-0121").link is UnitLink.LOST
    core.fix("u-0121", 34.22, 117.15)
    assert core.unit("u-0121").link is UnitLink.ONLINE


def test_an_unregistered_panel_is_taken_in_at_the_root(core: Core) -> None:
    core.alarm("panel:stranger", "zone:9", Condition.INTRUSION)
    assert core.panel("stranger").place == "xz"
    assert core.incident.place == "xz"


def test_a_crews_call_for_help_stands_where_the_car_is(core: Core) -> None:
    core.fix("u-0121", 34.21, 117.15)
    core.alarm("tracker:u-0121", "terminal", Condition.SOS)
    assert (core.incident.priority, core.incident.lat, core.incident.point_label) == (1, 34.21, "苏C-0121")
    assert core.unit("u-0121").duress
    core.alarm("tracker:u-0121", "terminal", Condition.SOS, active=False)
    assert not core.unit("u-0121").duress


def test_a_car_ages(core: Core) -> None:
    core.fix("u-0121", 34.21, 117.15)
    assert core.unit("u-0121").link is UnitLink.ONLINE
    core.tick(31)
    assert core.unit("u-0121").link is UnitLink.STALE
    core.tick(90)
    assert core.unit("u-0121").link is UnitLink.LOST
    core.see("tracker:u-0121", Heartbeat())
    assert core.unit("u-0121").link is UnitLink.ONLINE


def test_old_and_doubtful_fixes_move_no_car(core: Core) -> None:
    core.fix("u-0121", 34.21, 117.15)
    core.clock.forward(10)
    core.see("tracker:u-0121", Position(lat=0.0, lon=0.0, valid=False, doubt="null island"))
    core.see(
        "tracker:u-0121",
        Position(lat=34.5, lon=117.5),
        device_at=core.clock.now - timedelta(minutes=30),
        lateness=Lateness.BUFFERED,
    )
    assert (core.unit("u-0121").lat, core.unit("u-0121").lon) == (34.21, 117.15)


def test_a_unit_on_one_incident_is_not_sent_to_another(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    core.alarm("panel:p-02", "zone:1", Condition.INTRUSION)
    first, second = (one.id for one in core.incidents)
    for identity in (first, second):
        core.do(lambda tx, one=identity: core.desk.claim(tx, one, 1, "li"))  # type: ignore[misc]
    core.do(lambda tx: core.desk.dispatch(tx, first, 2, "li", "u-0121"))
    with pytest.raises(ActionRefused, match="committed"):
        core.do(lambda tx: core.desk.dispatch(tx, second, 2, "li", "u-0121"))
    assert core.desk.recommended(second, core.clock.now)[-1].unit == "u-0121"
    core.do(lambda tx: core.desk.clear(tx, first, 3, "li", "u-0121"))
    assert next(one for one in core.incidents if one.id == first).state is IncidentState.PENDING


def test_driving_by_is_not_arriving(core: Core) -> None:
    core.fix("u-0121", MARKET[0] + 0.03, MARKET[1])
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    identity = core.incident.id
    core.do(lambda tx: core.desk.claim(tx, identity, 1, "li"))
    core.do(lambda tx: core.desk.dispatch(tx, identity, 2, "li", "u-0121"))
    for north in (0.02, 0.01, 0.0003, -0.01, 0.0003, 0.02):
        core.clock.forward(12)
        core.fix("u-0121", MARKET[0] + north, MARKET[1])
    assert core.assigned() is AssignmentState.EN_ROUTE


def test_the_first_console_that_drew_it_is_t2(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    core.clock.forward(1)
    core.do(lambda tx: core.desk.rendered(tx, core.desk.snapshot().seq, "desk-1", tx.now))
    assert core.incident.clocks.t2_rendered == core.clock.now
    version = core.incident.version
    core.clock.forward(1)
    core.do(lambda tx: core.desk.rendered(tx, core.desk.snapshot().seq, "desk-2", tx.now))
    assert core.incident.version == version


def test_a_refused_action_leaves_nothing(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    before, entries = core.desk.snapshot(), len(core.entries())
    with pytest.raises(ActionRefused):
        core.do(lambda tx: core.desk.dispatch(tx, core.incident.id, 1, "li", "nobody"))
    assert core.desk.snapshot() == before
    assert len(core.entries()) == entries


def test_a_timeline_tells_the_whole_way(core: Core) -> None:
    core.alarm("panel:p-01", "zone:2", Condition.INTRUSION)
    identity = core.incident.id
    core.do(lambda tx: core.desk.claim(tx, identity, 1, "li"))
    core.do(lambda tx: core.desk.note(tx, identity, 2, "li", "  已联系保安  "))
    core.do(lambda tx: core.desk.dispatch(tx, identity, 3, "li", "u-0121"))
    told = [(entry.kind, entry.body.get("action", "")) for entry in asyncio.run(core.desk.timeline(identity))]
    assert told == [
        (EntryKind.CONDITION, ""),
        (EntryKind.INCIDENT, "opened"),
        (EntryKind.CONDITION, ""),
        (EntryKind.INCIDENT, "claim"),
        (EntryKind.INCIDENT, "note"),
        (EntryKind.INCIDENT, "dispatch"),
        (EntryKind.ORDER, ""),
    ]
