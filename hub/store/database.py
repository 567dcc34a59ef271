"""What the store asks of a database: a writer's session that nobody else has, readers' views, and the truth.

The only things that differ by database stand in `sqlite.py` and `postgresql.py`, behind this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import sqlalchemy as sa

REASON_LIMIT = 300


class StoreUnavailable(RuntimeError):
    """The store can't do it now: nothing of the transaction stands, and the caller may try again."""


class StoreTaken(StoreUnavailable):
    """Another process writes to this store, or has written to it behind our back."""


class InDoubt(StoreUnavailable):
    """The commit was sent and its answer never came: whether the transaction stands must be asked."""


class SchemaTooNew(StoreUnavailable):
    """A newer Jifang made this database: this one would not know what it does."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A transaction of the writer: the row of `commits` that stands exactly if the transaction does."""

    n: int = 0
    writer: str = ""


class Database(ABC):
    """One database. What it raises is `StoreUnavailable` with a reason in words, never with a secret."""

    reader: sa.Engine
    """Each transaction of it sees one consistent state and can't write."""

    @abstractmethod
    def claim(self, patience_s: float) -> None:
        """Makes sure that no other process writes; waits so long for one that ends. Raises `StoreTaken`."""

    @abstractmethod
    def migrate(self) -> None:
        """Brings the schema to the newest. Raises `SchemaTooNew`."""

    @abstractmethod
    def connect(self, *, guest: bool = False) -> sa.Connection:
        """A session to write with, outside any transaction; a guest's leaves the log to its owner."""

    @abstractmethod
    def begin(self, session: sa.Connection, mark: Mark | None) -> None:
        """Begins a transaction that leaves `mark`. `StoreTaken`: somebody was there first."""

    @abstractmethod
    def commit(self, session: sa.Connection) -> None:
        """Commits. `InDoubt` where no answer came; anything else it raises means: it doesn't stand."""

    @abstractmethod
    def rollback(self, session: sa.Connection) -> None:
        """Ends the transaction without a trace."""

    @abstractmethod
    def savepoint(self, session: sa.Connection) -> None:
        """Begins a part that can be undone by itself. They nest."""

    @abstractmethod
    def release(self, session: sa.Connection) -> None:
        """Ends the innermost part; it stays."""

    @abstractmethod
    def undo(self, session: sa.Connection) -> None:
        """Ends the innermost part; nothing of it stays."""

    @abstractmethod
    def ended(self, session: sa.Connection) -> bool:
        """Whether the transaction has ended by itself: connection lost, or rolled back by the database."""

    def spoilt(self, session: sa.Connection) -> bool:  # noqa: ARG002 - most databases go on after an error
        """Whether the transaction takes nothing more until a savepoint is undone."""
        return False

    @abstractmethod
    def interrupt(self, connection: sa.Connection) -> None:
        """Ends what a reader's connection is doing, from another thread."""

    @abstractmethod
    def at_fault(self, error: BaseException, *, writing: bool = True) -> bool:
        """Whether `error` is the database's own trouble: then it says nothing about what was asked of it."""

    def reason(self, error: BaseException) -> str:
        """`error` in one line that may be shown: no SQL, no values, no password."""
        original = getattr(error, "orig", None) or error
        lines = [line.strip() for line in str(original).splitlines() if line.strip()]
        told = " ".join(lines) or type(original).__name__
        return self.without_secrets(told)[:REASON_LIMIT]

    def without_secrets(self, text: str) -> str:
        """`text` without the database's password, should a driver ever quote it."""
        return text

    def growth(self) -> int:
        """Bytes that wait to be tidied away because readers still need them; 0 where none do."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Ends every connection and gives the claim back."""


def open_database(url: str) -> Database:
    """The database of a SQLAlchemy URL. Raises `ValueError` for one that we can't use."""
    parsed = sa.make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        from hub.store.sqlite import SQLite

        return SQLite(parsed)
    if backend == "postgresql":
        from hub.store.postgresql import PostgreSQL

        return PostgreSQL(parsed)
    raise ValueError(f"store url: {backend} is not supported; sqlite:///… or postgresql+psycopg://… are")
