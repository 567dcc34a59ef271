"""One consistent, read-only view of a whole store, beside a hub that goes on writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import SQLAlchemyError

from hub.store.tables import load_all

REVISIONS = "alembic_version"


class NoStore(RuntimeError):
    """There is nothing to read at that address; says what, never with a password."""


def shown(url: str) -> str:
    """A store's address as it may be shown."""
    return sa.make_url(url).render_as_string(hide_password=True)


def backend(url: str) -> str:
    """`sqlite` or `postgresql`."""
    return sa.make_url(url).get_backend_name()


@contextmanager
def snapshot(url: str) -> Iterator[sa.Connection]:
    """The store as of now, for as long as it is read. Raises `NoStore` where there is none.

    SQLite: a read transaction on the WAL, which can't be cut back meanwhile. PostgreSQL: one transaction,
    REPEATABLE READ, read only.
    """
    engine = _engine(url)
    try:
        with _connected(engine, url) as connection, connection.begin():
            if REVISIONS not in sa.inspect(connection).get_table_names():
                raise NoStore(f"{shown(url)}: holds no store of ours")
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _connected(engine: sa.Engine, url: str) -> Iterator[sa.Connection]:
    try:
        connection = engine.connect()
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise NoStore(f"{shown(url)}: {reason}") from error
    with connection:
        yield connection


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            isolation_level="REPEATABLE READ",
            poolclass=sa.NullPool,
            connect_args={"options": "-c default_transaction_read_only=on", "connect_timeout": 10},
            hide_parameters=True,
        )
    if not parsed.database or not Path(parsed.database).is_file():
        raise NoStore(f"{shown(url)}: there is no such file")
    engine = sa.create_engine(
        parsed, connect_args={"check_same_thread": False}, poolclass=sa.NullPool, hide_parameters=True
    )
    as_reader(engine, ("query_only=on", "busy_timeout=10000"), "begin")
    return engine


def as_reader(engine: sa.Engine, pragmas: tuple[str, ...], begin: str) -> None:
    """Takes transaction control of SQLite from its driver."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"pragma {pragma}")

    @sa.event.listens_for(engine, "begin")
    def began(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def revision(connection: sa.Connection) -> str:
    """The schema's revision; empty: there is no schema."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def tables_of(connection: sa.Connection) -> dict[str, sa.Table]:
    """Our tables as the database has them, of whatever revision, by name."""
    found = sa.MetaData()
    there = set(sa.inspect(connection).get_table_names())
    ours = sorted(there & set(load_all().tables))
    found.reflect(bind=connection, only=ours)
    return {name: found.tables[name] for name in ours}
