"""Brings a database to the newest schema by the numbered migrations in `migrations/versions/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from hub.store.database import SchemaTooNew

_ONE_AT_A_TIME = 0x6A69_6661_6E68
"""Key of the PostgreSQL advisory lock under which a schema is changed; SQLite's write lock does the same."""


def upgrade(connection: Connection, target: str = "heads") -> None:
    """Runs the migrations that `connection`'s database hasn't had, in one transaction, one process at a time.

    Raises `SchemaTooNew` for a database that a newer Jifang made.
    """
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"select pg_advisory_xact_lock({_ONE_AT_A_TIME})")
        at = _checked(connection)
        if target != "heads" or at != newest():
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, target)


def upgrade_within(connection: Connection, target: str) -> None:
    """Runs migrations up to `target` inside the transaction that the caller has begun."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def knows(revision: str) -> bool:
    """Whether this code has the migrations up to that revision."""
    return revision in _known()


def is_newest(connection: Connection) -> bool:
    """Whether the schema is this code's. Raises `SchemaTooNew`."""
    return _checked(connection) == newest()


@cache
def newest() -> frozenset[str]:
    """The revisions this code brings a database to."""
    return frozenset(ScriptDirectory.from_config(_config()).get_heads())


@cache
def _known() -> frozenset[str]:
    return frozenset(one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions())


def _checked(connection: Connection) -> frozenset[str]:
    at = frozenset(MigrationContext.configure(connection).get_current_heads())
    unknown = at - _known()
    if unknown:
        raise SchemaTooNew(
            f"the database has schema {', '.join(sorted(unknown))}, made by a newer Jifang; "
            f"this one knows up to {', '.join(sorted(newest()))}: update it"
        )
    return at


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
