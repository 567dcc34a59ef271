"""What came over the bus, understood as far as it can be: observations, floors, and what is for quarantine.

A message may hold many envelopes. One that can't be understood takes no other with it, and where its number
can be read, its sender is told that it is dealt with: otherwise it would come again for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from wire import codec
from wire.bus import Message
from wire.observations import Lateness, Observation, Position


@dataclass(slots=True)
class Junk:
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
class Item:
    """One thing that was delivered."""

    message: Message
    envelope: codec.Envelope | None = None
    head: codec.Head | None = None
    """Whose number this settles, where there is one."""
    last: bool = True
    """The last of its message: then the message may be acknowledged."""
    floor: tuple[str, codec.Floor] | None = None
    junk: Junk | None = None
    still_hash: str = ""
    history: bool = False
    """Its sender says it lay too long to be news."""

    @property
    def observation(self) -> Observation | None:
        """What it says, where it says anything."""
        return self.envelope.observation if self.envelope is not None else None


def understood(message: Message) -> list[Item]:
    """A delivery as what it says, or as what is to be quarantined. Never empty; the last one is marked."""
    _, family, sender = message.topic.split("/", 2)
    try:
        if family in ("obs", "history"):
            return _observations(message, sender, history=family == "history")
        if family == "floor":
            return [Item(message, floor=(sender, _floor(message.payload)))]
        return [Item(message, junk=_as_junk(codec.decode(message.payload, codec.Rejected)))]
    except codec.WireError as error:
        return [Item(message, junk=_own_junk(message.topic, message.payload, error.reason))]


def unstorable(item: Item, error: Exception) -> Junk:
    """An observation that was understood and that the store or the rules trip over."""
    reason = f"understood but not storable: {type(error).__name__}: {error}"
    raw = codec.encode(item.envelope) if item.envelope is not None else item.message.payload
    junk = _own_junk(item.message.topic, raw, reason)
    junk.cause = "not_storable"
    return junk


def _floor(raw: bytes) -> codec.Floor:
    floor = codec.decode(raw, codec.Floor)
    if floor.seq < 0 or any(first < 1 or last < first for first, last in floor.gone):
        raise codec.WireError("$.gone: runs begin at 1 and end after they begin", raw)
    return floor


def _observations(message: Message, sender: str, *, history: bool) -> list[Item]:
    try:
        envelopes = codec.decode_envelopes(message.payload)
        for envelope in envelopes:
            _check(envelope, sender, message.payload)
    except codec.WireError:
        items = [_single(message, raw, sender, history=history) for raw in codec.members(message.payload)]
    else:
        items = [Item(message, envelope=one, last=False, history=history) for one in envelopes]
    if not items:
        raise codec.WireError("$: holds no envelope", message.payload)
    items[-1].last = True
    return items


def _single(message: Message, raw: bytes, sender: str, *, history: bool) -> Item:
    try:
        envelope = codec.decode_envelope(raw)
        _check(envelope, sender, raw)
    except codec.WireError as error:
        head = codec.decode_head(raw)
        if head is not None and head.sender != sender:
            head = None
        junk = _own_junk(message.topic, raw, error.reason)
        return Item(message, head=head, last=False, junk=junk)
    return Item(message, envelope=envelope, last=False, history=history)


def _check(envelope: codec.Envelope, sender: str, raw: bytes) -> None:
    """Raises `codec.WireError` for what the store couldn't hold or the desk couldn't place."""
    if envelope.sender != sender:
        raise codec.WireError(f"$.sender: {envelope.sender!r} on the topic of {sender!r}", raw)
    if not 0 < len(envelope.observation.id) <= 300:
        raise codec.WireError("$.observation.id: must have 1 to 300 characters", raw)
    if len(envelope.observation.source) > 200:
        raise codec.WireError("$.observation.source: has over 200 characters", raw)
    if b"\\u0000" in raw and "\0" in _names(envelope):
        raise codec.WireError("$.observation: a name in it holds a zero character", raw)
    body = envelope.observation.body
    if isinstance(body, Position) and not (abs(body.lat) <= 90 and abs(body.lon) <= 180):
        raise codec.WireError("$.observation.body: is no place on earth", raw)


def _names(envelope: codec.Envelope) -> str:
    """What becomes more than a part of a JSON body: PostgreSQL's text can't hold a zero character."""
    observation = envelope.observation
    names = [envelope.epoch, observation.id, observation.source]
    names += [getattr(observation.body, name, "") or "" for name in ("point", "serial", "doubt", "datum")]
    return " ".join(names)


def _as_junk(rejected: codec.Rejected) -> Junk:
    return Junk(
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


def _own_junk(topic: str, raw: bytes, reason: str) -> Junk:
    return Junk("bus", topic, reason, "not_ours", raw, len(raw))


def late_by_sender(observation: Observation) -> Observation:
    """What its sender kept back as history isn't news, whatever clocks say."""
    if observation.lateness is not Lateness.LIVE:
        return observation
    return msgspec.structs.replace(observation, lateness=Lateness.BUFFERED)
