"""The desk from alarm to closed, over a real store."""

from __future__ import annotations

import pytest

from hub.desk import ActionRefused
from hub.domain.device import Health
from hub.domain.entry import EntryKind
from hub.domain.incident import AssignmentState, IncidentState
from hub.domain.unit import UnitLink, UnitStatus
from tests.hub_core.conftest import MARKET, Core
from wire.observations import Arming, ArmState, Condition, Heartbeat, Lateness, Link, Motion


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
    assert core.assignment.state is AssignmentState.ACCEPTED
    core.clock.forward(20)
    core.fix("u-0121", MARKET[0] + 0.015, MARKET[1])
    assert core.assignment.state is AssignmentState.EN_ROUTE
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
    closed = core.store.query(lambda connection: _closed(connection, identity))
    clocks = closed.clocks
    steps = [
        clocks.t1_received,
        clocks.t3_acked,
        clocks.t4_judged,
        clocks.t5_dispatched,
        clocks.t6_accepted,
        clocks.t7_rolling,
        clocks.t8_on_scene,
        clocks.t9_cleared,
        clocks.t10_closed,
    ]
    assert None not in steps
    assert steps == sorted(steps)  # type: ignore[type-var]
    assert (closed.state, closed.close_code, closed.outcome) == (IncidentState.CLOSED, "real", "抓获一人")


def _closed(connection: object, identity: str):  # type: ignore[no-untyped-def]
    from hub.store import cases

    return cases.incident(connection, identity)  # type: ignore[arg-type]
