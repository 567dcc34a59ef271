"""The only way in: observations from the bus into the log, acknowledged after the commit.

What is promised at each hop, and the clock rules, stand in `docs/design/log.md`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import structlog
from prometheus_client import Counter as MetricCounter

from hub import metrics
from hub.desk import Desk
from hub.domain.freshness import lateness_at
from hub.recording import record
from hub.registers import Registers
from hub.store import fixes, quarantine
from hub.store import log as stored_log
from hub.store.blobs import Blobs
from hub.store.engine import Store, StoreUnavailable, Transaction
from hub.watch import Watch
from wire import codec, topics
from wire.bus import Bus, Message
from wire.observations import Heartbeat, Lateness, Motion, Observation, PointState, Position

log = structlog.get_logger(__name__)

MAX_BATCH = 500
MAX_WAITING = 20_000
"""Beyond this the network thread waits, and with it the broker: unacknowledged, nothing is lost."""
MAX_BEYOND = 10_000
"""Numbers noted beyond a gap; what is beyond them is stored and simply comes again."""

QUARANTINED = MetricCounter(
    "jifang_quarantined",
    "Messages nobody could understand, by protocol and cause",
    ["protocol", "cause"],
    registry=metrics.REGISTRY,
)
DUPLICATES = MetricCounter(
    "jifang_duplicates", "Deliveries of observations already stored", registry=metrics.REGISTRY
)


@dataclass(slots=True)
class Standing:
    """Where one sender's epoch stands: everything up to `mark` is stored, and some of what lies beyond."""

    mark: int = 0
    beyond: set[int] = field(default_factory=set)

    def copy(self) -> Standing:
        """A standing of its own."""
        return Standing(self.mark, set(self.beyond))

    def stored(self, seq: int) -> None:
        """`seq` is stored, now or before."""
        if seq > self.mark and len(self.beyond) < MAX_BEYOND:
            self.beyond.add(seq)
        self._close_up()

    def floor(self, seq: int) -> None:
        """The sender holds nothing up to `seq` any more."""
        if seq > self.mark:
            self.mark = seq
            self.beyond = {one for one in self.beyond if one > seq}
        self._close_up()

    def _close_up(self) -> None:
        while self.mark + 1 in self.beyond:
            self.mark += 1
            self.beyond.discard(self.mark)


@dataclass(slots=True)
class _Junk:
    """What goes to quarantine."""

    protocol: str
    peer: str
    reason: str
    cause: str
    raw: bytes
    size: int
    count: int = 1
    heard_at: datetime | None = None


@dataclass(slots=True)
class _Item:
    """One thing that was delivered, understood as far as it could be."""

    message: Message
    envelope: codec.Envelope | None = None
    last: bool = True
    """The last of its message: then the message may be acknowledged."""
    floor: tuple[str, codec.Stored] | None = None
    junk: _Junk | None = None
    still_hash: str = ""


@dataclass(slots=True)
class _Outcome:
    """What a committed batch came to."""

    entries: list[tuple[str, int]] = field(default_factory=list)
    """Identities that got an entry, with its number."""
    fixes: list[Observation] = field(default_factory=list)
    duplicates: int = 0
    junk: list[_Junk] = field(default_factory=list)


class Intake:
    """Takes deliveries off the bus in batches, each one transaction. One thread of its own."""

    def __init__(
        self, bus: Bus, store: Store, desk: Desk, registers: Registers, blobs: Blobs, watch: Watch
    ) -> None:
        self._bus = bus
        self._store = store
        self._desk = desk
        self._registers = registers
        self._blobs = blobs
        self._watch = watch
        self._waiting: queue.Queue[Message | None] = queue.Queue(MAX_WAITING)
        self._standings = {key: Standing(mark) for key, mark in store.query(stored_log.marks).items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._pause_s = 0.5

    def start(self) -> None:
        """Begins to take in."""
        self._thread.start()
        for pattern in (topics.ALL_OBSERVATIONS, topics.ALL_FLOORS, topics.ALL_REJECTED):
            self._bus.consume(pattern, self._waiting.put)
        self._bus.consume(topics.ALL_STATUS, self._on_status)
        self._bus.on_link(self._on_link)
        self._on_link(self._bus.connected, "" if self._bus.connected else "not connected yet")

    def stop(self) -> None:
        """Ends after the batch in hand; what is unacknowledged comes again."""
        self._stop.set()
        self._waiting.put(None)
        self._thread.join(10)

    def _on_link(self, up: bool, reason: str) -> None:
        self._watch.tell("broker", up, reason)

    def _on_status(self, message: Message) -> None:
        message.ack()
        name = message.topic.rsplit("/", 1)[-1]
        if name == "hub" or message.payload not in (b"up", b"down"):
            return
        up = message.payload == b"up"
        self._watch.tell(name, up, "" if up else "connection lost")

    def _run(self) -> None:
        while not self._stop.is_set():
            batch = self._gather()
            if batch:
                self._take(batch)

    def _gather(self) -> list[_Item]:
        message = self._waiting.get()
        gathered: list[_Item] = []
        while message is not None:
            gathered += understood(message)
            if len(gathered) >= MAX_BATCH:
                break
            try:
                message = self._waiting.get_nowait()
            except queue.Empty:
                break
        return gathered

    def _take(self, batch: list[_Item]) -> None:
        """Stores a batch, however long the store takes to be able to, and only then acknowledges it."""
        standings = self._advanced(batch)
        while not self._stop.is_set():
            try:
                outcome = self._store_batch(batch, standings)
                break
            except (StoreUnavailable, OSError) as error:
                log.error("intake waits for the store", reason=str(error), waiting=len(batch))
                self._stop.wait(self._pause_s)
        else:
            return
        self._standings.update(standings)
        for item in batch:
            if item.last:
                item.message.ack()
        self._confirm(standings)
        _count(outcome)

    def _advanced(self, batch: Iterable[_Item]) -> dict[tuple[str, str], Standing]:
        moved: dict[tuple[str, str], Standing] = {}

        def standing(sender: str, epoch: str) -> Standing:
            key = (sender, epoch)
            if key not in moved:
                moved[key] = self._standings.get(key, Standing()).copy()
            return moved[key]

        for item in batch:
            if item.envelope is not None:
                standing(item.envelope.sender, item.envelope.epoch).stored(item.envelope.seq)
            elif item.floor is not None:
                sender, told = item.floor
                standing(sender, told.epoch).floor(told.seq)
        return moved

    def _store_batch(self, batch: Sequence[_Item], standings: dict[tuple[str, str], Standing]) -> _Outcome:
        for item in batch:
            if item.envelope is not None and not item.still_hash:
                item.still_hash = self._keep_still(item.envelope.observation)
        try:
            return self._store.enqueue(lambda tx: self._write(tx, batch, standings)).result()
        except (StoreUnavailable, OSError):
            raise
        except Exception as error:  # supervision: one observation that the rules trip over stops no other
            log.exception("a batch failed; its members go one by one", reason=str(error))
            return self._store.enqueue(lambda tx: self._write_singly(tx, batch, standings)).result()

    def _keep_still(self, observation: Observation) -> str:
        body = observation.body
        if isinstance(body, Motion | PointState) and body.still:
            return self._blobs.put(body.still)
        return ""

    def _write(
        self, tx: Transaction, batch: Sequence[_Item], standings: dict[tuple[str, str], Standing]
    ) -> _Outcome:
        outcome = _Outcome()
        known = self._known(tx, batch)
        for item in batch:
            self._write_item(tx, item, known, outcome)
        _write_identities(tx, outcome)
        self._write_marks(tx, standings)
        return outcome

    def _write_singly(
        self, tx: Transaction, batch: Sequence[_Item], standings: dict[tuple[str, str], Standing]
    ) -> _Outcome:
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
                junk = _unstorable(item, error)
                self._quarantine(tx, junk, outcome)
        self._write_marks(tx, standings)
        return outcome

    def _known(self, tx: Transaction, batch: Iterable[_Item]) -> set[str]:
        observations = [item.envelope.observation for item in batch if item.envelope is not None]
        logged = [one.id for one in observations if not _is_fix(one)]
        fixed = [one.id for one in observations if _is_fix(one)]
        return stored_log.known(tx.connection, logged) | fixes.known(tx.connection, fixed)

    def _write_item(self, tx: Transaction, item: _Item, known: set[str], outcome: _Outcome) -> None:
        if item.junk is not None:
            self._quarantine(tx, item.junk, outcome)
        elif item.envelope is not None:
            observation = item.envelope.observation
            if observation.id in known:
                outcome.duplicates += 1
                return
            observation = judged(observation, *self._watch.readings(tx.now))
            self._write_observation(tx, observation, item.still_hash, outcome)
            known.add(observation.id)

    def _write_observation(
        self, tx: Transaction, observation: Observation, still_hash: str, outcome: _Outcome
    ) -> None:
        cause = None
        if _is_fix(observation):
            outcome.fixes.append(observation)
        else:
            cause = record(tx, self._registers, observation, still_hash).seq
            outcome.entries.append((observation.id, cause))
        self._watch.hear(observation, tx.now)
        self._desk.observe(tx, observation, still_hash, cause)

    def _quarantine(self, tx: Transaction, junk: _Junk, outcome: _Outcome) -> None:
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

    def _write_marks(self, tx: Transaction, standings: dict[tuple[str, str], Standing]) -> None:
        for (sender, epoch), standing in standings.items():
            before = self._standings.get((sender, epoch))
            if before is None or before.mark != standing.mark:
                stored_log.set_mark(tx.connection, sender, epoch, standing.mark, tx.now)

    def _confirm(self, standings: dict[tuple[str, str], Standing]) -> None:
        for (sender, epoch), standing in standings.items():
            stored = codec.Stored(epoch=epoch, seq=standing.mark)
            self._bus.publish(topics.STORED.format(sender=sender), codec.encode(stored), retain=True)


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


def understood(message: Message) -> list[_Item]:
    """A delivery as what it says, or as what is to be quarantined."""
    _, family, sender = message.topic.split("/", 2)
    try:
        if family == "obs":
            return _observations(message, sender)
        if family == "floor":
            return [_Item(message, floor=(sender, codec.decode(message.payload, codec.Stored)))]
        return [_Item(message, junk=_as_junk(codec.decode(message.payload, codec.Rejected)))]
    except codec.WireError as error:
        return [_Item(message, junk=_own_junk(message, error.reason))]


def _observations(message: Message, sender: str) -> list[_Item]:
    envelopes = codec.decode_envelopes(message.payload)
    if not envelopes:
        raise codec.WireError("$: holds no envelope", message.payload)
    for envelope in envelopes:
        _check(envelope, sender, message.payload)
    items = [_Item(message, envelope=envelope, last=False) for envelope in envelopes]
    items[-1].last = True
    return items


def _check(envelope: codec.Envelope, sender: str, raw: bytes) -> None:
    """Raises `codec.WireError` for what the store couldn't hold or the desk couldn't place."""
    if envelope.sender != sender:
        raise codec.WireError(f"$.sender: {envelope.sender!r} on the topic of {sender!r}", raw)
    if not 0 < len(envelope.observation.id) <= 300:
        raise codec.WireError("$.observation.id: must have 1 to 300 characters", raw)
    if len(envelope.observation.source) > 200:
        raise codec.WireError("$.observation.source: has over 200 characters", raw)
    body = envelope.observation.body
    if isinstance(body, Position) and not (abs(body.lat) <= 90 and abs(body.lon) <= 180):
        raise codec.WireError("$.observation.body: is no place on earth", raw)


def _as_junk(rejected: codec.Rejected) -> _Junk:
    return _Junk(
        rejected.protocol,
        rejected.peer,
        rejected.reason,
        rejected.cause,
        rejected.raw,
        rejected.size,
        rejected.count,
        _instant(rejected.heard_at_ms),
    )


def _instant(ms: int) -> datetime | None:
    """Milliseconds since 1970 as an instant; None for what is none."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC) if ms > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _own_junk(message: Message, reason: str) -> _Junk:
    payload = message.payload
    return _Junk("bus", message.topic, reason, "not_ours", payload, len(payload))


def _unstorable(item: _Item, error: Exception) -> _Junk:
    reason = f"understood but not storable: {type(error).__name__}: {error}"
    junk = _own_junk(item.message, reason)
    junk.cause = "not_storable"
    return junk


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
