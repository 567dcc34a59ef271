"""Jobs that must be done though nobody waits for them: tried again once the store can store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from hub.store.engine import Job, Store, StoreUnavailable


class Insisting(Protocol):
    """Takes a job and answers for it."""

    def __call__(self, job: Job[Any]) -> None:
        """Has `job` done, now or when the store is back. Not kept over a restart."""
        ...


class Insistence:
    """What the store couldn't take, in order. `again` is called whenever a commit has succeeded."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._left: list[Job[Any]] = []

    def __call__(self, job: Job[Any]) -> None:
        """Has `job` done, now or when the store is back."""
        self._store.enqueue(job).add_done_callback(self._watching(job))

    @property
    def waiting(self) -> int:
        """How many jobs the store has yet to take."""
        return len(self._left)

    def again(self) -> None:
        """Tries what is left."""
        with self._lock:
            left, self._left = self._left, []
        for job in left:
            self(job)

    def _watching(self, job: Job[Any]) -> Callable[[Future[Any]], None]:
        def done(future: Future[Any]) -> None:
            if isinstance(future.exception(), StoreUnavailable):
                with self._lock:
                    self._left.append(job)

        return done
