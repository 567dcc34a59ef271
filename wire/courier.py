"""Takes an outbox to intake: what is news first, by urgency; history in the gaps, oldest first.

Each of the two lanes has a topic and a window of its own, so that intake can take news before history, and a
backlog of a day costs a live alarm no more than the batch in hand. Nothing here is durable: whatever is lost
on the way is still in the outbox, and intake's word alone takes it out.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import structlog

from wire import codec, topics
from wire.bus import Bus, Message
from wire.clock import Clock, utc_now
from wire.observations import NEWS_LIMIT, Urgency
from wire.outbox import Outbox
from wire.spans import Spans

log = structlog.get_logger(__name__)

ALARM_ROOM = 200
"""Alarms may go this far beyond a window that is full of everything else."""
HISTORY_WINDOW = 500
HISTORY_BYTES = 1024 * 1024
"""What of history may be on its way at once: at 10 Mbit/s less than a second."""
LIVE_BYTES = 8 * 1024 * 1024
AT_ONCE = 200
RECKON_S = 5.0
"""How often it is looked at what has become history while it waited."""
MOST_PATIENCE_S = 60.0
OVERTAKEN_S = 1.0
"""So long after it was sent, an item that later ones of its lane were confirmed before counts as lost."""
FIRST_ITEMS = 100
"""So many may be on their way before intake has confirmed anything, at a start and after a silence: a sender
that starts again and again must not fill the broker with repeats."""
PROBE = 20
"""So many items go again to ask whether intake is there."""
TRIES_BEFORE_LOOKING = 3
FLOOR_S = 1.0
"""Least time between two words about a floor that intake doesn't know."""


@dataclass(slots=True)
class _Sent:
    """An item on its way."""

    order: int
    """The message it went with, counted by lane."""
    at: float
    size: int
    urgency: Urgency | None


@dataclass(slots=True)
class _Lane:
    """What is on its way on one topic."""

    topic: str
    most_items: int
    most_bytes: int
    first_patience_s: float
    on_way: dict[int, _Sent] = field(default_factory=dict)
    size: int = 0
    messages: int = 0
    patience_s: float = 0.0
    progress_at: float = 0.0
    answered: bool = False
    """Intake confirms what goes this way."""

    def room(self, more: int = 0) -> int:
        """How many items may go."""
        most = self.most_items if self.answered else min(self.most_items, FIRST_ITEMS)
        return max(0, most + more - len(self.on_way)) if self.size < self.most_bytes else 0

    def send(self, seq: int, size: int, urgency: Urgency | None, now: float) -> None:
        """`seq` goes with the message that is being put together."""
        if not self.on_way:
            self.progress_at = now
        self.on_way[seq] = _Sent(self.messages, now, size, urgency)
        self.size += size

    def arrived(self, upto: int, beyond: Spans, now: float) -> list[int]:
        """Intake has these. Returns what went before them and should have been there: it is lost."""
        here = [seq for seq in self.on_way if seq <= upto or (beyond and seq in beyond)]
        if not here:
            return []
        self.answered = True
        latest = max(self._take_out(seq).order for seq in here)
        self.progress_at, self.patience_s = now, self.first_patience_s
        old = now - OVERTAKEN_S
        return [seq for seq, sent in self.on_way.items() if sent.order < latest and sent.at < old]

    def overdue(self, now: float) -> list[int]:
        """The oldest on their way, if nothing was confirmed for too long; each time later.

        A few to ask with: once they are confirmed, whatever went before them counts as lost and goes again.
        Everything at once would fill the broker with repeats for a hub that is away, and the broker saves all
        it holds on every change.
        """
        if not self.on_way or now - self.progress_at <= self.patience_s:
            return []
        self.progress_at, self.answered = now, False
        self.patience_s = min(self.patience_s * 2, max(MOST_PATIENCE_S, self.first_patience_s))
        return list(itertools.islice(self.on_way, PROBE))

    def lose(self, seq: int) -> _Sent:
        """It isn't on its way any more."""
        return self._take_out(seq)

    def clear(self) -> None:
        """Nothing is on its way."""
        self.on_way.clear()
        self.size = 0

    def _take_out(self, seq: int) -> _Sent:
        sent = self.on_way.pop(seq)
        self.size -= sent.size
        return sent


class Courier:
    """Sends an outbox over the bus until intake confirms, and again what it doesn't.

    News goes in order of `Urgency`, within a class in order; at most `window` items ahead of intake's word.
    What waits travels together, up to `batch` items in a message. `steady`: seconds of a clock that nobody
    sets.
    """

    def __init__(
        self,
        outbox: Outbox,
        bus: Bus,
        *,
        window: int = 1000,
        patience_s: float = 5.0,
        batch: int = 50,
        clock: Clock = utc_now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steady = steady
        self._batch = batch
        self._outbox = outbox
        self._bus = bus
        self._clock = clock
        sender = outbox.sender
        self._live = _Lane(topics.OBSERVATIONS.format(sender=sender), window, LIVE_BYTES, patience_s)
        self._past = _Lane(topics.HISTORY.format(sender=sender), HISTORY_WINDOW, HISTORY_BYTES, patience_s)
        self._live.patience_s = self._past.patience_s = patience_s
        self._lock = threading.Lock()
        self._cut = 0
        """Up to here it is history."""
        self._past_at = 0
        """Up to here history was sent; what is neither on its way nor here any more is behind it."""
        self._live_at = dict.fromkeys(Urgency, 0)
        self._tries: dict[int, int] = {}
        self._reckon_at = 0.0
        self._told_trouble = ""
        self._floor_at = 0.0
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"courier-{sender}", daemon=True)
        bus.consume(topics.STORED.format(sender=sender), self._on_stored)
        bus.consume(topics.AGAIN.format(sender=sender), self._on_again)
        bus.on_link(self._on_link)
        outbox.on_change(self._wake.set)

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

    # Intake's words

    def _on_link(self, up: bool, _reason: str) -> None:
        if up:
            with self._lock:
                self._reckon_at = 0.0
            self._tell_floor()
            self._wake.set()

    def _on_stored(self, message: Message) -> None:
        message.ack()
        stored = codec.decode(message.payload, codec.Stored)
        if stored.epoch != self._outbox.epoch:
            return
        beyond = Spans(stored.beyond)
        if max(stored.seq, beyond.last if beyond else 0) > self._outbox.last:
            self._renew()
            return
        settled = self._outbox.confirm(stored.seq, stored.beyond)
        anew = stored.anew and not message.retained
        settled.add_done_callback(lambda done: self._settled(done, stored.seq, beyond, anew=anew))

    def _on_again(self, message: Message) -> None:
        message.ack()
        again = codec.decode(message.payload, codec.Again)
        if message.retained or again.epoch != self._outbox.epoch:
            return
        held = self._outbox.held(again.spans)
        gone = [gap for first, last in again.spans for gap in _gaps(first, last, held)]
        with self._lock:
            old = self._steady() - OVERTAKEN_S
            for lane in (self._live, self._past):
                self._lose(lane, [seq for seq, one in lane.on_way.items() if seq in held and one.at < old])
        if gone:
            self._tell_floor(gone)
        self._wake.set()

    def _settled(self, done: Future[None], upto: int, beyond: Spans, *, anew: bool) -> None:
        if done.exception() is None:
            self._arrived(upto, beyond)
            if anew:
                self._send_anew()
            now = self._steady()
            if upto < self._outbox.floor and now - self._floor_at > FLOOR_S:
                # Intake lacks what one of its former lives had, or has forgotten that it has it.
                self._tell_floor()

    def _arrived(self, upto: int, beyond: Spans) -> None:
        now = self._steady()
        with self._lock:
            for lane in (self._live, self._past):
                self._lose(lane, lane.arrived(upto, beyond, now))
            if self._tries:
                left = {*self._live.on_way, *self._past.on_way}
                self._tries = {seq: tries for seq, tries in self._tries.items() if seq in left or seq > upto}
        self._wake.set()

    def _send_anew(self) -> None:
        """The broker keeps nothing for a hub that is away: what was sent meanwhile goes again at once."""
        with self._lock:
            for lane in (self._live, self._past):
                self._lose(lane, list(lane.on_way))
        self._tell_floor()
        self._wake.set()

    def _renew(self) -> None:
        """Intake knows numbers that this file never gave: it is an old copy of itself."""
        with self._lock:
            self._outbox.renew()
            self._live.clear()
            self._past.clear()
            self._cut, self._past_at, self._live_at = 0, 0, dict.fromkeys(Urgency, 0)
            self._reckon_at = 0.0
        self._tell_floor()

    def _tell_floor(self, gone: Sequence[tuple[int, int]] = ()) -> None:
        self._told_trouble, self._floor_at = self._outbox.trouble, self._steady()
        floor = codec.Floor(
            epoch=self._outbox.epoch,
            seq=self._outbox.floor,
            gone=tuple(gone),
            trouble=self._told_trouble,
            held=self._outbox.waiting,
        )
        self._bus.publish(topics.FLOOR.format(sender=self._outbox.sender), codec.encode(floor))

    # Sending

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                moved = self._bus.connected and self._turn()
            except sqlite3.Error as error:  # the disk's trouble, not ours: what is there is tried again
                log.error("outbox can't be read", sender=self._outbox.sender, reason=str(error))
                self._stop.wait(1.0)
                continue
            if not moved:
                self._wake.wait(0.5)

    def _turn(self) -> bool:
        """Sends what may go now; False where nothing could."""
        if self._outbox.trouble != self._told_trouble:
            self._tell_floor()
        with self._lock:
            now = self._steady()
            if self._overdue(now):
                self._tell_floor()
            if now >= self._reckon_at:
                self._reckon(now)
            news = self._news(now)
            past = self._history(now)
        return news or past

    def _overdue(self, now: float) -> bool:
        lost = False
        for lane in (self._live, self._past):
            overdue = lane.overdue(now)
            self._lose(lane, overdue)
            lost = lost or bool(overdue)
        return lost

    def _lose(self, lane: _Lane, seqs: Sequence[int]) -> None:
        """These go again: identity makes it harmless if they arrived after all."""
        for seq in seqs:
            sent = lane.lose(seq)
            self._tries[seq] = self._tries.get(seq, 0) + 1
            self._past_at = min(self._past_at, seq - 1)
            for urgency in Urgency if sent.urgency is None else (sent.urgency,):
                self._live_at[urgency] = max(self._cut, min(self._live_at[urgency], seq - 1))

    def _reckon(self, now: float) -> None:
        """What has been heard too long ago to be news is history from now on."""
        self._reckon_at = now + RECKON_S
        cut = self._outbox.heard_before(self._clock() - NEWS_LIMIT)
        if cut > self._cut:
            self._cut = cut
            for urgency, at in self._live_at.items():
                self._live_at[urgency] = max(at, cut)

    def _news(self, now: float) -> bool:
        found: list[tuple[int, bytes, Urgency | None]] = []
        for urgency in Urgency:
            more = ALARM_ROOM if urgency is Urgency.ALARM else 0
            room = min(self._live.room(more) - len(found), AT_ONCE)
            if room <= 0:
                continue
            last = self._outbox.last
            items = self._outbox.of_urgency(urgency, self._live_at[urgency], room)
            found += [(seq, payload, urgency) for seq, payload in items if self._is_unsent(seq)]
            self._live_at[urgency] = items[-1][0] if len(items) == room else max(last, *_seqs(items), 0)
        self._send(self._live, found, now)
        return bool(found)

    def _history(self, now: float) -> bool:
        room = min(self._past.room(), self._batch)
        if room <= 0 or self._past_at >= self._cut:
            return False
        items = self._outbox.after(self._past_at, room, up_to=self._cut)
        self._past_at = items[-1][0] if len(items) == room else self._cut
        self._send(self._past, [(seq, body, None) for seq, body in items if self._is_unsent(seq)], now)
        return True

    def _is_unsent(self, seq: int) -> bool:
        return seq not in self._live.on_way and seq not in self._past.on_way

    def _send(self, lane: _Lane, items: Sequence[tuple[int, bytes, Urgency | None]], now: float) -> None:
        sound = [item for item in items if self._is_sound(item[0], item[1])]
        for group in _together(sound, self._batch):
            lane.messages += 1
            for seq, payload, urgency in group:
                lane.send(seq, len(payload), urgency, now)
            self._bus.publish(lane.topic, codec.joined([payload for _, payload, _ in group]))

    def _is_sound(self, seq: int, payload: bytes) -> bool:
        """What was sent in vain again and again is looked at: a bit may have turned on the disk."""
        if self._tries.get(seq, 0) < TRIES_BEFORE_LOOKING:
            return True
        try:
            if codec.decode_envelope(payload).seq == seq:
                return True
            reason = "not the number it is kept under"
        except codec.WireError as error:
            reason = error.reason
        self._reject(seq, payload, reason)
        return False

    def _reject(self, seq: int, payload: bytes, reason: str) -> None:
        log.error("an item in the outbox is damaged", sender=self._outbox.sender, seq=seq, reason=reason)
        sender = self._outbox.sender
        rejected = codec.Rejected(
            protocol="outbox",
            peer=f"{sender}:{self._outbox.epoch}:{seq}",
            reason=reason,
            raw=payload[: codec.MAX_REJECTED_BYTES],
            size=len(payload),
            heard_at_ms=int(self._clock().timestamp() * 1000),
            cause="damaged",
        )
        self._bus.publish(topics.REJECTED.format(sender=sender), codec.encode(rejected))
        self._outbox.give_up(seq)
        self._tries.pop(seq, None)


def _seqs(items: Sequence[tuple[int, bytes]]) -> list[int]:
    return [seq for seq, _ in items]


def _gaps(first: int, last: int, held: Spans) -> Iterator[tuple[int, int]]:
    """The runs of `first` to `last` that aren't held."""
    at = first
    for begin, end in held:
        if end < at or begin > last:
            continue
        if begin > at:
            yield at, begin - 1
        at = end + 1
    if at <= last:
        yield at, last


def _together(
    items: Sequence[tuple[int, bytes, Urgency | None]], most: int
) -> Iterator[list[tuple[int, bytes, Urgency | None]]]:
    """`items` in groups of at most `most` that stay well below the largest message."""
    group: list[tuple[int, bytes, Urgency | None]] = []
    size = 0
    for item in items:
        if group and (len(group) == most or size + len(item[1]) > codec.MAX_ENVELOPE_BYTES // 2):
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item[1])
    if group:
        yield group
