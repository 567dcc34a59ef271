"""What is old enough to go, read in pages, and its deletion in small transactions, each told by the log.

An observation's effects stand in its own transaction, hence close behind it: a page of the log is judged
together with what follows within `LOOKAHEAD` numbers.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import msgspec
import sqlalchemy as sa

from hub.domain.entry import Draft, EntryKind
from hub.domain.incident import Incident, IncidentState
from hub.domain.retention import (
    STATE_KINDS,
    Evidence,
    IncidentSpan,
    RetentionClass,
    class_of,
)
from hub.store import pruned, registers
from hub.store.engine import Transaction
from hub.store.pruned import PrunedRun
from hub.store.ranges import as_text, runs_of
from hub.store.tables.accounts import audit, stills
from hub.store.tables.cases import incidents
from hub.store.tables.fixes import heartbeats, positions
from hub.store.tables.log import entries, observation_ids
from hub.store.tables.quarantine import quarantine

T = TypeVar("T")
Ask: TypeAlias = Callable[[Callable[[sa.Connection], T]], T]
"""Runs a query on a reader's connection of its own."""

PAGE = 5_000
LOOKAHEAD = 20_000
"""An effect stands in its cause's transaction, which makes far fewer entries than this."""
RUN = "retention:run"
"""Subject of the entries that tell of whole runs."""
_CHUNK = 500
_SETTLING = timedelta(hours=20)
_RECENT = timedelta(days=7)
_ENDED = (IncidentState.CLOSED, IncidentState.MERGED)
_EFFECTS = (EntryKind.CONDITION.value, EntryKind.INCIDENT.value, EntryKind.ORDER.value)
_FIX_TABLES: Mapping[RetentionClass, sa.Table] = {
    RetentionClass.POSITIONS: positions,
    RetentionClass.HEARTBEATS: heartbeats,
}


@dataclass(frozen=True, slots=True)
class Doomed:
    """An entry that goes."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class _Row:
    """An entry as far as judging needs it."""

    seq: int
    at: datetime
    kind: EntryKind
    subject: str
    cause: int | None
    body: Mapping[str, Any]
    hash: str


@dataclass(slots=True)
class Newest:
    """The newest entry of each subject and kind, looked up once each."""

    known: dict[tuple[str, str], int] = field(default_factory=dict)

    def of(self, connection: sa.Connection, subject: str, kind: str) -> int:
        """Its number; 0: there is none."""
        key = (subject, kind)
        if key not in self.known:
            ours = (entries.c.subject == subject) & (entries.c.kind == kind)
            query = sa.select(entries.c.seq).where(ours).order_by(entries.c.seq.desc()).limit(1)
            self.known[key] = int(connection.execute(query).scalar_one_or_none() or 0)
        return self.known[key]


# What incidents hold on to


def incident_spans(connection: sa.Connection) -> list[IncidentSpan]:
    """Every incident that is kept."""
    found = []
    for (body,) in connection.execute(sa.select(incidents.c.body)):
        one = msgspec.json.decode(body, type=Incident)
        found.append(
            IncidentSpan(
                id=one.id,
                opened_at=one.opened_at,
                ended_at=one.state_since if one.state in _ENDED else None,
                false=bool(one.close_code) and one.close_code != "real",
                cameras=one.cameras,
            )
        )
    return found


def expired(spans: Sequence[IncidentSpan], cutoff: datetime) -> list[IncidentSpan]:
    """Incidents that ended before `cutoff`."""
    return [one for one in spans if one.ended_at is not None and one.ended_at < cutoff]


def delete_incidents(tx: Transaction, identities: Sequence[str]) -> int:
    """Takes incidents off the table; their entries go with the passes that follow."""
    gone = 0
    for start in range(0, len(identities), _CHUNK):
        chunk = list(identities[start : start + _CHUNK])
        ended = incidents.c.state.in_([one.value for one in _ENDED])
        gone += tx.connection.execute(incidents.delete().where(incidents.c.id.in_(chunk), ended)).rowcount
    return gone


# Where in the log an instant lies


def last_before(connection: sa.Connection, instant: datetime) -> int:
    """The last number whose entry was written before `instant`; 0: none was.

    Found by halving: the hub's clock orders the log but for the moments in which it was set back.
    """
    low = 0
    query = sa.select(sa.func.coalesce(sa.func.max(entries.c.seq), 0))
    high = int(connection.execute(query).scalar_one())
    while low < high:
        middle = (low + high + 1) // 2
        at_or_before = sa.select(entries.c.seq, entries.c.at).where(entries.c.seq <= middle)
        row = connection.execute(at_or_before.order_by(entries.c.seq.desc()).limit(1)).first()
        if row is None or row.at < instant:
            low = middle
        else:
            high = row.seq - 1
    return low


def is_settled(connection: sa.Connection, now: datetime) -> bool:
    """Whether the log has been written by this clock for most of a day, within the last week.

    A clock that has just jumped ahead would make everything look old: nothing goes by its word yet.
    """
    before = last_before(connection, now - _SETTLING)
    row = connection.execute(
        sa.select(entries.c.at).where(entries.c.seq <= before).order_by(entries.c.seq.desc()).limit(1)
    ).first()
    return row is not None and row.at >= now - _RECENT


# Entries


def doomed(
    ask: Ask[list[Doomed]], of: RetentionClass, after: int, up_to: int, evidence: Evidence
) -> Iterator[tuple[int, list[Doomed]]]:
    """Pages of the log, `after < seq <= up_to`: how far each reaches and which of its entries go."""
    newest = Newest()
    while after < up_to:
        reached = after

        def page(connection: sa.Connection, start: int = after) -> list[Doomed]:
            nonlocal reached
            rows = _page(connection, start, up_to)
            reached = rows[-1].seq if len(rows) == PAGE else up_to
            return _judge(connection, rows, of, evidence, newest)

        going = ask(page)
        after = reached
        yield reached, going


def _page(connection: sa.Connection, after: int, up_to: int) -> list[_Row]:
    query = (
        sa.select(entries)
        .where(entries.c.seq > after, entries.c.seq <= up_to)
        .order_by(entries.c.seq)
        .limit(PAGE)
    )
    return [_row(row) for row in connection.execute(query)]


def _row(row: Any) -> _Row:
    body = msgspec.json.decode(row.body)
    return _Row(row.seq, row.at, EntryKind(row.kind), row.subject, row.cause, body, row.hash)


def _judge(
    connection: sa.Connection,
    rows: Sequence[_Row],
    of: RetentionClass,
    evidence: Evidence,
    newest: Newest,
) -> list[Doomed]:
    candidates = [row for row in rows if row.seq > 1 and class_of(row.kind, row.body) is of]
    if not candidates:
        return []
    held = _held_causes(connection, [row.seq for row in candidates], evidence)
    return [
        Doomed(row.seq, row.hash)
        for row in candidates
        if row.seq not in held
        and not _is_evidence(row, evidence)
        and not (row.kind in STATE_KINDS and newest.of(connection, row.subject, row.kind.value) == row.seq)
    ]


def _is_evidence(row: _Row, evidence: Evidence) -> bool:
    """Whether an incident that is kept holds on to the entry for what it says itself."""
    incident = _incident_of(row.kind, row.subject, row.body)
    if incident and evidence.holds_incident(incident):
        return True
    return row.subject.startswith("camera:") and evidence.holds_picture(row.subject, row.at)


def _incident_of(kind: EntryKind, subject: str, body: Mapping[str, Any]) -> str:
    if kind is EntryKind.INCIDENT:
        return subject.removeprefix("incident:")
    if kind is EntryKind.ORDER:
        return subject.removeprefix("order:").rpartition("/")[0]
    if kind is EntryKind.CONDITION:
        return str(body.get("incident", ""))
    return ""


def _held_causes(connection: sa.Connection, seqs: Sequence[int], evidence: Evidence) -> set[int]:
    """Which of these entries, ascending, led to something that an incident holds on to."""
    if not seqs:
        return set()
    ours = set(seqs)
    held: set[int] = set()
    query = sa.select(entries.c.cause, entries.c.kind, entries.c.subject, entries.c.body).where(
        entries.c.seq > seqs[0],
        entries.c.seq <= seqs[-1] + LOOKAHEAD,
        entries.c.kind.in_(_EFFECTS),
        entries.c.cause.between(seqs[0], seqs[-1]),
    )
    for row in connection.execute(query):
        if row.cause in ours and row.cause not in held:
            incident = _incident_of(EntryKind(row.kind), row.subject, msgspec.json.decode(row.body))
            if incident and evidence.holds_incident(incident):
                held.add(row.cause)
    return held


def delete_entries(tx: Transaction, of: RetentionClass, cutoff: datetime, going: Sequence[Doomed]) -> str:
    """Deletes entries, ascending, keeps the chain provable, and says so in the log: all in one transaction.

    Returns the digest: SHA-256 over the hashes of what was deleted, in order.
    """
    seqs = [one.seq for one in going]
    gone = 0
    for start in range(0, len(seqs), _CHUNK):
        chunk = seqs[start : start + _CHUNK]
        gone += tx.connection.execute(entries.delete().where(entries.c.seq.in_(chunk))).rowcount
    if gone != len(seqs):
        raise RuntimeError(f"{len(seqs) - gone} of {len(seqs)} entries to be deleted aren't there")
    hashes = {one.seq: one.hash for one in going}
    ranges = list(runs_of(seqs))
    pruned.add(tx.connection, [PrunedRun(first, last, hashes[last]) for first, last in ranges], tx.now)
    digest = hashlib.sha256("".join(one.hash for one in going).encode()).hexdigest()
    body = {
        "act": "pruned",
        "class": of.value,
        "cutoff": _told(cutoff),
        "entries": len(seqs),
        "ranges": as_text(ranges),
        "digest": digest,
    }
    tell(tx, f"retention:{of.value}", body)
    return digest


def tell(tx: Transaction, subject: str, body: dict[str, Any]) -> None:
    """Writes down what was done to the log, for those who may read it."""
    place = registers.root(tx.connection)
    tx.append(Draft(kind=EntryKind.KEEPING, subject=subject, place=place, body=body))


def _told(instant: datetime) -> str:
    return instant.isoformat()


# Identities


def stale_identities(ask: Ask[list[str]], up_to: int) -> Iterator[list[str]]:
    """Identities of entries that are gone and had numbers up to `up_to`, in pages."""
    after = ""
    gone = _Gone()
    while True:
        more = True

        def page(connection: sa.Connection, start: str = after) -> list[str]:
            nonlocal more, after
            gone.load(connection)
            query = sa.select(observation_ids).where(observation_ids.c.id > start)
            rows = connection.execute(query.order_by(observation_ids.c.id).limit(PAGE)).all()
            more = len(rows) == PAGE
            after = rows[-1].id if rows else start
            return [row.id for row in rows if row.seq <= up_to and gone.holds(row.seq)]

        found = ask(page)
        if found:
            yield found
        if not more:
            return


@dataclass(slots=True)
class _Gone:
    """Which numbers were deleted."""

    firsts: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)
    loaded: bool = False

    def load(self, connection: sa.Connection) -> None:
        if not self.loaded:
            for run in pruned.runs(connection):
                self.firsts.append(run.first)
                self.lasts.append(run.last)
            self.loaded = True

    def holds(self, seq: int) -> bool:
        place = bisect_right(self.firsts, seq) - 1
        return place >= 0 and seq <= self.lasts[place]


def delete_identities(tx: Transaction, identities: Sequence[str]) -> int:
    """Forgets identities."""
    return _delete_by(tx, observation_ids.c.id, identities)


# Pictures


@dataclass(frozen=True, slots=True)
class DoomedStill:
    """A picture that goes, with the number of the newest entry that shows it."""

    hash: str
    seq: int


def doomed_stills(
    ask: Ask[list[DoomedStill]], after: int, up_to: int, evidence: Evidence
) -> Iterator[tuple[int, list[DoomedStill]]]:
    """Pages of pictures whose newest entries lie in `after < seq <= up_to`, and which of them go."""
    while after < up_to:
        reached = after

        def page(connection: sa.Connection, start: int = after) -> list[DoomedStill]:
            nonlocal reached
            query = sa.select(stills.c.hash, stills.c.seq).where(stills.c.seq > start, stills.c.seq <= up_to)
            rows = connection.execute(query.order_by(stills.c.seq).limit(PAGE)).all()
            reached = rows[-1].seq if len(rows) == PAGE else up_to
            found = [DoomedStill(row.hash, row.seq) for row in rows]
            return _unheld_stills(connection, found, up_to, evidence)

        going = ask(page)
        after = reached
        yield reached, going


def _unheld_stills(
    connection: sa.Connection, found: Sequence[DoomedStill], up_to: int, evidence: Evidence
) -> list[DoomedStill]:
    """Pictures that no incident wants, wherever else they are shown, and that nothing newer shows."""
    shown: dict[str, list[int]] = {}
    hashes = sorted({one.hash for one in found})
    for start in range(0, len(hashes), _CHUNK):
        query = sa.select(stills.c.hash, stills.c.seq).where(
            stills.c.hash.in_(hashes[start : start + _CHUNK])
        )
        for row in connection.execute(query):
            shown.setdefault(row.hash, []).append(row.seq)
    old = {digest: seqs for digest, seqs in shown.items() if max(seqs) <= up_to}
    seqs = sorted({seq for found_in in old.values() for seq in found_in})
    held = _held_causes(connection, seqs, evidence)
    for start in range(0, len(seqs), _CHUNK):
        query = sa.select(entries).where(entries.c.seq.in_(seqs[start : start + _CHUNK]))
        held |= {row.seq for row in connection.execute(query) if _is_evidence(_row(row), evidence)}
    return [DoomedStill(digest, max(seqs)) for digest, seqs in old.items() if held.isdisjoint(seqs)]


def delete_stills(tx: Transaction, going: Sequence[DoomedStill]) -> int:
    """Forgets pictures whose files are gone, unless something newer shows them again."""
    gone = 0
    for one in going:
        newer = sa.select(stills.c.seq).where(stills.c.hash == one.hash, stills.c.seq > one.seq)
        if tx.connection.execute(newer.limit(1)).first() is None:
            gone += bool(tx.connection.execute(stills.delete().where(stills.c.hash == one.hash)).rowcount)
    return gone


# Tables beside the log


def doomed_fixes(
    ask: Ask[list[str]], of: RetentionClass, cutoff: datetime, size: Callable[[], int]
) -> Iterator[list[str]]:
    """Ids of positions or heartbeats stored before `cutoff`, source by source, `size()` at a time."""
    table = _FIX_TABLES[of]
    source = ""
    while source := ask(lambda connection, after=source: _next_source(connection, table, after))[0]:  # type: ignore[misc]
        after: tuple[datetime, str] | None = None
        while True:
            limit = size()
            found, after = _ask_fixes(ask, table, source, cutoff, after, limit)
            if found:
                yield found
            if len(found) < limit:
                break


def _next_source(connection: sa.Connection, table: sa.Table, after: str) -> list[str]:
    query = sa.select(sa.func.min(table.c.source)).where(table.c.source > after)
    return [str(connection.execute(query).scalar_one_or_none() or "")]


def _ask_fixes(
    ask: Ask[list[str]],
    table: sa.Table,
    source: str,
    cutoff: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> tuple[list[str], tuple[datetime, str] | None]:
    last = after

    def page(connection: sa.Connection) -> list[str]:
        nonlocal last
        query = sa.select(table.c.id, table.c.stored_at).where(
            table.c.source == source, table.c.stored_at < cutoff
        )
        if after is not None:
            at, identity = after
            query = query.where(table.c.stored_at >= at, (table.c.stored_at > at) | (table.c.id > identity))
        rows = connection.execute(query.order_by(table.c.stored_at, table.c.id).limit(limit)).all()
        if rows:
            last = rows[-1].stored_at, rows[-1].id
        return [row.id for row in rows]

    return ask(page), last


def delete_fixes(tx: Transaction, of: RetentionClass, identities: Sequence[str]) -> int:
    """Deletes positions or heartbeats."""
    return _delete_by(tx, _FIX_TABLES[of].c.id, identities)


def doomed_quarantine(connection: sa.Connection, cutoff: datetime) -> list[int]:
    """Quarantined messages that last came before `cutoff`."""
    return list(connection.execute(sa.select(quarantine.c.id).where(quarantine.c.at < cutoff)).scalars())


def delete_quarantine(tx: Transaction, identities: Sequence[int]) -> int:
    """Deletes quarantined messages."""
    return _delete_by(tx, quarantine.c.id, identities)


def doomed_audit(connection: sa.Connection, cutoff: datetime, limit: int) -> list[Doomed]:
    """The oldest audit rows, as far as all of them are from before `cutoff`; never the last row."""
    query = sa.select(audit.c.seq, audit.c.at, audit.c.hash).order_by(audit.c.seq).limit(limit + 1)
    rows = connection.execute(query).all()
    found = []
    for row in rows[:-1]:
        if row.at >= cutoff:
            break
        found.append(Doomed(row.seq, row.hash))
    return found


def count_audit(connection: sa.Connection, cutoff: datetime) -> int:
    """How many audit rows `doomed_audit` would come to."""
    last = sa.select(sa.func.max(audit.c.seq)).scalar_subquery()
    younger = sa.select(sa.func.min(audit.c.seq)).where(audit.c.at >= cutoff).scalar_subquery()
    query = sa.select(sa.func.count()).where(audit.c.seq < sa.func.coalesce(younger, last))
    return int(connection.execute(query).scalar_one())


def delete_audit(tx: Transaction, cutoff: datetime, going: Sequence[Doomed]) -> int:
    """Deletes the oldest audit rows; the log says up to where, and the hash the audit goes on from."""
    gone = _delete_by(tx, audit.c.seq, [one.seq for one in going])
    body = {
        "act": "audit",
        "class": RetentionClass.AUDIT.value,
        "cutoff": _told(cutoff),
        "rows": gone,
        "through": going[-1].seq,
        "hash": going[-1].hash,
    }
    tell(tx, f"retention:{RetentionClass.AUDIT.value}", body)
    return gone


def _delete_by(tx: Transaction, key: sa.Column[Any], values: Sequence[Any]) -> int:
    gone = 0
    for start in range(0, len(values), _CHUNK):
        chunk = list(values[start : start + _CHUNK])
        gone += tx.connection.execute(key.table.delete().where(key.in_(chunk))).rowcount
    return gone
