"""Pages of the log for consoles that are behind: rows as they are, their bodies never parsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hub.store.tables.log import entries

_COLUMNS = (
    entries.c.seq,
    entries.c.at,
    entries.c.kind,
    entries.c.subject,
    entries.c.place,
    entries.c.actor,
    entries.c.late,
    entries.c.body,
)


def page(connection: sa.Connection, after: int, up_to: int, limit: int) -> Sequence[Any]:
    """At most `limit` rows `after < seq <= up_to` in order.

    Rows with seq, at, kind, subject, place, actor, late, body.
    """
    query = (
        sa.select(*_COLUMNS)
        .where(entries.c.seq > after, entries.c.seq <= up_to)
        .order_by(entries.c.seq)
        .limit(limit)
    )
    return connection.execute(query).all()
