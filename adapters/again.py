"""Refused bytes once more, after a decoder was mended or a device registered: through the same decoders.

Nothing that is known of devices now is touched by it: conventions and judges are made afresh for each item,
and what they say is history. Nothing is answered, ordered or confirmed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

import msgspec
import structlog
from msgspec import structs

from adapters.refusal import Refusal
from adapters.sender import Sender
from wire import codec
from wire.again import MOST, DecodeAgain, DecodedAgain, KeptRaw, Redecoded
from wire.observations import Heartbeat, Lateness, Link, Observation

log = structlog.get_logger(__name__)

STORED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Again:
    """Bytes to be decoded once more."""

    protocol: str
    peer: str
    raw: bytes
    heard_at: datetime


class Decoding(Protocol):
    """A family's way of doing it. Raises `Refusal`."""

    def __call__(self, again: Again) -> Sequence[Observation]: ...


Families: TypeAlias = Mapping[str, tuple[Sender, Decoding]]
"""By protocol."""


class Redecoder:
    """Answers `decode-again`, on the adapters' event loop."""

    def __init__(self, families: Families) -> None:
        self._families = families

    async def answer(self, raw: bytes) -> bytes:
        """A `DecodeAgain` in, a `DecodedAgain` out; nothing where it can't be read."""
        try:
            asked = codec.decode(raw, DecodeAgain)
        except codec.WireError as error:
            log.error("request to decode again not understood", reason=error.reason)
            return codec.encode(DecodedAgain(results=()))
        results = await asyncio.gather(*(self._one(one) for one in asked.items[:MOST]))
        return codec.encode(DecodedAgain(results=tuple(results)))

    async def _one(self, kept: KeptRaw) -> Redecoded:
        if kept.protocol not in self._families:
            reason = f"no adapter here speaks {kept.protocol or 'it'}"
            return Redecoded(id=kept.id, understood=False, reason=reason)
        try:
            told = await self._told(kept)
        except Refusal as refusal:
            return Redecoded(id=kept.id, understood=False, reason=refusal.reason)
        except Exception as error:  # supervision: one that trips a decoder or the outbox stops no other
            log.exception("could not decode again", protocol=kept.protocol, peer=kept.peer)
            return Redecoded(id=kept.id, understood=False, reason=f"{type(error).__name__}: {error}")
        reason = "" if told else "it says nothing that would still matter"
        return Redecoded(id=kept.id, understood=True, observations=told, reason=reason)

    async def _told(self, kept: KeptRaw) -> int:
        """How many observations it came to; they are in the outbox by then."""
        sender, decoding = self._families[kept.protocol]
        heard_at = datetime.fromtimestamp(kept.heard_at_ms / 1000, UTC)
        said = decoding(Again(kept.protocol, kept.peer, kept.raw, heard_at))
        told = as_history(said, kept.identity, heard_at)
        if told:
            async with asyncio.timeout(STORED_WITHIN_S):
                await asyncio.wrap_future(sender.outbox.append(told))
        return len(told)


def as_history(said: Sequence[Observation], identity: str, heard_at: datetime) -> list[Observation]:
    """Observations as what they are now: past. Signs of life of the past are worth nothing and left out."""
    told: dict[str, Observation] = {}
    for one in said:
        if isinstance(one.body, Heartbeat) or (isinstance(one.body, Link) and one.body.up):
            continue
        name = one.id or f"again:{identity[:24]}:{_digest(one)}"
        late = one.lateness if one.lateness is not Lateness.LIVE else Lateness.BUFFERED
        told[name] = structs.replace(one, id=name, heard_at=heard_at, lateness=late)
    return list(told.values())


def _digest(observation: Observation) -> str:
    """Stands for what was observed, whatever the order in which a decoder tells it."""
    content = msgspec.json.encode((observation.source, observation.device_at, observation.body))
    return hashlib.blake2b(content, digest_size=8).hexdigest()
