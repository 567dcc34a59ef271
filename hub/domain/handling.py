"""Machines B and C: what persons and cars may do to an incident, as pure transitions.

| state | claim | verify | false | dispatch | close |
|---|---|---|---|---|---|
| new | → triage | – | – | – | – |
| triage | takeover | → pending | → closed | → active (verifies) | – |
| pending | takeover | – | – | → active | → closed |
| active | takeover | – | – | active, one unit more | – |
| handled | takeover | – | – | → active | → closed |
| closed, merged | – | – | – | – | – |

An active incident is handled when its last unit clears, pending again when all were recalled on the way.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from hub.domain.incident import Assignment, AssignmentState, ClockPoints, Incident, IncidentState

FALSE_CODES = frozenset({"false_alarm", "test", "fault", "weather", "animal", "misoperation"})
MAX_TEXT = 2_000

UNDERWAY = frozenset({AssignmentState.DISPATCHED, AssignmentState.ACCEPTED, AssignmentState.EN_ROUTE})
ENDED = frozenset({AssignmentState.CLEARED, AssignmentState.DECLINED, AssignmentState.RECALLED})

STATE_NAMES = {
    IncidentState.NEW: "待接警",
    IncidentState.TRIAGE: "研判中",
    IncidentState.PENDING: "待派警",
    IncidentState.ACTIVE: "处置中",
    IncidentState.HANDLED: "处置完毕",
    IncidentState.CLOSED: "已结警",
    IncidentState.MERGED: "已合并",
}
_ACTION_NAMES = {
    "claimed": "接警",
    "verified": "核实",
    "judged false": "判为误报",
    "given a unit": "派警",
    "closed": "结警",
}

_S = IncidentState
_A = AssignmentState


class ActionRefused(ValueError):
    """The incident's state or version doesn't allow the action. `current` is the incident as it stands."""

    def __init__(self, reason: str, reason_zh: str, current: Incident | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reason_zh = reason_zh
        self.current = current


def is_open(incident: Incident) -> bool:
    """Whether it still wants something."""
    return incident.state not in {_S.CLOSED, _S.MERGED}


def check_version(incident: Incident, version: int) -> None:
    """Raises `ActionRefused` where a person has acted on the incident since `version`."""
    if version > incident.version:
        raise ActionRefused(
            f"version {version} is not known; it is {incident.version}",
            f"版本号 {version} 不存在,当前为 {incident.version}",
            incident,
        )
    if version < incident.acted_version:
        raise ActionRefused(
            f"somebody acted meanwhile: version {version} is out of date",
            "警情已被他人处理,请按最新状态操作",
            incident,
        )


def claimed(incident: Incident, by: str, now: datetime) -> Incident:
    """A person takes it, or takes it over."""
    _allow(incident, is_open(incident), "claimed")
    if incident.claimed_by == by:
        raise ActionRefused("it is yours already", "警情已由您接警", incident)
    clocks = replace(incident.clocks, t3_acked=incident.clocks.t3_acked or now)
    state = _S.TRIAGE if incident.state is _S.NEW else incident.state
    return _acted(incident, now, state=state, clocks=clocks, claimed_by=by)


def verified(incident: Incident, now: datetime) -> Incident:
    """The person judges it real."""
    _allow(incident, incident.state is _S.TRIAGE, "verified")
    return _acted(incident, now, state=_S.PENDING, clocks=replace(incident.clocks, t4_judged=now))


def judged_false(incident: Incident, code: str, now: datetime) -> Incident:
    """The person judges it false, and says why."""
    _allow(incident, incident.state is _S.TRIAGE, "judged false")
    if code not in FALSE_CODES:
        raise ActionRefused(
            f"code: {code!r} is none of {', '.join(sorted(FALSE_CODES))}", "误报原因代码无效", incident
        )
    clocks = replace(incident.clocks, t4_judged=now, t10_closed=now)
    return _acted(incident, now, state=_S.CLOSED, clocks=clocks, close_code=code)


def dispatched(incident: Incident, assignment: Assignment, now: datetime) -> Incident:
    """A unit is ordered there. From triage the order says as well that the alarm is real."""
    able = {_S.TRIAGE, _S.PENDING, _S.ACTIVE, _S.HANDLED}
    _allow(incident, incident.state in able, "given a unit")
    if any(one.unit == assignment.unit and one.state not in ENDED for one in incident.assignments):
        name = assignment.unit_name
        raise ActionRefused(f"unit: {name} is on it already", f"{name} 已派往本警情", incident)
    clocks = replace(
        incident.clocks,
        t4_judged=incident.clocks.t4_judged or now,
        t5_dispatched=incident.clocks.t5_dispatched or now,
        t9_cleared=None,
    )
    return _acted(
        incident, now, state=_S.ACTIVE, clocks=clocks, assignments=(*incident.assignments, assignment)
    )


def accepted(incident: Incident, assignment_id: str, now: datetime) -> Incident | None:
    """The unit's terminal confirmed the order; None where that says nothing new."""
    one = _assignment(incident, assignment_id)
    if one is None or one.state is not _A.DISPATCHED:
        return None
    clocks = replace(incident.clocks, t6_accepted=incident.clocks.t6_accepted or now)
    return _assigned(incident, replace(one, state=_A.ACCEPTED, accepted_at=now), clocks)


def rolling(incident: Incident, assignment_id: str, now: datetime) -> Incident | None:
    """The unit is on its way; None where that says nothing new."""
    one = _assignment(incident, assignment_id)
    if one is None or one.state not in {_A.DISPATCHED, _A.ACCEPTED}:
        return None
    clocks = replace(incident.clocks, t7_rolling=incident.clocks.t7_rolling or now)
    return _assigned(incident, replace(one, state=_A.EN_ROUTE, en_route_at=now), clocks)


def on_scene(incident: Incident, assignment_id: str, by: str, now: datetime) -> Incident | None:
    """The unit is there, known `by` a person or `gps`; None where that says nothing new."""
    one = _assignment(incident, assignment_id)
    if one is None or one.state not in UNDERWAY:
        return None
    clocks = replace(incident.clocks, t8_on_scene=incident.clocks.t8_on_scene or now)
    there = replace(one, state=_A.ON_SCENE, on_scene_at=now, arrival_by=by)
    return _assigned(incident, there, clocks)


def arrived(incident: Incident, unit: str, by: str, now: datetime) -> Incident:
    """A person says that the unit is there."""
    changed = on_scene(incident, _running(incident, unit).id, by, now)
    if changed is None:
        raise ActionRefused(f"unit: {unit} is there already", f"{unit} 已到场", incident)
    return replace(changed, acted_version=changed.version)


def cleared(incident: Incident, unit: str, now: datetime) -> Incident:
    """The unit is free again: cleared where it had arrived, recalled where it hadn't."""
    one = _running(incident, unit)
    end = _A.CLEARED if one.state is _A.ON_SCENE else _A.RECALLED
    changed = _assigned(incident, replace(one, state=end, cleared_at=now), incident.clocks)
    if any(other.state not in ENDED for other in changed.assignments):
        return replace(changed, acted_version=changed.version)
    handled = any(other.state is _A.CLEARED for other in changed.assignments)
    return replace(
        changed,
        acted_version=changed.version,
        state=_S.HANDLED if handled else _S.PENDING,
        state_since=now,
        clocks=replace(changed.clocks, t9_cleared=now if handled else None),
    )


def closed(incident: Incident, outcome: str, now: datetime) -> Incident:
    """The real incident is over, with what came of it in words."""
    _allow(incident, incident.state in {_S.PENDING, _S.HANDLED}, "closed")
    outcome = checked_text(incident, "outcome", outcome)
    clocks = replace(incident.clocks, t10_closed=now)
    return _acted(incident, now, state=_S.CLOSED, clocks=clocks, close_code="real", outcome=outcome)


def noted(incident: Incident) -> Incident:
    """A person wrote something down; that puts nobody's decision out of date."""
    return replace(incident, version=incident.version + 1)


def checked_text(incident: Incident, field: str, text: str) -> str:
    """`text` without outer spaces. Raises `ActionRefused` where it is empty or over `MAX_TEXT` characters."""
    text = text.strip()
    if not 0 < len(text) <= MAX_TEXT:
        raise ActionRefused(
            f"{field}: must have 1 to {MAX_TEXT} characters, has {len(text)}",
            f"须填写 1 至 {MAX_TEXT} 字,现为 {len(text)} 字",
            incident,
        )
    return text


def _allow(incident: Incident, allowed: bool, what: str) -> None:
    if not allowed:
        raise ActionRefused(
            f"an incident that is {incident.state} can't be {what}",
            f"警情当前为“{STATE_NAMES[incident.state]}”,不能{_ACTION_NAMES[what]}",
            incident,
        )


def _acted(
    incident: Incident,
    now: datetime,
    *,
    state: IncidentState,
    clocks: ClockPoints,
    claimed_by: str | None = None,
    assignments: tuple[Assignment, ...] | None = None,
    close_code: str | None = None,
    outcome: str | None = None,
) -> Incident:
    """The incident after a person's action."""
    return replace(
        incident,
        version=incident.version + 1,
        acted_version=incident.version + 1,
        state=state,
        state_since=incident.state_since if state is incident.state else now,
        clocks=clocks,
        claimed_by=incident.claimed_by if claimed_by is None else claimed_by,
        assignments=incident.assignments if assignments is None else assignments,
        close_code=incident.close_code if close_code is None else close_code,
        outcome=incident.outcome if outcome is None else outcome,
    )


def _assigned(incident: Incident, changed: Assignment, clocks: ClockPoints) -> Incident:
    assignments = tuple(changed if one.id == changed.id else one for one in incident.assignments)
    return replace(incident, version=incident.version + 1, assignments=assignments, clocks=clocks)


def _assignment(incident: Incident, assignment_id: str) -> Assignment | None:
    return next((one for one in incident.assignments if one.id == assignment_id), None)


def _running(incident: Incident, unit: str) -> Assignment:
    """The unit's assignment that hasn't ended. Raises `ActionRefused`."""
    for one in reversed(incident.assignments):
        if one.unit == unit and one.state not in ENDED and is_open(incident):
            return one
    raise ActionRefused(f"unit: {unit} is not on this incident", f"{unit} 不在本警情中", incident)
