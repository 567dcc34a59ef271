"""The newest entries of the log, encoded once for all consoles, and what each view sees of a commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from hub.domain.entry import Entry, EntryKind

TAIL_ENTRIES = 20_000
"""Kept in memory for all consoles together; who falls further behind is told to resume from the log."""
TAIL_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Encoded:
    """An entry, encoded once for all consoles but for its `prev`."""

    seq: int
    kind: EntryKind
    place: str
    rest: bytes
    """The JSON after `{"seq":…,"prev":…,`."""

    def event(self, prev: int) -> bytes:
        """As a server-sent event."""
        return b'event: entry\nid: %d\ndata: {"seq":%d,"prev":%d,%b\n\n' % (
            self.seq,
            self.seq,
            prev,
            self.rest,
        )


def encode(entry: Entry) -> Encoded:
    """An entry ready for any console."""
    body = msgspec.Raw(msgspec.json.encode(entry.body))
    return encode_stored(
        entry.seq, entry.at, entry.kind, entry.subject, entry.place, entry.actor, entry.late, body
    )


def encode_stored(
    seq: int,
    at: datetime,
    kind: EntryKind,
    subject: str,
    place: str,
    actor: str,
    late: bool,
    body: msgspec.Raw,
) -> Encoded:
    """As `encode`, of columns; `body` is JSON already and isn't parsed."""
    rest = msgspec.json.encode(
        {
            "at": at,
            "kind": kind,
            "subject": subject,
            "place": place,
            "actor": actor,
            "late": late,
            "body": body,
        }
    )
    return Encoded(seq, kind, place, rest[1:])


class Tail:
    """The end of the log in memory: no hole in its numbers, bounded in entries and bytes."""

    def __init__(self, most: int = TAIL_ENTRIES, most_bytes: int = TAIL_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._items: list[Encoded] = []
        self._start = 0
        self._bytes = 0
        self._next = 1

    @property
    def first(self) -> int:
        """Number of the first entry held; one past the head where none is."""
        return self._items[self._start].seq if self._start < len(self._items) else self._next

    def clear(self, head: int) -> None:
        """Holds nothing, and goes on after `head`."""
        self._items, self._start, self._bytes, self._next = [], 0, 0, head + 1

    def extend(self, batch: Sequence[Encoded]) -> None:
        """Takes the entries that follow the head, and lets the oldest go."""
        self._items += batch
        self._bytes += sum(len(one.rest) for one in batch)
        self._next = batch[-1].seq + 1
        while self._start < len(self._items) and self._is_over():
            self._bytes -= len(self._items[self._start].rest)
            self._start += 1
        if self._start > self._most // 2:
            del self._items[: self._start]
            self._start = 0

    def _is_over(self) -> bool:
        return len(self._items) - self._start > self._most or self._bytes > self._most_bytes

    def after(self, seq: int) -> Iterator[Encoded]:
        """Entries after `seq`, which must not lie before what is held."""
        at = self._start + seq + 1 - self.first
        while at < len(self._items):
            yield self._items[at]
            at += 1


@dataclass(frozen=True, slots=True)
class Sight:
    """What a person is sent. Consoles of equal sight share a view, and the bytes of it."""

    kinds: frozenset[EntryKind]
    place: str
    """Root of the jurisdiction; empty: everywhere."""
    units: bool
    """Whether positions are for them."""


class Places(Protocol):
    """What views need of the registers: the tree of places."""

    @property
    def version(self) -> int:
        """Changes with every change of the registers."""
        ...

    def ids(self) -> Iterable[str]:
        """Every place."""
        ...

    def covers(self, root: str, place: str) -> bool:
        """Whether a person of `root` may see things at `place`."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """What a view sees of one commit, as bytes for all its consoles."""

    prev: int
    """The entry before it in this view; a console whose cursor is another gets its first event made anew."""
    head: Encoded
    last: int
    count: int
    whole: bytes
    rest: bytes
    """`whole` without its first event."""

    def following(self, cursor: int) -> bytes:
        """The bytes for a console at `cursor`."""
        return self.whole if cursor == self.prev else self.head.event(cursor) + self.rest


@dataclass(slots=True)
class View:
    """What all persons of one sight see."""

    sight: Sight
    places: Places
    last: int = 0
    """The last entry it saw of the live commits."""
    _version: int = -1
    _covered: frozenset[str] = frozenset()
    _known: dict[str, bool] = field(default_factory=dict)

    def sees(self, one: Encoded) -> bool:
        """Whether the entry is for them. The state of our own parts concerns everyone."""
        if one.kind not in self.sight.kinds:
            return False
        return one.kind is EntryKind.HUB or self.sees_place(one.place)

    def sees_place(self, place: str) -> bool:
        """Whether things at `place` are for them."""
        known = self._known.get(place)
        if known is None:
            known = self._known[place] = self.places.covers(self.sight.place, place)
        return known

    def refresh(self) -> bool:
        """Follows the tree of places; True where its jurisdiction has become another since the last time."""
        if self._version == self.places.version:
            return False
        first = self._version == -1
        self._version = self.places.version
        self._known = {}
        covered = frozenset(place for place in self.places.ids() if self.sees_place(place))
        changed = covered != self._covered and not first
        self._covered = covered
        return changed

    def frame(self, batch: Iterable[Encoded]) -> Frame | None:
        """What it sees of a commit; None: nothing."""
        seen = [one for one in batch if self.sees(one)]
        if not seen:
            return None
        prev, parts = self.last, []
        for one in seen:
            parts.append(one.event(self.last))
            self.last = one.seq
        rest = b"".join(parts[1:])
        return Frame(prev, seen[0], self.last, len(seen), parts[0] + rest, rest)
