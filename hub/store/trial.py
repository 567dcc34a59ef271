"""A trial of the store: reached, written to, and taken back. For `jifang doctor`."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from hub.store.database import Database, StoreUnavailable, open_database
from hub.store.migrate import is_newest


def complaint(url: str) -> str:
    """What is wrong with the store at `url`, in words; empty: it can be written. Changes nothing."""
    file = _missing_file(url)
    if file is not None:
        folder = next(one for one in file.absolute().parents if one.exists())
        return "" if os.access(folder, os.W_OK) else f"{folder} can't be written"
    try:
        database = open_database(url)
    except ValueError as error:
        return str(error)
    try:
        return _tried(database)
    except (StoreUnavailable, SQLAlchemyError) as error:
        return database.reason(error)
    finally:
        database.close()


def _missing_file(url: str) -> Path | None:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    file = Path(parsed.database)
    return None if file.exists() else file


def _tried(database: Database) -> str:
    session = database.connect(guest=True)
    try:
        if sa.inspect(session).has_table("alembic_version"):
            is_newest(session)
        database.begin(session, None)
        session.exec_driver_sql("create table jifang_trial (n bigint)")
        session.exec_driver_sql("insert into jifang_trial (n) values (1)")
        database.rollback(session)
        return _unsafe(session)
    finally:
        session.close()


def _unsafe(session: sa.Connection) -> str:
    """A server that acknowledges what it hasn't on disk."""
    if session.dialect.name != "postgresql":
        return ""
    off = [
        name
        for name in ("fsync", "full_page_writes")
        if session.exec_driver_sql(f"show {name}").scalar_one() != "on"
    ]
    return (
        f"{', '.join(off)} is off on the server: after a power cut it may lose what it confirmed"
        if off
        else ""
    )
