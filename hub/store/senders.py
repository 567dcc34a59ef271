"""Where each sender stands, kept in the same transaction as what it sent."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from hub.store.tables.log import senders


def standings(connection: sa.Connection) -> dict[tuple[str, str], tuple[int, str]]:
    """By sender and epoch: up to which number everything is stored, and what lies beyond (`7-9,12-12`).

    The epoch that was heard of last comes last.
    """
    query = sa.select(senders.c.sender, senders.c.epoch, senders.c.seq, senders.c.beyond)
    rows = connection.execute(query.order_by(senders.c.at))
    return {(str(row.sender), str(row.epoch)): (int(row.seq), str(row.beyond)) for row in rows}


def put(connection: sa.Connection, sender: str, epoch: str, seq: int, beyond: str, at: datetime) -> None:
    """Sets where a sender stands."""
    ours = (senders.c.sender == sender) & (senders.c.epoch == epoch)
    values = {"seq": seq, "beyond": beyond, "at": at}
    if connection.execute(senders.update().where(ours).values(**values)).rowcount == 0:
        connection.execute(senders.insert().values(sender=sender, epoch=epoch, **values))
