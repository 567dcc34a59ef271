"""The live feed: every entry a person may see, in order, once, from a cursor on (docs/design/feed.md).

Entries up to the number at which a console arrived come from the log, later ones from memory; the two meet
at that number, so nothing is lost or doubled between them. Runs on one event loop; `taken` may be called
from the store's writer thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

import msgspec
import structlog

from hub import metrics
from hub.domain.entry import Entry, EntryKind
from hub.domain.unit import Unit
from wire.clock import Clock

log = structlog.get_logger(__name__)

BEAT_S = 5.0
UNITS_S = 1.0
QUEUE_ENTRIES = 5000
"""Waiting for one console; beyond it, that console is told to resume from the log."""
QUEUE_BYTES = 8 * 1024 * 1024
PAGE = 500
"""Entries read from the log at once."""
MOST_CONSOLES = 500
MOST_FOR_ONE_SESSION = 12
"""Tabs of one sign-in."""
BURST_BYTES = 256 * 1024
"""Entries written to a console's socket in one go."""

Sees: TypeAlias = Callable[[Entry], bool]


class LogReader(Protocol):
    """What the feed needs of the log."""

    @property
    def head(self) -> int: ...
    def between(self, after: int, up_to: int, limit: int) -> Awaitable[list[Entry]]:
        """Entries `after < seq <= up_to`, oldest first."""
        ...

    def oldest(self) -> Awaitable[int]:
        """Number of the oldest entry still kept; 1 in an empty log."""
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """An entry, encoded once for all consoles but for its `prev`."""

    entry: Entry
    rest: bytes
    """The JSON after `{"seq":…,"prev":…`."""

    def event(self, prev: int) -> bytes:
        """As a server-sent event."""
        seq = self.entry.seq
        return b'event: entry\nid: %d\ndata: {"seq":%d,"prev":%d,%b\n\n' % (seq, seq, prev, self.rest)


def encode(entry: Entry) -> Encoded:
    """An entry ready for any console."""
    rest = msgspec.json.encode(
        {
            "at": entry.at,
            "kind": entry.kind,
            "subject": entry.subject,
            "place": entry.place,
            "actor": entry.actor,
            "late": entry.late,
            "body": entry.body,
        }
    )
    return Encoded(entry, rest[1:])


def event(name: str, data: object) -> bytes:
    """A server-sent event without an id."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries `from_` to `to` can't be given to a console; it goes on after `to`."""

    from_: int
    to: int
    reason: str
    """`other_log`, `ahead`, `pruned`"""


@dataclass(slots=True, eq=False)
class Subscriber:
    """One console on the feed. `cursor` is the last number it was sent, or the one it came with."""

    sees: Sees
    sees_place: Callable[[str], bool]
    wants_units: bool
    cursor: int
    boundary: int
    """Up to here from the log, above from the queue."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: deque[Encoded] = field(default_factory=deque)
    waiting_bytes: int = 0
    overflowed: bool = False
    passed: int = 0
    """How far the log was read for it, sent or not."""
    console: str = ""
    """Session it belongs to."""
    units: dict[str, Unit] = field(default_factory=dict)
    """Positions that changed since it was last sent some."""
    closed: bool = False
    """The hub is stopping."""

    def offer(self, batch: Sequence[Encoded]) -> None:
        """Takes what it may see of a batch, as far as there is room."""
        for one in batch:
            if self.overflowed or one.entry.seq <= self.boundary or not self.sees(one.entry):
                continue
            self.waiting.append(one)
            self.waiting_bytes += len(one.rest)
        if len(self.waiting) > QUEUE_ENTRIES or self.waiting_bytes > QUEUE_BYTES:
            self._drop()
        self.ready.set()

    def _drop(self) -> None:
        self.waiting.clear()
        self.waiting_bytes = 0
        self.overflowed = True

    def take(self) -> bytes:
        """The next burst of events from the queue; empty: nothing waits."""
        parts: list[bytes] = []
        size = 0
        while self.waiting and size < BURST_BYTES:
            one = self.waiting.popleft()
            self.waiting_bytes -= len(one.rest)
            parts.append(self.send(one))
            size += len(parts[-1])
        return b"".join(parts)

    async def wait(self, at_most_s: float) -> None:
        """Until something waits to be sent, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(at_most_s, 0)):
                await self.ready.wait()
        self.ready.clear()

    def send(self, one: Encoded) -> bytes:
        """One entry as an event; moves the cursor."""
        made = one.event(self.cursor)
        self.cursor = one.entry.seq
        metrics.FEED_SENT.inc()
        return made


class Feed:
    """Fans committed entries out to consoles."""

    def __init__(self, reader: LogReader, clock: Clock, units: Callable[[], Iterable[Unit]]) -> None:
        self._reader = reader
        self._clock = clock
        self._units = units
        self._subscribers: set[Subscriber] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sent_units: dict[str, Unit] = {}
        self._positions: asyncio.Task[None] | None = None
        self.head = 0
        self.log = ""
        """Identity of this log: the first entry's hash."""

    def start(self, loop: asyncio.AbstractEventLoop, log_id: str) -> None:
        """Begins at the log's head; `taken` must already be told of commits."""
        self._loop = loop
        self.log = log_id
        self.head = max(self.head, self._reader.head)
        metrics.LOG_HEAD.set(self.head)
        self._positions = loop.create_task(self._send_units(), name="feed-units")

    async def stop(self) -> None:
        """Ends every console's stream and what runs by itself."""
        for subscriber in self._subscribers:
            subscriber.closed = True
            subscriber.ready.set()
        if self._positions is not None:
            self._positions.cancel()
            await asyncio.gather(self._positions, return_exceptions=True)

    def taken(self, entries: Sequence[Entry]) -> None:
        """The store's commit listener: hands over to the loop and returns."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._fan_out, entries)

    def _fan_out(self, entries: Sequence[Entry]) -> None:
        fresh = [entry for entry in entries if entry.seq > self.head]
        if not fresh:
            return
        if not self.log and fresh[0].seq == 1:
            self.log = fresh[0].hash[:16]
        self.head = fresh[-1].seq
        self._count(fresh)
        if self._subscribers:
            batch = [encode(entry) for entry in fresh]
            for subscriber in self._subscribers:
                subscriber.offer(batch)

    def _count(self, fresh: Sequence[Entry]) -> None:
        metrics.LOG_HEAD.set(self.head)
        metrics.COMMIT_GROUP.observe(len(fresh))
        now = self._clock()
        for entry in fresh:
            metrics.ENTRIES.labels(entry.kind.value).inc()
            metrics.FEED_LATENCY.observe(max(0.0, (now - entry.at).total_seconds()))
            if entry.kind is EntryKind.OBSERVATION:
                metrics.OBSERVATIONS.labels(_observation_kind(entry)).inc()

    def has_room(self, console: str) -> bool:
        """Whether one more may come, and one more of this session."""
        mine = sum(1 for one in self._subscribers if one.console == console)
        return len(self._subscribers) < MOST_CONSOLES and mine < MOST_FOR_ONE_SESSION

    def subscribe(
        self,
        sees: Sees,
        sees_place: Callable[[str], bool],
        after: int,
        *,
        console: str = "",
        wants_units: bool = True,
    ) -> Subscriber:
        """A new console; from now on it is told of every commit."""
        subscriber = Subscriber(
            sees, sees_place, wants_units, cursor=after, boundary=self.head, passed=after, console=console
        )
        self._subscribers.add(subscriber)
        metrics.FEED_SUBSCRIBERS.set(len(self._subscribers))
        return subscriber

    def end_of(self, console: str) -> None:
        """The console's sign-in is over."""
        for subscriber in self._subscribers:
            if subscriber.console == console:
                subscriber.closed = True
                subscriber.ready.set()

    def leave(self, subscriber: Subscriber) -> None:
        """The console is gone."""
        self._subscribers.discard(subscriber)
        metrics.FEED_SUBSCRIBERS.set(len(self._subscribers))

    async def gap(self, after: int | None, log_id: str) -> Gap | None:
        """What a console with this cursor can't be given."""
        if after is None:
            return None
        if log_id and self.log and log_id != self.log:
            return Gap(1, self.head, "other_log")
        if after > self.head:
            return Gap(1, self.head, "ahead")
        oldest = await self._reader.oldest()
        if after < oldest - 1:
            return Gap(after + 1, oldest - 1, "pruned")
        return None

    async def replay(self, subscriber: Subscriber) -> bytes:
        """The next burst from the log; empty: the log is caught up and the queue goes on from here."""
        while subscriber.passed < subscriber.boundary:
            entries = await self._reader.between(subscriber.passed, subscriber.boundary, PAGE)
            if not entries:
                subscriber.passed = subscriber.boundary
                break
            subscriber.passed = entries[-1].seq
            parts = [subscriber.send(encode(entry)) for entry in entries if subscriber.sees(entry)]
            self._extend_replay(subscriber)
            if parts:
                return b"".join(parts)
        return b""

    def _extend_replay(self, subscriber: Subscriber) -> None:
        """Too much arrived during a long replay: the log has it all, so it goes on a little further."""
        if subscriber.overflowed:
            subscriber.overflowed = False
            subscriber.boundary = self.head

    def beat(self, subscriber: Subscriber, now: datetime) -> bytes:
        """The heartbeat of one console."""
        return event(
            "beat", {"head": subscriber.cursor, "log_head": self.head, "log": self.log, "server_now": now}
        )

    async def _send_units(self) -> None:
        while True:
            await asyncio.sleep(UNITS_S)
            if self._subscribers:
                self._offer_units({unit.id: unit for unit in self._units()})

    def _offer_units(self, current: dict[str, Unit]) -> None:
        changed = {name: unit for name, unit in current.items() if self._sent_units.get(name) != unit}
        self._sent_units = current
        for subscriber in self._subscribers if changed else ():
            seen = {name: unit for name, unit in changed.items() if subscriber.sees_place(unit.place)}
            if seen and subscriber.wants_units:
                subscriber.units.update(seen)
                subscriber.ready.set()

    def take_units(self, subscriber: Subscriber) -> bytes:
        """Latest positions that changed since it was last sent some; empty: none."""
        units, subscriber.units = subscriber.units, {}
        return event("units", list(units.values())) if units else b""


def _observation_kind(entry: Entry) -> str:
    body = entry.body.get("body")
    return str(body.get("type", "unknown")) if isinstance(body, dict) else "unknown"
