"""The desk's current state in tables: conditions, incidents, views of units, devices and our parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from hub.domain.alarm import is_listed
from hub.domain.condition import AlarmCondition
from hub.domain.incident import Incident, IncidentState
from hub.store.among import among
from hub.store.tables.cases import conditions, incidents, views

T = TypeVar("T")

_CLOSED = (IncidentState.CLOSED.value, IncidentState.MERGED.value)
_OPEN = tuple(state.value for state in IncidentState if state.value not in _CLOSED)
"""Asked for by name, not as "none of these": so the index finds them among any number of closed ones."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A value and the entry that last changed it."""

    seq: int
    value: Any


def all_conditions(connection: sa.Connection) -> dict[str, AlarmCondition]:
    """Every condition that ever was, as it stands."""
    rows = connection.execute(sa.select(conditions.c.id, conditions.c.body))
    return {row.id: msgspec.json.decode(row.body, type=AlarmCondition) for row in rows}


def open_incidents(connection: sa.Connection) -> dict[str, Incident]:
    """Incidents that still want something."""
    query = sa.select(incidents.c.id, incidents.c.body).where(incidents.c.state.in_(_OPEN))
    return {row.id: _incident(row.body) for row in connection.execute(query)}


def closed_incidents(connection: sa.Connection, *, limit: int = 200) -> list[Incident]:
    """Closed incidents, the latest opened first."""
    found = [one for state in _CLOSED for one in _latest(connection, state, limit)]
    found.sort(key=lambda row: (row.opened_at, row.id), reverse=True)
    return [_incident(row.body) for row in found[:limit]]


def _latest(connection: sa.Connection, state: str, limit: int) -> Sequence[sa.Row[Any, Any, Any]]:
    """The latest of one state: asked for several at once, a database would sort all there ever were."""
    query = (
        sa.select(incidents.c.id, incidents.c.opened_at, incidents.c.body)
        .where(incidents.c.state == state)
        .order_by(incidents.c.opened_at.desc(), incidents.c.id.desc())
        .limit(limit)
    )
    return connection.execute(query).all()


def incident(connection: sa.Connection, identity: str) -> Incident | None:
    """One incident, open or closed."""
    body = connection.execute(
        sa.select(incidents.c.body).where(incidents.c.id == identity)
    ).scalar_one_or_none()
    return None if body is None else _incident(body)


def last_number(connection: sa.Connection, day: str) -> int:
    """The highest number given on `day` (`YYYY-MMDD`); 0 where none was."""
    mine = incidents.c.id.between(f"{day}-0", f"{day}-9999999")
    found = connection.execute(sa.select(incidents.c.id).where(mine)).scalars()
    return max((int(identity.rsplit("-", 1)[1]) for identity in found), default=0)


def all_views(connection: sa.Connection, kind: str, value_type: type[T]) -> dict[str, T]:
    """The views of one kind by subject."""
    rows = connection.execute(sa.select(views.c.subject, views.c.body).where(views.c.kind == kind))
    return {row.subject: msgspec.json.decode(row.body, type=value_type) for row in rows}


def save_conditions(connection: sa.Connection, changed: Mapping[str, Kept]) -> None:
    """Writes conditions as they stand now."""
    rows = [_condition_row(kept) for kept in changed.values()]
    _replace(connection, conditions, conditions.c.id, list(changed), rows)


def save_incidents(connection: sa.Connection, changed: Mapping[str, Kept]) -> None:
    """Writes incidents as they stand now."""
    rows = [_incident_row(kept) for kept in changed.values()]
    _replace(connection, incidents, incidents.c.id, list(changed), rows)


def save_views(connection: sa.Connection, kind: str, changed: Mapping[str, Kept | None]) -> None:
    """Writes views as they stand now; None removes one."""
    rows = [
        {"subject": subject, "kind": kind, "seq": kept.seq, "body": _text(kept.value)}
        for subject, kept in changed.items()
        if kept is not None
    ]
    _replace(connection, views, views.c.subject, list(changed), rows)


def clear(connection: sa.Connection) -> None:
    """Empties all of it: the beginning of a rebuild."""
    for table in (conditions, incidents, views):
        connection.execute(table.delete())


def _replace(
    connection: sa.Connection,
    table: sa.Table,
    key: sa.Column[str],
    keys: list[str],
    rows: list[dict[str, Any]],
) -> None:
    for start in range(0, len(keys), 500):
        connection.execute(table.delete().where(among(connection, key, keys[start : start + 500])))
    if rows:
        connection.execute(table.insert(), rows)


def _condition_row(kept: Kept) -> dict[str, Any]:
    value: AlarmCondition = kept.value
    return {
        "id": value.id,
        "place": value.place,
        "listed": is_listed(value),
        "incident": value.incident,
        "seq": kept.seq,
        "body": _text(value),
    }


def _incident_row(kept: Kept) -> dict[str, Any]:
    value: Incident = kept.value
    return {
        "id": value.id,
        "place": value.place,
        "state": value.state.value,
        "priority": value.priority,
        "version": value.version,
        "opened_at": value.opened_at,
        "seq": kept.seq,
        "body": _text(value),
    }


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _incident(body: str) -> Incident:
    return msgspec.json.decode(body, type=Incident)
