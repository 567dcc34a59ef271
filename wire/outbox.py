"""A sender's own spool: what it has taken from the field, durable until intake says it is stored.

A listener acknowledges its device only after `append` has resolved; the courier then sends, and sends again
what intake doesn't confirm. Bounded: when full, stills go first, oldest first; after that new observations
are refused, so that the device keeps them.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from wire import codec, topics
from wire.bus import Bus, Message
from wire.observations import Motion, Observation, PointState

log = structlog.get_logger(__name__)

_SCHEMA = """
create table if not exists meta (name text primary key, value text not null) without rowid;
create table if not exists item (seq integer primary key, payload blob not null);
create table if not exists mark (name text primary key, value text not null) without rowid;
"""


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


class Outbox:
    """Durable queue of one sender in one SQLite file (WAL, FULL), written in groups by one thread."""

    def __init__(self, path: Path, sender: str, *, limit_bytes: int = 512 * 1024 * 1024) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.sender = sender
        self._limit_bytes = limit_bytes
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=full;" + _SCHEMA)
        self._lock = threading.Lock()
        self.epoch = self._meta("epoch", uuid.uuid4().hex[:12])
        self.stored = int(self._meta("stored", "0"))
        last = self._db.execute("select coalesce(max(seq), 0) from item").fetchone()[0]
        self.last = max(int(last), self.stored)
        self._bytes = int(
            self._db.execute("select coalesce(sum(length(payload)), 0) from item").fetchone()[0]
        )
        self.stills_dropped = 0
        self._grew = threading.Condition()
        self._jobs: queue.SimpleQueue[_Append | _Stored | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name=f"outbox-{sender}", daemon=True)
        self._writer.start()

    def append(self, observations: Sequence[Observation], marks: Sequence[Mark] = ()) -> Future[int]:
        """Resolves with the last number once committed; fails with `OutboxFull` or `sqlite3.Error`."""
        done: Future[int] = Future()
        self._jobs.put(_Append(observations, marks, done))
        return done

    def marked(self, name: str) -> str | None:
        """The value of a committed mark."""
        with self._lock:
            row = self._db.execute("select value from mark where name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def marks(self, prefix: str) -> dict[str, str]:
        """All committed marks whose names begin with `prefix`, by name."""
        with self._lock:
            rows = self._db.execute(
                "select name, value from mark where substr(name, 1, ?) = ?", (len(prefix), prefix)
            ).fetchall()
        return {str(row[0]): str(row[1]) for row in rows}

    def confirm(self, seq: int) -> None:
        """Intake has stored everything up to `seq`: those items may go."""
        if seq > self.stored:
            self._jobs.put(_Stored(seq))

    def after(self, seq: int, limit: int) -> list[tuple[int, bytes]]:
        """Committed items with numbers over `seq`, in order."""
        with self._lock:
            rows = self._db.execute(
                "select seq, payload from item where seq > ? order by seq limit ?", (seq, limit)
            ).fetchall()
        return [(int(row[0]), bytes(row[1])) for row in rows]

    def wait_beyond(self, seq: int, timeout_s: float) -> bool:
        """Waits until an item over `seq` is committed."""
        with self._grew:
            return self._grew.wait_for(lambda: self.last > seq, timeout_s)

    @property
    def waiting(self) -> int:
        """Items not yet confirmed as stored."""
        return self.last - self.stored

    def close(self) -> None:
        """Commits what is queued and closes the file."""
        self._jobs.put(None)
        self._writer.join(10)
        with self._lock:
            self._db.close()

    def _meta(self, name: str, default: str) -> str:
        self._db.execute("insert or ignore into meta values (?, ?)", (name, default))
        return str(self._db.execute("select value from meta where name = ?", (name,)).fetchone()[0])

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
            if None in group:
                return

    def _commit(self, group: list[_Append | _Stored]) -> None:
        taken: list[tuple[Future[int], int]] = []
        last, stored, size = self.last, self.stored, self._bytes
        with self._lock:
            try:
                self._db.execute("begin immediate")
                for job in group:
                    if isinstance(job, _Stored):
                        size -= self._delete_through(job.seq)
                        stored = max(stored, job.seq)
                        continue
                    if size > self._limit_bytes:
                        size -= self._drop_stills()
                    if size > self._limit_bytes:
                        job.done.set_exception(OutboxFull(f"{self.sender}: {size} bytes are waiting"))
                        continue
                    last, added = self._insert(job, last)
                    size += added
                    taken.append((job.done, last))
                self._db.execute("commit")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                for job in group:
                    if isinstance(job, _Append) and not job.done.done():
                        job.done.set_exception(error)
                log.error("outbox could not commit", sender=self.sender, reason=str(error))
                return
        with self._grew:
            self.last, self.stored, self._bytes = last, stored, size
            self._grew.notify_all()
        for done, seq in taken:
            done.set_result(seq)

    def _insert(self, job: _Append, last: int) -> tuple[int, int]:
        added = 0
        for observation in job.observations:
            last += 1
            payload = self._envelope(last, observation.named(f"{self.sender}:{self.epoch}:{last}"))
            self._db.execute("insert into item values (?, ?)", (last, payload))
            added += len(payload)
        for mark in job.marks:
            self._db.execute("insert or replace into mark values (?, ?)", (mark.name, mark.value))
        return last, added

    def _envelope(self, seq: int, observation: Observation) -> bytes:
        return codec.encode(
            codec.Envelope(sender=self.sender, epoch=self.epoch, seq=seq, observation=observation)
        )

    def _delete_through(self, seq: int) -> int:
        freed = self._db.execute(
            "select coalesce(sum(length(payload)), 0) from item where seq <= ?", (seq,)
        ).fetchone()[0]
        self._db.execute("delete from item where seq <= ?", (seq,))
        self._db.execute("update meta set value = ? where name = 'stored'", (str(max(seq, self.stored)),))
        return int(freed)

    def _drop_stills(self) -> int:
        freed = 0
        rows = self._db.execute(
            "select seq, payload from item where length(payload) > 2000 order by seq limit 200"
        ).fetchall()
        for seq, payload in rows:
            observation = codec.decode(payload, codec.Envelope).observation
            body = observation.body
            if not isinstance(body, Motion | PointState) or not body.still:
                continue
            bare = msgspec.structs.replace(observation, body=msgspec.structs.replace(body, still=b""))
            smaller = self._envelope(seq, bare)
            self._db.execute("update item set payload = ? where seq = ?", (smaller, seq))
            freed += len(payload) - len(smaller)
            self.stills_dropped += 1
        return freed


class Courier:
    """Sends an outbox over the bus in order, at most `window` items ahead of what intake has confirmed.

    What waits may travel together, up to `batch` items in a message: a backlog then costs a fraction.
    """

    def __init__(
        self, outbox: Outbox, bus: Bus, *, window: int = 1000, patience_s: float = 5.0, batch: int = 50
    ) -> None:
        self._batch = batch
        self._outbox = outbox
        self._bus = bus
        self._window = window
        self._patience_s = patience_s
        self._sent = outbox.stored
        self._progress_at = time.monotonic()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"courier-{outbox.sender}", daemon=True)
        bus.consume(topics.STORED.format(sender=outbox.sender), self._on_stored)
        bus.on_link(self._on_link)

    def start(self) -> None:
        """Starts sending."""
        if self._bus.connected:
            self._tell_floor()
        self._thread.start()

    def stop(self) -> None:
        """Stops sending; what is unconfirmed stays in the outbox."""
        self._stop.set()
        self._wake.set()
        self._thread.join(5)

    def _on_link(self, up: bool, _reason: str) -> None:
        if up:
            self._tell_floor()
            self._wake.set()

    def _tell_floor(self) -> None:
        floor = codec.Stored(epoch=self._outbox.epoch, seq=self._outbox.stored)
        self._bus.publish(topics.FLOOR.format(sender=self._outbox.sender), codec.encode(floor))

    def _on_stored(self, message: Message) -> None:
        message.ack()
        stored = codec.decode(message.payload, codec.Stored)
        if stored.epoch == self._outbox.epoch:
            self._outbox.confirm(min(stored.seq, self._outbox.last))
            self._progress_at = time.monotonic()
            self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._rewind_if_stalled()
            if not self._bus.connected or not self._send_some():
                self._rest()

    def _send_some(self) -> bool:
        stored = self._outbox.stored
        self._sent = max(self._sent, stored)
        room = self._window - (self._sent - stored)
        items = self._outbox.after(self._sent, min(room, 200)) if room > 0 else []
        topic = topics.OBSERVATIONS.format(sender=self._outbox.sender)
        for group in _together(items, self._batch):
            self._bus.publish(topic, codec.joined([payload for _, payload in group]))
            self._sent = group[-1][0]
        return bool(items)

    def _rest(self) -> None:
        full = self._sent - self._outbox.stored >= self._window
        if full or not self._bus.connected:
            self._wake.wait(0.5)
            self._wake.clear()
        else:
            self._outbox.wait_beyond(self._sent, 0.5)

    def _rewind_if_stalled(self) -> None:
        now = time.monotonic()
        if self._sent <= self._outbox.stored:
            self._progress_at = now
        elif now - self._progress_at > self._patience_s:
            # Intake's word is overdue: it may have lost what the broker had. Identity makes this harmless.
            self._tell_floor()
            self._sent = self._outbox.stored
            self._progress_at = now


def _together(items: list[tuple[int, bytes]], most: int) -> Iterator[list[tuple[int, bytes]]]:
    """`items` in groups of at most `most` that stay well below the largest message."""
    group: list[tuple[int, bytes]] = []
    size = 0
    for item in items:
        if group and (len(group) == most or size + len(item[1]) > codec.MAX_ENVELOPE_BYTES // 2):
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item[1])
    if group:
        yield group
