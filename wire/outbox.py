"""A sender's own spool: what it has taken from the field, durable until intake says it is stored.

A listener acknowledges its device only after `append` has resolved; the courier then sends, and sends again
what intake doesn't confirm. Bounded: when full, stills go first, oldest first; after that new observations
are refused, so that the device keeps them, alarms last. What had to be given up is told as a `Loss`.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from wire import codec, spoolfile
from wire.clock import Clock, utc_now
from wire.observations import Loss, Motion, Observation, PointState, Urgency, urgency_of
from wire.spans import Span, Spans

log = structlog.get_logger(__name__)

FULL = "outbox_full"
ALARM_RESERVE = 16
"""The last sixteenth of the limit is for alarms alone."""
MAX_TOLD_SPANS = 200
STILLS_AT_ONCE = 50


class OutboxFull(RuntimeError):
    """The spool is at its limit; the device must keep its message and send it again."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A fact committed together with observations, e.g. which MQTT packet they came from."""

    name: str
    value: str


@dataclass(slots=True)
class _Append:
    observations: Sequence[Observation]
    marks: Sequence[Mark]
    done: Future[int]


@dataclass(slots=True)
class _Stored:
    seq: int
    beyond: Sequence[Span]
    done: Future[None]


@dataclass(slots=True)
class _GiveUp:
    seq: int


@dataclass(slots=True)
class _Renew:
    done: Future[str]


@dataclass(slots=True)
class _Figures:
    """What changes with a commit, and not before."""

    last: int
    stored: int
    size: int
    count: int


_Job = _Append | _Stored | _GiveUp | _Renew


class Outbox:
    """Durable queue of one sender in one SQLite file (WAL, FULL), written in groups by one thread.

    `source` is the name under which the sender speaks of itself. A file that can't be read is moved aside,
    what can be read of it is taken over under its old identities, and a new epoch begins.
    """

    def __init__(
        self,
        path: Path,
        sender: str,
        *,
        limit_bytes: int = 512 * 1024 * 1024,
        source: str = "",
        clock: Clock = utc_now,
    ) -> None:
        self.sender = sender
        self._source = source or f"sender:{sender}"
        self._limit_bytes = limit_bytes
        self._clock = clock
        self.stills_dropped = 0
        self._not_kept: list[datetime] = []
        """Refused and kept by nobody, not told yet: when."""
        self._confirmed = 0
        self._unsettled = Spans()
        """Confirmed by intake, but not yet taken out: the disk would not have it."""
        self._stills_from = 0
        self._trouble = ""
        self._listeners: list[Callable[[], None]] = []
        self._db, self._reader, salvage = spoolfile.opened(path, clock())
        self._reading = threading.Lock()
        self.epoch = self._meta("epoch", uuid.uuid4().hex[:12])
        figures = self._read_figures()
        self.last, self.stored = figures.last, figures.stored
        self._size, self._count = figures.size, figures.count
        self._opened_at = self.last
        self._pictures_owed = self._meta("pictures", "") != ""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name=f"outbox-{sender}", daemon=True)
        self._writer.start()
        if salvage is not None:
            self._take_over(salvage)

    def append(self, observations: Sequence[Observation], marks: Sequence[Mark] = ()) -> Future[int]:
        """Resolves with the last number once committed; fails with `OutboxFull` or `sqlite3.Error`."""
        done: Future[int] = Future()
        self._jobs.put(_Append(observations, marks, done))
        return done

    def marked(self, name: str) -> str | None:
        """The value of a committed mark."""
        rows = self._read("select value from mark where name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def marks(self, prefix: str) -> dict[str, str]:
        """All committed marks whose names begin with `prefix`, by name."""
        rows = self._read("select name, value from mark where substr(name, 1, ?) = ?", (len(prefix), prefix))
        return {str(row[0]): str(row[1]) for row in rows}

    def confirm(self, seq: int, beyond: Sequence[Span] = ()) -> Future[None]:
        """Intake has stored everything up to `seq` and in the runs `beyond`: resolves when those are gone."""
        done: Future[None] = Future()
        self._jobs.put(_Stored(min(seq, self.last), beyond, done))
        return done

    def lost(self, count: int = 1) -> None:
        """Observations were refused by `append` and nobody keeps them: told with the next commit."""
        self._not_kept += [self._clock()] * count

    def give_up(self, seq: int) -> None:
        """An item that can't be read any more is taken out and told."""
        self._jobs.put(_GiveUp(seq))

    def renew(self) -> str:
        """Begins a new epoch: intake knows numbers that this file never gave, so the file is an old copy.

        What was appended since it was opened gets new numbers and, where the outbox gave it, a new identity.
        """
        done: Future[str] = Future()
        self._jobs.put(_Renew(done))
        return done.result(30)

    def after(self, seq: int, limit: int, *, up_to: int | None = None) -> list[tuple[int, bytes]]:
        """Committed items with numbers over `seq`, at most `up_to`, in order."""
        most = self.last if up_to is None else up_to
        rows = self._read(
            "select seq, payload from item where seq > ? and seq <= ? order by seq limit ?",
            (seq, most, limit),
        )
        return [(int(row[0]), bytes(row[1])) for row in rows]

    def of_urgency(self, urgency: Urgency, seq: int, limit: int) -> list[tuple[int, bytes]]:
        """As `after`, of one class."""
        rows = self._read(
            "select seq, payload from item where seq > ? and urgency = ? order by seq limit ?",
            (seq, int(urgency), limit),
        )
        return [(int(row[0]), bytes(row[1])) for row in rows]

    def heard_before(self, moment: datetime) -> int:
        """The last number that was heard before `moment`; 0 where none was.

        Numbers and instants rise together; where the clock was set back they don't, and the answer is near.
        """
        moment_ms = int(moment.timestamp() * 1000)
        low, high = self.floor + 1, self.last
        while low <= high:
            middle = (low + high) // 2
            rows = self._read(
                "select seq, heard_ms from item where seq >= ? and seq <= ? order by seq limit 1",
                (middle, high),
            )
            if not rows or rows[0][1] >= moment_ms:
                high = middle - 1
            else:
                low = int(rows[0][0]) + 1
        return high if high > self.floor else 0

    def held(self, spans: Sequence[Span]) -> Spans:
        """Which of these numbers are still here."""
        found = Spans()
        for first, last in spans:
            for row in self._read("select seq from item where seq between ? and ?", (first, last)):
                found.add(int(row[0]), int(row[0]))
        return found

    @property
    def floor(self) -> int:
        """Everything up to here is gone: confirmed, or given up."""
        rows = self._read("select min(seq) from item", ())
        return self.last if rows[0][0] is None else int(rows[0][0]) - 1

    @property
    def waiting(self) -> int:
        """Items not yet confirmed as stored."""
        return self._count

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    @property
    def trouble(self) -> str:
        """Why the last observation could not be taken in; empty when it could."""
        return self._trouble

    def on_change(self, listener: Callable[[], None]) -> None:
        """Calls `listener` after each commit and each failure, from the writer thread."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Commits what is queued and closes the file."""
        self._jobs.put(None)
        self._writer.join(10)
        with self._reading:
            self._reader.close()
        self._db.close()

    # Inside

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._reading:
            return self._reader.execute(query, values).fetchall()

    def _meta(self, name: str, default: str) -> str:
        self._db.execute("insert or ignore into meta values (?, ?)", (name, default))
        return str(self._db.execute("select value from meta where name = ?", (name,)).fetchone()[0])

    def _set_meta(self, name: str, value: str) -> None:
        self._db.execute("insert or replace into meta values (?, ?)", (name, value))

    def _read_figures(self) -> _Figures:
        stored, given = int(self._meta("stored", "0")), int(self._meta("last", "0"))
        last, size, count = self._db.execute(
            "select coalesce(max(seq), 0), coalesce(sum(length(payload)), 0), count(*) from item"
        ).fetchone()
        return _Figures(max(int(last), stored, given), stored, int(size), int(count))

    def _take_over(self, salvage: spoolfile.Salvage) -> None:
        """What could be read of a damaged file goes on under its old identities."""
        told = Loss(
            reason="outbox_damaged",
            count=None,
            since=self._clock(),
            detail=f"{salvage.reason}; {len(salvage.observations)} taken over; kept as {salvage.kept_as}",
        )
        log.error("outbox damaged, begun anew", sender=self.sender, reason=told.detail)
        marks = [Mark(name, value) for name, value in salvage.marks.items()]
        self.append([self._of_ourselves(told)], marks)
        for start in range(0, len(salvage.observations), 200):
            self.append(salvage.observations[start : start + 200])

    def _of_ourselves(self, loss: Loss) -> Observation:
        return Observation(source=self._source, body=loss, heard_at=self._clock())

    def _write(self) -> None:
        while True:
            first = self._jobs.get()
            group = [first]
            while first is not None and len(group) < 500:
                try:
                    group.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            self._commit([job for job in group if job is not None])
            for listener in self._listeners:
                listener()
            if None in group:
                return

    def _commit(self, group: list[_Job]) -> None:
        figures = _Figures(self.last, self.stored, self._size, self._count)
        taken: list[tuple[Future[int], int]] = []
        refused: list[Future[int]] = []
        not_kept = len(self._not_kept)
        epoch, settled = self.epoch, False
        self._note_confirmed(group)
        try:
            self._db.execute("begin immediate")
            settled = self._settle(figures)
            for job in group:
                if isinstance(job, _Append):
                    if self._has_room(job, figures):
                        taken.append((job.done, self._insert(job, figures)))
                    else:
                        refused.append(job.done)
                elif isinstance(job, _GiveUp):
                    self._discard(job.seq, figures)
                elif isinstance(job, _Renew):
                    self._renumber(figures)
            self._tell_given(figures, not_kept)
            if settled or any(not isinstance(job, _Append) for job in group):
                self._set_meta("last", str(figures.last))
            self._db.execute("commit")
        except sqlite3.Error as error:
            self._failed(group, epoch, error)
            return
        self.last, self.stored = figures.last, figures.stored
        self._size, self._count = figures.size, figures.count
        del self._not_kept[:not_kept]
        if settled:
            self._unsettled = Spans()
        if refused:
            self._note_trouble(FULL)
        elif self._trouble != FULL or figures.size <= self._room:
            self._note_trouble("")
        self._resolve(group, taken)
        for done in refused:
            done.set_exception(OutboxFull(f"{self.sender}: {figures.size} bytes are waiting"))

    @property
    def _room(self) -> int:
        return self._limit_bytes - self._limit_bytes // ALARM_RESERVE

    def _has_room(self, job: _Append, figures: _Figures) -> bool:
        if not job.observations:
            return True
        urgent = any(urgency_of(one.body) is Urgency.ALARM for one in job.observations)
        limit = self._limit_bytes if urgent else self._room
        if figures.size > limit:
            figures.size -= self._drop_stills()
        return figures.size <= limit

    def _note_confirmed(self, group: list[_Job]) -> None:
        for job in group:
            if isinstance(job, _Stored):
                self._confirmed = max(self._confirmed, job.seq)
                for first, last in ((1, job.seq), *job.beyond):
                    if first <= last:
                        self._unsettled.add(first, last)

    def _settle(self, figures: _Figures) -> bool:
        """Takes out what intake has confirmed, now or when the disk was full."""
        if not self._unsettled:
            return False
        for first, last in self._unsettled:
            self._take_out(first, last, figures)
        figures.stored = max(figures.stored, self._confirmed)
        self._set_meta("stored", str(figures.stored))
        return True

    def _take_out(self, first: int, last: int, figures: _Figures) -> None:
        freed, count = self._db.execute(
            "select coalesce(sum(length(payload)), 0), count(*) from item where seq between ? and ?",
            (first, last),
        ).fetchone()
        if count:
            self._db.execute("delete from item where seq between ? and ?", (first, last))
            figures.size -= int(freed)
            figures.count -= int(count)

    def _discard(self, seq: int, figures: _Figures) -> None:
        before = figures.count
        self._take_out(seq, seq, figures)
        if figures.count != before:
            loss = Loss(reason="item_damaged", count=1, since=self._clock(), spans=((seq, seq),))
            self._insert_items([self._of_ourselves(loss)], figures)

    def _insert(self, job: _Append, figures: _Figures) -> int:
        self._insert_items(job.observations, figures)
        for mark in job.marks:
            self._db.execute("insert or replace into mark values (?, ?)", (mark.name, mark.value))
        return figures.last

    def _insert_items(self, observations: Sequence[Observation], figures: _Figures) -> None:
        seq, size, rows = figures.last, figures.size, []
        prefix = f"{self.sender}:{self.epoch}:"
        for observation in observations:
            seq += 1
            named = observation if observation.id else observation.named(f"{prefix}{seq}")
            payload = self._envelope(seq, named)
            heard_ms = int(observation.heard_at.timestamp() * 1000)
            rows.append((seq, int(urgency_of(observation.body)), heard_ms, payload))
            size += len(payload)
        self._db.executemany("insert into item (seq, urgency, heard_ms, payload) values (?, ?, ?, ?)", rows)
        figures.last, figures.size = seq, size
        figures.count += len(rows)

    def _envelope(self, seq: int, observation: Observation) -> bytes:
        return codec.encode(
            codec.Envelope(sender=self.sender, epoch=self.epoch, seq=seq, observation=observation)
        )

    def _tell_given(self, figures: _Figures, not_kept: int) -> None:
        """Says what was given up, in this transaction. Pictures go one after the other while it is full: they
        are told together, when there is room again."""
        losses = []
        if not_kept:
            losses.append(Loss(reason="not_kept", count=not_kept, since=self._not_kept[0]))
        if self._pictures_owed and figures.size <= self._room // 2:
            kept = self._meta("pictures", "")
            if kept:
                losses.append(codec.decode(kept.encode(), Loss))
                self._set_meta("pictures", "")
            self._pictures_owed = False
        if losses:
            self._insert_items([self._of_ourselves(loss) for loss in losses], figures)

    def _drop_stills(self) -> int:
        """Takes the oldest pictures out of their observations; returns the bytes won."""
        rows = self._db.execute(
            "select seq, payload from item where seq >= ? and length(payload) > 2000 order by seq limit ?",
            (self._stills_from, STILLS_AT_ONCE),
        ).fetchall()
        freed, bared = 0, Spans()
        for seq, payload in rows:
            smaller = self._without_still(seq, payload)
            if smaller is not None:
                self._db.execute("update item set payload = ? where seq = ?", (smaller, seq))
                freed += len(payload) - len(smaller)
                bared.add(int(seq), int(seq))
            self._stills_from = int(seq) + 1
        if bared:
            self.stills_dropped += bared.total
            self._note_pictures(bared)
        return freed

    def _note_pictures(self, bared: Spans) -> None:
        """Kept in the file: a restart while it is full forgets none."""
        kept = self._meta("pictures", "")
        told = (
            codec.decode(kept.encode(), Loss)
            if kept
            else Loss(reason="pictures_dropped", count=0, since=self._clock())
        )
        for first, last in told.spans:
            bared.add(first, last)
        spans = tuple(bared)[:MAX_TOLD_SPANS]
        count = (told.count or 0) + bared.total - Spans(told.spans).total
        told = msgspec.structs.replace(told, count=count, spans=spans)
        self._set_meta("pictures", codec.encode(told).decode())
        self._pictures_owed = True

    def _without_still(self, seq: int, payload: bytes) -> bytes | None:
        observation = codec.decode(payload, codec.Envelope).observation
        body = observation.body
        if not isinstance(body, Motion | PointState) or not body.still:
            return None
        bare = msgspec.structs.replace(observation, body=msgspec.structs.replace(body, still=b""))
        return self._envelope(seq, bare)

    def _renumber(self, figures: _Figures) -> None:
        """New epoch; items keep their order. Those of before this file was opened keep their identities."""
        rows = self._db.execute("select seq, payload from item order by seq").fetchall()
        former, self.epoch = self.epoch, uuid.uuid4().hex[:12]
        self._db.execute("delete from item")
        self._set_meta("epoch", self.epoch)
        opened_at, figures.last, figures.stored, figures.size, figures.count = self._opened_at, 0, 0, 0, 0
        self._set_meta("stored", "0")
        self._confirmed, self._unsettled = 0, Spans()
        for seq, payload in rows:
            observation = codec.decode(payload, codec.Envelope).observation
            if seq > opened_at and observation.id == f"{self.sender}:{former}:{seq}":
                observation = msgspec.structs.replace(observation, id="")
            self._insert_items([observation], figures)
        self._stills_from, self._opened_at = 0, figures.last
        log.warning("outbox is an old copy: a new epoch begins", sender=self.sender, items=len(rows))

    def _failed(self, group: list[_Job], epoch: str, error: sqlite3.Error) -> None:
        if self._db.in_transaction:
            self._db.execute("rollback")
        self.epoch, self._stills_from, self._pictures_owed = epoch, 0, True
        self._note_trouble(str(error))
        for job in group:
            if not isinstance(job, _GiveUp) and not job.done.done():
                job.done.set_exception(error)

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                log.error("outbox takes in nothing", sender=self.sender, reason=trouble, waiting=self._count)
            else:
                log.info("outbox takes in again", sender=self.sender, waiting=self._count)

    def _resolve(self, group: list[_Job], taken: list[tuple[Future[int], int]]) -> None:
        for done, seq in taken:
            done.set_result(seq)
        for job in group:
            if isinstance(job, _Stored):
                job.done.set_result(None)
            elif isinstance(job, _Renew):
                job.done.set_result(self.epoch)
