"""Pages of the log and the audit log, as far as the caller may see."""

from __future__ import annotations

from sqlalchemy import Connection

from hub.access import kinds_for
from hub.audit import Row
from hub.domain.entry import Entry, EntryKind
from hub.store import audit as audit_rows
from hub.store import log as log_rows
from hub.web import models
from hub.web.context import Hub
from hub.web.guard import Caller

_MOST_READ = 20
"""Batches read for one page: a page may come back short, with where to go on."""


def as_feed_entry(entry: Entry, prev: int) -> models.FeedEntry:
    """An entry as the API shows it."""
    return models.FeedEntry(
        seq=entry.seq,
        prev=prev,
        at=entry.at,
        kind=entry.kind.value,
        subject=entry.subject,
        place=entry.place,
        actor=entry.actor,
        late=entry.late,
        body=entry.body,
    )


async def log_page(
    hub: Hub, caller: Caller, after: int, limit: int, kind: EntryKind | None
) -> models.LogPage:
    """Entries after `after` in the caller's jurisdiction."""
    kinds = (kind,) if kind else tuple(kinds_for(caller.person))
    found: list[models.FeedEntry] = []
    cursor, more = after, True
    for _ in range(_MOST_READ):
        start = cursor

        def query(connection: Connection, start: int = start) -> tuple[list[Entry], int]:
            return log_rows.looked_through(connection, start, limit=limit, kinds=kinds)

        batch, cursor = await hub.store.read(query)
        for entry in batch:
            if hub.may_see(caller, entry.place):
                found.append(as_feed_entry(entry, found[-1].seq if found else after))
            if len(found) == limit:
                cursor = entry.seq
                break
        more = cursor < hub.store.head
        if not more or len(found) == limit:
            break
    return models.LogPage(entries=tuple(found), head=hub.store.head, next_after=cursor if more else None)


async def audit_page(hub: Hub, caller: Caller, before: int | None, limit: int) -> models.AuditPage:
    """Rows about things in the caller's jurisdiction, newest first."""
    places = None
    if not hub.may_see(caller, hub.registers.root):
        places = frozenset(one.id for one in hub.registers.places() if hub.may_see(caller, one.id))

    def query(connection: Connection) -> list[Row]:
        return audit_rows.page(connection, before=before, limit=limit, places=places)

    rows = await hub.store.read(query)
    return models.AuditPage(
        rows=tuple(_audit_view(row) for row in rows), next_before=rows[-1].seq if len(rows) == limit else None
    )


def _audit_view(row: Row) -> models.AuditView:
    act = row.act
    return models.AuditView(
        seq=row.seq,
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
