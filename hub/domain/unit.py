"""Machine D, the unit: status, link and duress kept apart (DISPATCH.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class UnitStatus(StrEnum):
    """Machine D; COMMITTED is derived from assignments."""

    OFF_DUTY = "off_duty"
    AVAILABLE = "available"
    PATROLLING = "patrolling"
    COMMITTED = "committed"
    AT_CHECKPOINT = "at_checkpoint"
    BUSY_OTHER = "busy_other"
    OUT_OF_SERVICE = "out_of_service"


class UnitLink(StrEnum):
    """How fresh we hear from its terminal."""

    ONLINE = "online"
    STALE = "stale"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A dispatchable unit as it stands."""

    id: str
    name: str
    """The plate or call sign an operator reads: `苏C-0121`."""
    place: str
    status: UnitStatus
    link: UnitLink
    duress: bool = False
    incident: str = ""
    """The incident it is committed to."""
    lat: float | None = None
    lon: float | None = None
    speed_kmh: float | None = None
    course_deg: float | None = None
    fix_at: datetime | None = None
    """The device's clock of the latest true fix."""
    heard_at: datetime | None = None
