"""Brings a database to the newest schema by the numbered migrations in `migrations/versions/`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def upgrade(connection: Connection, target: str = "heads") -> None:
    """Runs the migrations that `connection`'s database hasn't had, in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    with connection.begin():
        at = set(MigrationContext.configure(connection).get_current_heads())
        if target != "heads" or at != set(ScriptDirectory.from_config(config).get_heads()):
            command.upgrade(config, target)
