"""Which jurisdiction an evidence picture belongs to: noted with the observation that shows it."""

from __future__ import annotations

import sqlalchemy as sa

from hub.domain.entry import Entry
from hub.store.engine import Transaction
from hub.store.tables.accounts import stills


def show(tx: Transaction, digest: str, entry: Entry) -> None:
    """Remembers, with the entry that shows a picture, where the picture belongs."""
    ours = (stills.c.hash == digest) & (stills.c.place == entry.place)
    known = tx.connection.execute(sa.select(stills.c.seq).where(ours)).scalar_one_or_none()
    if known is None:
        tx.connection.execute(
            stills.insert().values(hash=digest, place=entry.place, seq=entry.seq, subject=entry.subject)
        )
    else:
        # The same bytes again, long after (a lens cap): retention goes by who shows it last.
        renewed = stills.update().where(ours).values(seq=entry.seq, subject=entry.subject)
        tx.connection.execute(renewed)


def shown_at(connection: sa.Connection, digest: str) -> list[tuple[str, str]]:
    """`(place, subject)` of the entries that show a picture."""
    query = sa.select(stills.c.place, stills.c.subject).where(stills.c.hash == digest)
    return [(row.place, row.subject) for row in connection.execute(query)]
