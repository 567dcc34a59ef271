"""Machines B and C, the incident (警情) and the assignments of units to it (DISPATCH.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IncidentState(StrEnum):
    """Machine B."""

    NEW = "new"
    TRIAGE = "triage"
    PENDING = "pending"
    ACTIVE = "active"
    HANDLED = "handled"
    CLOSED = "closed"
    MERGED = "merged"


class AssignmentState(StrEnum):
    """Machine C."""

    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    EN_ROUTE = "en_route"
    ON_SCENE = "on_scene"
    CLEARED = "cleared"
    DECLINED = "declined"
    RECALLED = "recalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One unit on one incident."""

    id: str
    unit: str
    unit_name: str
    state: AssignmentState
    by: str
    dispatched_at: datetime
    accepted_at: datetime | None = None
    en_route_at: datetime | None = None
    on_scene_at: datetime | None = None
    cleared_at: datetime | None = None
    arrival_by: str = ""
    """How arrival became known: `gps` (geofence with dwell) or the person who said so."""
    distance_m: float | None = None
    """From unit to incident when dispatched, straight line."""
    from_lat: float | None = None
    from_lon: float | None = None
    """Where the unit was when dispatched: what "rolling" is measured from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPoints:
    """T0–T10 (DISPATCH.md section 2). Hub's clock, except `t0_device`."""

    t0_device: datetime | None = None
    t1_received: datetime | None = None
    t2_rendered: datetime | None = None
    t3_acked: datetime | None = None
    t4_judged: datetime | None = None
    t5_dispatched: datetime | None = None
    t6_accepted: datetime | None = None
    t7_rolling: datetime | None = None
    t8_on_scene: datetime | None = None
    t9_cleared: datetime | None = None
    t10_closed: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as it stands. `version` counts its changes; an action names the version it was based on."""

    id: str
    """`YYYY-MMDD-NNNN`, day in Asia/Shanghai."""
    version: int
    state: IncidentState
    priority: int
    """1 (highest) to 4."""
    condition: str
    """The leading condition (`wire.observations.Condition`)."""
    site: str
    site_name: str
    site_name_en: str
    point_label: str
    place: str
    place_name: str
    lat: float | None
    lon: float | None
    opened_at: datetime
    state_since: datetime
    clocks: ClockPoints
    conditions: tuple[str, ...]
    """Ids of the alarm conditions that belong to it."""
    count: int
    """Activations of all of them together."""
    cameras: tuple[str, ...] = ()
    """Cameras that see it or are near, best first."""
    claimed_by: str = ""
    assignments: tuple[Assignment, ...] = ()
    acted_version: int = 1
    """The version a person last changed. An action based on this version or a later one is not out
    of date: a zone that chatters or a car that arrives takes no decision out of an operator's hand."""
    close_code: str = ""
    """`real`, or why it was false: `false_alarm`, `test`, `fault`, `weather`, `animal`, `misoperation`."""
    outcome: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """A unit proposed for an incident, with the reason in figures."""

    rank: int
    unit: str
    unit_name: str
    status: str
    distance_m: float | None
    eta_s: float | None
    """Straight line × 1.4 at 30 km/h, hence `estimated` (DISPATCH.md section 3)."""
    estimated: bool
    fix_age_s: float | None
    stale: bool
    busy_with: str = ""
    """Incident the unit is committed to."""
