"""What could not be decoded, kept raw and bounded, with source, time and reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from hub.store.tables.quarantine import quarantine as table

MAX_ROWS = 2_000
MAX_RAW_BYTES = 4_096
"""Of each; so the table holds at most 8 MB of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Bytes that nobody here could understand."""

    id: int
    first_at: datetime
    at: datetime
    """When the same bytes last came from the same peer."""
    times: int
    protocol: str
    peer: str
    reason: str
    raw: bytes
    """The first bytes, at most `MAX_RAW_BYTES`."""
    size: int


def keep(
    connection: sa.Connection,
    *,
    protocol: str,
    peer: str,
    reason: str,
    raw: bytes,
    size: int,
    now: datetime,
) -> None:
    """Keeps `raw`; the same bytes from the same peer count up. The oldest make room."""
    raw = raw[:MAX_RAW_BYTES]
    identity = hashlib.sha256(b"\0".join((protocol.encode(), _storable(peer).encode(), raw))).hexdigest()
    again = table.update().where(table.c.identity == identity).values(at=now, times=table.c.times + 1)
    if connection.execute(again).rowcount:
        return
    connection.execute(
        table.insert().values(
            first_at=now,
            at=now,
            times=1,
            identity=identity,
            protocol=protocol[:40],
            peer=_storable(peer)[:300],
            reason=_storable(reason)[:500],
            raw=raw,
            size=size,
        )
    )
    _make_room(connection)


def listed(connection: sa.Connection, *, limit: int = 200) -> list[Quarantined]:
    """The latest first."""
    query = sa.select(table).order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
    return [
        Quarantined(
            id=row.id,
            first_at=row.first_at,
            at=row.at,
            times=row.times,
            protocol=row.protocol,
            peer=row.peer,
            reason=row.reason,
            raw=row.raw,
            size=row.size,
        )
        for row in connection.execute(query)
    ]


def _make_room(connection: sa.Connection) -> None:
    rows = int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
    if rows > MAX_ROWS:
        oldest = sa.select(table.c.id).order_by(table.c.at, table.c.id).limit(rows - MAX_ROWS)
        connection.execute(table.delete().where(table.c.id.in_(oldest)))


def _storable(text: str) -> str:
    """Surrogate escapes (bytes that weren't UTF-8) made visible, zero characters removed."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
