"""What a job may do inside the writer's transaction, and what is taken back where it is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias, TypeVar

import sqlalchemy as sa

from hub.domain.entry import Draft, Entry
from hub.store.bulk import Bulk
from hub.store.canonical import Chain, as_row, canonical_body, chained, storable
from hub.store.database import Database, StoreTaken, StoreUnavailable
from hub.store.tables.log import entries as entries_table

T = TypeVar("T")

_ENTRIES = Bulk(entries_table)


@dataclass(slots=True)
class Work:
    """The transaction that the jobs of one group share."""

    database: Database
    session: sa.Connection
    chain: Chain
    """The end of the log with what the group has appended so far."""
    owns_log: bool = True
    pending: list[tuple[Entry, bytes]] = field(default_factory=list)
    """Entries of finished jobs that aren't written yet."""

    def write(self, pending: list[tuple[Entry, bytes]]) -> None:
        """Writes entries and empties the list."""
        if pending:
            _ENTRIES.insert(self.session, [as_row(entry, body) for entry, body in pending])
            pending.clear()

    def flush(self) -> None:
        """Writes the entries of finished jobs."""
        self.write(self.pending)


class Transaction:
    """What a job may do: SQL on `connection`, and `append`. Lives in the writer thread, for one job.

    A job that shares its transaction gets a savepoint of its own as soon as it touches the database; one
    that only appends, or refuses, costs no trip to the server.
    """

    def __init__(self, work: Work, now: datetime, *, alone: bool) -> None:
        self.now = now
        """The hub's clock for this job, UTC."""
        self._work = work
        self._entered = alone
        self._alone = alone
        self.entries: list[Entry] = []
        """What this job appended."""
        self.after: list[Callable[[int], None]] = []
        """What it wanted done after the commit, given the head."""
        self._pending: list[tuple[Entry, bytes]] = []
        self._undo: list[Callable[[], None]] = []
        self._ending: list[Callable[[Transaction], None]] = []

    @property
    def connection(self) -> sa.Connection:
        """SQL inside this job's part of the transaction."""
        if not self._entered:
            self._work.flush()
            self._work.database.savepoint(self._work.session)
            self._entered = True
        return self._work.session

    @property
    def head(self) -> int:
        """The last entry's number, entries of this job included."""
        return self._work.chain.seq

    def append(self, draft: Draft) -> Entry:
        """Numbers, chains and stores an entry. Its body must consist of JSON's own types.

        Raises `StoreTaken` where the log belongs to another process.
        """
        if not self._work.owns_log:
            raise StoreTaken("the log belongs to the hub that runs: only it appends")
        draft = _storable(draft)
        body = canonical_body(draft.body)
        chain = self._work.chain
        seq = chain.seq + 1
        entry = Entry(
            seq=seq,
            at=self.now,
            kind=draft.kind,
            subject=draft.subject,
            place=draft.place,
            body=draft.body,
            actor=draft.actor,
            cause=draft.cause,
            late=draft.late,
            hash=chained(chain.hash, draft, seq, self.now, body),
        )
        chain.seq, chain.hash = entry.seq, entry.hash
        self._pending.append((entry, body))
        self.entries.append(entry)
        return entry

    def on_undo(self, undo: Callable[[], None]) -> None:
        """Runs `undo` if what this job did so far is rolled back: memory follows the database."""
        self._undo.append(undo)

    def after_commit(self, then: Callable[[int], None]) -> None:
        """Runs `then(head)` in the writer thread after the commit, before the commit listeners."""
        self.after.append(then)

    def at_end(self, last: Callable[[Transaction], None]) -> None:
        """Runs `last(tx)` when the job is done, still inside its transaction: writes what it gathered."""
        self._ending.append(last)

    def end(self) -> None:
        """Runs what `at_end` was given."""
        while self._ending:
            self._ending.pop(0)(self)

    def flush(self) -> None:
        """Writes appended entries, so that SQL of this job sees them."""
        if self._pending:
            connection = self.connection
            assert connection is self._work.session  # noqa: S101 - entering is what it was read for
            self._work.write(self._pending)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What is done inside is undone, and only that, if it raises; the error goes on to the caller.

        Raises `StoreUnavailable` instead where the error was the database's own: then nothing can go on.
        """
        session, database = self.connection, self._work.database
        self.flush()
        marks = self._marks()
        database.savepoint(session)
        try:
            yield
            self._raise_if_unusable()
            self.flush()
            database.release(session)
        except BaseException as error:
            self._take_back(marks)
            self._raise_if_broken(error)
            database.undo(session)
            raise

    def run(self, job: Callable[[Transaction], T]) -> T:
        """Runs a whole job. If it raises, nothing of it is left in memory, nor (unless alone) in the group.

        Raises what the job raised, or `StoreUnavailable` where that was the database's own trouble.
        """
        marks = self._marks()
        try:
            result = job(self)
            self.end()
            self._raise_if_unusable()
            if self._alone or not self._entered:
                self._work.pending.extend(self._pending)
                self._pending.clear()
            else:
                self.flush()
                self._work.database.release(self._work.session)
        except BaseException as error:
            self._take_back(marks)
            self._raise_if_broken(error)
            if self._entered and not self._alone:
                self._work.database.undo(self._work.session)
            raise
        return result

    def take_back(self) -> None:
        """The whole transaction doesn't stand: memory goes back."""
        self._unwind(0, 0, 0, 0)

    def _raise_if_broken(self, error: BaseException) -> None:
        """After the database's own trouble (disk full, connection lost) no savepoint can be trusted."""
        if isinstance(error, StoreTaken):
            return
        database = self._work.database
        if database.at_fault(error) or database.ended(self._work.session):
            raise StoreUnavailable(database.reason(error)) from error

    def _raise_if_unusable(self) -> None:
        """PostgreSQL takes nothing more after an error; SQLite would have gone on, so say it plainly."""
        if self._work.database.ended(self._work.session):
            raise StoreUnavailable("the transaction ended by itself")
        if self._work.database.spoilt(self._work.session):
            raise RuntimeError("the job went on after an error of the database: use a savepoint")

    def _marks(self) -> tuple[Chain, tuple[int, int, int, int]]:
        counts = len(self.entries), len(self._undo), len(self.after), len(self._ending)
        return replace(self._work.chain), counts

    def _take_back(self, marks: tuple[Chain, tuple[int, int, int, int]]) -> None:
        before, counts = marks
        self._work.chain.seq, self._work.chain.hash = before.seq, before.hash
        self._pending.clear()
        self._unwind(*counts)

    def _unwind(self, entries: int, undo: int, after: int, ending: int) -> None:
        for step in reversed(self._undo[undo:]):
            step()
        del self.entries[entries:], self._undo[undo:], self.after[after:], self._ending[ending:]


Job: TypeAlias = Callable[[Transaction], T]


def _storable(draft: Draft) -> Draft:
    """Names without what a database can't hold; most are plain, and then nothing is made anew."""
    subject, place, actor = storable(draft.subject), storable(draft.place), storable(draft.actor)
    if (subject, place, actor) == (draft.subject, draft.place, draft.actor):
        return draft
    return replace(draft, subject=subject, place=place, actor=actor)
