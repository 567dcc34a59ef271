"""Readers beside the writer: each on one consistent state, none able to hold the database back for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hub.store.database import Database, StoreUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")
Query: TypeAlias = Callable[[sa.Connection], T]

_PAUSE_S = 1.0
"""After a database could not be reached, so long nobody waits for it again: they are told at once."""
GROWN_BYTES = 512 << 20
"""With so much waiting to be tidied away, a read that is old is ended."""
OLD_READ_S = 60.0


class Readers:
    """Runs queries; one that meets a stale connection is run again on a fresh one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._reading: dict[int, tuple[float, sa.Connection]] = {}
        self._not_before = 0.0
        self._reason = ""

    def query(self, query: Query[T]) -> T:
        """Raises what `query` raised, or `StoreUnavailable` where that was the database's own trouble."""
        if time.monotonic() < self._not_before:
            raise StoreUnavailable(self._reason)
        try:
            return self._once(query)
        except SQLAlchemyError as error:
            if not self._database.at_fault(error, writing=False):
                raise
            if not (isinstance(error, DBAPIError) and error.connection_invalidated):
                raise self._unavailable(error) from error
        try:
            return self._once(query)
        except SQLAlchemyError as error:
            if not self._database.at_fault(error, writing=False):
                raise
            raise self._unavailable(error) from error

    def oldest_s(self) -> float:
        """Age of the oldest read that goes on, seconds."""
        with self._lock:
            return max((time.monotonic() - since for since, _ in self._reading.values()), default=0.0)

    def end_old(self) -> int:
        """Where too much waits to be tidied away, ends reads that are old; how many."""
        grown = self._database.growth()
        if grown < GROWN_BYTES:
            return 0
        with self._lock:
            now = time.monotonic()
            old = [one for since, one in self._reading.values() if now - since > OLD_READ_S]
            for connection in old:
                self._database.interrupt(connection)
        if old:
            log.warning("ended old reads that kept the log from being tidied", reads=len(old), bytes=grown)
        return len(old)

    def _once(self, query: Query[T]) -> T:
        with self._database.reader.connect() as connection, connection.begin():
            key = id(connection)
            with self._lock:
                self._reading[key] = time.monotonic(), connection
            try:
                return query(connection)
            finally:
                with self._lock:
                    del self._reading[key]

    def _unavailable(self, error: SQLAlchemyError) -> StoreUnavailable:
        self._reason = self._database.reason(error)
        if isinstance(error, DBAPIError) and error.statement is None:  # it could not even connect
            self._not_before = time.monotonic() + _PAUSE_S
        return StoreUnavailable(self._reason)
