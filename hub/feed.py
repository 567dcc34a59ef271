"""The live feed: every entry a person may see, in order, once, from a cursor on (docs/design/feed.md).

A commit is written to the consoles that are at the head, in one go and from one encoding. A console that is
behind reads at its own pace, from memory where the tail still has it, else from the log. Runs on one event
loop; `taken` may be called from the store's writer thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec
import structlog

from hub import metrics
from hub.domain.entry import Entry, EntryKind
from hub.domain.unit import Unit
from hub.screens import Screen, Screens
from hub.tail import TAIL_ENTRIES, Encoded, Frame, Places, Sight, Tail, View, encode
from wire.clock import Clock

log = structlog.get_logger(__name__)

BEAT_S = 5.0
EVERY_S = 1.0
"""Positions are sent, and what was missed is looked for."""
PAGE = 200
"""Entries read from the log at once."""
READERS = 2
"""Consoles that are read for at once; the others wait their turn."""
MOST_CONSOLES = 500
MOST_FOR_ONE_SESSION = 12
"""Tabs of one sign-in."""
BURST_BYTES = 256 * 1024
"""Events written to a console's socket in one go."""


class LogReader(Protocol):
    """What the feed needs of the log."""

    @property
    def head(self) -> int:
        """The last committed number."""
        ...

    def page(self, after: int, up_to: int, limit: int) -> Awaitable[list[Encoded]]:
        """Entries `after < seq <= up_to`, oldest first; a number that isn't there was pruned."""
        ...


class Pipe(Protocol):
    """The way to one console."""

    @property
    def ready(self) -> bool:
        """Whether what was written before has left, but for a little."""
        ...

    def write(self, events: bytes) -> None:
        """Takes bytes without waiting."""
        ...


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries `from_` to `to` can't be given to a console; it goes on after `to`."""

    from_: int
    to: int
    reason: str
    """`other_log`, `ahead`, `pruned`, `too_far`, `jurisdiction`"""

    def event(self) -> bytes:
        """As a server-sent event."""
        return event("gap", {"from": self.from_, "to": self.to, "reason": self.reason})


def event(name: str, data: object) -> bytes:
    """A server-sent event without an id."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))


@dataclass(slots=True, eq=False)
class Subscriber:
    """One console on the feed. Between calls, every entry up to `passed` that it may see was written to it
    or named in a gap, and nothing above."""

    view: View
    pipe: Pipe
    cursor: int
    """The last number it was sent, or the one it came with."""
    passed: int
    session: str = ""
    screen: Screen | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    begun: bool = False
    """Its answer has begun: it may be written to."""
    live: bool = False
    """It was at the head once: if it falls out of the tail now, it is too slow."""
    paged: deque[Encoded | Gap] = field(default_factory=deque)
    """Read from the log for it, not yet written: at most a page."""
    gap: Gap | None = None
    """To be told before anything else."""
    units: dict[str, Unit] = field(default_factory=dict)
    """Positions it couldn't be sent yet, the latest of each."""
    closed: bool = False
    """Signed out, or the hub is stopping."""

    def begin(self) -> None:
        """From here on it may be written to."""
        self.begun = True

    def close(self) -> None:
        """Has its stream end."""
        self.closed = True
        self.ready.set()

    def restart(self, gap: Gap) -> None:
        """What it has is no base any more: it is told, and goes on from the gap's end."""
        self.gap = gap
        self.paged.clear()
        self.ready.set()

    def hear(self, first: int, last: int, frame: Frame | None) -> int:
        """A commit `first` to `last`: written at once if it is the console's next. How many it was sent."""
        if self.passed >= last:
            return 0
        if not self._takes_at_once(first, frame):
            self.ready.set()
            return 0
        self.passed, self.live = last, True
        if frame is None:
            return 0
        self.pipe.write(frame.following(self.cursor))
        self.cursor = frame.last
        return frame.count

    def _takes_at_once(self, first: int, frame: Frame | None) -> bool:
        return (
            self.passed == first - 1
            and self.begun
            and self.gap is None
            and self.pipe.ready
            and (frame is None or len(frame.whole) <= BURST_BYTES)
        )

    def told(self) -> bytes:
        """The gap that is due."""
        gap, self.gap = self.gap, None
        return self._skip(gap) if gap is not None else b""

    def from_page(self) -> bytes:
        """The next burst of what was read for it."""
        parts: list[bytes] = []
        size = 0
        while self.paged and size < BURST_BYTES:
            one = self.paged.popleft()
            parts.append(self._skip(one) if isinstance(one, Gap) else self._send(one))
            size += len(parts[-1])
        return b"".join(parts)

    def from_tail(self, tail: Tail) -> bytes:
        """The next burst of what memory has for it."""
        parts: list[bytes] = []
        size = 0
        for one in tail.after(self.passed):
            parts.append(self._send(one))
            size += len(parts[-1])
            if size >= BURST_BYTES:
                break
        return b"".join(parts)

    def _send(self, one: Encoded) -> bytes:
        self.passed = one.seq
        if not self.view.sees(one):
            return b""
        made = one.event(self.cursor)
        self.cursor = one.seq
        metrics.FEED_SENT.inc()
        return made

    def _skip(self, gap: Gap) -> bytes:
        metrics.FEED_GAPS.labels(gap.reason).inc()
        self.passed = gap.to
        self.cursor = gap.to
        return gap.event()

    def take_units(self) -> bytes:
        """Positions that wait for it; empty: none."""
        units, self.units = self.units, {}
        return event("units", list(units.values())) if units else b""

    async def wait(self, at_most_s: float) -> None:
        """Until something waits to be sent, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(at_most_s, 0)):
                await self.ready.wait()
        self.ready.clear()


class Feed:
    """Fans committed entries out to consoles."""

    def __init__(
        self,
        reader: LogReader,
        clock: Clock,
        units: Callable[[], Iterable[Unit]],
        places: Places,
        *,
        tail: Tail | None = None,
        screens: Screens | None = None,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._units = units
        self._places = places
        self._tail = tail or Tail()
        self.screens = screens or Screens()
        self._views: dict[Sight, tuple[View, set[Subscriber]]] = {}
        self._subscribers: set[Subscriber] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: list[Sequence[Entry]] = []
        self._inbox_entries = 0
        self._inbox_lock = threading.Lock()
        self._committed = 0
        self._reading = asyncio.Semaphore(READERS)
        self._sent_units: dict[str, Unit] = {}
        self._seconds: asyncio.Task[None] | None = None
        self.troubles: Callable[[], Iterable[object]] = tuple
        """What is wrong with the hub itself: every beat says it, as the log may be what can't be written."""
        self.head = 0
        self.log = ""
        """Identity of this log: the first entry's hash."""

    def start(self, loop: asyncio.AbstractEventLoop, log_id: str) -> None:
        """Begins at the log's head; `taken` must already be told of commits."""
        self._loop = loop
        self.log = log_id
        self._start_over(max(self.head, self._reader.head))
        self._seconds = loop.create_task(self._run(), name="feed-seconds")

    async def stop(self) -> None:
        """Ends every console's stream and what runs by itself."""
        for subscriber in self._subscribers:
            subscriber.close()
        if self._seconds is not None:
            self._seconds.cancel()
            await asyncio.gather(self._seconds, return_exceptions=True)

    # What is committed

    def taken(self, entries: Sequence[Entry]) -> None:
        """The store's commit listener: hands over to the loop and returns."""
        if self._loop is None or self._loop.is_closed():
            return
        with self._inbox_lock:
            woken = bool(self._inbox)
            self._inbox.append(entries)
            self._inbox_entries += len(entries)
            if self._inbox_entries > TAIL_ENTRIES:
                # The loop can't follow. The log has them all, and the hole that this leaves is noticed.
                self._inbox = [entries]
                self._inbox_entries = len(entries)
        if not woken:
            self._loop.call_soon_threadsafe(self.fan_out)

    def fan_out(self) -> None:
        """Sends on what was committed since the last time. On the loop."""
        with self._inbox_lock:
            taken, self._inbox, self._inbox_entries = self._inbox, [], 0
        fresh = [entry for entries in taken for entry in entries if entry.seq > self.head]
        if not fresh:
            return
        if not self.log and fresh[0].seq == 1:
            self.log = fresh[0].hash[:16]
        if fresh[0].seq != self.head + 1:
            log.warning("commits were not announced; consoles read them", after=self.head, up_to=fresh[0].seq)
            self._start_over(fresh[0].seq - 1)
        self._count(fresh)
        self._refresh()
        batch = [encode(entry) for entry in fresh] if self._subscribers else []
        self.head = fresh[-1].seq
        metrics.LOG_HEAD.set(self.head)
        if not batch:
            self._tail.clear(self.head)
            return
        self._tail.extend(batch)
        self._send(batch)

    def _send(self, batch: Sequence[Encoded]) -> None:
        first, last, sent = batch[0].seq, batch[-1].seq, 0
        for view, subscribers in self._views.values():
            frame = view.frame(batch)
            for subscriber in subscribers:
                try:
                    sent += subscriber.hear(first, last, frame)
                except Exception:  # supervision: a console whose socket trips holds no other back
                    log.exception("a console could not be written to", session=subscriber.session)
                    subscriber.close()
        metrics.FEED_SENT.inc(sent)

    def _start_over(self, head: int) -> None:
        """Memory holds nothing up to `head`: whoever is behind reads the log, and isn't slow for that."""
        self.head = head
        self._tail.clear(head)
        metrics.LOG_HEAD.set(head)
        for subscriber in self._subscribers:
            subscriber.live = False
            subscriber.ready.set()

    def _count(self, fresh: Sequence[Entry]) -> None:
        metrics.COMMIT_GROUP.observe(len(fresh))
        now = self._clock()
        for at in {entry.at for entry in fresh}:
            metrics.FEED_LATENCY.observe(max(0.0, (now - at).total_seconds()))
        for kind, count in Counter(entry.kind for entry in fresh).items():
            metrics.ENTRIES.labels(kind.value).inc(count)
        seen = Counter(_observation_kind(entry) for entry in fresh if entry.kind is EntryKind.OBSERVATION)
        for name, count in seen.items():
            metrics.OBSERVATIONS.labels(name).inc(count)

    def _refresh(self) -> None:
        """Follows the tree of places: a jurisdiction that changed needs a new snapshot."""
        for view, subscribers in self._views.values():
            if view.refresh():
                for subscriber in subscribers:
                    subscriber.restart(Gap(1, self.head, "jurisdiction"))

    # Consoles

    def has_room(self, session: str) -> bool:
        """Whether one more may come, and one more of this session."""
        mine = sum(1 for one in self._subscribers if one.session == session)
        return len(self._subscribers) < MOST_CONSOLES and mine < MOST_FOR_ONE_SESSION

    def subscribe(
        self,
        sight: Sight,
        pipe: Pipe,
        after: int | None,
        *,
        log_id: str = "",
        at_most: int | None = None,
        session: str = "",
        screen: Screen | None = None,
    ) -> Subscriber:
        """A new console at cursor `after` (None: now) of log `log_id`; it is written to once it has begun.

        `at_most`: if more entries than this have come since, it wants a gap instead of them.
        """
        if sight not in self._views:
            self._views[sight] = (View(sight, self._places), set())
            self._views[sight][0].refresh()
        view, others = self._views[sight]
        start = self.head if after is None else after
        subscriber = Subscriber(view, pipe, start, start, session=session, screen=screen)
        subscriber.gap = None if after is None else self._gap(after, log_id, at_most)
        subscriber.live = subscriber.gap is None and start >= self.head
        if sight.units:
            subscriber.units = {one.id: one for one in self._units() if view.sees_place(one.place)}
        others.add(subscriber)
        self._subscribers.add(subscriber)
        metrics.FEED_SUBSCRIBERS.set(len(self._subscribers))
        return subscriber

    def _gap(self, after: int, log_id: str, at_most: int | None) -> Gap | None:
        """What a console with this cursor can't be given; what was pruned shows when it is read."""
        if log_id and self.log and log_id != self.log:
            return Gap(1, self.head, "other_log")
        if after > max(self.head, self._reader.head):
            return Gap(1, self.head, "ahead")
        if at_most is not None and self.head - after > at_most:
            return Gap(after + 1, self.head, "too_far")
        return None

    def end_of(self, session: str) -> None:
        """The sign-in is over."""
        for subscriber in self._subscribers:
            if subscriber.session == session:
                subscriber.close()

    def painted(self, session: str, tab: str, seq: int) -> None:
        """A console has painted its screen after entry `seq`. On the loop."""
        now = asyncio.get_running_loop().time()
        for subscriber in self._subscribers:
            screen = subscriber.screen
            if screen is not None and screen.session == session and screen.tab == tab:
                screen.paint(seq, now)

    def leave(self, subscriber: Subscriber) -> None:
        """The console is gone."""
        self._subscribers.discard(subscriber)
        sight = subscriber.view.sight
        _, others = self._views[sight]
        others.discard(subscriber)
        if not others:
            del self._views[sight]
        metrics.FEED_SUBSCRIBERS.set(len(self._subscribers))

    def is_too_slow(self, subscriber: Subscriber) -> bool:
        """Whether it was at the head once and memory has lost what it needs next."""
        return subscriber.live and subscriber.gap is None and subscriber.passed + 1 < self._tail.first

    def is_behind(self, subscriber: Subscriber) -> bool:
        """Whether something waits for it."""
        return subscriber.gap is not None or bool(subscriber.paged) or subscriber.passed < self.head

    async def burst(self, subscriber: Subscriber) -> bytes:
        """The next events for a console that is behind; may be empty where it may see none of them."""
        if subscriber.gap is None and not subscriber.paged and subscriber.passed + 1 < self._tail.first:
            await self._read(subscriber)
        if gap := subscriber.told():
            return gap
        made = subscriber.from_page() if subscriber.paged else self._remembered(subscriber)
        if not subscriber.paged and subscriber.passed >= self.head:
            subscriber.live = True
        return made

    def _remembered(self, subscriber: Subscriber) -> bytes:
        if subscriber.passed + 1 < self._tail.first:
            return b""
        return subscriber.from_tail(self._tail)

    async def _read(self, subscriber: Subscriber) -> None:
        """Reads a page of the log for it, at a pace that leaves the consoles at the head their time."""
        async with self._reading:
            loop = asyncio.get_running_loop()
            began, after, up_to = loop.time(), subscriber.passed, self.head
            page = await self._reader.page(after, up_to, PAGE)
            if subscriber.gap is None:
                subscriber.paged.extend(_with_holes(page, after, up_to, full=len(page) == PAGE))
            if up_to - after > PAGE and len(self._subscribers) > 1:
                await asyncio.sleep(loop.time() - began)

    def beat(self, subscriber: Subscriber, now: datetime) -> bytes:
        """The heartbeat of one console."""
        return event(
            "beat",
            {
                "head": subscriber.cursor,
                "log_head": self.head,
                "log": self.log,
                "server_now": now,
                "troubles": list(self.troubles()),
            },
        )

    # What a second brings

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                self.second(loop.time())
            except Exception:  # supervision: what trips a second must not stop the next
                log.exception("a second of the feed failed")

    def second(self, now: float) -> None:
        """Sends positions, looks for commits that nobody announced, and for consoles that draw nothing.

        `now`: monotonic seconds.
        """
        self._look_for_missed()
        self._refresh()
        if self._subscribers:
            self._offer_units({unit.id: unit for unit in self._units()})
        self.screens.look(
            [(one.screen, one.cursor) for one in self._subscribers if one.screen is not None], now
        )

    def _look_for_missed(self) -> None:
        """A listener that failed: the log is further than we were told, since a second ago."""
        if self._committed > self.head and not self._inbox:
            log.warning("commits were not announced; consoles read them", after=self.head)
            self._start_over(self._committed)
        self._committed = self._reader.head

    def _offer_units(self, current: dict[str, Unit]) -> None:
        changed = [unit for name, unit in current.items() if self._sent_units.get(name) != unit]
        self._sent_units = current
        for view, subscribers in self._views.values() if changed else ():
            seen = {one.id: one for one in changed if view.sees_place(one.place)} if view.sight.units else {}
            made = event("units", list(seen.values())) if seen else b""
            for subscriber in subscribers if seen else ():
                if subscriber.begun and subscriber.pipe.ready and not self._waits(subscriber):
                    subscriber.pipe.write(made)
                else:
                    subscriber.units.update(seen)
                    subscriber.ready.set()

    def _waits(self, subscriber: Subscriber) -> bool:
        return bool(subscriber.units) or self.is_behind(subscriber)


def _with_holes(page: Sequence[Encoded], after: int, up_to: int, *, full: bool) -> list[Encoded | Gap]:
    """What was read, with the numbers that retention has deleted named where they are missing."""
    found: list[Encoded | Gap] = []
    for one in page:
        if one.seq != after + 1:
            found.append(Gap(after + 1, one.seq - 1, "pruned"))
        found.append(one)
        after = one.seq
    if not full and after < up_to:
        found.append(Gap(after + 1, up_to, "pruned"))
    return found


def _observation_kind(entry: Entry) -> str:
    body = entry.body.get("body")
    return str(body.get("type", "unknown")) if isinstance(body, dict) else "unknown"
