"""Reading the log, proving its chain, and knowing what intake has stored already."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from hub.domain.entry import Entry, EntryKind
from hub.store import pruned
from hub.store.among import among
from hub.store.bulk import Bulk
from hub.store.chain import ChainBreak, LogWalk, RawRow
from hub.store.engine import as_entry
from hub.store.tables.log import entries, observation_ids, senders

__all__ = [
    "RESTORED",
    "ChainBreak",
    "about",
    "after",
    "head",
    "identity",
    "known",
    "looked_through",
    "marks",
    "numbered",
    "raw",
    "remember",
    "timeline",
    "verify",
]

_CHUNK = 500
_IDENTITIES = Bulk(observation_ids)
_BEFORE_OPENING = 1
"""A condition's entry stands right before that of the incident it opens."""
_PAGE, _MOST_PAGES = 20, 100
RESTORED = "log:restored"
"""Subject of the entry that tells that the log was restored from an archive."""


def head(connection: sa.Connection) -> int:
    """The number of the last entry; 0 when there is none."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(entries.c.seq), 0))).scalar_one())


def after(
    connection: sa.Connection, seq: int, *, limit: int = 500, kinds: Iterable[EntryKind] = ()
) -> list[Entry]:
    """Entries with numbers over `seq`, in order."""
    query = sa.select(entries).where(entries.c.seq > seq).order_by(entries.c.seq).limit(limit)
    wanted = [kind.value for kind in kinds]
    if wanted:
        query = query.where(entries.c.kind.in_(wanted))
    return [as_entry(row) for row in connection.execute(query)]


def looked_through(
    connection: sa.Connection, seq: int, *, limit: int, kinds: Iterable[EntryKind], rows: int = 10_000
) -> tuple[list[Entry], int]:
    """Entries of these kinds among the next `rows` over `seq`, and up to which number was looked.

    A kind that is rare is not searched for through a whole log at once. Nothing is left where the number is
    `seq` again.
    """
    beyond = sa.select(entries.c.seq).where(entries.c.seq > seq).order_by(entries.c.seq).limit(rows)
    window = beyond.subquery()
    end = connection.execute(sa.select(sa.func.max(window.c.seq))).scalar_one()
    if end is None:
        return [], seq
    query = (
        sa.select(entries)
        .where((entries.c.seq > seq) & (entries.c.seq <= end))
        .where(entries.c.kind.in_([kind.value for kind in kinds]))
        .order_by(entries.c.seq)
        .limit(limit)
    )
    found = [as_entry(row) for row in connection.execute(query)]
    return found, found[-1].seq if len(found) == limit else int(end)


def about(connection: sa.Connection, subjects: Sequence[str], *, limit: int = 1000) -> list[Entry]:
    """The latest `limit` entries about any of `subjects`, oldest first."""
    newest_first = entries.c.seq.desc()
    found = [row for one in subjects for row in _of_subject(connection, one, newest_first, limit)]
    found.sort(key=lambda row: row.seq)
    return [as_entry(row) for row in found[-limit:]]


def _of_subject(
    connection: sa.Connection, subject: str, order: sa.ColumnElement[Any], limit: int, first: int = 1
) -> Sequence[sa.Row[Any]]:
    """One subject at a time: asked for several at once, a database would sort all there ever was of each."""
    query = sa.select(entries).where((entries.c.subject == subject) & (entries.c.seq >= first))
    return connection.execute(query.order_by(order).limit(limit)).all()


def numbered(connection: sa.Connection, seqs: Sequence[int]) -> list[Entry]:
    """The entries with these numbers, in order."""
    found: list[Entry] = []
    for start in range(0, len(seqs), _CHUNK):
        chunk = list(seqs[start : start + _CHUNK])
        query = sa.select(entries).where(entries.c.seq.in_(chunk)).order_by(entries.c.seq)
        found.extend(as_entry(row) for row in connection.execute(query))
    return found


def verify(connection: sa.Connection) -> tuple[int, ChainBreak | None]:
    """Walks the whole chain. Returns the number up to which it holds, and the first break if there is one."""
    with closing(pruned.runs(connection)) as runs, closing(raw(connection, entries)) as rows:
        proof = LogWalk(runs)
        for row in rows:
            if not proof.take(row):
                break
        return proof.count.head, proof.end()


def raw(connection: sa.Connection, table: sa.Table) -> Generator[Any]:
    """Rows of `entries` or `audit` in order, as they stand there, for a walk of `hub.store.chain`.

    Close it where it isn't read to its end: a cursor of the database hangs on it.
    """
    bare = [sa.type_coerce(one, sa.BigInteger) if one.name == "at" else one for one in table.c]
    query = sa.select(*bare).order_by(table.c.seq).execution_options(yield_per=_CHUNK)
    names = list(table.c.keys())
    with connection.execute(query) as found:
        for row in found:
            yield RawRow(names, row)


def identity(connection: sa.Connection) -> str:
    """The identity of this log: of its first entry, or of the restoring that it last went through.

    A log that was restored counts on from an old number: the numbers after it mean something else than they
    did before, so a cursor from before must not go on in it. Empty in an empty log.
    """
    restored = about(connection, [RESTORED], limit=1)
    found = restored or numbered(connection, [1])
    return found[0].hash[:16] if found else ""


def known(connection: sa.Connection, identities: Sequence[str]) -> set[str]:
    """Which of these observations stand in the log already."""
    return _known_in(connection, observation_ids, identities)


def _known_in(connection: sa.Connection, table: sa.Table, identities: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(identities), _CHUNK):
        chunk = list(identities[start : start + _CHUNK])
        ours = among(connection, table.c.id, chunk)
        found.update(connection.execute(sa.select(table.c.id).where(ours)).scalars())
    return found


def remember(connection: sa.Connection, stored: Sequence[tuple[str, int]]) -> None:
    """Notes identities with the numbers of their entries."""
    _IDENTITIES.insert(connection, stored)


def marks(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """Up to which number everything is stored, by sender and epoch."""
    rows = connection.execute(sa.select(senders.c.sender, senders.c.epoch, senders.c.seq))
    return {(str(row.sender), str(row.epoch)): int(row.seq) for row in rows}


def timeline(
    connection: sa.Connection,
    incident: str,
    conditions: Sequence[str],
    commands: Sequence[str],
) -> list[Entry]:
    """Entries about an incident, its conditions while they belong to it, its orders, and their causes."""
    subjects = [f"incident:{incident}", *(f"order:{one}" for one in commands)]
    found = {entry.seq: entry for entry in about(connection, subjects)}
    since = min(found, default=1) - _BEFORE_OPENING
    for one in conditions:
        found |= {entry.seq: entry for entry in _while_member(connection, one, incident, since)}
    causes = {entry.cause for entry in found.values() if entry.cause is not None} - found.keys()
    for entry in numbered(connection, sorted(causes)):
        found[entry.seq] = entry
    return [found[seq] for seq in sorted(found)]


def _while_member(connection: sa.Connection, condition: str, incident: str, since: int) -> Iterator[Entry]:
    """A condition's entries while it belonged to an incident; it never belongs to it a second time."""
    belonged = False
    for _ in range(_MOST_PAGES):
        rows = _of_subject(connection, f"condition:{condition}", entries.c.seq.asc(), _PAGE, since)
        for entry in map(as_entry, rows):
            if entry.body.get("incident") == incident:
                belonged = True
                yield entry
            elif belonged:
                return
        if len(rows) < _PAGE:
            return
        since = int(rows[-1].seq) + 1
