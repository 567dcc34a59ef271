"""SQLite as the store's database: WAL, synchronous=FULL, one writer by a lock on a file beside it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hub.store.database import Database, InDoubt, Mark, StoreTaken, StoreUnavailable
from hub.store.migrate import upgrade

_DURABLE = ("journal_mode=wal", "synchronous=full", "foreign_keys=on")
_WRITER = (
    *_DURABLE,
    "cache_size=-65536",  # 64 MiB: the indexes of identities are hit at random
    "wal_autocheckpoint=4000",  # pages of 4 KiB: 16 MiB a checkpoint
    "journal_size_limit=67108864",  # what a long reader made grow is cut back to 64 MiB
)
_READER = ("query_only=on", "cache_size=-16384")
_BUSY = "busy_timeout=10000"

_OWN_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_NOTADB,
    }
)
_MISSING = ("no such table", "no such column")


class SQLite(Database):
    """A database file."""

    def __init__(self, url: sa.URL) -> None:
        self._file = Path(url.database) if url.database and url.database != ":memory:" else None
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        self._lock: TextIO | None = None
        self._writer = _engine(url, _WRITER, "", sa.NullPool)
        self._migrator = _engine(url, _DURABLE, "begin immediate", sa.NullPool)
        self.reader = _engine(url, _READER, "begin", sa.QueuePool)

    def claim(self, patience_s: float) -> None:
        """Locks the file beside the database; the lock goes with the process, however it ends."""
        if self._file is None or self._lock is not None:
            return
        try:
            lock = self._file.with_name(f"{self._file.name}.lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreUnavailable(self.reason(error)) from error
        deadline = time.monotonic() + patience_s
        while not _locked(lock):
            if time.monotonic() > deadline:
                lock.seek(0)
                holder = lock.read(40).strip() or "unknown"
                lock.close()
                raise StoreTaken(f"process {holder} writes to {self._file} already")
            time.sleep(0.05)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def migrate(self) -> None:
        """Brings the schema to the newest."""
        try:
            with self._migrator.connect() as connection:
                upgrade(connection)
        except SQLAlchemyError as error:
            raise StoreUnavailable(self.reason(error)) from error

    def connect(self, *, guest: bool = False) -> sa.Connection:  # noqa: ARG002 - a guest is no different here
        """A connection of its own."""
        try:
            return self._writer.connect()
        except SQLAlchemyError as error:
            raise StoreUnavailable(self.reason(error)) from error

    def begin(self, session: sa.Connection, mark: Mark | None) -> None:
        """Takes SQLite's write lock at once."""
        self._run(session, "begin immediate")
        if mark is None:
            return
        try:
            _driver(session).execute("insert into commits (n, writer) values (?, ?)", (mark.n, mark.writer))
        except sqlite3.IntegrityError as error:
            raise StoreTaken(f"another process has written transaction {mark.n}") from error
        except sqlite3.Error as error:
            raise StoreUnavailable(self.reason(error)) from error

    def commit(self, session: sa.Connection) -> None:
        """Whatever goes wrong here is asked about: an I/O error can come after the last page was written."""
        try:
            _driver(session).execute("commit")
        except sqlite3.Error as error:
            raise InDoubt(self.reason(error)) from error

    def rollback(self, session: sa.Connection) -> None:
        """Does nothing where SQLite has done so itself."""
        if _driver(session).in_transaction:
            self._run(session, "rollback")

    def savepoint(self, session: sa.Connection) -> None:
        """Names may be used again: the innermost is meant."""
        self._run(session, "savepoint part")

    def release(self, session: sa.Connection) -> None:
        """Keeps the innermost part."""
        self._run(session, "release part")

    def undo(self, session: sa.Connection) -> None:
        """Undoes the innermost part."""
        self._run(session, "rollback to part")
        self._run(session, "release part")

    def ended(self, session: sa.Connection) -> bool:
        """SQLite ends the whole transaction on some errors (disk full, I/O)."""
        return session.closed or not _driver(session).in_transaction

    def interrupt(self, connection: sa.Connection) -> None:
        """Its statement ends with "interrupted"."""
        _driver(connection).interrupt()

    def at_fault(self, error: BaseException, *, writing: bool = True) -> bool:
        """By SQLite's result code."""
        if isinstance(error, StoreUnavailable | sa.exc.TimeoutError):
            return True
        original = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(original, sqlite3.Error):
            return False
        code = getattr(original, "sqlite_errorcode", None)
        if code is None:
            return isinstance(original, sqlite3.OperationalError)
        primary = code & 0xFF
        if primary == sqlite3.SQLITE_READONLY:
            return writing
        return primary in _OWN_TROUBLE or any(one in str(original) for one in _MISSING)

    def growth(self) -> int:
        """Size of the WAL file: it can't be cut back while a reader needs an old state."""
        if self._file is None:
            return 0
        try:
            return self._file.with_name(f"{self._file.name}-wal").stat().st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Ends every connection and unlocks."""
        for engine in (self._writer, self._migrator, self.reader):
            engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _run(self, session: sa.Connection, statement: str) -> None:
        try:
            _driver(session).execute(statement)
        except sqlite3.Error as error:
            raise StoreUnavailable(self.reason(error)) from error


def _locked(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _driver(session: sa.Connection) -> sqlite3.Connection:
    driver = session.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver


def _engine(url: sa.URL, pragmas: tuple[str, ...], begin: str, pool: type[sa.Pool]) -> sa.Engine:
    """Takes transaction control from the driver, which would commit before DDL and begin too late."""
    sizes = {"pool_size": 6, "max_overflow": 10, "pool_timeout": 10} if pool is sa.QueuePool else {}
    engine = sa.create_engine(
        url, connect_args={"check_same_thread": False}, poolclass=pool, hide_parameters=True, **sizes
    )

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (_BUSY, *pragmas):
            connection.execute(f"pragma {pragma}")

    @sa.event.listens_for(engine, "begin")
    def began(connection: sa.Connection) -> None:
        if begin:
            connection.exec_driver_sql(begin)

    return engine
