"""Reading the log, proving its chain, and knowing what intake has stored already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from hub.domain.entry import Entry, EntryKind
from hub.store.engine import GENESIS, as_entry, chained
from hub.store.tables.log import entries, observation_ids, senders

_CHUNK = 500


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


def about(connection: sa.Connection, subjects: Sequence[str], *, limit: int = 1000) -> list[Entry]:
    """The latest `limit` entries about any of `subjects`, oldest first."""
    query = (
        sa.select(entries)
        .where(entries.c.subject.in_(list(subjects)))
        .order_by(entries.c.seq.desc())
        .limit(limit)
    )
    return [as_entry(row) for row in connection.execute(query)][::-1]


def numbered(connection: sa.Connection, seqs: Sequence[int]) -> list[Entry]:
    """The entries with these numbers, in order."""
    found: list[Entry] = []
    for start in range(0, len(seqs), _CHUNK):
        chunk = list(seqs[start : start + _CHUNK])
        query = sa.select(entries).where(entries.c.seq.in_(chunk)).order_by(entries.c.seq)
        found.extend(as_entry(row) for row in connection.execute(query))
    return found


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The first place at which the log is not what was written."""

    seq: int
    reason: str


def verify(connection: sa.Connection) -> tuple[int, ChainBreak | None]:
    """Walks the whole chain. Returns how many entries hold, and the first break if there is one."""
    previous, expected = GENESIS, 1
    for row in _all_rows(connection):
        if row.seq != expected:
            return expected - 1, ChainBreak(expected, f"missing: the next entry is {row.seq}")
        if chained(previous, as_entry(row), row.seq, row.at, row.body.encode()) != row.hash:
            return expected - 1, ChainBreak(row.seq, "its hash does not follow from the entry before it")
        previous, expected = row.hash, expected + 1
    return expected - 1, None


def _all_rows(connection: sa.Connection) -> Iterator[sa.Row[tuple[object, ...]]]:
    query = sa.select(entries).order_by(entries.c.seq).execution_options(yield_per=_CHUNK)
    yield from connection.execute(query)


def known(connection: sa.Connection, identities: Sequence[str]) -> set[str]:
    """Which of these observations stand in the log already."""
    return _known_in(connection, observation_ids, identities)


def _known_in(connection: sa.Connection, table: sa.Table, identities: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(identities), _CHUNK):
        chunk = list(identities[start : start + _CHUNK])
        found.update(connection.execute(sa.select(table.c.id).where(table.c.id.in_(chunk))).scalars())
    return found


def remember(connection: sa.Connection, stored: Sequence[tuple[str, int]]) -> None:
    """Notes identities with the numbers of their entries."""
    if stored:
        connection.execute(observation_ids.insert(), [{"id": one, "seq": seq} for one, seq in stored])


def marks(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """Up to which number everything is stored, by sender and epoch."""
    rows = connection.execute(sa.select(senders.c.sender, senders.c.epoch, senders.c.seq))
    return {(str(row.sender), str(row.epoch)): int(row.seq) for row in rows}


def set_mark(connection: sa.Connection, sender: str, epoch: str, seq: int, at: datetime) -> None:
    """Moves a sender's mark."""
    ours = (senders.c.sender == sender) & (senders.c.epoch == epoch)
    if connection.execute(senders.update().where(ours).values(seq=seq, at=at)).rowcount == 0:
        connection.execute(senders.insert().values(sender=sender, epoch=epoch, seq=seq, at=at))


def timeline(
    connection: sa.Connection,
    incident: str,
    conditions: Sequence[str],
    commands: Sequence[str],
) -> list[Entry]:
    """Entries about an incident, its conditions while they belong to it, its orders, and their causes."""
    subjects = [f"incident:{incident}", *(f"order:{one}" for one in commands)]
    found = {entry.seq: entry for entry in about(connection, subjects)}
    for entry in about(connection, [f"condition:{one}" for one in conditions]):
        if entry.body.get("incident") == incident:
            found[entry.seq] = entry
    causes = {entry.cause for entry in found.values() if entry.cause is not None} - found.keys()
    for entry in numbered(connection, sorted(causes)):
        found[entry.seq] = entry
    return [found[seq] for seq in sorted(found)]
