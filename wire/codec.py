"""Bytes on our own bus ⇄ frozen values. JSON, so that a person with `mosquitto_sub` can read along."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import TypeVar

import msgspec
from msgspec import Struct

from wire.observations import MAX_STILL_BYTES, Motion, Observation, PointState

MAX_ENVELOPE_BYTES = 512 * 1024
"""Largest message of ours: a still in base64 and its observation fit well inside."""

T = TypeVar("T")


class WireError(ValueError):
    """A message on our own bus that breaks its own contract: says which field and why."""

    def __init__(self, reason: str, evidence: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = evidence[:64]


class Envelope(Struct, frozen=True, kw_only=True):
    """An observation on its way from a sender's outbox to intake."""

    sender: str
    epoch: str
    """Changes when the sender's outbox file is made anew; sequence numbers start again with it."""
    seq: int
    """From 1, without gaps within an epoch."""
    observation: Observation


class Stored(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Intake's word to a sender: everything of `epoch` up to `seq` is committed, and what `beyond` names."""

    epoch: str
    seq: int
    beyond: tuple[tuple[int, int], ...] = ()
    """Runs over `seq` that the latest commit touched, each first and last number."""
    anew: bool = False
    """Intake has just come to the bus: what was on its way to it before hasn't reached it."""


class Floor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sender's word to intake: nothing of `epoch` up to `seq` is held any more, nor what `gone` names."""

    epoch: str
    seq: int
    gone: tuple[tuple[int, int], ...] = ()
    """Runs over `seq`, first and last number, in answer to `Again`."""
    trouble: str = ""
    """Why the outbox can't take in what its devices say; empty where it can."""
    held: int = 0
    """Items that wait in the outbox."""


class Again(Struct, frozen=True, kw_only=True):
    """Intake's word to a sender: these runs of `epoch` are missing below what it has."""

    epoch: str
    spans: tuple[tuple[int, int], ...]


class Rejected(Struct, frozen=True, kw_only=True):
    """Raw bytes a listener could not understand, on their way to quarantine."""

    protocol: str
    peer: str
    """Address, topic or device: whatever tells an installer where to look. Never a secret."""
    reason: str
    raw: bytes
    """The first bytes, at most `MAX_REJECTED_BYTES`."""
    size: int
    heard_at_ms: int
    """UTC, milliseconds since 1970."""
    cause: str = "other"
    """The reason in one word for counting: `not_utf8`, `too_large`, `bad_checksum`, …"""
    count: int = 1
    """How many this one stands for: a flood is sampled, and still counted to the last."""


MAX_REJECTED_BYTES = 4096

_encoder = msgspec.json.Encoder()


def encode(value: Struct) -> bytes:
    """`value` as UTF-8 JSON."""
    return _encoder.encode(value)


def decode(raw: bytes, kind: type[T]) -> T:
    """`raw` as a `kind`. Raises `WireError` naming the field (`$.observation.body.lat: …`)."""
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise WireError(f"message of {len(raw)} bytes is over the limit of {MAX_ENVELOPE_BYTES}", raw)
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error), raw) from error


def joined(envelopes: Sequence[bytes]) -> bytes:
    """Encoded envelopes as one message: itself where it is one, a JSON array where they are several."""
    return envelopes[0] if len(envelopes) == 1 else b"[" + b",".join(envelopes) + b"]"


def decode_envelopes(raw: bytes) -> list[Envelope]:
    """What `joined` made of one or several. Raises `WireError`: a message is understood whole or not."""
    if not raw.startswith(b"["):
        return [decode_envelope(raw)]
    return [_checked(envelope, raw) for envelope in decode(raw, list[Envelope])]


class Head(Struct, frozen=True, kw_only=True):
    """Whose an envelope is and its number, where the rest can't be understood."""

    sender: str
    epoch: str
    seq: int


def decode_head(raw: bytes) -> Head | None:
    """What can be known of an envelope that isn't one; however long it is."""
    try:
        head = msgspec.json.decode(raw, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return head if head.seq >= 1 else None


def members(raw: bytes) -> list[bytes]:
    """What `joined` put together, each as it was; `raw` itself where it is no JSON array."""
    if not raw.startswith(b"["):
        return [raw]
    try:
        return [bytes(one) for one in msgspec.json.decode(raw, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [raw]


def decode_envelope(raw: bytes) -> Envelope:
    """`raw` as an envelope whose observation keeps the promises the types alone can't state."""
    return _checked(decode(raw, Envelope), raw)


def _checked(envelope: Envelope, raw: bytes) -> Envelope:
    observation = envelope.observation
    if envelope.seq < 1:
        raise WireError("$.seq: sequence numbers start at 1", raw)
    if not observation.source:
        raise WireError("$.observation.source: is empty", raw)
    for name, instant in (("heard_at", observation.heard_at), ("device_at", observation.device_at)):
        if instant is not None and instant.utcoffset() is None:
            raise WireError(f"$.observation.{name}: has no zone", raw)
    body = observation.body
    if isinstance(body, Motion | PointState) and len(body.still) > MAX_STILL_BYTES:
        raise WireError(f"$.observation.body.still: {len(body.still)} bytes is over {MAX_STILL_BYTES}", raw)
    return envelope


def in_utc(observation: Observation) -> Observation:
    """The same observation with both instants expressed in UTC."""
    device_at = observation.device_at
    return msgspec.structs.replace(
        observation,
        heard_at=observation.heard_at.astimezone(UTC),
        device_at=device_at.astimezone(UTC) if device_at else None,
    )
