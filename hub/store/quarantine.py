"""What could not be decoded, kept raw and bounded, with source, time and reason; and what became of it.

Bounded with fairness: an origin (who is behind a peer) and a protocol have allowances of their own, so that
one that floods pushes out its own rows and nobody else's. What made room is counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from hub.store.tables.quarantine import dropped as dropped_table
from hub.store.tables.quarantine import quarantine as table

MAX_ROWS = 2_000
MAX_OF_PROTOCOL = 1_000
MAX_OF_ORIGIN = 200
MAX_RAW_BYTES = 4_096
"""Of each; so the table holds at most 8 MB of them."""
_MAX_OUTCOME = 500


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
    identity: str
    """SHA-256 of protocol, peer and the bytes kept, hex."""
    cause: str = ""
    heard_at: datetime | None = None
    """When a listener first heard it, the listener's clock; None where it didn't say."""
    replayed_at: datetime | None = None
    outcome: str = ""
    """What trying again came to; empty: not tried."""

    @property
    def truncated(self) -> bool:
        """Whether less is kept than came."""
        return self.size > len(self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows. Empty or None: any."""

    protocol: str = ""
    cause: str = ""
    since: datetime | None = None
    """Last came at or after this, hub's clock."""
    untried: bool = False
    """Only those that were not replayed yet."""


ANY = Wanted()


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one protocol and cause: rows kept, and how often such a thing came."""

    protocol: str
    cause: str
    rows: int
    times: int


def keep(
    connection: sa.Connection,
    *,
    protocol: str,
    peer: str,
    reason: str,
    raw: bytes,
    size: int,
    now: datetime,
    cause: str = "",
    count: int = 1,
    heard_at: datetime | None = None,
) -> None:
    """Keeps `raw`; the same bytes from the same peer count up. The oldest of who has most make room."""
    raw = raw[:MAX_RAW_BYTES]
    protocol, peer = _storable(protocol)[:40], _storable(peer)
    identity = hashlib.sha256(b"\0".join((protocol.encode(), peer.encode(), raw))).hexdigest()
    again = table.update().where(table.c.identity == identity).values(at=now, times=table.c.times + count)
    if connection.execute(again).rowcount:
        return
    origin = origin_of(peer)
    connection.execute(
        table.insert().values(
            first_at=now,
            at=now,
            times=count,
            identity=identity,
            protocol=protocol,
            peer=peer[:300],
            reason=_storable(reason)[:500],
            raw=raw,
            size=size,
            cause=_storable(cause)[:40],
            heard_at=heard_at,
            origin=origin,
        )
    )
    _make_room(connection, table.c.origin == origin, MAX_OF_ORIGIN)
    _make_room(connection, table.c.protocol == protocol, MAX_OF_PROTOCOL)
    _make_room(connection, sa.true(), MAX_ROWS)


def origin_of(peer: str) -> str:
    """Who is behind a peer: an address without its port, a topic's first two levels, else the peer itself.

    A terminal takes another port at each connection, a device may speak on topics without end.
    """
    if "/" in peer:
        return "/".join(peer.split("/")[:2])[:120]
    host, colon, port = peer.rpartition(":")
    return (host if colon and port.isdigit() else peer)[:120]


def listed(connection: sa.Connection, wanted: Wanted = ANY, *, limit: int = 200) -> list[Quarantined]:
    """The latest first."""
    query = sa.select(table).where(*_conditions(wanted)).order_by(table.c.at.desc(), table.c.id.desc())
    return [_row(row) for row in connection.execute(query.limit(limit))]


def matching(connection: sa.Connection, wanted: Wanted, *, limit: int) -> list[Quarantined]:
    """Rows to be tried again, in the order in which they were first heard."""
    query = sa.select(table).where(*_conditions(wanted)).order_by(table.c.first_at, table.c.id).limit(limit)
    return [_row(row) for row in connection.execute(query)]


def find(connection: sa.Connection, identity: int) -> Quarantined | None:
    """One row by its id."""
    row = connection.execute(sa.select(table).where(table.c.id == identity)).first()
    return None if row is None else _row(row)


def tallies(connection: sa.Connection) -> list[Tally]:
    """What is kept, by protocol and cause."""
    query = (
        sa.select(table.c.protocol, table.c.cause, sa.func.count(), sa.func.sum(table.c.times))
        .group_by(table.c.protocol, table.c.cause)
        .order_by(table.c.protocol, table.c.cause)
    )
    return [Tally(row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(query)]


def made_room(connection: sa.Connection) -> dict[str, int]:
    """How many rows of each protocol made room, ever."""
    query = sa.select(dropped_table.c.protocol, dropped_table.c.dropped)
    return {str(row[0]): int(row[1]) for row in connection.execute(query)}


def tried(connection: sa.Connection, ids: Sequence[int], outcome: str, now: datetime) -> None:
    """Notes what trying again came to."""
    change = table.update().where(table.c.id.in_(ids))
    connection.execute(change.values(replayed_at=now, outcome=_storable(outcome)[:_MAX_OUTCOME]))


def discard(connection: sa.Connection, identity: int) -> bool:
    """Takes a row away; False where there is none."""
    return bool(connection.execute(table.delete().where(table.c.id == identity)).rowcount)


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.protocol:
        found.append(table.c.protocol == wanted.protocol)
    if wanted.cause:
        found.append(table.c.cause == wanted.cause)
    if wanted.since is not None:
        found.append(table.c.at >= wanted.since)
    if wanted.untried:
        found.append(table.c.replayed_at.is_(None))
    return found


def _make_room(connection: sa.Connection, of_whom: sa.ColumnElement[bool], most: int) -> None:
    count = sa.select(sa.func.count()).select_from(table).where(of_whom)
    over = int(connection.execute(count).scalar_one()) - most
    if over <= 0:
        return
    oldest = sa.select(table.c.id, table.c.protocol).where(of_whom).order_by(table.c.at, table.c.id)
    gone = connection.execute(oldest.limit(over)).all()
    connection.execute(table.delete().where(table.c.id.in_([row.id for row in gone])))
    for protocol in sorted({row.protocol for row in gone}):
        _count_dropped(connection, protocol, sum(row.protocol == protocol for row in gone))


def _count_dropped(connection: sa.Connection, protocol: str, rows: int) -> None:
    more = dropped_table.update().where(dropped_table.c.protocol == protocol)
    if not connection.execute(more.values(dropped=dropped_table.c.dropped + rows)).rowcount:
        connection.execute(dropped_table.insert().values(protocol=protocol, dropped=rows))


def _row(row: sa.Row[tuple[object, ...]]) -> Quarantined:
    kept = row._mapping
    return Quarantined(
        id=kept["id"],
        first_at=kept["first_at"],
        at=kept["at"],
        times=kept["times"],
        protocol=kept["protocol"],
        peer=kept["peer"],
        reason=kept["reason"],
        raw=kept["raw"],
        size=kept["size"],
        identity=kept["identity"],
        cause=kept["cause"],
        heard_at=kept["heard_at"],
        replayed_at=kept["replayed_at"],
        outcome=kept["outcome"],
    )


def _storable(text: str) -> str:
    """Surrogate escapes (bytes that weren't UTF-8) made visible, zero characters removed."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
