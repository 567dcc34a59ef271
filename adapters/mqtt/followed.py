"""Which topics our session at the broker follows without a break, over deaths of ours and of the broker's.

The broker keeps the last word on a topic for whoever subscribes. Killed before it has saved, it comes back
with an older one: to a session that missed nothing, such a copy says nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import msgspec
from paho.mqtt.client import topic_matches_sub

from wire.outbox import Mark, Outbox


class Followed:
    """Patterns subscribed to before this connection and ever since; kept as a mark in the outbox."""

    def __init__(self, outbox: Outbox, client_id: str) -> None:
        self._outbox = outbox
        self._mark = f"followed|{client_id}"
        kept = outbox.marked(self._mark)
        self._before = set(msgspec.json.decode(kept, type=list[str])) if kept else set()
        self._now: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def connected(self, wanted: Iterable[str], *, session_kept: bool) -> None:
        """A connection stands. What it subscribes to is followed from the next one on, where not already."""
        with self._lock:
            wanted = frozenset(wanted)
            self._now = wanted & self._before if session_kept else frozenset()
            self._note(set(wanted))

    def forget(self, gone: Iterable[str]) -> None:
        """These aren't subscribed to any more."""
        with self._lock:
            self._now -= set(gone)
            self._note(self._before - set(gone))

    def covers(self, topic: str) -> bool:
        """Whether everything said on `topic` reaches us as it was said."""
        with self._lock:
            now = self._now
        return any(topic_matches_sub(pattern, topic) for pattern in now)

    def _note(self, patterns: set[str]) -> None:
        if patterns != self._before:
            self._before = patterns
            mark = Mark(self._mark, msgspec.json.encode(sorted(patterns)).decode())
            self._outbox.append((), (mark,))
