"""The store seam: one writer thread with group commit, readers beside it, and the numbered, chained log.

The only file that knows which database is behind it.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hub.domain.entry import Draft, Entry, EntryKind
from hub.store.migrate import upgrade
from hub.store.tables.log import entries as entries_table
from wire.clock import Clock, utc_now

log = structlog.get_logger(__name__)

T = TypeVar("T")
CommitListener: TypeAlias = Callable[[Sequence[Entry]], None]

GENESIS = "0" * 64
"""The hash before the first entry."""
_MAX_GROUP = 200


class StoreUnavailable(RuntimeError):
    """The transaction could not be committed: nothing of it stands, and the caller may try again."""


def canonical(entry: Entry | Draft, seq: int, at: datetime, body: bytes) -> bytes:
    """An entry without its hash as JSON with sorted keys, as the chain hashes it."""
    return msgspec.json.encode(
        {
            "actor": entry.actor,
            "at": at,
            "body": msgspec.Raw(body),
            "cause": entry.cause,
            "kind": entry.kind,
            "late": entry.late,
            "place": entry.place,
            "seq": seq,
            "subject": entry.subject,
        }
    )


def canonical_body(body: dict[str, Any]) -> bytes:
    """A body as JSON with sorted keys: what the `entries` table holds."""
    return msgspec.json.encode(body, order="sorted")


def chained(previous: str, entry: Entry | Draft, seq: int, at: datetime, body: bytes) -> str:
    """SHA-256 over the previous hash and the entry's canonical JSON, hex."""
    return hashlib.sha256(previous.encode() + canonical(entry, seq, at, body)).hexdigest()


@dataclass(slots=True)
class _Chain:
    """The end of the log as the writer knows it."""

    seq: int = 0
    hash: str = GENESIS


class Transaction:
    """What a job may do: SQL on `connection`, and `append`. Lives in the writer thread, for one job."""

    def __init__(self, connection: sa.Connection, now: datetime, chain: _Chain) -> None:
        self.connection = connection
        self.now = now
        """The hub's clock for this job, UTC."""
        self._chain = chain
        self._pending: list[tuple[Entry, bytes]] = []
        self._entries: list[Entry] = []
        self._undo: list[Callable[[], None]] = []
        self._after: list[Callable[[int], None]] = []
        self._ending: list[Callable[[Transaction], None]] = []

    @property
    def head(self) -> int:
        """The last entry's number, entries of this job included."""
        return self._chain.seq

    def append(self, draft: Draft) -> Entry:
        """Numbers, chains and stores an entry. Its body must consist of JSON's own types."""
        body = canonical_body(draft.body)
        seq = self._chain.seq + 1
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
            hash=chained(self._chain.hash, draft, seq, self.now, body),
        )
        self._chain.seq, self._chain.hash = entry.seq, entry.hash
        self._pending.append((entry, body))
        return entry

    def on_undo(self, undo: Callable[[], None]) -> None:
        """Runs `undo` if what this job did so far is rolled back: memory follows the database."""
        self._undo.append(undo)

    def after_commit(self, then: Callable[[int], None]) -> None:
        """Runs `then(head)` in the writer thread after the commit, before the commit listeners."""
        self._after.append(then)

    def at_end(self, last: Callable[[Transaction], None]) -> None:
        """Runs `last(tx)` when the job is done, still inside its transaction: writes what it gathered."""
        self._ending.append(last)

    def end(self) -> None:
        """Runs what `at_end` was given."""
        while self._ending:
            self._ending.pop(0)(self)

    def flush(self) -> None:
        """Writes appended entries, so that SQL of this job sees them."""
        if not self._pending:
            return
        self.connection.execute(entries_table.insert(), [_row(entry, body) for entry, body in self._pending])
        self._entries.extend(entry for entry, _ in self._pending)
        self._pending.clear()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What is done inside is undone, and only that, if it raises; the error goes on to the caller."""
        self.flush()
        before = replace(self._chain)
        marks = len(self._entries), len(self._undo), len(self._after), len(self._ending)
        nested = self.connection.begin_nested()
        try:
            yield
            self.flush()
            nested.commit()
        except BaseException as error:
            self._chain.seq, self._chain.hash = before.seq, before.hash
            self._pending.clear()
            self._unwind(*marks)
            try:
                nested.rollback()
            except SQLAlchemyError:
                # The database has ended the whole transaction by itself (disk full): say why, not that.
                raise StoreUnavailable(str(error)) from error
            raise

    def _unwind(self, entries: int, undo: int, after: int, ending: int) -> None:
        for step in reversed(self._undo[undo:]):
            step()
        del self._entries[entries:], self._undo[undo:], self._after[after:], self._ending[ending:]


Job: TypeAlias = Callable[[Transaction], T]
Query: TypeAlias = Callable[[sa.Connection], T]


@dataclass(slots=True)
class _Submitted(Generic[T]):
    job: Job[T]
    done: Future[T]


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether the last transaction could be committed."""

    ok: bool
    since: datetime
    reason: str = ""


class Store:
    """A database with one writer. Made by `Store.open`; ended by `close`."""

    def __init__(self, writer: sa.Engine, reader: sa.Engine, clock: Clock) -> None:
        self._writer_engine = writer
        self._reader_engine = reader
        self._clock = clock
        self._listeners: list[CommitListener] = []
        self._jobs: queue.SimpleQueue[_Submitted[Any] | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="store-read")
        self._connection = writer.connect()
        self._chain = self._load_chain()
        self._health = StoreHealth(ok=True, since=clock())
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, url: str, *, clock: Clock = utc_now) -> Store:
        """Migrates the schema and opens. `url` as SQLAlchemy's: `sqlite:////data/hub.db`."""
        writer, reader = _engines(sa.make_url(url))
        with writer.connect() as connection:
            upgrade(connection)
        return cls(writer, reader, clock)

    @property
    def head(self) -> int:
        """The number of the last committed entry."""
        return self._chain.seq

    @property
    def health(self) -> StoreHealth:
        """Whether the store can store (`/readyz`)."""
        return self._health

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
        """Runs `query` in a reader thread on a consistent view of what is committed."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.query, query)

    def query(self, query: Query[T]) -> T:
        """As `read`, in the caller's own thread."""
        with self._reader_engine.connect() as connection, connection.begin():
            return query(connection)

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
        self._thread.join(30)
        self._readers.shutdown()
        self._connection.close()
        self._writer_engine.dispose()
        self._reader_engine.dispose()

    def _load_chain(self) -> _Chain:
        query = sa.select(entries_table.c.seq, entries_table.c.hash).order_by(entries_table.c.seq.desc())
        with self._connection.begin():
            row = self._connection.execute(query.limit(1)).first()
        return _Chain(int(row[0]), str(row[1])) if row else _Chain()

    def _run(self) -> None:
        while True:
            first = self._jobs.get()
            group = [first]
            while group[-1] is not None and len(group) < _MAX_GROUP:
                try:
                    group.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            self._commit([one for one in group if one and one.done.set_running_or_notify_cancel()])
            if group[-1] is None:
                return

    def _commit(self, group: list[_Submitted[Any]]) -> None:
        if not group:
            return
        chain = replace(self._chain)
        done: list[tuple[_Submitted[Any], Transaction, Any]] = []
        failed: list[tuple[_Submitted[Any], BaseException]] = []
        try:
            outer = self._connection.begin()
            for submitted in group:
                tx = Transaction(self._connection, self._clock(), chain)
                try:
                    with tx.savepoint():
                        result = submitted.job(tx)
                        tx.end()
                    done.append((submitted, tx, result))
                except Exception as error:  # noqa: BLE001 - the supervision loop of all jobs
                    self._raise_if_broken(error)
                    failed.append((submitted, error))
            outer.commit()
        except (SQLAlchemyError, StoreUnavailable) as error:
            self._abandon(group, [tx for _, tx, _ in done], error)
            return
        self._settle(chain, done, failed)

    def _raise_if_broken(self, error: Exception) -> None:
        """SQLite ends the whole transaction on some errors (disk full, I/O): then no savepoint is left."""
        driver = self._connection.connection.dbapi_connection
        if getattr(driver, "in_transaction", True) is False:
            raise StoreUnavailable(str(error)) from error
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise StoreUnavailable(str(error)) from error

    def _settle(
        self,
        chain: _Chain,
        done: list[tuple[_Submitted[Any], Transaction, Any]],
        failed: list[tuple[_Submitted[Any], BaseException]],
    ) -> None:
        self._chain = chain
        self._note_health("")
        entries: list[Entry] = []
        for _, tx, _ in done:
            entries.extend(tx._entries)
            for then in tx._after:
                _guarded(then, chain.seq)
        if entries:
            for listener in self._listeners:
                _guarded(listener, entries)
        for submitted, _, result in done:
            submitted.done.set_result(result)
        for submitted, error in failed:
            submitted.done.set_exception(error)

    def _abandon(self, group: list[_Submitted[Any]], done: list[Transaction], error: Exception) -> None:
        log.error("store could not commit", reason=str(error), jobs=len(group))
        for tx in reversed(done):
            tx._unwind(0, 0, 0, 0)
        with suppress(SQLAlchemyError):
            self._connection.rollback()
        with suppress(SQLAlchemyError):
            self._connection.close()
        with suppress(SQLAlchemyError):
            self._connection = self._writer_engine.connect()
        self._note_health(str(error))
        for submitted in group:
            submitted.done.set_exception(StoreUnavailable(str(error)))

    def _note_health(self, reason: str) -> None:
        if self._health.ok != (not reason) or self._health.reason != reason:
            self._health = StoreHealth(ok=not reason, since=self._clock(), reason=reason)


def _guarded(call: Callable[[Any], None], argument: object) -> None:
    try:
        call(argument)
    except Exception:  # supervision of listeners: what is committed stays committed, whoever trips over it
        log.exception("commit listener failed")


def _row(entry: Entry, body: bytes) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": entry.at,
        "kind": entry.kind.value,
        "subject": entry.subject,
        "place": entry.place,
        "actor": entry.actor,
        "cause": entry.cause,
        "late": entry.late,
        "body": body.decode(),
        "hash": entry.hash,
    }


def as_entry(row: sa.Row[Any]) -> Entry:
    """A row of `entries` as a value."""
    return Entry(
        seq=row.seq,
        at=row.at,
        kind=EntryKind(row.kind),
        subject=row.subject,
        place=row.place,
        body=msgspec.json.decode(row.body),
        actor=row.actor,
        cause=row.cause,
        late=row.late,
        hash=row.hash,
    )


def _engines(url: sa.URL) -> tuple[sa.Engine, sa.Engine]:
    """Writer and reader engines for `url`."""
    if url.get_backend_name() != "sqlite":
        engine = sa.create_engine(url)
        return engine, engine
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    writer = sa.create_engine(url, connect_args={"check_same_thread": False}, poolclass=sa.StaticPool)
    reader = sa.create_engine(url, connect_args={"check_same_thread": False}, pool_size=6)
    _prepare_sqlite(writer, "BEGIN IMMEDIATE", ("journal_mode=wal", "synchronous=full", "foreign_keys=on"))
    _prepare_sqlite(reader, "BEGIN", ("query_only=on",))
    return writer, reader


def _prepare_sqlite(engine: sa.Engine, begin: str, pragmas: Sequence[str]) -> None:
    """Takes transaction control from the driver, which would commit before DDL and begin too late."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (*pragmas, "busy_timeout=10000"):
            connection.execute(f"pragma {pragma}")

    @sa.event.listens_for(engine, "begin")
    def began(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)
