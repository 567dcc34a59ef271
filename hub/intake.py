"""The only way in: observations from the bus into the log, acknowledged after the commit.

What is promised at each hop, and the clock rules, stand in `docs/design/no-loss.md`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import sqlalchemy as sa
import structlog
from prometheus_client import Counter as MetricCounter

from hub import metrics
from hub.arrivals import Arrivals
from hub.deliveries import Item, Junk, late_by_sender, understood, unstorable
from hub.desk import Desk
from hub.domain.entry import EntryKind
from hub.domain.freshness import lateness_at
from hub.domain.overtaking import Newest
from hub.domain.trouble import code_of
from hub.recording import record
from hub.registers import Registers
from hub.standings import Gaps, Key, Standing
from hub.store import fixes, quarantine, senders
from hub.store import log as stored_log
from hub.store.blobs import Blobs
from hub.store.engine import Store, StoreUnavailable, Transaction
from hub.watch import Watch
from wire import codec, topics
from wire.bus import Bus, Message
from wire.observations import Heartbeat, Lateness, Loss, Motion, Observation, PointState, Position
from wire.outbox import FULL
from wire.spans import Span, Spans

log = structlog.get_logger(__name__)

__all__ = ["MAX_BATCH", "Intake", "judged", "understood"]

MAX_BATCH = 500
MAX_TOLD_SPANS = 200
HISTORY_SHARE = 50
"""Of each batch, at least so many are history while there is any: it never stands still."""
LOOK_S = 1.0
"""How often gaps are looked at."""
RECALLED = 20_000
"""Entries read at the start, to know what is newest of each point."""

QUARANTINED = MetricCounter(
    "jifang_quarantined",
    "Messages nobody could understand, by protocol and cause",
    ["protocol", "cause"],
    registry=metrics.REGISTRY,
)
DUPLICATES = MetricCounter(
    "jifang_duplicates", "Deliveries of observations already stored", registry=metrics.REGISTRY
)
LET_GO = MetricCounter(
    "jifang_history_let_go",
    "Messages of history that found no room; their senders hold them still",
    registry=metrics.REGISTRY,
)
ASKED = MetricCounter(
    "jifang_gaps_asked", "Runs of numbers asked for again, by sender", ["sender"], registry=metrics.REGISTRY
)
MISSING = MetricCounter(
    "jifang_observations_missing",
    "Numbers that no sender holds and that are not in this log",
    ["sender"],
    registry=metrics.REGISTRY,
)


@dataclass(slots=True)
class _Outcome:
    """What a committed batch came to."""

    entries: list[tuple[str, int]] = field(default_factory=list)
    """Identities that got an entry, with its number."""
    fixes: list[Observation] = field(default_factory=list)
    duplicates: int = 0
    junk: list[Junk] = field(default_factory=list)


class _Moves:
    """Where senders stand after a batch."""

    def __init__(self, before: Mapping[Key, Standing]) -> None:
        self._before = before
        self.standings: dict[Key, Standing] = {}
        self.touched: dict[Key, list[int]] = {}
        """Numbers stored beyond a gap by this batch."""
        self.missing: dict[Key, list[Span]] = {}

    def standing(self, key: Key) -> Standing:
        """To be moved."""
        if key not in self.standings:
            before = self._before.get(key)
            self.standings[key] = before.copy() if before is not None else Standing()
        return self.standings[key]

    def stored(self, key: Key, seq: int) -> None:
        """A number is dealt with."""
        standing = self.standing(key)
        standing.stored(seq)
        if seq > standing.mark:
            self.touched.setdefault(key, []).append(seq)

    def floor(self, key: Key, told: codec.Floor) -> None:
        """A sender holds these no more. A hub that never had anything of the epoch misses nothing of it."""
        standing = self.standing(key)
        known = standing.mark > 0
        missing = [*standing.floor(told.seq), *standing.gone(told.gone)]
        if missing and known:
            self.missing.setdefault(key, []).extend(missing)

    def changed(self, key: Key) -> bool:
        """Whether the store must be told."""
        before, after = self._before.get(key), self.standings[key]
        return before is None or before.mark != after.mark or before.beyond != after.beyond


class Intake:
    """Takes deliveries off the bus in batches, each one transaction. One thread of its own."""

    def __init__(
        self,
        bus: Bus,
        store: Store,
        desk: Desk,
        registers: Registers,
        blobs: Blobs,
        watch: Watch,
        *,
        kept: Bus | None = None,
    ) -> None:
        """`kept`: a bus whose session the broker keeps, for what no sender holds (refused bytes)."""
        self._bus = bus
        self._kept = kept or bus
        self._store = store
        self._desk = desk
        self._registers = registers
        self._blobs = blobs
        self._watch = watch
        self._arrivals = Arrivals()
        self._standings = {
            key: Standing.parse(mark, beyond)
            for key, (mark, beyond) in store.query(senders.standings).items()
        }
        self._gaps = Gaps()
        self._looked_s = 0.0
        self._dropped: int | None = None
        """What the broker says it let go since it was started."""
        self._untold = 0
        """Of that, what the log hasn't yet; and how much is on its way there."""
        self._being_told = 0
        self._telling = threading.RLock()
        self._newest = Newest()
        store.query(self._recall)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._pause_s = 0.5

    def start(self) -> None:
        """Begins to take in; says to each sender where it stands, whatever a former life said."""
        self._thread.start()
        for key, standing in self._latest_standings():
            self._tell_stored(key, standing, ())
        for pattern in (topics.ALL_OBSERVATIONS, topics.ALL_FLOORS):
            self._bus.consume(pattern, self._arrivals.put_news)
        self._kept.consume(topics.ALL_REJECTED, self._arrivals.put_news)
        self._bus.consume(topics.ALL_HISTORY, self._on_history)
        self._bus.consume(topics.ALL_STATUS, self._on_status)
        self._bus.consume(topics.BROKER_DROPPED, self._on_dropped)
        self._bus.on_link(self._on_link)
        self._on_link(self._bus.connected, "" if self._bus.connected else "not connected yet")

    def stop(self) -> None:
        """Ends after the batch in hand; what is unacknowledged comes again."""
        self._stop.set()
        self._arrivals.close()
        self._thread.join(10)

    def _recall(self, connection: sa.Connection) -> None:
        """What the log's end says of each point: an older state that still comes must not undo it."""
        since = stored_log.head(connection) - RECALLED
        for entry in stored_log.after(
            connection, max(0, since), limit=RECALLED, kinds=(EntryKind.OBSERVATION,)
        ):
            self._newest.recall(entry.body)

    def _on_history(self, message: Message) -> None:
        if not self._arrivals.put_history(message):
            LET_GO.inc()

    def _on_link(self, up: bool, reason: str) -> None:
        self._watch.tell("broker", up, reason)
        if up:
            self._ask_anew()

    def _ask_anew(self) -> None:
        """The broker keeps nothing for us while we are away: each sender is told to send again at once."""
        for (sender, epoch), standing in self._latest_standings():
            stored = codec.Stored(epoch=epoch, seq=standing.mark, anew=True)
            self._bus.publish(topics.STORED.format(sender=sender), codec.encode(stored))

    def _latest_standings(self) -> list[tuple[Key, Standing]]:
        """Of each sender its latest epoch."""
        latest = {key[0]: (key, standing) for key, standing in list(self._standings.items())}
        return list(latest.values())

    def _on_status(self, message: Message) -> None:
        message.ack()
        name = message.topic.rsplit("/", 1)[-1]
        if name == "hub" or message.payload not in (b"up", b"down"):
            return
        up = message.payload == b"up"
        self._watch.tell(name, up, "" if up else "connection lost")

    def _on_dropped(self, message: Message) -> None:
        """The broker counts what it let go because a queue was full; it says how many, not of whom.

        It says so when the count changes, and keeps its last word for a minute only: a first word that wasn't
        kept, or a count that fell, is all that it let go since it was started.
        """
        message.ack()
        if not message.payload.isdigit():
            return
        count, before = int(message.payload), self._dropped
        self._dropped = count
        if before is None and message.retained:
            before = count
        with self._telling:
            self._untold += count - before if before is not None and count >= before else count
            self._tell_untold()

    def _tell_untold(self) -> None:
        """One at a time; what could not be written is told with the broker's next word."""
        count = self._untold
        if count and not self._being_told:
            self._being_told = count
            told = self._store.enqueue(lambda tx: self._tell_dropped(tx, count))
            told.add_done_callback(self._told_dropped)

    def _told_dropped(self, done: Future[None]) -> None:
        with self._telling:
            told, self._being_told = self._being_told, 0
            if done.exception() is None:
                self._untold -= told
                self._tell_untold()

    def _tell_dropped(self, tx: Transaction, count: int) -> None:
        body = Loss(reason="broker_dropped", count=count, since=tx.now)
        told = Observation(
            source="hub:broker",
            body=body,
            heard_at=tx.now,
            id=f"hub:dropped:{tx.now.timestamp():.6f}:{tx.head}",
        )
        entry = record(tx, self._registers, told)
        stored_log.remember(tx.connection, [(told.id, entry.seq)])
        log.error("the broker let messages go", count=count)

    def _run(self) -> None:
        while not self._stop.is_set():
            batch = self._gather()
            if batch:
                self._take(batch)
            self._ask_again()

    def _gather(self) -> list[Item]:
        self._arrivals.wait(LOOK_S)
        messages = self._arrivals.take(MAX_BATCH, HISTORY_SHARE, _items_in)
        return [item for message in messages for item in understood(message)]

    def _ask_again(self) -> None:
        """Asks senders for numbers missing below what is stored, where that doesn't settle by itself."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        for (sender, epoch), spans in self._gaps.due(self._standings, now_s).items():
            ASKED.labels(sender).inc(len(spans))
            again = codec.Again(epoch=epoch, spans=tuple(spans))
            self._bus.publish(topics.AGAIN.format(sender=sender), codec.encode(again))

    def _take(self, batch: list[Item]) -> None:
        """Stores a batch, however long the store takes to be able to, and only then acknowledges it."""
        moves = self._advanced(batch)
        while not self._stop.is_set():
            try:
                outcome = self._store_batch(batch, moves)
                break
            except (StoreUnavailable, OSError) as error:
                log.error("intake waits for the store", reason=str(error), waiting=len(batch))
                self._stop.wait(self._pause_s)
        else:
            return
        self._standings.update(moves.standings)
        for item in batch:
            if item.last:
                item.message.ack()
        for key, standing in moves.standings.items():
            self._tell_stored(key, standing, standing.beyond.around(Spans.of(moves.touched.get(key, ()))))
        _count(outcome)

    def _advanced(self, batch: Iterable[Item]) -> _Moves:
        moves = _Moves(self._standings)
        now_s = time.monotonic()
        for item in batch:
            head = item.envelope or item.head
            if head is not None:
                self._gaps.hear(head.sender, head.epoch, now_s)
                moves.stored((head.sender, head.epoch), head.seq)
                loss = item.envelope.observation.body if item.envelope is not None else None
                if isinstance(loss, Loss) and loss.reason == "item_damaged":
                    moves.standing((head.sender, head.epoch)).gone(loss.spans)
            elif item.floor is not None:
                sender, told = item.floor
                self._gaps.hear(sender, told.epoch, now_s)
                moves.floor((sender, told.epoch), told)
        return moves

    def _store_batch(self, batch: Sequence[Item], moves: _Moves) -> _Outcome:
        for item in batch:
            if item.envelope is not None and not item.still_hash:
                item.still_hash = self._keep_still(item.envelope.observation)
        try:
            return self._store.enqueue(lambda tx: self._write(tx, batch, moves)).result()
        except (StoreUnavailable, OSError):
            raise
        except Exception as error:  # supervision: one observation that the rules trip over stops no other
            log.exception("a batch failed; its members go one by one", reason=str(error))
            return self._store.enqueue(lambda tx: self._write_singly(tx, batch, moves)).result()

    def _keep_still(self, observation: Observation) -> str:
        body = observation.body
        if isinstance(body, Motion | PointState) and body.still:
            return self._blobs.put(body.still)
        return ""

    def _write(self, tx: Transaction, batch: Sequence[Item], moves: _Moves) -> _Outcome:
        outcome = _Outcome()
        known = self._known(tx, batch)
        for item in batch:
            self._write_item(tx, item, known, outcome)
        _write_identities(tx, outcome)
        self._write_marks(tx, moves)
        return outcome

    def _write_singly(self, tx: Transaction, batch: Sequence[Item], moves: _Moves) -> _Outcome:
        outcome = _Outcome()
        known = self._known(tx, batch)
        for item in batch:
            try:
                with tx.savepoint():
                    one = _Outcome()
                    self._write_item(tx, item, known, one)
                    _write_identities(tx, one)
                    tx.end()
                outcome.duplicates += one.duplicates
                outcome.junk += one.junk
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - supervision, as in _store_batch
                self._quarantine(tx, unstorable(item, error), outcome)
        self._write_marks(tx, moves)
        return outcome

    def _known(self, tx: Transaction, batch: Iterable[Item]) -> set[str]:
        observations = [item.envelope.observation for item in batch if item.envelope is not None]
        logged = [one.id for one in observations if not _is_fix(one)]
        fixed = [one.id for one in observations if _is_fix(one)]
        return stored_log.known(tx.connection, logged) | fixes.known(tx.connection, fixed)

    def _write_item(self, tx: Transaction, item: Item, known: set[str], outcome: _Outcome) -> None:
        if item.junk is not None:
            self._quarantine(tx, item.junk, outcome)
        elif item.envelope is not None:
            observation = item.envelope.observation
            if observation.id in known:
                outcome.duplicates += 1
                return
            if item.history:
                observation = late_by_sender(observation)
            observation = judged(observation, *self._watch.readings(tx.now))
            overtaken = self._newest.take(observation, item.envelope, tx.on_undo)
            if overtaken and not _is_fix(observation) and observation.lateness is Lateness.LIVE:
                observation = msgspec.structs.replace(observation, lateness=Lateness.BUFFERED)
            self._write_observation(tx, observation, item.still_hash, outcome, overtaken=overtaken)
            known.add(observation.id)
        elif item.floor is not None:
            self._note_outbox(tx, *item.floor)

    def _write_observation(
        self,
        tx: Transaction,
        observation: Observation,
        still_hash: str,
        outcome: _Outcome,
        *,
        overtaken: bool,
    ) -> None:
        cause = None
        if _is_fix(observation):
            outcome.fixes.append(observation)
        else:
            cause = record(tx, self._registers, observation, still_hash).seq
            outcome.entries.append((observation.id, cause))
        self._watch.hear(observation, tx.now)
        self._desk.observe(tx, observation, still_hash, cause, overtaken=overtaken)

    def _quarantine(self, tx: Transaction, junk: Junk, outcome: _Outcome) -> None:
        quarantine.keep(
            tx.connection,
            protocol=junk.protocol,
            peer=junk.peer,
            reason=junk.reason,
            raw=junk.raw,
            size=junk.size,
            now=tx.now,
            cause=junk.cause,
            count=junk.count,
            heard_at=junk.heard_at,
        )
        outcome.junk.append(junk)

    def _note_outbox(self, tx: Transaction, sender: str, told: codec.Floor) -> None:
        """A sender that can take in nothing stands on the desk as a part of ours that is down."""
        name = f"outbox:{sender}"
        if told.trouble or any(part.name == name for part in self._desk.snapshot().hub.parts):
            reason = told.trouble if told.trouble in ("", FULL) else code_of(told.trouble).value
            self._desk.part(tx, name, not told.trouble, reason)

    def _write_marks(self, tx: Transaction, moves: _Moves) -> None:
        for (sender, epoch), standing in moves.standings.items():
            if moves.changed((sender, epoch)):
                senders.put(tx.connection, sender, epoch, standing.mark, standing.text, tx.now)
        for (sender, epoch), missing in moves.missing.items():
            self._tell_missing(tx, sender, epoch, missing)

    def _tell_missing(self, tx: Transaction, sender: str, epoch: str, missing: Sequence[Span]) -> None:
        """Numbers that their sender no longer holds and this log never had: confirmed by a hub whose later
        state is gone (restored from a backup), or lost with a disk. A known loss stands in the log."""
        count = Spans(missing).total
        told = Observation(
            source="hub:intake",
            body=Loss(
                reason="not_in_this_log",
                count=count,
                since=tx.now,
                spans=tuple(missing[:MAX_TOLD_SPANS]),
                detail=f"{sender}:{epoch}",
            ),
            heard_at=tx.now,
            id=f"hub:missing:{sender}:{epoch}:{missing[0][0]}-{missing[-1][1]}:{tx.head}",
        )
        entry = record(tx, self._registers, told)
        stored_log.remember(tx.connection, [(told.id, entry.seq)])
        tx.after_commit(lambda _head: MISSING.labels(sender).inc(count))
        log.error("observations are in no log", sender=sender, epoch=epoch, count=count)

    def _tell_stored(self, key: Key, standing: Standing, beyond: Sequence[Span]) -> None:
        stored = codec.Stored(epoch=key[1], seq=standing.mark, beyond=tuple(beyond))
        self._bus.publish(topics.STORED.format(sender=key[0]), codec.encode(stored), retain=True)


def judged(observation: Observation, now: datetime, *readings: datetime) -> Observation:
    """The observation in UTC, with the hub's own verdict on how late it is.

    Where the clock was just set, `readings` are what it would have said otherwise: live by any is live.
    """
    observation = codec.in_utc(observation)
    verdicts = [lateness_at(observation, one) for one in (now, *readings)]
    lateness = Lateness.LIVE if Lateness.LIVE in verdicts else verdicts[0]
    if lateness is observation.lateness:
        return observation
    return msgspec.structs.replace(observation, lateness=lateness)


def _items_in(message: Message) -> int:
    """About how many observations a message holds, without decoding it."""
    return max(1, message.payload.count(b'"epoch":'))


def _write_identities(tx: Transaction, outcome: _Outcome) -> None:
    stored_log.remember(tx.connection, outcome.entries)
    fixes.add(tx.connection, outcome.fixes, tx.now, tx.head)


def _is_fix(observation: Observation) -> bool:
    return isinstance(observation.body, Position | Heartbeat)


def _count(outcome: _Outcome) -> None:
    if outcome.duplicates:
        DUPLICATES.inc(outcome.duplicates)
    for junk in outcome.junk:
        QUARANTINED.labels(junk.protocol, junk.cause).inc(junk.count)
        metrics.REJECTED.labels(junk.protocol).inc(junk.count)
