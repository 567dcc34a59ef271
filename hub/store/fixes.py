"""Positions and heartbeats: stored once under their identities, latest and tracks read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hub.store.among import among
from hub.store.bulk import Bulk, micros
from hub.store.tables.fixes import heartbeats, positions
from wire.observations import Heartbeat, Lateness, Observation, Position

_CHUNK = 500


_POSITIONS, _HEARTBEATS = Bulk(positions), Bulk(heartbeats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A stored position."""

    id: str
    source: str
    head: int
    """The log's last number when it was stored: places the fix among the entries."""
    stored_at: datetime
    heard_at: datetime
    device_at: datetime | None
    lateness: Lateness
    position: Position


def known(connection: sa.Connection, identities: Sequence[str]) -> set[str]:
    """Which of these positions or heartbeats are stored already."""
    found: set[str] = set()
    for start in range(0, len(identities), _CHUNK):
        chunk = list(identities[start : start + _CHUNK])
        for table in (positions, heartbeats):
            ours = among(connection, table.c.id, chunk)
            found.update(connection.execute(sa.select(table.c.id).where(ours)).scalars())
    return found


def add(connection: sa.Connection, observations: Sequence[Observation], now: datetime, head: int) -> None:
    """Stores positions and heartbeats that aren't known yet."""
    stored_at = micros(now)
    _POSITIONS.insert(
        connection,
        [
            _position_row(one, one.body, stored_at, head)
            for one in observations
            if isinstance(one.body, Position)
        ],
    )
    _HEARTBEATS.insert(
        connection,
        [_heartbeat_row(one, stored_at) for one in observations if isinstance(one.body, Heartbeat)],
    )


def latest(connection: sa.Connection) -> list[Fix]:
    """For each tracker its latest true fix that was news."""
    return [_as_fix(row) for row in connection.execute(_LATEST)]


def _latest_of_each() -> sa.Select[Any]:
    """Steps from tracker to tracker through the index, however many fixes there are of each."""
    first = sa.select(sa.func.min(positions.c.source).label("source"))
    trackers = first.cte("trackers", recursive=True)
    above = sa.select(sa.func.min(positions.c.source)).where(positions.c.source > trackers.c.source)
    trackers = trackers.union_all(sa.select(above.scalar_subquery()).where(trackers.c.source.is_not(None)))
    own = positions.alias("own")
    newest = (
        sa.select(own.c.id)
        .where(own.c.source == trackers.c.source)
        .where(own.c.valid & (own.c.lateness == Lateness.LIVE.value))
        .order_by(own.c.stored_at.desc(), own.c.device_at.desc().nulls_last())
        .limit(1)
        .correlate(trackers)
        .scalar_subquery()
    )
    return sa.select(positions).select_from(trackers.join(positions, positions.c.id == newest))


_LATEST = _latest_of_each()


def track(
    connection: sa.Connection, source: str, since: datetime, until: datetime, *, limit: int = 5000
) -> list[Fix]:
    """A tracker's fixes stored from `since` until before `until`, in order, at most `limit`."""
    query = (
        sa.select(positions)
        .where(positions.c.source == source)
        .where((positions.c.stored_at >= since) & (positions.c.stored_at < until))
        .order_by(positions.c.stored_at)
        .limit(limit)
    )
    return [_as_fix(row) for row in connection.execute(query)]


def _position_row(one: Observation, body: Position, stored_at: int, head: int) -> tuple[Any, ...]:
    """In the order of the columns."""
    return (
        one.id,
        one.source,
        head,
        stored_at,
        micros(one.heard_at),
        None if one.device_at is None else micros(one.device_at),
        one.lateness.value,
        body.lat,
        body.lon,
        body.datum,
        body.valid,
        body.doubt,
        body.speed_kmh,
        body.course_deg,
        body.accuracy_m,
        body.altitude_m,
        body.serial,
    )


def _heartbeat_row(one: Observation, stored_at: int) -> tuple[Any, ...]:
    """In the order of the columns."""
    return (one.id, one.source, stored_at, micros(one.heard_at), one.lateness.value)


def _as_fix(row: sa.Row[tuple[object, ...]]) -> Fix:
    return Fix(
        id=row.id,
        source=row.source,
        head=row.head,
        stored_at=row.stored_at,
        heard_at=row.heard_at,
        device_at=row.device_at,
        lateness=Lateness(row.lateness),
        position=Position(
            lat=row.lat,
            lon=row.lon,
            datum=row.datum,
            valid=row.valid,
            doubt=row.doubt,
            speed_kmh=row.speed_kmh,
            course_deg=row.course_deg,
            accuracy_m=row.accuracy_m,
            altitude_m=row.altitude_m,
            serial=row.serial,
        ),
    )
