"""A feed without sockets: a log in a list, consoles that check every event as they take it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from hub.domain.entry import Entry, EntryKind
from hub.domain.unit import Unit
from hub.feed import Feed, Subscriber
from hub.tail import Encoded, Sight, Tail, encode
from wire.clock import utc_now

LOG = "0123456789abcdef"
EVERYTHING = frozenset(EntryKind)
ALL = Sight(EVERYTHING, "", units=False)


def entry(seq: int, place: str = "a", kind: EntryKind = EntryKind.REGISTER, filler: int = 0) -> Entry:
    """Some entry."""
    at = datetime(2026, 11, 21, tzinfo=UTC)
    body = {"filler": "x" * filler}
    return Entry(seq=seq, at=at, kind=kind, subject="test:1", place=place, body=body, hash=LOG * 4)


@dataclass
class Tree:
    """Places under roots; `""` covers everything."""

    under: dict[str, str] = field(default_factory=lambda: {"a": "x", "b": "x", "c": "y"})
    version: int = 1

    def ids(self) -> Iterable[str]:
        """Every place."""
        return list(self.under)

    def covers(self, root: str, place: str) -> bool:
        """As the hub's registers and its decision point say."""
        return not root or root == place or self.under.get(place) == root

    def move(self, place: str, root: str) -> None:
        """A place comes under another root."""
        self.under[place] = root
        self.version += 1


class ListLog:
    """The log as the feed reads it. `during` runs while a page is being read."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.head = 0
        self.during: Callable[[], object] | None = None
        self.broken = False

    def add(self, made: Iterable[Entry]) -> None:
        """Commits."""
        for one in made:
            self.entries[one.seq] = one
            self.head = one.seq

    def prune(self, first: int, last: int) -> None:
        """Retention."""
        for seq in range(first, last + 1):
            self.entries.pop(seq, None)

    async def page(self, after: int, up_to: int, limit: int) -> list[Encoded]:
        """As `hub.feed.LogReader`."""
        if self.broken:
            raise OSError("the log can't be read")
        present = (self.entries[seq] for seq in range(after + 1, up_to + 1) if seq in self.entries)
        found = [encode(one) for one in islice(present, limit)]
        await asyncio.sleep(0)
        if self.during is not None:
            during, self.during = self.during, None
            during()
            await asyncio.sleep(0)
        return found


class Socket:
    """What a console is written to; not `ready` while it doesn't read."""

    def __init__(self, heard: Callable[[str, Any], None]) -> None:
        self.ready = True
        self.fails = False
        self.raw = bytearray()
        self._heard = heard

    def write(self, events: bytes) -> None:
        """Hands each event on at once."""
        if self.fails:
            raise RuntimeError("the handler is closed")
        assert self.ready, "written to while it doesn't read: that is held in memory for it"
        self.raw += events
        for one in events.split(b"\n\n")[:-1]:
            fields = dict(line.split(b": ", 1) for line in one.split(b"\n"))
            self._heard(fields[b"event"].decode(), json.loads(fields[b"data"]))


class Console:
    """Follows one stream and asserts that nothing is missing from it, doubled, or out of order."""

    def __init__(self, world: World, sight: Sight, after: int | None, **more: Any) -> None:
        self.world, self.sight = world, sight
        self.socket = Socket(self.hear)
        self.at = world.feed.head if after is None else after
        self.seqs: list[int] = []
        self.gaps: list[tuple[int, int, str]] = []
        self.resumed = 0
        self.subscriber: Subscriber = world.feed.subscribe(sight, self.socket, after, **more)
        self.subscriber.begin()

    def sees(self, seq: int) -> bool:
        """Whether it may see an entry that was committed."""
        kind, place = self.world.told[seq]
        if kind not in self.sight.kinds:
            return False
        return kind is EntryKind.HUB or self.world.tree.covers(self.sight.place, place)

    def missed(self, up_to: int) -> list[int]:
        """Entries after its cursor that it may see and hasn't got."""
        return [seq for seq in range(self.at + 1, up_to + 1) if self.sees(seq)]

    def hear(self, name: str, data: Any) -> None:
        """One event."""
        if name == "entry":
            assert data["prev"] == self.at, "prev is what it was sent before"
            assert data["seq"] > self.at, "numbers rise"
            assert self.sees(data["seq"]), "nothing of another jurisdiction"
            assert self.missed(data["seq"] - 1) == [], "nothing passed over"
            assert data["place"] == self.world.told[data["seq"]][1]
            self.seqs.append(data["seq"])
            self.at = data["seq"]
        elif name == "gap":
            assert self.missed(data["from"] - 1) == [], "the gap names all that is missing"
            assert data["to"] <= self.world.log.head
            self.gaps.append((data["from"], data["to"], data["reason"]))
            self.at = data["to"]
        elif name == "beat":
            assert data["head"] == self.at

    def step(self) -> bool:
        """What the stream's task does when it is awake; False: nothing is left to do."""
        feed, subscriber = self.world.feed, self.subscriber
        if not self.socket.ready or subscriber.closed:
            return False
        if feed.is_too_slow(subscriber):
            self.resume()
            return True
        if not feed.is_behind(subscriber):
            return False
        self.socket.write(self.world.run(feed.burst(subscriber)))
        return True

    def resume(self) -> None:
        """It was told to: the stream ends, and it comes again with what it has."""
        self.resumed += 1
        self.world.feed.leave(self.subscriber)
        self.subscriber = self.world.feed.subscribe(self.sight, self.socket, self.at, log_id=LOG)
        self.subscriber.begin()

    def catch_up(self) -> None:
        """Steps until it is at the head."""
        for _ in range(10_000):
            if not self.step():
                return
        raise AssertionError("it never catches up")


class World:
    """A feed over a list, on a loop that runs only when asked."""

    def __init__(self, *, tail: Tail | None = None, units: Callable[[], Iterable[Unit]] = list) -> None:
        self.loop = asyncio.new_event_loop()
        self.log = ListLog()
        self.tree = Tree()
        self.told: dict[int, tuple[EntryKind, str]] = {}
        """Kind and place of every entry that ever was, pruned or not."""
        self.feed = Feed(self.log, utc_now, units, self.tree, tail=tail)
        self.run(self._start())

    async def _start(self) -> None:
        self.feed.start(asyncio.get_running_loop(), LOG)

    def run(self, awaitable: Any) -> Any:
        """Runs it to its end, and what is due besides."""
        return self.loop.run_until_complete(awaitable)

    def turn(self) -> None:
        """Lets what is due happen."""
        self.run(asyncio.sleep(0))
        self.run(asyncio.sleep(0))

    def commit(
        self, *places: str, kind: EntryKind = EntryKind.REGISTER, filler: int = 0, tell: bool = True
    ) -> None:
        """One commit with an entry for each place."""
        made = [entry(self.log.head + 1 + number, place, kind, filler) for number, place in enumerate(places)]
        self.told |= {one.seq: (one.kind, one.place) for one in made}
        self.log.add(made)
        if tell:
            self.feed.taken(made)

    def close(self) -> None:
        """Ends the feed and its loop."""
        self.run(self.feed.stop())
        self.loop.close()
