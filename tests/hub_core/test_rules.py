"""The pure rules: no sequence of actions reaches an illegal state, loses an alarm, or turns time around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hub.domain import alarm, handling, nearest
from hub.domain.approach import Approach, Fix, Geofence, Sign, advanced
from hub.domain.condition import AlarmCondition
from hub.domain.freshness import lateness_at, link_at
from hub.domain.geo import distance_m
from hub.domain.handling import ENDED, FALSE_CODES, ActionRefused
from hub.domain.incident import Assignment, AssignmentState, ClockPoints, Incident, IncidentState
from hub.domain.response import RESPONSES, opens_incident, priority_of
from hub.domain.unit import Unit, UnitLink, UnitStatus
from hub.domain.wording import CONDITION_NAMES, order_text
from tests.hub_core.conftest import MARKET, START
from wire.observations import Condition, Heartbeat, Lateness, Observation

S = IncidentState
MAY_FOLLOW: dict[IncidentState, set[IncidentState]] = {
    S.NEW: {S.NEW, S.TRIAGE},
    S.TRIAGE: {S.TRIAGE, S.PENDING, S.ACTIVE, S.CLOSED},
    S.PENDING: {S.PENDING, S.ACTIVE, S.CLOSED},
    S.ACTIVE: {S.ACTIVE, S.HANDLED, S.PENDING},
    S.HANDLED: {S.HANDLED, S.ACTIVE, S.CLOSED},
    S.CLOSED: {S.CLOSED},
}
UNITS = ("u-1", "u-2", "u-3")


def an_incident() -> Incident:
    """New, at the market."""
    return Incident(
        id="2026-1121-0001",
        version=1,
        state=S.NEW,
        priority=2,
        condition="intrusion",
        site="market",
        site_name="黄河市场",
        site_name_en="Huanghe Market",
        point_label="后门",
        place="xz-yunlong",
        place_name="云龙区",
        lat=MARKET[0],
        lon=MARKET[1],
        opened_at=START,
        state_since=START,
        clocks=ClockPoints(t1_received=START),
        conditions=("panel:p-01/zone:2/intrusion",),
        count=1,
    )


class IncidentLife(RuleBasedStateMachine):
    """Anybody does anything to an incident, in any order."""

    @initialize()
    def open(self) -> None:
        self.now = START
        self.incident = an_incident()
        self.number = 0

    def act(self, action: Callable[[], Incident | None]) -> None:
        """Tries; a refusal changes nothing; what is allowed follows the table."""
        self.now += timedelta(seconds=1)
        before = self.incident
        try:
            after = action()
        except ActionRefused as refused:
            assert refused.reason
            assert refused.reason_zh
            return
        if after is None:
            return
        assert after.state in MAY_FOLLOW[before.state]
        assert after.version == before.version + 1
        assert after.conditions == before.conditions
        assert (after.state_since == self.now) is (after.state is not before.state)
        self.incident = after

    @rule(by=st.sampled_from(["li", "wang"]))
    def claim(self, by: str) -> None:
        self.act(lambda: handling.claimed(self.incident, by, self.now))

    @rule()
    def verify(self) -> None:
        self.act(lambda: handling.verified(self.incident, self.now))

    @rule(code=st.sampled_from([*sorted(FALSE_CODES), "real", ""]))
    def false(self, code: str) -> None:
        self.act(lambda: handling.judged_false(self.incident, code, self.now))

    @rule(unit=st.sampled_from(UNITS))
    def dispatch(self, unit: str) -> None:
        self.number += 1
        assignment = Assignment(
            id=f"{self.incident.id}/{self.number}",
            unit=unit,
            unit_name=unit,
            state=AssignmentState.DISPATCHED,
            by="li",
            dispatched_at=self.now,
        )
        self.act(lambda: handling.dispatched(self.incident, assignment, self.now))

    @rule(unit=st.sampled_from(UNITS))
    def arrived(self, unit: str) -> None:
        self.act(lambda: handling.arrived(self.incident, unit, "li", self.now))

    @rule(unit=st.sampled_from(UNITS))
    def clear(self, unit: str) -> None:
        self.act(lambda: handling.cleared(self.incident, unit, self.now))

    @rule(number=st.integers(1, 5), sign=st.sampled_from(["accepted", "rolling", "on_scene"]))
    def car(self, number: int, sign: str) -> None:
        identity = f"{self.incident.id}/{number}"
        signs: dict[str, Callable[[], Incident | None]] = {
            "accepted": lambda: handling.accepted(self.incident, identity, self.now),
            "rolling": lambda: handling.rolling(self.incident, identity, self.now),
            "on_scene": lambda: handling.on_scene(self.incident, identity, "gps", self.now),
        }
        self.act(signs[sign])

    @rule(outcome=st.sampled_from(["抓获一人", "", "  ", "x" * 3000]))
    def close(self, outcome: str) -> None:
        self.act(lambda: handling.closed(self.incident, outcome, self.now))

    @invariant()
    def assignments_explain_the_state(self) -> None:
        running = [one for one in self.incident.assignments if one.state not in ENDED]
        assert (self.incident.state is S.ACTIVE) is bool(running)
        assert len({one.unit for one in running}) == len(running), "a unit is on it once"
        if self.incident.state is S.HANDLED:
            assert any(one.state is AssignmentState.CLEARED for one in self.incident.assignments)

    @invariant()
    def clocks_run_forward(self) -> None:
        clocks = self.incident.clocks
        assert (clocks.t10_closed is not None) is (self.incident.state is S.CLOSED)
        assert (self.incident.close_code != "") is (self.incident.state is S.CLOSED)
        for earlier, later in (
            (clocks.t1_received, clocks.t3_acked),
            (clocks.t3_acked, clocks.t4_judged),
            (clocks.t5_dispatched, clocks.t9_cleared),
            (clocks.t4_judged, clocks.t10_closed),
        ):
            assert later is None or (earlier is not None and earlier <= later)
        for one in self.incident.assignments:
            steps = [
                at
                for at in (
                    one.dispatched_at,
                    one.accepted_at,
                    one.en_route_at,
                    one.on_scene_at,
                    one.cleared_at,
                )
                if at is not None
            ]
            assert steps == sorted(steps)

    @invariant()
    def versions_are_sane(self) -> None:
        assert 1 <= self.incident.acted_version <= self.incident.version
        handling.check_version(self.incident, self.incident.version)


IncidentLife.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
TestIncidentLife = IncidentLife.TestCase


def a_condition() -> AlarmCondition:
    """An intrusion, just now."""
    return AlarmCondition(
        id="panel:p-01/zone:2/intrusion",
        source="panel:p-01",
        point="zone:2",
        condition="intrusion",
        active=True,
        acked=False,
        since=START,
        device_at=None,
        count=1,
        label="后门",
        site="market",
        place="xz-yunlong",
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(["raise", "clear", "unknown", "ack"]), st.integers(0, 90), st.booleans()),
        max_size=40,
    )
)
@settings(deadline=None, derandomize=True, database=None)
def test_an_alarm_nobody_has_seen_never_leaves_the_desk(steps: list[tuple[str, int, bool]]) -> None:
    now, condition = START, None
    seen_since_raised = True
    for what, seconds, incident_open in steps:
        now += timedelta(seconds=seconds)
        if what == "raise":
            new = replace(a_condition(), since=now)
            after = alarm.raised(condition, new, now, incident_open=incident_open)
            if after is not None:
                seen_since_raised = False
        elif what == "ack":
            after = alarm.acknowledged(condition, "li", now) if condition else None
            seen_since_raised = True
        else:
            after = alarm.ended(condition, False if what == "clear" else None, now)
        condition = after or condition
        if condition is None:
            continue
        assert condition.count >= 1
        assert condition.acked is seen_since_raised
        if not seen_since_raised or condition.active is not False:
            assert alarm.is_listed(condition)


def test_the_same_alarm_within_a_minute_counts() -> None:
    first = a_condition()
    over = alarm.ended(first, False, START + timedelta(seconds=1))
    assert over is not None
    for seconds, count in ((61, 2), (62, 1)):
        now = START + timedelta(seconds=seconds)
        again = alarm.raised(over, replace(first, since=now), now, incident_open=False)
        assert again is not None
        assert again.count == count


def a_unit(identity: str, north: float, **more: object) -> Unit:
    """A car `north` degrees from the market."""
    base = Unit(
        id=identity,
        name=identity,
        place="xz",
        status=UnitStatus.AVAILABLE,
        link=UnitLink.ONLINE,
        lat=MARKET[0] + north,
        lon=MARKET[1],
        fix_at=START,
        heard_at=START,
    )
    return replace(base, **more)  # type: ignore[arg-type]


def test_the_nearest_that_is_free_and_heard_comes_first() -> None:
    units = [
        a_unit("far", 0.05),
        a_unit("near", 0.01),
        a_unit("busy", 0.001, status=UnitStatus.COMMITTED, incident="2026-1121-0009"),
        a_unit("stale", 0.002, link=UnitLink.STALE),
        a_unit("lost", 0.002, link=UnitLink.LOST),
        a_unit("nowhere", 0.0, lat=None, lon=None),
        a_unit("home", 0.0, status=UnitStatus.OFF_DUTY),
        a_unit("broken", 0.0, status=UnitStatus.OUT_OF_SERVICE),
    ]
    rows = nearest.recommended(an_incident(), units, START + timedelta(seconds=6))
    assert [row.unit for row in rows] == ["near", "far", "nowhere", "stale", "lost", "busy"]
    assert [row.rank for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0].fix_age_s == 6
    assert rows[0].distance_m == pytest.approx(1112, abs=2)
    assert rows[0].eta_s == pytest.approx(1112 * 1.4 / 30 * 3.6, abs=1)
    assert [row.stale for row in rows] == [False, False, False, True, True, False]
    assert rows[-1].busy_with == "2026-1121-0009"


def test_distance_is_right() -> None:
    """Xuzhou railway station to Xuzhou East: 8.93 km on the sphere of IUGG's mean radius."""
    assert distance_m(34.2655, 117.2015, 34.2280, 117.2870) == pytest.approx(8_903, rel=0.01)
    assert distance_m(0, 0, 0, 1) == pytest.approx(111_195, abs=1)
    assert distance_m(10, 179.9, 10, -179.9) == pytest.approx(distance_m(10, 0, 10, 0.2), abs=0.1)


def drive(fixes: list[tuple[float, float, float]]) -> list[Sign]:
    """Signs of (seconds, degrees north of the goal, km/h), ordered 0.02° away."""
    approach = Approach(start=(MARKET[0] + 0.02, MARKET[1]), goal=MARKET)
    signs = []
    for seconds, north, speed in fixes:
        fix = Fix(
            lat=MARKET[0] + north, lon=MARKET[1], at=START + timedelta(seconds=seconds), speed_kmh=speed
        )
        approach, sign = advanced(approach, fix, Geofence())
        signs.append(sign)
    return signs


@pytest.mark.parametrize(
    ("fixes", "last"),
    [
        ([(0, 0.0001, 0), (10, 0.0002, 0), (15, 0.0, 0)], Sign.ARRIVED),
        ([(0, 0.0001, 0), (14, 0.0002, 0)], Sign.NOTHING),
        ([(0, 0.0001, 0), (10, 0.01, 40), (16, 0.0, 0)], Sign.NOTHING),
        ([(0, 0.0195, 40)], Sign.NOTHING),
        ([(0, 0.017, 40)], Sign.ROLLING),
        ([(0, 0.017, 5)], Sign.NOTHING),
    ],
)
def test_arrival_needs_to_stay_and_rolling_to_move(
    fixes: list[tuple[float, float, float]], last: Sign
) -> None:
    assert drive(fixes)[-1] is last


@pytest.mark.parametrize(
    ("age_s", "interval_s", "link"),
    [
        (30, 10, UnitLink.ONLINE),
        (31, 10, UnitLink.STALE),
        (121, 10, UnitLink.LOST),
        (121, 60, UnitLink.ONLINE),
        (181, 60, UnitLink.STALE),
        (721, 60, UnitLink.LOST),
    ],
)
def test_a_link_ages_by_its_interval(age_s: float, interval_s: float, link: UnitLink) -> None:
    assert link_at(START, interval_s, START + timedelta(seconds=age_s)) is link


@pytest.mark.parametrize(
    ("device_s", "heard_s", "marked", "verdict"),
    [
        (120, 0, Lateness.LIVE, Lateness.LIVE),
        (121, 0, Lateness.LIVE, Lateness.FUTURE),
        (-3600, 0, Lateness.LIVE, Lateness.LIVE),
        (-3600, 0, Lateness.BUFFERED, Lateness.BUFFERED),
        (500, 0, Lateness.RETAINED, Lateness.RETAINED),
        (0, -900, Lateness.LIVE, Lateness.LIVE),
        (0, -901, Lateness.LIVE, Lateness.BUFFERED),
    ],
)
def test_only_the_hub_makes_later(device_s: int, heard_s: int, marked: Lateness, verdict: Lateness) -> None:
    heard = START + timedelta(seconds=heard_s)
    observation = Observation(
        source="panel:p-01",
        body=Heartbeat(),
        heard_at=heard,
        device_at=heard + timedelta(seconds=device_s) if device_s else None,
        lateness=marked,
    )
    assert lateness_at(observation, START) is verdict


def test_every_condition_of_the_table_has_a_priority_and_words() -> None:
    for condition in RESPONSES:
        assert 1 <= priority_of(condition, checkpoint=True) <= priority_of(condition, checkpoint=False) <= 4
        assert CONDITION_NAMES[condition]
    assert set(Condition) - set(RESPONSES) == {Condition.LINE_CROSSING, Condition.DIGITAL_INPUT}
    assert not opens_incident("tracker:u-1", "terminal", Condition.COMMS_LOST)
    assert opens_incident("tracker:u-1", "terminal", Condition.SOS)


def test_an_order_says_where_and_what() -> None:
    assert (
        order_text(an_incident()) == "出警指令 2026-1121-0001:黄河市场 后门 入侵报警,请立即前往处置并回复。"
    )
