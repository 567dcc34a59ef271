"""Which jurisdiction an evidence picture belongs to: read off the log's entries, kept to be found again."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from hub.domain.entry import Entry
from hub.store.engine import Transaction, as_entry
from hub.store.tables.accounts import stills
from hub.store.tables.log import entries

_BATCH = 1000
_SOON = 1000
"""Numbers within which an entry repeats the picture of the one it follows from."""


def hashes_in(entry: Entry) -> set[str]:
    """Content hashes of the pictures that an entry shows."""
    inner = entry.body.get("body")
    found = [entry.body.get("still"), inner.get("still") if isinstance(inner, dict) else None]
    return {one for one in found if isinstance(one, str) and one}


def show(tx: Transaction, digest: str, entry: Entry) -> None:
    """Remembers, with the entry that shows a picture, where the picture belongs."""
    ours = (stills.c.hash == digest) & (stills.c.place == entry.place)
    known = tx.connection.execute(sa.select(stills.c.seq).where(ours)).scalar_one_or_none()
    if known is None:
        tx.connection.execute(
            stills.insert().values(hash=digest, place=entry.place, seq=entry.seq, subject=entry.subject)
        )
    elif known < entry.seq - _SOON:
        # The same bytes again, long after (a lens cap): retention goes by who shows it last.
        renewed = stills.update().where(ours).values(seq=entry.seq, subject=entry.subject)
        tx.connection.execute(renewed)


def note(tx: Transaction, shown: Iterable[Entry]) -> None:
    """Remembers where the pictures of these entries belong."""
    for entry in shown:
        for digest in hashes_in(entry):
            show(tx, digest, entry)


def catch_up(tx: Transaction) -> int:
    """Notes what was committed while nobody noted; how many entries were read."""
    highest = sa.select(sa.func.coalesce(sa.func.max(stills.c.seq), 0))
    reached = int(tx.connection.execute(highest).scalar_one())
    read = 0
    while True:
        query = sa.select(entries).where(entries.c.seq > reached).order_by(entries.c.seq).limit(_BATCH)
        batch = [as_entry(row) for row in tx.connection.execute(query)]
        note(tx, batch)
        read += len(batch)
        if len(batch) < _BATCH:
            return read
        reached = batch[-1].seq


def shown_at(connection: sa.Connection, digest: str) -> list[tuple[str, str]]:
    """`(place, subject)` of the entries that show a picture."""
    query = sa.select(stills.c.place, stills.c.subject).where(stills.c.hash == digest)
    return [(row.place, row.subject) for row in connection.execute(query)]
