"""The store seam: one writer thread with group commit, readers beside it, and the numbered, chained log.

What differs by database stands behind `hub.store.database`. What is known of a commit whose answer never
came is asked, not guessed: the row of `commits` that the transaction left stands exactly if it does.
"""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from hub.domain.entry import Entry
from hub.store.canonical import (
    GENESIS,
    Chain,
    as_entry,
    canonical,
    canonical_body,
    chained,
    storable,
)
from hub.store.database import (
    Database,
    InDoubt,
    Mark,
    SchemaTooNew,
    StoreTaken,
    StoreUnavailable,
    open_database,
)
from hub.store.reading import Query, Readers
from hub.store.tables.log import commits
from hub.store.tables.log import entries as entries_table
from hub.store.transaction import Job, Transaction, Work
from wire.clock import Clock, utc_now

__all__ = [
    "GENESIS",
    "CommitListener",
    "InDoubt",
    "Job",
    "Query",
    "SchemaTooNew",
    "Store",
    "StoreHealth",
    "StoreTaken",
    "StoreUnavailable",
    "Transaction",
    "as_entry",
    "canonical",
    "canonical_body",
    "chained",
    "storable",
]

log = structlog.get_logger(__name__)

T = TypeVar("T")
CommitListener: TypeAlias = Callable[[Sequence[Entry]], None]

_MAX_GROUP = 200
_MARKS_KEPT = 256
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_TIDY_EVERY_S = 1.0
CLAIM_WITHIN_S = 3.0
"""A hub that was just killed may hold the store for an instant more."""
_ABANDONED = "a hub that is stopping could not ask whether the last transaction stands"


@dataclass(slots=True)
class _Submitted(Generic[T]):
    job: Job[T]
    done: Future[T]


@dataclass(slots=True)
class _Group:
    """Jobs that share a transaction, and what became of each."""

    jobs: list[_Submitted[Any]]
    done: list[tuple[_Submitted[Any], Transaction, Any]]
    failed: list[tuple[_Submitted[Any], BaseException]]


@dataclass(frozen=True, slots=True)
class _Standing:
    """What stands in the database: the end of the log and the last transaction."""

    chain: Chain
    mark: Mark


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether the last transaction could be committed."""

    ok: bool
    since: datetime
    reason: str = ""


class Store:
    """A database with one writer. Made by `Store.open`; ended by `close`."""

    def __init__(self, database: Database, clock: Clock, *, guest: bool = False) -> None:
        self._database = database
        self._guest = guest
        self._clock = clock
        self._listeners: list[CommitListener] = []
        self._jobs: queue.SimpleQueue[_Submitted[Any] | None] = queue.SimpleQueue()
        self._reads = Readers(database)
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="store-read")
        self._writer = uuid.uuid4().hex
        self._session: sa.Connection | None = database.connect(guest=guest)
        self._standing = _standing(self._session)
        self._pauses = _Pauses()
        self._behind = ""
        """Why this store may never write again; empty: it may."""
        self._tidied = 0.0
        self._health = StoreHealth(ok=True, since=clock())
        self._failed: tuple[float, str] | None = None
        self._closing = threading.Lock()
        self._closed = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls, url: str, *, clock: Clock = utc_now, beside: bool = False, patience_s: float = CLAIM_WITHIN_S
    ) -> Store:
        """Migrates the schema and opens. `url` as SQLAlchemy's: `sqlite:////data/hub.db`, `postgresql://…`.

        Raises `StoreTaken` where another process still writes after `patience_s`, `SchemaTooNew`,
        `StoreUnavailable`. With `beside`, a store that another process owns may be read and written at once,
        but nothing appended to its log.
        """
        database = open_database(url)
        try:
            guest = _claim(database, beside, patience_s)
            if not guest:
                database.migrate()
            return cls(database, clock, guest=guest)
        except BaseException:
            database.close()
            raise

    @property
    def head(self) -> int:
        """The number of the last committed entry."""
        return self._standing.chain.seq

    @property
    def health(self) -> StoreHealth:
        """Whether the store can store (`/readyz`)."""
        return self._health

    @property
    def last_failure(self) -> tuple[float, str] | None:
        """When (monotonic, seconds) and why a transaction last could not be committed, though a smaller one
        may have been since; None: never."""
        return self._failed

    @property
    def oldest_read_s(self) -> float:
        """Age of the oldest read that goes on, seconds."""
        return self._reads.oldest_s()

    @property
    def untidied_bytes(self) -> int:
        """What the database keeps beside itself until readers let go of it (SQLite's WAL)."""
        return self._database.growth()

    def enqueue(self, job: Job[T]) -> Future[T]:
        """As `submit`, for callers without an event loop."""
        done: Future[T] = Future()
        with self._closing:
            if self._closed:
                done.set_exception(StoreUnavailable("the store is closed"))
            else:
                self._jobs.put(_Submitted(job, done))
        return done

    async def submit(self, job: Job[T]) -> T:
        """Runs `job` in the writer thread; returns its result after the commit.

        Raises what the job raised (then nothing of it stands), or `StoreUnavailable`.
        """
        return await asyncio.wrap_future(self.enqueue(job))

    async def read(self, query: Query[T]) -> T:
        """Runs `query` in a reader thread on a consistent view of what is committed.

        A query may be run a second time where its connection was stale. Raises `StoreUnavailable`.
        """
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.query, query)

    def query(self, query: Query[T]) -> T:
        """As `read`, in the caller's own thread."""
        return self._reads.query(query)

    def on_commit(self, listener: CommitListener) -> None:
        """Calls `listener(entries)` after each commit that made entries: writer thread, in order."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Commits what is queued and closes the database."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._ending.set()
        self._thread.join(30)
        self._readers.shutdown()
        self._drop_session()
        self._database.close()

    # The writer thread

    def _run(self) -> None:
        while True:
            first = self._next()
            group = [first]
            while group[-1] is not None and len(group) < _MAX_GROUP:
                try:
                    group.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            jobs = [one for one in group if one and one.done.set_running_or_notify_cancel()]
            if jobs:
                self._commit(_Group(jobs, [], []))
                self._tidy()
            if group[-1] is None:
                return

    def _next(self) -> _Submitted[Any] | None:
        """Waits for a job; meanwhile takes up a lost connection again."""
        while True:
            settled = self._session is not None or self._behind
            try:
                return self._jobs.get(timeout=None if settled else self._pauses.left_s)
            except queue.Empty:
                with suppress(StoreUnavailable):
                    self._open_session()
                    self._note_health("")

    def _commit(self, group: _Group) -> None:
        mark = Mark(self._standing.mark.n + 1, self._writer)
        try:
            session = self._open_session()
            work = Work(self._database, session, replace(self._standing.chain), owns_log=not self._guest)
            self._begin(session, mark)
            self._work_through(work, group)
            if not group.done and len(group.jobs) == 1:
                self._database.rollback(session)
                self._answer(group)
                return
            work.flush()
        except (SQLAlchemyError, StoreUnavailable) as error:
            self._abandon(group, error)
            return
        after = _Standing(work.chain, self._standing.mark if self._guest else mark)
        try:
            self._database.commit(session)
        except InDoubt as error:
            self._settle_doubt(group, after, error)
        except StoreUnavailable as error:
            self._abandon(group, error)
        else:
            self._settle(group, after)

    def _begin(self, session: sa.Connection, mark: Mark) -> None:
        self._database.begin(session, None if self._guest else mark)
        if mark.n % _MARKS_KEPT == 0 and not self._guest:
            session.execute(commits.delete().where(commits.c.n <= mark.n - _MARKS_KEPT))

    def _work_through(self, work: Work, group: _Group) -> None:
        alone = len(group.jobs) == 1
        for submitted in group.jobs:
            tx = Transaction(work, self._clock(), alone=alone)
            try:
                group.done.append((submitted, tx, tx.run(submitted.job)))
            except StoreTaken as error:
                group.failed.append((submitted, error))
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - the supervision loop of all jobs
                group.failed.append((submitted, error))

    def _settle(self, group: _Group, standing: _Standing) -> None:
        """The group stands: everybody is told, in order."""
        self._standing = standing
        self._note_health(self._behind)
        entries: list[Entry] = []
        for _, tx, _ in group.done:
            entries.extend(tx.entries)
            for then in tx.after:
                _guarded(then, standing.chain.seq)
        if entries:
            for listener in self._listeners:
                _guarded(listener, entries)
        self._answer(group)

    def _answer(self, group: _Group) -> None:
        for submitted, _, result in group.done:
            submitted.done.set_result(result)
        for submitted, error in group.failed:
            submitted.done.set_exception(error)

    def _abandon(self, group: _Group, error: Exception) -> None:
        """The group doesn't stand: memory goes back, everybody is told why."""
        reason = self._database.reason(error)
        log.error("store could not commit", reason=reason, jobs=len(group.jobs))
        for _, tx, _ in reversed(group.done):
            tx.take_back()
        self._roll_back()
        self._note_health(reason)
        for submitted in group.jobs:
            submitted.done.set_exception(StoreUnavailable(reason))

    def _settle_doubt(self, group: _Group, after: _Standing, error: Exception) -> None:
        """The answer to the commit never came: keeps the group in hand until the database can be asked."""
        reason = self._database.reason(error)
        log.error("store doesn't know whether it committed", reason=reason, jobs=len(group.jobs))
        self._drop_session()
        self._note_health(f"{reason}; whether the last transaction stands is being asked")
        stands = self._ask(after)
        log.warning("store asked", stands=stands, mark=after.mark.n)
        if stands:
            self._settle(group, after)
        else:
            self._abandon(group, StoreUnavailable(_ABANDONED) if stands is None else error)

    def _ask(self, after: _Standing) -> bool | None:
        """Whether the transaction that would lead to `after` stands; None: the hub stopped before it knew."""
        while True:
            last_try = self._ending.is_set()
            try:
                session = self._database.connect(guest=self._guest)
                try:
                    found, stands = _standing(session), _stands(session, after.mark)
                except BaseException:
                    session.close()
                    raise
            except (SQLAlchemyError, StoreUnavailable) as error:
                self._note_health(
                    f"{self._database.reason(error)}; whether the last transaction stands is being asked"
                )
                self._refuse_waiting()
                if last_try:
                    return None
                self._ending.wait(self._pauses.next_s())
                continue
            self._pauses.reset()
            self._session = session
            if not self._guest and found != (after if stands else self._standing):
                self._fall_behind(found)
            return stands

    def _refuse_waiting(self) -> None:
        """Who has queued meanwhile is told at once; the word to end stays in the queue."""
        ending = False
        with suppress(queue.Empty):
            while True:
                waiting = self._jobs.get_nowait()
                if waiting is None:
                    ending = True
                elif waiting.done.set_running_or_notify_cancel():
                    waiting.done.set_exception(StoreUnavailable(self._health.reason))
        if ending:
            self._jobs.put(None)

    def _open_session(self) -> sa.Connection:
        """The writer's session, made anew where it was lost. Raises `StoreUnavailable`."""
        if self._behind:
            raise StoreTaken(self._behind)
        if self._session is not None:
            return self._session
        if self._pauses.left_s > 0:
            raise StoreUnavailable(self._health.reason)
        try:
            session = self._database.connect(guest=self._guest)
            try:
                found = _standing(session)
            except BaseException:
                session.close()
                raise
        except (SQLAlchemyError, StoreUnavailable) as error:
            self._pauses.next_s()
            reason = self._database.reason(error)
            self._note_health(reason)
            raise StoreUnavailable(reason) from error
        self._pauses.reset()
        self._session = session
        if found != self._standing and not self._guest:
            self._fall_behind(found)
            raise StoreTaken(self._behind)
        return session

    def _fall_behind(self, found: _Standing) -> None:
        """Somebody else has written: memory here is no longer true, and nothing may follow on it."""
        self._behind = (
            f"another process has written to this store: it stands at transaction {found.mark.n}, entry "
            f"{found.chain.seq}, not at {self._standing.mark.n}, {self._standing.chain.seq}; restart the hub"
        )
        self._drop_session()  # and with it the lock: whoever is up to date may have it
        self._note_health(self._behind)
        log.critical("store has fallen behind", reason=self._behind)

    def _roll_back(self) -> None:
        if self._session is None:
            return
        try:
            self._database.rollback(self._session)
        except (SQLAlchemyError, StoreUnavailable):
            self._drop_session()

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(SQLAlchemyError, StoreUnavailable):
                session.invalidate()
            with suppress(SQLAlchemyError):
                session.close()

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied > _TIDY_EVERY_S:
            self._tidied = time.monotonic()
            self._reads.end_old()

    def _note_health(self, reason: str) -> None:
        if reason:
            self._failed = (time.monotonic(), reason)
        if self._health.ok != (not reason) or self._health.reason != reason:
            since = self._clock() if self._health.ok != (not reason) else self._health.since
            self._health = StoreHealth(ok=not reason, since=since, reason=reason)


class _Pauses:
    """How long to leave an unreachable database alone: longer each time, never in step with others."""

    def __init__(self) -> None:
        self._length_s = _FIRST_PAUSE_S
        self._until = 0.0

    @property
    def left_s(self) -> float:
        """What is left of the pause."""
        return max(0.0, self._until - time.monotonic())

    def next_s(self) -> float:
        """Begins a pause; how long it is."""
        length_s = self._length_s * random.uniform(0.6, 1.0)
        self._length_s = min(_LONGEST_PAUSE_S, self._length_s * 2)
        self._until = time.monotonic() + length_s
        return length_s

    def reset(self) -> None:
        """It was reached."""
        self._length_s, self._until = _FIRST_PAUSE_S, 0.0


def _claim(database: Database, beside: bool, patience_s: float) -> bool:
    """Takes the store for ourselves; True: it is another's, and we are beside it."""
    try:
        database.claim(0.0 if beside else patience_s)
    except StoreTaken:
        if not beside:
            raise
        return True
    return False


def _standing(session: sa.Connection) -> _Standing:
    """What stands, read outside any transaction of ours."""
    end = sa.select(entries_table.c.seq, entries_table.c.hash).order_by(entries_table.c.seq.desc()).limit(1)
    last = sa.select(commits.c.n, commits.c.writer).order_by(commits.c.n.desc()).limit(1)
    entry, mark = session.execute(end).first(), session.execute(last).first()
    return _Standing(
        Chain(int(entry[0]), str(entry[1])) if entry else Chain(),
        Mark(int(mark[0]), str(mark[1])) if mark else Mark(),
    )


def _stands(session: sa.Connection, mark: Mark) -> bool:
    ours = (commits.c.n == mark.n) & (commits.c.writer == mark.writer)
    return session.execute(sa.select(commits.c.n).where(ours)).first() is not None


def _guarded(call: Callable[[Any], None], argument: object) -> None:
    try:
        call(argument)
    except Exception:  # supervision of listeners: what is committed stays committed, whoever trips over it
        log.exception("commit listener failed")
