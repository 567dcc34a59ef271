"""An outbox's file: made, brought up to date, and where it is damaged moved aside, not thrown away.

Bit rot, a truncated file or another program's bytes must not stop a listener: what can be read is taken over
into a fresh file, the damaged one is kept beside it for whoever wants to look.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from wire import codec
from wire.observations import Observation

_SCHEMA = """
create table if not exists meta (name text primary key, value text not null) without rowid;
create table if not exists item (
    seq integer primary key,
    urgency integer not null default 0,
    heard_ms integer not null default 0,
    payload blob not null
);
create table if not exists mark (name text primary key, value text not null) without rowid;
"""
_LATER_COLUMNS = ("urgency", "heard_ms")
"""Files of the first release have neither: what they hold goes as history, in order."""


@dataclass(frozen=True, slots=True)
class Salvage:
    """What could be read of a damaged file."""

    reason: str
    kept_as: str
    observations: list[Observation]
    marks: dict[str, str]


def opened(path: Path, now: datetime) -> tuple[sqlite3.Connection, sqlite3.Connection, Salvage | None]:
    """Writer, reader, and what a damaged predecessor held. Raises `sqlite3.OperationalError` where the disk
    itself doesn't let it (read-only, full, not there): that is no damage, and nothing is moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    salvage = None
    try:
        writer = _connected(path)
    except sqlite3.OperationalError:
        raise
    except (sqlite3.DatabaseError, ValueError) as error:
        salvage = _salvaged(_moved_aside(path, now), str(error))
        writer = _connected(path)
    reader = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    reader.executescript("pragma query_only=on; pragma busy_timeout=10000;")
    return writer, reader, salvage


def _connected(path: Path) -> sqlite3.Connection:
    if path.exists() and path.stat().st_size == 0:
        raise ValueError("the file is empty")
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        db.executescript(
            "pragma busy_timeout=10000; pragma journal_mode=wal; pragma synchronous=full;" + _SCHEMA
        )
        columns = {str(row[1]) for row in db.execute("pragma table_info(item)")}
        for name in _LATER_COLUMNS:
            if name not in columns:
                db.execute(f"alter table item add column {name} integer not null default 0")
        (verdict,) = db.execute("pragma quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict))
        for (value,) in db.execute("select value from meta where name in ('stored', 'last')"):
            int(value)
    except BaseException:
        db.close()
        raise
    return db


def _moved_aside(path: Path, now: datetime) -> Path:
    base = f"{path.name}.damaged-{now:%Y%m%dT%H%M%S}"
    number = 0
    while (path.with_name(kept := f"{base}-{number}" if number else base)).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(kept + suffix))
    return path.with_name(kept)


def _salvaged(kept: Path, reason: str) -> Salvage:
    observations: dict[int, Observation] = {}
    marks: dict[str, str] = {}
    with contextlib.closing(sqlite3.connect(kept, isolation_level=None)) as db:
        with contextlib.suppress(sqlite3.Error):
            # Otherwise SQLite reads nothing of a file that is shorter than it should be.
            db.execute("pragma writable_schema=on")
        # From both ends: a damaged page in the middle hides only what lies on it.
        for query in (
            "select seq, payload from item order by seq",
            "select seq, payload from item order by seq desc",
        ):
            for seq, payload in _readable(db, query):
                if seq in observations:
                    break
                with contextlib.suppress(codec.WireError, TypeError):
                    observations[seq] = codec.decode_envelope(bytes(payload)).observation
        for name, value in _readable(db, "select name, value from mark"):
            marks[str(name)] = str(value)
    return Salvage(reason, kept.name, [observations[seq] for seq in sorted(observations)], marks)


def _readable(db: sqlite3.Connection, query: str) -> Iterator[tuple[Any, Any]]:
    """Rows up to the first that can't be read."""
    with contextlib.suppress(sqlite3.Error, ValueError):
        yield from db.execute(query)
