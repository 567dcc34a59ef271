"""PostgreSQL as the store's database: an advisory lock for the one writer, and no wait without an end.

psycopg in the writer's and readers' own threads: see `docs/design/store.md` for why not asyncpg.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any, LiteralString, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.errors import DataError, UniqueViolation
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hub.store.database import Database, InDoubt, Mark, StoreTaken, StoreUnavailable
from hub.store.migrate import upgrade

R = TypeVar("R")

_WRITER_LOCK = 0x6A69_6661_6E67
"""The key of the advisory lock: "jifang". Locks are each database's own."""
_AGAIN_S = 1.0
"""A session taken up again waits so long for the lock of the one that was lost, and then tries later."""
_CONTROL_S = 10.0
"""A begin or commit that takes longer is given up: the connection is dropped, and the truth asked for."""
_STATEMENT_S = 60.0
_MANY = 8
"""From so many rows on, COPY is faster than the driver's pipeline."""

_CONNECTION: Mapping[str, object] = {
    "application_name": "jifang",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 9_000,
}
"""A line that is cut without a word is noticed within 10 s."""

_SESSION = f"""
set statement_timeout = '{_STATEMENT_S:.0f}s';
set lock_timeout = '10s';
set tcp_keepalives_idle = 3;
set tcp_keepalives_interval = 2;
set tcp_keepalives_count = 3;
set tcp_user_timeout = 9000;
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'
"""
"""The server's side too: it must give the lock of a hub back whose machine is gone."""

_OTHERS_FAULT = ("22", "23", "42", "54", "0A", "21", "2B")
"""SQLSTATE classes that speak of what was asked, not of the database."""
_AFTER_AN_ERROR = "25P02"
_NOT_OTHERS = ("42501", "42P01", "42703", "42704")
"""Among them: rights, tables or columns were taken away."""
_READ_ONLY = "25006"

_HOLDER = """
select coalesce(host(a.client_addr), 'local') || ', process ' || a.pid || ', ' || a.application_name
from pg_locks l join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.granted and l.database = a.datid and a.datname = current_database()
  and (l.classid::bigint << 32) + l.objid::bigint = %s
"""


_WRITTEN_INSERT = re.compile(r"insert into (?P<table>\w+) \((?P<names>[\w, ]+)\) values \(%s(, %s)*\)")
_BEGIN = sql.SQL("begin isolation level read committed read write")
_BEGIN_WITH_MARK = sql.SQL(
    "begin isolation level read committed read write; insert into commits (n, writer) values ({}, {})"
)


class _Cursor(psycopg.ServerCursor[Any]):
    """A cursor that nobody needs to close: it ends with its transaction, as each read's does."""

    def __del__(self, *_: Any) -> None:
        """Says nothing where psycopg would warn."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that is dropped when the server says nothing for `patience_s`."""

    patience_s = _STATEMENT_S + 5.0

    def wait(self, gen: Generator[Any, Any, R], interval: float = 0.1, timeout: float | None = None) -> R:
        """As psycopg's, with an end. Raises `psycopg.OperationalError`."""
        limit = self.patience_s if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit)
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer from the database for {limit:.0f} s") from error


class PostgreSQL(Database):
    """A database on a server."""

    def __init__(self, url: sa.URL) -> None:
        if url.get_driver_name() not in (
            "psycopg",
            "psycopg2",
        ):  # psycopg2: what a URL without a driver means
            raise ValueError(f"store url: driver {url.get_driver_name()} is not supported; psycopg is")
        self._url = url.set(drivername="postgresql+psycopg")
        self._writer = _engine(self._url, "", sa.NullPool)
        self._migrator = _engine(self._url, "begin", sa.NullPool)
        self.reader = _engine(self._url, "begin isolation level repeatable read read only", sa.QueuePool)
        self._claimed: sa.Connection | None = None

    def claim(self, patience_s: float) -> None:
        """Takes the lock with the session that `connect` gives out first."""
        session = self.connect(guest=True)
        try:
            self._lock(session, patience_s)
        except BaseException:
            session.close()
            raise
        self._claimed = session

    def migrate(self) -> None:
        """Brings the schema to the newest, however long that takes."""
        try:
            with self._migrator.connect() as connection:
                _driver(connection).patience_s = float("inf")
                _driver(connection).execute("set statement_timeout = 0; set lock_timeout = '60s'")
                upgrade(connection)
        except (SQLAlchemyError, psycopg.Error) as error:
            raise StoreUnavailable(self.reason(error)) from error

    def connect(self, *, guest: bool = False) -> sa.Connection:
        """A session; the owner's holds the lock as long as it lives."""
        if self._claimed is not None:
            session, self._claimed = self._claimed, None
            return session
        try:
            session = self._writer.connect()
        except SQLAlchemyError as error:
            raise StoreUnavailable(self.reason(error)) from error
        try:
            self._check_encoding(session)
            if not guest:
                self._lock(session, _AGAIN_S)
        except BaseException:
            session.close()
            raise
        return session

    def begin(self, session: sa.Connection, mark: Mark | None) -> None:
        """One trip to the server for both."""
        statement = _BEGIN if mark is None else _BEGIN_WITH_MARK.format(mark.n, mark.writer)
        try:
            self._control(session, statement)
        except UniqueViolation as error:
            raise StoreTaken(f"another process has written transaction {mark and mark.n}") from error
        except psycopg.Error as error:
            raise StoreUnavailable(self.reason(error)) from error

    def commit(self, session: sa.Connection) -> None:
        """Says no only where the server said no."""
        driver = _driver(session)
        try:
            answer = self._control(session, sql.SQL("commit"))
        except psycopg.Error as error:
            if driver.closed or driver.broken or not error.sqlstate:
                raise InDoubt(self.reason(error)) from error
            raise StoreUnavailable(self.reason(error)) from error
        if answer != "COMMIT":
            raise StoreUnavailable(f"the database answered {answer} to the commit")

    def rollback(self, session: sa.Connection) -> None:
        """A connection that is gone has rolled back."""
        if _driver(session).info.transaction_status is not TransactionStatus.IDLE:
            self._run(session, "rollback")

    def savepoint(self, session: sa.Connection) -> None:
        """Names may be used again: the innermost is meant."""
        self._run(session, "savepoint part")

    def release(self, session: sa.Connection) -> None:
        """Keeps the innermost part."""
        self._run(session, "release part")

    def undo(self, session: sa.Connection) -> None:
        """Undoes the innermost part, in one trip."""
        self._run(session, "rollback to part; release part")

    def ended(self, session: sa.Connection) -> bool:
        """A transaction ends by itself only with its connection."""
        if session.closed or session.invalidated:
            return True
        driver = _driver(session)
        return driver.closed or driver.info.transaction_status in (
            TransactionStatus.IDLE,
            TransactionStatus.UNKNOWN,
        )

    def spoilt(self, session: sa.Connection) -> bool:
        """After an error every statement but a rollback is refused."""
        return _driver(session).info.transaction_status is TransactionStatus.INERROR

    def interrupt(self, connection: sa.Connection) -> None:
        """Asks the server to cancel the statement."""
        with suppress(psycopg.Error):
            _driver(connection).cancel_safe(timeout=5)

    def at_fault(self, error: BaseException, *, writing: bool = True) -> bool:
        """By SQLSTATE: everything is the database's trouble that isn't plainly about what was asked."""
        if isinstance(error, StoreUnavailable | sa.exc.TimeoutError):
            return True
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        original = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(original, psycopg.Error):
            return False
        state = original.sqlstate
        if state is None:
            return isinstance(original, psycopg.OperationalError | psycopg.InterfaceError)
        if state == _READ_ONLY:
            return writing
        if isinstance(original, DataError) or state == _AFTER_AN_ERROR:
            return False
        return state in _NOT_OTHERS or not state.startswith(_OTHERS_FAULT)

    def without_secrets(self, text: str) -> str:
        """libpq doesn't quote passwords; should that change, this doesn't."""
        password = self._url.password
        return text.replace(str(password), "***") if password else text

    def close(self) -> None:
        """Ends every connection; the lock goes with the writer's."""
        if self._claimed is not None:
            self._claimed.close()
            self._claimed = None
        for engine in (self._writer, self._migrator, self.reader):
            engine.dispose()

    def _check_encoding(self, session: sa.Connection) -> None:
        encoding = _driver(session).info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreUnavailable(f"the database is in {encoding}: make it with encoding UTF8")

    def _lock(self, session: sa.Connection, patience_s: float) -> None:
        """A hub that was just killed may hold it for an instant more; one that lives is told of."""
        deadline = time.monotonic() + patience_s
        driver = _driver(session)
        try:
            while not driver.execute("select pg_try_advisory_lock(%s)", (_WRITER_LOCK,)).fetchone()[0]:  # type: ignore[index]
                if time.monotonic() > deadline:
                    holder = driver.execute(_HOLDER, (_WRITER_LOCK,)).fetchone()
                    raise StoreTaken(
                        f"another hub writes to this database ({holder[0] if holder else 'gone now'})"
                    )
                time.sleep(0.1)
        except psycopg.Error as error:
            raise StoreUnavailable(self.reason(error)) from error

    def _control(self, session: sa.Connection, statement: sql.SQL | sql.Composed) -> str | None:
        """Runs what begins or ends a transaction; the last answer's words."""
        driver = _driver(session)
        driver.patience_s = _CONTROL_S
        try:
            cursor = driver.execute(statement, prepare=False)
            while cursor.nextset():
                pass
            answer: str | None = cursor.statusmessage
            return answer
        finally:
            driver.patience_s = PatientConnection.patience_s

    def _run(self, session: sa.Connection, statement: LiteralString) -> None:
        try:
            self._control(session, sql.SQL(statement))
        except psycopg.Error as error:
            raise StoreUnavailable(self.reason(error)) from error


def _driver(session: sa.Connection) -> PatientConnection:
    driver = session.connection.driver_connection
    assert isinstance(driver, PatientConnection)  # noqa: S101 - for the type checker
    return driver


def _engine(url: sa.URL, begin: str, pool: type[sa.Pool]) -> sa.Engine:
    """An engine whose transactions begin as told; driver and server never wait without an end."""
    given = {key: value for key, value in _CONNECTION.items() if key not in url.query}
    sizes = {"pool_size": 6, "max_overflow": 10, "pool_timeout": 10, "pool_use_lifo": True}
    engine = sa.create_engine(
        url,
        connect_args=given,
        poolclass=pool,
        hide_parameters=True,
        **(sizes if pool is sa.QueuePool else {}),
    )

    @sa.event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: Sequence[str], named: dict[str, Any]) -> object:
        return PatientConnection.connect(*arguments, **named)

    @sa.event.listens_for(engine, "connect")
    def connected(connection: PatientConnection, _record: object) -> None:
        connection.autocommit = True
        connection.server_cursor_factory = _Cursor
        connection.execute(_SESSION, prepare=False)

    @sa.event.listens_for(engine, "begin")
    def began(connection: sa.Connection) -> None:
        if begin:
            connection.exec_driver_sql(begin)

    @sa.event.listens_for(engine, "do_executemany")
    def copy_rows(cursor: psycopg.Cursor[Any], statement: str, rows: Sequence[Any], context: Any) -> bool:
        return _copied(cursor, statement, rows, context)

    return engine


def _copied(cursor: psycopg.Cursor[Any], statement: str, rows: Sequence[Any], context: Any) -> bool:
    """Many rows of a plain INSERT go in by COPY; False: this is something else."""
    if len(rows) < _MANY:
        return False
    if context.compiled is None:
        return _copied_as_written(cursor, statement, rows)
    if not _is_plain_insert(context.compiled.statement):
        return False
    names = list(rows[0])
    with cursor.copy(_copy_into(context.compiled.statement.table.name, names)) as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])
    return True


def _copied_as_written(cursor: psycopg.Cursor[Any], statement: str, rows: Sequence[Any]) -> bool:
    """An INSERT that was written out, with its values in the order of its columns."""
    written = _WRITTEN_INSERT.fullmatch(statement)
    if written is None:
        return False
    with cursor.copy(_copy_into(written["table"], written["names"].split(", "))) as copy:
        for row in rows:
            copy.write_row(row)
    return True


def _copy_into(table: str, names: Sequence[str]) -> sql.Composed:
    return sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
    )


def _is_plain_insert(statement: Any) -> bool:
    return (
        isinstance(statement, sa.Insert)
        and statement.select is None
        and not statement._returning
        and statement._post_values_clause is None
        and not statement._values
        and not statement._multi_values
    )
