"""How long what is kept: classes with floors from law and norms, and what of the log belongs to which.

Days are days of Asia/Shanghai. A floor is the fewest days that a setting may name; its source stands beside
it (REQUIREMENTS.md 1.4, DISPATCH.md section 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta, timezone
from enum import StrEnum
from typing import Any

from hub.domain.entry import EntryKind

SHANGHAI = timezone(timedelta(hours=8))
NIGHT_FROM = time(2, 0)
NIGHT_UNTIL = time(5, 0)
"""When the desk is quietest, Asia/Shanghai: the hours in which a run begins."""
IDENTITY_MARGIN = timedelta(days=30)
"""An identity outlives the entry it belongs to by so much, at least."""
AROUND_INCIDENT = timedelta(minutes=10)
"""Before an incident opened and after it closed: what its cameras saw then is evidence of it."""


class RetentionClass(StrEnum):
    """What is kept and deleted together. The value is the setting's name without `_days`."""

    MOTION = "motion"
    """Observations of motion and of the picture, and the camera states that follow from them."""
    STILLS = "stills"
    """Pictures on disk."""
    POSITIONS = "positions"
    HEARTBEATS = "heartbeats"
    ALARMS = "alarms"
    """Everything else that is observed, and the conditions, panels, units and parts that follow from it."""
    INCIDENTS = "incidents"
    """Closed incidents, orders, and everything that is behind them, whatever its own class."""
    QUARANTINE = "quarantine"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Term:
    """The bounds of a class."""

    floor: int
    """Days."""
    source: str
    """Which text asks for the floor."""


FLOORS: Mapping[RetentionClass, Term] = {
    RetentionClass.MOTION: Term(30, "国务院令第799号第17条；GB 55029-2022 3.5.2(5)"),
    RetentionClass.STILLS: Term(30, "国务院令第799号第17条；GB 55029-2022 3.5.2(5)"),
    RetentionClass.POSITIONS: Term(90, "DB11/T 2552-2026: patrol records"),
    RetentionClass.HEARTBEATS: Term(30, "rung L4: online rate over 30 days"),
    RetentionClass.ALARMS: Term(90, "DB11/T 2552-2026: alarm records"),
    RetentionClass.INCIDENTS: Term(1095, "as long as the audit log that names them"),
    RetentionClass.QUARANTINE: Term(7, "a week, for somebody to look at it"),
    RetentionClass.AUDIT: Term(1095, "3 years: PIPL Art. 56 records; logs of access at least 6 months"),
}


MOST_DAYS = 36_500


class TermRefused(ValueError):
    """A class can't be kept for so many days: says which, the bound, and who asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Days that each class is kept."""

    motion: int = 90
    stills: int = 90
    positions: int = 180
    heartbeats: int = 60
    alarms: int = 365
    incidents: int = 3650
    quarantine: int = 90
    audit: int = 1825

    def __post_init__(self) -> None:
        for one in fields(self):
            days, term = getattr(self, one.name), FLOORS[RetentionClass(one.name)]
            if days < term.floor:
                raise TermRefused(
                    f"{one.name}_days: {days} is under the floor of {term.floor} days ({term.source})"
                )
            if days > MOST_DAYS:
                raise TermRefused(f"{one.name}_days: {days} is over {MOST_DAYS}, a hundred years")

    def days(self, of: RetentionClass) -> int:
        """Days that a class is kept."""
        return int(getattr(self, of.value))

    def cutoff(self, of: RetentionClass, now: datetime) -> datetime:
        """What is older than this may go: whole days of Asia/Shanghai are kept, today's not counted."""
        return (start_of_day(now) - timedelta(days=self.days(of))).astimezone(UTC)

    def identity_cutoff(self, now: datetime) -> datetime:
        """Identities of entries that are gone may go where the entries were older than this."""
        return self.cutoff(RetentionClass.MOTION, now) - IDENTITY_MARGIN


def start_of_day(now: datetime) -> datetime:
    """The latest midnight of Asia/Shanghai."""
    return now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)


def is_due(last: datetime | None, now: datetime) -> bool:
    """Whether a run should begin: at night if today's hasn't been, at any hour if it is a day overdue."""
    if last is None or now - last >= timedelta(hours=36):
        return True
    at_night = NIGHT_FROM <= now.astimezone(SHANGHAI).time() < NIGHT_UNTIL
    return at_night and last < start_of_day(now)


def class_of(kind: EntryKind, body: Mapping[str, Any]) -> RetentionClass | None:
    """The class of an entry by itself; None: kept for good (registers, and what was done to the log)."""
    if kind in (EntryKind.REGISTER, EntryKind.KEEPING):
        return None
    if kind in (EntryKind.INCIDENT, EntryKind.ORDER):
        return RetentionClass.INCIDENTS
    if kind is EntryKind.CAMERA or (kind is EntryKind.OBSERVATION and _is_of_pictures(body)):
        return RetentionClass.MOTION
    return RetentionClass.ALARMS


def _is_of_pictures(body: Mapping[str, Any]) -> bool:
    inner = body.get("body")
    if not isinstance(inner, Mapping):
        return False
    return inner.get("type") == "motion" or str(inner.get("condition", "")).startswith("picture_")


STATE_KINDS = frozenset(
    {EntryKind.CAMERA, EntryKind.PANEL, EntryKind.UNIT, EntryKind.HUB, EntryKind.CONDITION}
)
"""Entries that hold a state after the change: the newest of each subject is that state, so it is kept."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which what a camera saw is evidence."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """What incidents hold on to: their own ids, and when their cameras' pictures count."""

    incidents: frozenset[str]
    spans: Mapping[str, tuple[Span, ...]]
    """By source, `camera:c-01`."""

    def holds_incident(self, identity: str) -> bool:
        """Whether the incident is still kept."""
        return identity in self.incidents

    def holds_picture(self, source: str, at: datetime) -> bool:
        """Whether an incident wants what this camera saw then."""
        return any(span.since <= at <= span.until for span in self.spans.get(source, ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSpan:
    """As much of an incident as retention needs."""

    id: str
    opened_at: datetime
    ended_at: datetime | None
    """None: open."""
    false: bool
    """Judged false: its cameras' pictures are no evidence of anything."""
    cameras: tuple[str, ...]


def evidence_of(incidents: Iterable[IncidentSpan], now: datetime) -> Evidence:
    """What the incidents that are kept hold on to."""
    kept: set[str] = set()
    spans: dict[str, list[Span]] = {}
    for one in incidents:
        kept.add(one.id)
        if one.ended_at is not None and one.false:
            continue
        span = Span(one.opened_at - AROUND_INCIDENT, (one.ended_at or now) + AROUND_INCIDENT)
        for camera in one.cameras:
            spans.setdefault(f"camera:{camera}", []).append(span)
    return Evidence(frozenset(kept), {source: tuple(found) for source, found in spans.items()})
