"""Rows of the audit log: appended in the writer thread, hence one chain; never changed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from hub import metrics
from hub.audit import GENESIS, Act, Row, chained
from hub.store.canonical import storable
from hub.store.engine import Transaction
from hub.store.tables.accounts import audit

_LIMITS = {
    "person": 64,
    "place": 100,
    "action": 60,
    "object": 300,
    "outcome": 300,
    "address": 64,
    "console": 16,
}


def append(tx: Transaction, act: Act) -> Row:
    """Adds `act` at the end of the chain, in the transaction of whatever it tells about."""
    act = _fitting(act)
    last = tx.connection.execute(
        sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    ).first()
    seq, previous = (int(last[0]) + 1, str(last[1])) if last else (1, GENESIS)
    row = Row(seq=seq, at=tx.now, act=act, hash=chained(previous, seq, tx.now, act))
    tx.connection.execute(
        audit.insert().values(
            seq=seq,
            at=row.at,
            person=act.person,
            place=act.place,
            action=act.action,
            object=act.object,
            reason=act.reason,
            outcome=act.outcome,
            address=act.address,
            console=act.console,
            hash=row.hash,
        )
    )
    tx.after_commit(lambda _head: metrics.AUDIT_ROWS.labels(act.action).inc())
    return row


def page(
    connection: sa.Connection, *, before: int | None, limit: int, places: frozenset[str] | None = None
) -> list[Row]:
    """Rows below `before`, newest first; of `places` only, where given."""
    query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.seq < before)
    if places is not None:
        query = query.where(audit.c.place.in_(places))
    return [_row(row) for row in connection.execute(query)]


def _fitting(act: Act) -> Act:
    """Cut to the columns' sizes: what a stranger sends must not keep the row from being written."""
    cut = {name: storable(str(getattr(act, name)))[:size] for name, size in _LIMITS.items()}
    return Act(reason=storable(act.reason)[:2000], **cut)


def _row(row: sa.Row[Any]) -> Row:
    act = Act(
        action=row.action,
        object=row.object,
        person=row.person,
        place=row.place,
        reason=row.reason,
        outcome=row.outcome,
        address=row.address,
        console=row.console,
    )
    return Row(seq=row.seq, at=row.at, act=act, hash=row.hash)
